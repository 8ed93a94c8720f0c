/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The types of values: how each is parsed, printed and described. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <uuid.h>

#include "core.h"

static uint64_t number(const void *field)
{
	return *(const uint64_t *)field;
}

static bool is_word(struct text t, const char *word)
{
	return t.n == strlen(word) && !strncasecmp(t.p, word, t.n);
}

static int parse_line(struct text t, void *field)
{
	if (!text_is_line(t))
		return -EINVAL;
	*(struct text *)field = t;
	return 0;
}

static void format_line(const void *field, struct buf *out)
{
	buf_text(out, *(const struct text *)field);
}

static int parse_bool(struct text t, void *field)
{
	static const char *const words[2][5] = {{"false", "0", "no", "off", "n"},
						{"true", "1", "yes", "on", "y"}};

	for (uint64_t value = 0; value < 2; value++)
		for (int i = 0; i < 5; i++)
			if (is_word(t, words[value][i])) {
				*(uint64_t *)field = value;
				return 0;
			}
	return -EINVAL;
}

static void format_bool(const void *field, struct buf *out)
{
	buf_str(out, number(field) ? "true" : "false");
}

static void format_flag(const void *field, struct buf *out)
{
	buf_str(out, number(field) ? "1" : "0");
}

static int parse_number(struct text t, void *field)
{
	uint64_t value = 0;
	int rc = text_to_u64(t, &value);

	if (!rc && value > UINT32_MAX)
		return -ERANGE;
	if (!rc)
		*(uint64_t *)field = value;
	return rc;
}

static void format_number(const void *field, struct buf *out)
{
	buf_number(out, number(field), 1);
}

/* 10G, 512M, 1T, 64KiB or bytes: powers of two, as lvcreate and qemu-img have it. */
static int parse_size(struct text t, void *field)
{
	static const char units[] = "KMGTP";
	uint64_t value = 0;
	const char *unit;
	unsigned shift = 0;
	bool long_form = text_ends(t, "iB");
	int rc;

	if (long_form)
		t.n -= 2;
	else if (text_ends(t, "B"))
		t.n--;
	unit = t.n ? strchr(units, t.p[t.n - 1] & ~0x20) : NULL;
	if (long_form && (!unit || !*unit))
		return -EINVAL;
	if (unit && *unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		t.n--;
	}
	rc = text_to_u64(t, &value);
	if (rc)
		return rc;
	if (value > VOLUME_BYTES_MAX >> shift)
		return -ERANGE;
	value <<= shift;
	if (value < VOLUME_BYTES_MIN || value % VOLUME_BLOCK)
		return -ERANGE;
	*(uint64_t *)field = value;
	return 0;
}

static int parse_mode(struct text t, void *field)
{
	if (!text_is(t, "ro") && !text_is(t, "rw"))
		return -EINVAL;
	*(uint64_t *)field = text_is(t, "ro") ? ACCESS_RO : ACCESS_RW;
	return 0;
}

static void format_mode(const void *field, struct buf *out)
{
	static const char *const names[] = {
		[ACCESS_NONE] = "", [ACCESS_RO] = "ro", [ACCESS_RW] = "rw"};

	buf_str(out, number(field) <= ACCESS_RW ? names[number(field)] : "");
}

void text_lower(char *out, size_t size, struct text t)
{
	text_copy(out, size, t);
	for (; *out; out++)
		if (*out >= 'A' && *out <= 'Z')
			*out += 'a' - 'A';
}

/* Kept as it was written; what it means is in lower case. */
static int parse_iqn(struct text t, void *field)
{
	char name[ISCSI_NAME_MAX + 1];

	if (t.n > ISCSI_NAME_MAX)
		return -ERANGE;
	text_lower(name, sizeof(name), t);
	if (!iscsi_name_ok((struct text){name, t.n}))
		return -EINVAL;
	*(struct text *)field = t;
	return 0;
}

static int parse_ip(struct text t, void *field)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (!text_copy(copy, sizeof(copy), t) || strlen(copy) != t.n ||
	    (inet_pton(AF_INET, copy, &address) != 1 && inet_pton(AF_INET6, copy, &address) != 1))
		return -EINVAL;
	*(struct text *)field = t;
	return 0;
}

static int parse_name(struct text t, void *field)
{
	char name[NAME_BYTES_MAX + 2];

	text_copy(name, sizeof(name), t);
	if (strlen(name) != t.n || check_name(NULL, name, NULL))
		return -EINVAL;
	*(struct text *)field = t;
	return 0;
}

/* POOL or DOCK:POOL */
static int parse_pool(struct text t, void *field)
{
	const char *colon = t.n ? memchr(t.p, ':', t.n) : NULL;
	struct text part;

	if (colon) {
		size_t n = (size_t)(colon - t.p);

		if (parse_name((struct text){t.p, n}, &part))
			return -EINVAL;
		if (parse_name((struct text){colon + 1, t.n - n - 1}, &part))
			return -EINVAL;
	} else if (parse_name(t, &part)) {
		return -EINVAL;
	}
	*(struct text *)field = t;
	return 0;
}

/* RFC 3339 in UTC; nothing for "never". */
static void add_part(struct buf *out, unsigned n, unsigned digits, const char *after)
{
	buf_number(out, n, digits);
	buf_str(out, after);
}

/* As RFC 3339 has it, in milliseconds. */
static void format_time(const void *field, struct buf *out)
{
	int64_t ns = *(const int64_t *)field;
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!ns)
		return;
	gmtime_r(&seconds, &tm);
	add_part(out, (unsigned)tm.tm_year + 1900, 4, "-");
	add_part(out, (unsigned)tm.tm_mon + 1, 2, "-");
	add_part(out, (unsigned)tm.tm_mday, 2, "T");
	add_part(out, (unsigned)tm.tm_hour, 2, ":");
	add_part(out, (unsigned)tm.tm_min, 2, ":");
	add_part(out, (unsigned)tm.tm_sec, 2, ".");
	add_part(out, (unsigned)(ns / 1000000 % 1000), 3, "Z");
}

static void format_uuid(const void *field, struct buf *out)
{
	char text[UUID_TEXT_SIZE];

	uuid_unparse_lower(field, text);
	buf_str(out, text);
}

static void format_thousandths(const void *field, struct buf *out)
{
	uint64_t n = number(field);

	buf_number(out, n / 1000, 1);
	if (n % 1000) {
		buf_str(out, ".");
		buf_number(out, n % 1000, 3);
	}
}

const struct value_type value_line = {
	"text", "one line of UTF-8 text", true, false, parse_line, format_line};
const struct value_type value_bool = {
	"boolean", "true or false", false, false, parse_bool, format_bool};
const struct value_type value_flag = {
	"flag", "1 or 0", false, false, parse_bool, format_flag};
const struct value_type value_number = {"number",
					"a whole number from 0 to 4294967295",
					false,
					false,
					parse_number,
					format_number};
const struct value_type value_size = {
	"size", "a size such as 10G, 512M, 1T or bytes; from 1M to 1P, in blocks of 512 bytes",
	false,	true, parse_size, format_number};
const struct value_type value_bytes = {"bytes", "", false, false, NULL, format_number};
const struct value_type value_mode = {
	"mode", "ro or rw", false, false, parse_mode, format_mode};
const struct value_type value_access = {"mode", "", false, false, NULL, format_mode};
const struct value_type value_iqn = {
	"initiator name",
	"an iSCSI name: iqn.YYYY-MM.domain:name, eui.16HEX or naa.16-or-32HEX",
	true, false, parse_iqn, format_line};
const struct value_type value_ip = {
	"address", "an IPv4 or IPv6 address", true, false, parse_ip, format_line};
const struct value_type value_name = {
	"name", "a name of letters, digits, dot, dash and underscore, at most 63", true, false,
	parse_name, format_line};
const struct value_type value_pool = {
	"pool", "POOL or DOCK:POOL", true, false, parse_pool, format_line};
const struct value_type value_time = {"time", "", false, false, NULL, format_time};
const struct value_type value_uuid = {"UUID", "", false, false, NULL, format_uuid};
const struct value_type value_thousandths = {"decimal", "", false, false, NULL,
					     format_thousandths};
