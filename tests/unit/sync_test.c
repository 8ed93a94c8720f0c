/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a commit syncs: everything, unless it is lazy, and then a later one or a timer does. */
#include "../lib/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attachfs/clock.h"

/* LMDB's, which come through here. */
static atomic_uint data_syncs, meta_syncs;

int fdatasync(int fd)
{
	data_syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

/* By its name in the library: with large files the compiler knows it as pwrite64(). */
ssize_t lmdb_pwrite(int fd, const void *data, size_t n, off_t at) __asm__("pwrite");

ssize_t lmdb_pwrite(int fd, const void *data, size_t n, off_t at)
{
	meta_syncs += !!(fcntl(fd, F_GETFL) & O_DSYNC);
	return syscall(SYS_pwrite64, fd, data, n, at);
}

/* Counts from here on. */
static void forget_syncs(void)
{
	data_syncs = meta_syncs = 0;
}

static void open_store(struct fixture *f)
{
	struct error err;
	char path[96];

	snprintf(path, sizeof(path), "%s/state", f->dir);
	assert_int_equal(store_open(path, 16 << 20, false, &f->store, &err), 0);
}

static void close_store(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	open_store(f);
	return 0;
}

struct put {
	struct mutation m; /* first */
	const char *key;
	bool lazy;
	int refuse;
};

static int apply_put(struct tx *tx, struct mutation *m)
{
	struct put *p = (struct put *)m;

	m->lazy = p->lazy;
	return tx_put(tx, TABLE_OBJECTS, text_of(p->key), TEXT("value")) ?: p->refuse;
}

static void note_refusal(struct tx *tx, struct mutation *m)
{
	tx_put(tx, TABLE_HOSTS, text_of(((struct put *)m)->key), TEXT("refused"));
}

static int put(struct fixture *f, const char *key, bool lazy, int refuse)
{
	struct put p = {{.apply = apply_put, .refused = note_refusal}, key, lazy, refuse};

	return store_run(f->store, &p.m);
}

static bool has(struct fixture *f, const char *key)
{
	struct text value;
	struct tx tx;
	int rc;

	assert_int_equal(store_read_begin(f->store, &tx), 0);
	rc = tx_get(&tx, TABLE_OBJECTS, text_of(key), &value);
	store_read_end(&tx);
	return !rc;
}

static void test_commit(void **state)
{
	forget_syncs();
	assert_int_equal(put(*state, "a", false, 0), 0);
	assert_int_equal(data_syncs, 1);
	assert_int_equal(meta_syncs, 1);
}

static void test_lazy_commit(void **state)
{
	forget_syncs();
	assert_int_equal(put(*state, "a", true, 0), 0);
	assert_int_equal(meta_syncs, 0);
	assert_true(has(*state, "a"));
	assert_int_equal(put(*state, "b", false, 0), 0);
	assert_int_equal(meta_syncs, 1);
}

/* Its answer goes out at once, so its record is synced. */
static void test_refused_lazy_commit(void **state)
{
	forget_syncs();
	assert_int_equal(put(*state, "a", true, -EBUSY), -EBUSY);
	assert_int_equal(meta_syncs, 1);
}

/* No commit comes after it. */
static void test_last_lazy_commit(void **state)
{
	struct fixture *f = *state;
	int64_t end = monotonic_ms() + PATIENCE_MS;

	assert_int_equal(put(f, "a", true, 0), 0);
	forget_syncs();
	while (!data_syncs && monotonic_ms() < end)
		usleep(1000);
	assert_int_equal(data_syncs, 1);
	assert_int_equal(put(f, "b", true, 0), 0);
	forget_syncs();
	close_store(f);
	assert_int_equal(data_syncs, 1);
	open_store(f);
	assert_true(has(f, "a"));
	assert_true(has(f, "b"));
}

/* A batch is lazy if all in it are. */
static atomic_uint done;
static atomic_bool is_open;

static int apply_gate(struct tx *tx, struct mutation *m)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;

	while (!is_open && monotonic_ms() < end)
		usleep(100);
	return apply_put(tx, m);
}

static void count_done(struct mutation *m)
{
	(void)m;
	done++;
}

static unsigned run_batch(struct fixture *f, bool all_lazy)
{
	struct put puts[] = {
		{{.apply = apply_gate, .done = count_done}, "gate", true, 0},
		{{.apply = apply_put, .done = count_done}, "a", true, 0},
		{{.apply = apply_put, .done = count_done}, "b", all_lazy, 0},
		{{.apply = apply_put, .done = count_done}, "c", true, 0},
	};
	int64_t end = monotonic_ms() + PATIENCE_MS;

	done = 0;
	is_open = false;
	forget_syncs();
	for (size_t i = 0; i < ARRAY_SIZE(puts); i++)
		store_queue(f->store, &puts[i].m);
	is_open = true;
	while (done < ARRAY_SIZE(puts) && monotonic_ms() < end)
		usleep(100);
	assert_int_equal(done, ARRAY_SIZE(puts));
	return meta_syncs;
}

static void test_batch(void **state)
{
	assert_int_equal(run_batch(*state, true), 0);
	assert_int_equal(run_batch(*state, false), 1);
}

/* Whoever is answered only when the backend has settled: attach and detach, and no other. */
static void test_intents(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_host(f, "h");
	fixture_volume(f, "v", false, "one", "1G\n");
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
	forget_syncs();
	call = fixture_begin_write(f, "volumes/v/attachments/h/mode", "rw\n");
	fixture_await(f, "volumes/v/attachments/h/status", "attaching\n");
	assert_int_equal(meta_syncs, 0);
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(meta_syncs, 1);
	forget_syncs();
	assert_int_equal(fixture_write(f, "volumes/v/description", "new"), 0);
	assert_int_equal(meta_syncs, 1);
	forget_syncs();
	call = fixture_begin_rmdir(f, "volumes/v/attachments/h");
	fixture_await(f, "volumes/v/attachments/h/status", "detaching\n");
	assert_int_equal(meta_syncs, 0);
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(meta_syncs, 1);
}

int main(void)
{
#define SYNC(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		SYNC(test_commit),
		SYNC(test_lazy_commit),
		SYNC(test_refused_lazy_commit),
		SYNC(test_last_lazy_commit),
		SYNC(test_batch),
		cmocka_unit_test_setup_teardown(test_intents, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
