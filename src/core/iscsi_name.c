/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names by which initiators are known to targets: iqn., eui. and naa. */
#include "core.h"

/*
 * RFC 3722 prepares a name for comparison: it is folded to lower case, and of ASCII only letters,
 * digits, '-', '.' and ':' remain. It allows letters beyond ASCII too; targets here do not,
 * and nothing else may reach a target's management socket.
 */
static bool has_only_allowed(struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!t.p[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789.:-", t.p[i]))
			return false;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool all_hex(struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (!is_digit(t.p[i]) && (t.p[i] < 'a' || t.p[i] > 'f'))
			return false;
	return true;
}

/* "YYYY-MM." */
static bool starts_with_date(struct text t)
{
	static const char pattern[] = "dddd-dd.";
	unsigned month;

	if (t.n < sizeof(pattern) - 1)
		return false;
	for (size_t i = 0; pattern[i]; i++)
		if (pattern[i] == 'd' ? !is_digit(t.p[i]) : t.p[i] != pattern[i])
			return false;
	month = (unsigned)(t.p[5] - '0') * 10 + (unsigned)(t.p[6] - '0');
	return month >= 1 && month <= 12;
}

/* Labels parted by dots, each beginning and ending with a letter or a digit. */
static bool is_domain(struct text t)
{
	char before = '.';

	for (size_t i = 0; i < t.n; before = t.p[i++]) {
		bool at_edge = before == '.' || i + 1 == t.n || t.p[i + 1] == '.';

		if (t.p[i] == '.' ? before == '.' : t.p[i] == '-' && at_edge)
			return false;
	}
	return t.n && before != '.';
}

/* RFC 3720 3.2.6.3.1: a date, the domain that was the namer's then, and what he chose. */
static bool is_iqn(struct text t)
{
	struct text domain;
	const char *colon;

	if (!starts_with_date(t))
		return false;
	domain = (struct text){t.p + 8, t.n - 8};
	colon = domain.n ? memchr(domain.p, ':', domain.n) : NULL;
	if (colon)
		domain.n = (size_t)(colon - domain.p);
	return is_domain(domain) && (!colon || colon + 1 < t.p + t.n);
}

/* RFC 3980: formats 1, 2, 3 and 5 have 64 bits, format 6 has 128. */
static bool is_naa(struct text t)
{
	if (!t.n || !all_hex(t))
		return false;
	return t.p[0] == '6' ? t.n == 32 : strchr("1235", t.p[0]) && t.n == 16;
}

bool iscsi_name_ok(struct text low)
{
	struct text rest;

	if (low.n < 4 || !has_only_allowed(low))
		return false;
	rest = (struct text){low.p + 4, low.n - 4};
	if (text_starts(low, "iqn."))
		return is_iqn(rest);
	if (text_starts(low, "eui.")) /* RFC 3720 3.2.6.3.2: an EUI-64 */
		return rest.n == 16 && all_hex(rest);
	return text_starts(low, "naa.") && is_naa(rest);
}
