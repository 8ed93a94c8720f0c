/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Borrowed byte strings: trimming, comparing, checking that a value is one line of UTF-8. */
#include "attachfs/text.h"

#include <errno.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct text text_trim(struct text t)
{
	while (t.n && is_blank(t.p[t.n - 1]))
		t.n--;
	while (t.n && is_blank(t.p[0]))
		t.p++, t.n--;
	return t;
}

/* Bytes of the UTF-8 sequence at `p`, 0 if it is malformed (overlong, surrogate, cut off). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t min;
	} forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < 3; i++) {
		uint32_t code = p[0] & ~forms[i].mask & 0xff;

		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (n < i + 2)
			return 0;
		for (size_t k = 1; k < i + 2; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (p[k] & 0x3f);
		}
		if (code < forms[i].min || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return 0;
		return i + 2;
	}
	return 0;
}

size_t text_character(struct text t)
{
	const unsigned char *p = (const unsigned char *)t.p;

	if (!t.n || (*p < 0x20 && *p != '\t') || *p == 0x7f)
		return 0;
	return utf8_length(p, t.n);
}

bool text_is_line(struct text t)
{
	while (t.n) {
		size_t length = text_character(t);

		if (!length)
			return false;
		t.p += length;
		t.n -= length;
	}
	return true;
}

int text_compare(struct text a, struct text b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool text_starts(struct text t, const char *prefix)
{
	size_t n = strlen(prefix);

	return !n || (t.n >= n && !memcmp(t.p, prefix, n));
}

bool text_ends(struct text t, const char *suffix)
{
	size_t n = strlen(suffix);

	return !n || (t.n >= n && !memcmp(t.p + t.n - n, suffix, n));
}

int text_to_u64(struct text t, uint64_t *ret)
{
	uint64_t value = 0;

	if (!t.n)
		return -EINVAL;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(t.p[i] - '0'), &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

bool text_copy(char *out, size_t size, struct text t)
{
	size_t n = t.n < size ? t.n : size - 1;

	if (n)
		memcpy(out, t.p, n);
	out[n] = '\0';
	return n == t.n;
}
