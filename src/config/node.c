/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed reads of a parsed file: a value is what was asked for, or an error with its place. */
#include "tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attachfs/buf.h"
#include "attachfs/cleanup.h"
#include "attachfs/limits.h"

/* Longer values are described in messages, not quoted. */
#define SHOWN_BYTES_MAX 64
/* Below 2^53, so that a mantissa and its power of ten are exact doubles. */
#define DECIMAL_DIGITS_MAX 15

/* Depth is bounded by CONF_DEPTH_MAX, so this may recurse. */
void node_free(struct conf_node *node)
{
	struct conf_node *next;

	for (struct conf_node *child = node ? node->child : NULL; child; child = next) {
		next = child->next;
		node_free(child);
	}
	if (!node)
		return;
	free((char *)node->key);
	free(node->value);
	free(node);
}

void conf_free(struct conf_node *root)
{
	char *file;

	if (!root)
		return;
	file = (char *)root->file;
	node_free(root);
	free(file);
}

int conf_fail(const struct conf_node *node, struct error *err, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return error_set(err, EINVAL, "%s:%u:%u: %s", node->file, node->line, node->column,
			 text);
}

const struct conf_node *conf_get(const struct conf_node *map, const char *key)
{
	conf_each(node, map)
		if (node->key && !strcmp(node->key, key))
			return node;
	return NULL;
}

/* YAML's ways to say "nothing here": such a key counts as missing. */
static bool is_null(const struct conf_node *node)
{
	return node->type == CONF_SCALAR && !node->quoted &&
	       (!*node->value || !strcmp(node->value, "~") || !strcasecmp(node->value, "null"));
}

static const struct conf_node *get_set(const struct conf_node *map, const char *key)
{
	const struct conf_node *node = conf_get(map, key);

	return node && !is_null(node) ? node : NULL;
}

static int wrong_type(const struct conf_node *node, struct error *err, const char *expected)
{
	const char *key = node->key;

	if (node->type == CONF_MAP)
		return conf_fail(node, err, "%s: expected %s, not a map", key, expected);
	if (node->type == CONF_LIST)
		return conf_fail(node, err, "%s: expected %s, not a list", key, expected);
	if (strlen(node->value) > SHOWN_BYTES_MAX)
		return conf_fail(node, err, "%s: expected %s, not a long text", key, expected);
	if (!text_is_line(text_of(node->value)))
		return conf_fail(node, err, "%s: expected %s, not several lines", key, expected);
	if (node->quoted)
		return conf_fail(node, err, "%s: expected %s, not the text \"%s\"", key,
				 expected, node->value);
	return conf_fail(node, err, "%s: expected %s, not %s", key, expected, node->value);
}

int conf_string(const struct conf_node *map, const char *key, const char **ret,
		struct error *err)
{
	const struct conf_node *node = get_set(map, key);

	if (!node)
		return 0;
	if (node->type != CONF_SCALAR)
		return wrong_type(node, err, "a text");
	if (strlen(node->value) > VALUE_BYTES_MAX)
		return wrong_type(node, err, "at most 4096 bytes");
	/* Such a value is not repeated in the message: it may not be fit to print. */
	if (!text_is_line(text_of(node->value)))
		return conf_fail(node, err,
				 "%s: expected one line of text, not several or control characters",
				 key);
	*ret = node->value;
	return 0;
}

int conf_bool(const struct conf_node *map, const char *key, bool *ret, struct error *err)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true},   {"yes", true}, {"on", true},
		     {"false", false}, {"no", false}, {"off", false}};
	const struct conf_node *node = get_set(map, key);

	if (!node)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (node->type != CONF_SCALAR || node->quoted ||
		    strcasecmp(node->value, words[i].word))
			continue;
		*ret = words[i].value;
		return 0;
	}
	return wrong_type(node, err, "true or false");
}

int conf_number(const struct conf_node *map, const char *key, uint64_t min, uint64_t max,
		uint64_t *ret, struct error *err)
{
	const struct conf_node *node = get_set(map, key);
	char expected[80];
	uint64_t value;

	if (!node)
		return 0;
	if (node->type == CONF_SCALAR && !node->quoted &&
	    !text_to_u64(text_of(node->value), &value) && value >= min && value <= max) {
		*ret = value;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a whole number from %ju to %ju", (uintmax_t)min,
		 (uintmax_t)max);
	return wrong_type(node, err, expected);
}

/* DIGITS or DIGITS.DIGITS, whatever the locale; correctly rounded. */
static int parse_decimal(const char *s, double *ret)
{
	double mantissa = 0, scale = 1;
	const char *point = NULL;
	size_t digits = 0;

	for (const char *p = s; *p; p++) {
		if (*p == '.' && !point && digits && p[1]) {
			point = p;
			continue;
		}
		if (*p < '0' || *p > '9' || ++digits > DECIMAL_DIGITS_MAX)
			return -EINVAL;
		mantissa = mantissa * 10 + (*p - '0');
		if (point)
			scale *= 10;
	}
	if (!digits)
		return -EINVAL;
	*ret = mantissa / scale;
	return 0;
}

int conf_decimal(const struct conf_node *map, const char *key, double min, double max,
		 double *ret, struct error *err)
{
	const struct conf_node *node = get_set(map, key);
	char expected[80];
	double value;

	if (!node)
		return 0;
	if (node->type == CONF_SCALAR && !node->quoted && !parse_decimal(node->value, &value) &&
	    value >= min && value <= max) {
		*ret = value;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a number from %g to %g", min, max);
	return wrong_type(node, err, expected);
}

int conf_map(const struct conf_node *map, const char *key, const struct conf_node **ret,
	     struct error *err)
{
	const struct conf_node *node = get_set(map, key);

	/* The value is not shown: whoever writes a password here made a mistake of one level. */
	if (node && node->type != CONF_MAP)
		return conf_fail(node, err, "%s: expected a map, not a %s", key,
				 node->type == CONF_LIST ? "list" : "text");
	*ret = node;
	return 0;
}

static bool is_one_of(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

int conf_only(const struct conf_node *map, const char *const *keys, struct error *err)
{
	BUF_AUTO(expected);

	conf_each(node, map) {
		if (is_one_of(node->key, keys))
			continue;
		for (const char *const *k = keys; *k; k++)
			buf_printf(&expected, "%s%s", expected.len ? ", " : "", *k);
		return error_set(err, EINVAL, "%s:%u:%u: unknown key %s, expected one of %s",
				 node->file, node->key_line, node->key_column, node->key,
				 expected.data ? expected.data : "none");
	}
	return 0;
}
