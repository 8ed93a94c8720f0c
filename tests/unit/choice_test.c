/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement as a property: random pools, profiles and volumes, against what the files say. */
#include "../lib/fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONFIGURATIONS 12
#define STEPS	       60
#define VOLUMES	       12
#define PROFILES       4
#define DOCKS	       3
#define POOLS	       4 /* of each dock */

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

#define PICK(array) array[pick(ARRAY_SIZE(array))]

/* ---- a random world ---- */

static void add_pool(struct buf *out, unsigned n)
{
	static const char *const types[] = {"SSD", "HDD", "fast SSD"};
	static const char *const policies[] = {"Thin", "Thin", "Thick"};

	buf_printf(out,
		   "  p%u: {totalCapacity: %u, multiAttach: %s, availabilityZone: z%u, "
		   "reservedPercentage: %u, maxOverSubscriptionRatio: %u, extras: {dataStorage: "
		   "{provisioningPolicy: %s}, ioConnectivity: {maxIOPS: %u}, advanced: {diskType: "
		   "%s, tiers: [t%u, t%u]}}}\n",
		   n, 1 + pick(6), pick(3) ? "true" : "false", pick(2), pick(3) * 10, 1 + pick(3),
		   PICK(policies), pick(4) * 1000, PICK(types), pick(3), pick(3));
}

static void set_spec(struct fixture *f, const char *profile)
{
	static const char *const specs[][2] = {
		{"multiattach", "<is> True"},	   {"multiAttach", "<is> false"},
		{"ioConnectivity.maxIOPS", ">= 1000"}, {"ioConnectivity.maxIOPS", "<= 2000"},
		{"advanced.diskType", "<in> SSD"}, {"advanced.diskType", "<or> HDD <or> SSD"},
		{"advanced.tiers", "t1"},	   {"advanced.tiers", "<all-in> t0 t2"},
		{"advanced.none", "x"},		   {"other:scope", "x"},
		{"ioConnectivity.maxIOPS", "many"}, {"advanced.diskType", ">= 5"},
	};
	const char *const *spec = PICK(specs);
	char dir[64], path[128];
	struct ref ref;

	snprintf(dir, sizeof(dir), "profiles/%s/extra_specs", profile);
	snprintf(path, sizeof(path), "%s/%s", dir, spec[0]);
	assert_int_equal(fixture_ref(f, dir, &ref), 0);
	fixture_wait(fixture_begin_make(f, ref, spec[0]), PATIENCE_MS);
	assert_int_equal(fixture_write(f, path, pick(5) ? spec[1] : ""), 0);
}

static void make_world(struct fixture *f)
{
	char name[32];

	fixture_init(f);
	for (unsigned d = 0; d < DOCKS; d++) {
		BUF_AUTO(pools);

		for (unsigned p = 0; p < POOLS; p++)
			add_pool(&pools, p);
		snprintf(name, sizeof(name), "d%u", d);
		fixture_dock(f, name, pools.data);
	}
	fixture_start(f, true);
	worker_wait_ready(f->worker, PATIENCE_MS);
	for (unsigned p = 0; p < PROFILES; p++) {
		snprintf(name, sizeof(name), "profiles/q%u", p);
		assert_int_equal(fixture_mkdir(f, name), 0);
		for (unsigned n = pick(3); n; n--)
			set_spec(f, name + strlen("profiles/"));
	}
}

/* ---- what the files say ---- */

static uint64_t number_in(struct fixture *f, const char *dir, const char *file)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return strtoull(fixture_read(f, path), NULL, 10);
}

static bool reads(struct fixture *f, const char *dir, const char *file, const char *value)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return text_is(text_trim(text_of(fixture_read(f, path))), value);
}

/* Section "Which pool gets a volume" of attachfs.yaml(5), in other words than the program's. */
static uint64_t room_in(struct fixture *f, const char *dir, uint64_t *ret_limit)
{
	uint64_t total = number_in(f, dir, "total_capacity");
	uint64_t usable = total - total * number_in(f, dir, "reserved_percentage") / 100;
	bool thick = reads(f, dir, "capabilities/dataStorage.provisioningPolicy", "Thick");
	uint64_t ratio = thick ? 1 : number_in(f, dir, "max_over_subscription_ratio");
	uint64_t used = number_in(f, dir, "provisioned_capacity");
	uint64_t room = usable * ratio > used ? usable * ratio - used : 0;

	*ret_limit = usable * ratio;
	return room; /* a memory pool has all that it says */
}

/* The pool that it must go to, or "" and whether only room is missing. */
struct oracle {
	char pool[32];
	double share;
	bool any;
};

static void consult(struct fixture *f, const char *volume, const char *profile, uint64_t bytes,
		    const char *pool, struct oracle *o)
{
	char dir[64], name[16], path[128];
	uint64_t limit, room;
	double share;

	snprintf(dir, sizeof(dir), "docks/%.2s/pools/%s", pool, pool + 3);
	room = room_in(f, dir, &limit);
	share = limit ? (double)room / (double)limit : 0;
	snprintf(name, sizeof(name), "%s", pool);
	snprintf(path, sizeof(path), "profiles/%s/eligible/%s", profile, name);
	if (*profile && !text_is(text_of(fixture_read(f, path)), "yes\n"))
		return;
	if (reads(f, volume, "multiattach", "true") && !reads(f, dir, "multiattach", "true"))
		return;
	o->any = true;
	if (room < bytes || (o->pool[0] && (share < o->share ||
					    (share == o->share && strcmp(name, o->pool) > 0))))
		return;
	o->share = share;
	memcpy(o->pool, name, sizeof(name));
}

static struct oracle ask(struct fixture *f, const char *volume, const char *profile,
			 uint64_t bytes)
{
	struct oracle o = {"", 0, false};

	for (unsigned i = 0; i < DOCKS * POOLS; i++) {
		char pool[16];

		snprintf(pool, sizeof(pool), "d%u:p%u", i % DOCKS, i / DOCKS);
		consult(f, volume, profile, bytes, pool, &o);
	}
	return o;
}

/* ---- steps ---- */

/* False, and says so, if it is not where the files say that it should be. */
static bool try_create(struct fixture *f, const char *volume, const char *profile, bool shared,
		       uint64_t bytes)
{
	char path[64], why[64], size[32];
	struct oracle o;
	int rc;

	assert_int_equal(fixture_mkdir(f, volume), 0);
	if (*profile) {
		snprintf(path, sizeof(path), "%s/profile", volume);
		assert_int_equal(fixture_write(f, path, profile), 0);
	}
	snprintf(path, sizeof(path), "%s/multiattach", volume);
	if (shared)
		assert_int_equal(fixture_write(f, path, "true"), 0);
	fixture_await_settled(f); /* what is being purged changes the room */
	o = ask(f, volume, profile, bytes);
	snprintf(path, sizeof(path), "%s/size", volume);
	snprintf(size, sizeof(size), "%" PRIu64, bytes);
	rc = fixture_write(f, path, size);
	snprintf(path, sizeof(path), "%s/pool", volume);
	snprintf(why, sizeof(why), "%s/last_error", volume);
	if (rc == (o.pool[0] ? 0 : o.any ? -ENOSPC : -ENODEV) && reads(f, volume, "pool", o.pool))
		return true;
	print_message("%s with profile \"%s\": %d, in \"%s\"; expected: \"%s\"\n%s\n", size,
		      profile, rc, fixture_read(f, path), o.pool,
		      fixture_read(f, why));
	return false;
}

static void create(struct fixture *f, const char *volume)
{
	uint64_t bytes = (uint64_t)(1 + pick(2048)) << 20;
	char profile[8] = "";

	if (pick(4))
		snprintf(profile, sizeof(profile), "q%u", pick(PROFILES));
	if (!try_create(f, volume, profile, !pick(3), bytes))
		fail_msg("it is not where it belongs");
}

/* With a profile it may move; whatever comes of it, it is in a pool that its profile allows. */
static void change_profile(struct fixture *f, const char *volume)
{
	char path[64], profile[8];
	int rc;

	snprintf(profile, sizeof(profile), "q%u", pick(PROFILES));
	snprintf(path, sizeof(path), "%s/profile", volume);
	if (reads(f, volume, "profile", profile))
		return; /* it has changed since, which changes no volume */
	if (!pick(3))
		fixture_faults(f, "provision fail EIO once\n");
	rc = fixture_write(f, path, profile);
	fixture_faults(f, "");
	if (rc)
		return;
	snprintf(path, sizeof(path), "%s/pool", volume);
	if (*fixture_read(f, path)) {
		char pool[32], eligible[80];

		snprintf(pool, sizeof(pool), "%s", fixture_read(f, path));
		snprintf(eligible, sizeof(eligible), "profiles/%s/eligible/%.5s", profile, pool);
		fixture_expect(f, eligible, "yes\n");
	}
}

static void grow(struct fixture *f, const char *volume)
{
	char path[64], size[32];

	snprintf(size, sizeof(size), "%" PRIu64,
		 number_in(f, volume, "size_bytes") + ((uint64_t)pick(600) << 20));
	snprintf(path, sizeof(path), "%s/size", volume);
	if (!pick(4))
		fixture_faults(f, "extend fail EIO once\n");
	fixture_write(f, path, size);
	fixture_faults(f, "");
}

static void step(struct fixture *f)
{
	char volume[32], profile[8];

	snprintf(volume, sizeof(volume), "volumes/v%u", pick(VOLUMES));
	if (!fixture_exists(f, volume)) {
		create(f, volume);
		return;
	}
	switch (pick(4)) {
	case 0:
		assert_int_equal(fixture_rmdir(f, volume), 0);
		break;
	case 1:
		grow(f, volume);
		break;
	case 2:
		change_profile(f, volume);
		break;
	default:
		snprintf(profile, sizeof(profile), "q%u", pick(PROFILES));
		set_spec(f, profile);
	}
}

/* Every byte that is provisioned is some volume's, and no pool holds more than it can. */
static void check_pools(struct fixture *f)
{
	uint64_t sums[DOCKS][POOLS] = {{0}};

	for (unsigned v = 0; v < VOLUMES; v++) {
		char volume[32], path[64];
		unsigned d, p;

		snprintf(volume, sizeof(volume), "volumes/v%u", v);
		snprintf(path, sizeof(path), "%s/pool", volume);
		if (fixture_exists(f, volume) &&
		    sscanf(fixture_read(f, path), "d%u:p%u", &d, &p) == 2)
			sums[d][p] += number_in(f, volume, "size_bytes");
	}
	for (unsigned d = 0; d < DOCKS; d++)
		for (unsigned p = 0; p < POOLS; p++) {
			char dir[64];
			uint64_t limit;

			snprintf(dir, sizeof(dir), "docks/d%u/pools/p%u", d, p);
			room_in(f, dir, &limit);
			assert_int_equal(number_in(f, dir, "provisioned_capacity"), sums[d][p]);
			assert_true(sums[d][p] <= limit);
		}
}

static void test_property(void **state)
{
	const char *given = getenv("TEST_SEED");

	(void)state;
	for (unsigned n = 0; n < (given ? 1 : CONFIGURATIONS); n++) {
		struct fixture f = {0};

		seed = given ? strtoull(given, NULL, 10) : ((uint64_t)getpid() << 32) + n;
		print_message("TEST_SEED=%" PRIu64 "\n", seed);
		make_world(&f);
		for (unsigned s = 0; s < STEPS; s++)
			step(&f);
		fixture_await_settled(&f);
		check_pools(&f);
		fixture_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_property)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
