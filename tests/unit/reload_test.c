/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration read again: what is the same goes on, what is not is replaced; also under TSan. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/worker/worker.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	return 0;
}

static void load(struct fixture *f, struct conf **ret)
{
	struct error err = {0};

	if (conf_load(f->conf->file, NULL, NULL, ret, &err))
		fail_msg("%s", err.text);
}

static void reload(struct fixture *f)
{
	struct error err = {0};
	struct conf *conf;

	load(f, &conf);
	if (worker_apply(f->worker, conf, &err))
		fail_msg("%s", err.text);
	conf_unload(conf);
}

static void remove_dock(struct fixture *f, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/docks.d/%s.yaml", f->dir, name);
	assert_int_equal(unlink(path), 0);
}

/* ---- which backends are the same ---- */

#define SAME(text) {text, true}
#define OTHER(text) {text, false}

/* Against the file "p: {totalCapacity: 10, extras: {a: 1}}", with a control file as in it. */
static void test_same_backend(void **state)
{
	static const struct {
		const char *pools;
		bool same;
	} cases[] = {
		SAME("  p: {totalCapacity: 10, extras: {a: 1}}\n"),
		SAME("  p: # a comment, and another order\n    extras: {a: 1}\n"
		     "    totalCapacity: 10\n"),
		SAME("  p: {totalCapacity: 10, extras: {a: 2, b: [x, y]}}\n"),
		SAME("  p: {totalCapacity: 10, multiAttach: true, availabilityZone: z}\n"),
		SAME("  p: {totalCapacity: 10, reservedPercentage: 7, storageType: file}\n"),
		SAME("  p: {totalCapacity: 10, maxOverSubscriptionRatio: 3}\nmultiAttach: true\n"
		     "description: other\nendpoint: there\nnodeId: n\ntype: t\n"),
		OTHER("  p: {totalCapacity: 11, extras: {a: 1}}\n"),
		OTHER("  q: {totalCapacity: 10, extras: {a: 1}}\n"),
		OTHER("  p: {totalCapacity: 10, path: /tmp}\n"),
		OTHER("  p: {totalCapacity: 10}\n  q: {totalCapacity: 10}\n"),
		OTHER("  p: {totalCapacity: 10, extras: {dataStorage: {provisioningPolicy: Thick}}}\n"),
		OTHER("  p: {totalCapacity: 10}\ntgtBindIp: 192.0.2.1\n"),
		OTHER(""),
	};
	struct fixture *f = *state;
	struct conf *before, *after;

	fixture_dock(f, "mem", cases[0].pools);
	fixture_start(f, false);
	load(f, &before);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fixture_dock(f, "mem", cases[i].pools);
		load(f, &after);
		if (dock_conf_same_backend(&before->docks[0], &after->docks[0]) != cases[i].same)
			fail_msg("%s is %s", cases[i].pools, cases[i].same ? "another" : "the same");
		conf_unload(after);
	}
	conf_unload(before);
}

static void test_held(void **state)
{
	struct fixture *f = *state;
	struct conf *conf, *again;

	fixture_default_dock(f);
	fixture_start(f, false);
	load(f, &conf);
	again = conf_hold(conf);
	assert_ptr_equal(conf, again);
	conf_unload(conf);
	assert_string_equal(again->docks[0].name, "mem");
	conf_unload(again);
}

/* ---- what becomes of docks ---- */

static void test_goes_on(void **state)
{
	struct fixture *f = *state;
	struct dock_worker *before;

	fixture_dock(f, "mem", "  p: {totalCapacity: 10}\n");
	fixture_start(f, true);
	fixture_await(f, "docks/mem/status", "available\n");
	before = fixture_dock_worker(f);
	fixture_dock(f, "mem", "  p: {totalCapacity: 10, multiAttach: true}\n");
	reload(f);
	assert_ptr_equal(fixture_dock_worker(f), before);
	fixture_expect(f, "docks/mem/status", "available\n");
	fixture_expect(f, "docks/mem/pools/p/multiattach", "true\n");
	fixture_dock(f, "mem", "  p: {totalCapacity: 20, multiAttach: true}\n");
	reload(f);
	assert_ptr_not_equal(fixture_dock_worker(f), before);
	fixture_expect(f, "docks/mem/status", "available\n"); /* as it was; it is being opened */
	fixture_expect(f, "docks/mem/pools/p/total_capacity", "21474836480\n");
}

/* What waits for a backend that is slow is done by the one that takes over. */
static void test_work_is_passed_on(void **state)
{
	struct fixture *f = *state;
	struct call *call, *other;

	fixture_default_dock(f);
	fixture_start(f, true);
	worker_wait_ready(f->worker, PATIENCE_MS);
	fixture_faults(f, "provision fail EAGAIN\n");
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	call = fixture_begin_write(f, "volumes/v/size", "1G");
	fixture_await(f, "volumes/v/status", "creating\n");
	other = fixture_begin_write(f, "volumes/w/size", "1G");
	fixture_await(f, "volumes/w/status", "creating\n");
	fixture_faults(f, "");
	fixture_dock(f, "mem", "  many: {totalCapacity: 50, multiAttach: true}\n"
			       "  one: {totalCapacity: 50}\n");
	reload(f);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(other, PATIENCE_MS), 0);
}

static void test_vanishes(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  p: {totalCapacity: 10}\n  q: {totalCapacity: 10}\n");
	fixture_dock(f, "other", "  p: {totalCapacity: 10}\n");
	fixture_start(f, true);
	worker_wait_ready(f->worker, PATIENCE_MS);
	fixture_volume(f, "v", false, "mem:p", "1G");
	remove_dock(f, "mem");
	remove_dock(f, "other");
	reload(f);
	assert_string_equal(fixture_list(f, "docks"), "mem ");
	assert_string_equal(fixture_list(f, "docks/mem/pools"), "p ");
	fixture_expect(f, "docks/mem/status", "unavailable\n");
	fixture_expect(f, "volumes/v/status", "available\n");
	/* Its bytes go when it is back, and then it may go itself. */
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	reload(f);
	assert_string_equal(fixture_list(f, "docks"), "mem ");
	fixture_dock(f, "mem", "  p: {totalCapacity: 10}\n");
	reload(f);
	fixture_await(f, "docks/mem/status", "available\n");
	fixture_await_settled(f);
	remove_dock(f, "mem");
	reload(f);
	assert_string_equal(fixture_list(f, "docks"), "");
}

static void test_driver_that_is_not_there(void **state)
{
	struct fixture *f = *state;
	char path[128];
	FILE *file;

	fixture_default_dock(f);
	fixture_start(f, true);
	worker_wait_ready(f->worker, PATIENCE_MS);
	snprintf(path, sizeof(path), "%s/docks.d/lvm.yaml", f->dir);
	file = fopen(path, "w");
	fputs("pool: {vg001: {storageType: block, multiAttach: true}}\n", file);
	fclose(file);
	for (int i = 0; i < 2; i++) {
		reload(f);
		fixture_expect(f, "docks/lvm/status", "unavailable\n");
		fixture_expect(f, "docks/lvm/last_error", "driver lvm is not built in\n");
		fixture_expect(f, "docks/lvm/pools/vg001/multiattach", "false\n");
	}
}

/* ---- at once ---- */

struct turmoil {
	struct fixture *f;
	atomic_bool over;
};

static void *read_all(void *arg)
{
	static const char *const paths[] = {"docks/mem/pools/p/total_capacity",
					    "profiles/q/eligible/mem:p",
					    "docks/mem/pools/p/capabilities/k"};
	struct turmoil *t = arg;

	for (unsigned i = 0; !t->over; i++) {
		struct view v = {.core = t->f->core};
		struct ref ref = SELF(ROOT_OBJECT);
		struct text path = text_of(paths[i % ARRAY_SIZE(paths)]);
		struct tx tx;
		BUF_AUTO(value);

		v.tx = &tx;
		if (store_read_begin(core_store(t->f->core), &tx))
			continue;
		while (path.n) {
			const char *slash = memchr(path.p, '/', path.n);
			struct text name = {path.p, slash ? (size_t)(slash - path.p) : path.n};

			if (core_lookup(&v, ref, name, &ref))
				break;
			path.p += name.n + !!slash;
			path.n -= name.n + !!slash;
		}
		if (!path.n)
			core_read(&v, ref, &value);
		store_read_end(&tx);
	}
	return NULL;
}

static void *reload_again(void *arg)
{
	struct turmoil *t = arg;

	for (unsigned i = 0; i < 30; i++) {
		char pools[160];

		snprintf(pools, sizeof(pools),
			 "  p: {totalCapacity: %u, multiAttach: true, extras: {k: %u}}\n",
			 100 + i / 2, i);
		fixture_dock(t->f, "mem", pools);
		reload(t->f);
	}
	t->over = true;
	return NULL;
}

static void test_while_all_goes_on(void **state)
{
	struct fixture *f = *state;
	struct turmoil t = {.f = f};
	pthread_t reader, reloader;
	unsigned rounds = 0;

	fixture_dock(f, "mem", "  p: {totalCapacity: 100, multiAttach: true, extras: {k: 0}}\n");
	fixture_start(f, true);
	worker_wait_ready(f->worker, PATIENCE_MS);
	assert_int_equal(fixture_mkdir(f, "profiles/q"), 0);
	fixture_host(f, "h");
	assert_int_equal(pthread_create(&reader, NULL, read_all, &t), 0);
	assert_int_equal(pthread_create(&reloader, NULL, reload_again, &t), 0);
	for (; !t.over; rounds++) {
		fixture_volume(f, "v", true, NULL, "1G");
		assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
		assert_int_equal(fixture_write(f, "volumes/v/attachments/h/mode", "rw"), 0);
		assert_int_equal(fixture_rmdir(f, "volumes/v/attachments/h"), 0);
		assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	}
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(pthread_join(reloader, NULL), 0);
	assert_true(rounds > 0);
	fixture_await_settled(f);
	fixture_await(f, "docks/mem/pools/p/provisioned_capacity", "0\n");
	fixture_expect(f, "docks/mem/pools/p/capabilities/k", "29\n");
}

#define RELOAD(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELOAD(test_same_backend),
		RELOAD(test_held),
		RELOAD(test_goes_on),
		RELOAD(test_work_is_passed_on),
		RELOAD(test_vanishes),
		RELOAD(test_driver_that_is_not_there),
		RELOAD(test_while_all_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
