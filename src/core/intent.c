/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What users ask for, as a change: make, remove, rename, set, and what stands in the way. */
#include "core.h"

#include <errno.h>
#include <string.h>

int check_name(const struct node *container, const char *name, struct error *err)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	bool scoped = container && container->flags & NODE_SCOPED;
	const char *c = name;

	while (*c && (strchr(first, *c) || (c > name && strchr(scoped ? "._-:" : "._-", *c))))
		c++;
	if (!*c && c > name && c - name <= NAME_BYTES_MAX)
		return 0;
	return error_set(err, EINVAL,
			 "not a name: expected a letter or digit, then letters, digits, '.', '_'%s "
			 "or '-', at most %d in all",
			 scoped ? ", ':'" : "", NAME_BYTES_MAX);
}

/* The row of a container that users may add to. */
static int writable_container(struct change *c, struct ref ref, const struct node **ret)
{
	struct object_head head;
	const struct node *node;
	int rc = object_get_head(c->tx, ref.object, &head);

	if (rc)
		return rc;
	node = node_of(head.kind, ref.node);
	if (!node || node->type != NODE_CHILDREN)
		return error_set(c->err, EACCES, "nothing can be made, moved or removed here");
	if (node->fixed)
		return error_set(c->err, EACCES, NODE_FIXED_WHY);
	*ret = node;
	return 0;
}

struct count {
	unsigned n, max;
};

static int count_child(void *arg, uint64_t number, struct text name)
{
	struct count *count = arg;

	(void)number, (void)name;
	return ++count->n >= count->max;
}

/* -ENOSPC when a container is as full as it may be. */
static int check_room(struct change *c, struct ref container, const struct node *node)
{
	struct count count = {0, 0};
	int rc;

	if (node->child == KIND_KEY)
		count.max = KEYS_PER_DIRECTORY_MAX;
	else if (node->child == KIND_ATTACHMENT)
		count.max = ATTACHMENTS_PER_VOLUME_MAX;
	else
		return 0;
	rc = object_children(c->tx, container, 0, count_child, &count);
	if (rc == 1)
		return error_set(c->err, ENOSPC, "%s holds %u already, the most it can", node->name,
				 count.max);
	return rc;
}

static int apply_make(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	bool draft = false;
	int rc = writable_container(c, i->subject, &node);

	if (rc)
		return rc;
	rc = draft_check_name(node, i->name, c->err);
	if (!rc)
		rc = check_room(c, i->subject, node);
	if (!rc)
		rc = change_new(c, node->child, i->subject, i->name, i->inode.mode, &object);
	if (!rc)
		rc = draft_begin(c, i, &object, &draft);
	if (!rc && !draft && kinds[node->child]->create)
		rc = kinds[node->child]->create(c, &object);
	if (!rc)
		rc = change_add(c, &object);
	if (rc)
		return rc;
	i->made = (struct ref){object.o.number, node->child == KIND_KEY ? KEY_VALUE : NODE_SELF};
	return change_event(c, "make", i->made, NULL);
}

/* The key that is to be put: the one that is there, or else a new one. */
static int find_or_make_key(struct change *c, struct intent *i, struct ref *ret)
{
	const struct node *node;
	uint64_t number = 0;
	int rc = writable_container(c, i->subject, &node);

	if (rc)
		return rc;
	rc = object_find(c->tx, i->subject, text_of(i->name), &number);
	if (rc == -ENOENT) {
		rc = apply_make(c, i);
		number = i->made.object;
	} else if (!rc && i->no_replace) {
		rc = error_set(c->err, EEXIST, "%s exists already", i->name);
	}
	*ret = (struct ref){number, KEY_VALUE};
	return rc;
}

static int apply_put(struct change *c, struct intent *i)
{
	struct ref ref = i->subject;
	int rc = i->name[0] ? find_or_make_key(c, i, &ref) : 0;

	if (!rc)
		rc = set_attribute(c, ref, i->value);
	return rc || !i->inode_fields ? rc : set_inode(c, ref, i->inode_fields, &i->inode);
}

static int apply_remove(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	int rc = writable_container(c, i->subject, &node);

	i->mutation.vital = true;
	if (!rc)
		rc = change_find(c, i->subject, text_of(i->name), node->child, &object);
	if (!rc)
		rc = change_event(c, "remove", SELF(object.o.number), NULL);
	if (rc)
		return rc;
	return kinds[node->child]->remove ? kinds[node->child]->remove(c, &object)
					  : change_delete(c, &object);
}

/* What is in the way of a rename: a key gives way, as files do; an object does not. */
static int replace_key(struct change *c, const struct intent *i, const struct node *node)
{
	union any taken;
	int rc = change_find(c, i->dest, text_of(i->new_name), node->child, &taken);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (node->child != KIND_KEY || i->no_replace)
		return error_set(c->err, EEXIST, "%s exists already", i->new_name);
	return kinds[KIND_KEY]->remove(c, &taken);
}

static int apply_rename(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	bool draft;
	int rc = writable_container(c, i->subject, &node);

	if (!rc)
		rc = change_find(c, i->subject, text_of(i->name), node->child, &object);
	if (rc)
		return rc;
	draft = object_is_draft(&object);
	rc = draft ? draft_check_name(node, i->new_name, c->err)
		   : check_name(node, i->new_name, c->err);
	if (rc)
		return rc;
	if (!draft && kinds[node->child]->move)
		return kinds[node->child]->move(c, i, &object);
	if (i->subject.object != i->dest.object || i->subject.node != i->dest.node)
		return error_set(c->err, EINVAL, "%s %s stays in its own directory",
				 kinds[node->child]->name, object.o.name);
	if (!strcmp(i->name, i->new_name))
		return 0;
	if (!draft && !kinds[node->child]->rename)
		return error_set(c->err, EPERM, "%s %s cannot be renamed",
				 kinds[node->child]->name, object.o.name);
	rc = replace_key(c, i, node);
	if (!rc)
		rc = change_event(c, "rename", SELF(object.o.number), i->new_name);
	if (rc)
		return rc;
	return draft ? draft_rename(c, &object, i->new_name)
		     : kinds[node->child]->rename(c, &object, i->new_name);
}

/* What is being purged has no place in the tree: only who held it open still knows it. */
static bool is_gone(struct change *c, uint64_t number)
{
	struct object_head head;

	return object_get_head(c->tx, number, &head) ||
	       (number != ROOT_OBJECT && !head.container);
}

int apply_intent(struct change *c, struct intent *i)
{
	if (is_gone(c, i->subject.object))
		return -ENOENT;
	switch (i->op) {
	case INTENT_MAKE:
		return apply_make(c, i);
	case INTENT_REMOVE:
		return apply_remove(c, i);
	case INTENT_RENAME:
		return apply_rename(c, i);
	case INTENT_SET:
		return set_attribute(c, i->subject, i->value);
	case INTENT_PUT:
		return apply_put(c, i);
	case INTENT_INODE:
		return set_inode(c, i->subject, i->inode_fields, &i->inode);
	case INTENT_REFUSE:
		return -i->err.code;
	}
	return -EINVAL;
}
