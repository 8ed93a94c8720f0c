/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree as it is read: looking up, stat, values and links. */
#include <errno.h>

#include "attachfs/clock.h"
#include "core.h"

/* Loads the object behind a node, into `room` if need be, and its row (NULL for the object's own
 * directory). */
static int load(struct view *v, struct ref ref, union any *room, const union any **ret,
		const struct node **ret_node)
{
	const union any *object = v->loaded;
	int rc = 0;

	if (!object || object->o.number != ref.object) {
		rc = object_get(v->tx, ref.object, room);
		object = room;
	}
	if (rc)
		return rc;
	*ret = object;
	*ret_node = ref.node == NODE_SELF ? NULL : node_of(object->o.kind, ref.node);
	return *ret_node || ref.node == NODE_SELF ? 0 : -ENOENT;
}

bool node_is_shown(const struct node *node)
{
	return node->type != NODE_NONE && node->type != NODE_FIELD && node->type != NODE_LINK;
}

struct ref ref_of_child(enum kind kind, uint64_t number)
{
	return (struct ref){number, kind == KIND_KEY ? KEY_VALUE : NODE_SELF};
}

static int lookup_row(const struct object *o, uint8_t group, struct text name, struct ref *ret)
{
	const struct kind_ops *ops = kinds[o->kind];

	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++)
		if (ops->nodes[i].group == group && node_is_shown(&ops->nodes[i]) &&
		    text_is(name, ops->nodes[i].name)) {
			*ret = (struct ref){o->number, (uint8_t)i};
			return 0;
		}
	return -ENOENT;
}

int core_lookup(struct view *v, struct ref parent, struct text name, struct ref *ret)
{
	const struct node *node;
	struct object_head head;
	uint64_t number;
	union any object;
	int rc = object_get_head(v->tx, parent.object, &head);

	if (rc)
		return rc;
	node = parent.node == NODE_SELF ? NULL : node_of(head.kind, parent.node);
	if (node && node->type == NODE_CHILDREN) {
		rc = object_find(v->tx, parent, name, &number);
		if (!rc)
			*ret = ref_of_child(node->child, number);
		if (rc != -ENOENT)
			return rc;
	}
	object.o.number = parent.object;
	object.o.kind = head.kind;
	if (!node)
		return lookup_row(&object.o, 0, name, ret);
	if (node->type == NODE_GROUP || node->type == NODE_CHILDREN)
		return lookup_row(&object.o, parent.node, name, ret);
	if (node->type != NODE_LINKS)
		return -ENOTDIR;
	rc = object_get(v->tx, parent.object, &object);
	return rc ? rc : node->links->lookup(v->tx, &object.o, name, ret);
}

int node_show(struct view *v, const union any *object, uint8_t number, struct buf *out)
{
	const struct node *node = node_of(object->o.kind, number);
	const struct attr_state *a = &object->o.attr[number];

	if (a->flags & ATTR_HAS_RAW && (!node->in_force || node->in_force(object)))
		buf_text(out, a->raw);
	else if (node->render)
		return node->render(v, object, out) ?: buf_error(out);
	else {
		node->value->format((const char *)object + node->offset, out);
		if (out->len)
			buf_str(out, "\n");
	}
	return buf_error(out);
}

int core_read(struct view *v, struct ref ref, struct buf *out)
{
	const union any *object;
	const struct node *node;
	union any room;
	int rc = load(v, ref, &room, &object, &node);

	if (rc)
		return rc;
	if (!node || node->type != NODE_ATTR)
		return -EISDIR;
	return node_show(v, object, ref.node, out);
}

int core_readlink(struct view *v, struct ref ref, struct buf *out)
{
	const union any *object;
	const struct node *node;
	union any room;
	int rc = load(v, ref, &room, &object, &node);

	if (rc)
		return rc;
	return node && node->type == NODE_LINK ? node->readlink(v->tx, object, out) : -EINVAL;
}

static int stat_size(struct view *v, struct ref ref, const struct node *node,
		     const union any *object, uint64_t *ret)
{
	BUF_AUTO(value);
	int rc = 0;

	if (node->flags & NODE_STREAM) {
		*ret = tx_events_size(v->tx);
		return 0;
	}
	if (node->type == NODE_LINK)
		rc = node->readlink(v->tx, object, &value);
	else if (node->type == NODE_ATTR)
		rc = node_show(v, object, ref.node, &value);
	*ret = value.len;
	return rc;
}

/* Nothing of it changes when a value in it does: the kernel need not be told at each change. */
static int stat_directory(struct view *v, struct ref ref, struct node_stat *ret)
{
	struct object_head head;
	int rc = object_get_head(v->tx, ref.object, &head);

	if (rc)
		return rc;
	*ret = (struct node_stat){
		.type = NODE_IS_DIR,
		.inode = head.inode,
		.ctime = head.inode.mtime > head.created ? head.inode.mtime : head.created,
		.is_fleeting = head.kind == KIND_ATTACHMENT || head.kind == KIND_DOCK ||
			       head.kind == KIND_POOL || head.is_draft,
	};
	return 0;
}

/* What a node shows before anybody has changed it. */
void inode_default(const struct node *node, const struct object *o, struct inode_state *ret)
{
	*ret = o->inode;
	if (!node)
		return;
	switch (node->type) {
	case NODE_GROUP: /* its owner can rm -r what it is in */
		break;
	case NODE_LINKS:
		if (!node->links->files)
			ret->mode = o->inode.mode & 0555;
		break;
	case NODE_CHILDREN:
		ret->mode = node->fixed ? o->inode.mode & 0555 : o->inode.mode;
		break;
	case NODE_LINK:
		ret->mode = 0777;
		break;
	case NODE_NONE:
	case NODE_FIELD:
	case NODE_ATTR:
		if (o->kind == KIND_KEY) /* the file is the object */
			return;
		ret->mode = node->flags & NODE_SECRET	? 0600
			    : node->flags & NODE_SETTABLE ? 0644
							  : 0444;
		/* Others get times of their own when they change: see times.c. */
		ret->mtime = node->flags & NODE_FOLLOWS ? o->updated : o->created;
		if (node->value == &value_time) /* which is shown in milliseconds */
			ret->mtime -= ret->mtime % 1000000;
		ret->atime = ret->mtime;
		break;
	}
}

/* Only what profiles and pools have is of a parent that is numbered so. */
static bool is_capability(struct tx *tx, const struct object *o)
{
	struct object_head parent;

	return o->kind == KIND_KEY && o->parent & PAIRED_OBJECT &&
	       !object_get_head(tx, o->parent, &parent) && parent.kind == KIND_POOL;
}

int core_stat(struct view *v, struct ref ref, struct node_stat *ret)
{
	struct node_stat st = {0};
	const struct node *node;
	const struct attr_state *a;
	const union any *object;
	union any room;
	int rc;

	if (ref.node == NODE_SELF)
		return stat_directory(v, ref, ret);
	rc = load(v, ref, &room, &object, &node);
	if (rc)
		return rc;
	if (node->type == NODE_ATTR)
		st.type = NODE_IS_FILE;
	else
		st.type = node->type == NODE_LINK ? NODE_IS_LINK : NODE_IS_DIR;
	inode_default(node, &object->o, &st.inode);
	a = &object->o.attr[ref.node];
	if (a->flags & ATTR_HAS_OWNER)
		st.inode.mode = a->inode.mode, st.inode.uid = a->inode.uid,
		st.inode.gid = a->inode.gid;
	if (a->flags & ATTR_HAS_TIMES)
		st.inode.atime = a->inode.atime, st.inode.mtime = a->inode.mtime;
	st.inode.mtime = shown_since(v, object, ref.node, st.inode.mtime);
	st.ctime = object->o.updated > st.inode.mtime ? object->o.updated : st.inode.mtime;
	st.is_volatile = node->flags & NODE_VOLATILE;
	st.is_new = object->o.created > time_now() - VEIL_MS * 1000000LL;
	st.is_fleeting = node->type == NODE_LINK || object->o.kind == KIND_ELIGIBLE ||
			 is_capability(v->tx, &object->o);
	rc = stat_size(v, ref, node, object, &st.size);
	if (!rc)
		*ret = st;
	return rc;
}

int core_parent(struct view *v, struct ref ref, struct ref *ret)
{
	const struct node *node;
	struct object_head head;
	int rc = object_get_head(v->tx, ref.object, &head);

	if (rc)
		return rc;
	if (ref.node == NODE_SELF) {
		*ret = ref.object == ROOT_OBJECT ? SELF(ROOT_OBJECT)
						 : (struct ref){head.parent, head.container};
		return 0;
	}
	node = node_of(head.kind, ref.node);
	if (!node)
		return -ENOENT;
	*ret = (struct ref){ref.object, node->group ? node->group : NODE_SELF};
	return 0;
}

int core_kind(struct view *v, struct ref ref, enum kind *ret)
{
	struct object_head head;
	int rc = object_get_head(v->tx, ref.object, &head);

	if (!rc)
		*ret = head.kind;
	return rc;
}

int core_node(struct view *v, struct ref ref, const struct node **ret)
{
	struct object_head head;
	int rc = object_get_head(v->tx, ref.object, &head);

	if (rc)
		return rc;
	*ret = node_of(head.kind, ref.node);
	return 0;
}

bool core_was_set(struct view *v, struct ref ref)
{
	union any object;

	return !object_get(v->tx, ref.object, &object) &&
	       object.o.attr[ref.node].flags & ATTR_HAS_RAW;
}

bool core_settable(struct view *v, struct ref ref)
{
	const struct node *node, *container;
	struct object_head head, parent;

	if (object_get_head(v->tx, ref.object, &head))
		return false;
	node = node_of(head.kind, ref.node);
	if (!node || !(node->flags & NODE_SETTABLE))
		return false;
	if (head.kind != KIND_KEY)
		return true;
	/* A key in a directory that only attachfs fills is not the user's. */
	if (object_get_head(v->tx, head.parent, &parent))
		return false;
	container = node_of(parent.kind, head.container);
	return container && !container->fixed;
}
