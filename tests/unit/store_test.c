/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store: group commit, refusals that leave nothing, a full map, numbers, events, opening. */
#include "../lib/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A folder without a core; `store` is open in it. */
struct bench {
	struct fixture f;
	char path[96];
};

static int open_at(struct bench *b, uint64_t map_size, bool read_only, struct store **ret)
{
	struct error err = {0};
	int rc = store_open(b->path, map_size, read_only, ret, &err);

	assert_int_equal(rc, -err.code);
	if (rc)
		assert_true(strlen(err.text) > 0);
	return rc;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	*state = b;
	fixture_init(&b->f);
	snprintf(b->path, sizeof(b->path), "%s/state", b->f.dir);
	assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), 0);
	return 0;
}

static int teardown(void **state)
{
	fixture_teardown(state);
	return 0;
}

static void close_store(struct bench *b)
{
	store_close(b->f.store);
	b->f.store = NULL;
}

/* ---- mutations that put a key, and perhaps refuse ---- */

struct put {
	struct mutation m; /* first */
	char key[16];
	size_t size;
	int refuse;
	bool note, gate;
	pthread_mutex_t *lock;
	pthread_cond_t *wake;
	unsigned *done;
	bool *reached, *open;
	pthread_t finisher;
};

static int put_apply(struct tx *tx, struct mutation *m)
{
	struct put *p = (struct put *)m;
	char *value = calloc(1, p->size + 1);
	int rc;

	assert_non_null(value);
	rc = tx_put(tx, TABLE_OBJECTS, text_of(p->key), (struct text){value, p->size});
	free(value);
	if (p->gate) {
		pthread_mutex_lock(p->lock);
		*p->reached = true;
		pthread_cond_broadcast(p->wake);
		while (!*p->open)
			pthread_cond_wait(p->wake, p->lock);
		pthread_mutex_unlock(p->lock);
	}
	return rc ? rc : p->refuse;
}

static void put_refused(struct tx *tx, struct mutation *m)
{
	struct put *p = (struct put *)m;

	if (p->note)
		tx_put(tx, TABLE_HOSTS, text_of(p->key), TEXT("refused"));
}

static void put_done(struct mutation *m)
{
	struct put *p = (struct put *)m;

	pthread_mutex_lock(p->lock);
	p->finisher = pthread_self();
	++*p->done;
	pthread_cond_broadcast(p->wake);
	pthread_mutex_unlock(p->lock);
}

static int run_put(struct bench *b, const char *key, size_t size, int refuse)
{
	struct put p = {.m = {.apply = put_apply, .refused = put_refused}, .size = size,
			.refuse = refuse, .note = true};

	text_copy(p.key, sizeof(p.key), text_of(key));
	return store_run(b->f.store, &p.m);
}

static bool has(struct bench *b, enum store_table table, const char *key)
{
	struct text value;
	struct tx tx;
	int rc;

	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	rc = tx_get(&tx, table, text_of(key), &value);
	store_read_end(&tx);
	assert_true(rc == 0 || rc == -ENOENT);
	return !rc;
}

#define BATCH 100

static void await(struct put *p, const bool *flag)
{
	pthread_mutex_lock(p->lock);
	while (!*flag)
		pthread_cond_wait(p->wake, p->lock);
	pthread_mutex_unlock(p->lock);
}

/* The first one holds the writer thread until all the others have come: so they are one batch, and
 * none of those who submit them waits. */
static void run_batch(struct bench *b, struct put *puts, uint64_t *ret_commits)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
	struct store_usage before, after;
	unsigned done = 0;
	bool reached = false, open = false;

	store_usage(b->f.store, &before);
	for (unsigned i = 0; i < BATCH; i++) {
		puts[i].m = (struct mutation){
			.apply = put_apply, .refused = put_refused, .done = put_done};
		snprintf(puts[i].key, sizeof(puts[i].key), "batch%u", i);
		puts[i].gate = !i;
		puts[i].lock = &lock;
		puts[i].wake = &wake;
		puts[i].done = &done;
		puts[i].reached = &reached;
		puts[i].open = &open;
		if (i) {
			store_submit(b->f.store, &puts[i].m);
			continue;
		}
		store_queue(b->f.store, &puts[i].m);
		await(&puts[i], &reached);
	}
	assert_int_equal(done, 0);
	pthread_mutex_lock(&lock);
	open = true;
	pthread_cond_broadcast(&wake);
	while (done < BATCH)
		pthread_cond_wait(&wake, &lock);
	pthread_mutex_unlock(&lock);
	store_usage(b->f.store, &after);
	assert_int_equal(after.mutations - before.mutations, BATCH);
	*ret_commits = after.commits - before.commits;
}

static void test_group_commit(void **state)
{
	struct bench *b = *state;
	struct put puts[BATCH] = {0};
	uint64_t commits;

	run_batch(b, puts, &commits);
	assert_true(commits <= 2);
	for (unsigned i = 0; i < BATCH; i++) {
		assert_int_equal(puts[i].m.result, 0);
		assert_true(has(b, TABLE_OBJECTS, puts[i].key));
	}
}

static void await_done(struct put *p, unsigned n)
{
	pthread_mutex_lock(p->lock);
	while (*p->done < n)
		pthread_cond_wait(p->wake, p->lock);
	pthread_mutex_unlock(p->lock);
}

/* Who comes alone writes himself, unless he cannot wait. */
static void test_alone(void **state)
{
	struct bench *b = *state;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
	unsigned done = 0;
	struct put submitted = {.m = {.apply = put_apply, .done = put_done},
				.key = "submitted",
				.lock = &lock,
				.wake = &wake,
				.done = &done},
		   queued = submitted;

	text_copy(queued.key, sizeof(queued.key), TEXT("queued"));
	store_submit(b->f.store, &submitted.m);
	await_done(&submitted, 1);
	store_queue(b->f.store, &queued.m);
	await_done(&queued, 2);
	assert_true(pthread_equal(submitted.finisher, pthread_self()));
	assert_false(pthread_equal(queued.finisher, pthread_self()));
	assert_true(has(b, TABLE_OBJECTS, "submitted"));
	assert_true(has(b, TABLE_OBJECTS, "queued"));
}

static void test_refusal_leaves_nothing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(run_put(b, "good", 4, 0), 0);
	assert_int_equal(run_put(b, "bad", 4, -EBUSY), -EBUSY);
	assert_true(has(b, TABLE_OBJECTS, "good"));
	assert_false(has(b, TABLE_OBJECTS, "bad"));
	assert_true(has(b, TABLE_HOSTS, "bad"));
	assert_false(has(b, TABLE_HOSTS, "good"));
}

static void test_refusal_in_a_batch(void **state)
{
	struct bench *b = *state;
	struct put puts[BATCH] = {0};
	uint64_t commits;

	for (unsigned i = 0; i < BATCH; i += 3) {
		puts[i].refuse = -EPERM;
		puts[i].note = i % 2;
	}
	run_batch(b, puts, &commits);
	for (unsigned i = 0; i < BATCH; i++) {
		assert_int_equal(puts[i].m.result, i % 3 ? 0 : -EPERM);
		assert_int_equal(has(b, TABLE_OBJECTS, puts[i].key), i % 3 != 0);
		assert_int_equal(has(b, TABLE_HOSTS, puts[i].key), i % 3 == 0 && i % 2);
	}
}

/* Alone and in the midst of a batch: no room for one is no harm to the others. */
static void test_full_map(void **state)
{
	struct bench *b = *state;
	struct put puts[BATCH] = {0};
	uint64_t commits;

	assert_int_equal(run_put(b, "huge", 20 << 20, 0), -ENOSPC);
	assert_int_equal(run_put(b, "small", 10, 0), 0);
	puts[50].size = 20 << 20;
	run_batch(b, puts, &commits);
	for (unsigned i = 0; i < BATCH; i++)
		assert_int_equal(puts[i].m.result, i == 50 ? -ENOSPC : 0);
	assert_true(has(b, TABLE_OBJECTS, "batch99"));
	assert_false(has(b, TABLE_OBJECTS, "batch50"));
}

static int delete_apply(struct tx *tx, struct mutation *m)
{
	struct put *p = (struct put *)m;

	m->vital = true;
	return tx_delete(tx, TABLE_OBJECTS, text_of(p->key));
}

/* Filled to the brim, emptied a little, and in service again. */
static void test_room_comes_back(void **state)
{
	struct bench *b = *state;
	struct put p = {.m = {.apply = delete_apply}};
	char key[16];
	unsigned n = 0;
	int rc;

	do {
		snprintf(key, sizeof(key), "fill%u", n++);
		rc = run_put(b, key, 1 << 20, 0);
	} while (!rc && n < 64);
	assert_int_equal(rc, -ENOSPC);
	for (unsigned i = 0; i < 6; i++) {
		snprintf(p.key, sizeof(p.key), "fill%u", i);
		assert_int_equal(store_run(b->f.store, &p.m), 0);
	}
	assert_int_equal(run_put(b, "again1", 1 << 20, 0), 0);
	assert_int_equal(run_put(b, "again2", 1 << 20, 0), 0);
}

/* ---- numbers ---- */

struct numbers {
	struct mutation m;
	uint64_t n;
	int refuse;
};

static int number_apply(struct tx *tx, struct mutation *m)
{
	struct numbers *n = (struct numbers *)m;
	int rc = tx_new_number(tx, &n->n);

	return rc ? rc : n->refuse;
}

static void test_numbers_are_never_repeated(void **state)
{
	struct bench *b = *state;
	uint64_t last = FIRST_OBJECT - 1;

	for (unsigned i = 0; i < 60; i++) {
		struct numbers n = {.m = {.apply = number_apply}, .refuse = i % 4 ? 0 : -EIO};

		assert_int_equal(store_run(b->f.store, &n.m), n.refuse);
		if (n.refuse)
			continue;
		assert_true(n.n > last);
		last = n.n;
		if (i % 20 == 10) {
			close_store(b);
			assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), 0);
		}
	}
}

/* ---- keys and scans ---- */

static int collect_key(void *arg, struct text key, struct text value)
{
	(void)value;
	buf_text(arg, key);
	buf_str(arg, " ");
	return 0;
}

static void test_scan(void **state)
{
	static const char *const keys[] = {"b2", "a", "b", "b10", "c", "b1"};
	static const struct {
		const char *prefix, *from, *expect;
	} scans[] = {
		{"", "", "a b b1 b10 b2 c "}, {"b", "", "b b1 b10 b2 "}, {"b1", "", "b1 b10 "},
		{"b", "b10", "b10 b2 "},      {"b", "b11", "b2 "},	 {"x", "", ""},
		{"b", "c", ""},		      {"", "b3", "c "},
	};
	struct bench *b = *state;
	struct tx tx;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(run_put(b, keys[i], 1, 0), 0);
	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	for (size_t i = 0; i < ARRAY_SIZE(scans); i++) {
		BUF_AUTO(seen);

		buf_str(&seen, "");
		assert_int_equal(tx_scan(&tx, TABLE_OBJECTS, text_of(scans[i].prefix),
					 text_of(scans[i].from), collect_key, &seen),
				 0);
		assert_string_equal(seen.data, scans[i].expect);
	}
	store_read_end(&tx);
}

/* A reader sees one moment, whatever is committed meanwhile. */
static void test_readers_see_one_moment(void **state)
{
	struct bench *b = *state;
	struct text value;
	struct tx tx;

	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	assert_int_equal(run_put(b, "late", 1, 0), 0);
	assert_int_equal(tx_get(&tx, TABLE_OBJECTS, TEXT("late"), &value), -ENOENT);
	store_read_end(&tx);
	assert_true(has(b, TABLE_OBJECTS, "late"));
}

/* ---- events ---- */

struct lines {
	struct mutation m;
	unsigned first, n;
	size_t length; /* 0: lengths vary */
};

static int lines_apply(struct tx *tx, struct mutation *m)
{
	struct lines *l = (struct lines *)m;
	char line[EVENT_BYTES_MAX];
	int rc = 0;

	for (unsigned i = l->first; i < l->first + l->n && !rc; i++) {
		size_t n = l->length ? l->length : 1 + i * 37 % 300;

		memset(line, 'a' + (int)(i % 26), n);
		line[n - 1] = '\n';
		rc = tx_event_add(tx, (struct text){line, n});
	}
	return rc;
}

static void add_lines(struct bench *b, unsigned first, unsigned n, size_t length)
{
	struct lines l = {.m = {.apply = lines_apply}, .first = first, .n = n, .length = length};

	assert_int_equal(store_run(b->f.store, &l.m), 0);
}

static void test_events_are_one_stream(void **state)
{
	struct bench *b = *state;
	BUF_AUTO(expect);
	struct tx tx;
	char part[512];
	size_t n;

	for (unsigned i = 0; i < 200; i++) {
		size_t length = 1 + i * 37 % 300;

		for (size_t k = 0; k + 1 < length; k++)
			buf_add(&expect, &(char){(char)('a' + i % 26)}, 1);
		buf_str(&expect, "\n");
	}
	add_lines(b, 0, 80, 0);
	add_lines(b, 80, 120, 0);
	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	assert_int_equal(tx_events_size(&tx), expect.len);
	for (size_t at = 0; at <= expect.len + 3; at += 1 + at % 7)
		for (size_t size = 0; size <= sizeof(part); size += 1 + 3 * size) {
			size_t left = at < expect.len ? expect.len - at : 0;

			n = 9999;
			assert_int_equal(tx_events_read(&tx, at, part, size, &n), 0);
			assert_int_equal(n, left < size ? left : size);
			assert_memory_equal(part, expect.data + (left ? at : 0), n);
		}
	store_read_end(&tx);
}

static void test_events_are_trimmed(void **state)
{
	const unsigned lines = EVENTS_BYTES_MAX / EVENT_BYTES_MAX;
	struct bench *b = *state;
	char begin[8];
	struct tx tx;
	size_t n;

	close_store(b);
	snprintf(b->path, sizeof(b->path), "%s/large", b->f.dir);
	assert_int_equal(open_at(b, 1 << 30, false, &b->f.store), 0);
	for (unsigned i = 0; i < lines + 1; i += 2048)
		add_lines(b, i, i + 2048 < lines + 1 ? 2048 : lines + 1 - i, EVENT_BYTES_MAX);
	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	assert_int_equal(tx_events_size(&tx), (uint64_t)(lines + 1) * EVENT_BYTES_MAX);
	store_read_end(&tx);
	add_lines(b, lines + 1, 1, EVENT_BYTES_MAX);
	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	assert_int_equal(tx_events_size(&tx),
			 (uint64_t)EVENTS_BYTES_MAX / 2 + EVENT_BYTES_MAX);
	/* What is left begins with a whole line, and ends with the newest. */
	assert_int_equal(tx_events_read(&tx, 0, begin, sizeof(begin), &n), 0);
	assert_int_equal(n, sizeof(begin));
	assert_int_equal(begin[0], 'a' + (int)((lines / 2 + 1) % 26));
	assert_int_equal(tx_events_read(&tx, tx_events_size(&tx) - 2, begin, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(begin[0], 'a' + (int)((lines + 1) % 26));
	store_read_end(&tx);
}

/* ---- opening ---- */

/* The log alone never fills the state. */
static void test_events_leave_room(void **state)
{
	struct bench *b = *state;
	struct store_usage usage;
	struct tx tx;

	store_usage(b->f.store, &usage);
	for (uint64_t n = 0; n < 3 * usage.map_bytes; n += 1000 * 300)
		add_lines(b, 0, 1000, 300);
	assert_int_equal(store_read_begin(b->f.store, &tx), 0);
	assert_in_range(tx_events_size(&tx), usage.map_bytes / EVENTS_PART / 2,
			usage.map_bytes / EVENTS_PART + 300);
	store_read_end(&tx);
	assert_int_equal(run_put(b, "large", usage.map_bytes / 4, 0), 0);
}

static void test_second_open_is_refused(void **state)
{
	struct bench *b = *state;
	struct store *second;

	assert_int_equal(open_at(b, 16 << 20, false, &second), -EBUSY);
	assert_int_equal(run_put(b, "still", 1, 0), 0);
	close_store(b);
	assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), 0);
	assert_true(has(b, TABLE_OBJECTS, "still"));
}

static void test_loose_folder_is_refused(void **state)
{
	static const mode_t loose[] = {0755, 0750, 0701, 0720};
	struct bench *b = *state;
	struct stat st;

	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close_store(b);
	for (size_t i = 0; i < ARRAY_SIZE(loose); i++) {
		assert_int_equal(chmod(b->path, loose[i]), 0);
		assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), -EPERM);
		assert_int_equal(open_at(b, 16 << 20, true, &b->f.store), -EPERM);
	}
	assert_int_equal(chmod(b->path, 0700), 0);
	assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), 0);
}

static void data_file(struct bench *b, char path[128])
{
	snprintf(path, 128, "%s/data.mdb", b->path);
}

static char *read_whole(struct bench *b, size_t *ret)
{
	char path[128], *bytes;
	struct stat st;
	int fd;

	data_file(b, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret = (size_t)st.st_size;
	return bytes;
}

static void expect_refused_untouched(struct bench *b)
{
	size_t before_size, after_size;
	char *before = read_whole(b, &before_size), *after;

	assert_int_equal(open_at(b, 16 << 20, false, &b->f.store), -EINVAL);
	assert_int_equal(open_at(b, 16 << 20, true, &b->f.store), -EINVAL);
	after = read_whole(b, &after_size);
	assert_int_equal(before_size, after_size);
	assert_memory_equal(before, after, before_size);
	free(before);
	free(after);
}

/* An environment of somebody else in the state folder: one entry in this table, or in none. */
static void make_foreign(struct bench *b, const char *table, const char *name, const char *data)
{
	MDB_val key = {strlen(name), (char *)name}, value = {strlen(data), (char *)data};
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	close_store(b);
	snprintf(b->path, sizeof(b->path), "%s/foreign", b->f.dir);
	assert_int_equal(mkdir(b->path, 0700), 0);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	assert_int_equal(mdb_env_open(env, b->path, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, table, table ? MDB_CREATE : 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void test_foreign_state_is_refused(void **state)
{
	make_foreign(*state, NULL, "somebody", "else");
	expect_refused_untouched(*state);
}

static void test_foreign_tables_are_refused(void **state)
{
	make_foreign(*state, "meta", "format", "attachfs 1");
	expect_refused_untouched(*state);
}

static int newer_apply(struct tx *tx, struct mutation *m)
{
	(void)m;
	return tx_put(tx, TABLE_META, TEXT("format"), TEXT("attachfs 3"));
}

static void test_newer_format_is_refused(void **state)
{
	struct mutation m = {.apply = newer_apply};
	struct bench *b = *state;

	assert_int_equal(store_run(b->f.store, &m), 0);
	close_store(b);
	expect_refused_untouched(b);
}

static void test_damaged_state_is_refused(void **state)
{
	struct bench *b = *state;
	char path[128];
	int fd;

	close_store(b);
	data_file(b, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 2048; i++)
		assert_int_equal(write(fd, "garbage!", 8), 8);
	close(fd);
	expect_refused_untouched(b);
}

/* LMDB is opened once in a process, so another one looks: this program again. */
static int look(const char *path)
{
	struct error err = {0};
	struct store *store;
	struct text value;
	struct tx tx;
	int rc = store_open(path, 16 << 20, true, &store, &err);

	if (rc)
		return 10;
	rc = store_read_begin(store, &tx);
	if (!rc) {
		rc = tx_get(&tx, TABLE_OBJECTS, TEXT("seen"), &value);
		store_read_end(&tx);
	}
	store_close(store);
	return rc ? 11 : 42;
}

static void test_looking_beside_a_writer(void **state)
{
	struct bench *b = *state;
	char name[] = "store_test";
	char *argv[] = {name, b->path, NULL};
	int status;
	pid_t pid;

	assert_int_equal(run_put(b, "seen", 1, 0), 0);
	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(run_put(b, "after", 1, 0), 0);
	close_store(b);
	assert_int_equal(open_at(b, 16 << 20, true, &b->f.store), 0);
	assert_true(has(b, TABLE_OBJECTS, "after"));
}

/* What a spawned target must not inherit. */
static void test_files_are_close_on_exec(void **state)
{
	char link[64], target[256];

	(void)state;
	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strstr(target, "/state/"))
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
}

#define STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		STORE(test_group_commit),
		STORE(test_alone),
		STORE(test_refusal_leaves_nothing),
		STORE(test_refusal_in_a_batch),
		STORE(test_full_map),
		STORE(test_room_comes_back),
		STORE(test_numbers_are_never_repeated),
		STORE(test_scan),
		STORE(test_readers_see_one_moment),
		STORE(test_events_are_one_stream),
		STORE(test_events_are_trimmed),
		STORE(test_events_leave_room),
		STORE(test_second_open_is_refused),
		STORE(test_loose_folder_is_refused),
		STORE(test_foreign_state_is_refused),
		STORE(test_foreign_tables_are_refused),
		STORE(test_newer_format_is_refused),
		STORE(test_damaged_state_is_refused),
		STORE(test_looking_beside_a_writer),
		STORE(test_files_are_close_on_exec),
	};

	if (argc == 2)
		return look(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
