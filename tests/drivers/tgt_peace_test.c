/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgtd is left in peace: no connection of ours stays with it, for each one keeps it awake. */
#include "../lib/bed.h"

#include "attachfs/clock.h"

#include "../../src/drivers/tcp_sockets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000

/* Its portal, its management socket, and the connection of the one host that is logged in. */
#define AT_REST 3

struct scene {
	struct bed bed;
	struct host_writer *writer;
};

/* A host that writes all the while: that is what makes tgtd forget to look at an end. */
static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct backend_volume v = bed_volume(1);
	struct backend_export e = bed_export(1, ACCESS_RW);
	struct backend_connection c;
	struct host_login login;

	if (!s)
		return -1;
	bed_open(&s->bed, "tgt", NULL);
	bed_ok(&s->bed, s->bed.driver->provision(s->bed.backend, &v, &s->bed.err));
	bed_ok(&s->bed, s->bed.driver->export(s->bed.backend, &v, &e, &c, &s->bed.err));
	login = bed_login(&e, &c);
	assert_int_equal(host_writer_start(&login, 5, 100, &s->writer), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	assert_int_equal(host_writer_stop(s->writer), 0);
	bed_close(&s->bed);
	free(s);
	return 0;
}

static bool come_to(struct scene *s, bool (*fits)(int n))
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int64_t end = monotonic_ms() + PATIENCE_MS;
	pid_t pid = bed_daemon(&s->bed, 0);

	while (!fits(process_sockets_count(pid)) && monotonic_ms() < end)
		nanosleep(&pause, NULL);
	return fits(process_sockets_count(pid));
}

static bool are_at_rest(int n)
{
	return n == AT_REST;
}

static bool are_too_many(int n)
{
	return n >= AT_REST + 5;
}

static void test_looking_leaves_nothing(void **state)
{
	struct scene *s = *state;
	uint64_t epoch;

	for (int i = 0; i < 2000; i++) {
		bed_ok(&s->bed, s->bed.driver->check(s->bed.backend, &epoch, &s->bed.err));
		sched_yield();
	}
	assert_true(come_to(s, are_at_rest));
}

static void test_finding_it_again_leaves_nothing(void **state)
{
	struct scene *s = *state;

	for (int i = 0; i < 20; i++)
		bed_reopen(&s->bed);
	assert_true(come_to(s, are_at_rest));
}

/* As a process does that is killed before it has asked: `n` bytes of a request, and the end. */
static void ask_half(struct scene *s, size_t n)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char part[120] = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/tgt.bed/s.1", s->bed.state);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (n)
		assert_int_equal(write(fd, part, n), n);
	close(fd);
}

static void test_what_a_killed_process_left_is_buried(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct scene *s = *state;
	int64_t end = monotonic_ms() + PATIENCE_MS;
	pid_t pid = bed_daemon(&s->bed, 0);

	for (int i = 0; !are_too_many(process_sockets_count(pid)) && monotonic_ms() < end; i++) {
		ask_half(s, i % 2 ? 50 : 0);
		nanosleep(&pause, NULL); /* for the host's next block */
	}
	assert_true(come_to(s, are_too_many)); /* else there is nothing to be seen here */
	bed_reopen(&s->bed);
	assert_true(come_to(s, are_at_rest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_looking_leaves_nothing),
		TEST(test_finding_it_again_leaves_nothing),
		TEST(test_what_a_killed_process_left_is_buried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
