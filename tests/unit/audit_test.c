/* SPDX-License-Identifier: GPL-2.0-or-later */
/* attachfs --check on records that no attachfs would have left so. */
#include "../lib/fixture.h"

#include <errno.h>
#include <string.h>

#define H "volumes/v/attachments/h"

static int add_difference(void *arg, const char *path, const char *what)
{
	buf_printf(arg, "%s: %s\n", path, what);
	return 0;
}

/* The audit says exactly that. */
static void expect(struct fixture *f, const char *lines)
{
	BUF_AUTO(said);

	assert_int_equal(core_audit(f->store, add_difference, &said), 0);
	assert_string_equal(said.data ? said.data : "", lines);
}

static int setup(void **state)
{
	struct fixture *f;

	fixture_setup_attached(state);
	f = *state;
	fixture_await_settled(f);
	expect(f, "");
	return 0;
}

/* One key that goes, or comes, behind core's back. */
struct tampering {
	struct mutation m;
	enum store_table table;
	struct text key, value;
	bool put;
};

static int tamper_apply(struct tx *tx, struct mutation *m)
{
	struct tampering *t = (struct tampering *)m;

	return t->put ? tx_put(tx, t->table, t->key, t->value) : tx_delete(tx, t->table, t->key);
}

static void tamper(struct fixture *f, enum store_table table, struct text key, bool put,
		   struct text value)
{
	struct tampering t = {{.apply = tamper_apply}, table, key, value, put};

	assert_int_equal(store_run(f->store, &t.m), 0);
}

static uint64_t number_of(struct fixture *f, const char *path)
{
	struct ref ref;

	assert_int_equal(fixture_ref(f, path, &ref), 0);
	return ref.object;
}

static struct text child_key(uint8_t room[18], uint64_t container, uint8_t node, uint64_t number)
{
	key_u64(room, container);
	room[8] = node;
	room[9] = CHILD_BY_NUMBER;
	key_u64(room + 10, number);
	return (struct text){(char *)room, 18};
}

/* Of a volume with a name of one letter. */
static struct text name_key(uint8_t room[18], char letter)
{
	struct text key = child_key(room, ROOT_OBJECT, ROOT_VOLUMES, 0);

	room[9] = CHILD_BY_NAME;
	room[10] = (uint8_t)letter;
	return (struct text){key.p, 11};
}

static void test_lost_name(void **state)
{
	struct fixture *f = *state;
	uint8_t room[18];

	tamper(f, TABLE_CHILDREN, name_key(room, 'v'), false, TEXT_NONE);
	expect(f, "volumes/v: it is not found by its name v\n");
}

static void test_lost_entry(void **state)
{
	struct fixture *f = *state;
	uint8_t room[18];
	uint64_t v = number_of(f, "volumes/v");

	tamper(f, TABLE_CHILDREN, child_key(room, ROOT_OBJECT, ROOT_VOLUMES, v), false, TEXT_NONE);
	expect(f, "volumes/v: it is not listed in its directory\n");
}

static void test_lost_place_in_pool(void **state)
{
	struct fixture *f = *state;
	uint8_t room[18];
	uint64_t v = number_of(f, "volumes/v"), pool = number_of(f, "docks/mem/pools/many");

	tamper(f, TABLE_CHILDREN, child_key(room, pool, POOL_VOLUMES, v), false, TEXT_NONE);
	expect(f, "volumes/v: it is not among the volumes of its pool\n");
}

static void test_names_of_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t room[18], number[8];

	key_u64(number, 99999);
	tamper(f, TABLE_CHILDREN, name_key(room, 'x'), true, (struct text){(char *)number, 8});
	tamper(f, TABLE_CHILDREN, child_key(room, ROOT_OBJECT, ROOT_VOLUMES, 99999), true, TEXT("x"));
	expect(f, "object 99999: a name, x, of something that does not exist\n"
		  "object 99999: a directory lists x, which does not exist\n");
}

static void test_entry_of_another_kind(void **state)
{
	struct fixture *f = *state;
	uint8_t room[18];
	struct text key = name_key(room, 'x');

	room[9] = 'x';
	tamper(f, TABLE_CHILDREN, key, true, TEXT_NONE);
	expect(f, "object 0: a directory has an entry of another kind\n");
}

static struct text number_key(uint8_t room[8], uint64_t number)
{
	key_u64(room, number);
	return (struct text){(char *)room, 8};
}

static void test_purge_of_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t room[8];

	tamper(f, TABLE_PURGES, number_key(room, 99999), true, TEXT_NONE);
	expect(f, "object 99999: a purge of something that does not exist\n");
}

static void test_damaged_record(void **state)
{
	struct fixture *f = *state;
	uint8_t key[8];
	BUF_AUTO(said);

	key_u64(key, number_of(f, "hosts/h"));
	tamper(f, TABLE_OBJECTS, (struct text){(char *)key, 8}, true, TEXT("\xff\xff"));
	assert_int_equal(core_audit(f->store, add_difference, &said), 0);
	assert_non_null(strstr(said.data, ": the record is damaged\n"));
}

static void test_lost_record(void **state)
{
	struct fixture *f = *state;
	uint8_t key[8];
	BUF_AUTO(said);

	key_u64(key, number_of(f, "volumes/v"));
	tamper(f, TABLE_OBJECTS, (struct text){(char *)key, 8}, false, TEXT_NONE);
	assert_int_equal(core_audit(f->store, add_difference, &said), 0);
	assert_non_null(strstr(said.data, "it is in an object that does not exist\n"));
	assert_non_null(strstr(said.data, "1073741824 bytes are provisioned, and its volumes have 0\n"));
}

static void test_unsettled(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "unexport delay 60000\n");
	fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
	expect(f, H ": it is not settled: the next start goes on with it\n");
	fixture_faults(f, "");
}

static void test_purged(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_rmdir(f, H), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	fixture_await_settled(f);
	expect(f, "");
}

static void test_forgotten_purge(void **state)
{
	struct fixture *f = *state;
	uint64_t v = number_of(f, "volumes/v");
	uint8_t room[8];
	BUF_AUTO(said);

	assert_int_equal(fixture_rmdir(f, H), 0);
	fixture_faults(f, "purge delay 60000\n");
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	tamper(f, TABLE_PURGES, number_key(room, v), false, TEXT_NONE);
	/* Whether a worker had taken it up before does not matter: it hangs. */
	assert_int_equal(core_audit(f->store, add_difference, &said), 0);
	assert_non_null(strstr(said.data, ": it is being purged, and no start goes on with it\n"));
	fixture_faults(f, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lost_name),
		TEST(test_lost_entry),
		TEST(test_lost_place_in_pool),
		TEST(test_names_of_nothing),
		TEST(test_entry_of_another_kind),
		TEST(test_purge_of_nothing),
		TEST(test_damaged_record),
		TEST(test_lost_record),
		TEST(test_unsettled),
		TEST(test_purged),
		TEST(test_forgotten_purge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
