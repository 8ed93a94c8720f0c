/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is special about the tgt driver: accounts without holes, shards, half-made logins. */
#include "../lib/bed.h"

#include "attachfs/buf.h"
#include "attachfs/clock.h"

#include "../../src/drivers/tgt_mgmt.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct attached {
	struct backend_export e;
	struct backend_connection c;
};

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed)
		return -1;
	bed_open(bed, "tgt", NULL);
	*state = bed;
	return 0;
}

static int setup_without_chap(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed)
		return -1;
	bed_open(bed, "tgt", ", chap: false");
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	bed_close(*state);
	free(*state);
	return 0;
}

static struct attached attach(struct bed *bed, const struct backend_volume *v, unsigned host,
			      enum access_mode mode)
{
	struct attached a = {.e = bed_export(host, mode)};
	enum access_mode seen;

	bed_ok(bed, bed->driver->export(bed->backend, v, &a.e, &a.c, &bed->err));
	bed_ok(bed, bed->driver->probe(bed->backend, v, &a.e, &a.c, &seen, NULL, &bed->err));
	return a;
}

static void detach(struct bed *bed, const struct backend_volume *v, struct attached *a)
{
	bed_ok(bed, bed->driver->unexport(bed->backend, v, &a->e, &bed->err));
}

static int login_once(const struct host_login *login)
{
	struct host *h;
	int rc = host_open(login, &h);

	if (!rc)
		host_close(h);
	return rc;
}

/* The daemon's own listing of everything; it crashes on a hole. */
static void show_all(struct bed *bed, struct buf *reply)
{
	struct tgt_request show = {.mode = TGT_TARGET, .op = TGT_SHOW, .tid = -1};
	struct tgt_link link = {.deadline = monotonic_ms() + 5000};

	snprintf(link.socket, sizeof(link.socket), "%s/tgt.bed/s.1", bed->state);
	buf_reset(reply);
	bed_ok(bed, tgt_mgmt_call(&link, &show, reply, &bed->err));
}

static void by_hand(struct bed *bed, enum tgt_mode mode, enum tgt_op op, int tid,
		    const char *params)
{
	struct tgt_request request = {.mode = mode, .op = op, .tid = tid, .params = params};
	struct tgt_link link = {.deadline = monotonic_ms() + 5000};

	snprintf(link.socket, sizeof(link.socket), "%s/tgt.bed/s.1", bed->state);
	bed_ok(bed, tgt_mgmt_call(&link, &request, NULL, &bed->err));
}

/* With more hosts than tgtd's array has places at first, in a random order. */
static void accounts_never_have_holes(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(1);
	struct attached all[24];
	bool on[24] = {false};
	BUF_AUTO(reply);

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	srand(1);
	for (int step = 0; step < 400; step++) {
		unsigned i = (unsigned)rand() % 24;

		if (on[i])
			detach(bed, &v, &all[i]);
		else
			all[i] = attach(bed, &v, i, i % 3 ? ACCESS_RW : ACCESS_RO);
		on[i] = !on[i];
		show_all(bed, &reply);
	}
	for (unsigned i = 0; i < 24; i++) {
		struct host_login login;

		if (!on[i])
			continue;
		login = bed_login(&all[i].e, &all[i].c);
		assert_int_equal(login_once(&login), 0);
	}
}

static int tid_in(const struct buf *listing)
{
	int tid = 0;

	assert_int_equal(sscanf(listing->data, "Target %d:", &tid), 1);
	return tid;
}

/* attachfs died between unbinding an account and binding the guard in its place. */
static void a_hole_is_healed(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(2);
	struct attached a, b;
	struct host_login login;
	char account[CHAP_USER_MAX + 8];
	BUF_AUTO(reply);

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	b = attach(bed, &v, 1, ACCESS_RW);
	show_all(bed, &reply);
	snprintf(account, sizeof(account), "user=%s", a.e.chap_user);
	by_hand(bed, TGT_ACCOUNT, TGT_UNBIND, tid_in(&reply), account);
	bed_reopen(bed);
	show_all(bed, &reply);
	login = bed_login(&b.e, &b.c);
	assert_int_equal(login_once(&login), 0);
	detach(bed, &v, &a);
	assert_int_equal(login_once(&login), 0);
	a = attach(bed, &v, 0, ACCESS_RW);
	show_all(bed, &reply);
}

static void a_wrong_secret_is_refused(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(3);
	struct attached a;
	struct host_login login;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	login = bed_login(&a.e, &a.c);
	login.secret = "not-the-secret-at-all";
	assert_int_equal(login_once(&login), -EACCES);
	login.user = NULL;
	assert_int_equal(login_once(&login), -EACCES);
	login.user = "attachfs-guard-0";
	login.secret = "";
	assert_int_not_equal(login_once(&login), 0);
}

static void fence(struct bed *bed, const struct backend_volume *v, struct attached *a)
{
	bed_ok(bed, bed->driver->fence(bed->backend, v, &a->e, &bed->err));
}

typedef void way_out(struct bed *bed, const struct backend_volume *v, struct attached *a);

/* A login that has passed the name and the secret when the host is put out. */
static void end_logins_under_way(struct bed *bed, way_out *put_out)
{
	struct backend_volume v = bed_volume(4);

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	for (unsigned stage = 2; stage <= 4; stage++) {
		struct attached a = attach(bed, &v, 0, ACCESS_RW);
		struct attached other = attach(bed, &v, 1, ACCESS_RW);
		struct host_login login = bed_login(&a.e, &a.c);
		struct host_login other_login = bed_login(&other.e, &other.c);
		struct host_writer *w;
		struct host *h;

		assert_int_equal(host_writer_start(&other_login, 5, 100, &w), 0);
		assert_int_equal(host_open_until(&login, stage, &h), 0);
		put_out(bed, &v, &a);
		assert_int_not_equal(host_finish(h), 0);
		host_drop(h);
		assert_int_equal(host_writer_stop(w), 0);
		detach(bed, &v, &other);
	}
}

static void a_login_under_way_is_ended(void **state)
{
	end_logins_under_way(*state, detach);
}

static void a_fence_ends_a_login_under_way(void **state)
{
	end_logins_under_way(*state, fence);
}

/* Somebody has let everybody in: the name is gone from the target, and the host is not out. */
static void a_fence_needs_a_refusal(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(11);
	struct attached a;
	BUF_AUTO(reply);

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	attach(bed, &v, 1, ACCESS_RW);
	show_all(bed, &reply);
	by_hand(bed, TGT_TARGET, TGT_BIND, tid_in(&reply), "initiator-address=ALL");
	for (int i = 0; i < 2; i++)
		assert_int_not_equal(
			bed->driver->fence(bed->backend, &v, &a.e, &bed->err), 0);
	by_hand(bed, TGT_TARGET, TGT_UNBIND, tid_in(&reply), "initiator-address=ALL");
	fence(bed, &v, &a);
}

/* The same when the target goes with its last host, and another takes its place. */
static void a_login_under_way_finds_no_other_target(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(5), next = bed_volume(6);
	struct attached a, b;
	struct host_login login;
	struct host *h;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	bed_ok(bed, bed->driver->provision(bed->backend, &next, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	login = bed_login(&a.e, &a.c);
	assert_int_equal(host_open_until(&login, 4, &h), 0);
	detach(bed, &v, &a);
	b = attach(bed, &next, 1, ACCESS_RW);
	assert_int_not_equal(host_finish(h), 0);
	host_drop(h);
	detach(bed, &next, &b);
}

static void without_chap_the_name_decides(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(7);
	struct attached a, b;
	struct host_login login;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	b = attach(bed, &v, 1, ACCESS_RW);
	assert_false(a.c.chap);
	login = bed_login(&a.e, &a.c);
	assert_int_equal(login_once(&login), 0);
	detach(bed, &v, &a);
	assert_int_equal(login_once(&login), -EACCES);
	login = bed_login(&b.e, &b.c);
	assert_int_equal(login_once(&login), 0);
	detach(bed, &v, &b);
}

static void targets_go_to_a_second_daemon(void **state)
{
	struct bed *bed = *state;
	struct attached all[TGT_TARGETS_PER_DAEMON + 1];
	enum access_mode seen;

	for (unsigned i = 0; i <= TGT_TARGETS_PER_DAEMON; i++) {
		struct backend_volume v = bed_volume(1000 + i);

		all[i].e = bed_export(i, ACCESS_RW);
		bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
		bed_ok(bed, bed->driver->export(bed->backend, &v, &all[i].e, &all[i].c,
						&bed->err));
		assert_int_equal(all[i].c.shard, i / TGT_TARGETS_PER_DAEMON);
	}
	assert_string_not_equal(all[0].c.target_portal,
				all[TGT_TARGETS_PER_DAEMON].c.target_portal);
	bed_reopen(bed);
	for (unsigned i = 0; i <= TGT_TARGETS_PER_DAEMON; i++) {
		struct backend_volume v = bed_volume(1000 + i);

		if (i % 50 == 0)
			bed_ok(bed, bed->driver->probe(bed->backend, &v, &all[i].e, &all[i].c,
						       &seen, NULL, &bed->err));
		detach(bed, &v, &all[i]);
	}
}

/* Another one's portal must not be taken for ours, nor tgtd's every address. */
static void a_taken_portal_is_told(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(8);
	struct backend_export e = bed_export(0, ACCESS_RW);
	struct backend_connection c;
	struct attached a;
	struct bed second = *bed;
	char dir[96];

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	snprintf(dir, sizeof(dir), "%s/second", bed->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	bed_ok(&second, bed->driver->open(&bed->dock, dir, &second.backend, &second.err));
	assert_int_equal(bed->driver->export(second.backend, &v, &e, &c, &second.err),
			 -EADDRINUSE);
	bed->driver->close(second.backend);
	detach(bed, &v, &a);
}

/* A stopped daemon keeps its sessions: nobody may be told that they are gone. */
static void a_hung_daemon_is_not_gone(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(9);
	struct attached a;
	uint64_t epoch;
	int rc;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	a = attach(bed, &v, 0, ACCESS_RW);
	kill(bed_daemon(bed, 0), SIGSTOP);
	rc = bed->driver->unexport(bed->backend, &v, &a.e, &bed->err);
	assert_int_equal(rc, -ETIMEDOUT);
	bed->driver->close(bed->backend);
	bed_ok(bed, bed->driver->open(&bed->dock, bed->state, &bed->backend, &bed->err));
	rc = bed->driver->unexport(bed->backend, &v, &a.e, &bed->err);
	assert_int_not_equal(rc, 0);
	kill(bed_daemon(bed, 0), SIGCONT);
	bed_ok(bed, bed->driver->check(bed->backend, &epoch, &bed->err));
	detach(bed, &v, &a);
}

static double microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Not a test of speed: a line to look at. */
static void figures(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(10);
	double export_ = 0, probe = 0, unexport = 0;
	struct attached keep;
	enum access_mode seen;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	keep = attach(bed, &v, 0, ACCESS_RW);
	for (unsigned i = 1; i <= 200; i++) {
		struct attached a = {.e = bed_export(i, ACCESS_RW)};
		double t0 = microseconds(), t1, t2;

		bed_ok(bed, bed->driver->export(bed->backend, &v, &a.e, &a.c, &bed->err));
		t1 = microseconds();
		bed_ok(bed, bed->driver->probe(bed->backend, &v, &a.e, &a.c, &seen, NULL,
					       &bed->err));
		t2 = microseconds();
		detach(bed, &v, &a);
		export_ += t1 - t0;
		probe += t2 - t1;
		unexport += microseconds() - t2;
	}
	print_message("beside another host: export %.0f, probe %.0f, unexport %.0f us\n",
		      export_ / 200, probe / 200, unexport / 200);
	detach(bed, &v, &keep);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(accounts_never_have_holes),
		TEST(a_hole_is_healed),
		TEST(a_wrong_secret_is_refused),
		TEST(a_login_under_way_is_ended),
		TEST(a_fence_ends_a_login_under_way),
		TEST(a_login_under_way_finds_no_other_target),
		cmocka_unit_test_setup_teardown(a_fence_needs_a_refusal, setup_without_chap, teardown),
		cmocka_unit_test_setup_teardown(without_chap_the_name_decides,
						setup_without_chap, teardown),
		TEST(targets_go_to_a_second_daemon),
		TEST(a_taken_portal_is_told),
		TEST(a_hung_daemon_is_not_gone),
		TEST(figures),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("tgt", tests, NULL, NULL);
}
