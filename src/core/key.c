/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys of free-form directories: a file each, and the whole object is its value. */
#include "core.h"

static const struct node nodes[] = {
	[KEY_VALUE] = {.name = "value",
		       .type = NODE_ATTR,
		       .flags = NODE_SETTABLE,
		       .value = &value_line,
		       .offset = offsetof(struct key, value),
		       .help = "the key's value"},
};

static int rename_key(struct change *c, union any *key, const char *name)
{
	struct ref container = {key->o.parent, key->o.container};
	int rc = change_unlink(c, key);

	if (!rc)
		rc = change_link(c, key, container, name);
	return rc ? rc : change_save(c, key);
}

const struct kind_ops key_kind = {
	.name = "key",
	.size = sizeof(struct key),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.directory_mode = 0644,
	.rename = rename_key,
};
