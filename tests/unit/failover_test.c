/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failover: mv attachments/h attachments/i, whatever goes wrong on the way. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define A	"volumes/v/attachments/"
#define H	A "h"
#define I	A "i"
#define IQN(host) "iqn.2026-11.test:" host

/* h is as it was: nobody was put out for nothing. */
static void expect_unchanged(struct fixture *f)
{
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/generation", "1\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void expect_done(struct fixture *f, const char *exports)
{
	assert_false(fixture_exists(f, H));
	fixture_expect(f, I "/status", "attached\n");
	fixture_expect(f, I "/last_error", "");
	assert_string_equal(fixture_exports(f), exports);
	assert_int_equal(fixture_unsettled(f), 0);
}

/* ---- what works ---- */

static void test_it_fails_over(void **state)
{
	static const char *const modes[] = {"rw\n", "ro", " ro \n"};
	struct fixture *f = *state;
	const char *secret;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		fixture_attach(f, H, modes[i]);
		secret = fixture_read(f, H "/connection/auth_password");
		fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\n");
		assert_int_equal(fixture_rename(f, H, I), 0);
		expect_done(f, i ? "ro " IQN("i") "\n" : "rw " IQN("i") "\n");
		fixture_expect(f, I "/mode", modes[i]);
		assert_string_not_equal(fixture_read(f, I "/connection/auth_password"), secret);
		fixture_expect(f, "volumes/v/status", "in-use\n");
		assert_int_equal(fixture_rmdir(f, I), 0);
	}
	fixture_expect_in(fixture_events(f), "\"event\":\"failover\",\"path\":\"" H "\"");
	fixture_expect_in(fixture_events(f), "\"event\":\"fenced\",\"path\":\"" H "\"");
	fixture_expect_in(fixture_events(f), "\"event\":\"detached\",\"path\":\"" H "\"");
	fixture_expect_in(fixture_events(f), "\"event\":\"attached\",\"path\":\"" I "\"");
}

static void test_the_default_mode_goes_along(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "\n");
	assert_int_equal(fixture_rename(f, H, I), 0);
	fixture_expect(f, I "/mode", "\n");
	fixture_expect(f, I "/effective_mode", "rw\n");
}

static void test_a_volume_for_one_host(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "one", false, "one", "1G\n");
	fixture_attach(f, "volumes/one/attachments/h", "rw\n");
	assert_int_equal(fixture_rename(f, "volumes/one/attachments/h",
					"volumes/one/attachments/i"), 0);
	fixture_expect(f, "volumes/one/attachments/i/status", "attached\n");
	assert_string_equal(fixture_list(f, "volumes/one/attachments"), "i ");
	assert_string_equal(fixture_list(f, "hosts/h/attachments"), "");
	assert_string_equal(fixture_list(f, "hosts/i/attachments"), "one ");
	assert_string_equal(fixture_list(f, "attachments"), "one@i ");
}

static void test_one_writer_at_a_time(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "1\n"), 0);
	fixture_attach(f, H, "rw\n");
	fixture_attach(f, A "k", "ro\n");
	assert_int_equal(fixture_rename(f, H, I), 0);
	expect_done(f, "ro " IQN("k") "\nrw " IQN("i") "\n");
}

/* The directory is the same one under another name to whoever looks: its owner stays. */
static void test_the_owner_stays(void **state)
{
	struct inode_state alice = {.mode = 0750, .uid = 1000, .gid = 100};
	struct fixture *f = *state;
	union any i;

	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_inode(f, H, INODE_MODE | INODE_UID | INODE_GID, &alice), 0);
	assert_int_equal(fixture_rename(f, H, I), 0);
	fixture_object(f, I, &i);
	assert_int_equal(i.o.inode.mode, alice.mode);
	assert_int_equal(i.o.inode.uid, alice.uid);
	assert_int_equal(i.o.inode.gid, alice.gid);
}

static void test_to_one_that_is_reserved(void **state)
{
	struct fixture *f = *state;
	const char *id;

	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_mkdir(f, I), 0);
	assert_int_equal(fixture_write(f, I "/mountpoint", "/srv\n"), 0);
	id = fixture_read(f, I "/id");
	assert_int_equal(fixture_rename(f, H, I), -EEXIST);
	expect_unchanged(f);
	assert_int_equal(fixture_rename(f, H, I "/h"), 0); /* what mv makes of it */
	expect_done(f, "rw " IQN("i") "\n");
	fixture_expect(f, I "/id", id);
	fixture_expect(f, I "/mountpoint", "/srv\n");
}

static void test_to_a_reader(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "ro\n");
	assert_int_equal(fixture_rename(f, H, I "/h"), 0);
	expect_done(f, "rw " IQN("i") "\n");
	fixture_expect(f, I "/mode", "rw\n");
	fixture_expect(f, I "/effective_mode", "rw\n");
}

static void test_from_one_that_is_fenced(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_faults(f, "fence fail EIO\n"); /* which is not done twice */
	assert_int_equal(fixture_rename(f, H, I), 0);
	expect_done(f, "rw " IQN("i") "\n");
}

static void test_from_one_that_failed(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "probe wrong\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "ro\n"), -EIO);
	fixture_faults(f, "");
	assert_int_equal(fixture_rename(f, H, I), 0);
	expect_done(f, "ro " IQN("i") "\n");
}

static void test_a_reservation_is_only_renamed(void **state)
{
	struct fixture *f = *state;
	const char *id;

	assert_int_equal(fixture_mkdir(f, H), 0);
	id = fixture_read(f, H "/id");
	fixture_faults(f, "* fail EIO\n");
	assert_int_equal(fixture_rename(f, H, I), 0);
	assert_false(fixture_exists(f, H));
	fixture_expect(f, I "/id", id);
	fixture_expect(f, I "/host", "i\n");
	fixture_expect(f, I "/status", "reserved\n");
	assert_string_equal(fixture_list(f, "hosts/i/attachments"), "v ");
	assert_string_equal(fixture_list(f, "hosts/h/attachments"), "");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_rename(f, H, I), -EEXIST);
	assert_int_equal(fixture_rename(f, H, I "/h"), -EEXIST);
}

/* ---- nobody is put out for one who cannot come ---- */

static void test_refused_before_anything_happens(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "w", true, "many", "1G\n");
	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_rename(f, H, A "stranger"), -EDESTADDRREQ);
	fixture_expect_in(fixture_read(f, H "/last_error"), "stranger has no initiator");
	expect_unchanged(f);
	assert_int_equal(fixture_rename(f, H, "volumes/w/attachments/h"), -EINVAL);
	assert_int_equal(fixture_rename(f, H, "hosts/x"), -EINVAL);
	assert_int_equal(fixture_rename(f, H, A "-x"), -EINVAL);
	expect_unchanged(f);
	assert_int_equal(fixture_write(f, "hosts/i/fenced", "1\n"), 0);
	assert_int_equal(fixture_rename(f, H, I), -EPERM);
	expect_unchanged(f);
	assert_int_equal(fixture_write(f, "hosts/i/fenced", "0\n"), 0);
	fixture_attach(f, I, "rw\n");
	assert_int_equal(fixture_rename(f, H, I "/h"), -EEXIST);
	assert_int_equal(fixture_write(f, I "/fenced", "1\n"), 0);
	assert_int_equal(fixture_rename(f, H, I "/h"), -EPERM);
	assert_int_equal(fixture_rename(f, H, I "/x"), -EINVAL);
	expect_unchanged(f);
	/* The same machine under another name. */
	assert_int_equal(fixture_mkdir(f, A "twin"), 0);
	assert_int_equal(fixture_write(f, A "twin/initiator", IQN("k") "\n"), 0);
	fixture_attach(f, A "twin", "ro\n");
	assert_int_equal(fixture_rename(f, H, A "k"), -EBUSY);
	expect_unchanged(f);
}

static void test_refused_while_it_is_at_work(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport delay 60000\n");
	call = fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
	assert_int_equal(fixture_rename(f, H, I), -EBUSY);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_false(fixture_exists(f, I));
}

/* ---- until a is provably out, b has nothing ---- */

static void test_nothing_for_b_before(void **state)
{
	struct fixture *f = *state;
	struct call *call, *again, *fence;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	call = fixture_begin_rename(f, H, I);
	fixture_await(f, H "/status", "fencing\n");
	again = fixture_begin_rename(f, H, I);
	fence = fixture_begin_write(f, H "/fenced", "1\n");
	assert_int_equal(fixture_wait(fence, 50), UNANSWERED);
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	assert_int_equal(fixture_wait(again, 0), UNANSWERED);
	assert_false(fixture_exists(f, I));
	assert_int_equal(fixture_rename(f, H, A "k"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, H), -EBUSY);
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), -EBUSY);
	/* It is fenced for itself as far as that goes, and what was asked first goes on. */
	fixture_faults(f, "probe delay 60000\n");
	assert_int_equal(fixture_wait(fence, PATIENCE_MS), 0);
	fixture_await(f, I "/status", "attaching\n");
	assert_false(fixture_exists(f, H));
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(again, PATIENCE_MS), 0);
	expect_done(f, "rw " IQN("i") "\n");
}

static void test_a_fence_that_fails_is_tried_again(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence wrong\n");
	assert_int_equal(fixture_rename(f, H, I), -EIO);
	fixture_expect(f, H "/status", "fencing\n");
	fixture_expect_in(fixture_read(f, H "/last_error"), "still admitted");
	assert_false(fixture_exists(f, I));
	fixture_faults(f, "");
	fixture_await_gone(f, H);
	fixture_await(f, I "/status", "attached\n");
}

static void test_it_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	assert_int_equal(fixture_rename(f, H, I), -ETIMEDOUT);
	fixture_expect(f, H "/status", "fencing\n");
	call = fixture_begin_rename(f, H, I);
	assert_int_equal(fixture_wait(call, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_not_equal(fixture_wait(call, PATIENCE_MS), UNANSWERED);
	fixture_await(f, I "/status", "attached\n");
	assert_false(fixture_exists(f, H));
}

static void test_it_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "ro\n");
	fixture_faults(f, "fence fail EIO\n");
	assert_int_equal(fixture_rename(f, H, I), -EIO);
	fixture_stop(f);
	fixture_start(f, true);
	fixture_expect(f, H "/status", "fencing\n");
	assert_false(fixture_exists(f, I));
	fixture_faults(f, "probe fail EAGAIN\n");
	fixture_await_gone(f, H);
	fixture_stop(f);
	fixture_faults(f, "");
	fixture_start(f, true);
	fixture_await(f, I "/status", "attached\n");
	fixture_expect(f, I "/mode", "ro\n");
	fixture_await_exports(f, "ro " IQN("i") "\n");
}

/* ---- if b cannot be attached a is out all the same, and b says why ---- */

static void test_b_fails(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "ro\n");
	fixture_faults(f, "probe wrong\n");
	assert_int_equal(fixture_rename(f, H, I), -EIO);
	assert_false(fixture_exists(f, H));
	fixture_expect(f, I "/status", "error\n");
	fixture_expect_in(fixture_read(f, I "/last_error"), "probe");
	fixture_expect(f, I "/mode", "");
	assert_string_equal(fixture_exports(f), "");
	fixture_faults(f, "");
	assert_int_equal(fixture_write(f, I "/mode", "ro\n"), 0);
	expect_done(f, "ro " IQN("i") "\n");
}

/* Meanwhile it has become impossible by the rules. */
static void test_b_is_fenced_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "ro\n");
	fixture_faults(f, "fence delay 60000\n");
	call = fixture_begin_rename(f, H, I);
	fixture_await(f, H "/status", "fencing\n");
	assert_int_equal(fixture_write(f, "hosts/i/fenced", "1\n"), 0);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EPERM);
	assert_false(fixture_exists(f, H));
	fixture_expect(f, I "/status", "error\n");
	fixture_expect(f, I "/mode", "");
	fixture_expect_in(fixture_read(f, I "/last_error"), "host i is fenced");
	assert_string_equal(fixture_exports(f), "");
	assert_int_equal(fixture_unsettled(f), 0);
	assert_int_equal(fixture_write(f, "hosts/i/fenced", "0\n"), 0);
	assert_int_equal(fixture_write(f, I "/mode", "ro\n"), 0);
	expect_done(f, "ro " IQN("i") "\n");
}

/* A reader with a live session cannot be switched: it reads on, and can be promoted later. */
static void test_b_is_busy_reading(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "ro\n");
	fixture_faults(f, "sessions " IQN("i") " 192.0.2.8\n");
	assert_int_equal(fixture_rename(f, H, I "/h"), -EBUSY);
	assert_false(fixture_exists(f, H));
	fixture_expect(f, I "/status", "attached\n");
	fixture_expect(f, I "/mode", "ro\n");
	fixture_expect(f, I "/effective_mode", "ro\n");
	fixture_expect_in(fixture_read(f, I "/last_error"), "192.0.2.8");
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\n");
	fixture_faults(f, "");
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), 0);
	expect_done(f, "rw " IQN("i") "\n");
}

/* ---- with a host's fence ---- */

static void test_a_fenced_host_fails_over(void **state)
{
	struct fixture *f = *state;
	struct call *mv, *fence;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	mv = fixture_begin_rename(f, H, I);
	fixture_await(f, H "/status", "fencing\n");
	fence = fixture_begin_write(f, "hosts/h/fenced", "1\n");
	assert_int_equal(fixture_wait(fence, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(fence, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(mv, PATIENCE_MS), 0);
	fixture_expect(f, "hosts/h/fenced", "1\n");
	expect_done(f, "rw " IQN("i") "\n");
	assert_int_equal(fixture_rename(f, I, H), -EPERM);
	assert_int_equal(fixture_write(f, "hosts/h/fenced", "0\n"), 0);
	assert_int_equal(fixture_rename(f, I, H), 0);
}

#define PATIENT(test)	cmocka_unit_test_setup_teardown(test, fixture_setup_patient, fixture_teardown)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup_impatient, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATIENT(test_it_fails_over),
		PATIENT(test_the_default_mode_goes_along),
		PATIENT(test_a_volume_for_one_host),
		PATIENT(test_one_writer_at_a_time),
		PATIENT(test_the_owner_stays),
		PATIENT(test_to_one_that_is_reserved),
		PATIENT(test_to_a_reader),
		PATIENT(test_from_one_that_is_fenced),
		PATIENT(test_from_one_that_failed),
		PATIENT(test_a_reservation_is_only_renamed),
		PATIENT(test_refused_before_anything_happens),
		PATIENT(test_refused_while_it_is_at_work),
		PATIENT(test_nothing_for_b_before),
		PATIENT(test_a_fence_that_fails_is_tried_again),
		IMPATIENT(test_it_times_out_and_goes_on),
		PATIENT(test_it_goes_on_after_a_restart),
		PATIENT(test_b_fails),
		PATIENT(test_b_is_fenced_meanwhile),
		PATIENT(test_b_is_busy_reading),
		PATIENT(test_a_fenced_host_fails_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
