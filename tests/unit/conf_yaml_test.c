/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the YAML reader and its typed reads: places of errors, every bound from both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attachfs/buf.h"
#include "attachfs/cleanup.h"
#include "attachfs/conf.h"
#include "attachfs/limits.h"

static void add_many(struct buf *b, const char *s, unsigned times)
{
	while (times--)
		buf_str(b, s);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct conf_node *parse_ok(struct text text)
{
	struct conf_node *root = NULL;
	struct error err = {0};

	if (conf_parse_text("t", text, &root, &err))
		fail_msg("refused: %s", err.text);
	return root;
}

/* `expected`: what the error begins with. The output must not be touched. */
static void parse_fails(struct text text, const char *expected)
{
	struct conf_node *const untouched = (struct conf_node *)&untouched;
	struct conf_node *root = untouched;
	struct error err = {0};

	assert_int_equal(conf_parse_text("t", text, &root, &err), -EINVAL);
	assert_int_equal(err.code, EINVAL);
	assert_ptr_equal(root, untouched);
	if (strncmp(err.text, expected, strlen(expected)))
		fail_msg("expected \"%s\", got \"%s\"", expected, err.text);
	assert_int_equal(conf_parse_text("t", text, &root, NULL), -EINVAL);
}

/* ---- YAML ---- */

static void test_places(void **state)
{
	struct conf_node *root =
		parse_ok(TEXT("\xef\xbb\xbf" "a: 1\n"
			      "\"b\":\n"
			      "  - 'x y'\n"
			      "  - {\xc3\xa9t\xc3\xa9: \"true\", d: }\n"
			      "text: |\n"
			      "  two\n"
			      "  lines\n"));
	const struct conf_node *a = conf_get(root, "a"), *b = conf_get(root, "b");
	const struct conf_node *inner = b->child->next, *block = conf_get(root, "text");

	(void)state;
	assert_int_equal(root->type, CONF_MAP);
	assert_string_equal(a->value, "1");
	assert_int_equal(a->line, 1);
	assert_int_equal(a->column, 4);
	assert_int_equal(a->key_line, 1);
	assert_int_equal(a->key_column, 1);
	assert_false(a->quoted);
	assert_int_equal(b->type, CONF_LIST);
	assert_int_equal(b->key_line, 2);
	assert_string_equal(b->child->value, "x y");
	assert_true(b->child->quoted);
	assert_null(b->child->key);
	assert_int_equal(inner->type, CONF_MAP);
	assert_int_equal(inner->line, 4);
	assert_int_equal(inner->column, 5);
	/* Columns count characters, not bytes. */
	assert_int_equal(inner->child->column, 11);
	assert_string_equal(inner->child->next->value, "");
	assert_string_equal(block->value, "two\nlines\n");
	assert_true(block->quoted);
	assert_string_equal(block->file, "t");
	assert_null(conf_get(root, "c"));
	assert_null(conf_get(a, "c"));
	assert_null(conf_get(b, "c"));
	assert_null(conf_get(NULL, "c"));
	conf_free(root);
	conf_free(NULL);
}

static void test_empty(void **state)
{
	static const struct text texts[] = {
		{NULL, 0},     {"", 0},		{"\n", 1}, {"# only words\n", 13},
		{"---\n", 4}, {"---\n...\n", 8}, {"\xef\xbb\xbf", 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct conf_node *root = parse_ok(texts[i]);

		assert_int_equal(root->type, CONF_MAP);
		assert_null(root->child);
		assert_null(root->value);
		assert_string_equal(root->file, "t");
		assert_true(root->line >= 1 && root->column >= 1);
		conf_free(root);
	}
}

static void test_refused_yaml(void **state)
{
	static const struct {
		struct text text;
		const char *error;
	} cases[] = {
		{TEXT("a: &x 1\n"), "t:1:4: anchors (&) are not supported"},
		{TEXT("a: 1\nb: &x {c: 1}\n"), "t:2:4: anchors"},
		{TEXT("a: &x [c]\n"), "t:1:4: anchors"},
		{TEXT("&x a: 1\n"), "t:1:1: anchors"},
		{TEXT("a: *x\n"), "t:1:4: aliases (*) are not supported"},
		{TEXT("*x : 1\n"), "t:1:1: aliases"},
		{TEXT("<<: *x\n"), "t:1:5: aliases"},
		{TEXT("a: !!str 1\n"), "t:1:4: tags (!) are not supported"},
		{TEXT("a: ! 1\n"), "t:1:4: tags"},
		{TEXT("\xc3\xa9: 1\r\na: ! 'x'\n"), "t:2:4: tags"},
		{TEXT("a: ! {b: 1}\n"), "t:1:4: tags"},
		{TEXT("a: !<tag:x,2000:y> [1]\n"), "t:1:4: tags"},
		{TEXT("!!str a: 1\n"), "t:1:1: tags"},
		{TEXT("! a: 1\n"), "t:1:1: tags"},
		{TEXT("%TAG ! tag:x,2000:\n---\na: 1\n"), "t:1:1: tags (%TAG)"},
		{TEXT("a: 1\nb: 2\na: 3\n"), "t:3:1: duplicate key a, first at 1:1"},
		{TEXT("x: {a: 1, 'a': 2}\n"), "t:1:11: duplicate key a, first at 1:5"},
		{TEXT("a: 1\n---\nb: 2\n"), "t:2:1: a second document"},
		{TEXT("a: 1\n...\n---\n"), "t:3:1: a second document"},
		{TEXT("a: \"x\\0y\"\n"), "t:1:4: a NUL byte in a text"},
		{TEXT("\"a\\0\": 1\n"), "t:1:1: a NUL byte in a text"},
		{TEXT("a: 1\nb: x\0y\n"), "t:2:5: control characters are not allowed"},
		{TEXT("a: 1\n\xc3\xa9: \x01\n"), "t:2:4: control characters"},
		{TEXT("a: \xff\n"), "t:1:4: invalid leading UTF-8 octet, expected UTF-8"},
		{TEXT("a: \xc0\x80\n"), "t:1:4: invalid length of a UTF-8 sequence"},
		{TEXT("\xff\xfe" "a\0:\0"), "t:1:1: invalid leading UTF-8"},
		{TEXT("? [a]\n: 1\n"), "t:1:3: a list as a key"},
		{TEXT("? {a: 1}\n: 1\n"), "t:1:3: a map as a key"},
		{TEXT("{[a]: 1}\n"), "t:1:2: a list as a key"},
		{TEXT(": 1\n"), "t:1:1: did not find expected key"},
		{TEXT("{: 1}\n"), "t:1:2: did not find expected node content"},
		{TEXT("? \n"), "t:1:2: bad key"},
		{TEXT("'': 1\n"), "t:1:1: bad key"},
		{TEXT("\"a\\nb\": 1\n"), "t:1:1: bad key"},
		{TEXT("\"a\\eb\": 1\n"), "t:1:1: bad key"},
		{TEXT("a: [1, 2\n"), "t:2:1: did not find expected ',' or ']'"},
		{TEXT("a:\n\tb: 1\n"), "t:2:1: found character that cannot start any token; "
				       "expected a value (indent with spaces"},
		{TEXT("a: b: c\n"), "t:1:5: mapping values are not allowed in this context; "
				    "expected one KEY: VALUE a line"},
		{TEXT("a: 1\nb\n"), "t:3:1: could not find expected ':'"},
		{TEXT("a: 'x\n"), "t:2:1: found unexpected end of stream"},
		{TEXT("a: 1\n b: 2\n"), "t:2:3: mapping values are not allowed"},
		{TEXT("a: }\n"), "t:1:4: did not find expected node content"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		parse_fails(cases[i].text, cases[i].error);
}

static void test_depth(void **state)
{
	static const struct {
		const char *open, *close;
		unsigned column; /* of the 33rd level */
	} kinds[] = {{"[", "]", 33}, {"{a: ", "}", 129}, {"- ", "", 65}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		BUF_AUTO(good);
		BUF_AUTO(bad);
		char expected[64];

		add_many(&good, kinds[i].open, CONF_DEPTH_MAX);
		buf_str(&good, "1");
		add_many(&good, kinds[i].close, CONF_DEPTH_MAX);
		conf_free(parse_ok(buf_as_text(&good)));
		add_many(&bad, kinds[i].open, CONF_DEPTH_MAX + 1);
		buf_str(&bad, "1");
		add_many(&bad, kinds[i].close, CONF_DEPTH_MAX + 1);
		snprintf(expected, sizeof(expected), "t:1:%u: nested too deeply",
			 kinds[i].column);
		parse_fails(buf_as_text(&bad), expected);
	}
}

/* What is slow in libyaml must be refused before it gets slow. */
static void test_hostile_nesting(void **state)
{
	static const struct {
		const char *unit, *error;
	} kinds[] = {
		{"[", "t:1:33: nested"},	  {"{", "t:1:2: a map as a key"},
		{"[[],", "t:1:126: nested"},	  {"{a: ", "t:1:129: nested"},
		{"- ", "t:1:65: nested"},	  {"? ", "t:1:3: a map as a key"},
		{"a: [", "t:1:65: nested"},	  {"[a: ", "t:1:65: nested"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		BUF_AUTO(b);
		double start;

		add_many(&b, kinds[i].unit, 100 * 1024 / (unsigned)strlen(kinds[i].unit));
		start = now_ms();
		parse_fails(buf_as_text(&b), kinds[i].error);
		/* Parsed twice, in a few milliseconds; the rest is for a loaded machine. */
		assert_true(now_ms() - start < 500);
	}
}

static void test_size(void **state)
{
	BUF_AUTO(b);

	(void)state;
	buf_str(&b, "a: 1\n#");
	add_many(&b, "x", CONF_FILE_BYTES_MAX - (unsigned)b.len);
	conf_free(parse_ok(buf_as_text(&b)));
	buf_str(&b, "x");
	parse_fails(buf_as_text(&b), "t:1:1: the file is too long, expected at most 262144 bytes");
}

static void test_nodes(void **state)
{
	BUF_AUTO(b);

	(void)state;
	buf_str(&b, "[");
	add_many(&b, "1,", CONF_NODES_MAX - 1);
	buf_str(&b, "]");
	conf_free(parse_ok(buf_as_text(&b)));
	buf_reset(&b);
	buf_str(&b, "[");
	add_many(&b, "1,", CONF_NODES_MAX);
	buf_str(&b, "]");
	parse_fails(buf_as_text(&b), "t:1:131072: too many values");
}

/* Finding duplicates must not be quadratic. */
static void test_many_keys(void **state)
{
	struct conf_node *root;
	double start;
	BUF_AUTO(b);

	(void)state;
	for (unsigned i = 0; i < 30000; i++)
		buf_printf(&b, "%x:\n", i);
	assert_true(b.len < CONF_FILE_BYTES_MAX);
	start = now_ms();
	root = parse_ok(buf_as_text(&b));
	assert_true(now_ms() - start < 2000);
	conf_free(root);
	buf_str(&b, "0: x\n");
	parse_fails(buf_as_text(&b), "t:30001:1: duplicate key 0, first at 1:1");
}

static void test_key_length(void **state)
{
	BUF_AUTO(b);

	(void)state;
	add_many(&b, "k", 255);
	buf_str(&b, ": 1\n");
	conf_free(parse_ok(buf_as_text(&b)));
	buf_reset(&b);
	add_many(&b, "k", 256);
	buf_str(&b, ": 1\n");
	parse_fails(buf_as_text(&b), "t:1:1: bad key");
}

/* ---- typed reads ---- */

static void test_strings(void **state)
{
	static const struct {
		struct text text;
		const char *value, *error; /* both NULL: counts as missing */
	} cases[] = {
		{TEXT("k: a b\n"), "a b", NULL},
		{TEXT("k: 'null'\n"), "null", NULL},
		{TEXT("k: ''\n"), "", NULL},
		{TEXT("k: true\n"), "true", NULL},
		{TEXT("k: 010\n"), "010", NULL},
		{TEXT("k: \xc3\xa9\n"), "\xc3\xa9", NULL},
		{TEXT("k: \"a\\tb\"\n"), "a\tb", NULL},
		{TEXT("k:\n"), NULL, NULL},
		{TEXT("k: ~\n"), NULL, NULL},
		{TEXT("k: Null\n"), NULL, NULL},
		{TEXT("other: 1\n"), NULL, NULL},
		{TEXT("k: {}\n"), NULL, "t:1:4: k: expected a text, not a map"},
		{TEXT("\nk: [a]\n"), NULL, "t:2:4: k: expected a text, not a list"},
		{TEXT("k: |\n  a\n  b\n"), NULL, "t:1:4: k: expected one line of text"},
		{TEXT("k: \"a\\eb\"\n"), NULL, "t:1:4: k: expected one line of text"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_node *root = parse_ok(cases[i].text);
		const char *value = "untouched";
		struct error err = {0};

		assert_int_equal(conf_string(root, "k", &value, &err),
				 cases[i].error ? -EINVAL : 0);
		assert_string_equal(value, cases[i].value ? cases[i].value : "untouched");
		if (cases[i].error)
			assert_memory_equal(err.text, cases[i].error, strlen(cases[i].error));
		conf_free(root);
	}
}

static void test_string_length(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		const char *value = NULL;
		struct conf_node *root;
		struct error err = {0};
		BUF_AUTO(b);

		buf_str(&b, "k: ");
		add_many(&b, "v", VALUE_BYTES_MAX + extra);
		root = parse_ok(buf_as_text(&b));
		assert_int_equal(conf_string(root, "k", &value, &err), extra ? -EINVAL : 0);
		assert_string_equal(err.text,
				    extra ? "t:1:4: k: expected at most 4096 bytes, not a long "
					    "text" : "");
		conf_free(root);
	}
	(void)state;
}

static void test_bools(void **state)
{
	static const struct {
		const char *text;
		int value; /* -1: untouched */
		const char *error;
	} cases[] = {
		{"k: true", 1, NULL},	{"k: TRUE", 1, NULL},  {"k: Yes", 1, NULL},
		{"k: on", 1, NULL},	{"k: false", 0, NULL}, {"k: no", 0, NULL},
		{"k: OFF", 0, NULL},	{"k:", -1, NULL},      {"x: 1", -1, NULL},
		{"k: 1", -1, "t:1:4: k: expected true or false, not 1"},
		{"k: 'true'", -1, "t:1:4: k: expected true or false, not the text \"true\""},
		{"k: truee", -1, "t:1:4: k: expected true or false, not truee"},
		{"k: <is> True", -1, "t:1:4: k: expected true or false, not <is> True"},
		{"k: [true]", -1, "t:1:4: k: expected true or false, not a list"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_node *root = parse_ok(text_of(cases[i].text));

		for (int before = 0; before < 2; before++) {
			bool value = before;
			struct error err = {0};

			assert_int_equal(conf_bool(root, "k", &value, &err),
					 cases[i].error ? -EINVAL : 0);
			assert_int_equal(value, cases[i].value < 0 ? before : cases[i].value);
			assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		}
		conf_free(root);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max, value;
		const char *error;
	} cases[] = {
		{"k: 3", 3, 5, 3, NULL},
		{"k: 5", 3, 5, 5, NULL},
		{"k: 18446744073709551615", 0, UINT64_MAX, UINT64_MAX, NULL},
		{"k: ~", 3, 5, 77, NULL},
		{"k: 2", 3, 5, 77, "t:1:4: k: expected a whole number from 3 to 5, not 2"},
		{"k: 6", 3, 5, 77, "t:1:4: k: expected a whole number from 3 to 5, not 6"},
		{"k: '4'", 3, 5, 77,
		 "t:1:4: k: expected a whole number from 3 to 5, not the text \"4\""},
		{"k: 0x4", 3, 5, 77, "t:1:4: k: expected a whole number from 3 to 5, not 0x4"},
		{"k: 4.0", 3, 5, 77, "t:1:4: k: expected a whole number from 3 to 5, not 4.0"},
		{"k: -4", 3, 5, 77, "t:1:4: k: expected a whole number from 3 to 5, not -4"},
		{"k: 18446744073709551616", 0, 9, 77,
		 "t:1:4: k: expected a whole number from 0 to 9, not 18446744073709551616"},
		{"k: {a: 1}", 3, 5, 77,
		 "t:1:4: k: expected a whole number from 3 to 5, not a map"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_node *root = parse_ok(text_of(cases[i].text));
		uint64_t value = 77;
		struct error err = {0};

		assert_int_equal(conf_number(root, "k", cases[i].min, cases[i].max, &value, &err),
				 cases[i].error ? -EINVAL : 0);
		assert_true(value == cases[i].value);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		conf_free(root);
	}
}

static void test_decimals(void **state)
{
	static const struct {
		const char *value;
		double expected; /* 0: refused */
	} cases[] = {
		{"1", 1},	{"1000", 1000}, {"20.1", 20.1}, {"1.5", 1.5},
		{"1.00000000000001", 1.00000000000001},
		{"1.000000000000001", 0}, {"0.999", 0}, {"1000.1", 0}, {"1e2", 0},
		{".5", 0},	{"5.", 0},	{"1.2.3", 0},	{"inf", 0},	{"nan", 0},
		{"-1", 0},	{"1,5", 0},	{"'1.5'", 0},	{"[1]", 0},	{".", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_node *root;
		double value = 77;
		struct error err = {0};
		BUF_AUTO(b);

		buf_printf(&b, "k: %s\n", cases[i].value);
		root = parse_ok(buf_as_text(&b));
		assert_int_equal(conf_decimal(root, "k", 1, 1000, &value, &err),
				 cases[i].expected ? 0 : -EINVAL);
		assert_true(value == (cases[i].expected ? cases[i].expected : 77));
		if (!cases[i].expected)
			assert_non_null(strstr(err.text,
					       "t:1:4: k: expected a number from 1 to 1000, not "));
		conf_free(root);
	}
}

static void test_maps(void **state)
{
	struct conf_node *root = parse_ok(TEXT("m: {a: 1}\nn:\ns: secret\nl: [1]\n"));
	const struct conf_node *map = root;
	struct error err = {0};

	(void)state;
	assert_int_equal(conf_map(root, "m", &map, &err), 0);
	assert_string_equal(map->child->key, "a");
	assert_int_equal(conf_map(root, "s", &map, &err), -EINVAL);
	assert_string_equal(err.text, "t:3:4: s: expected a map, not a text");
	assert_int_equal(conf_map(root, "l", &map, &err), -EINVAL);
	assert_string_equal(err.text, "t:4:4: l: expected a map, not a list");
	assert_string_equal(map->child->key, "a");
	assert_int_equal(conf_map(root, "n", &map, &err), 0);
	assert_null(map);
	map = root;
	assert_int_equal(conf_map(NULL, "x", &map, &err), 0);
	assert_null(map);
	assert_int_equal(conf_fail(root->child, &err, "no %s", "way"), -EINVAL);
	assert_string_equal(err.text, "t:1:4: no way");
	assert_int_equal(conf_fail(root->child, NULL, "no"), -EINVAL);
	conf_free(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refused_yaml),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_hostile_nesting),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_key_length),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_string_length),
		cmocka_unit_test(test_bools),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_maps),
	};

	return cmocka_run_group_tests_name("conf_yaml", tests, NULL, NULL);
}
