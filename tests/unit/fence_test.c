/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing through the worker, with a driver that hangs, fails, and cannot prove what it did. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define H	"volumes/v/attachments/h"
#define I	"volumes/v/attachments/i"
#define IQN(host) "iqn.2026-11.test:" host

/* Nothing says that it is fenced while that is not proved. */
static void expect_unproved(struct fixture *f)
{
	fixture_expect(f, H "/status", "fencing\n");
	fixture_expect(f, H "/fenced", "0\n");
	fixture_expect(f, "volumes/v/status", "detaching\n");
	assert_null(strstr(fixture_events(f), "\"event\":\"fenced\""));
}

/* ---- what works ---- */

static void test_a_session_does_not_prevent_it(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\n");
	assert_int_equal(fixture_rmdir(f, H), -EBUSY);
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_expect(f, H "/fenced", "1\n");
	fixture_expect(f, H "/status", "fenced\n");
	fixture_expect(f, H "/effective_mode", "");
	fixture_expect(f, H "/sessions", "");
	fixture_expect(f, H "/connection/auth_username", "");
	fixture_expect(f, H "/connection/auth_password", "");
	fixture_expect(f, H "/initiator", IQN("h") "\n");
	fixture_expect(f, "volumes/v/status", "reserved\n");
	assert_string_equal(fixture_exports(f), "");
	assert_int_equal(fixture_unsettled(f), 0);
	fixture_expect_in(fixture_events(f), "\"event\":\"fenced\"");
}

static void test_it_holds_until_it_is_taken_back(void **state)
{
	struct fixture *f = *state;
	const char *secret;

	fixture_attach(f, H, "rw\n");
	secret = fixture_read(f, H "/connection/auth_password");
	assert_int_equal(fixture_write(f, H "/fenced", " yes"), 0);
	fixture_expect(f, H "/fenced", " yes");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_write(f, H "/mode", i ? "ro\n" : "rw\n"), -EPERM);
		fixture_expect_in(fixture_read(f, H "/last_error"), "echo 0 > fenced");
	}
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	fixture_expect(f, H "/status", "reserved\n");
	fixture_attach(f, H, "rw\n");
	assert_string_not_equal(fixture_read(f, H "/connection/auth_password"), secret);
	fixture_expect(f, H "/fenced", "0\n");
}

static void test_others_are_not_disturbed(void **state)
{
	struct fixture *f = *state;
	const char *generation, *secret;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "ro\n");
	generation = fixture_read(f, I "/generation");
	secret = fixture_read(f, I "/connection/auth_password");
	fixture_faults(f, "sessions " IQN("h") "\nsessions " IQN("i") "\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\n");
	fixture_expect(f, I "/status", "attached\n");
	fixture_expect(f, I "/generation", generation);
	fixture_expect(f, I "/connection/auth_password", secret);
	fixture_expect(f, "volumes/v/status", "in-use\n");
	assert_int_equal(fixture_rmdir(f, I), -EBUSY); /* its session is still there */
}

static void test_what_is_fenced_can_be_removed(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_faults(f, "* fail EIO\n"); /* no backend is needed any more */
	assert_int_equal(fixture_rmdir(f, H), 0);
	assert_false(fixture_exists(f, H));
	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_expect(f, H "/fenced", "0\n");
}

/* A volume for one host is held by a fenced one too: it may come back. */
static void test_what_is_fenced_holds_the_volume(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "one", false, "one", "1G\n");
	fixture_attach(f, "volumes/one/attachments/h", "rw\n");
	assert_int_equal(fixture_write(f, "volumes/one/attachments/h/fenced", "1\n"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/one/attachments/i"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "volumes/one"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "volumes/one/attachments/h"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/one/attachments/i"), 0);
}

/* One writer, many readers: the place of a fenced writer is free. */
static void test_a_reader_is_promoted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "1\n"), 0);
	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "ro\n");
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), -EBUSY);
	fixture_faults(f, "fence fail EIO\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), -EIO);
	/* It may still be writing. */
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), -EBUSY);
	fixture_expect(f, I "/effective_mode", "ro\n");
	fixture_faults(f, "");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), 0);
	fixture_expect(f, I "/effective_mode", "rw\n");
	/* And taken, for the one that comes back. */
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EBUSY);
	assert_string_equal(fixture_exports(f), "rw " IQN("i") "\n");
}

/* ---- what is not proved is not done ---- */

static void test_no_proof_no_fence(void **state)
{
	static const struct {
		const char *rules;
		int result;
	} faults[] = {{"fence wrong\n", -EIO},
		      {"fence fail EIO\n", -EIO},
		      {"fence fail ECONNREFUSED\n", -ECONNREFUSED}};
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		fixture_faults(f, faults[i].rules);
		assert_int_equal(fixture_write(f, H "/fenced", "1"), faults[i].result);
		expect_unproved(f);
		fixture_expect_in(fixture_read(f, H "/last_error"),
				  i ? "injected failure" : "still admitted");
		assert_int_equal(fixture_unsettled(f), 1);
		assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EPERM);
		assert_int_equal(fixture_write(f, H "/fenced", "0\n"), -EBUSY);
		expect_unproved(f);
	}
	fixture_expect_in(fixture_events(f), "\"event\":\"postponed\"");
	/* It is tried again without being told to. */
	fixture_faults(f, "");
	fixture_await(f, H "/status", "fenced\n");
	fixture_expect(f, H "/fenced", "1");
	fixture_expect(f, H "/last_error", "");
}

static void test_it_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), -ETIMEDOUT);
	expect_unproved(f);
	call = fixture_begin_write(f, H "/fenced", "1\n");
	assert_int_equal(fixture_wait(call, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, H "/status", "fenced\n");
}

static void test_a_passing_failure_is_waited_out(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence fail EAGAIN once\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_string_equal(fixture_exports(f), "");
}

static void test_rmdir_waits_for_the_proof(void **state)
{
	struct fixture *f = *state;
	struct call *fence, *remove;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "fence delay 60000\nsessions " IQN("h") "\n");
	fence = fixture_begin_write(f, H "/fenced", "1\n");
	fixture_await(f, H "/status", "fencing\n");
	remove = fixture_begin_rmdir(f, H);
	assert_int_equal(fixture_wait(remove, 50), UNANSWERED);
	assert_true(fixture_exists(f, H));
	fixture_faults(f, "sessions " IQN("h") "\n");
	assert_int_equal(fixture_wait(fence, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(remove, PATIENCE_MS), 0);
	assert_false(fixture_exists(f, H));
	fixture_expect(f, "volumes/v/status", "available\n");
}

/* ---- whatever goes on at the moment ---- */

static void test_it_overtakes_a_slow_attach(void **state)
{
	struct fixture *f = *state;
	struct call *attaching, *fence;

	fixture_faults(f, "export delay 60000\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	attaching = fixture_begin_write(f, H "/mode", "rw\n");
	fixture_await(f, H "/status", "attaching\n");
	fence = fixture_begin_write(f, H "/fenced", "1\n");
	fixture_await(f, H "/status", "fencing\n");
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(fence, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(attaching, PATIENCE_MS), -ECANCELED);
	assert_string_equal(fixture_exports(f), "");
	fixture_expect(f, H "/status", "fenced\n");
}

static void test_it_overtakes_a_detach(void **state)
{
	struct fixture *f = *state;
	struct call *detaching, *fence;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport delay 60000\n");
	detaching = fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
	fence = fixture_begin_write(f, H "/fenced", "1\n");
	core_flush(f->core);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(fence, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(detaching, PATIENCE_MS), -ECANCELED);
	fixture_expect(f, H "/status", "fenced\n");
}

/* A failed switch may have left either mode, and a failed withdrawal anything. */
static void test_it_clears_what_a_failure_has_left(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "probe wrong\nunexport fail EIO\nlist_exports fail EIO\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EIO);
	fixture_expect(f, H "/status", "error\n");
	fixture_faults(f, "unexport fail EIO\n");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_string_equal(fixture_exports(f), "");
}

static void test_a_reservation_is_fenced_at_once(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "* fail EIO\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_expect(f, H "/status", "fenced\n");
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EPERM);
}

/* ---- attachfs and the backend are started again ---- */

static void test_it_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "rw\n");
	fixture_faults(f, "fence fail EIO\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1"), -EIO);
	fixture_stop(f);
	fixture_start(f, true);
	fixture_expect(f, H "/status", "fencing\n");
	fixture_expect(f, H "/fenced", "0\n");
	fixture_faults(f, "");
	fixture_await(f, H "/status", "fenced\n");
	fixture_expect(f, H "/fenced", "1");
	fixture_await_exports(f, "rw " IQN("i") "\n");
}

/* What is applied again after the backend lost it is not what was fenced. */
static void test_a_restarted_backend_does_not_let_it_in(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "rw\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_faults(f, "restart\nexport fail EIO\n");
	fixture_await_exports(f, "");
	fixture_faults(f, "");
	fixture_await_exports(f, "rw " IQN("i") "\n");
	fixture_expect(f, H "/status", "fenced\n");
}

#define PATIENT(test)	cmocka_unit_test_setup_teardown(test, fixture_setup_patient, fixture_teardown)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup_impatient, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATIENT(test_a_session_does_not_prevent_it),
		PATIENT(test_it_holds_until_it_is_taken_back),
		PATIENT(test_others_are_not_disturbed),
		PATIENT(test_what_is_fenced_can_be_removed),
		PATIENT(test_what_is_fenced_holds_the_volume),
		PATIENT(test_a_reader_is_promoted),
		PATIENT(test_no_proof_no_fence),
		IMPATIENT(test_it_times_out_and_goes_on),
		PATIENT(test_a_passing_failure_is_waited_out),
		PATIENT(test_rmdir_waits_for_the_proof),
		PATIENT(test_it_overtakes_a_slow_attach),
		PATIENT(test_it_overtakes_a_detach),
		PATIENT(test_it_clears_what_a_failure_has_left),
		PATIENT(test_a_reservation_is_fenced_at_once),
		PATIENT(test_it_goes_on_after_a_restart),
		PATIENT(test_a_restarted_backend_does_not_let_it_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
