/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume that nobody has used is made anew where what it asks for now can be had. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* "a" wins for what does not ask for multiattach. */
static const char pools[] = "  a: {totalCapacity: 10, maxOverSubscriptionRatio: 1}\n"
			    "  m: {totalCapacity: 4, maxOverSubscriptionRatio: 1, multiAttach: true}\n";

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	fixture_dock(f, "mem", pools);
	fixture_start(f, false);
	fixture_volume(f, "v", false, NULL, "1G");
	fixture_expect(f, "volumes/v/pool", "mem:a\n");
	return 0;
}

static void spec(struct fixture *f, const char *profile, const char *key, const char *value)
{
	char path[200];
	struct ref ref;

	snprintf(path, sizeof(path), "profiles/%s", profile);
	assert_int_equal(fixture_mkdir(f, path), 0);
	snprintf(path, sizeof(path), "profiles/%s/extra_specs", profile);
	assert_int_equal(fixture_ref(f, path, &ref), 0);
	assert_int_equal(fixture_wait(fixture_begin_make(f, ref, key), PATIENCE_MS), 0);
	snprintf(path, sizeof(path), "profiles/%s/extra_specs/%s", profile, key);
	assert_int_equal(fixture_write(f, path, value), 0);
}

static void expect_provisioned(struct fixture *f, unsigned a, unsigned m)
{
	char value[32];

	snprintf(value, sizeof(value), "%llu\n", (unsigned long long)a << 30);
	fixture_expect(f, "docks/mem/pools/a/provisioned_capacity", value);
	snprintf(value, sizeof(value), "%llu\n", (unsigned long long)m << 30);
	fixture_expect(f, "docks/mem/pools/m/provisioned_capacity", value);
}

/* The write that makes it move, until the backend is asked. */
static struct call *begin_move(struct fixture *f, struct work *ret)
{
	struct call *call = fixture_begin_write(f, "volumes/v/multiattach", "true\n");

	fixture_await(f, "volumes/v/status", "creating\n");
	assert_true(fixture_work(f, "v", NULL, ret));
	assert_int_equal(ret->type, WORK_PROVISION);
	return call;
}

/* What is owed to the volume that was left behind, which has no name any more. */
static int take_purge(void *arg, const struct work *work)
{
	*(struct work *)arg = *work;
	return 1;
}

static int is_kicked_one(void *arg, uint64_t volume, const char *id, bool busy)
{
	(void)id;
	return busy && volume == ((struct fixture *)arg)->kicked_volume;
}

static struct work expect_purge(struct fixture *f)
{
	struct work purge = {0};

	/* This start goes on with it, and so will the next one. */
	assert_int_equal(core_volumes(f->core, f->kicked_dock, is_kicked_one, f), 1);
	assert_int_equal(core_works(f->core, f->kicked_volume, take_purge, &purge), 1);
	assert_int_equal(purge.type, WORK_PURGE);
	purge.volume.pool = purge.pool;
	return purge;
}

static void test_moves(void **state)
{
	struct fixture *f = *state;
	char id[UUID_TEXT_SIZE + 1];
	struct work work, purge;
	struct call *call;

	snprintf(id, sizeof(id), "%s", fixture_read(f, "volumes/v/id"));
	call = begin_move(f, &work);
	assert_string_equal(work.pool, "m");
	assert_int_equal(work.volume.size_bytes, 1 << 30);
	assert_string_not_equal(work.volume.id, strtok(id, "\n")); /* never the same twice */
	expect_provisioned(f, 1, 1);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	fixture_expect(f, "volumes/v/pool", "mem:m\n");
	assert_string_equal(fixture_list(f, "docks/mem/pools/m/volumes"), "v ");
	assert_string_equal(fixture_list(f, "docks/mem/pools/a/volumes"), "");
	purge = expect_purge(f);
	assert_string_equal(purge.pool, "a");
	assert_string_equal(purge.volume.id, id);
	assert_int_equal(fixture_settle(f, &purge, 0, NULL), 0);
	expect_provisioned(f, 0, 1);
	assert_int_equal(fixture_unsettled(f), 0);
}

static struct ref row(struct fixture *f, uint8_t node)
{
	struct ref ref;

	assert_int_equal(fixture_ref(f, "volumes/v", &ref), 0);
	ref.node = node;
	return ref;
}

/* Users may write them, but they have changed by themselves: kernels must forget what they know. */
static void test_what_it_shows(void **state)
{
	struct fixture *f = *state;
	struct work work;
	union any before, after;

	fixture_object(f, "volumes/v", &before);
	fixture_forget_notes(f);
	begin_move(f, &work);
	fixture_settle(f, &work, 0, NULL);
	fixture_object(f, "volumes/v", &after);
	assert_true(fixture_noted_node(f, row(f, VOLUME_POOL)));
	assert_false(fixture_noted_node(f, row(f, VOLUME_ZONE))); /* which is the same */
	assert_true(after.o.attr[VOLUME_POOL].inode.mtime > before.o.attr[VOLUME_POOL].inode.mtime);
	assert_true(after.o.attr[VOLUME_ZONE].inode.mtime ==
		    before.o.attr[VOLUME_ZONE].inode.mtime);
	assert_true(after.o.attr[VOLUME_DOCK].inode.mtime ==
		    before.o.attr[VOLUME_DOCK].inode.mtime);
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	fixture_forget_notes(f);
	fixture_begin_write(f, "volumes/w/size", "1G");
	fixture_settle_all(f, "w");
	fixture_object(f, "volumes/w", &after);
	assert_true(fixture_noted_node(f, (struct ref){after.o.number, VOLUME_POOL}));
	assert_true(fixture_noted_node(f, (struct ref){after.o.number, VOLUME_ZONE}));
}

static void test_moves_twice(void **state)
{
	struct fixture *f = *state;
	char first[UUID_TEXT_SIZE];
	struct work work, purge;

	begin_move(f, &work);
	memcpy(first, work.volume.id, sizeof(first));
	fixture_settle(f, &work, 0, NULL);
	purge = expect_purge(f);
	fixture_settle(f, &purge, 0, NULL);
	spec(f, "single", "multiattach", "<is> False");
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "no"), 0); /* it may stay */
	fixture_expect(f, "volumes/v/pool", "mem:m\n");
	fixture_begin_write(f, "volumes/v/profile", "single");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/pool", "mem:a\n");
	purge = expect_purge(f);
	assert_string_equal(purge.volume.id, first);
	assert_int_equal(fixture_settle(f, &purge, 0, NULL), 0);
	expect_provisioned(f, 1, 0);
}

static void test_fails(void **state)
{
	struct fixture *f = *state;
	char id[UUID_TEXT_SIZE];
	struct call *call;
	struct work work;

	call = begin_move(f, &work);
	assert_int_equal(fixture_settle(f, &work, -EIO, "no such shelf"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	fixture_expect(f, "volumes/v/pool", "mem:a\n");
	fixture_expect(f, "volumes/v/last_error", "no such shelf\n");
	assert_string_equal(fixture_list(f, "docks/mem/pools/a/volumes"), "v ");
	expect_provisioned(f, 1, 0);
	assert_int_equal(fixture_unsettled(f), 0);
	/* It is what it was for its backend, too. */
	memcpy(id, work.volume.id, sizeof(id));
	fixture_begin_write(f, "volumes/v/size", "2G");
	fixture_await(f, "volumes/v/status", "extending\n");
	assert_true(fixture_work(f, "v", NULL, &work));
	assert_string_not_equal(work.volume.id, id);
	fixture_expect_in(fixture_read(f, "volumes/v/id"), work.volume.id);
}

/* A profile that may be needed again cannot go meanwhile. */
static void test_profile_goes_back(void **state)
{
	struct fixture *f = *state;
	struct work work;
	struct call *call;

	spec(f, "silver", "multiattach", "<is> False");
	spec(f, "gold", "multiattach", "<is> True");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver\n"), 0);
	call = fixture_begin_write(f, "volumes/v/profile", "gold\n");
	fixture_await(f, "volumes/v/status", "creating\n");
	assert_int_equal(fixture_rmdir(f, "profiles/silver"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
	assert_true(fixture_work(f, "v", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, -EIO, "broken"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	fixture_expect(f, "volumes/v/profile", "silver\n");
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/silver"), -EBUSY);
	spec(f, "gold", "multiattach", "<is> True");
	fixture_begin_write(f, "volumes/v/profile", "gold\n");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	assert_int_equal(fixture_rmdir(f, "profiles/silver"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
}

static void test_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct call *call, *again;
	struct work work;

	call = begin_move(f, &work);
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), -EBUSY);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "false"), -EBUSY);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "x"), -EBUSY);
	assert_int_equal(fixture_write(f, "volumes/v/pool", "mem:a"), -EBUSY);
	assert_int_equal(fixture_write(f, "volumes/v/size", "2G"), -EBUSY);
	again = fixture_begin_write(f, "volumes/v/multiattach", "true\n");
	assert_int_equal(fixture_rename(f, "volumes/v", "volumes/w"), 0);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(fixture_wait(again, PATIENCE_MS), 0);
	assert_string_equal(fixture_list(f, "docks/mem/pools/m/volumes"), "w ");
}

/* Both places are purged, one after the other. */
static void test_removed_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct work work, purge;
	struct call *call = begin_move(f, &work);

	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0); /* overtaken */
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	purge = expect_purge(f);
	assert_string_equal(purge.pool, "m");
	assert_int_equal(fixture_settle(f, &purge, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -ECANCELED);
	purge = expect_purge(f);
	assert_string_equal(purge.pool, "a");
	assert_int_equal(fixture_settle(f, &purge, 0, NULL), 0);
	expect_provisioned(f, 0, 0);
	assert_int_equal(fixture_unsettled(f), 0);
}

static void test_stays_once_it_was_attached(void **state)
{
	struct fixture *f = *state;

	fixture_host(f, "h");
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "true"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "volumes/v/attachments/h"), 0); /* no host was let at it */
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
	fixture_begin_write(f, "volumes/v/attachments/h/mode", "ro");
	fixture_settle_all(f, "v");
	fixture_rmdir(f, "volumes/v/attachments/h");
	fixture_begin_rmdir(f, "volumes/v/attachments/h");
	fixture_settle_all(f, "v");
	fixture_await_gone(f, "volumes/v/attachments/h");
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "true"), -EOPNOTSUPP);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"),
			  "mem:a, where volume v is and stays, as it has been attached: "
			  "multiattach is false, wanted true");
	fixture_expect(f, "volumes/v/multiattach", "false\n");
}

static void test_room_of_the_other_pool(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "w", true, NULL, "4G");
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "true"), -ENOSPC);
	fixture_expect(f, "volumes/v/pool", "mem:a\n");
	expect_provisioned(f, 1, 4);
}

static void test_not_before_it_is_available(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "x", true, NULL, "3G"); /* so that m is no better than a */
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	fixture_begin_write(f, "volumes/w/size", "1G");
	fixture_await(f, "volumes/w/status", "creating\n");
	assert_int_equal(fixture_write(f, "volumes/w/multiattach", "true"), -EBUSY);
	fixture_settle_all(f, "w");
	fixture_begin_write(f, "volumes/w/multiattach", "true");
	fixture_settle_all(f, "w");
	fixture_expect(f, "volumes/w/pool", "mem:m\n");
}

/* Whoever comes after us finishes it. */
static void test_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct work work;

	begin_move(f, &work);
	fixture_stop(f);
	fixture_start(f, true);
	fixture_await(f, "volumes/v/status", "available\n");
	fixture_expect(f, "volumes/v/pool", "mem:m\n");
	fixture_await_settled(f);
	fixture_await(f, "docks/mem/pools/a/provisioned_capacity", "0\n");
}

#define MOVE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOVE(test_moves),
		MOVE(test_what_it_shows),
		MOVE(test_moves_twice),
		MOVE(test_fails),
		MOVE(test_profile_goes_back),
		MOVE(test_meanwhile),
		MOVE(test_removed_meanwhile),
		MOVE(test_stays_once_it_was_attached),
		MOVE(test_room_of_the_other_pool),
		MOVE(test_not_before_it_is_available),
		MOVE(test_goes_on_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
