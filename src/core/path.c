/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where something stands in the tree, as messages and the audit log name it. */
#include <errno.h>

#include "core.h"

static int add_pair(struct tx *tx, uint64_t number, struct buf *out)
{
	union any pair;
	int rc = object_get(tx, number, &pair);

	return rc ? rc : eligible_name(tx, &pair.eligible, out);
}

/* Parents first; a purged volume is in no container and so has a bare name. */
static int add_object_path(struct tx *tx, uint64_t number, unsigned depth, struct buf *out)
{
	struct object_head head, parent;
	const struct node *container;
	int rc;

	if (number == ROOT_OBJECT)
		return 0;
	rc = object_get_head(tx, number, &head);
	if (!rc && head.container)
		rc = object_get_head(tx, head.parent, &parent);
	if (rc || !depth)
		return rc;
	if (head.container) {
		container = node_of(parent.kind, head.container);
		rc = add_object_path(tx, head.parent, depth - 1, out);
		if (!rc && container)
			buf_printf(out, "%s%s/", out->len ? "/" : "", container->name);
	}
	if (rc || head.kind == KIND_ELIGIBLE)
		return rc ? rc : add_pair(tx, number, out);
	buf_text(out, head.name);
	return 0;
}

int core_path(struct tx *tx, struct ref ref, struct buf *out)
{
	struct object_head head = {0};
	const struct node *node, *group;
	int rc = add_object_path(tx, ref.object, 8, out);

	if (!rc)
		rc = object_get_head(tx, ref.object, &head);
	if (rc || ref.node == NODE_SELF || head.kind == KIND_KEY || head.kind == KIND_ELIGIBLE)
		return rc ? rc : buf_error(out);
	node = node_of(head.kind, ref.node);
	group = node && node->group ? node_of(head.kind, node->group) : NULL;
	if (group)
		buf_printf(out, "%s%s", out->len ? "/" : "", group->name);
	if (node)
		buf_printf(out, "%s%s", out->len ? "/" : "", node->name);
	return buf_error(out);
}
