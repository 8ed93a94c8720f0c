/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a pool's extras: they become the files of its capabilities/, named by dotted keys. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "attachfs/limits.h"

struct total {
	unsigned keys;
	size_t bytes; /* of names and values */
};

/* Recursion is bounded by CONF_DEPTH_MAX. */
static int check_map(const struct conf_node *map, const char *prefix, struct total *total,
		     const struct warnings *warnings, struct error *err);

static int check_value(const struct conf_node *node, struct total *total, struct error *err)
{
	total->bytes += strlen(node->value) + 1;
	if (strlen(node->value) <= VALUE_BYTES_MAX && text_is_line(text_of(node->value)))
		return 0;
	return conf_fail(node, err, "bad value, expected one line of at most %d bytes",
			 VALUE_BYTES_MAX);
}

/* A list is one capability: its elements, parted by commas, must fit a value. */
static int check_list(const struct conf_node *list, struct total *total,
		      const struct warnings *warnings, struct error *err)
{
	size_t before = total->bytes;

	conf_each(node, list) {
		if (node->type != CONF_SCALAR) {
			warn_at(warnings, node, "a map or list in a list of capabilities", NULL);
			continue;
		}

		int error = check_value(node, total, err);

		if (error)
			return error;
	}
	if (total->bytes - before > VALUE_BYTES_MAX)
		return conf_fail(list, err, "the list is too long, expected at most %d bytes",
				 VALUE_BYTES_MAX);
	return 0;
}

static int check_node(const struct conf_node *node, const char *name, struct total *total,
		      const struct warnings *warnings, struct error *err)
{
	int error;

	if (node->type == CONF_MAP)
		return check_map(node, name, total, warnings, err);
	if (++total->keys > KEYS_PER_DIRECTORY_MAX)
		return conf_fail(node, err, "too many capabilities, expected at most %d",
				 KEYS_PER_DIRECTORY_MAX);
	total->bytes += strlen(name) + 1;
	error = node->type == CONF_LIST ? check_list(node, total, warnings, err)
					: check_value(node, total, err);
	if (!error && total->bytes > CAPABILITIES_BYTES_MAX)
		error = conf_fail(node, err, "too many capabilities, expected at most %d bytes",
				  CAPABILITIES_BYTES_MAX);
	return error;
}

static int check_map(const struct conf_node *map, const char *prefix, struct total *total,
		     const struct warnings *warnings, struct error *err)
{
	conf_each(node, map) {
		/* A name that is cut here is too long anyway. */
		char name[NAME_BYTES_MAX + 2];
		int error = 0;

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", node->key);
		if (name_is_valid(name))
			error = check_node(node, name, total, warnings, err);
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
	struct total total = {0};

	return check_map(extras, "", &total, warnings, err);
}
