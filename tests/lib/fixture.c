/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core on a temporary state folder, with memory docks, and calls as a file system makes them. */
#include "fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/worker/worker.h"

#define LONG_MS 60000

/* ---- files ---- */

static void write_file(const char *path, const char *text)
{
	char temp[160];
	FILE *file;

	snprintf(temp, sizeof(temp), "%s.new", path);
	file = fopen(temp, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(temp, path), 0);
}

static const char *path_in(struct fixture *f, char room[128], const char *name)
{
	snprintf(room, 128, "%s/%s", f->dir, name);
	return room;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* ---- life ---- */

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attr);
	pthread_condattr_destroy(&attr);
}

static void init(struct fixture *f)
{
	*f = (struct fixture){.map_size = 64 << 20};
	pthread_mutex_init(&f->lock, NULL);
	init_condition(&f->changed);
}

/* In memory if possible: these tests commit thousands of times, and no power fails in them. */
void fixture_init(struct fixture *f)
{
	const char *tmp = getenv("TMPDIR") ?: (access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	char room[128];

	init(f);
	snprintf(f->dir, sizeof(f->dir), "%s/attachfs-test-XXXXXX",
		 strlen(tmp) < 32 ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(mkdir(path_in(f, room, "docks.d"), 0755), 0);
}

void fixture_adopt(struct fixture *f, const char *dir)
{
	init(f);
	assert_true(text_copy(f->dir, sizeof(f->dir), text_of(dir)));
}

void fixture_dock(struct fixture *f, const char *name, const char *pools)
{
	char room[128], file[64];
	BUF_AUTO(yaml);

	buf_printf(&yaml, "name: %s\ndriver: memory\nmemory: {control: %s/faults}\npool:\n%s", name,
		   f->dir, pools);
	assert_int_equal(buf_error(&yaml), 0);
	snprintf(file, sizeof(file), "docks.d/%s.yaml", name);
	write_file(path_in(f, room, file), yaml.data);
}

void fixture_default_dock(struct fixture *f)
{
	fixture_dock(f, "mem",
		     "  many: {totalCapacity: 100, multiAttach: true}\n"
		     "  one: {totalCapacity: 100, multiAttach: false}\n");
}

static void load_conf(struct fixture *f)
{
	struct error err = {0};
	char room[128];
	BUF_AUTO(yaml);

	buf_printf(&yaml, "state: %s/state\ndocks: docks.d\n", f->dir);
	write_file(path_in(f, room, "attachfs.yaml"), yaml.data);
	if (conf_load(room, NULL, NULL, &f->conf, &err))
		fail_msg("%s", err.text);
	f->conf->attach_timeout_ms = f->attach_timeout_ms ? f->attach_timeout_ms : LONG_MS;
	f->conf->detach_timeout_ms = f->detach_timeout_ms ? f->detach_timeout_ms : LONG_MS;
}

static void stir(struct fixture *f)
{
	f->changes++;
	pthread_cond_broadcast(&f->changed);
}

static void on_changed(void *arg, const struct note *notes, size_t n)
{
	struct fixture *f = arg;

	pthread_mutex_lock(&f->lock);
	if (f->n_notes + n > f->notes_size) {
		f->notes_size = 2 * (f->n_notes + n);
		f->notes = realloc(f->notes, f->notes_size * sizeof(*f->notes));
		if (!f->notes)
			abort();
	}
	memcpy(f->notes + f->n_notes, notes, n * sizeof(*notes));
	f->n_notes += n;
	stir(f);
	pthread_mutex_unlock(&f->lock);
}

/* Nobody is ever logged in where the test is the worker. */
static void on_kick(void *arg, uint64_t dock, uint64_t volume, enum kick what)
{
	struct fixture *f = arg;

	if (what == KICK_SESSIONS) {
		core_sessions_end(f->core, volume, core_sessions_begin(f->core), 0);
		return;
	}
	pthread_mutex_lock(&f->lock);
	f->kicks++;
	f->kicked_dock = dock;
	f->kicked_volume = volume;
	pthread_mutex_unlock(&f->lock);
}

/* What the worker would have found out about the docks. */
static void play_docks(struct fixture *f)
{
	struct dock_capability can[16] = {0};
	struct error err = {0};
	uint64_t number;

	assert_true(f->conf->n_docks <= ARRAY_SIZE(can));
	for (size_t i = 0; i < f->conf->n_docks; i++)
		can[i] = (struct dock_capability){
			.dock = f->conf->docks[i].name,
			.built_in = true,
			.capabilities = driver_find("memory")->capabilities,
		};
	if (core_apply_conf(f->core, f->conf, can, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < f->conf->n_docks; i++) {
		const struct dock_conf *dock = &f->conf->docks[i];

		assert_int_equal(core_dock_number(f->core, dock->name, &number), 0);
		assert_int_equal(core_dock_status(f->core, number, DOCK_AVAILABLE, NULL), 0);
		for (size_t k = 0; k < dock->n_pools; k++)
			core_pool_usage(f->core, number, dock->pools[k].name,
					&(struct pool_usage){.total = dock->pools[k].total_bytes,
							     .free = dock->pools[k].total_bytes});
	}
	core_set_hooks(f->core, &(struct core_hooks){f, on_changed, f, on_kick});
}

int fixture_start_worker(struct fixture *f, struct error *err)
{
	int rc = worker_open(f->core, f->conf, &(struct core_hooks){.arg = f, .changed = on_changed},
			     &f->worker, err);

	if (!rc)
		worker_wait_ready(f->worker, PATIENCE_MS);
	return rc;
}

void fixture_start(struct fixture *f, bool with_worker)
{
	struct error err = {0};

	load_conf(f);
	if (store_open(f->conf->state, f->map_size, false, &f->store, &err) ||
	    core_open(f->store, f->conf, &f->core, &err) ||
	    (with_worker && fixture_start_worker(f, &err)))
		fail_msg("%s", err.text);
	if (!with_worker)
		play_docks(f);
}

/* Calls that sleep return; those that are to fail go on to do so, or the last ones would succeed. */
static void end_delays(struct fixture *f)
{
	char room[128], line[256];
	FILE *file = fopen(path_in(f, room, "faults"), "re");
	BUF_AUTO(rules);

	while (file && fgets(line, sizeof(line), file))
		if (!strstr(line, " delay "))
			buf_str(&rules, line);
	if (file)
		fclose(file);
	fixture_faults(f, rules.len ? rules.data : "");
}

void fixture_stop_worker(struct fixture *f)
{
	if (f->worker)
		end_delays(f);
	worker_close(f->worker);
	f->worker = NULL;
}

void fixture_stop(struct fixture *f)
{
	if (f->core)
		core_stop_waiting(f->core);
	fixture_stop_worker(f);
	store_stop(f->store);
	core_close(f->core);
	store_close(f->store);
	conf_unload(f->conf);
	f->core = NULL;
	f->store = NULL;
	f->conf = NULL;
}

void fixture_free(struct fixture *f)
{
	fixture_stop(f);
	for (struct call *next; f->calls; f->calls = next) {
		next = f->calls->next;
		pthread_cond_destroy(&f->calls->answered);
		free(f->calls);
	}
	for (struct kept_text *next; f->texts; f->texts = next) {
		next = f->texts->next;
		free(f->texts->data);
		free(f->texts);
	}
	free(f->notes);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int setup(void **state, bool with_worker)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	fixture_default_dock(f);
	fixture_start(f, with_worker);
	return 0;
}

int fixture_setup(void **state)
{
	return setup(state, false);
}

int fixture_setup_worker(void **state)
{
	return setup(state, true);
}

static int setup_volume(void **state, unsigned attach_ms, unsigned detach_ms)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	f->attach_timeout_ms = attach_ms;
	f->detach_timeout_ms = detach_ms;
	fixture_default_dock(f);
	fixture_start(f, true);
	fixture_host(f, "h");
	fixture_host(f, "i");
	fixture_host(f, "k");
	fixture_volume(f, "v", true, "many", "1G\n");
	return 0;
}

int fixture_setup_patient(void **state)
{
	return setup_volume(state, 0, 0);
}

int fixture_setup_impatient(void **state)
{
	return setup_volume(state, 1000, 300);
}

int fixture_teardown(void **state)
{
	fixture_free(*state);
	free(*state);
	return 0;
}

/* ---- requests ---- */

static void on_answer(struct intent *intent, int result)
{
	struct call *call = (struct call *)intent;

	pthread_mutex_lock(&call->f->lock);
	call->answers++;
	call->result = result;
	pthread_cond_broadcast(&call->answered);
	stir(call->f);
	pthread_mutex_unlock(&call->f->lock);
}

static struct call *new_call(struct fixture *f, enum intent_op op)
{
	struct call *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	call->f = f;
	init_condition(&call->answered);
	call->intent.op = op;
	call->intent.caller = (struct caller){getuid(), getgid(), getpid()};
	call->intent.answer = on_answer;
	pthread_mutex_lock(&f->lock);
	call->intent.ticket = ++f->tickets;
	call->next = f->calls;
	f->calls = call;
	pthread_mutex_unlock(&f->lock);
	return call;
}

static struct call *submit(struct call *call)
{
	core_submit(call->f->core, &call->intent);
	return call;
}

static struct timespec until(unsigned ms)
{
	return monotonic_timespec(monotonic_ms() + ms);
}

int fixture_wait(struct call *call, unsigned ms)
{
	struct timespec end = until(ms);
	int rc = 0, result;

	pthread_mutex_lock(&call->f->lock);
	while (!call->answers && !rc)
		rc = pthread_cond_timedwait(&call->answered, &call->f->lock, &end);
	result = call->answers ? call->result : UNANSWERED;
	assert_true(call->answers <= 1);
	pthread_mutex_unlock(&call->f->lock);
	return result;
}

/* The directory and the last name of a path. */
static struct ref split(struct fixture *f, const char *path, char *name)
{
	const char *slash = strrchr(path, '/');
	char parent[512] = "";
	struct ref ref;

	if (slash)
		text_copy(parent, sizeof(parent), (struct text){path, (size_t)(slash - path)});
	text_copy(name, NAME_BYTES_MAX + 1, text_of(slash ? slash + 1 : path));
	if (fixture_ref(f, parent, &ref))
		fail_msg("%s: there is no such directory", parent);
	return ref;
}

struct call *fixture_begin_make(struct fixture *f, struct ref dir, const char *name)
{
	struct call *call = new_call(f, INTENT_MAKE);

	call->intent.subject = dir;
	call->intent.inode.mode = 0755;
	text_copy(call->intent.name, sizeof(call->intent.name), text_of(name));
	return submit(call);
}

struct call *fixture_begin_mkdir(struct fixture *f, const char *path)
{
	char name[NAME_BYTES_MAX + 1];
	struct ref dir = split(f, path, name);

	return fixture_begin_make(f, dir, name);
}

struct call *fixture_begin_rmdir(struct fixture *f, const char *path)
{
	struct call *call = new_call(f, INTENT_REMOVE);

	call->intent.subject = split(f, path, call->intent.name);
	return submit(call);
}

static struct call *prepare_write(struct fixture *f, const char *path, struct text value)
{
	struct call *call = new_call(f, INTENT_SET);

	assert_true(value.n < sizeof(call->value));
	if (fixture_ref(f, path, &call->intent.subject))
		fail_msg("%s: there is no such file", path);
	memcpy(call->value, value.p, value.n);
	call->intent.value = (struct text){call->value, value.n};
	return call;
}

struct call *fixture_prepare_write(struct fixture *f, const char *path, const char *value)
{
	return prepare_write(f, path, text_of(value));
}

struct call *fixture_begin_write(struct fixture *f, const char *path, const char *value)
{
	return submit(prepare_write(f, path, text_of(value)));
}

struct call *fixture_begin_rename(struct fixture *f, const char *from, const char *to)
{
	struct call *call = new_call(f, INTENT_RENAME);

	call->intent.subject = split(f, from, call->intent.name);
	call->intent.dest = split(f, to, call->intent.new_name);
	return submit(call);
}

int fixture_mkdir(struct fixture *f, const char *path)
{
	return fixture_wait(fixture_begin_mkdir(f, path), PATIENCE_MS);
}

int fixture_rmdir(struct fixture *f, const char *path)
{
	return fixture_wait(fixture_begin_rmdir(f, path), PATIENCE_MS);
}

int fixture_write(struct fixture *f, const char *path, const char *value)
{
	return fixture_wait(fixture_begin_write(f, path, value), PATIENCE_MS);
}

int fixture_write_bytes(struct fixture *f, const char *path, struct text value)
{
	return fixture_wait(submit(prepare_write(f, path, value)), PATIENCE_MS);
}

int fixture_rename(struct fixture *f, const char *from, const char *to)
{
	return fixture_wait(fixture_begin_rename(f, from, to), PATIENCE_MS);
}

int fixture_inode(struct fixture *f, const char *path, unsigned fields,
		  const struct inode_state *inode)
{
	struct call *call = new_call(f, INTENT_INODE);

	assert_int_equal(fixture_ref(f, path, &call->intent.subject), 0);
	call->intent.inode_fields = fields;
	call->intent.inode = *inode;
	return fixture_wait(submit(call), PATIENCE_MS);
}

void fixture_volume(struct fixture *f, const char *name, bool multiattach, const char *pool,
		    const char *size)
{
	char path[128];
	int n = snprintf(path, sizeof(path), "volumes/%s", name);
	struct call *call;

	assert_int_equal(fixture_mkdir(f, path), 0);
	snprintf(path + n, sizeof(path) - (size_t)n, "/multiattach");
	assert_int_equal(fixture_write(f, path, multiattach ? "true\n" : "false\n"), 0);
	snprintf(path + n, sizeof(path) - (size_t)n, "/pool");
	if (pool)
		assert_int_equal(fixture_write(f, path, pool), 0);
	snprintf(path + n, sizeof(path) - (size_t)n, "/size");
	call = fixture_begin_write(f, path, size);
	if (!f->worker)
		fixture_settle_all(f, name);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
}

void fixture_host(struct fixture *f, const char *name)
{
	char path[128], value[128];
	int n = snprintf(path, sizeof(path), "hosts/%s", name);

	assert_int_equal(fixture_mkdir(f, path), 0);
	snprintf(path + n, sizeof(path) - (size_t)n, "/initiator");
	snprintf(value, sizeof(value), "iqn.2026-11.test:%s\n", name);
	assert_int_equal(fixture_write(f, path, value), 0);
}

/* ---- reading ---- */

static struct view begin_view(struct fixture *f, struct tx *tx)
{
	assert_int_equal(store_read_begin(f->store, tx), 0);
	return (struct view){.core = f->core, .tx = tx};
}

static int walk(struct view *v, const char *path, struct ref *ret)
{
	int rc = 0;

	*ret = SELF(ROOT_OBJECT);
	while (*path && !rc) {
		size_t n = strcspn(path, "/");

		rc = core_lookup(v, *ret, (struct text){path, n}, ret);
		path += n + (path[n] == '/');
	}
	return rc;
}

int fixture_ref(struct fixture *f, const char *path, struct ref *ret)
{
	struct tx tx;
	struct view v = begin_view(f, &tx);
	struct ref ref;
	int rc = walk(&v, path, &ref);

	store_read_end(&tx);
	if (!rc)
		*ret = ref;
	return rc;
}

bool fixture_exists(struct fixture *f, const char *path)
{
	struct ref ref;

	return !fixture_ref(f, path, &ref);
}

/* Takes the buffer over. */
static const char *keep_text(struct fixture *f, struct buf *b)
{
	struct kept_text *kept = calloc(1, sizeof(*kept));

	assert_non_null(kept);
	buf_str(b, "");
	assert_int_equal(buf_error(b), 0);
	kept->data = b->data;
	kept->next = f->texts;
	f->texts = kept;
	return kept->data;
}

typedef int read_fn(struct view *v, struct ref ref, struct buf *out);

static void read_into(struct fixture *f, const char *path, read_fn *fn, struct buf *out)
{
	struct tx tx;
	struct view v = begin_view(f, &tx);
	struct ref ref;
	int rc = walk(&v, path, &ref);

	buf_reset(out);
	if (!rc)
		rc = fn(&v, ref, out);
	store_read_end(&tx);
	if (rc) {
		buf_reset(out);
		buf_printf(out, "(errno %d)", -rc);
	}
	buf_str(out, "");
}

static const char *read_by(struct fixture *f, const char *path, read_fn *fn)
{
	struct buf out = {0};

	read_into(f, path, fn, &out);
	return keep_text(f, &out);
}

const char *fixture_read(struct fixture *f, const char *path)
{
	return read_by(f, path, core_read);
}

const char *fixture_readlink(struct fixture *f, const char *path)
{
	return read_by(f, path, core_readlink);
}

static int add_name(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	(void)ref, (void)cookie;
	buf_printf(arg, "%s ", name);
	return 0;
}

static int list(struct view *v, struct ref ref, struct buf *out)
{
	return core_list(v, ref, 0, add_name, out);
}

const char *fixture_list(struct fixture *f, const char *path)
{
	return read_by(f, path, list);
}

void fixture_object(struct fixture *f, const char *path, union any *ret)
{
	struct tx tx;
	struct view v = begin_view(f, &tx);
	struct ref ref;
	int rc = walk(&v, path, &ref);

	if (!rc)
		rc = object_get(&tx, ref.object, ret);
	store_read_end(&tx);
	assert_int_equal(rc, 0);
}

const char *fixture_events(struct fixture *f)
{
	struct tx tx;
	struct view v = begin_view(f, &tx);
	uint64_t size = tx_events_size(v.tx);
	struct buf out = {0};
	size_t n = 0;
	char *room = malloc(size + 1);

	assert_non_null(room);
	assert_int_equal(tx_events_read(&tx, 0, room, size, &n), 0);
	store_read_end(&tx);
	buf_add(&out, room, n);
	free(room);
	return keep_text(f, &out);
}

void fixture_expect(struct fixture *f, const char *path, const char *value)
{
	BUF_AUTO(now);

	read_into(f, path, core_read, &now);
	if (strcmp(now.data, value))
		fail_msg("%s: expected \"%s\", it is \"%s\"", path, value, now.data);
}

void fixture_expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("expected \"%s\" in \"%s\"", part, text);
}

/* Waits until something may have changed; backends change without telling, so not for long. */
static void wait_a_little(struct fixture *f)
{
	struct timespec end = until(10);
	uint64_t before;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	before = f->changes;
	while (f->changes == before && !rc)
		rc = pthread_cond_timedwait(&f->changed, &f->lock, &end);
	pthread_mutex_unlock(&f->lock);
}

void fixture_await(struct fixture *f, const char *path, const char *value)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;
	BUF_AUTO(now);

	for (read_into(f, path, core_read, &now); strcmp(now.data, value) && monotonic_ms() < end;
	     read_into(f, path, core_read, &now))
		wait_a_little(f);
	fixture_expect(f, path, value);
}

void fixture_await_gone(struct fixture *f, const char *path)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;

	while (fixture_exists(f, path) && monotonic_ms() < end)
		wait_a_little(f);
	assert_false(fixture_exists(f, path));
}

/* ---- playing the worker ---- */

struct wanted_work {
	uint64_t object;
	struct work work;
	bool found;
};

static int take_work(void *arg, const struct work *w)
{
	struct wanted_work *wanted = arg;

	if (wanted->object && w->object != wanted->object)
		return 0;
	wanted->work = *w;
	wanted->found = true;
	return 1;
}

bool fixture_work(struct fixture *f, const char *volume, const char *host, struct work *ret)
{
	struct wanted_work wanted = {0};
	char path[256];
	struct ref v, a;
	int n = snprintf(path, sizeof(path), "volumes/%s", volume);

	assert_int_equal(fixture_ref(f, path, &v), 0);
	wanted.object = v.object;
	if (host) {
		snprintf(path + n, sizeof(path) - (size_t)n, "/attachments/%s", host);
		assert_int_equal(fixture_ref(f, path, &a), 0);
		wanted.object = a.object;
	}
	assert_true(core_works(f->core, v.object, take_work, &wanted) >= 0);
	if (wanted.found)
		*ret = wanted.work;
	return wanted.found;
}

int fixture_settle(struct fixture *f, const struct work *work, int result, const char *why)
{
	struct backend_connection connection = {.driver_volume_type = "iscsi",
						.target_iqn = "iqn.2026-11.io.attachfs:test",
						.target_portal = "127.0.0.1:3260",
						.target_lun = 1,
						.chap = true};
	struct error err = {0};

	if (result)
		error_set(&err, -result, "%s", why);
	return core_settle(f->core, work, result, &connection,
			   result ? ACCESS_NONE : work->want.mode, &err);
}

void fixture_settle_all(struct fixture *f, const char *volume)
{
	struct wanted_work wanted = {0};
	int64_t end = monotonic_ms() + PATIENCE_MS;
	char path[128];
	struct ref v;

	snprintf(path, sizeof(path), "volumes/%s", volume);
	assert_int_equal(fixture_ref(f, path, &v), 0);
	while (core_works(f->core, v.object, take_work, &wanted) != 1 && monotonic_ms() < end)
		wait_a_little(f);
	assert_true(wanted.found);
	do {
		wanted.found = false;
		assert_int_equal(fixture_settle(f, &wanted.work, 0, NULL), 0);
	} while (core_works(f->core, v.object, take_work, &wanted) == 1);
}

/* ---- the memory driver ---- */

void fixture_faults(struct fixture *f, const char *rules)
{
	char room[128];

	write_file(path_in(f, room, "faults"), rules);
}

struct export_list {
	char lines[64][ISCSI_NAME_MAX + 8];
	size_t n;
};

static int add_export(void *arg, const char *volume_id, const struct backend_export *e)
{
	struct export_list *found = arg;

	(void)volume_id;
	if (found->n == ARRAY_SIZE(found->lines))
		return -ENOBUFS;
	snprintf(found->lines[found->n++], sizeof(found->lines[0]), "%s %s\n",
		 e->mode == ACCESS_RO ? "ro" : "rw", e->initiator);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

struct dock_worker *fixture_dock_worker(struct fixture *f)
{
	for (size_t i = 0; i < f->worker->docks.n; i++)
		if (!strcmp(f->worker->docks.items[i]->conf->name, "mem"))
			return f->worker->docks.items[i];
	fail_msg("there is no dock mem");
	return NULL;
}

static void read_exports(struct fixture *f, struct buf *out)
{
	struct dock_worker *d = fixture_dock_worker(f);
	struct export_list found = {.n = 0};
	struct backend *backend;
	struct error err = {0};

	pthread_mutex_lock(&d->lock);
	backend = d->backend;
	pthread_mutex_unlock(&d->lock);
	assert_non_null(backend);
	assert_int_equal(d->driver->list_exports(backend, NULL, add_export, &found, &err), 0);
	qsort(found.lines, found.n, sizeof(found.lines[0]), by_text);
	buf_reset(out);
	for (size_t i = 0; i < found.n; i++)
		buf_str(out, found.lines[i]);
	buf_str(out, "");
}

const char *fixture_exports(struct fixture *f)
{
	struct buf out = {0};

	read_exports(f, &out);
	return keep_text(f, &out);
}

void fixture_await_exports(struct fixture *f, const char *exports)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;
	BUF_AUTO(now);

	for (read_exports(f, &now); strcmp(now.data, exports) && monotonic_ms() < end;
	     read_exports(f, &now))
		wait_a_little(f);
	assert_string_equal(now.data, exports);
}

static int count_unsettled(void *arg, struct text json)
{
	*(unsigned *)arg += !strncmp(json.p, "{\"unsettled\":", 13);
	return 0;
}

unsigned fixture_unsettled(struct fixture *f)
{
	unsigned n = 0;

	assert_int_equal(core_dump(f->store, count_unsettled, &n), 0);
	return n;
}

void fixture_await_settled(struct fixture *f)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;

	while (fixture_unsettled(f) && monotonic_ms() < end)
		wait_a_little(f);
	assert_int_equal(fixture_unsettled(f), 0);
}

/* ---- notes ---- */

static int change_nothing(struct tx *tx, struct mutation *m)
{
	(void)tx, (void)m;
	return 0;
}

/* The notes of an answered call may still be on their way; the next commit comes after them. */
void fixture_forget_notes(struct fixture *f)
{
	struct mutation m = {.apply = change_nothing};

	assert_int_equal(store_run(f->store, &m), 0);
	pthread_mutex_lock(&f->lock);
	f->n_notes = 0;
	pthread_mutex_unlock(&f->lock);
}

static bool same_note(const struct note *a, const struct note *b)
{
	return a->type == b->type && a->ref.object == b->ref.object &&
	       (a->type == NOTE_ATTRS || a->ref.node == b->ref.node);
}

/* Notes come after the answer, so they are waited for. */
static bool has_note(struct fixture *f, const struct note *note)
{
	struct timespec end = until(500);
	bool found = false;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		for (size_t i = 0; i < f->n_notes && !found; i++)
			found = same_note(&f->notes[i], note);
		if (found || rc)
			break;
		rc = pthread_cond_timedwait(&f->changed, &f->lock, &end);
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

bool fixture_noted_attrs(struct fixture *f, uint64_t object)
{
	return has_note(f, &(struct note){.type = NOTE_ATTRS, .ref = SELF(object)});
}

bool fixture_noted_node(struct fixture *f, struct ref ref)
{
	return has_note(f, &(struct note){.type = NOTE_NODE, .ref = ref});
}

void fixture_attach(struct fixture *f, const char *dir, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/mode", dir);
	if (!fixture_exists(f, dir))
		assert_int_equal(fixture_mkdir(f, dir), 0);
	assert_int_equal(fixture_write(f, path, mode), 0);
}

int fixture_setup_attached(void **state)
{
	struct fixture *f;

	fixture_setup_worker(state);
	f = *state;
	fixture_host(f, "h");
	fixture_volume(f, "v", true, "many", "1G\n");
	fixture_attach(f, "volumes/v/attachments/h", "rw\n");
	return 0;
}
