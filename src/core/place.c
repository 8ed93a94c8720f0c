/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement: which pool a volume goes to, and how much room pools have. */
#include <errno.h>
#include <inttypes.h>

#include "wish.h"

/* Of all reasons together, about: what a refusal can hold (ERROR_TEXT_MAX). */
#define REASONS_BYTES_MAX 800

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

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
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
	/*
	 * What a thick pool can hold is what is free and what its volumes have taken: a sum that
	 * stays the same while they are made and purged, unlike either of the two.
	 */
	*ret = limit;
	if (!p->thin && limit > usage.free + usage.allocated)
		*ret = usage.free + usage.allocated;
	*ret = minus(*ret, p->provisioned);
	return 0;
}

int pool_charge(struct change *c, uint64_t number, uint64_t bytes)
{
	union any pool;
	int rc = change_load(c, number, KIND_POOL, &pool);

	if (rc)
		return rc;
	pool.pool.provisioned += bytes;
	return change_store(c, &pool);
}

int pool_discharge(struct change *c, uint64_t number, uint64_t bytes)
{
	union any pool;
	int rc = change_load(c, number, KIND_POOL, &pool);

	if (rc)
		return rc;
	pool.pool.provisioned = minus(pool.pool.provisioned, bytes);
	return change_store(c, &pool);
}

/* The search for the best pool, and why the others are not. */
struct search {
	struct change *c;
	const char *volume;
	uint64_t bytes;
	struct wish wish;
	union any dock; /* of the pool that was looked at last */
	char name[2 * NAME_BYTES_MAX + 2]; /* that pool's: "DOCK:POOL" */
	size_t name_at;			   /* where POOL begins in it */
	uint64_t best;
	double best_share; /* of its room that is free */
	char best_name[2 * NAME_BYTES_MAX + 2];
	bool only_room_missing; /* some pool would do but for its room */
	unsigned pools, unsaid;
	struct buf why;
};

/* Where to say why this pool is not it; NULL once there is no use in saying more. */
static struct buf *begin_reason(struct search *s, struct text pool)
{
	if (s->best)
		return NULL;
	if (s->why.len > REASONS_BYTES_MAX) {
		s->unsaid++;
		return NULL;
	}
	buf_printf(&s->why, "%s%.*s: ", s->why.len ? "; " : "", TEXT_ARG(pool));
	return &s->why;
}

static void note_unfit(struct search *s, struct text name, const struct pool *pool)
{
	struct buf *why = begin_reason(s, name);

	if (why)
		wish_fits(&s->wish, pool, &s->dock.dock, false, why, " and ");
}

/* Is this one better than the best so far? Equals go by name, so the choice is the same always. */
static void compare(struct search *s, uint64_t number, struct text name, double share)
{
	if (s->best && (share < s->best_share ||
			(share == s->best_share && text_compare(name, text_of(s->best_name)) > 0)))
		return;
	s->best = number;
	s->best_share = share;
	text_copy(s->best_name, sizeof(s->best_name), name);
}

static void consider_room(struct search *s, struct text name, const struct pool *pool)
{
	uint64_t room, limit;
	struct buf *why;

	if (pool_room(s->c->core, pool, &room, &limit)) {
		why = begin_reason(s, name);
		if (why)
			buf_str(why, "its capacity is not known yet");
		return;
	}
	if (room >= s->bytes) {
		compare(s, pool->o.number, name, (double)room / (double)limit);
		return;
	}
	s->only_room_missing = true;
	why = begin_reason(s, name);
	if (why)
		buf_printf(why, "it has room for %" PRIu64 " bytes", room);
}

/* The pools of a dock mostly follow each other. */
static int use_dock(struct search *s, uint64_t number)
{
	char *end;
	int rc;

	if (s->dock.o.number == number)
		return 0;
	rc = object_get_kind(s->c->tx, number, KIND_DOCK, &s->dock);
	if (rc)
		return rc;
	end = stpcpy(s->name, s->dock.o.name);
	*end++ = ':';
	s->name_at = (size_t)(end - s->name);
	return 0;
}

static int consider_pool(void *arg, const union any *pool)
{
	struct search *s = arg;
	struct text name = {s->name, 0};
	int rc = use_dock(s, pool->o.parent);

	if (rc)
		return rc;
	name.n = (size_t)(stpcpy(s->name + s->name_at, pool->o.name) - s->name);
	s->pools++;
	if (wish_fits(&s->wish, &pool->pool, &s->dock.dock, false, NULL, NULL))
		consider_room(s, name, &pool->pool);
	else
		note_unfit(s, name, &pool->pool);
	return 0;
}

static int refuse(struct search *s)
{
	if (!s->pools)
		return error_set(s->c->err, ENODEV,
				 "there is no pool: the configuration names no dock");
	if (s->unsaid)
		buf_printf(&s->why, "; and %u pools more", s->unsaid);
	return error_set(s->c->err, s->only_room_missing ? ENOSPC : ENODEV, "no pool fits %s: %s",
			 s->volume, s->why.data ?: "");
}

int place_volume(struct change *c, const struct volume *v, uint64_t *ret_pool)
{
	struct search s = {.c = c, .volume = v->o.name, .bytes = v->size_bytes};
	int rc = wish_of_volume(c->tx, v, &s.wish);

	if (!rc)
		rc = object_each(c->tx, KIND_POOL, 0, consider_pool, &s);
	if (!rc && !s.best)
		rc = refuse(&s);
	wish_free(&s.wish);
	buf_free(&s.why);
	if (!rc)
		*ret_pool = s.best;
	return rc;
}
