/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The types of values: what each accepts, what it means, and what it refuses. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdlib.h>

#define GOOD(text_, number_) {TEXT(text_), number_, true}
#define BAD(text_)	     {TEXT(text_), 0, false}
struct sample {
	struct text in;
	uint64_t number;
	bool good;
};

/* In memory of its exact size, so that a sanitizer sees every byte read too much. */
static void try_sample(const struct value_type *type, const struct sample *s)
{
	char *copy = malloc(s->in.n ? s->in.n : 1);
	struct text in = {copy, s->in.n}, text = TEXT("before");
	uint64_t number = 4711;
	int rc;

	assert_non_null(copy);
	memcpy(copy, s->in.p, s->in.n);
	rc = type->parse(in, type->is_text ? (void *)&text : &number);
	if ((rc == 0) != s->good)
		fail_msg("%s: \"%.*s\" is %s", type->name, TEXT_ARG(s->in),
			 rc ? "refused" : "accepted");
	if (rc)
		assert_true(rc == -EINVAL || rc == -ERANGE);
	if (type->is_text)
		assert_true(text_equal(text, rc ? TEXT("before") : s->in));
	else
		assert_int_equal(number, rc ? 4711 : s->number);
	free(copy);
}

static void try_all(const struct value_type *type, const struct sample *samples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		try_sample(type, &samples[i]);
}

#define TRY(type, ...)                                                                         \
	do {                                                                                   \
		static const struct sample samples_[] = {__VA_ARGS__};                         \
		try_all(&type, samples_, ARRAY_SIZE(samples_));                                \
	} while (0)

static void test_size(void **state)
{
	(void)state;
	TRY(value_size, GOOD("1M", 1 << 20), GOOD("1048576", 1 << 20), GOOD("1024K", 1 << 20),
	    GOOD("10G", 10ULL << 30), GOOD("10g", 10ULL << 30), GOOD("10GiB", 10ULL << 30),
	    GOOD("512M", 512 << 20), GOOD("1T", 1ULL << 40), GOOD("1P", 1ULL << 50),
	    GOOD("1024T", 1ULL << 50), GOOD("1125899906842624", 1ULL << 50),
	    GOOD("1049088", (1 << 20) + 512), GOOD("0001M", 1 << 20), GOOD("1048576B", 1 << 20));
	TRY(value_size, BAD("0"), BAD("1"), BAD("1K"), BAD("1048575"), BAD("1023K"),
	    BAD("1048577"), BAD("1125899906843136"), BAD("2P"), BAD("1025T"), BAD("1E"),
	    BAD("18446744073709551615"), BAD("18446744073709551616"), BAD("16777216T"),
	    BAD("18014398509481984K"), BAD("-1G"), BAD("+1G"), BAD("1.5G"), BAD("1,5G"), BAD("G"),
	    BAD("GiB"), BAD("B"), BAD("iB"), BAD("1 G"), BAD("1GG"), BAD("1Gx"), BAD("0x100000"),
	    BAD("1G\0"), BAD("ten"), BAD("1048576 "), BAD(""));
}

static void test_size_units(void **state)
{
	(void)state;
	TRY(value_size, BAD("1048576iB"), BAD("1GBB"), BAD("1Gib"));
}

static void test_bool(void **state)
{
	(void)state;
	TRY(value_bool, GOOD("true", 1), GOOD("TRUE", 1), GOOD("True", 1), GOOD("1", 1),
	    GOOD("yes", 1), GOOD("on", 1), GOOD("false", 0), GOOD("False", 0), GOOD("0", 0),
	    GOOD("no", 0), GOOD("Off", 0), BAD("2"), BAD("tru"), BAD("truee"), BAD("-1"),
	    BAD("<is> True"), BAD("true\0"), BAD("00"), BAD(""));
}

static void test_number(void **state)
{
	(void)state;
	TRY(value_number, GOOD("0", 0), GOOD("4294967295", UINT32_MAX), BAD("4294967296"),
	    BAD("18446744073709551616"), BAD("-1"), BAD("1.0"), BAD("one"), BAD(""));
}

static void test_mode(void **state)
{
	(void)state;
	TRY(value_mode, GOOD("ro", ACCESS_RO), GOOD("rw", ACCESS_RW), BAD("r"), BAD("RO"),
	    BAD("RW"), BAD("row"), BAD("wr"), BAD("ro rw"), BAD("readonly"), BAD("ro\0"), BAD(""));
}

#define X10  "0123456789"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

static void test_initiator(void **state)
{
	(void)state;
	/* RFC 3720 3.2.6.3.1: a date, a reversed domain, and what its owner appends. */
	TRY(value_iqn, GOOD("iqn.2001-04.com.example", 0),
	    GOOD("iqn.2001-04.com.example:storage:diskarrays-sn-a8675309", 0),
	    GOOD("iqn.1993-08.org.debian:01:abcdef012345", 0),
	    GOOD("IQN.1991-05.COM.Microsoft:Host", 0), GOOD("iqn.2001-12.com.x", 0),
	    GOOD("iqn.1994-05.com.redhat:a:b.c-", 0), GOOD("iqn.2001-04.com.ex--ample.1", 0));
	TRY(value_iqn, BAD("iqn."), BAD("iqn.2001-04"), BAD("iqn.2001-04."),
	    BAD("iqn.2001-04.:x"), BAD("iqn.2001-00.com.example"), BAD("iqn.2001-13.com.example"),
	    BAD("iqn.01-04.com.example"), BAD("iqn.2001_04.com.example"),
	    BAD("iqn.2001-04-com.example"), BAD("iqn2001-04.com.example"), BAD("host1"),
	    BAD("iqn.2001-04.com..example"), BAD("iqn.2001-04..com"), BAD("iqn.2001-04.com."),
	    BAD("iqn.2001-04.com.:x"), BAD("iqn.2001-04.-com"), BAD("iqn.2001-04.com-:x"),
	    BAD("iqn.2001-04.com-.example"), BAD("iqn.2001-04.com.-example"),
	    BAD("iqn.2001-04.com.example:"), BAD("iqn.2001-0x.com"), BAD("iqn.20a1-04.com"),
	    BAD("ALL"), BAD("192.0.2.1"));
	/* RFC 3722: what stringprep forbids, and what would break a management protocol. */
	TRY(value_iqn, BAD("iqn.2001-04.com.ex ample"), BAD("iqn.2001-04.com.example:a,b"),
	    BAD("iqn.2001-04.com.example:a=b"), BAD("iqn.2001-04.com.example:a\"b"),
	    BAD("iqn.2001-04.com.example:a/b"), BAD("iqn.2001-04.com.example:a_b"),
	    BAD("iqn.2001-04.com.example:a;b"), BAD("iqn.2001-04.com.example:a\tb"),
	    BAD("iqn.2001-04.com.example:a\nb"), BAD("iqn.2001-04.com.example:a\0b"),
	    BAD("iqn.2001-04.com.example:\x7f"));
	/* 3720 3.2.6.3.2: EUI-64; 3980: NAA with 16 or 32 digits. */
	TRY(value_iqn, GOOD("eui.02004567A425678D", 0), GOOD("naa.52004567BA64678D", 0),
	    GOOD("naa.62004567BA64678D0123456789ABCDEF", 0), BAD("eui.02004567A425678"),
	    BAD("eui.02004567A425678D0"), BAD("eui.02004567A425678G"), BAD("eui."),
	    BAD("naa.52004567BA64678"), BAD("naa.52004567BA64678D0"),
	    GOOD("naa.12004567BA64678D", 0), GOOD("naa.22004567BA64678D", 0),
	    GOOD("naa.32004567BA64678D", 0), BAD("naa.02004567BA64678D"), /* RFC 3980: no format */
	    BAD("naa.62004567BA64678D"), BAD("naa.52004567BA64678D0123456789ABCDEF"),
	    BAD("naa.72004567BA64678D"), BAD("naa."), BAD("naa"), BAD("eui"), BAD("iqn"),
	    BAD("naa.52004567BA64678Z"), BAD("naa.62004567BA64678D0123456789ABCDEF0"),
	    BAD("eui.02004567A42567-D"), BAD("t10.02004567A425678D"), BAD(""));
	/* 223 bytes are the most. */
	TRY(value_iqn, GOOD("iqn.2001-04.com.example" X100 X100, 0),
	    BAD("iqn.2001-04.com.example0" X100 X100));
}

static void test_address(void **state)
{
	(void)state;
	TRY(value_ip, GOOD("192.0.2.1", 0), GOOD("0.0.0.0", 0), GOOD("2001:db8::1", 0),
	    GOOD("::", 0), GOOD("::ffff:192.0.2.1", 0),
	    GOOD("2001:0db8:0000:0000:0000:0000:0000:0001", 0), BAD("192.0.2"), BAD("192.0.2.256"),
	    BAD("192.0.2.1.1"), BAD("192.0.2.1/24"), BAD("[::1]"), BAD("fe80::1%eth0"),
	    BAD("2001:db8"), BAD(":::"), BAD("host"), BAD("192.0.2.1 "), BAD(""),
	    BAD("2001:0db8:0000:0000:0000:0000:0000:0001:0002:0003:0004"));
}

#define N60 X10 X10 X10 X10 X10 X10

static void test_name(void **state)
{
	(void)state;
	TRY(value_name, GOOD("a", 0), GOOD("0", 0), GOOD("A.b-c_d", 0), GOOD(N60 "123", 0),
	    BAD(N60 "1234"), BAD(N60 N60), BAD(""), BAD("."), BAD(".a"), BAD("-a"), BAD("_a"),
	    BAD("a/b"), BAD("a b"), BAD("a:b"), BAD("a@b"), BAD("\xc3\xa4"), BAD("a\n"));
}

static void test_pool_wish(void **state)
{
	(void)state;
	TRY(value_pool, GOOD("fast", 0), GOOD("ssd:fast", 0), GOOD(N60 "123:" N60 "123", 0),
	    BAD(":"), BAD("ssd:"), BAD(":fast"), BAD("a:b:c"), BAD("a b"), BAD("*"),
	    BAD(N60 "1234:fast"), BAD(""));
}

/* What comes behind a NUL is part of the value, whatever a C library makes of it. */
static void test_embedded_nul(void **state)
{
	(void)state;
	TRY(value_ip, BAD("192.0.2.1\0junk"), BAD("::1\0"));
	TRY(value_name, BAD("name\0junk"), BAD("name\0"));
	TRY(value_pool, BAD("pool\0junk"), BAD("dock\0:pool"), BAD("dock:pool\0"));
	TRY(value_line, BAD("text\0junk"));
}

static void test_line(void **state)
{
	(void)state;
	TRY(value_line, GOOD("any text, \xe2\x82\xac too", 0), GOOD("tab\there", 0),
	    BAD("two\nlines"), BAD("\x1b[0m"), BAD("\xff"), BAD("\xc3"));
}

/* ---- printing ---- */

static void expect_format(const struct value_type *type, const void *field, const char *expect)
{
	BUF_AUTO(out);

	buf_str(&out, "");
	type->format(field, &out);
	assert_string_equal(out.data, expect);
}

static void test_formats(void **state)
{
	static const uint8_t id[16] = {0xde, 0xad, 0xbe, 0xef};

	(void)state;
	expect_format(&value_bool, &(uint64_t){0}, "false");
	expect_format(&value_bool, &(uint64_t){1}, "true");
	expect_format(&value_bytes, &(uint64_t){UINT64_MAX}, "18446744073709551615");
	expect_format(&value_access, &(uint64_t){ACCESS_NONE}, "");
	expect_format(&value_access, &(uint64_t){ACCESS_RO}, "ro");
	expect_format(&value_access, &(uint64_t){ACCESS_RW}, "rw");
	expect_format(&value_access, &(uint64_t){99}, "");
	expect_format(&value_time, &(int64_t){0}, "");
	expect_format(&value_time, &(int64_t){951782400123456789}, "2000-02-29T00:00:00.123Z");
	expect_format(&value_thousandths, &(uint64_t){20000}, "20");
	expect_format(&value_thousandths, &(uint64_t){1050}, "1.050");
	expect_format(&value_uuid, id, "deadbeef-0000-0000-0000-000000000000");
}

/* ---- every settable row, through the front door ---- */

static void expect_round_trip(struct fixture *f, const char *path, const char *value)
{
	assert_int_equal(fixture_write(f, path, value), 0);
	fixture_expect(f, path, value);
}

static void test_bytes_come_back_as_written(void **state)
{
	static const char *const paths[][4] = {
		{"volumes/v/description", "text", " text \n", "\xc3\xa4\n"},
		{"volumes/v/multiattach", "true", "YES\n", " 0\n"},
		{"volumes/v/max_writers", "3", "003\n", "\n"},
		{"volumes/v/pool", "many", "mem:many\n", "\n"},
		{"volumes/v/protected", "1", "on\n", "no"},
		{"hosts/h/initiator", "iqn.2026-11.test:H\n", "eui.02004567A425678D", "\n"},
		{"hosts/h/ip", "192.0.2.1", " ::1\n", ""},
	};
	struct fixture *f = *state;

	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	assert_int_equal(fixture_mkdir(f, "hosts/h"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t k = 1; k < 4; k++)
			expect_round_trip(f, paths[i][0], paths[i][k]);
}

static void test_refused_values_change_nothing(void **state)
{
	struct fixture *f = *state;
	char longest[VALUE_BYTES_MAX + 2];

	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(fixture_write_bytes(f, "volumes/v/description",
					     (struct text){longest, VALUE_BYTES_MAX}),
			 0);
	assert_int_equal(fixture_write_bytes(f, "volumes/v/description",
					     (struct text){longest, VALUE_BYTES_MAX + 1}),
			 -EINVAL);
	assert_int_equal(fixture_write_bytes(f, "volumes/v/description", TEXT("a\0b")), -EINVAL);
	assert_int_equal(fixture_write(f, "volumes/v/description", "a\nb\n"), -EINVAL);
	assert_int_equal(fixture_write(f, "volumes/v/description", "\xff\n"), -EINVAL);
	assert_int_equal(strlen(fixture_read(f, "volumes/v/description")), VALUE_BYTES_MAX);
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), "expected one line of UTF-8");
	assert_int_equal(fixture_write(f, "volumes/v/max_writers", "many\n"), -EINVAL);
	fixture_expect(f, "volumes/v/max_writers", "0\n");
	fixture_expect_in(fixture_read(f, "volumes/v/last_error"), "not \"many\"");
}

#define THROUGH_CORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_size_units),
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_initiator),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_pool_wish),
		cmocka_unit_test(test_embedded_nul),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_formats),
		THROUGH_CORE(test_bytes_come_back_as_written),
		THROUGH_CORE(test_refused_values_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
