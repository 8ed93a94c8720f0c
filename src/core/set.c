/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting an attribute, and storing what chmod, chown and utimens say. */
#include <errno.h>

#include "core.h"

static int check_value(const struct change *c, const struct node *node, struct text value)
{
	if (value.n > VALUE_BYTES_MAX)
		return error_set(c->err, EINVAL, "%s: a value has at most %d bytes", node->name,
				 VALUE_BYTES_MAX);
	if (memchr(text_trim(value).p ?: "", '\n', text_trim(value).n))
		return error_set(c->err, EINVAL, "%s: expected one line", node->name);
	return 0;
}

/* Why the value was refused, with the value itself if it can be shown. */
static int refuse_value(const struct change *c, const struct node *node, struct text value,
			int rc)
{
	if (value.n > 64 || !text_is_line(value))
		return error_set(c->err, -rc, "%s: expected %s", node->name,
				 node->value->expected);
	return error_set(c->err, -rc == ERANGE ? EINVAL : -rc, "%s: expected %s, not \"%.*s\"",
			 node->name, node->value->expected, TEXT_ARG(value));
}

static int parse_value(const struct change *c, const struct node *node, struct text value,
		       union any *object)
{
	void *field = value_field(node, object);
	int rc;

	if (!value.n && node->value->refuses_empty)
		return refuse_value(c, node, value, -EINVAL);
	if (node->value->is_text)
		*(struct text *)field = TEXT_NONE;
	else
		*(uint64_t *)field = node->initial;
	rc = value.n ? node->value->parse(value, field) : 0;
	return rc ? refuse_value(c, node, value, rc == -ERANGE ? -EINVAL : rc) : 0;
}

static bool may_be_set(const struct node *node, const union any *object)
{
	const struct kind_ops *ops = kinds[object->o.kind];

	return !node->states || node->states & 1u << (ops->status ? ops->status(object) : 0);
}

/* Writing what it reads already changes nothing but bytes, so it is never too late for that. */
static bool is_shown(const struct change *c, struct ref ref, struct text value)
{
	BUF_AUTO(shown);

	return !core_read(&(struct view){.core = c->core, .tx = c->tx}, ref, &shown) &&
	       text_equal(text_trim(buf_as_text(&shown)), value);
}

static int refuse_state(const struct change *c, const struct node *node, const union any *object)
{
	const struct kind_ops *ops = kinds[object->o.kind];

	return error_set(c->err, EBUSY, "%s cannot be set while the %s is %s", node->name,
			 ops->name, ops->status_names[ops->status(object)]);
}

int set_value(struct change *c, union any *now, uint8_t number, struct text raw)
{
	const struct node *node = node_of(now->o.kind, number);
	struct text value = text_trim(raw);
	const union any before = *now;
	bool draft = object_is_draft(now);
	int rc = check_value(c, node, raw);

	if (!rc && !draft && !may_be_set(node, now) &&
	    !is_shown(c, (struct ref){now->o.number, number}, value))
		rc = refuse_state(c, node, now);
	if (!rc)
		rc = parse_value(c, node, value, now);
	if (rc)
		return rc;
	now->o.attr[number].raw = raw;
	now->o.attr[number].flags |= ATTR_HAS_RAW;
	now->o.last_error = TEXT_NONE;
	return node->apply && !draft ? node->apply(c, now, &before) : 0;
}

int set_attribute(struct change *c, struct ref ref, struct text raw)
{
	union any now;
	struct object_head head;
	const struct node *node;
	const struct attr_state *a;
	struct text value = text_trim(raw);
	BUF_AUTO(detail);
	bool same;
	int rc = object_get_head(c->tx, ref.object, &head);

	if (rc)
		return rc;
	node = node_of(head.kind, ref.node);
	if (!node || !core_settable(&(struct view){.core = c->core, .tx = c->tx}, ref))
		return error_set(c->err, EACCES, "%s is read-only", node ? node->name : "it");
	rc = change_load(c, ref.object, head.kind, &now);
	if (rc)
		return rc;
	a = &now.o.attr[ref.node];
	same = a->flags & ATTR_HAS_RAW && text_equal(a->raw, raw);
	if (same && !(node->flags & NODE_REPEAT))
		return 0;
	c->intent->mutation.vital |= node->flags & NODE_VITAL;
	rc = set_value(c, &now, ref.node, raw);
	if (rc || (same && !c->intent->n_kicks))
		return rc;
	rc = change_save(c, &now);
	if (!rc && node->then)
		rc = node->then(c, ref.object);
	buf_text(&detail, text_is_line(value) ? value : TEXT_NONE);
	return rc ? rc : change_event(c, "set", ref, detail.len < 256 ? detail.data : NULL);
}

void inode_take(struct inode_state *to, unsigned fields, const struct inode_state *from)
{
	if (fields & INODE_MODE)
		to->mode = from->mode & 07777;
	if (fields & INODE_UID)
		to->uid = from->uid;
	if (fields & INODE_GID)
		to->gid = from->gid;
	if (fields & INODE_ATIME)
		to->atime = from->atime;
	if (fields & INODE_MTIME)
		to->mtime = from->mtime;
}

int set_inode(struct change *c, struct ref ref, unsigned fields, const struct inode_state *inode)
{
	struct object_head head;
	union any object;
	struct inode_state *target;
	int rc = object_get_head(c->tx, ref.object, &head);

	if (!rc && head.kind == KIND_ELIGIBLE)
		return 0; /* its owner is the profile's, and there is nothing to keep others in */
	if (!rc)
		rc = change_load(c, ref.object, head.kind, &object);
	if (rc)
		return rc;
	target = &object.o.inode;
	if (ref.node != NODE_SELF) {
		const struct node *node = node_of(head.kind, ref.node);
		struct attr_state *a = &object.o.attr[ref.node];
		struct inode_state now;

		if (!node)
			return -ENOENT;
		inode_default(node, &object.o, &now);
		if (!(a->flags & ATTR_HAS_OWNER))
			a->inode.mode = now.mode, a->inode.uid = now.uid, a->inode.gid = now.gid;
		if (!(a->flags & ATTR_HAS_TIMES))
			a->inode.atime = now.atime, a->inode.mtime = now.mtime;
		if (fields & (INODE_MODE | INODE_UID | INODE_GID))
			a->flags |= ATTR_HAS_OWNER;
		if (fields & (INODE_ATIME | INODE_MTIME))
			a->flags |= ATTR_HAS_TIMES;
		target = &a->inode;
	}
	inode_take(target, fields, inode);
	rc = change_store(c, &object);
	return rc || !(fields & (INODE_UID | INODE_GID)) ? rc : change_note_owner(c, &object);
}
