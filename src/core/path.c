/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where something stands in the tree, as messages and the audit log name it. */
#include <errno.h>

#include "core.h"

/* Parents first; a purged volume is in no container and so has a bare name. */
static int add_object_path(struct tx *tx, uint64_t number, unsigned depth, struct buf *out)
{
	const struct node *container;
	union any object, parent;
	int rc;

	if (number == ROOT_OBJECT)
		return 0;
	rc = object_get(tx, number, &object);
	if (!rc && object.o.container)
		rc = object_get(tx, object.o.parent, &parent);
	if (rc || !depth)
		return rc;
	if (object.o.container) {
		container = node_of(parent.o.kind, object.o.container);
		rc = add_object_path(tx, object.o.parent, depth - 1, out);
		if (!rc && container)
			buf_printf(out, "%s%s/", out->len ? "/" : "", container->name);
	}
	if (object.o.kind == KIND_ELIGIBLE)
		return rc ? rc : eligible_name(tx, &object.eligible, out);
	buf_str(out, object.o.name);
	return rc;
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
