/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement: which pool is chosen, how much room pools have, and why none fits. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GIB (1ULL << 30)

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	return 0;
}

/* Provisions and says where. */
static const char *place(struct fixture *f, const char *name, const char *size)
{
	char path[64];

	fixture_volume(f, name, false, NULL, size);
	snprintf(path, sizeof(path), "volumes/%s/pool", name);
	return fixture_read(f, path);
}

static int refuse(struct fixture *f, const char *name, const char *size)
{
	char path[64];

	snprintf(path, sizeof(path), "volumes/%s/size", name);
	return fixture_write(f, path, size);
}

/* ---- the choice ---- */

static void test_tie_goes_by_name(void **state)
{
	struct fixture *f = *state;

	/* In an order that neither the numbers nor the names of the files have. */
	fixture_dock(f, "b", "  a: {totalCapacity: 10}\n");
	fixture_dock(f, "a", "  z: {totalCapacity: 10}\n  c: {totalCapacity: 10}\n"
			     "  d: {totalCapacity: 10}\n");
	fixture_start(f, false);
	assert_string_equal(place(f, "v1", "1G"), "a:c\n");
	assert_string_equal(place(f, "v2", "1G"), "a:d\n");
	assert_string_equal(place(f, "v3", "1G"), "a:z\n");
	assert_string_equal(place(f, "v4", "1G"), "b:a\n");
	assert_string_equal(place(f, "v5", "1G"), "a:c\n");
}

/* Relative to its size: 9 of 10 is less than 95 of 100, and more than 85 of 100. */
static void test_most_free_share_wins(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem",
		     "  small: {totalCapacity: 10, maxOverSubscriptionRatio: 1}\n"
		     "  large: {totalCapacity: 100, maxOverSubscriptionRatio: 1}\n");
	fixture_start(f, false);
	assert_string_equal(place(f, "v1", "1G"), "mem:large\n"); /* a tie */
	assert_string_equal(place(f, "v2", "1G"), "mem:small\n"); /* 99 % against 100 % */
	assert_string_equal(place(f, "v3", "8G"), "mem:large\n"); /* 99 % against 90 % */
	assert_string_equal(place(f, "v4", "2G"), "mem:large\n"); /* 91 % against 90 % */
	assert_string_equal(place(f, "v5", "1G"), "mem:small\n"); /* 89 % against 90 % */
}

static void test_wishes(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "x", "  p: {totalCapacity: 10, availabilityZone: east}\n");
	fixture_dock(f, "y", "  p: {totalCapacity: 10, availabilityZone: west}\n"
			     "  q: {totalCapacity: 10, availabilityZone: west}\n");
	fixture_start(f, false);
	fixture_volume(f, "v1", false, "y:p\n", "1G");
	fixture_expect(f, "volumes/v1/pool", "y:p\n");
	fixture_volume(f, "v2", false, "q", "1G");
	assert_string_equal(fixture_list(f, "docks/y/pools/q/volumes"), "v2 ");
	assert_int_equal(fixture_mkdir(f, "volumes/v3"), 0);
	assert_int_equal(fixture_write(f, "volumes/v3/availability_zone", "west"), 0);
	assert_int_equal(fixture_write(f, "volumes/v3/pool", "x:p"), 0);
	assert_int_equal(refuse(f, "v3", "1G"), -ENODEV);
	assert_int_equal(fixture_write(f, "volumes/v3/pool", "x:nowhere"), 0);
	assert_int_equal(refuse(f, "v3", "1G"), -ENODEV);
	assert_int_equal(fixture_write(f, "volumes/v3/availability_zone", "north"), 0);
	assert_int_equal(fixture_write(f, "volumes/v3/pool", "\n"), 0);
	assert_int_equal(refuse(f, "v3", "1G"), -ENODEV);
}

/* ---- the room ---- */

/* What still fits, to the byte: one block more is refused. */
static void expect_room(struct fixture *f, const char *pool, uint64_t room)
{
	char size[32];

	assert_int_equal(fixture_mkdir(f, "volumes/probe"), 0);
	assert_int_equal(fixture_write(f, "volumes/probe/pool", pool), 0);
	snprintf(size, sizeof(size), "%ju", (uintmax_t)(room / 512 * 512 + 512));
	assert_int_equal(refuse(f, "probe", size), -ENOSPC);
	fixture_expect(f, "volumes/probe/status", "new\n");
	assert_int_equal(fixture_rmdir(f, "volumes/probe"), 0);
	snprintf(size, sizeof(size), "%ju", (uintmax_t)(room / 512 * 512));
	fixture_volume(f, "probe", false, pool, size);
	fixture_expect(f, "volumes/probe/status", "available\n");
}

static void test_thin_room(void **state)
{
	struct fixture *f = *state;

	/* (7 GiB - floor(7 GiB * 13 %)) * 2.5 */
	fixture_dock(f, "mem", "  p: {totalCapacity: 7, reservedPercentage: 13,"
			       " maxOverSubscriptionRatio: 2.5}\n");
	fixture_start(f, false);
	fixture_volume(f, "v", false, NULL, "3G");
	expect_room(f, "p", (7 * GIB - 7 * GIB * 13 / 100) * 5 / 2 - 3 * GIB);
}

static void test_default_over_subscription(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  p: {totalCapacity: 2}\n");
	fixture_start(f, false);
	fixture_expect(f, "docks/mem/pools/p/max_over_subscription_ratio", "20\n");
	expect_room(f, "p", 40 * GIB);
}

#define THICK "extras: {dataStorage: {provisioningPolicy: Thick}}"

static void test_thick_room(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  p: {totalCapacity: 7, reservedPercentage: 13,"
			       " maxOverSubscriptionRatio: 2.5, " THICK "}\n");
	fixture_start(f, false);
	fixture_volume(f, "v", false, NULL, "3G");
	expect_room(f, "p", 7 * GIB - 7 * GIB * 13 / 100 - 3 * GIB);
}

/* A thick pool gives no more than there really is; a thin one does. */
static void test_real_room(void **state)
{
	struct fixture *f = *state;
	uint64_t number;

	fixture_dock(f, "mem", "  thick: {totalCapacity: 10, " THICK "}\n"
			       "  thin: {totalCapacity: 10}\n");
	fixture_start(f, false);
	assert_int_equal(core_dock_number(f->core, "mem", &number), 0);
	core_pool_usage(f->core, number, "thick", &(struct pool_usage){10 * GIB, 2 * GIB, 0});
	core_pool_usage(f->core, number, "thin", &(struct pool_usage){10 * GIB, 2 * GIB, 0});
	fixture_expect(f, "docks/mem/pools/thick/free_capacity", "2147483648\n");
	expect_room(f, "thick", 2 * GIB);
	fixture_volume(f, "v", false, "thin", "100G");
}

/* What a thick pool is about to hold is not free, whatever its backend has told and when. */
static void test_thick_room_is_exact(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;
	uint64_t number;

	fixture_dock(f, "mem", "  p: {totalCapacity: 10, " THICK "}\n");
	fixture_start(f, false);
	assert_int_equal(core_dock_number(f->core, "mem", &number), 0);
	core_pool_usage(f->core, number, "p", &(struct pool_usage){10 * GIB, 3 * GIB, 0});
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	call = fixture_begin_write(f, "volumes/v/size", "2G");
	fixture_await(f, "volumes/v/status", "creating\n");
	assert_int_equal(refuse(f, "w", "1025M"), -ENOSPC);
	assert_true(fixture_work(f, "v", NULL, &work));
	core_pool_usage(f->core, number, "p", &(struct pool_usage){10 * GIB, GIB, 2 * GIB});
	assert_int_equal(refuse(f, "w", "1025M"), -ENOSPC);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_int_equal(refuse(f, "w", "1025M"), -ENOSPC);
	fixture_begin_write(f, "volumes/w/size", "1G");
	fixture_settle_all(f, "w");
	fixture_expect(f, "volumes/w/status", "available\n");
	assert_int_equal(fixture_write(f, "volumes/v/size", "2049M"), -ENOSPC);
	/* Somebody else has made room. */
	core_pool_usage(f->core, number, "p", &(struct pool_usage){10 * GIB, 4 * GIB, 3 * GIB});
	fixture_begin_write(f, "volumes/v/size", "6G");
	fixture_settle_all(f, "v");
}

static void test_growing_needs_room(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  p: {totalCapacity: 10, " THICK "}\n");
	fixture_start(f, false);
	fixture_volume(f, "v", false, NULL, "4G");
	assert_int_equal(fixture_write(f, "volumes/v/size", "11G"), -ENOSPC);
	fixture_expect(f, "volumes/v/size", "4G");
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_begin_write(f, "volumes/v/size", "10G");
	fixture_settle_all(f, "v");
	fixture_expect(f, "docks/mem/pools/p/provisioned_capacity", "10737418240\n");
}

/* Room comes back with the purge, not before. */
static void test_room_comes_back(void **state)
{
	struct fixture *f = *state;
	struct work work = {.type = WORK_PURGE, .generation = 2};
	union any v;

	fixture_dock(f, "mem", "  p: {totalCapacity: 10, " THICK "}\n");
	fixture_start(f, false);
	fixture_volume(f, "v", false, NULL, "10G");
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	assert_int_equal(refuse(f, "w", "1G"), -ENOSPC);
	fixture_object(f, "volumes/v", &v);
	work.object = work.volume_number = v.o.number;
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	assert_int_equal(refuse(f, "w", "1G"), -ENOSPC);
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	fixture_expect(f, "docks/mem/pools/p/provisioned_capacity", "0\n");
	fixture_begin_write(f, "volumes/w/size", "10G");
	fixture_settle_all(f, "w");
}

/* ---- multiattach ---- */

static void test_multiattach_picks_a_capable_pool(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  able: {totalCapacity: 10, multiAttach: true}\n"
			       "  bare: {totalCapacity: 1000}\n");
	fixture_start(f, false);
	fixture_volume(f, "v1", true, NULL, "5G");
	fixture_expect(f, "volumes/v1/pool", "mem:able\n");
	fixture_volume(f, "v2", false, NULL, "5G");
	fixture_expect(f, "volumes/v2/pool", "mem:bare\n");
	assert_int_equal(fixture_write(f, "volumes/v2/pool", "mem:bare"), 0); /* and nowhere else */
	assert_int_equal(fixture_write(f, "volumes/v2/multiattach", "true"), -EOPNOTSUPP);
	fixture_expect(f, "volumes/v2/multiattach", "false\n");
	fixture_expect(f, "docks/mem/multiattach", "true\n");
	fixture_expect(f, "docks/mem/metadata/multiattach", "<is> True\n");
	assert_int_equal(fixture_mkdir(f, "volumes/v3"), 0);
	assert_int_equal(fixture_write(f, "volumes/v3/multiattach", "1"), 0);
	assert_int_equal(refuse(f, "v3", "300G"), -ENOSPC);
	fixture_expect_in(fixture_read(f, "volumes/v3/last_error"), "mem:able: it has room for");
	fixture_expect_in(fixture_read(f, "volumes/v3/last_error"),
			  "mem:bare: multiattach is false");
}

/* Pools that differ in nothing else, and a profile that wants one, or the other. */
static void test_alike_but_for_multiattach(void **state)
{
	static const char *const wishes[] = {"<is> True", "<is> False"};
	static const char key[] = "profiles/p/extra_specs/multiattach";
	struct fixture *f = *state;
	struct ref dir;

	fixture_dock(f, "mem", "  a: {totalCapacity: 10}\n"
			       "  b: {totalCapacity: 10, multiAttach: true}\n");
	fixture_start(f, false);
	assert_int_equal(fixture_mkdir(f, "profiles/p"), 0);
	assert_int_equal(fixture_ref(f, "profiles/p/extra_specs", &dir), 0);
	assert_int_equal(fixture_wait(fixture_begin_make(f, dir, "multiattach"), PATIENCE_MS), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *volume = i ? "volumes/w" : "volumes/v";
		char path[64];

		assert_int_equal(fixture_write(f, key, wishes[i]), 0);
		assert_int_equal(fixture_mkdir(f, volume), 0);
		snprintf(path, sizeof(path), "%s/profile", volume);
		assert_int_equal(fixture_write(f, path, "p"), 0);
		fixture_begin_write(f, i ? "volumes/w/size" : "volumes/v/size", "1G");
		fixture_settle_all(f, volume + strlen("volumes/"));
		snprintf(path, sizeof(path), "%s/pool", volume);
		fixture_expect(f, path, i ? "mem:a\n" : "mem:b\n");
	}
}

static void test_multiattach_nowhere(void **state)
{
	struct fixture *f = *state;

	fixture_dock(f, "mem", "  bare: {totalCapacity: 10}\n");
	fixture_start(f, false);
	fixture_expect(f, "docks/mem/metadata/multiattach", "<is> False\n");
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "1"), 0);
	assert_int_equal(refuse(f, "v", "1G"), -ENODEV);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), "mem:bare: multiattach is false");
	fixture_expect(f, "volumes/v/status", "new\n");
	fixture_expect(f, "volumes/v/size", "0\n");
}

/* ---- reasons ---- */

static void test_every_pool_has_its_reason(void **state)
{
	struct fixture *f = *state;
	uint64_t number;
	const char *why;

	fixture_dock(f, "away", "  p: {totalCapacity: 10, multiAttach: true}\n");
	fixture_dock(f, "mem",
		     "  bare: {totalCapacity: 10}\n"
		     "  east: {totalCapacity: 10, multiAttach: true, availabilityZone: east}\n"
		     "  file: {totalCapacity: 10, multiAttach: true, storageType: file}\n"
		     "  tiny: {totalCapacity: 1, multiAttach: true, maxOverSubscriptionRatio: 1}\n");
	fixture_start(f, false);
	assert_int_equal(core_dock_number(f->core, "away", &number), 0);
	assert_int_equal(core_dock_status(f->core, number, DOCK_UNAVAILABLE, NULL), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "1"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/availability_zone", "default"), 0);
	assert_int_equal(refuse(f, "v", "2G"), -ENOSPC);
	why = fixture_read(f, "volumes/v/last_error");
	fixture_expect_in(why, "away:p: it is unavailable");
	fixture_expect_in(why, "mem:bare: multiattach is false");
	fixture_expect_in(why, "mem:east: availability_zone is east, wanted default");
	fixture_expect_in(why, "mem:file: storage_type is file, wanted block");
	fixture_expect_in(why, "mem:tiny: it has room for 1073741824 bytes");
	/* Without the one that lacks only room it is another errno. */
	assert_int_equal(fixture_write(f, "volumes/v/pool", "mem:east"), 0);
	assert_int_equal(refuse(f, "v", "2G"), -ENODEV);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"),
			  "mem:tiny: another pool is wanted");
}

/* As many as a refusal can hold are named, and the others counted. */
static void test_too_many_reasons(void **state)
{
	struct fixture *f = *state;
	unsigned named = 0, more = 0;
	const char *why, *at;
	BUF_AUTO(pools);

	for (unsigned i = 0; i < 300; i++)
		buf_printf(&pools, "  p%u: {totalCapacity: 10}\n", i);
	fixture_dock(f, "mem", pools.data);
	fixture_start(f, false);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "1"), 0);
	assert_int_equal(refuse(f, "v", "1G"), -ENODEV);
	why = fixture_read(f, "volumes/v/last_error");
	for (at = why; (at = strstr(at, "multiattach is false")); at++)
		named++;
	at = strstr(why, "; and ");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "; and %u pools more\n", &more), 1);
	assert_int_equal(named + more, 300);
	assert_true(named > 10);
}

static void test_no_pool_at_all(void **state)
{
	struct fixture *f = *state;

	fixture_start(f, false);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(refuse(f, "v", "1G"), -ENODEV);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), "no pool");
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE(test_tie_goes_by_name),
		PLACE(test_most_free_share_wins),
		PLACE(test_wishes),
		PLACE(test_thin_room),
		PLACE(test_default_over_subscription),
		PLACE(test_thick_room),
		PLACE(test_real_room),
		PLACE(test_thick_room_is_exact),
		PLACE(test_growing_needs_room),
		PLACE(test_room_comes_back),
		PLACE(test_multiattach_picks_a_capable_pool),
		PLACE(test_alike_but_for_multiattach),
		PLACE(test_multiattach_nowhere),
		PLACE(test_every_pool_has_its_reason),
		PLACE(test_too_many_reasons),
		PLACE(test_no_pool_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
