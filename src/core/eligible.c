/* SPDX-License-Identifier: GPL-2.0-or-later */
/* profiles/PROFILE/eligible/DOCK:POOL: a file for each pair, of which nothing is stored. */
#include <errno.h>
#include <stdio.h>

#include "wish.h"

int eligible_get_head(struct tx *tx, uint64_t pair, struct object_head *ret)
{
	struct object_head head;
	int rc = object_get_head(tx, PAIR_SECOND(pair), &head);

	if (!rc)
		rc = object_get_head(tx, PAIR_FIRST(pair), &head);
	if (rc)
		return rc;
	head.kind = KIND_ELIGIBLE;
	head.parent = PAIR_FIRST(pair);
	head.container = PROFILE_ELIGIBLE;
	head.inode.mode = 0444;
	*ret = head;
	return 0;
}

int eligible_get(struct tx *tx, uint64_t pair, union any *ret)
{
	struct object_head head;
	int rc = eligible_get_head(tx, pair, &head);

	if (rc)
		return rc;
	*ret = (union any){.eligible = {
				   .o = {.number = pair,
					 .kind = KIND_ELIGIBLE,
					 .parent = head.parent,
					 .container = head.container,
					 .inode = head.inode,
					 .created = head.created,
					 .updated = head.updated},
				   .profile = PAIR_FIRST(pair),
				   .pool = PAIR_SECOND(pair),
			   }};
	return 0;
}

int eligible_name(struct tx *tx, const struct eligible *e, struct buf *out)
{
	union any pool, dock;
	int rc = pool_get(tx, e->pool, &pool, &dock);

	if (!rc)
		buf_printf(out, "%s:%s", dock.o.name, pool.o.name);
	return rc;
}

static int render(struct view *view, const union any *object, struct buf *out)
{
	union any pool, dock;
	struct wish wish = {0};
	BUF_AUTO(why);
	int rc = pool_get(view->tx, object->eligible.pool, &pool, &dock);

	if (!rc)
		rc = wish_of_profile(view->tx, object->eligible.profile, &wish);
	if (!rc && wish_fits(&wish, &pool.pool, &dock.dock, false, &why, "\nno: "))
		buf_str(out, "yes\n");
	else if (!rc)
		buf_printf(out, "no: %s\n", why.data ?: "");
	wish_free(&wish);
	return rc ? rc : buf_error(&why);
}

/* ---- the directory ---- */

static int lookup(struct tx *tx, const struct object *profile, struct text name, struct ref *ret)
{
	const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;
	uint64_t dock, pool;
	struct text first;
	int rc;

	if (!colon)
		return -ENOENT;
	first = (struct text){name.p, (size_t)(colon - name.p)};
	rc = object_find(tx, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, first, &dock);
	if (!rc)
		rc = object_find(tx, (struct ref){dock, DOCK_POOLS},
				 (struct text){colon + 1, name.n - first.n - 1}, &pool);
	if (!rc)
		*ret = (struct ref){PAIR(profile->number, pool), ELIGIBLE_VALUE};
	return rc;
}

struct pair_list {
	uint64_t profile;
	link_entry_fn *fn;
	void *arg;
};

static int list_one(void *arg, uint64_t pool, struct text name)
{
	struct pair_list *l = arg;
	char copy[2 * NAME_BYTES_MAX + 2];

	text_copy(copy, sizeof(copy), name);
	return l->fn(l->arg, copy, (struct ref){PAIR(l->profile, pool), ELIGIBLE_VALUE});
}

/* In the order of the pools' numbers, as those of the pairs are. */
static int list(struct tx *tx, const struct object *profile, uint64_t from, link_entry_fn *fn,
		void *arg)
{
	struct pair_list l = {profile->number, fn, arg};

	return object_children(tx, (struct ref){ROOT_OBJECT, ROOT_POOLS},
			       from ? PAIR_SECOND(from) : 0, list_one, &l);
}

const struct link_ops links_eligible = {.lookup = lookup, .list = list, .files = true};

static const struct node nodes[] = {
	[ELIGIBLE_VALUE] = {.name = "eligible",
			    .type = NODE_ATTR,
			    .flags = NODE_VOLATILE,
			    .render = render},
};

const struct kind_ops eligible_kind = {
	.name = "pair of a profile and a pool",
	.computed = true,
	.size = sizeof(struct eligible),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.directory_mode = 0444,
};
