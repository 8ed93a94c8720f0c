/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes the configuration's reader and its typed reads with arbitrary bytes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "attachfs/conf.h"
#include "attachfs/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the contract promises of every tree, whatever it was made from. */
static void check(int holds)
{
	if (!holds)
		abort();
}

static void read_as_everything(const struct conf_node *map, const char *key)
{
	const struct conf_node *child = NULL;
	const char *string = NULL;
	uint64_t number = 7;
	double decimal = 7;
	bool flag = false;
	struct error err = {0};

	if (!conf_string(map, key, &string, &err) && string)
		check(text_is_line(text_of(string)) && strlen(string) <= VALUE_BYTES_MAX);
	if (!conf_number(map, key, 5, 10, &number, &err))
		check(number >= 5 && number <= 10);
	if (!conf_decimal(map, key, 5, 10, &decimal, &err))
		check(decimal >= 5 && decimal <= 10);
	if (!conf_map(map, key, &child, &err))
		check(!child || child->type == CONF_MAP);
	check(!conf_bool(map, key, &flag, &err) || err.code == EINVAL);
}

static unsigned walk(const struct conf_node *node, unsigned depth)
{
	unsigned nodes = 1;

	check(depth <= CONF_DEPTH_MAX + 1);
	check(node->line && node->column);
	check((node->type == CONF_SCALAR) == (node->value != NULL));
	check(node->type != CONF_SCALAR || !node->child);
	conf_each(child, node) {
		check((node->type == CONF_MAP) == (child->key != NULL));
		check(child->file == node->file);
		/* Searching is linear: a few of many keys are enough. */
		if (child->key && nodes < 64) {
			check(conf_get(node, child->key) == child);
			read_as_everything(node, child->key);
		}
		nodes += walk(child, depth + 1);
	}
	return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_node *root = NULL;
	struct error err = {0};
	int rc = conf_parse_text("fuzz", (struct text){(const char *)data, size}, &root, &err);

	if (rc) {
		check(rc == -err.code && !root);
		check(text_starts(text_of(err.text), "fuzz:"));
		check(text_is_line(text_of(err.text)));
		return 0;
	}
	check(walk(root, 1) <= CONF_NODES_MAX);
	conf_free(root);
	return 0;
}
