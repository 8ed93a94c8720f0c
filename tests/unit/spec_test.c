/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extra specs, as tables: what each operator matches, what it does not, and what does not parse. */
#include "../../src/core/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "attachfs/cleanup.h"

#define SEP "\x1f"

struct sample {
	const char *spec, *value;
	enum { NO, YES, BROKEN } want; /* BROKEN: the spec does not parse, so it is no match */
};

/* In memory of its exact size, so that a sanitizer sees every byte read too much. */
static struct text exact(const char *s)
{
	size_t n = strlen(s);
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, s, n);
	return (struct text){copy, n};
}

static void try_sample(const struct sample *sample)
{
	struct text text = exact(sample->spec), value = exact(sample->value);
	struct spec spec;
	bool matches;

	spec_parse(text, &spec);
	matches = spec_matches(&spec, value);
	if ((sample->want == BROKEN) != (spec.expected != NULL))
		fail_msg("\"%s\" %s", sample->spec, spec.expected ? "does not parse" : "parses");
	if (matches != (sample->want == YES))
		fail_msg("\"%s\" %s \"%s\"", sample->spec, matches ? "matches" : "does not match",
			 sample->value);
	free((char *)text.p);
	free((char *)value.p);
}

#define TRY(...)                                                                               \
	do {                                                                                   \
		static const struct sample samples_[] = {__VA_ARGS__};                         \
		for (size_t i_ = 0; i_ < ARRAY_SIZE(samples_); i_++)                           \
			try_sample(&samples_[i_]);                                             \
	} while (0)

static void test_is(void **state)
{
	(void)state;
	TRY({"<is> True", "true", YES}, {"<is> true", "true", YES}, {"<is> TRUE", "True", YES},
	    {"<is> 1", "yes", YES}, {"<is> on", "Y", YES}, {"<is> t", "1", YES},
	    {"  <is>\t True \n", " true ", YES}, {"<is> False", "false", YES},
	    {"<is> no", "off", YES}, {"<is> N", "F", YES}, {"<is> 0", "False", YES});
	TRY({"<is> True", "false", NO}, {"<is> False", "true", NO}, {"<is> True", "", NO},
	    /* Cinder takes any other text for False. */
	    {"<is> False", "SSD", NO}, {"<is> True", "SSD", NO}, {"<is> False", "", NO});
	TRY({"<is> maybe", "true", BROKEN}, {"<is>", "true", BROKEN}, {"<is> ", "", BROKEN},
	    {"<is> True False", "true", BROKEN}, {"<is> maybe", "maybe", BROKEN});
	TRY({"<is> True", "false" SEP "true", YES}, {"<is> True", "a" SEP "b", NO});
}

static void test_in(void **state)
{
	(void)state;
	TRY({"<in> SSD", "SSD", YES}, {"<in> SS", "fast SSD", YES}, {"<in>  SSD ", "SSDs", YES},
	    {"<in> two words", "just two words.", YES});
	TRY({"<in> SSD", "ssd", NO}, {"<in> SSD", "SS", NO}, {"<in> SSD", "", NO},
	    {"<in> a.c", "abc", NO} /* no pattern */, {"<in> SSD HDD", "HDD SSD", NO});
	TRY({"<in>", "SSD", BROKEN}, {"<in>  ", "", BROKEN});
	TRY({"<in> arm", "hot" SEP "warm", YES}, {"<in> tw", "hot" SEP "warm", NO},
	    {"<in> hot,warm", "hot" SEP "warm", NO});
}

static void test_all_in(void **state)
{
	(void)state;
	TRY({"<all-in> aes mmx", "mmx sse aes", YES}, {"<all-in> aes", "aes", YES},
	    {"<all-in>  a\tb  c ", "cba", YES});
	TRY({"<all-in> aes mmx", "aes", NO}, {"<all-in> aes", "", NO}, {"<all-in> AES", "aes", NO});
	TRY({"<all-in>", "aes", BROKEN}, {"<all-in> ", "", BROKEN});
	TRY({"<all-in> aes mmx", "aes" SEP "sse" SEP "mmx", YES},
	    {"<all-in> aes mmx", "aes" SEP "sse", NO});
}

static void test_or(void **state)
{
	(void)state;
	TRY({"<or> SSD <or> NVMe", "SSD", YES}, {"<or> SSD <or> NVMe", "NVMe", YES},
	    {"<or> SSD", "SSD", YES}, {"<or>  a  <or>\tb <or> c", "b", YES},
	    {"<or> tier one <or> tier two", "tier two", YES});
	TRY({"<or> SSD <or> NVMe", "HDD", NO}, {"<or> SSD", "ssd", NO}, {"<or> SSD", "SSDs", NO},
	    {"<or> SSD <or> NVMe", "<or>", NO}, {"<or> SSD <or> NVMe", "", NO},
	    {"<or> tier one", "tier", NO}, {"<or> a<or>b", "a", NO});
	TRY({"<or>", "SSD", BROKEN}, {"<or> SSD <or>", "SSD", BROKEN},
	    {"<or> <or> SSD", "SSD", BROKEN}, {"<or> a <or> <or> b", "a", BROKEN},
	    {"<or> ", "", BROKEN});
	TRY({"<or> x <or> warm", "hot" SEP "warm", YES}, {"<or> x <or> y", "hot" SEP "warm", NO});
}

static void test_numbers(void **state)
{
	(void)state;
	/* "=" is "at least", as in Cinder. */
	TRY({"= 5000", "5000", YES}, {"= 5000", "7000000", YES}, {"= 5000", "4999", NO},
	    {">= 5000", "5000.0", YES}, {">= 5000", "4999.999", NO}, {">= -1", "0", YES},
	    {"<= 100", "100", YES}, {"<= 100", "99", YES}, {"<= 100", "101", NO},
	    {"<= .5", "0.25", YES}, {"== 5", "5.0", YES}, {"== 5e3", "5000", YES},
	    {"== 5", "5.0001", NO}, {"!= 5", "6", YES}, {"!= 5", "5.", NO},
	    {"== +5", "5", YES}, {">=\t5 ", " 6 ", YES}, {">= 1e-3", "0.001", YES});
	/* Exact beyond what a double holds. */
	TRY({"== 9007199254740993", "9007199254740993", YES},
	    {"== 9007199254740993", "9007199254740992", NO},
	    {">= 18446744073709551615", "18446744073709551614", NO},
	    {">= 18446744073709551615", "18446744073709551615", YES});
	/* A capability that is no number: none of them, not even "unequal". */
	TRY({">= 10", "5ms", NO}, {"<= 10", "5ms", NO}, {"!= 10", "5ms", NO}, {"== 10", "", NO},
	    {"= 1", "0x10", NO}, {"!= 1", "nan", NO}, {"<= 1e9", "-inf", NO},
	    {">= 1", "1_000", NO}, {">= 1", "1e99999", NO}, {">= 0", "1 2", NO});
	TRY({">= lots", "5", BROKEN}, {">=", "5", BROKEN}, {"=", "=", BROKEN}, {"== 5 6", "5", BROKEN},
	    {"!= ", "5", BROKEN}, {"<= 0x10", "5", BROKEN}, {"== nan", "nan", BROKEN},
	    {">= inf", "5", BROKEN}, {"<= .", "5", BROKEN}, {"<= 1e", "5", BROKEN},
	    {"== 1e99999", "5", BROKEN}, {"== - 5", "-5", BROKEN},
	    {"== 1111111111111111111111111111111111111111111111111111111111111111", "1", BROKEN});
	TRY({">= 5", "1" SEP "9", YES}, {">= 5", "1" SEP "4", NO}, {">= 5", "x" SEP "5", YES},
	    {"!= 5", "5" SEP "6", YES});
}

static void test_texts(void **state)
{
	(void)state;
	TRY({"s== SSD", "SSD", YES}, {"s== SSD", "ssd", NO}, {"s== SSD", "SSD 2", NO},
	    {"s== tier one", "tier one", YES}, {"s!= SSD", "HDD", YES}, {"s!= SSD", "ssd", YES},
	    {"s!= SSD", "SSD", NO}, {"s< b", "a", YES}, {"s< b", "b", NO}, {"s<= b", "b", YES},
	    {"s<= b", "ba", NO}, {"s> b", "ba", YES}, {"s> b", "b", NO}, {"s>= b", "b", YES},
	    {"s>= b", "a", NO}, {"s< 9", "10", YES} /* bytes, not numbers */,
	    {"s< a", "B", YES}, {"s> z", "\xc3\xa4", YES});
	TRY({"s==", "SSD", BROKEN}, {"s!=", "SSD", BROKEN}, {"s<", "", BROKEN}, {"s<=", "", BROKEN},
	    {"s> ", "", BROKEN}, {"s>=", "", BROKEN});
	TRY({"s== warm", "hot" SEP "warm", YES}, {"s== hot,warm", "hot" SEP "warm", NO},
	    {"s!= warm", "hot" SEP "warm", YES}, {"s> k", "hot" SEP "warm", YES},
	    {"s> x", "hot" SEP "warm", NO});
}

static void test_bare(void **state)
{
	(void)state;
	TRY({"SSD", "SSD", YES}, {"SSD", "ssd", NO}, {"SSD", "SSDs", NO}, {" SSD\n", "SSD", YES},
	    {"two words", "two words", YES}, {"100", "100", YES}, {"100", "100.0", NO},
	    {"True", "true", YES}, {"false", "FALSE", YES}, {"True", "false", NO},
	    {"1", "true", NO}, {"yes", "true", NO}, {"SSD", "", NO});
	/* What has no operator for its first word is a text. */
	TRY({"<IS> True", "true", NO}, {">=5", "6", NO}, {">=5", ">=5", YES}, {"> 5", "6", NO},
	    {"<is>True", "true", NO}, {"S== a", "a", NO});
	TRY({"warm", "hot" SEP "warm", YES}, {"True", "false" SEP "true", YES},
	    {"hot,warm", "hot" SEP "warm", NO}, {"", "", YES});
}

static void test_booleans(void **state)
{
	(void)state;
	assert_int_equal(spec_boolean(TEXT("tRuE")), 1);
	assert_int_equal(spec_boolean(TEXT("Off")), 0);
	assert_int_equal(spec_boolean(TEXT("truely")), -1);
	assert_int_equal(spec_boolean(TEXT("tru")), -1);
	assert_int_equal(spec_boolean(TEXT_NONE), -1);
}

static void expect_explained(const char *spec, const char *value, const char *want)
{
	struct text v = text_of(value);
	struct spec s;
	BUF_AUTO(out);

	spec_parse(text_of(spec), &s);
	spec_explain(&s, value ? &v : NULL, &out);
	assert_string_equal(out.data, want);
}

static void test_explanations(void **state)
{
	char text[200], spec[220], want[300];

	(void)state;
	expect_explained("<is> True\n", "false", "is false, wanted <is> True");
	expect_explained(">= 5", NULL, "is not reported, wanted >= 5");
	expect_explained(">= 5", "", "is empty, wanted >= 5");
	expect_explained("<in> cold", "hot" SEP "warm", "is hot,warm, wanted <in> cold");
	expect_explained("<is> maybe", "true",
			 "is true, wanted <is> maybe, where True or False is expected");
	expect_explained(">=5", "6",
			 "is 6, wanted >=5 (an operator is one of those in attachfs(7), and a "
			 "blank after it)");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(spec, sizeof(spec), "<in> %s", text);
	snprintf(want, sizeof(want), "is %.81s..., wanted <in> %.76s...", text, text);
	expect_explained(spec, text, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is),	 cmocka_unit_test(test_in),
		cmocka_unit_test(test_all_in),	 cmocka_unit_test(test_or),
		cmocka_unit_test(test_numbers),	 cmocka_unit_test(test_texts),
		cmocka_unit_test(test_bare),	 cmocka_unit_test(test_booleans),
		cmocka_unit_test(test_explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
