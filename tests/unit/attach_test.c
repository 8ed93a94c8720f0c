/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attach, switch, detach and purge through the worker, with faults that the driver injects. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define H	"volumes/v/attachments/h"
#define I	"volumes/v/attachments/i"
#define IQN(host) "iqn.2026-11.test:" host

/* ---- what works ---- */

static void test_attach_and_detach(void **state)
{
	struct fixture *f = *state;
	const char *secret;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "ro\n");
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\nrw " IQN("h") "\n");
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/effective_mode", "rw\n");
	fixture_expect(f, I "/effective_mode", "ro\n");
	fixture_expect(f, I "/connection/auth_method", "CHAP\n");
	fixture_expect(f, "volumes/v/status", "in-use\n");
	secret = fixture_read(f, I "/connection/auth_password");
	assert_int_equal(strlen(secret), 33);
	assert_string_not_equal(secret, fixture_read(f, H "/connection/auth_password"));
	assert_int_equal(fixture_rmdir(f, H), 0);
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\n");
	fixture_expect(f, I "/connection/auth_password", secret);
	fixture_expect(f, I "/status", "attached\n");
	fixture_expect(f, "volumes/v/status", "in-use\n");
	assert_int_equal(fixture_rmdir(f, I), 0);
	assert_string_equal(fixture_exports(f), "");
	fixture_expect(f, "volumes/v/status", "available\n");
	assert_null(strstr(fixture_events(f), secret));
}

/* A host that was detached keeps its secret, and it is worth nothing. */
static void test_secret_is_never_used_twice(void **state)
{
	struct fixture *f = *state;
	const char *user, *secret, *id;

	fixture_attach(f, H, "rw\n");
	user = fixture_read(f, H "/connection/auth_username");
	secret = fixture_read(f, H "/connection/auth_password");
	id = fixture_read(f, H "/id");
	assert_int_equal(fixture_rmdir(f, H), 0);
	fixture_attach(f, H, "rw\n");
	assert_string_not_equal(fixture_read(f, H "/connection/auth_username"), user);
	assert_string_not_equal(fixture_read(f, H "/connection/auth_password"), secret);
	assert_string_not_equal(fixture_read(f, H "/id"), id);
}

/* Tools that compare before they write must find a difference until it is attached. */
static void test_mode_is_empty_until_attached(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_expect(f, H "/mode", "");
	fixture_faults(f, "export fail EIO\n");
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EIO);
	fixture_expect(f, H "/status", "error\n");
	fixture_expect(f, H "/mode", "");
	fixture_faults(f, "");
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), 0);
	fixture_expect(f, H "/mode", "rw\n");
}

static void test_switch_in_place(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw");
	fixture_attach(f, H, "ro");
	assert_string_equal(fixture_exports(f), "ro " IQN("h") "\n");
	fixture_expect(f, H "/mode", "ro");
	fixture_expect(f, H "/effective_mode", "ro\n");
	fixture_attach(f, H, "\n"); /* the default */
	fixture_expect(f, H "/mode", "\n");
	fixture_expect(f, H "/effective_mode", "rw\n");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
}

static void test_same_mode_is_a_no_op(void **state)
{
	struct fixture *f = *state;
	const char *generation;

	fixture_attach(f, H, "ro\n");
	generation = fixture_read(f, H "/generation");
	fixture_faults(f, "* fail EIO\n");
	fixture_attach(f, H, "ro\n");
	fixture_attach(f, H, " ro");
	fixture_expect(f, H "/mode", " ro");
	fixture_expect(f, H "/generation", generation);
	fixture_expect(f, H "/status", "attached\n");
}

/* ---- refusals that need no backend ---- */

static void test_no_initiator(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/stranger"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/attachments/stranger/mode", "rw\n"),
			 -EDESTADDRREQ);
	fixture_expect(f, "volumes/v/attachments/stranger/status", "reserved\n");
	fixture_expect_in(fixture_read(f, "volumes/v/attachments/stranger/last_error"),
			  "initiator");
}

static void test_one_initiator_is_one_host(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_mkdir(f, I), 0);
	assert_int_equal(fixture_write(f, I "/initiator", "IQN.2026-11.Test:H\n"), 0);
	assert_int_equal(fixture_write(f, I "/mode", "ro\n"), -EBUSY);
	fixture_expect_in(fixture_read(f, I "/last_error"), "attachment h");
	fixture_expect(f, I "/status", "reserved\n");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
}

static void test_max_writers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "1\n"), 0);
	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_mkdir(f, I), 0);
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), -EBUSY);
	fixture_expect_in(fixture_read(f, I "/last_error"), "max_writers");
	fixture_attach(f, I, "ro\n");
	assert_int_equal(fixture_write(f, I "/mode", "rw\n"), -EBUSY);
	fixture_expect(f, I "/effective_mode", "ro\n");
	fixture_expect(f, I "/mode", "ro\n");
	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "0\n"), 0);
	fixture_attach(f, I, "rw\n");
	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "1\n"), -EBUSY);
	fixture_expect(f, "volumes/v/max_writers", "0\n");
}

/* ---- the backend fails ---- */

static void test_failed_probe_withdraws(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, I, "rw\n");
	fixture_faults(f, "probe wrong\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "ro\n"), -EIO);
	assert_string_equal(fixture_exports(f), "rw " IQN("i") "\n");
	fixture_expect(f, H "/status", "error\n");
	fixture_expect(f, H "/effective_mode", "");
	fixture_expect(f, "volumes/v/status", "in-use\n");
	fixture_expect_in(fixture_read(f, H "/last_error"), "probe");
	fixture_faults(f, "");
	fixture_attach(f, H, "ro\n");
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/last_error", "");
}

static void test_failed_export(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "export fail EACCES\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EACCES);
	fixture_expect(f, H "/status", "error\n");
	fixture_expect(f, "volumes/v/status", "reserved\n");
	assert_int_equal(fixture_rmdir(f, H), 0);
	fixture_expect(f, "volumes/v/status", "available\n");
}

/* Withdrawing may fail too: who is in `error` must not keep an export for ever. */
static void test_withdrawal_is_not_forgotten(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "probe wrong\nunexport fail EIO once\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -EIO);
	fixture_expect(f, H "/effective_mode", "");
	fixture_await_exports(f, "");
}

/* A switch from rw to ro whose first half fails: what is shown must be what there is. */
static void test_failed_switch_shows_what_is(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport fail EIO\n");
	assert_int_equal(fixture_write(f, H "/mode", "ro\n"), -EIO);
	if (!strcmp(fixture_exports(f), "rw " IQN("h") "\n"))
		fixture_expect(f, H "/effective_mode", "rw\n");
}

/* After such a failure the other mode must not be granted beside the old one. */
static void test_failed_switch_leaves_one_export(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "probe wrong\n");
	assert_int_equal(fixture_write(f, H "/mode", "ro\n"), -EIO);
	assert_string_equal(fixture_exports(f), "");
	fixture_expect(f, H "/status", "error\n");
	fixture_expect(f, H "/effective_mode", "");
	fixture_faults(f, "");
	fixture_attach(f, H, "rw\n");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
}

/* The driver's "not yet" is no answer: the same call is made again. */
static void test_passing_failures_are_repeated(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "probe fail ETIMEDOUT once\n");
	fixture_attach(f, H, "rw\n");
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/last_error", "");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
	fixture_expect_in(fixture_events(f), "\"event\":\"postponed\"");
}

static void test_failed_unexport_is_answered_and_repeated(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport fail EIO\n");
	assert_int_equal(fixture_rmdir(f, H), -EIO);
	fixture_expect(f, H "/status", "detaching\n");
	fixture_expect(f, "volumes/v/status", "detaching\n");
	fixture_expect_in(fixture_read(f, H "/last_error"), "unexport");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
	fixture_faults(f, "");
	fixture_await_gone(f, H);
	assert_string_equal(fixture_exports(f), "");
	fixture_await_settled(f);
}

static void test_purge_is_repeated(void **state)
{
	struct fixture *f = *state;
	uint64_t number;
	struct ref v;

	assert_int_equal(fixture_ref(f, "volumes/v", &v), 0);
	number = v.object;
	fixture_faults(f, "purge fail EBUSY\n");
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	assert_false(fixture_exists(f, "volumes/v"));
	assert_string_equal(fixture_list(f, "docks/mem/pools/many/volumes"), "");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "1073741824\n");
	/* The name is free at once, for another volume. */
	fixture_volume(f, "v", false, "many", "1G\n");
	assert_int_equal(fixture_ref(f, "volumes/v", &v), 0);
	assert_int_not_equal(v.object, number);
	assert_int_equal(fixture_unsettled(f), 1);
	fixture_faults(f, "");
	fixture_await_settled(f);
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "1073741824\n");
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_expect_in(fixture_events(f), "\"event\":\"purged\"");
}

static void test_failed_provision(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "provision fail ENOSPC\n");
	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	assert_int_equal(fixture_write(f, "volumes/u/size", "1G\n"), -ENOSPC);
	fixture_expect(f, "volumes/u/status", "new\n");
	fixture_expect(f, "volumes/u/size", "0\n");
	fixture_expect(f, "docks/mem/pools/one/provisioned_capacity", "0\n");
	fixture_faults(f, "extend fail EIO\n");
	assert_int_equal(fixture_write(f, "volumes/u/size", "1G\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/u/size", "2G\n"), -EIO);
	fixture_expect(f, "volumes/u/size", "1G\n");
	fixture_expect(f, "docks/mem/pools/one/provisioned_capacity", "1073741824\n");
}

/* ---- sessions ---- */

static void test_session_blocks_detach(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\n");
	assert_int_equal(fixture_rmdir(f, H), -EBUSY);
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect_in(fixture_read(f, H "/last_error"), IQN("h"));
	fixture_expect_in(fixture_read(f, H "/last_error"), "192.0.2.7");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
	assert_int_equal(fixture_unsettled(f), 0);
	fixture_faults(f, "");
	assert_int_equal(fixture_rmdir(f, H), 0);
}

static void test_session_blocks_switch(void **state)
{
	static const char *const before[] = {"rw", "rw\n", " rw \n", "\n"};
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H), 0);
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		fixture_attach(f, H, before[i]);
		fixture_faults(f, "sessions " IQN("h") "\n");
		assert_int_equal(fixture_write(f, H "/mode", "ro"), -EBUSY);
		fixture_expect(f, H "/mode", before[i]);
		fixture_expect(f, H "/effective_mode", "rw\n");
		fixture_expect(f, H "/status", "attached\n");
		fixture_expect_in(fixture_read(f, H "/last_error"), IQN("h"));
		assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
		fixture_faults(f, "");
	}
}

/* There was none when the switch was asked for, and there is one when it is done. */
static void test_session_blocks_a_late_switch(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport fail EAGAIN\n");
	call = fixture_begin_write(f, H "/mode", "ro\n");
	fixture_await(f, H "/last_error",
		      "unexport: injected failure: Resource temporarily unavailable\n");
	fixture_faults(f, "sessions " IQN("h") "\n");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EBUSY);
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/mode", "rw\n");
	fixture_await_exports(f, "rw " IQN("h") "\n");
}

/* A switch that the session forbids is under way when the rmdir comes: still forbidden. */
static void test_session_blocks_detach_during_switch(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport delay 60000\n");
	fixture_begin_write(f, H "/mode", "ro\n");
	fixture_await(f, H "/status", "attaching\n");
	fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\nunexport delay 60000\n");
	call = fixture_begin_rmdir(f, H);
	core_flush(f->core);
	fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\n");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EBUSY);
	fixture_await_exports(f, "rw " IQN("h") "\n");
}

static void test_session_of_another_host_is_none(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_attach(f, I, "rw\n");
	fixture_faults(f, "sessions " IQN("i") "\n");
	assert_int_equal(fixture_rmdir(f, H), 0);
	assert_int_equal(fixture_rmdir(f, I), -EBUSY);
	fixture_expect(f, I "/status", "attached\n");
}

static void test_sessions_are_shown(void **state)
{
	struct fixture *f = *state;
	const char *lines;
	struct call *call;
	int end = 0;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "sessions " IQN("h") " 192.0.2.7\n");
	call = fixture_prepare_write(f, H "/sessions", "");
	core_query(f->core, &call->intent);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	lines = fixture_read(f, H "/sessions");
	/* Since the injected session is there: when the control file was written. */
	assert_int_equal(sscanf(lines, IQN("h") " 192.0.2.7 20%*2d-%*2d-%*2dT%*2d:%*2d:%*6fZ%n", &end),
			 0);
	assert_int_equal(end, strlen(lines) - 1);
	assert_int_equal(lines[end], '\n');
	fixture_faults(f, "sessions fail EIO\n");
	call = fixture_prepare_write(f, H "/sessions", "");
	core_query(f->core, &call->intent);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
}

/* ---- time ---- */

static void test_attach_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_faults(f, "export delay 60000\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), -ETIMEDOUT);
	fixture_expect(f, H "/status", "attaching\n");
	fixture_expect(f, "volumes/v/status", "attaching\n");
	fixture_expect(f, H "/generation", "1\n");
	call = fixture_begin_write(f, H "/mode", "rw\n");
	assert_int_equal(fixture_wait(call, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/generation", "1\n");
	assert_string_equal(fixture_exports(f), "rw " IQN("h") "\n");
}

static void test_detach_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;

	fixture_attach(f, H, "rw\n");
	fixture_faults(f, "unexport delay 60000\n");
	assert_int_equal(fixture_rmdir(f, H), -ETIMEDOUT);
	fixture_expect(f, H "/status", "detaching\n");
	assert_int_equal(fixture_rmdir(f, H), -ETIMEDOUT);
	fixture_faults(f, "");
	fixture_await_gone(f, H);
	assert_string_equal(fixture_exports(f), "");
}

static void test_provision_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "provision delay 60000\n");
	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	assert_int_equal(fixture_write(f, "volumes/u/size", "1G\n"), -ETIMEDOUT);
	fixture_expect(f, "volumes/u/status", "creating\n");
	fixture_faults(f, "");
	fixture_await(f, "volumes/u/status", "available\n");
	assert_int_equal(fixture_write(f, "volumes/u/size", "1G\n"), 0);
}

/* The slow backend comes back after the rmdir: nothing of the attach may be left. */
static void test_detach_during_attach(void **state)
{
	struct fixture *f = *state;
	struct call *attaching, *call;

	fixture_faults(f, "export delay 60000\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	attaching = fixture_begin_write(f, H "/mode", "rw\n");
	fixture_await(f, H "/status", "attaching\n");
	call = fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_not_equal(fixture_wait(attaching, PATIENCE_MS), UNANSWERED);
	assert_false(fixture_exists(f, H));
	assert_string_equal(fixture_exports(f), "");
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_attach(f, H, "ro\n");
	assert_string_equal(fixture_exports(f), "ro " IQN("h") "\n");
}

/* One host's slow attach keeps no other volume waiting. */
static void test_slow_volume_is_alone(void **state)
{
	struct fixture *f = *state;
	struct call *slow;

	fixture_volume(f, "w", false, NULL, "1G\n");
	assert_int_equal(fixture_mkdir(f, "volumes/w/attachments/h"), 0);
	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_faults(f, "purge delay 60000\n");
	fixture_volume(f, "x", false, NULL, "1G\n");
	assert_int_equal(fixture_rmdir(f, "volumes/x"), 0);
	slow = fixture_begin_write(f, "volumes/w/attachments/h/mode", "rw\n");
	fixture_attach(f, H, "rw\n");
	assert_int_equal(fixture_wait(slow, PATIENCE_MS), 0);
	assert_int_equal(fixture_unsettled(f), 1);
}

#define PATIENT(test)	cmocka_unit_test_setup_teardown(test, fixture_setup_patient, fixture_teardown)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, fixture_setup_impatient, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATIENT(test_attach_and_detach),
		PATIENT(test_secret_is_never_used_twice),
		PATIENT(test_mode_is_empty_until_attached),
		PATIENT(test_switch_in_place),
		PATIENT(test_same_mode_is_a_no_op),
		PATIENT(test_no_initiator),
		PATIENT(test_one_initiator_is_one_host),
		PATIENT(test_max_writers),
		PATIENT(test_failed_probe_withdraws),
		PATIENT(test_failed_export),
		PATIENT(test_withdrawal_is_not_forgotten),
		PATIENT(test_failed_switch_shows_what_is),
		PATIENT(test_failed_switch_leaves_one_export),
		PATIENT(test_passing_failures_are_repeated),
		PATIENT(test_failed_unexport_is_answered_and_repeated),
		PATIENT(test_purge_is_repeated),
		PATIENT(test_failed_provision),
		PATIENT(test_session_blocks_detach),
		PATIENT(test_session_blocks_switch),
		PATIENT(test_session_blocks_a_late_switch),
		PATIENT(test_session_blocks_detach_during_switch),
		PATIENT(test_session_of_another_host_is_none),
		PATIENT(test_sessions_are_shown),
		IMPATIENT(test_attach_times_out_and_goes_on),
		IMPATIENT(test_detach_times_out_and_goes_on),
		IMPATIENT(test_provision_times_out_and_goes_on),
		PATIENT(test_detach_during_attach),
		PATIENT(test_slow_volume_is_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
