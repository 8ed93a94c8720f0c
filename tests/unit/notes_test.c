/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel must forget is told for each kind of change, once it is committed. */
#include "../lib/fixture.h"

#include <errno.h>

#define H "volumes/v/attachments/h"

static int setup(void **state)
{
	fixture_setup(state);
	fixture_host(*state, "h");
	fixture_volume(*state, "v", true, "many", "1G\n");
	fixture_forget_notes(*state);
	return 0;
}

static struct ref at(struct fixture *f, const char *path)
{
	struct ref ref;

	if (fixture_ref(f, path, &ref))
		fail_msg("%s: there is no such file", path);
	return ref;
}

static uint64_t number(struct fixture *f, const char *path)
{
	return at(f, path).object;
}

static void attach(struct fixture *f)
{
	struct call *call;

	assert_int_equal(fixture_mkdir(f, H), 0);
	call = fixture_begin_write(f, H "/mode", "rw\n");
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_forget_notes(f);
}

static void test_set(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_write(f, "volumes/v/description", "new"), 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

static void test_refusal(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "many"), -EINVAL);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v"))); /* its last_error */
}

static void test_inode(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_inode(f, "volumes/v/size", INODE_MODE,
				       &(struct inode_state){.mode = 0600}),
			 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

/* info.json of an attachment tells of its volume's owner. */
static void test_owner(void **state)
{
	struct fixture *f = *state;
	struct inode_state other = {.mode = 0700, .uid = 12, .gid = 34};

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_forget_notes(f);
	assert_int_equal(fixture_inode(f, "volumes/v", INODE_MODE, &other), 0);
	assert_false(fixture_noted_attrs(f, number(f, H)));
	assert_int_equal(fixture_inode(f, "volumes/v", INODE_UID, &other), 0);
	assert_true(fixture_noted_attrs(f, number(f, H)));
}

static void test_provision(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "w", false, "one", "1G\n");
	assert_true(fixture_noted_attrs(f, number(f, "volumes/w")));
	assert_true(fixture_noted_attrs(f, number(f, "docks/mem/pools/one")));
	fixture_forget_notes(f);
	fixture_begin_write(f, "volumes/w/size", "2G\n");
	fixture_await(f, "volumes/w/status", "extending\n");
	fixture_forget_notes(f);
	fixture_settle_all(f, "w");
	assert_true(fixture_noted_attrs(f, number(f, "volumes/w"))); /* size_bytes, status */
}

static void test_reserve(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v"))); /* its status */
}

/* Twice: when it begins, and when the worker has done it. */
static void test_attach(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_forget_notes(f);
	call = fixture_begin_write(f, H "/mode", "rw\n");
	assert_true(fixture_noted_attrs(f, number(f, H)));
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
	fixture_forget_notes(f);
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_true(fixture_noted_attrs(f, number(f, H)));
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

static void test_failed_attach(void **state)
{
	struct fixture *f = *state;
	struct work work;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_begin_write(f, H "/mode", "rw\n");
	fixture_await(f, H "/status", "attaching\n");
	fixture_forget_notes(f);
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "no"), 0);
	assert_true(fixture_noted_attrs(f, number(f, H)));
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

/* What users have written and attachfs takes back: the kernel has seen their write only. */
static void test_values_taken_back(void **state)
{
	struct fixture *f = *state;
	struct work work;

	fixture_begin_write(f, "volumes/v/size", "2G\n");
	fixture_await(f, "volumes/v/status", "extending\n");
	fixture_forget_notes(f);
	assert_true(fixture_work(f, "v", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "no"), 0);
	assert_true(fixture_noted_node(f, at(f, "volumes/v/size")));
	attach(f);
	fixture_begin_write(f, H "/mode", "ro");
	fixture_await(f, H "/status", "attaching\n");
	fixture_forget_notes(f);
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(fixture_settle(f, &work, -EBUSY, "a session"), 0);
	assert_true(fixture_noted_node(f, at(f, H "/mode")));
}

static void test_postponed(void **state)
{
	struct fixture *f = *state;
	struct work work;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_begin_write(f, H "/mode", "rw\n");
	fixture_await(f, H "/status", "attaching\n");
	fixture_forget_notes(f);
	assert_true(fixture_work(f, "v", "h", &work));
	assert_int_equal(core_postpone(f->core, &work, &(struct error){EAGAIN, "not yet"}), 0);
	fixture_expect(f, H "/last_error", "not yet\n");
	assert_true(fixture_noted_attrs(f, number(f, H)));
}

static void test_unreserve(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_forget_notes(f);
	assert_int_equal(fixture_rmdir(f, H), 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

static void test_detach(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	attach(f);
	call = fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
	fixture_forget_notes(f);
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

static void test_rename(void **state)
{
	struct fixture *f = *state;

	attach(f);
	assert_int_equal(fixture_rename(f, "volumes/v", "volumes/w"), 0);
	assert_true(fixture_noted_attrs(f, number(f, "volumes/w"))); /* its name */
	assert_string_equal(fixture_list(f, "attachments"), "w@h ");
	assert_string_equal(fixture_readlink(f, "attachments/w@h"), "../volumes/w/attachments/h");
	assert_string_equal(fixture_readlink(f, "hosts/h/attachments/w"),
			    "../../../volumes/w/attachments/h");
	assert_string_equal(fixture_readlink(f, "docks/mem/pools/many/volumes/w"),
			    "../../../../../volumes/w");
}

/* ---- values that are computed from another object: their st_size changes too ---- */

static void test_host_shows_in_its_attachments(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_expect(f, H "/initiator", "iqn.2026-11.test:h\n");
	fixture_forget_notes(f);
	assert_int_equal(fixture_write(f, "hosts/h/initiator", "iqn.2026-11.test:longer\n"), 0);
	fixture_expect(f, H "/initiator", "iqn.2026-11.test:longer\n");
	assert_true(fixture_noted_attrs(f, number(f, H)));
}

static void test_dock_shows_in_its_pools(void **state)
{
	struct fixture *f = *state;

	fixture_expect(f, "docks/mem/pools/one/status", "available\n");
	assert_int_equal(core_dock_status(f->core, number(f, "docks/mem"), DOCK_UNAVAILABLE,
					  &(struct error){EIO, "gone"}),
			 0);
	fixture_expect(f, "docks/mem/pools/one/status", "unavailable\n");
	assert_true(fixture_noted_attrs(f, number(f, "docks/mem")));
	assert_true(fixture_noted_attrs(f, number(f, "docks/mem/pools/one")));
}

static void test_key_shows_in_info(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "volumes/v/metadata/a"), 0);
	fixture_forget_notes(f);
	assert_int_equal(fixture_write(f, "volumes/v/metadata/a", "unmistakable"), 0);
	fixture_expect_in(fixture_read(f, "volumes/v/info.json"), "unmistakable");
	assert_true(fixture_noted_attrs(f, number(f, "volumes/v")));
}

#define NOTES(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTES(test_set),
		NOTES(test_refusal),
		NOTES(test_inode),
		NOTES(test_owner),
		NOTES(test_provision),
		NOTES(test_reserve),
		NOTES(test_attach),
		NOTES(test_failed_attach),
		NOTES(test_values_taken_back),
		NOTES(test_postponed),
		NOTES(test_unreserve),
		NOTES(test_detach),
		NOTES(test_rename),
		NOTES(test_host_shows_in_its_attachments),
		NOTES(test_dock_shows_in_its_pools),
		NOTES(test_key_shows_in_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
