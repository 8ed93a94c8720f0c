/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads at once: one winner, nobody disturbed, nothing lost; also run under TSan. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 16
#define ROUNDS	200

/* What the threads of one test share. */
struct race {
	struct fixture *f;
	pthread_barrier_t barrier;
	atomic_uint results[4096]; /* how often each -errno came */
	atomic_bool over;
	atomic_int reader_error;
	atomic_uint walks;
};

struct runner {
	struct race *race;
	unsigned number;
	pthread_t thread;
};

static void count(struct race *r, int result)
{
	atomic_fetch_add(&r->results[result <= 0 && -result < 4096 ? -result : 4095], 1);
}

static void start(struct race *r, struct runner *runners, unsigned n, void *(*main_)(void *arg))
{
	for (unsigned i = 0; i < n; i++) {
		runners[i].race = r;
		runners[i].number = i;
		assert_int_equal(pthread_create(&runners[i].thread, NULL, main_, &runners[i]), 0);
	}
}

static void join(struct runner *runners, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(pthread_join(runners[i].thread, NULL), 0);
}

static void run(struct race *r, void *(*main_)(void *arg))
{
	struct runner runners[THREADS];

	start(r, runners, THREADS, main_);
	join(runners, THREADS);
}

static void expect_results(struct race *r, int result, unsigned n)
{
	if (r->results[-result] != n)
		fail_msg("expected %u times errno %d, it came %u times", n, -result,
			 r->results[-result]);
}

/* ---- one volume, one attachment ---- */

static void *reserve_main(void *arg)
{
	struct runner *me = arg;
	struct race *r = me->race;
	char path[64];

	snprintf(path, sizeof(path), "volumes/v/attachments/h%u", me->number);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int result;

		pthread_barrier_wait(&r->barrier);
		result = fixture_mkdir(r->f, path);
		count(r, result);
		pthread_barrier_wait(&r->barrier);
		if (!result)
			count(r, fixture_rmdir(r->f, path) ? -EPROTO : -EALREADY);
	}
	return NULL;
}

static void test_one_reserves(void **state)
{
	struct race r = {.f = *state};

	fixture_volume(r.f, "v", false, "many", "1G\n");
	pthread_barrier_init(&r.barrier, NULL, THREADS);
	run(&r, reserve_main);
	pthread_barrier_destroy(&r.barrier);
	expect_results(&r, 0, ROUNDS);
	expect_results(&r, -EALREADY, ROUNDS);
	expect_results(&r, -EBUSY, ROUNDS * (THREADS - 1));
	fixture_expect(r.f, "volumes/v/status", "available\n");
	assert_string_equal(fixture_list(r.f, "attachments"), "");
}

/* ---- one volume, many attachments, and readers that see whole states only ---- */

#define ATTACH_ROUNDS 6

static void *attach_main(void *arg)
{
	struct runner *me = arg;
	struct race *r = me->race;
	char dir[64], mode[80];

	snprintf(dir, sizeof(dir), "volumes/v/attachments/h%u", me->number);
	snprintf(mode, sizeof(mode), "%s/mode", dir);
	for (unsigned i = 0; i < ATTACH_ROUNDS; i++) {
		count(r, fixture_mkdir(r->f, dir));
		count(r, fixture_write(r->f, mode, (me->number + i) % 2 ? "ro\n" : "rw\n"));
		count(r, fixture_rmdir(r->f, dir));
	}
	return NULL;
}

struct walk {
	struct view *view;
	struct race *race;
	unsigned depth;
};

static int visit(void *arg, const char *name, struct ref ref, uint64_t cookie);

static int visit_directory(struct walk *w, struct ref ref)
{
	int rc = 0;

	w->depth++;
	if (w->depth < 12)
		rc = core_list(w->view, ref, 0, visit, w);
	w->depth--;
	return rc;
}

static int visit(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	struct walk *w = arg;
	struct node_stat st;
	int rc = core_stat(w->view, ref, &st);
	BUF_AUTO(value);

	(void)name, (void)cookie;
	if (!rc && st.type == NODE_IS_DIR)
		rc = visit_directory(w, ref);
	else if (!rc && st.type == NODE_IS_FILE)
		rc = core_read(w->view, ref, &value);
	else if (!rc)
		rc = core_readlink(w->view, ref, &value);
	if (!rc && st.type == NODE_IS_LINK && value.len != st.size)
		rc = -EPROTO;
	return rc;
}

static void *reader_main(void *arg)
{
	struct race *r = ((struct runner *)arg)->race;

	while (!atomic_load(&r->over)) {
		struct tx tx;
		struct view view = {.core = r->f->core, .tx = &tx};
		struct walk w = {&view, r, 0};
		int rc = store_read_begin(r->f->store, &tx);

		if (!rc) {
			rc = visit_directory(&w, SELF(ROOT_OBJECT));
			store_read_end(&tx);
		}
		if (rc)
			atomic_store(&r->reader_error, rc);
		atomic_fetch_add(&r->walks, 1);
	}
	return NULL;
}

static void make_hosts(struct fixture *f)
{
	for (unsigned i = 0; i < THREADS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "h%u", i);
		fixture_host(f, name);
	}
}

static void test_all_attach(void **state)
{
	struct race r = {.f = *state};
	struct runner readers[3];

	make_hosts(r.f);
	fixture_volume(r.f, "v", true, "many", "1G\n");
	start(&r, readers, ARRAY_SIZE(readers), reader_main);
	run(&r, attach_main);
	atomic_store(&r.over, true);
	join(readers, ARRAY_SIZE(readers));
	assert_int_equal(r.reader_error, 0);
	assert_true(r.walks > 0);
	expect_results(&r, 0, THREADS * ATTACH_ROUNDS * 3);
	fixture_expect(r.f, "volumes/v/status", "available\n");
	assert_string_equal(fixture_list(r.f, "volumes/v/attachments"), "");
	assert_string_equal(fixture_list(r.f, "attachments"), "");
	assert_string_equal(fixture_list(r.f, "hosts/h7/attachments"), "");
	assert_string_equal(fixture_exports(r.f), "");
	assert_int_equal(fixture_unsettled(r.f), 0);
}

/* ---- max_writers holds, whatever races ---- */

static void *writer_main(void *arg)
{
	struct runner *me = arg;
	char dir[64], mode[80];

	snprintf(dir, sizeof(dir), "volumes/v/attachments/h%u", me->number);
	snprintf(mode, sizeof(mode), "%s/mode", dir);
	fixture_mkdir(me->race->f, dir);
	pthread_barrier_wait(&me->race->barrier);
	count(me->race, fixture_write(me->race->f, mode, "rw\n"));
	return NULL;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void test_max_writers(void **state)
{
	struct race r = {.f = *state};

	make_hosts(r.f);
	fixture_volume(r.f, "v", true, "many", "1G\n");
	assert_int_equal(fixture_write(r.f, "volumes/v/max_writers", "3\n"), 0);
	pthread_barrier_init(&r.barrier, NULL, THREADS);
	run(&r, writer_main);
	pthread_barrier_destroy(&r.barrier);
	expect_results(&r, 0, 3);
	expect_results(&r, -EBUSY, THREADS - 3);
	assert_int_equal(count_lines(fixture_exports(r.f)), 3);
}

/* ---- answers: once each, whether settled or interrupted ---- */

static void *interrupt_main(void *arg)
{
	struct runner *me = arg;
	struct race *r = me->race;
	char dir[64], mode[80];

	snprintf(dir, sizeof(dir), "volumes/v/attachments/h%u", me->number);
	snprintf(mode, sizeof(mode), "%s/mode", dir);
	for (unsigned i = 0; i < ATTACH_ROUNDS; i++) {
		struct call *call;

		count(r, fixture_mkdir(r->f, dir));
		call = fixture_begin_write(r->f, mode, "rw\n");
		core_interrupt(r->f->core, call->intent.ticket);
		count(r, fixture_wait(call, PATIENCE_MS));
		count(r, fixture_rmdir(r->f, dir));
	}
	return NULL;
}

static void test_interrupts(void **state)
{
	struct race r = {.f = *state};

	make_hosts(r.f);
	fixture_volume(r.f, "v", true, "many", "1G\n");
	run(&r, interrupt_main);
	assert_int_equal(r.results[0] + r.results[EINTR], THREADS * ATTACH_ROUNDS * 3);
	assert_string_equal(fixture_list(r.f, "attachments"), "");
	for (struct call *call = r.f->calls; call; call = call->next)
		assert_int_equal(call->answers, 1);
}

/* ---- what pools have promised is what their volumes have ---- */

static const char *const sizes[] = {"1G\n", "2G\n", "3G\n", "2T\n", "5M\n", "bad\n"};

static void *volume_main(void *arg)
{
	struct runner *me = arg;
	struct fixture *f = me->race->f;
	unsigned seed = me->number + 1;
	char dir[32], size[48];

	for (unsigned i = 0; i < 24; i++) {
		snprintf(dir, sizeof(dir), "volumes/v%u-%u", me->number, rand_r(&seed) % 3);
		snprintf(size, sizeof(size), "%s/size", dir);
		if (!fixture_exists(f, dir))
			fixture_mkdir(f, dir);
		else if (rand_r(&seed) % 4 == 0)
			fixture_rmdir(f, dir);
		else
			fixture_write(f, size, sizes[rand_r(&seed) % ARRAY_SIZE(sizes)]);
		if (!me->number && rand_r(&seed) % 3 == 0)
			fixture_faults(f, rand_r(&seed) % 2 ? "provision fail EIO once\n"
							    : "extend fail ENOSPC once\n");
	}
	return NULL;
}

struct sum {
	struct fixture *f;
	struct tx *tx;
	uint64_t bytes;
};

static int add_size(void *arg, uint64_t number, struct text name)
{
	struct sum *sum = arg;
	union any volume;
	int rc = object_get_kind(sum->tx, number, KIND_VOLUME, &volume);

	(void)name;
	if (!rc)
		sum->bytes += volume.volume.size_bytes;
	return rc;
}

static void check_sum(struct fixture *f, const char *pool)
{
	struct sum sum = {.f = f};
	struct tx tx;
	union any object;

	fixture_object(f, pool, &object);
	assert_int_equal(store_read_begin(f->store, &tx), 0);
	sum.tx = &tx;
	assert_int_equal(object_children(&tx, (struct ref){object.o.number, POOL_VOLUMES}, 0,
					 add_size, &sum),
			 0);
	store_read_end(&tx);
	assert_int_equal(object.pool.provisioned, sum.bytes);
}

static void test_provisioned_is_the_sum(void **state)
{
	struct race r = {.f = *state};

	run(&r, volume_main);
	fixture_faults(r.f, "");
	fixture_await_settled(r.f);
	check_sum(r.f, "docks/mem/pools/many");
	check_sum(r.f, "docks/mem/pools/one");
}

/* ---- the end ---- */

/* Changes are still being committed, and kick, while the worker goes. */
static void test_worker_ends_amid_changes(void **state)
{
	struct fixture *f = *state;
	struct call *calls[100], *last = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		char path[32];
		int n = snprintf(path, sizeof(path), "volumes/v%u", i);

		assert_int_equal(fixture_mkdir(f, path), 0);
		snprintf(path + n, sizeof(path) - (size_t)n, "/size");
		last = calls[i] = fixture_prepare_write(f, path, "1G\n");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
		core_submit(f->core, &calls[i]->intent);
	core_stop_waiting(f->core);
	worker_close(f->worker);
	f->worker = NULL;
	assert_int_not_equal(fixture_wait(last, PATIENCE_MS), UNANSWERED);
	store_stop(f->store);
	for (struct call *call = f->calls; call; call = call->next)
		assert_int_equal(call->answers, 1);
}

#define ALONE(test)	  cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define WITH_WORKER(test) \
	cmocka_unit_test_setup_teardown(test, fixture_setup_worker, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(test_one_reserves),
		WITH_WORKER(test_all_attach),
		WITH_WORKER(test_max_writers),
		WITH_WORKER(test_interrupts),
		WITH_WORKER(test_provisioned_is_the_sum),
		WITH_WORKER(test_worker_ends_amid_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
