/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a pool's extras: they become the files of its capabilities/, named by dotted keys. */
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attachfs/limits.h"

/* A prefix that is cut is too long for a name already, however much is missing. */
struct dotted {
	char text[NAME_BYTES_MAX + 2];
};

static int check_value(const struct conf_node *node, struct error *err)
{
	if (strlen(node->value) <= VALUE_BYTES_MAX && text_is_line(text_of(node->value)))
		return 0;
	return conf_fail(node, err, "bad value, expected one line of at most %d bytes",
			 VALUE_BYTES_MAX);
}

/* A list is one capability: its elements, joined, must fit a value. */
static int check_list(const struct conf_node *list, struct error *err)
{
	size_t bytes = 0;

	conf_each(node, list) {
		int error;

		if (node->type != CONF_SCALAR)
			return conf_fail(node, err, "expected a text in this list");
		error = check_value(node, err);
		if (error)
			return error;
		bytes += strlen(node->value) + 1;
	}
	if (bytes > VALUE_BYTES_MAX)
		return conf_fail(list, err, "the list is too long, expected at most %d bytes",
				 VALUE_BYTES_MAX);
	return 0;
}

/* Recursion is bounded by CONF_DEPTH_MAX. */
static int check_map(const struct conf_node *map, const char *prefix, unsigned *keys,
		     struct error *err)
{
	conf_each(node, map) {
		struct dotted name;
		int error;

		snprintf(name.text, sizeof(name.text), "%s%s%s", prefix, *prefix ? "." : "",
			 node->key);
		if (!name_is_valid(name.text))
			return error_set(err, EINVAL,
					 "%s:%u:%u: bad name of a capability, expected %s with its "
					 "parents' names and dots",
					 node->file, node->key_line, node->key_column, NAME_RULE);
		if (node->type != CONF_MAP && ++*keys > KEYS_PER_DIRECTORY_MAX)
			return conf_fail(node, err, "too many capabilities, expected at most %d",
					 KEYS_PER_DIRECTORY_MAX);
		error = node->type == CONF_MAP	  ? check_map(node, name.text, keys, err)
			: node->type == CONF_LIST ? check_list(node, err)
						  : check_value(node, err);
		if (error)
			return error;
	}
	return 0;
}

int extras_check(const struct conf_node *extras, struct error *err)
{
	unsigned keys = 0;

	return check_map(extras, "", &keys, err);
}
