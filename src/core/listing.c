/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is in a directory, in an order that those who remove it can go by. */
#include <errno.h>

#include "core.h"

/*
 * One listing: rows come first, then objects (their cookies are their numbers). Of the rows
 * the files, so that whoever removes a tree unlinks the attributes of an object before it
 * touches what is in it; then directories of objects before those of keys, because an object
 * can say no.
 */
struct listing {
	const struct node *node;
	uint64_t after;
	entry_fn *fn;
	void *arg;
};

static int list_child(void *arg, uint64_t number, struct text name)
{
	struct listing *l = arg;
	char copy[NAME_BYTES_MAX + 1];

	text_copy(copy, sizeof(copy), name);
	return l->fn(l->arg, copy, ref_of_child(l->node->child, number), number);
}

static int list_link(void *arg, const char *name, struct ref link)
{
	struct listing *l = arg;

	return l->fn(l->arg, name, link, link.object);
}

/* Cookies of rows are below FIRST_OBJECT and rise in the order of the listing. */
_Static_assert(3 * 64 + NODES_MAX < FIRST_OBJECT && NODES_MAX <= 64, "room for the cookies of rows");

static unsigned rank_of(const struct node *node)
{
	if (node->type == NODE_ATTR)
		return 0;
	return node->type == NODE_CHILDREN && node->child == KIND_KEY ? 2 : 1;
}

static int list_rows(struct view *v, struct ref dir, struct listing *l)
{
	const struct kind_ops *ops = kinds[v->loaded->o.kind];
	uint8_t group = dir.node == NODE_SELF ? 0 : dir.node;
	int rc = 0;

	for (uint64_t cookie = l->after + 1; cookie < 3 * 64 && !rc; cookie++) {
		const uint64_t i = cookie % 64;
		const struct node *node = i > NODE_SELF && i < ops->n_nodes ? &ops->nodes[i] : NULL;

		if (node && node->group == group && node_is_shown(node) &&
		    rank_of(node) == cookie / 64)
			rc = l->fn(l->arg, node->name, (struct ref){dir.object, (uint8_t)i},
				   cookie);
	}
	return rc;
}

/* While the rows are listed their object stays loaded: most who list want to know their sizes. */
static int list_own(struct view *v, struct ref dir, struct listing *l)
{
	const union any *outer = v->loaded;
	union any object;
	int rc = object_get(v->tx, dir.object, &object);

	if (rc)
		return rc;
	v->loaded = &object;
	rc = list_rows(v, dir, l);
	v->loaded = outer;
	return rc;
}

int core_list(struct view *v, struct ref dir, uint64_t after, entry_fn *fn, void *arg)
{
	struct listing l = {.after = after, .fn = fn, .arg = arg};
	struct object_head head;
	union any object;
	uint64_t from = after < FIRST_OBJECT ? 0 : after + 1;
	int rc = object_get_head(v->tx, dir.object, &head);

	if (rc)
		return rc;
	l.node = dir.node == NODE_SELF ? NULL : node_of(head.kind, dir.node);
	if (!l.node && dir.node != NODE_SELF)
		return -ENOENT;
	if (after < FIRST_OBJECT)
		rc = list_own(v, dir, &l);
	if (!rc && l.node && l.node->type == NODE_CHILDREN)
		rc = object_children(v->tx, dir, from, list_child, &l);
	if (!rc && l.node && l.node->type == NODE_LINKS) {
		rc = object_get(v->tx, dir.object, &object);
		if (!rc)
			rc = l.node->links->list(v->tx, &object.o, from, list_link, &l);
	}
	return rc < 0 ? rc : 0;
}
