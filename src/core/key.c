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

/* Keys without a value are not told of. */
int key_changed(struct change *c, const struct key *before, const struct key *now)
{
	struct text was = before ? before->value : TEXT_NONE, is = now ? now->value : TEXT_NONE;
	const struct object *key = now ? &now->o : &before->o;
	bool renamed = before && now && strcmp(before->o.name, now->o.name) && is.n;
	struct object_head head;
	union any parent;
	int rc = object_get_head(c->tx, key->parent, &head);

	if (rc || (text_equal(was, is) && !renamed))
		return rc;
	for (uint8_t i = 0; i < kinds[head.kind]->n_nodes && !rc; i++) {
		const struct node *node = &kinds[head.kind]->nodes[i];

		if (!(node->flags & NODE_FOLLOWS) || !node->render)
			continue;
		rc = change_load(c, key->parent, head.kind, &parent);
		if (rc)
			return rc;
		change_touch(c, &parent, i);
		rc = change_store(c, &parent);
	}
	return rc;
}

static int remove_key(struct change *c, union any *key)
{
	return key_changed(c, &key->key, NULL) ?: change_delete(c, key);
}

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
	.remove = remove_key,
	.rename = rename_key,
};
