/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drafts, every step of them: what is kept, what is asked when, and what a failure leaves. */
#include "../lib/fixture.h"

#include <errno.h>

static int setup(void **state)
{
	fixture_setup(state);
	fixture_host(*state, "h");
	fixture_host(*state, "i");
	fixture_volume(*state, "v", true, "many", "1G\n");
	return 0;
}

static void draft_volume(struct fixture *f)
{
	assert_int_equal(fixture_mkdir(f, "volumes/.w"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/.w/attachments/h"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/.w/attachments/i"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/attachments/h/mode", "ro\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/attachments/i/mode", "rw\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/multiattach", "true\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/pool", "many\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/size", "2G\n"), 0);
}

static void test_draft_of_attachment(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/.h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/attachments/.h/mode", "ro\n"), 0);
	fixture_expect(f, "volumes/v/attachments/.h/status", "draft\n");
	fixture_expect(f, "volumes/v/status", "available\n");
	assert_int_equal(fixture_unsettled(f), 0);
	call = fixture_begin_rename(f, "volumes/v/attachments/.h", "volumes/v/attachments/h");
	fixture_await(f, "volumes/v/attachments/h/status", "attaching\n");
	assert_false(fixture_exists(f, "volumes/v/attachments/.h"));
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(work.type, WORK_ATTACH);
	assert_int_equal(work.want.mode, ACCESS_RO);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, "volumes/v/attachments/h/status", "attached\n");
	fixture_expect(f, "volumes/v/attachments/h/mode", "ro\n");
}

/* The failure is answered at once; the name comes back when it is provably not exported. */
static void test_attachment_fails(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/.h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/attachments/.h/mode", "ro\n"), 0);
	call = fixture_begin_rename(f, "volumes/v/attachments/.h", "volumes/v/attachments/h");
	fixture_await(f, "volumes/v/attachments/h/status", "attaching\n");
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "no"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	fixture_expect(f, "volumes/v/attachments/h/status", "detaching\n");
	fixture_expect(f, "volumes/v/status", "detaching\n");
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(work.type, WORK_DETACH);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_false(fixture_exists(f, "volumes/v/attachments/h"));
	fixture_expect(f, "volumes/v/attachments/.h/status", "draft\n");
	fixture_expect(f, "volumes/v/attachments/.h/mode", "ro\n");
	fixture_expect(f, "volumes/v/attachments/.h/last_error", "no\n");
	fixture_expect(f, "volumes/v/attachments/.h/connection/auth_password", "");
	fixture_expect(f, "volumes/v/status", "available\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_removed_while_it_is_withdrawn(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/.h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/attachments/.h/mode", "ro\n"), 0);
	fixture_begin_rename(f, "volumes/v/attachments/.h", "volumes/v/attachments/h");
	fixture_await(f, "volumes/v/attachments/h/status", "attaching\n");
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "no"), 0);
	call = fixture_begin_rmdir(f, "volumes/v/attachments/h");
	core_flush(f->core);
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_false(fixture_exists(f, "volumes/v/attachments/h"));
	assert_false(fixture_exists(f, "volumes/v/attachments/.h"));
}

/* Its rename is answered when the last attachment is. */
static void test_draft_of_volume(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	draft_volume(f);
	call = fixture_begin_rename(f, "volumes/.w", "volumes/w");
	fixture_await(f, "volumes/w/status", "creating\n");
	fixture_expect(f, "volumes/w/attachments/h/status", "reserved\n");
	assert_false(fixture_work(f, "w", "h", &work));
	assert_true(fixture_work(f, "w", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	fixture_expect(f, "volumes/w/attachments/h/status", "attaching\n");
	assert_true(fixture_work(f, "w", "h", &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	assert_true(fixture_work(f, "w", "i", &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, "volumes/w/status", "in-use\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_volume_fails(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	draft_volume(f);
	call = fixture_begin_rename(f, "volumes/.w", "volumes/w");
	fixture_await(f, "volumes/w/status", "creating\n");
	assert_true(fixture_work(f, "w", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "no disk"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	assert_false(fixture_exists(f, "volumes/w"));
	fixture_expect(f, "volumes/.w/status", "draft\n");
	fixture_expect(f, "volumes/.w/size", "2G\n");
	fixture_expect(f, "volumes/.w/pool", "many\n");
	fixture_expect(f, "volumes/.w/last_error", "no disk\n");
	fixture_expect(f, "volumes/.w/attachments/h/status", "draft\n");
	fixture_expect(f, "volumes/.w/attachments/h/mode", "ro\n");
	assert_string_equal(fixture_list(f, "attachments"), "");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "1073741824\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_one_attachment_of_volume_fails(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	draft_volume(f);
	call = fixture_begin_rename(f, "volumes/.w", "volumes/w");
	fixture_await(f, "volumes/w/status", "creating\n");
	assert_true(fixture_work(f, "w", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_true(fixture_work(f, "w", "h", &work));
	assert_int_equal(fixture_settle(f, &work, -EACCES, "no login"), 0);
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	assert_true(fixture_work(f, "w", "i", &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	fixture_expect_in(call->intent.err.text, "attachment h: no login");
	fixture_expect(f, "volumes/w/attachments/h/status", "error\n");
	fixture_expect(f, "volumes/w/attachments/i/status", "attached\n");
}

/* While the volume is made, somebody removes, fences or renames what was drafted with it. */
static void test_attachments_change_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	draft_volume(f);
	call = fixture_begin_rename(f, "volumes/.w", "volumes/w");
	fixture_await(f, "volumes/w/status", "creating\n");
	assert_int_equal(fixture_write(f, "volumes/w/attachments/h/fenced", "1\n"), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/w/attachments/i"), 0);
	assert_true(fixture_work(f, "w", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, "volumes/w/attachments/h/status", "fenced\n");
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_host_changes_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	draft_volume(f);
	call = fixture_begin_rename(f, "volumes/.w", "volumes/w");
	fixture_await(f, "volumes/w/status", "creating\n");
	assert_int_equal(fixture_write(f, "hosts/h/initiator", "\n"), 0);
	assert_true(fixture_work(f, "w", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	fixture_expect(f, "volumes/w/attachments/h/status", "error\n");
	fixture_expect_in(fixture_read(f, "volumes/w/attachments/h/last_error"), "no initiator");
	assert_true(fixture_work(f, "w", "i", &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
}

/* Nothing of it is left when one of many parts is refused. */
static void test_refused_whole(void **state)
{
	struct fixture *f = *state;

	draft_volume(f);
	assert_int_equal(fixture_write(f, "volumes/.w/max_writers", "1\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/.w/attachments/h/mode", "rw\n"), 0);
	assert_int_equal(fixture_rename(f, "volumes/.w", "volumes/w"), -EBUSY);
	assert_false(fixture_exists(f, "volumes/w"));
	fixture_expect_in(fixture_read(f, "volumes/.w/last_error"), "max_writers is 1");
	fixture_expect(f, "volumes/.w/status", "draft\n");
	fixture_expect(f, "volumes/.w/attachments/h/status", "draft\n");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "1073741824\n");
	assert_string_equal(fixture_list(f, "docks/mem/pools/many/volumes"), "v ");
	assert_string_equal(fixture_list(f, "hosts/h/attachments"), "");
	assert_int_equal(fixture_unsettled(f), 0);
	assert_int_equal(fixture_rename(f, "volumes/.w", "volumes/v"), -EEXIST);
	assert_int_equal(fixture_rename(f, "volumes/v", "volumes/.v"), -EINVAL);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_draft_of_attachment),
		TEST(test_attachment_fails),
		TEST(test_removed_while_it_is_withdrawn),
		TEST(test_draft_of_volume),
		TEST(test_volume_fails),
		TEST(test_one_attachment_of_volume_fails),
		TEST(test_attachments_change_meanwhile),
		TEST(test_host_changes_meanwhile),
		TEST(test_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
