/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The time of a value: that of the change since which it is shown as it is. */
#include <errno.h>

#include "core.h"

void change_touch(struct change *c, union any *object, uint8_t node)
{
	struct attr_state *a = &object->o.attr[node];

	a->inode.mtime = a->inode.atime = c->now;
	a->flags |= ATTR_HAS_TIMES;
}

int64_t stamp_of(const union any *object, uint8_t node)
{
	const struct attr_state *a = &object->o.attr[node];

	return a->flags & ATTR_HAS_TIMES ? a->inode.mtime : 0;
}

int64_t shown_since(struct view *v, const union any *object, uint8_t number, int64_t own)
{
	const struct node *node = node_of(object->o.kind, number);
	int64_t there = 0;

	if (node->since && !(object->o.attr[number].flags & ATTR_HAS_RAW))
		there = node->since(v, object, number);
	return there > own && there > object->o.created ? there : own;
}

void change_carry(struct change *c, union any *object, uint8_t node)
{
	struct attr_state *a = &object->o.attr[node];
	int64_t since = shown_since(&(struct view){.core = c->core, .tx = c->tx}, object, node,
				    stamp_of(object, node));

	if (!since)
		return;
	a->inode.mtime = a->inode.atime = since;
	a->flags |= ATTR_HAS_TIMES;
}

/* An object as it was, as it will be, and room to show both. */
struct comparison {
	struct view view;
	const union any *before, *now;
	struct buf was, is;
};

static bool renders_same(struct comparison *x, uint8_t number)
{
	buf_reset(&x->was);
	buf_reset(&x->is);
	return !node_show(&x->view, x->before, number, &x->was) &&
	       !node_show(&x->view, x->now, number, &x->is) &&
	       text_equal(buf_as_text(&x->was), buf_as_text(&x->is));
}

/* Is the same shown of both? Most of the time that is known without asking how it is shown. */
static bool shows_same(struct comparison *x, uint8_t number)
{
	const struct node *node = node_of(x->now->o.kind, number);
	const struct attr_state *a = &x->before->o.attr[number], *b = &x->now->o.attr[number];
	const void *was = (const char *)x->before + node->offset;
	const void *is = (const char *)x->now + node->offset;
	bool written = (a->flags | b->flags) & ATTR_HAS_RAW;

	if (!written && node->flags & NODE_ELSEWHERE)
		return true;
	if (!written && !node->render && node->value->is_text)
		return text_equal(*(const struct text *)was, *(const struct text *)is);
	if (!written && !node->render && !memcmp(was, is, sizeof(uint64_t)))
		return true; /* a number, a time, or an id, which never changes */
	if ((a->flags & b->flags) & ATTR_HAS_RAW && !node->in_force)
		return text_equal(a->raw, b->raw);
	return renders_same(x, number);
}

/* Users may set it, so the kernel takes it for unchanged unless it has written it itself. */
static void note_settable(struct change *c, const union any *now, uint8_t number)
{
	const struct ref *written = &c->intent->subject;

	if (node_of(now->o.kind, number)->flags & NODE_SETTABLE &&
	    (written->object != now->o.number || written->node != number))
		change_note(c, &(struct note){.type = NOTE_NODE, .ref = {now->o.number, number}});
}

void change_stamp_followers(union any *now)
{
	const struct kind_ops *ops = kinds[now->o.kind];

	for (uint8_t i = NODE_SELF + 1; i < ops->n_nodes; i++)
		if (ops->nodes[i].flags & NODE_FOLLOWS)
			now->o.attr[i].flags &= (uint8_t)~ATTR_HAS_TIMES;
}

/* A new owner does not make the object newer, but is told of. */
static void touch_followers(struct change *c, union any *now)
{
	const struct kind_ops *ops = kinds[now->o.kind];

	for (uint8_t i = NODE_SELF + 1; i < ops->n_nodes; i++)
		if (ops->nodes[i].flags & NODE_FOLLOWS && ops->nodes[i].render)
			change_touch(c, now, i);
}

static void stamp_rows(struct change *c, struct comparison *x, union any *now)
{
	const struct kind_ops *ops = kinds[now->o.kind];
	bool refused = !text_equal(x->before->o.last_error, now->o.last_error);
	unsigned stamped = 0;

	for (uint8_t i = NODE_SELF + 1; i < ops->n_nodes; i++) {
		if (ops->nodes[i].type != NODE_ATTR ||
		    ops->nodes[i].flags & (NODE_QUERY | NODE_FOLLOWS) || shows_same(x, i))
			continue;
		change_touch(c, now, i);
		note_settable(c, now, i);
		stamped++;
	}
	if (now->o.updated != x->before->o.updated)
		change_stamp_followers(now);
	else if (stamped > refused) /* a refusal does not count */
		touch_followers(c, now);
}

int change_stamp(struct change *c, union any *now)
{
	struct comparison x = {.view = {.core = c->core, .tx = c->tx}, .now = now};
	union any before;
	int rc = object_get(c->tx, now->o.number, &before);

	if (rc == -ENOENT) /* it is new: all of it is as old as the object */
		return now->o.kind == KIND_KEY ? key_changed(c, NULL, &now->key) : 0;
	if (rc)
		return rc;
	x.before = &before;
	if (now->o.created != c->now)
		stamp_rows(c, &x, now);
	buf_free(&x.was);
	buf_free(&x.is);
	if (now->o.kind == KIND_VOLUME)
		return volume_stamp(c, &before.volume, &now->volume);
	return now->o.kind == KIND_KEY ? key_changed(c, &before.key, &now->key) : 0;
}
