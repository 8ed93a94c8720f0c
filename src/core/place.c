/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement: which pool a volume goes to, and how much room pools have. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core.h"

int pool_get(struct tx *tx, uint64_t number, union any *ret_pool, union any *ret_dock)
{
	int rc = object_get_kind(tx, number, KIND_POOL, ret_pool);

	return rc ? rc : object_get_kind(tx, ret_pool->o.parent, KIND_DOCK, ret_dock);
}

bool pool_matches(struct text wish, const char *dock, const char *pool)
{
	const char *colon = wish.n ? memchr(wish.p, ':', wish.n) : NULL;
	struct text of_dock;

	if (!colon)
		return text_is(wish, pool);
	of_dock = (struct text){wish.p, (size_t)(colon - wish.p)};
	return text_is(of_dock, dock) &&
	       text_is((struct text){colon + 1, wish.n - of_dock.n - 1}, pool);
}

int pool_room(struct core *core, const struct pool *p, uint64_t *ret, uint64_t *ret_limit)
{
	struct pool_usage usage = {0};
	bool known = observed_usage(core, p->o.number, &usage);
	uint64_t total = p->total_bytes ? p->total_bytes : usage.total;
	uint64_t usable = total - total / 100 * p->reserved_percentage -
			  total % 100 * p->reserved_percentage / 100;
	uint64_t limit = usable;

	if (!known)
		return -EAGAIN;
	if (p->thin)
		limit = (uint64_t)((double)usable * (double)p->over_subscription / 1000.0);
	*ret_limit = limit;
	*ret = limit > p->provisioned ? limit - p->provisioned : 0;
	if (!p->thin && *ret > usage.free)
		*ret = usage.free;
	return 0;
}

int pool_charge(struct change *c, uint64_t number, int64_t bytes)
{
	union any pool;
	int rc = change_load(c, number, KIND_POOL, &pool);

	if (rc)
		return rc;
	pool.pool.provisioned += (uint64_t)bytes;
	return change_store(c, &pool);
}

/* The search for the best pool, and why the others are not. */
struct search {
	struct change *c;
	const struct volume *v;
	const char *dock;
	bool dock_available;
	uint64_t best;
	double best_share;
	char best_name[2 * NAME_BYTES_MAX + 2];
	bool only_room_missing; /* some pool would do but for its room */
	unsigned pools;
	struct buf why;
};

/* NULL if the pool will do; the clause that fails otherwise. */
static const char *unfit(const struct search *s, const struct pool *p)
{
	const struct volume *v = s->v;

	if (!s->dock_available || !p->configured)
		return "it is unavailable";
	if (v->pool_wish.n && !pool_matches(v->pool_wish, s->dock, p->o.name))
		return "another pool is wanted";
	if (v->zone_wish.n && !text_equal(v->zone_wish, p->availability_zone))
		return "another availability_zone is wanted";
	if (!text_is(p->storage_type, "block"))
		return "its storage_type is not block";
	if (v->multiattach && !p->multiattach)
		return "multiattach is false";
	return NULL;
}

static void say_why(struct search *s, const char *pool, const char *why)
{
	buf_printf(&s->why, "%s%s:%s: %s", s->why.len ? "; " : "", s->dock, pool, why);
}

static int consider_pool(void *arg, uint64_t number, struct text name)
{
	struct search *s = arg;
	char full[2 * NAME_BYTES_MAX + 2];
	const char *why;
	union any pool;
	uint64_t room = 0, limit = 1;
	double share;
	int rc = object_get_kind(s->c->tx, number, KIND_POOL, &pool);

	(void)name;
	if (rc)
		return rc;
	s->pools++;
	why = unfit(s, &pool.pool);
	if (!why && pool_room(s->c->core, &pool.pool, &room, &limit))
		why = "its capacity is not known yet";
	if (why) {
		say_why(s, pool.o.name, why);
		return 0;
	}
	if (room < s->v->size_bytes) {
		s->only_room_missing = true;
		buf_printf(&s->why, "%s%s:%s: it has room for %" PRIu64 " bytes",
			   s->why.len ? "; " : "", s->dock, pool.o.name, room);
		return 0;
	}
	share = (double)room / (double)limit;
	snprintf(full, sizeof(full), "%s:%s", s->dock, pool.o.name);
	if (s->best && (share < s->best_share ||
			(share == s->best_share && strcmp(full, s->best_name) > 0)))
		return 0;
	s->best = number;
	s->best_share = share;
	text_copy(s->best_name, sizeof(s->best_name), text_of(full));
	return 0;
}

static int consider_dock(void *arg, uint64_t number, struct text name)
{
	struct search *s = arg;
	union any dock;
	int rc = object_get_kind(s->c->tx, number, KIND_DOCK, &dock);

	(void)name;
	if (rc)
		return rc;
	s->dock = dock.o.name;
	s->dock_available = dock.dock.configured && dock.dock.status == DOCK_AVAILABLE;
	return object_children(s->c->tx, (struct ref){number, DOCK_POOLS}, 0, consider_pool, s);
}

static int each_pool(struct search *s)
{
	return object_children(s->c->tx, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, 0, consider_dock,
			       s);
}

int place_volume(struct change *c, const struct volume *v, uint64_t *ret_pool)
{
	struct search s = {.c = c, .v = v};
	int rc = each_pool(&s);

	if (!rc && !s.pools)
		rc = error_set(c->err, ENODEV, "there is no pool: the configuration names no dock");
	else if (!rc && !s.best)
		rc = error_set(c->err, s.only_room_missing ? ENOSPC : ENODEV,
			       "no pool fits %s: %s", v->o.name, s.why.data ? s.why.data : "");
	buf_free(&s.why);
	if (!rc)
		*ret_pool = s.best;
	return rc;
}
