/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A state that is full: what frees room or keeps hosts out is still done, and then the rest again. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define HOSTS	12
#define AT_ONCE 64

static char long_text[VALUE_BYTES_MAX + 1];

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	memset(long_text, 'x', sizeof(long_text) - 1);
	fixture_init(f);
	f->map_size = 16 << 20; /* the least */
	fixture_default_dock(f);
	fixture_start(f, true);
	return 0;
}

__attribute__((format(printf, 2, 3)))
static const char *path_of(char room[128], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(room, 128, format, args);
	va_end(args);
	return room;
}

/* Twelve hosts on one volume, half of them writing, and one host that will be fenced as such. */
static void attach_hosts(struct fixture *f)
{
	char path[128], name[128];

	fixture_volume(f, "vol", true, "many", "1G\n");
	for (unsigned i = 0; i < HOSTS; i++) {
		fixture_host(f, path_of(name, "h%u", i));
		assert_int_equal(fixture_mkdir(f, path_of(path, "volumes/vol/attachments/h%u", i)), 0);
		path_of(path, "volumes/vol/attachments/h%u/mode", i);
		assert_int_equal(fixture_write(f, path, i % 2 ? "ro\n" : "rw\n"), 0);
	}
	fixture_host(f, "heir");
	fixture_volume(f, "safe", false, "many", "1G\n");
	assert_int_equal(fixture_write(f, "volumes/safe/protected", "true\n"), 0);
}

/* Volumes from number `n` on, with long descriptions, then without, until no more can be made; the
 * number of the next. */
static unsigned fill(struct fixture *f, unsigned n)
{
	char path[128];
	int rc = 0;

	while (!rc) {
		rc = fixture_mkdir(f, path_of(path, "volumes/fill%u", n));
		if (!rc && ++n)
			rc = fixture_write(f, path_of(path, "volumes/fill%u/description", n - 1),
					   long_text);
		assert_true(n < 100000);
	}
	assert_int_equal(rc, -ENOSPC);
	while (!(rc = fixture_mkdir(f, path_of(path, "volumes/fill%u", n))))
		n++;
	assert_int_equal(rc, -ENOSPC);
	return n;
}

/* What is asked for again and again while there is no room must not take the room of others. */
static void ask_in_vain(struct fixture *f)
{
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(fixture_write(f, "volumes/vol/description", long_text), -ENOSPC);
	fixture_expect_in(fixture_read(f, "volumes/vol/last_error"), "mapSize");
	fixture_expect(f, "volumes/vol/description", "");
}

static void fence_all(struct fixture *f)
{
	char path[128];

	assert_int_equal(fixture_write(f, "volumes/vol/attachments/h0/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, "hosts/h1/fenced", "1\n"), 0);
	fixture_expect(f, "volumes/vol/attachments/h0/status", "fenced\n");
	fixture_expect(f, "volumes/vol/attachments/h1/status", "fenced\n");
	assert_int_equal(fixture_rename(f, "volumes/vol/attachments/h2",
					"volumes/vol/attachments/heir"), 0);
	fixture_expect(f, "volumes/vol/attachments/heir/status", "attached\n");
	for (unsigned i = 3; i < HOSTS; i++)
		assert_int_equal(fixture_write(f, path_of(path, "volumes/vol/attachments/h%u/fenced",
							  i), "1\n"), 0);
	fixture_await_exports(f, "rw iqn.2026-11.test:heir\n");
}

static void remove_all(struct fixture *f, unsigned n)
{
	char path[128];

	for (unsigned i = 0; i < HOSTS; i++)
		if (i != 2)
			assert_int_equal(fixture_rmdir(f, path_of(path, "volumes/vol/attachments/h%u",
								  i)), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/vol/attachments/heir"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/vol"), 0);
	assert_int_equal(fixture_write(f, "volumes/safe/protected", "false\n"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/safe"), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(fixture_rmdir(f, path_of(path, "volumes/fill%u", i)), 0);
	fixture_await_settled(f);
}

static void test_full(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	attach_hosts(f);
	n = fill(f, 0);
	ask_in_vain(f);
	fence_all(f);
	fixture_stop(f);
	fixture_start(f, true);
	n = fill(f, n);
	remove_all(f, n);
	fixture_volume(f, "again", false, "many", "1G\n");
	assert_true(fill(f, 0) + 16 > n);
}

static void remove_at_once(struct fixture *f, unsigned n)
{
	struct call *calls[AT_ONCE];
	char path[128];

	for (unsigned i = 0; i < n; i += AT_ONCE) {
		unsigned end = n - i < AT_ONCE ? n - i : AT_ONCE;

		for (unsigned k = 0; k < end; k++)
			calls[k] = fixture_begin_rmdir(f, path_of(path, "volumes/fill%u", i + k));
		for (unsigned k = 0; k < end; k++)
			assert_int_equal(fixture_wait(calls[k], PATIENCE_MS), 0);
	}
	fixture_await_settled(f);
}

/* mapSize was lowered to less than the state has: it is full, and can be emptied all the same. */
static void test_lowered(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	fixture_stop(f);
	f->map_size = 24 << 20;
	fixture_start(f, true);
	n = fill(f, 0);
	fixture_stop(f);
	f->map_size = 16 << 20;
	fixture_start(f, true);
	assert_int_equal(fixture_mkdir(f, "volumes/more"), -ENOSPC);
	remove_at_once(f, n);
	assert_int_equal(fixture_mkdir(f, "volumes/more"), 0);
}

/* Batches of changes that free room, and of others between them. */
static void test_all_at_once(void **state)
{
	struct fixture *f = *state;
	struct call *removals[AT_ONCE], *others[AT_ONCE];
	char path[128];
	unsigned n = fill(f, 0);

	for (unsigned k = 0; k + AT_ONCE < n; k += AT_ONCE) {
		for (unsigned i = 0; i < AT_ONCE; i++) {
			removals[i] = fixture_begin_rmdir(f, path_of(path, "volumes/fill%u", k + i));
			others[i] = fixture_begin_mkdir(f, path_of(path, "volumes/other%u", k + i));
		}
		for (unsigned i = 0; i < AT_ONCE; i++) {
			int rc = fixture_wait(others[i], PATIENCE_MS);

			assert_int_equal(fixture_wait(removals[i], PATIENCE_MS), 0);
			assert_true(!rc || rc == -ENOSPC);
		}
	}
	assert_int_equal(fixture_mkdir(f, "volumes/again"), 0);
}

/* The audit log alone never fills the state. */
static void test_events(void **state)
{
	struct fixture *f = *state;
	struct call *calls[AT_ONCE];
	const char *events;
	char text[256];

	fixture_host(f, "h");
	for (unsigned i = 0; i < 64000; i += AT_ONCE) {
		for (unsigned k = 0; k < AT_ONCE; k++) {
			snprintf(text, sizeof(text), "%0200u\n", i + k);
			calls[k] = fixture_begin_write(f, "hosts/h/description", text);
		}
		for (unsigned k = 0; k < AT_ONCE; k++)
			assert_int_equal(fixture_wait(calls[k], PATIENCE_MS), 0);
	}
	events = fixture_events(f);
	assert_true(strlen(events) > 256 << 10);
	assert_int_equal(events[0], '{');
	fixture_expect_in(events + strlen(events) - 400, "063999");
}

#define FULL(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FULL(test_full),
		FULL(test_lowered),
		FULL(test_all_at_once),
		FULL(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
