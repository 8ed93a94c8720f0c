/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts, buffers and errors: trimming, UTF-8, numbers, growing, cutting. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/buf.h"
#include "attachfs/error.h"
#include "attachfs/text.h"


static void test_trim(void **state)
{
	static const struct {
		struct text in;
		const char *out;
	} cases[] = {
		{TEXT(""), ""},		  {TEXT(" "), ""},	    {TEXT(" \t\r\n"), ""},
		{TEXT("a"), "a"},	  {TEXT(" a b "), "a b"},   {TEXT("a\r\n"), "a"},
		{TEXT("\n\na\n\n"), "a"}, {TEXT("\va\v"), "\va\v"}, {TEXT("\xc2\xa0"), "\xc2\xa0"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_true(text_is(text_trim(cases[i].in), cases[i].out));
	assert_int_equal(text_trim(TEXT_NONE).n, 0);
}

static void test_utf8(void **state)
{
	static const struct {
		struct text in;
		bool good;
	} cases[] = {
		{TEXT(""), true},
		{TEXT("plain, with\ttab"), true},
		{TEXT("\xc2\x80"), true},	  /* U+0080, the least of two bytes */
		{TEXT("\xdf\xbf"), true},
		{TEXT("\xe0\xa0\x80"), true},	  /* U+0800, the least of three */
		{TEXT("\xed\x9f\xbf"), true},	  /* U+D7FF, below the surrogates */
		{TEXT("\xee\x80\x80"), true},	  /* U+E000, above them */
		{TEXT("\xef\xbf\xbf"), true},
		{TEXT("\xf0\x90\x80\x80"), true}, /* U+10000, the least of four */
		{TEXT("\xf4\x8f\xbf\xbf"), true}, /* U+10FFFF, the last */
		{TEXT("\x00"), false},
		{TEXT("a\x00" "b"), false},
		{TEXT("a\nb"), false},
		{TEXT("\r"), false},
		{TEXT("\x1b[31m"), false},
		{TEXT("\x7f"), false},
		{TEXT("\x80"), false},		   /* a continuation alone */
		{TEXT("\xbf"), false},
		{TEXT("\xc0\x80"), false},	   /* overlong NUL */
		{TEXT("\xc1\xbf"), false},	   /* overlong */
		{TEXT("\xe0\x9f\xbf"), false},	   /* overlong */
		{TEXT("\xf0\x8f\xbf\xbf"), false}, /* overlong */
		{TEXT("\xed\xa0\x80"), false},	   /* a surrogate */
		{TEXT("\xed\xbf\xbf"), false},	   /* a surrogate */
		{TEXT("\xf4\x90\x80\x80"), false}, /* U+110000 */
		{TEXT("\xf5\x80\x80\x80"), false},
		{TEXT("\xf8\x88\x80\x80\x80"), false},
		{TEXT("\xff"), false},
		{TEXT("\xc3"), false},		   /* cut off */
		{TEXT("\xe2\x82"), false},
		{TEXT("\xf0\x9f\x98"), false},
		{TEXT("\xc3("), false},		   /* not continued */
		{TEXT("\xe2(\x82"), false},
		{TEXT("\xe2\x82("), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (text_is_line(cases[i].in) != cases[i].good)
			fail_msg("case %zu: expected %s", i, cases[i].good ? "good" : "bad");
	assert_true(text_is_line(TEXT_NONE));
}

/* Read no byte beyond the end, however a sequence begins: a sanitizer watches. */
static void test_utf8_stays_inside(void **state)
{
	(void)state;
	for (unsigned lead = 0; lead < 256; lead++) {
		char *one = malloc(1);

		assert_non_null(one);
		*one = (char)lead;
		assert_int_equal(text_is_line((struct text){one, 1}),
				 lead == '\t' || (lead >= 0x20 && lead < 0x7f));
		free(one);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		struct text in;
		int rc;
		uint64_t value;
	} cases[] = {
		{TEXT("0"), 0, 0},
		{TEXT("00012"), 0, 12},
		{TEXT("18446744073709551615"), 0, UINT64_MAX},
		{TEXT("18446744073709551616"), -ERANGE, 0},
		{TEXT("99999999999999999999"), -ERANGE, 0},
		{TEXT("184467440737095516150"), -ERANGE, 0},
		{TEXT(""), -EINVAL, 0},
		{TEXT("+1"), -EINVAL, 0},
		{TEXT("-1"), -EINVAL, 0},
		{TEXT(" 1"), -EINVAL, 0},
		{TEXT("1 "), -EINVAL, 0},
		{TEXT("0x10"), -EINVAL, 0},
		{TEXT("1e3"), -EINVAL, 0},
		{TEXT("1\x00"), -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 4711;

		assert_int_equal(text_to_u64(cases[i].in, &value), cases[i].rc);
		assert_int_equal(value, cases[i].rc ? 4711 : cases[i].value);
	}
}

static void test_comparing(void **state)
{
	(void)state;
	assert_true(text_compare(TEXT("a"), TEXT("b")) < 0);
	assert_true(text_compare(TEXT("b"), TEXT("a")) > 0);
	assert_true(text_compare(TEXT("a"), TEXT("ab")) < 0);
	assert_true(text_compare(TEXT_NONE, TEXT("a")) < 0);
	assert_int_equal(text_compare(TEXT_NONE, TEXT("")), 0);
	assert_true(text_compare(TEXT("\xff"), TEXT("a")) > 0);
	assert_true(text_equal(TEXT_NONE, TEXT("")));
	assert_false(text_equal(TEXT("a"), TEXT("A")));
	assert_true(text_starts(TEXT("abc"), "ab") && !text_starts(TEXT("a"), "ab"));
	assert_true(text_ends(TEXT("abc"), "bc") && !text_ends(TEXT("c"), "bc"));
	assert_true(text_starts(TEXT_NONE, "") && text_ends(TEXT_NONE, ""));
}

static void test_copy(void **state)
{
	char room[4] = "zzz";

	(void)state;
	assert_true(text_copy(room, sizeof(room), TEXT("abc")));
	assert_string_equal(room, "abc");
	assert_false(text_copy(room, sizeof(room), TEXT("wxyz")));
	assert_string_equal(room, "wxy");
	assert_true(text_copy(room, sizeof(room), TEXT_NONE));
	assert_string_equal(room, "");
	assert_false(text_copy(room, 1, TEXT("a")));
	assert_string_equal(room, "");
}

static void test_buf_grows(void **state)
{
	BUF_AUTO(b);

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		buf_printf(&b, "%u,", i % 10);
		assert_int_equal(b.data[b.len], '\0');
	}
	buf_add(&b, "a\0b", 3);
	buf_add(&b, NULL, 0);
	buf_text(&b, TEXT_NONE);
	assert_int_equal(b.len, 10003);
	assert_memory_equal(b.data + 10000, "a\0b", 4);
	assert_int_equal(buf_error(&b), 0);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	buf_str(&b, "again");
	assert_true(text_is(buf_as_text(&b), "again"));
}

/* The very lengths at which it must grow, with room for the NUL. */
static void test_buf_number(void **state)
{
	BUF_AUTO(b);

	(void)state;
	buf_number(&b, 0, 1);
	buf_str(&b, " ");
	buf_number(&b, 0, 0);
	buf_str(&b, " ");
	buf_number(&b, 7, 3);
	buf_str(&b, " ");
	buf_number(&b, 1234, 3);
	buf_str(&b, " ");
	buf_number(&b, UINT64_MAX, 1);
	buf_str(&b, " ");
	buf_number(&b, 10, 99);
	assert_string_equal(b.data, "0 0 007 1234 18446744073709551615 00000000000000000010");
}

static void test_buf_edges(void **state)
{
	static const char bytes[600];

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		BUF_AUTO(b);

		buf_add(&b, bytes, n);
		buf_add(&b, bytes, 300 - n);
		buf_printf(&b, "%*s", (int)n, "");
		assert_int_equal(b.len, 300 + n);
		assert_true(b.size > b.len);
	}
}

static void test_buf_failure_sticks(void **state)
{
	struct buf b = {.failed = true};

	(void)state;
	buf_str(&b, "lost");
	buf_printf(&b, "%d", 1);
	assert_int_equal(buf_error(&b), -ENOMEM);
	assert_int_equal(b.len, 0);
	buf_free(&b);
	assert_int_equal(buf_error(&b), 0);
}

static void test_errors(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(error_set(NULL, EIO, "nobody %s", "listens"), -EIO);
	assert_int_equal(error_set(&err, EBUSY, "held by %s", "h"), -EBUSY);
	assert_int_equal(err.code, EBUSY);
	assert_string_equal(err.text, "held by h");
	assert_int_equal(error_set(&err, EIO, "%02000d", 0), -EIO);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

/* "One line of UTF-8": an explanation that is cut is not cut inside of a character. */
static void test_errors_are_cut_between_characters(void **state)
{
	struct error err;
	BUF_AUTO(text);

	(void)state;
	for (unsigned i = 0; i < 600; i++)
		buf_str(&text, "\xc3\xa4");
	for (unsigned shift = 0; shift < 2; shift++) {
		error_set(&err, EIO, "%s%s", shift ? "x" : "", text.data);
		assert_true(text_is_line(text_of(err.text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_stays_inside),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_comparing),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_buf_number),
		cmocka_unit_test(test_buf_grows),
		cmocka_unit_test(test_buf_edges),
		cmocka_unit_test(test_buf_failure_sticks),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_errors_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
