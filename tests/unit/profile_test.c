/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles: what is eligible, and what a volume takes from its profile. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	fixture_dock(f, "mem",
		     "  ssd: {totalCapacity: 10, multiAttach: true, extras: {ioConnectivity: "
		     "{maxIOPS: 7000000}, advanced: {diskType: SSD, tiers: [hot, warm], none: []}}}\n"
		     "  hdd: {totalCapacity: 100, extras: {ioConnectivity: {maxIOPS: 100}, "
		     "advanced: {diskType: 'fast HDD'}}}\n");
	fixture_start(f, false);
	return 0;
}

static void spec(struct fixture *f, const char *profile, const char *key, const char *value)
{
	char path[200];

	snprintf(path, sizeof(path), "profiles/%s", profile);
	if (!fixture_exists(f, path))
		assert_int_equal(fixture_mkdir(f, path), 0);
	snprintf(path, sizeof(path), "profiles/%s/extra_specs/%s", profile, key);
	if (!fixture_exists(f, path)) {
		char dir[200];
		struct ref ref;

		snprintf(dir, sizeof(dir), "profiles/%s/extra_specs", profile);
		assert_int_equal(fixture_ref(f, dir, &ref), 0);
		assert_int_equal(fixture_wait(fixture_begin_make(f, ref, key), PATIENCE_MS), 0);
	}
	assert_int_equal(fixture_write(f, path, value), 0);
}

/* ---- eligible/ ---- */

static void test_eligible_is_listed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "profiles/p"), 0);
	assert_string_equal(fixture_list(f, "profiles/p/eligible"), "mem:ssd mem:hdd ");
	fixture_expect(f, "profiles/p/eligible/mem:ssd", "yes\n");
	fixture_expect(f, "profiles/p/eligible/mem:hdd", "yes\n");
	assert_false(fixture_exists(f, "profiles/p/eligible/mem:none"));
	assert_false(fixture_exists(f, "profiles/p/eligible/ssd"));
	assert_false(fixture_exists(f, "profiles/p/eligible/:ssd"));
	assert_false(fixture_exists(f, "profiles/p/eligible/mem:"));
	assert_int_equal(fixture_write(f, "profiles/p/eligible/mem:ssd", "no"), -EACCES);
	fixture_expect(f, "profiles/p/last_error", "");
	fixture_expect_in(fixture_events(f), "profiles/p/eligible/mem:ssd");
}

static void test_every_clause_is_a_line(void **state)
{
	struct fixture *f = *state;

	spec(f, "p", "multiattach", "<is> True");
	spec(f, "p", "ioConnectivity.maxIOPS", ">= 5000");
	spec(f, "p", "advanced.diskType", "<in> SSD\n");
	spec(f, "p", "advanced.tiers", "<all-in> warm hot");
	spec(f, "p", "empty", "\n");
	fixture_expect(f, "profiles/p/eligible/mem:ssd", "yes\n");
	fixture_expect(f, "profiles/p/eligible/mem:hdd",
		       "no: multiattach is false, wanted <is> True\n"
		       "no: ioConnectivity.maxIOPS is 100, wanted >= 5000\n"
		       "no: advanced.diskType is fast HDD, wanted <in> SSD\n"
		       "no: advanced.tiers is not reported, wanted <all-in> warm hot\n");
	spec(f, "p", "advanced.tiers", "<in> cold");
	fixture_expect(f, "profiles/p/eligible/mem:ssd",
		       "no: advanced.tiers is hot,warm, wanted <in> cold\n");
	spec(f, "p", "advanced.tiers", ">= many");
	fixture_expect(f, "profiles/p/eligible/mem:ssd",
		       "no: advanced.tiers is hot,warm, wanted >= many, where a number is expected\n");
	assert_int_equal(fixture_write(f, "profiles/p/extra_specs/advanced.tiers", ""), 0);
	fixture_expect(f, "profiles/p/eligible/mem:ssd", "yes\n");
	assert_int_equal(fixture_write(f, "profiles/p/storage_type", "file"), 0);
	fixture_expect(f, "profiles/p/eligible/mem:ssd",
		       "no: storage_type is block, wanted file\n");
}

/* One key, however it is written; other scopes are for others. */
static void test_keys(void **state)
{
	static const char *const keys[] = {"multiattach", "multiAttach", "MULTIATTACH",
					   "capabilities:multiattach",
					   "capabilities:multiAttach"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char profile[8], path[64];

		snprintf(profile, sizeof(profile), "p%zu", i);
		spec(f, profile, keys[i], "TRUE");
		snprintf(path, sizeof(path), "profiles/%s/eligible/mem:ssd", profile);
		fixture_expect(f, path, "yes\n");
		snprintf(path, sizeof(path), "profiles/%s/eligible/mem:hdd", profile);
		fixture_expect(f, path, "no: multiattach is false, wanted TRUE\n");
	}
	spec(f, "scoped", "capabilities:advanced:diskType", "SSD");
	spec(f, "scoped", "capabilities:advanced.diskType", "SSD");
	spec(f, "scoped", "vendor:multiattach", "<is> False");
	spec(f, "scoped", "advanced:diskType", "HDD");
	fixture_expect(f, "profiles/scoped/eligible/mem:ssd", "yes\n");
	fixture_expect(f, "profiles/scoped/eligible/mem:hdd",
		       "no: advanced.diskType is fast HDD, wanted SSD\n"
		       "no: advanced.diskType is fast HDD, wanted SSD\n");
	spec(f, "missing", "advanced.disktype", "SSD"); /* capabilities are found by case */
	spec(f, "missing", "diskType", "SSD");
	spec(f, "missing", "advanced", "SSD");
	spec(f, "missing", "advanced.none", "SSD"); /* an empty list has nothing to match */
	fixture_expect(f, "profiles/missing/eligible/mem:ssd",
		       "no: advanced.disktype is not reported, wanted SSD\n"
		       "no: diskType is not reported, wanted SSD\n"
		       "no: advanced is not reported, wanted SSD\n"
		       "no: advanced.none is not reported, wanted SSD\n");
}

static void test_unavailable(void **state)
{
	struct fixture *f = *state;
	struct error why = {0};
	uint64_t dock;

	error_set(&why, EIO, "the cable is out");
	assert_int_equal(fixture_mkdir(f, "profiles/p"), 0);
	assert_int_equal(core_dock_number(f->core, "mem", &dock), 0);
	assert_int_equal(core_dock_status(f->core, dock, DOCK_UNAVAILABLE, &why), 0);
	fixture_expect(f, "profiles/p/eligible/mem:ssd",
		       "no: it is unavailable: the cable is out\n");
}

/* ---- a volume's profile ---- */

static void make_gold(struct fixture *f)
{
	spec(f, "gold", "multiattach", "<is> True");
	spec(f, "silver", "advanced.diskType", "<in> HDD");
}

static void test_volume_takes_its_profile(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	fixture_expect(f, "volumes/v/profile", "");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold\n"), 0);
	fixture_expect(f, "volumes/v/profile", "gold\n");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	assert_int_equal(fixture_write(f, "volumes/v/profile", " gold"), 0);
	fixture_begin_write(f, "volumes/v/size", "1G");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/pool", "mem:ssd\n"); /* hdd would win by its name */
	fixture_expect_in(fixture_read(f, "volumes/v/info.json"), "\"profileId\": \"");
	fixture_expect_in(fixture_read(f, "volumes/v/info.json"), "\"multiAttach\": true");
}

static void test_no_such_profile(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), -EINVAL);
	fixture_expect(f, "volumes/v/profile", "");
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), "no gold in profiles");
}

/* What somebody wrote stays; what the profile gave goes with it. */
static void test_multiattach_follows(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver"), 0);
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "\n"), 0);
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "no"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver"), 0);
	fixture_expect(f, "volumes/v/multiattach", "no");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	/* Whoever wants it for one host only may say so, and it stays so. */
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "no"), 0);
	fixture_begin_write(f, "volumes/v/size", "1G");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
}

static void test_multiattach_of_ones_own(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/multiattach", "1"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	fixture_expect(f, "volumes/v/multiattach", "1");
	assert_int_equal(fixture_write(f, "volumes/v/profile", ""), 0);
	fixture_expect(f, "volumes/v/multiattach", "1");
}

/* The profile counts as it is when the volume is placed, and never again. */
static void test_changed_profile(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver"), 0);
	spec(f, "silver", "advanced.diskType", "SSD");
	spec(f, "silver", "multiattach", "<is> true");
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	fixture_begin_write(f, "volumes/v/size", "1G");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/pool", "mem:ssd\n");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	spec(f, "silver", "advanced.diskType", "none at all");
	spec(f, "silver", "multiattach", "<is> false");
	fixture_expect(f, "volumes/v/pool", "mem:ssd\n");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
	fixture_begin_write(f, "volumes/v/size", "2G");
	fixture_settle_all(f, "v");
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_expect(f, "volumes/v/multiattach", "true\n");
}

static void test_impossible(void **state)
{
	struct fixture *f = *state;
	const char *why;

	make_gold(f);
	spec(f, "gold", "advanced.diskType", "tape");
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/size", "1G"), -ENODEV);
	why = fixture_read(f, "volumes/v/last_error");
	fixture_expect_in(why, "mem:ssd: advanced.diskType is SSD, wanted tape");
	fixture_expect_in(why, "mem:hdd: multiattach is false, wanted <is> True and "
			       "advanced.diskType is fast HDD, wanted tape");
	fixture_expect(f, "volumes/v/status", "new\n");
	fixture_expect(f, "volumes/v/profile", "gold");
}

static void test_profile_in_use(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	assert_int_equal(fixture_write(f, "volumes/w/profile", "gold"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
	fixture_expect_in(fixture_read(f, "profiles/gold/last_error"), "v");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
	assert_int_equal(fixture_rename(f, "volumes/w", "volumes/x"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
	fixture_begin_write(f, "volumes/x/size", "1G");
	fixture_settle_all(f, "x");
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "volumes/x"), 0); /* its bytes may still be there */
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), 0);
	assert_false(fixture_exists(f, "profiles/gold"));
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_rmdir(f, "profiles/silver"), 0);
}

/* ---- a volume that is placed already ---- */

static void test_profile_of_a_placed_volume(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	fixture_volume(f, "v", false, "hdd", "1G");
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), -EOPNOTSUPP);
	fixture_expect(f, "volumes/v/profile", "");
	fixture_expect(f, "volumes/v/multiattach", "false\n");
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"),
			  "mem:hdd: multiattach is false, wanted <is> True");
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"),
			  "mem:ssd: another pool is wanted: hdd");
	assert_int_equal(fixture_rmdir(f, "profiles/gold"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "silver"), 0);
	fixture_expect(f, "volumes/v/pool", "hdd");
	assert_int_equal(fixture_rmdir(f, "profiles/silver"), -EBUSY);
}

static void test_profile_of_a_held_volume(void **state)
{
	struct fixture *f = *state;

	make_gold(f);
	fixture_volume(f, "v", false, "ssd", "1G");
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), -EBUSY);
	assert_int_equal(fixture_rmdir(f, "volumes/v/attachments/h"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", "gold"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/h"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/i"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/profile", ""), -EBUSY);
	fixture_expect(f, "volumes/v/profile", "gold");
}

/* ---- the pool's own files ---- */

static void test_pool_written_back(void **state)
{
	struct fixture *f = *state;

	fixture_volume(f, "v", false, NULL, "1G");
	assert_int_equal(fixture_write(f, "volumes/v/pool", "mem:hdd"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/availability_zone", "default\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/v/pool", "mem:ssd"), -EBUSY);
	fixture_expect(f, "volumes/v/pool", "mem:hdd");
	fixture_expect(f, "docks/mem/pools/ssd/capabilities/advanced.tiers", "hot,warm\n");
}

#define PROFILE(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PROFILE(test_eligible_is_listed),
		PROFILE(test_every_clause_is_a_line),
		PROFILE(test_keys),
		PROFILE(test_unavailable),
		PROFILE(test_volume_takes_its_profile),
		PROFILE(test_no_such_profile),
		PROFILE(test_multiattach_follows),
		PROFILE(test_multiattach_of_ones_own),
		PROFILE(test_changed_profile),
		PROFILE(test_impossible),
		PROFILE(test_profile_in_use),
		PROFILE(test_profile_of_a_placed_volume),
		PROFILE(test_profile_of_a_held_volume),
		PROFILE(test_pool_written_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
