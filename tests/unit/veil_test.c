/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Veils: before whom, before what, how long, and how many. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/fs/veil.h"

#define NOBODY 1 /* a process that is not ours */

static const struct ref size = {300, 2}, mode = {300, 3};

static int setup(void **state)
{
	return veils_open((struct veils **)state);
}

static int teardown(void **state)
{
	veils_close(*state);
	return 0;
}

static void *hides_from_thread(void *arg)
{
	return (void *)(uintptr_t)veil_hides(arg, size, (pid_t)syscall(SYS_gettid));
}

static void test_whom(void **state)
{
	struct veils *v = *state;
	pthread_t thread;
	void *hides;

	assert_int_equal(veil_hides(v, size, getpid()), VEIL_NOTHING);
	assert_false(veil_covers(v, 300));
	veil_add(v, 300, 0, getpid(), false);
	assert_int_equal(veil_hides(v, size, getpid()), VEIL_ATTRIBUTES);
	assert_int_equal(veil_hides(v, size, NOBODY), VEIL_NOTHING);
	assert_int_equal(veil_hides(v, (struct ref){301, 2}, getpid()), VEIL_NOTHING);
	assert_true(veil_covers(v, 300));
	assert_true(veil_is_maker(v, 300, getpid()));
	assert_false(veil_is_maker(v, 300, NOBODY));
	assert_int_equal(pthread_create(&thread, NULL, hides_from_thread, v), 0);
	pthread_join(thread, &hides);
	assert_int_equal((uintptr_t)hides, VEIL_ATTRIBUTES);
}

static void test_made(void **state)
{
	struct veils *v = *state;

	veil_add(v, 300, 0, getpid(), true);
	assert_int_equal(veil_hides(v, size, getpid()), VEIL_DIRECTORIES_TOO);
	veil_made(v, size, NOBODY, true);
	assert_int_equal(veil_hides(v, size, getpid()), VEIL_DIRECTORIES_TOO);
	veil_made(v, size, getpid(), false);
	assert_int_equal(veil_hides(v, size, getpid()), VEIL_NOTHING);
	assert_int_equal(veil_hides(v, mode, getpid()), VEIL_DIRECTORIES_TOO);
	veil_made(v, (struct ref){300, 0}, getpid(), true);
	assert_int_equal(veil_hides(v, mode, getpid()), VEIL_ATTRIBUTES);
}

/* A write below keeps the veils of all that it is in. */
static void test_hold(void **state)
{
	struct veils *v = *state;

	veil_add(v, 300, 0, getpid(), false);
	veil_add(v, 301, 300, getpid(), false);
	assert_false(veil_hold(v, 301, NOBODY));
	assert_true(veil_hold(v, 301, getpid()));
	usleep((VEIL_MS + 200) * 1000);
	assert_true(veil_covers(v, 300) && veil_covers(v, 301));
	veil_release(v, 301);
	assert_true(veil_covers(v, 300) && veil_covers(v, 301));
	usleep((VEIL_MS + 200) * 1000);
	assert_false(veil_covers(v, 300) || veil_covers(v, 301));
	assert_int_equal(veil_hides(v, size, getpid()), VEIL_NOTHING);
}

static void test_bound(void **state)
{
	struct veils *v = *state;

	veil_add(v, 300, 0, getpid(), false);
	veil_add(v, 301, 300, getpid(), false);
	assert_true(veil_hold(v, 301, getpid()));
	for (uint64_t i = 0; i < VEILS_MAX - 1; i++)
		veil_add(v, 1000 + i, 0, getpid(), false);
	assert_false(veil_covers(v, 300));
	assert_true(veil_covers(v, 301));
	veil_add(v, 9000, 0, getpid(), false);
	assert_false(veil_covers(v, 301));
	veil_release(v, 301);
	assert_true(veil_covers(v, 9000));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_whom), TEST(test_made), TEST(test_hold),
					   TEST(test_bound)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
