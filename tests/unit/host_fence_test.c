/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing a host: all its volumes at once, whatever it is called there, and no way around it. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>

#define VOLUMES 8
#define H	"hosts/h"
#define IQN(host) "iqn.2026-11.test:" host

static void path_of(char room[128], unsigned volume, const char *rest)
{
	snprintf(room, 128, "volumes/v%u/attachments/%s", volume, rest);
}

static int setup_with(void **state, unsigned attach_ms)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char name[16];

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	f->attach_timeout_ms = attach_ms;
	fixture_default_dock(f);
	fixture_start(f, true);
	fixture_host(f, "h");
	fixture_host(f, "i");
	for (unsigned i = 0; i < VOLUMES; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		fixture_volume(f, name, true, "many", "1G\n");
	}
	return 0;
}

static int setup_patient(void **state)
{
	return setup_with(state, 0);
}

static int setup_impatient(void **state)
{
	return setup_with(state, 1000);
}

static void attach(struct fixture *f, unsigned volume, const char *host, const char *mode)
{
	char path[128], file[64];

	path_of(path, volume, host);
	assert_int_equal(fixture_mkdir(f, path), 0);
	snprintf(file, sizeof(file), "%s/mode", host);
	path_of(path, volume, file);
	assert_int_equal(fixture_write(f, path, mode), 0);
}

static void attach_everywhere(struct fixture *f, const char *host)
{
	for (unsigned i = 0; i < VOLUMES; i++)
		attach(f, i, host, i % 2 ? "ro\n" : "rw\n");
}

static void expect_status(struct fixture *f, unsigned volume, const char *host, const char *status)
{
	char path[128], file[64];

	snprintf(file, sizeof(file), "%s/status", host);
	path_of(path, volume, file);
	fixture_expect(f, path, status);
}

static int set_mode(struct fixture *f, unsigned volume, const char *host)
{
	char path[128], file[64];

	snprintf(file, sizeof(file), "%s/mode", host);
	path_of(path, volume, file);
	return fixture_write(f, path, "rw\n");
}

static void test_every_volume_at_once(void **state)
{
	struct fixture *f = *state;
	int64_t start;

	attach_everywhere(f, "h");
	attach(f, 0, "i", "rw\n");
	attach(f, 1, "i", "ro\n");
	fixture_faults(f, "fence delay 500\nsessions " IQN("h") "\nsessions " IQN("i") "\n");
	start = monotonic_ms();
	assert_int_equal(fixture_write(f, H "/fenced", "1"), 0);
	assert_true(monotonic_ms() - start < VOLUMES * 500);
	fixture_expect(f, H "/fenced", "1");
	for (unsigned i = 0; i < VOLUMES; i++)
		expect_status(f, i, "h", "fenced\n");
	fixture_expect(f, "volumes/v3/attachments/h/fenced", "1\n");
	assert_string_equal(fixture_exports(f), "ro " IQN("i") "\nrw " IQN("i") "\n");
	fixture_expect(f, "volumes/v0/attachments/i/generation", "1\n");
	fixture_expect(f, "volumes/v0/attachments/i/status", "attached\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_it_can_be_attached_to_nothing(void **state)
{
	struct fixture *f = *state;

	attach(f, 0, "h", "rw\n");
	assert_int_equal(fixture_mkdir(f, "volumes/v1/attachments/h"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v2/attachments/h"), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(set_mode(f, i, "h"), -EPERM);
		expect_status(f, i, "h", i ? "reserved\n" : "fenced\n");
	}
	fixture_expect_in(fixture_read(f, "volumes/v2/attachments/h/last_error"),
			  "echo 0 > hosts/h/fenced");
	/* Neither under another name ... */
	assert_int_equal(fixture_mkdir(f, "volumes/v3/attachments/alias"), 0);
	assert_int_equal(fixture_write(f, "volumes/v3/attachments/alias/initiator",
				       "IQN.2026-11.test:H\n"), 0);
	assert_int_equal(set_mode(f, 3, "alias"), -EPERM);
	/* ... nor by a change of the one that it has, or a new host of that name. */
	assert_int_equal(fixture_write(f, H "/initiator", IQN("other") "\n"), -EPERM);
	assert_int_equal(fixture_rmdir(f, "volumes/v0/attachments/h"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/v1/attachments/h"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/v2/attachments/h"), 0);
	assert_int_equal(fixture_rmdir(f, H), -EPERM);
	assert_string_equal(fixture_exports(f), "");
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	assert_int_equal(set_mode(f, 3, "alias"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/v3/attachments/alias"), 0);
	assert_int_equal(fixture_rmdir(f, H), 0);
}

/* Attached under other names with the same initiator: the machine is the same. */
static void test_by_its_initiator_too(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "volumes/v0/attachments/alias"), 0);
	assert_int_equal(fixture_write(f, "volumes/v0/attachments/alias/initiator", IQN("h")), 0);
	assert_int_equal(set_mode(f, 0, "alias"), 0);
	/* By its name it is another machine's, which is attached all the same. */
	assert_int_equal(fixture_mkdir(f, "volumes/v1/attachments/h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v1/attachments/h/initiator", IQN("x")), 0);
	assert_int_equal(set_mode(f, 1, "h"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	expect_status(f, 0, "alias", "fenced\n");
	expect_status(f, 1, "h", "fenced\n");
	assert_string_equal(fixture_exports(f), "");
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	expect_status(f, 0, "alias", "reserved\n");
	expect_status(f, 1, "h", "reserved\n");
	fixture_expect(f, "volumes/v0/attachments/alias/fenced", "0\n");
}

static void test_what_was_fenced_for_itself_stays_so(void **state)
{
	struct fixture *f = *state;

	attach(f, 0, "h", "rw\n");
	attach(f, 1, "h", "rw\n");
	attach(f, 2, "h", "rw\n");
	assert_int_equal(fixture_write(f, "volumes/v0/attachments/h/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/v1/attachments/h/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/v2/attachments/h/fenced", "0\n"), -EPERM);
	fixture_expect_in(fixture_read(f, "volumes/v2/attachments/h/last_error"),
			  "echo 0 > hosts/h/fenced");
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	expect_status(f, 0, "h", "fenced\n");
	expect_status(f, 1, "h", "fenced\n");
	expect_status(f, 2, "h", "reserved\n");
	assert_int_equal(fixture_write(f, "volumes/v1/attachments/h/fenced", "0\n"), 0);
	expect_status(f, 1, "h", "reserved\n");
}

static void test_nothing_to_fence(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "* fail EIO\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	fixture_expect(f, H "/fenced", "1\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
}

/* ---- what is not proved is not done ---- */

static void test_one_that_is_not_proved_is_too_many(void **state)
{
	struct fixture *f = *state;

	attach_everywhere(f, "h");
	fixture_faults(f, "fence fail EIO once\nfence delay 1\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), -EIO);
	fixture_expect(f, H "/fenced", "0\n");
	fixture_expect_in(fixture_read(f, H "/last_error"), "volume v");
	fixture_expect_in(fixture_read(f, H "/last_error"), "injected failure");
	assert_int_equal(set_mode(f, 0, "h"), -EPERM);
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), -EBUSY);
	assert_int_equal(fixture_write(f, H "/initiator", IQN("other") "\n"), -EPERM);
	/* It is tried again by itself; whoever asks again waits for that. */
	assert_int_equal(fixture_write(f, H "/fenced", "1"), 0);
	fixture_expect(f, H "/fenced", "1");
	fixture_expect(f, H "/last_error", "");
	assert_string_equal(fixture_exports(f), "");
}

static void test_it_times_out_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	attach(f, 0, "h", "rw\n");
	attach(f, 1, "h", "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1\n"), -ETIMEDOUT);
	fixture_expect(f, H "/fenced", "0\n");
	call = fixture_begin_write(f, H "/fenced", "1\n");
	assert_int_equal(fixture_wait(call, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, H "/fenced", "1\n");
}

static void test_it_waits_for_what_is_being_fenced_already(void **state)
{
	struct fixture *f = *state;
	struct call *one, *all, *gone;

	attach(f, 0, "h", "rw\n");
	attach(f, 1, "h", "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	one = fixture_begin_write(f, "volumes/v0/attachments/h/fenced", "1\n");
	fixture_await(f, "volumes/v0/attachments/h/status", "fencing\n");
	all = fixture_begin_write(f, H "/fenced", "1\n");
	fixture_await(f, "volumes/v1/attachments/h/status", "fencing\n");
	gone = fixture_begin_rmdir(f, "volumes/v1/attachments/h");
	assert_int_equal(fixture_wait(all, 50), UNANSWERED);
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(one, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(all, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(gone, PATIENCE_MS), 0);
	assert_false(fixture_exists(f, "volumes/v1/attachments/h"));
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	expect_status(f, 0, "h", "fenced\n");
}

/* Two hosts that claim the same machine: neither is called fenced too early. */
static void test_two_hosts_of_one_initiator(void **state)
{
	struct fixture *f = *state;
	struct call *first;

	assert_int_equal(fixture_mkdir(f, "hosts/twin"), 0);
	assert_int_equal(fixture_write(f, "hosts/twin/initiator", IQN("h") "\n"), 0);
	attach(f, 0, "h", "rw\n");
	fixture_faults(f, "fence delay 60000\n");
	first = fixture_begin_write(f, H "/fenced", "1\n");
	fixture_await(f, "volumes/v0/attachments/h/status", "fencing\n");
	assert_int_equal(fixture_write(f, "hosts/twin/fenced", "1\n"), -EBUSY);
	fixture_expect(f, "hosts/twin/fenced", "0\n");
	fixture_faults(f, "");
	assert_int_equal(fixture_wait(first, PATIENCE_MS), 0);
	assert_int_equal(fixture_write(f, "hosts/twin/fenced", "1\n"), 0);
	assert_int_equal(fixture_write(f, H "/fenced", "0\n"), 0);
	assert_int_equal(set_mode(f, 0, "h"), -EPERM);
	assert_int_equal(fixture_write(f, "hosts/twin/fenced", "0\n"), 0);
	assert_int_equal(set_mode(f, 0, "h"), 0);
}

static void test_it_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;

	attach_everywhere(f, "h");
	fixture_faults(f, "fence fail EIO\n");
	assert_int_equal(fixture_write(f, H "/fenced", "1"), -EIO);
	fixture_stop(f);
	fixture_start(f, true);
	fixture_expect(f, H "/fenced", "0\n");
	fixture_faults(f, "");
	fixture_await(f, H "/fenced", "1");
	for (unsigned i = 0; i < VOLUMES; i++)
		expect_status(f, i, "h", "fenced\n");
	fixture_stop(f);
	fixture_start(f, true);
	fixture_expect(f, H "/fenced", "1");
	assert_int_equal(set_mode(f, 0, "h"), -EPERM);
}

#define PATIENT(test)	cmocka_unit_test_setup_teardown(test, setup_patient, fixture_teardown)
#define IMPATIENT(test) cmocka_unit_test_setup_teardown(test, setup_impatient, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PATIENT(test_every_volume_at_once),
		PATIENT(test_it_can_be_attached_to_nothing),
		PATIENT(test_by_its_initiator_too),
		PATIENT(test_what_was_fenced_for_itself_stays_so),
		PATIENT(test_nothing_to_fence),
		PATIENT(test_one_that_is_not_proved_is_too_many),
		IMPATIENT(test_it_times_out_and_goes_on),
		PATIENT(test_it_waits_for_what_is_being_fenced_already),
		PATIENT(test_two_hosts_of_one_initiator),
		PATIENT(test_it_goes_on_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
