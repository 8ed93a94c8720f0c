/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records: every row of every kind there and back, and what no attachfs ever wrote is refused. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/core/core.h"

/* A value that each type reads, written as no program would print it. */
static const struct {
	const struct value_type *type;
	const char *raw;
} samples[] = {
	{&value_line, " any \xc3\xa4 text\n"}, {&value_bool, "Yes"},
	{&value_number, "007\n"},	       {&value_size, "16M"},
	{&value_mode, "ro"},		       {&value_iqn, "IQN.2026-11.test:Host\n"},
	{&value_ip, "2001:DB8::1"},	       {&value_name, "a.b-c_d"},
	{&value_pool, "dock:pool\n"},	       {&value_flag, " on"},
};

/* Those that have records. */
#define each_kind(kind)                                                                        \
	for (enum kind kind = KIND_ROOT; kind < KINDS; kind++)                                 \
		if (!kinds[kind]->computed)

static struct text sample_of(const struct value_type *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		if (samples[i].type == type)
			return text_of(samples[i].raw);
	fail_msg("no sample of type %s", type->name);
	return TEXT_NONE;
}

static struct inode_state inode_like(unsigned i)
{
	return (struct inode_state){.mode = 0100 + i, .uid = 1000 + i, .gid = 2000 + i,
				    .atime = -5 - (int64_t)i, .mtime = INT64_MAX - i};
}

static void fill_row(union any *object, unsigned i)
{
	const struct node *node = &kinds[object->o.kind]->nodes[i];
	struct attr_state *a = &object->o.attr[i];
	void *field = (char *)object + node->offset;

	if (node->type == NODE_NONE)
		return;
	a->flags = ATTR_HAS_OWNER | ATTR_HAS_TIMES;
	a->inode = inode_like(i);
	if (node->flags & NODE_SETTABLE) {
		a->flags |= ATTR_HAS_RAW;
		a->raw = sample_of(node->value);
		assert_int_equal(node->value->parse(text_trim(a->raw), field), 0);
	} else if (node->flags & NODE_STORED && node->value->is_text) {
		*(struct text *)field = TEXT("stored \xe2\x82\xac text");
	} else if (node->flags & NODE_STORED) {
		*(uint64_t *)field = 0x0102030405060708ULL + i;
	}
}

static void fill(union any *object, enum kind kind)
{
	memset(object, 0, sizeof(*object));
	object->o = (struct object){.number = 4711, .kind = kind, .parent = 1ULL << 40,
				    .container = 5, .inode = inode_like(77),
				    .created = 123456789, .updated = -1};
	memset(object->o.name, 'n', NAME_BYTES_MAX);
	memset(object->o.id, 0xa5, sizeof(object->o.id));
	for (unsigned i = NODE_SELF + 1; i < kinds[kind]->n_nodes; i++)
		fill_row(object, i);
}

static bool same_inode(const struct inode_state *a, const struct inode_state *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->atime == b->atime && a->mtime == b->mtime;
}

static void compare_row(const union any *a, const union any *b, unsigned i)
{
	const struct node *node = &kinds[a->o.kind]->nodes[i];
	const void *x = (const char *)a + node->offset, *y = (const char *)b + node->offset;

	assert_int_equal(a->o.attr[i].flags, b->o.attr[i].flags);
	assert_true(text_equal(a->o.attr[i].raw, b->o.attr[i].raw));
	assert_true(same_inode(&a->o.attr[i].inode, &b->o.attr[i].inode));
	if (!(node->flags & (NODE_SETTABLE | NODE_STORED)))
		return;
	if (node->value->is_text)
		assert_true(text_equal(*(const struct text *)x, *(const struct text *)y));
	else
		assert_int_equal(*(const uint64_t *)x, *(const uint64_t *)y);
}

static void compare(const union any *a, const union any *b)
{
	assert_int_equal(a->o.number, b->o.number);
	assert_int_equal(a->o.kind, b->o.kind);
	assert_int_equal(a->o.parent, b->o.parent);
	assert_int_equal(a->o.container, b->o.container);
	assert_string_equal(a->o.name, b->o.name);
	assert_memory_equal(a->o.id, b->o.id, sizeof(a->o.id));
	assert_true(same_inode(&a->o.inode, &b->o.inode));
	assert_int_equal(a->o.created, b->o.created);
	assert_int_equal(a->o.updated, b->o.updated);
	for (unsigned i = NODE_SELF + 1; i < kinds[a->o.kind]->n_nodes; i++)
		compare_row(a, b, i);
}

static struct text encode(const union any *object, struct buf *out)
{
	assert_int_equal(object_encode(object, out), 0);
	return buf_as_text(out);
}

static void test_every_row_comes_back(void **state)
{
	(void)state;
	each_kind(kind) {
		union any before, after;
		BUF_AUTO(record);

		fill(&before, kind);
		assert_int_equal(object_decode(4711, encode(&before, &record), &after), 0);
		compare(&before, &after);
	}
}

/* One row at a time: no row leans on another, and an unset one costs nothing. */
static void test_rows_are_independent(void **state)
{
	(void)state;
	each_kind(kind)
		for (unsigned i = NODE_SELF + 1; i < kinds[kind]->n_nodes; i++) {
			union any before, after, empty;
			BUF_AUTO(record);
			BUF_AUTO(without);

			memset(&empty, 0, sizeof(empty));
			empty.o.kind = kind;
			before = empty;
			fill_row(&before, i);
			encode(&empty, &without);
			encode(&before, &record);
			assert_int_equal(record.len > without.len, before.o.attr[i].flags != 0);
			assert_int_equal(object_decode(0, buf_as_text(&record), &after), 0);
			compare_row(&before, &after, i);
		}
}

/* What was never set has its default after decoding, as in a new object. */
static void test_defaults(void **state)
{
	union any before = {.o = {.kind = KIND_ATTACHMENT}}, after;
	BUF_AUTO(record);

	(void)state;
	assert_int_equal(object_decode(0, encode(&before, &record), &after), 0);
	assert_int_equal(after.attachment.mode, ACCESS_RW);
	buf_reset(&record);
	before.o.attr[ATTACHMENT_MODE] = (struct attr_state){.flags = ATTR_HAS_RAW,
							     .raw = TEXT("\n")};
	assert_int_equal(object_decode(0, encode(&before, &record), &after), 0);
	assert_int_equal(after.attachment.mode, ACCESS_RW);
}

/* In memory of its exact size, so that a sanitizer sees every byte read too much. */
static int decode_exactly(const char *bytes, size_t n)
{
	char *copy = malloc(n ? n : 1);
	union any object;
	int rc;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	rc = object_decode(1, (struct text){copy, n}, &object);
	free(copy);
	return rc;
}

/* Cut anywhere: an error, unless what is left is whole (between two entries). */
static void test_truncated(void **state)
{
	(void)state;
	each_kind(kind) {
		unsigned whole = 0, rows = 0;
		union any object;
		BUF_AUTO(record);

		fill(&object, kind);
		encode(&object, &record);
		for (unsigned i = NODE_SELF + 1; i < kinds[kind]->n_nodes; i++)
			rows += object.o.attr[i].flags != 0;
		for (size_t n = 0; n < record.len; n++) {
			int rc = decode_exactly(record.data, n);

			assert_true(rc == 0 || rc == -EBADMSG);
			whole += rc == 0;
		}
		assert_int_equal(whole, rows);
		buf_str(&record, "x");
		assert_int_equal(decode_exactly(record.data, record.len), -EBADMSG);
	}
}

/* Every byte of every kind's record, flipped in every bit: refused or read, never a crash. */
static void test_flipped_bits(void **state)
{
	(void)state;
	each_kind(kind) {
		union any object;
		BUF_AUTO(record);

		fill(&object, kind);
		encode(&object, &record);
		for (size_t i = 0; i < record.len * 8; i++) {
			int rc;

			record.data[i / 8] = (char)(record.data[i / 8] ^ 1 << i % 8);
			rc = decode_exactly(record.data, record.len);
			assert_true(rc == 0 || rc == -EBADMSG);
			record.data[i / 8] = (char)(record.data[i / 8] ^ 1 << i % 8);
		}
	}
}

/* version 2, kind, container, parent 8, id 16, owner 12, times 16, created and updated 16, length */
enum { AT_VERSION = 0, AT_KIND = 2, AT_LENGTH = 72, AT_NAME = 73 };

static void refuse_byte(size_t at, int value)
{
	union any object;
	BUF_AUTO(record);

	fill(&object, KIND_VOLUME);
	encode(&object, &record);
	record.data[at] = (char)value;
	assert_int_equal(decode_exactly(record.data, record.len), -EBADMSG);
}

static void test_newer_records(void **state)
{
	(void)state;
	refuse_byte(AT_VERSION, 3);
	refuse_byte(AT_VERSION, 0);
	refuse_byte(AT_VERSION + 1, 1);
	refuse_byte(AT_KIND, KINDS);
	refuse_byte(AT_KIND, KIND_ELIGIBLE);
	refuse_byte(AT_KIND, 255);
	refuse_byte(AT_LENGTH, NAME_BYTES_MAX + 1);
	refuse_byte(AT_LENGTH, 255);
}

/* Version 1 had the times of each row, even if they were those of the row before. */
static void test_older_record(void **state)
{
	union any object;
	BUF_AUTO(record);

	(void)state;
	fill(&object, KIND_VOLUME);
	encode(&object, &record);
	assert_int_equal(record.data[AT_VERSION], 2);
	record.data[AT_VERSION] = 1;
	assert_int_equal(decode_exactly(record.data, record.len), 0);
}

static void test_same_times(void **state)
{
	static const uint8_t rows[] = {VOLUME_POOL, VOLUME_STATUS, VOLUME_DOCK};
	union any before = {.o = {.kind = KIND_VOLUME, .inode = inode_like(1)}}, after;
	BUF_AUTO(without);
	BUF_AUTO(record);

	(void)state;
	encode(&before, &without);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		before.o.attr[rows[i]] = (struct attr_state){
			.flags = ATTR_HAS_TIMES, .inode = {.atime = 5, .mtime = 6}};
	encode(&before, &record);
	assert_int_equal(record.len - without.len, 3 * 2 + 16);
	assert_int_equal(object_decode(0, buf_as_text(&record), &after), 0);
	compare(&before, &after);
}

static int decode_with_entry(enum kind kind, const void *entry, size_t n)
{
	union any object = {.o = {.kind = kind, .name = "x"}};
	BUF_AUTO(record);

	encode(&object, &record);
	assert_int_equal(record.len, AT_NAME + 1);
	buf_add(&record, entry, n);
	return decode_exactly(record.data, record.len);
}

static void test_bad_entries(void **state)
{
	static const struct {
		enum kind kind;
		const char *bytes;
		size_t n;
		const char *what;
	} entries[] = {
#define ENTRY(kind, bytes, what) {KIND_##kind, bytes, sizeof(bytes) - 1, what}
		ENTRY(VOLUME, "\x00\x01\x00\x00", "node 0"),
		ENTRY(VOLUME, "\x01\x01\x00\x00", "node 1 is the directory"),
		ENTRY(VOLUME, "\xff\x01\x00\x00", "node 255"),
		ENTRY(VOLUME, "\x02\x20", "an unknown flag"),
		ENTRY(VOLUME, "\x02\x10", "the same times, but none"),
		ENTRY(VOLUME, "\x02\x01\x03\x00" "big", "a raw value that is no size"),
		ENTRY(VOLUME, "\x02\x08\x01\x00" "1", "a field of a row that stores none"),
		ENTRY(VOLUME, "\x18\x08\x04\x00" "1234", "a number of four bytes"),
		ENTRY(VOLUME, "\x0b\x01\x01\x00" "x", "a raw value of a row that nobody sets"),
		ENTRY(VOLUME, "\x02\x01\xff\xff" "1G", "longer than the record"),
#undef ENTRY
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (decode_with_entry(entries[i].kind, entries[i].bytes, entries[i].n) != -EBADMSG)
			fail_msg("decoded: %s", entries[i].what);
	assert_int_equal(decode_with_entry(KIND_VOLUME, "\x02\x01\x02\x00" "1G", 6), 0);
}

static void test_unknown_nodes(void **state)
{
	(void)state;
	each_kind(kind)
		for (unsigned i = 0; i < 256; i++) {
			uint8_t entry[14] = {(uint8_t)i, ATTR_HAS_OWNER};
			bool known = i > NODE_SELF && node_of(kind, (uint8_t)i);

			assert_int_equal(decode_with_entry(kind, entry, sizeof(entry)),
					 known ? 0 : -EBADMSG);
		}
}

/* No attachfs writes a node twice: what it means and what was written could disagree. */
static void test_repeated_node(void **state)
{
	static const char twice[] = "\x02\x01\x02\x00" "1G" "\x02\x01\x02\x00" "2G";

	(void)state;
	assert_int_equal(decode_with_entry(KIND_VOLUME, twice, sizeof(twice) - 1), -EBADMSG);
}

/* ---- what the configuration may hold comes back from its record ---- */

static void expect_restart(struct fixture *f, const char *path, struct text value)
{
	const char *now;

	fixture_start(f, true);
	now = fixture_read(f, path);
	assert_int_equal(strlen(now), value.n + 1);
	assert_memory_equal(now, value.p, value.n);
	fixture_stop(f);
	fixture_start(f, true);
	fixture_expect(f, path, now);
}

static void test_longest_capability(void **state)
{
	struct fixture f;
	BUF_AUTO(pools);
	char longest[VALUE_BYTES_MAX + 1];

	(void)state;
	memset(longest, 'x', VALUE_BYTES_MAX);
	longest[VALUE_BYTES_MAX] = '\0';
	fixture_init(&f);
	buf_printf(&pools, "  p: {totalCapacity: 1, extras: {a: {b: %s}}}\n", longest);
	fixture_dock(&f, "mem", pools.data);
	expect_restart(&f, "docks/mem/pools/p/capabilities/a.b", text_of(longest));
	fixture_free(&f);
}

static int load_conf_only(struct fixture *f)
{
	struct error err = {0};
	struct conf *conf;
	char path[128];
	FILE *file;
	int rc;

	snprintf(path, sizeof(path), "%s/attachfs.yaml", f->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "state: %s/state\ndocks: docks.d\n", f->dir);
	assert_int_equal(fclose(file), 0);
	rc = conf_load(path, NULL, NULL, &conf, &err);
	if (!rc)
		conf_unload(conf);
	return rc;
}

/* A dock's texts are bounded by the configuration, or else their records hold them. */
static void test_longest_zone(void **state)
{
	const size_t n = 70000;
	struct fixture f;
	BUF_AUTO(pools);
	char *longest = malloc(n + 1);

	(void)state;
	assert_non_null(longest);
	memset(longest, 'z', n);
	longest[n] = '\0';
	fixture_init(&f);
	buf_printf(&pools, "  p: {totalCapacity: 1, availabilityZone: %s}\n", longest);
	fixture_dock(&f, "mem", pools.data);
	if (!load_conf_only(&f))
		expect_restart(&f, "docks/mem/pools/p/availability_zone", text_of(longest));
	free(longest);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_comes_back),
		cmocka_unit_test(test_rows_are_independent),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_newer_records),
		cmocka_unit_test(test_older_record),
		cmocka_unit_test(test_same_times),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_unknown_nodes),
		cmocka_unit_test(test_repeated_node),
		cmocka_unit_test(test_longest_capability),
		cmocka_unit_test(test_longest_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
