/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a pool's extras: they become the files of its capabilities/, named by dotted keys. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "attachfs/limits.h"

/* Recursion is bounded by CONF_DEPTH_MAX. */
static int check_map(const struct conf_node *map, const char *prefix, unsigned *keys,
		     const struct warnings *warnings, struct error *err);

static int check_value(const struct conf_node *node, struct error *err)
{
	if (strlen(node->value) <= VALUE_BYTES_MAX && text_is_line(text_of(node->value)))
		return 0;
	return conf_fail(node, err, "bad value, expected one line of at most %d bytes",
			 VALUE_BYTES_MAX);
}

/* A list is one capability: its elements, parted by commas, must fit a value. */
static int check_list(const struct conf_node *list, const struct warnings *warnings,
		      struct error *err)
{
	size_t bytes = 0;

	conf_each(node, list) {
		if (node->type != CONF_SCALAR) {
			warn_at(warnings, node, "a map or list in a list of capabilities", NULL);
			continue;
		}

		int error = check_value(node, err);

		if (error)
			return error;
		bytes += strlen(node->value) + 1;
	}
	if (bytes > VALUE_BYTES_MAX)
		return conf_fail(list, err, "the list is too long, expected at most %d bytes",
				 VALUE_BYTES_MAX);
	return 0;
}

static int check_node(const struct conf_node *node, const char *name, unsigned *keys,
		      const struct warnings *warnings, struct error *err)
{
	if (node->type == CONF_MAP)
		return check_map(node, name, keys, warnings, err);
	if (++*keys > KEYS_PER_DIRECTORY_MAX)
		return conf_fail(node, err, "too many capabilities, expected at most %d",
				 KEYS_PER_DIRECTORY_MAX);
	return node->type == CONF_LIST ? check_list(node, warnings, err)
				       : check_value(node, err);
}

static int check_map(const struct conf_node *map, const char *prefix, unsigned *keys,
		     const struct warnings *warnings, struct error *err)
{
	conf_each(node, map) {
		/* A name that is cut here is too long anyway. */
		char name[NAME_BYTES_MAX + 2];
		int error = 0;

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", node->key);
		if (name_is_valid(name))
			error = check_node(node, name, keys, warnings, err);
		else
			warn_at(warnings, node, "bad name of a capability", NULL);
		if (error)
			return error;
	}
	return 0;
}

int extras_check(const struct conf_node *extras, const struct warnings *warnings,
		 struct error *err)
{
	unsigned keys = 0;

	return check_map(extras, "", &keys, warnings, err);
}
