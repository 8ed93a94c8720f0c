/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where something stands in the tree, as messages and the audit log name it. */
#include <errno.h>

#include "core.h"

static void add_name(struct buf *out, struct text name)
{
	if (out->len)
		buf_str(out, "/");
	buf_text(out, name);
}

static int add_pair(struct tx *tx, uint64_t number, struct buf *out)
{
	union any pair;
	int rc = object_get(tx, number, &pair);

	add_name(out, TEXT_NONE);
	return rc ? rc : eligible_name(tx, &pair.eligible, out);
}

static void add_node(struct buf *out, const struct node *node)
{
	if (node)
		add_name(out, text_of(node->name));
}

/* Parents first; a purged volume is in no container and so has a bare name. */
static int add_object_path(struct tx *tx, uint64_t number, const struct object_head *head,
			   unsigned depth, struct buf *out)
{
	struct object_head parent;
	int rc = 0;

	if (number == ROOT_OBJECT || !depth)
		return 0;
	if (head->container) {
		rc = object_get_head(tx, head->parent, &parent);
		if (!rc)
			rc = add_object_path(tx, head->parent, &parent, depth - 1, out);
		if (!rc)
			add_node(out, node_of(parent.kind, head->container));
	}
	if (!rc && head->kind == KIND_ELIGIBLE)
		return add_pair(tx, number, out);
	if (!rc)
		add_name(out, head->name);
	return rc;
}

int core_path(struct tx *tx, struct ref ref, struct buf *out)
{
	struct object_head head;
	const struct node *node;
	int rc = object_get_head(tx, ref.object, &head);

	if (!rc)
		rc = add_object_path(tx, ref.object, &head, 8, out);
	if (rc || ref.node == NODE_SELF || head.kind == KIND_KEY || head.kind == KIND_ELIGIBLE)
		return rc ? rc : buf_error(out);
	node = node_of(head.kind, ref.node);
	if (node && node->group)
		add_node(out, node_of(head.kind, node->group));
	add_node(out, node);
	return buf_error(out);
}
