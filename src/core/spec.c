/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extra specs: the grammar of Cinder's scheduler, where what does not parse is no match. */
#include "spec.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "attachfs/cleanup.h"

/* A number in a spec or a capability is not longer. */
#define NUMBER_BYTES_MAX 63
/* What messages show of a text. */
#define SHOWN_BYTES_MAX 80

static const struct {
	const char *word;
	enum spec_op op;
} operators[] = {
	{"<is>", SPEC_IS},	{"<in>", SPEC_IN},	{"<all-in>", SPEC_ALL_IN},
	{"<or>", SPEC_OR},	{"=", SPEC_AT_LEAST},	{"==", SPEC_EQUAL},
	{"!=", SPEC_UNEQUAL},	{">=", SPEC_AT_LEAST},	{"<=", SPEC_AT_MOST},
	{"s==", SPEC_TEXT_EQ},	{"s!=", SPEC_TEXT_NE},	{"s<", SPEC_TEXT_LT},
	{"s<=", SPEC_TEXT_LE},	{"s>", SPEC_TEXT_GT},	{"s>=", SPEC_TEXT_GE},
};

int spec_boolean(struct text t)
{
	static const char *const words[2][6] = {{"false", "0", "f", "n", "no", "off"},
						{"true", "1", "t", "y", "yes", "on"}};

	for (int value = 0; value < 2; value++)
		for (size_t i = 0; i < ARRAY_SIZE(words[value]); i++)
			if (t.n == strlen(words[value][i]) &&
			    !strncasecmp(t.p, words[value][i], t.n))
				return value;
	return -1;
}

/* Only true and false in letters: "1" and "on" are texts where no boolean is asked for. */
static int plain_boolean(struct text t)
{
	return t.n > 3 ? spec_boolean(t) : -1;
}

/* Takes the digits off the front; returns how many. */
static size_t take_digits(struct text *t)
{
	size_t n = 0;

	while (n < t->n && t->p[n] >= '0' && t->p[n] <= '9')
		n++;
	t->p += n;
	t->n -= n;
	return n;
}

static bool take_one_of(struct text *t, const char *set)
{
	if (!t->n || !*t->p || !strchr(set, *t->p))
		return false;
	t->p++;
	t->n--;
	return true;
}

/* [+-]DIGITS[.DIGITS][e[+-]DIGITS], with digits on one side of the point at least. */
static bool is_decimal(struct text t)
{
	size_t digits;

	take_one_of(&t, "+-");
	digits = take_digits(&t);
	if (take_one_of(&t, "."))
		digits += take_digits(&t);
	if (digits && take_one_of(&t, "eE")) {
		take_one_of(&t, "+-");
		digits = take_digits(&t);
	}
	return digits && !t.n;
}

/* 64 bits of mantissa: any number of bytes or IOPS is exact. */
static bool to_number(struct text t, long double *ret)
{
	char copy[NUMBER_BYTES_MAX + 1];
	uint64_t whole;

	if (!text_to_u64(t, &whole)) {
		*ret = (long double)whole;
		return true;
	}
	if (!is_decimal(t) || !text_copy(copy, sizeof(copy), t))
		return false;
	*ret = strtold(copy, NULL);
	return isfinite(*ret);
}

/* Cuts off the first word and the blanks around it; empty at the end. */
static struct text take_word(struct text *t)
{
	struct text word = *t = text_trim(*t);
	size_t n = 0;

	while (n < t->n && !strchr(" \t\r\n", t->p[n] ?: '.'))
		n++;
	word.n = n;
	t->p += n;
	t->n -= n;
	*t = text_trim(*t);
	return word;
}

/* "A <or> B": cuts off A, and the "<or>" too; false if nothing is between two of them. */
static bool take_alternative(struct text *rest, struct text *ret)
{
	struct text begin = *rest = text_trim(*rest), word;

	do {
		ret->p = begin.p;
		ret->n = (size_t)(rest->p - begin.p);
		word = take_word(rest);
	} while (word.n && !text_is(word, "<or>"));
	if (!word.n)
		ret->n = begin.n;
	*ret = text_trim(*ret);
	return ret->n && (!word.n || rest->n);
}

static bool alternatives_parse(struct text rest)
{
	struct text one;

	while (rest.n)
		if (!take_alternative(&rest, &one))
			return false;
	return true;
}

/* What the operand of this operator must be; NULL if it is. */
static const char *check_operand(struct spec *s)
{
	switch (s->op) {
	case SPEC_SAME:
		s->truth = plain_boolean(s->operand);
		return NULL;
	case SPEC_IS:
		s->truth = spec_boolean(s->operand);
		return s->truth < 0 ? "True or False" : NULL;
	case SPEC_EQUAL:
	case SPEC_UNEQUAL:
	case SPEC_AT_LEAST:
	case SPEC_AT_MOST:
		return to_number(s->operand, &s->number) ? NULL : "a number";
	case SPEC_OR:
		return s->operand.n && alternatives_parse(s->operand) ? NULL
								      : "TEXT <or> TEXT";
	case SPEC_IN:
	case SPEC_ALL_IN:
	case SPEC_TEXT_EQ:
	case SPEC_TEXT_NE:
	case SPEC_TEXT_LT:
	case SPEC_TEXT_LE:
	case SPEC_TEXT_GT:
	case SPEC_TEXT_GE:
		break;
	}
	return s->operand.n ? NULL : "a text";
}

void spec_parse(struct text t, struct spec *ret)
{
	struct text rest = t, word = take_word(&rest);

	*ret = (struct spec){.op = SPEC_SAME, .whole = text_trim(t), .truth = -1};
	ret->operand = ret->whole;
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (text_is(word, operators[i].word)) {
			ret->op = operators[i].op;
			ret->operand = rest;
		}
	ret->expected = check_operand(ret);
}

static bool contains(struct text value, struct text part)
{
	return part.n && memmem(value.p, value.n, part.p, part.n);
}

static bool is_one_of(struct text value, struct text rest)
{
	struct text one;

	while (rest.n && take_alternative(&rest, &one))
		if (text_equal(value, one))
			return true;
	return false;
}

static bool number_matches(const struct spec *s, struct text value)
{
	long double number;

	if (!to_number(value, &number))
		return false;
	if (s->op == SPEC_EQUAL)
		return number == s->number;
	if (s->op == SPEC_UNEQUAL)
		return number != s->number;
	return s->op == SPEC_AT_LEAST ? number >= s->number : number <= s->number;
}

/* One value, or one element of a list. */
static bool element_matches(const struct spec *s, struct text value)
{
	switch (s->op) {
	case SPEC_SAME:
		return text_equal(value, s->operand) ||
		       (s->truth >= 0 && plain_boolean(value) == s->truth);
	case SPEC_IS:
		return spec_boolean(value) == s->truth;
	case SPEC_IN:
	case SPEC_ALL_IN: /* one word of it */
		return contains(value, s->operand);
	case SPEC_OR:
		return is_one_of(value, s->operand);
	case SPEC_EQUAL:
	case SPEC_UNEQUAL:
	case SPEC_AT_LEAST:
	case SPEC_AT_MOST:
		return number_matches(s, value);
	case SPEC_TEXT_EQ:
		return text_equal(value, s->operand);
	case SPEC_TEXT_NE:
		return !text_equal(value, s->operand);
	case SPEC_TEXT_LT:
		return text_compare(value, s->operand) < 0;
	case SPEC_TEXT_LE:
		return text_compare(value, s->operand) <= 0;
	case SPEC_TEXT_GT:
		return text_compare(value, s->operand) > 0;
	case SPEC_TEXT_GE:
		return text_compare(value, s->operand) >= 0;
	}
	return false;
}

static bool any_element_matches(const struct spec *s, struct text value)
{
	for (;;) {
		const char *end = value.n ? memchr(value.p, SPEC_SEPARATOR, value.n) : NULL;
		size_t n = end ? (size_t)(end - value.p) : value.n;

		if (element_matches(s, text_trim((struct text){value.p, n})))
			return true;
		if (!end)
			return false;
		value = (struct text){end + 1, value.n - n - 1};
	}
}

bool spec_matches(const struct spec *s, struct text value)
{
	struct spec word = *s;
	struct text rest = s->operand;

	if (s->expected)
		return false;
	if (s->op != SPEC_ALL_IN)
		return any_element_matches(s, value);
	while (rest.n) {
		word.operand = take_word(&rest);
		if (!any_element_matches(&word, value))
			return false;
	}
	return true;
}

/* A list as capabilities/ shows it, cut at a whole character. */
static void show(struct buf *out, struct text t)
{
	size_t n = 0, one;

	while (n < t.n && n <= SHOWN_BYTES_MAX) {
		struct text rest = {t.p + n, t.n - n};

		one = text_character(rest);
		if (t.p[n] == SPEC_SEPARATOR)
			buf_str(out, ",");
		else
			buf_line(out, (struct text){rest.p, one ?: 1});
		n += one ?: 1;
	}
	if (n < t.n)
		buf_str(out, "...");
}

static bool looks_like_operator(struct text t)
{
	return t.n && strchr("<>=!", t.p[0]);
}

void spec_explain(const struct spec *s, const struct text *value, struct buf *out)
{
	if (value && !value->n) {
		buf_str(out, "is empty");
	} else if (value) {
		buf_str(out, "is ");
		show(out, *value);
	} else {
		buf_str(out, "is not reported");
	}
	buf_str(out, ", wanted ");
	show(out, s->whole);
	if (s->expected)
		buf_printf(out, ", where %s is expected", s->expected);
	else if (s->op == SPEC_SAME && looks_like_operator(s->operand))
		buf_str(out, " (an operator is one of those in attachfs(7), and a blank after it)");
}
