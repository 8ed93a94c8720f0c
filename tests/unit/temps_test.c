/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Temporary files: their names, bounds and life; attributes whose names are hidden. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/fs/hidden.h"
#include "../../src/fs/temps.h"
#include "attachfs/cleanup.h"

#define DIR  (300ULL << 8 | 1)
#define OTHER (301ULL << 8 | 1)

static const struct inode_state inode = {.mode = 0644, .uid = 1, .gid = 2, .atime = 3, .mtime = 4};

static int setup(void **state)
{
	return temps_open((struct temps **)state);
}

static int teardown(void **state)
{
	temps_close(*state);
	return 0;
}

static uint64_t make(struct temps *t, uint64_t dir, const char *name, enum temp_type type,
		     const char *content)
{
	struct temp_stat st;
	struct temp *temp;

	assert_int_equal(
		temps_make(t, dir, name, type, &inode, text_of(content), 0, &temp), 0);
	temps_stat(t, temp, &st);
	temps_put(t, temp);
	return st.ino;
}

static int try_make(struct temps *t, uint64_t dir, const char *name, struct text content)
{
	struct temp *temp = NULL;
	int rc = temps_make(t, dir, name, TEMP_FILE, &inode, content, 0, &temp);

	temps_put(t, temp);
	return rc;
}

static bool there(struct temps *t, uint64_t dir, const char *name)
{
	struct temp *temp = temps_find(t, dir, name);

	temps_put(t, temp);
	return temp;
}

static void expect(struct temps *t, struct temp *temp, const char *content)
{
	BUF_AUTO(got);

	assert_non_null(temp);
	temps_read(t, temp, 0, TEMP_BYTES_MAX, &got);
	assert_string_equal(got.data ? got.data : "", content);
}

/* ---- names ---- */

static void test_names(void **state)
{
	static const struct {
		enum kind kind;
		const char *name;
		bool file, directory;
	} names[] = {
		{KIND_ATTACHMENT, ".anything", true, true},
		{KIND_ATTACHMENT, "#mode#", true, true},
		{KIND_ATTACHMENT, "whatever~", true, true},
		{KIND_ATTACHMENT, "~", false, false},
		{KIND_ATTACHMENT, "mode", false, false},
		{KIND_ATTACHMENT, "mdoe", false, false},
		{KIND_ATTACHMENT, "modes", false, false},
		{KIND_ATTACHMENT, "mode12", false, false},
		{KIND_ATTACHMENT, "modeAb3dE6", true, true},
		{KIND_ATTACHMENT, "modeAb3dE", false, false},
		{KIND_ATTACHMENT, "modeAb3dE67", false, false},
		{KIND_ATTACHMENT, "mode.bak", true, true},
		{KIND_ATTACHMENT, "mode.Ab3dE6fg.tmp", true, true},
		{KIND_ATTACHMENT, "mode.puppet-bak", true, true},
		{KIND_ATTACHMENT, "modeorig", true, true},
		{KIND_ATTACHMENT, "orig_mode", true, true},
		{KIND_ATTACHMENT, "origmode", false, false},
		{KIND_ATTACHMENT, "mode_1700000000.cf-before-edit", true, true},
		{KIND_ATTACHMENT, "mode_ro", false, false},
		{KIND_ATTACHMENT, "mode20261120-99-1abcde", true, true},
		{KIND_ATTACHMENT, "mode20261120-99-1abcde.lock", true, true},
		{KIND_ATTACHMENT, "what.lock", false, true},
		{KIND_ATTACHMENT, "size.bak", false, false},
		{KIND_VOLUME, "size.bak", true, true},
		{KIND_VOLUME, "descripton", false, false},
		{KIND_ATTACHMENT, "descripton", false, false}, /* there is an `ip` in it */
		{KIND_ATTACHMENT, "ip.new", true, true},
		{KIND_ATTACHMENT, "ipaddress", false, false},
		{KIND_ATTACHMENT, "status.bak", false, false},
		{KIND_VOLUME, "sedAb3dE6", true, true},
		{KIND_VOLUME, "sedAb3dE", false, false},
		{KIND_VOLUME, "XXAb3dE6", true, true},
		{KIND_VOLUME, "tmp", true, true},
		{KIND_VOLUME, "tmpfile", true, true},
		{KIND_VOLUME, "file.tmp", true, true},
		{KIND_VOLUME, ".tmp", true, true},
		{KIND_VOLUME, "4913", true, true},
		{KIND_VOLUME, "491", false, false},
		{KIND_VOLUME, "123456", true, true},
		{KIND_VOLUME, "1234567", false, false},
		{KIND_KEY, ".k", true, true},
		{KIND_KEY, "k~", true, true},
		{KIND_KEY, "k.lock", false, true},
		{KIND_KEY, "tmpk", false, false},
		{KIND_KEY, "a b", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (temp_name(names[i].kind, names[i].name, false) != names[i].file ||
		    temp_name(names[i].kind, names[i].name, true) != names[i].directory)
			fail_msg("%s beside a %s", names[i].name, kinds[names[i].kind]->name);
}

static void not_temp(enum kind kind, const char *name)
{
	if (temp_name(kind, name, false))
		fail_msg("%s beside a %s", name, kinds[kind]->name);
}

/* No attribute, and no slip in writing one that is a letter too few, too many or exchanged. */
static void test_slips(void **state)
{
	(void)state;
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (unsigned i = NODE_SELF + 1; i < kinds[kind]->n_nodes; i++) {
			const char *name = kinds[kind]->nodes[i].name;
			char slip[64];

			if (kinds[kind]->nodes[i].type != NODE_ATTR)
				continue;
			not_temp(kind, name);
			for (size_t at = 0; at < strlen(name); at++) {
				snprintf(slip, sizeof(slip), "%.*s%s", (int)at, name, name + at + 1);
				not_temp(kind, slip);
				snprintf(slip, sizeof(slip), "%.*s%c%s", (int)at, name, name[at],
					 name + at);
				not_temp(kind, slip);
			}
			snprintf(slip, sizeof(slip), "%ss", name);
			not_temp(kind, slip);
		}
}

/* ---- life ---- */

static void test_make_find_remove(void **state)
{
	struct temps *t = *state;
	struct temp_stat st;
	struct temp *temp;

	assert_false(temps_any(t));
	make(t, DIR, "a", TEMP_FILE, "text");
	assert_int_equal(try_make(t, DIR, "a", TEXT_NONE), -EEXIST);
	assert_true(there(t, DIR, "a"));
	assert_false(there(t, OTHER, "a"));
	temp = temps_find(t, DIR, "a");
	temps_stat(t, temp, &st);
	assert_int_equal(st.size, 4);
	assert_int_equal(st.inode.mode, 0644);
	assert_int_equal(st.dir, DIR);
	assert_int_equal(temps_top(t, st.ino), DIR);
	assert_int_equal(temps_remove(t, temp), 0);
	assert_int_equal(temps_remove(t, temp), -ENOENT);
	assert_false(there(t, DIR, "a"));
	/* as long as somebody has it open it is all there, and found by its number */
	expect(t, temp, "text");
	temps_put(t, temps_get(t, st.ino));
	assert_true(temps_any(t));
	temps_put(t, temp);
	assert_null(temps_get(t, st.ino));
	assert_false(temps_any(t));
}

static void test_contents(void **state)
{
	struct temps *t = *state;
	struct temp *temp;
	struct temp_stat st;

	make(t, DIR, "a", TEMP_FILE, "");
	temp = temps_find(t, DIR, "a");
	assert_int_equal(temps_write(t, temp, 0, false, TEXT("hello")), 0);
	assert_int_equal(temps_write(t, temp, 0, true, TEXT(" world")), 0);
	assert_int_equal(temps_write(t, temp, 0, false, TEXT("J")), 0);
	expect(t, temp, "Jello world");
	assert_int_equal(temps_truncate(t, temp, 3), 0);
	expect(t, temp, "Jel");
	temps_stat(t, temp, &st);
	assert_false(st.has_times);
	temps_set(t, temp, INODE_MTIME, &(struct inode_state){.mtime = 99});
	temps_stat(t, temp, &st);
	assert_true(st.has_times && st.inode.mtime == 99);
	assert_int_equal(temps_write(t, temp, 5, false, TEXT("x")), 0);
	temps_stat(t, temp, &st);
	assert_false(st.has_times);
	assert_int_equal(st.size, 6);
	assert_int_equal(temps_write(t, temp, UINT64_MAX, false, TEXT("x")), -ENOSPC);
	assert_int_equal(temps_write(t, temp, TEMP_BYTES_MAX, false, TEXT("x")), -ENOSPC);
	assert_int_equal(temps_truncate(t, temp, TEMP_BYTES_MAX), 0);
	assert_int_equal(temps_truncate(t, temp, TEMP_BYTES_MAX + 1), -ENOSPC);
	temps_put(t, temp);
}

static int collect(void *arg, const char *name, const struct temp_stat *st, uint64_t cookie)
{
	assert_true(cookie > INO_TEMP && st->ino);
	buf_printf(arg, "%s%s ", name, st->type == TEMP_DIR ? "/" : "");
	return 0;
}

static void expect_list(struct temps *t, uint64_t dir, const char *names)
{
	BUF_AUTO(got);

	assert_int_equal(temps_list(t, dir, 0, collect, &got), 0);
	assert_string_equal(got.data ? got.data : "", names);
}

static int move(struct temps *t, const char *name, uint64_t dir, const char *new_name,
		bool no_replace)
{
	struct temp *temp = temps_find(t, DIR, name);
	int rc = temps_move(t, temp, dir, new_name, no_replace);

	temps_put(t, temp);
	return rc;
}

static void test_move(void **state)
{
	struct temps *t = *state;
	uint64_t d, e;

	make(t, DIR, "a", TEMP_FILE, "A");
	make(t, DIR, "b", TEMP_FILE, "B");
	d = make(t, DIR, "d", TEMP_DIR, "");
	e = make(t, d, "e", TEMP_DIR, "");
	make(t, e, "f", TEMP_FILE, "");
	assert_int_equal(temps_top(t, e), DIR);
	assert_int_equal(move(t, "a", DIR, "b", true), -EEXIST);
	assert_int_equal(move(t, "a", DIR, "b", false), 0);
	expect_list(t, DIR, "d/ b ");
	assert_int_equal(move(t, "b", DIR, "b", true), 0);
	assert_int_equal(move(t, "b", DIR, "d", false), -EISDIR);
	assert_int_equal(move(t, "d", DIR, "b", false), -ENOTDIR);
	assert_int_equal(move(t, "d", e, "x", false), -EINVAL);
	assert_int_equal(move(t, "d", d, "x", false), -EINVAL);
	assert_int_equal(move(t, "b", e, "g", false), 0);
	expect_list(t, e, "f g ");
	assert_int_equal(move(t, "d", OTHER, "z", false), 0);
	expect_list(t, OTHER, "z/ ");
	expect_list(t, DIR, "");
	assert_int_equal(temps_drop(t, DIR), 0);
	assert_int_equal(temps_drop(t, OTHER), 4);
	assert_false(temps_any(t));
}

static void test_directories(void **state)
{
	struct temps *t = *state;
	uint64_t d = make(t, DIR, "d", TEMP_DIR, "");
	struct temp *temp = temps_find(t, DIR, "d");

	make(t, d, "x", TEMP_FILE, "");
	assert_int_equal(temps_remove(t, temp), -ENOTEMPTY);
	temps_drop(t, d);
	assert_int_equal(temps_remove(t, temp), 0);
	/* whoever still stands in it can make nothing there */
	assert_int_equal(try_make(t, d, "y", TEXT_NONE), -ENOENT);
	temps_put(t, temp);
	assert_int_equal(try_make(t, d, "y", TEXT_NONE), -ENOENT);
	assert_int_equal(try_make(t, DIR, "n", TEXT_NONE), 0);
}

static void test_bounds(void **state)
{
	static char full[TEMP_BYTES_MAX + 1];
	const struct text too_much = {full, sizeof(full)}, most = {full, TEMP_BYTES_MAX};
	struct temps *t = *state;
	char name[300];
	unsigned n = 0;
	int rc = 0;

	assert_int_equal(try_make(t, DIR, "x", too_much), -ENOSPC);
	for (unsigned i = 0; i < TEMPS_PER_DIRECTORY_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make(t, DIR, name, TEMP_FILE, "");
	}
	assert_int_equal(try_make(t, DIR, "x", TEXT_NONE), -ENOSPC);
	make(t, OTHER, "x", TEMP_FILE, "");
	assert_int_equal(move(t, "0", OTHER, "y", false), 0);
	assert_int_equal(try_make(t, DIR, "x", TEXT_NONE), 0);
	temps_drop(t, DIR);
	temps_drop(t, OTHER);
	/* bytes of all of them, and again after they are gone */
	for (unsigned round = 0; round < 2; round++) {
		for (n = 0; !rc; n++)
			rc = try_make(t, 1000 + n, "x", most);
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(n - 1, TEMPS_BYTES_MAX / TEMP_BYTES_MAX);
		for (rc = 0; n > 0; n--)
			temps_drop(t, 999 + n);
		assert_false(temps_any(t));
	}
	for (n = 0; n < TEMPS_MAX; n++)
		make(t, 1000 + n, "x", TEMP_FILE, "");
	assert_int_equal(try_make(t, DIR, "x", TEXT_NONE), -ENOSPC);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(try_make(t, DIR, name, TEXT_NONE), -ENAMETOOLONG);
}

static bool is_odd(void *arg, uint64_t dir)
{
	++*(unsigned *)arg;
	return dir >> 8 & 1;
}

static void test_sweep(void **state)
{
	struct temps *t = *state;
	unsigned asked = 0;
	uint64_t d;

	for (unsigned i = 0; i < 1000; i++)
		make(t, (uint64_t)i << 8 | 1, "x", TEMP_FILE, "");
	d = make(t, 1 << 8 | 1, "d", TEMP_DIR, "");
	make(t, d, "e", TEMP_FILE, "");
	temps_sweep(t, is_odd, &asked);
	assert_true(asked >= 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(there(t, (uint64_t)i << 8 | 1, "x"), !(i & 1));
	assert_false(there(t, d, "e"));
}

/* The number of an attribute goes to the copy that was made when it was moved aside. */
static void test_alias(void **state)
{
	struct temps *t = *state;
	const uint64_t ino = 300ULL << 8 | 5;
	struct temp *temp, *open;

	assert_null(temps_get(t, ino));
	assert_int_equal(temps_make(t, DIR, "mode~", TEMP_FILE, &inode, TEXT("rw"), ino, &temp), 0);
	assert_true(temps_any_alias(t));
	open = temps_get(t, ino);
	assert_ptr_equal(open, temp);
	temps_put(t, temp);
	/* without a name it is the attribute's again, whoever has it open */
	assert_int_equal(temps_remove(t, open), 0);
	assert_null(temps_get(t, ino));
	expect(t, open, "rw");
	assert_int_equal(temps_make(t, DIR, "mode~", TEMP_FILE, &inode, TEXT("ro"), ino, &temp), 0);
	expect(t, open, "rw");
	expect(t, temp, "ro");
	temps_put(t, open);
	open = temps_get(t, ino);
	expect(t, open, "ro");
	temps_put(t, open);
	temps_put(t, temp);
	temps_drop(t, DIR);
	assert_false(temps_any_alias(t));
}

/* ---- hidden names ---- */

static void test_hidden(void **state)
{
	const struct ref mode = {300, 5}, size = {301, 6};
	struct hidden *h;

	(void)state;
	assert_int_equal(hidden_open(&h), 0);
	assert_false(hidden_has(h, mode));
	assert_int_equal(hidden_add(h, mode, 10), 0);
	assert_int_equal(hidden_add(h, mode, 10), 0);
	assert_int_equal(hidden_add(h, size, 11), 0);
	assert_true(hidden_has(h, mode) && hidden_has(h, size));
	assert_true(hidden_by(h, 300, 10));
	assert_false(hidden_by(h, 300, 11));
	assert_false(hidden_by(h, 301, 10));
	/* shown again, and yet it is known who was about to remove it */
	hidden_reveal_all(h, 10);
	assert_false(hidden_has(h, mode));
	assert_true(hidden_has(h, size));
	assert_true(hidden_by(h, 300, 10));
	hidden_reveal(h, size);
	assert_false(hidden_has(h, size));
	assert_false(hidden_by(h, 301, 11));
	assert_int_equal(hidden_add(h, mode, 10), 0);
	assert_true(hidden_has(h, mode));
	for (uint64_t i = 0; i < HIDDEN_MAX - 1; i++)
		assert_int_equal(hidden_add(h, (struct ref){1000 + i, 2}, 1), 0);
	assert_int_equal(hidden_add(h, size, 1), -ENOSPC);
	assert_int_equal(hidden_add(h, mode, 1), 0);
	hidden_close(h);
}

int main(void)
{
#define LIFE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_slips),
		LIFE(test_make_find_remove),  LIFE(test_contents),
		LIFE(test_move),	      LIFE(test_directories),
		LIFE(test_bounds),	      LIFE(test_sweep),
		LIFE(test_alias),	      cmocka_unit_test(test_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
