/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking for sessions before a change: who is asked, what a refusal leaves, and no answer. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define IQN(host) "iqn.2026-11.test:" host
#define H	  "volumes/v/attachments/h"
#define I	  "volumes/v/attachments/i"
#define SESSION(host) "sessions " IQN(host) " 192.0.2.7\n"

static int setup_with(void **state, unsigned timeout_ms)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	f->attach_timeout_ms = 0;
	f->detach_timeout_ms = timeout_ms;
	fixture_default_dock(f);
	fixture_start(f, true);
	fixture_host(f, "h");
	fixture_host(f, "i");
	fixture_volume(f, "v", true, "many", "1G\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_mkdir(f, I), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), 0);
	assert_int_equal(fixture_write(f, I "/mode", "ro\n"), 0);
	fixture_await_settled(f);
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, 0);
}

static int setup_impatient(void **state)
{
	return setup_with(state, 600);
}

/* Everything about the two attachments and their volume that a change would show in. */
static const char *picture(struct fixture *f)
{
	static const char *const paths[] = {
		H "/generation", H "/status", H "/mode", H "/updated_at", H "/connection/auth_password",
		I "/generation", I "/status", I "/updated_at", "volumes/v/status",
		"volumes/v/updated_at", "volumes/v/metadata/k"};
	static char all[2][2048];
	static unsigned turn;
	char *out = all[turn++ % 2];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		n += (size_t)snprintf(out + n, sizeof(all[0]) - n, "%s", fixture_read(f, paths[i]));
	return out;
}

/* rmdir or unlink by somebody who removes all of `whole`. */
static struct call *begin_remove(struct fixture *f, const char *dir, const char *name,
				 const char *whole)
{
	struct call *call = fixture_prepare_write(f, whole, "");

	call->intent.op = INTENT_REMOVE;
	call->intent.whole = call->intent.subject.object;
	assert_int_equal(fixture_ref(f, dir, &call->intent.subject), 0);
	text_copy(call->intent.name, sizeof(call->intent.name), text_of(name));
	core_submit(f->core, &call->intent);
	return call;
}

static void test_refusal_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const char *before;

	assert_int_equal(fixture_mkdir(f, "volumes/v/metadata/k"), 0);
	fixture_faults(f, SESSION("h"));
	before = picture(f);
	assert_int_equal(fixture_rmdir(f, H), -EBUSY);
	fixture_expect_in(fixture_read(f, H "/last_error"), IQN("h") " has a live session from 192.0.2.7");
	assert_int_equal(fixture_write(f, H "/mode", "ro\n"), -EBUSY);
	assert_string_equal(picture(f), before);
	/* the same mode is no switch, and nobody else's session counts */
	assert_int_equal(fixture_write(f, H "/mode", "rw"), 0);
	assert_int_equal(fixture_rmdir(f, I), 0);
}

static void test_whole_volume(void **state)
{
	struct fixture *f = *state;
	const char *before;

	assert_int_equal(fixture_mkdir(f, "volumes/v/metadata/k"), 0);
	fixture_faults(f, SESSION("i"));
	before = picture(f);
	assert_int_equal(fixture_wait(begin_remove(f, "volumes/v/attachments", "h", "volumes/v"),
				      PATIENCE_MS),
			 -EBUSY);
	assert_int_equal(fixture_wait(begin_remove(f, "volumes/v/metadata", "k", "volumes/v"),
				      PATIENCE_MS),
			 -EBUSY);
	assert_string_equal(picture(f), before);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), IQN("i"));
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(begin_remove(f, "volumes/v/metadata", "k", "volumes/v"),
				      PATIENCE_MS),
			 0);
	assert_int_equal(fixture_wait(begin_remove(f, "volumes/v/attachments", "h", "volumes/v"),
				      PATIENCE_MS),
			 0);
	assert_int_equal(fixture_wait(begin_remove(f, "volumes/v/attachments", "i", "volumes/v"),
				      PATIENCE_MS),
			 0);
	fixture_await_exports(f, "");
}

static void test_keys_of_attachment(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H "/metadata/k"), 0);
	fixture_faults(f, SESSION("h"));
	assert_int_equal(fixture_wait(begin_remove(f, H "/metadata", "k", H), PATIENCE_MS), -EBUSY);
	assert_true(fixture_exists(f, H "/metadata/k"));
	/* whoever removes nothing but the key may */
	assert_int_equal(fixture_rmdir(f, H "/metadata/k"), 0);
}

/* No answer in half the time: the change is made, and the worker goes on with it. */
static void test_no_answer(void **state)
{
	struct fixture *f = *state;
	int64_t start = monotonic_ms();

	fixture_faults(f, "sessions delay 60000\n");
	assert_int_equal(fixture_rmdir(f, H), -ETIMEDOUT);
	assert_true(monotonic_ms() - start < 600 + PATIENCE_MS / 2);
	fixture_expect(f, H "/status", "detaching\n");
	fixture_faults(f, "");
	fixture_await_gone(f, H);
}

/* Asking fails: the worker asks again, and does nothing before it knows. */
static void test_failed_answer(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "sessions fail EIO\n");
	assert_int_equal(fixture_rmdir(f, H), -EIO);
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\nrw " IQN("h") "\n");
	fixture_faults(f, SESSION("h"));
	fixture_await(f, H "/status", "attached\n");
	fixture_faults(f, "");
	assert_int_equal(fixture_rmdir(f, H), 0);
}

static void test_shutdown_while_asking(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_faults(f, "sessions delay 60000\n");
	call = fixture_begin_rmdir(f, H);
	assert_int_equal(fixture_wait(call, 100), UNANSWERED);
	fixture_expect(f, H "/status", "attached\n");
	core_stop_waiting(f->core);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -ESHUTDOWN);
	fixture_expect(f, H "/status", "attached\n");
	fixture_faults(f, "");
}

int main(void)
{
#define PATIENT(test)	cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, setup_impatient, fixture_teardown)
	const struct CMUnitTest tests[] = {
		PATIENT(test_refusal_changes_nothing),
		PATIENT(test_whole_volume),
		PATIENT(test_keys_of_attachment),
		IMPATIENT(test_no_answer),
		IMPATIENT(test_failed_answer),
		PATIENT(test_shutdown_while_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
