/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What backends said last: capacities and live sessions. Not state: gone with the process. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"

/* A growing array sorted by number serves for some thousands of pools and sessions. */
struct observation {
	uint64_t number; /* of the pool or attachment */
	struct pool_usage usage;
	char *sessions;
	int64_t asked;	     /* ms */
	uint64_t asked_for;  /* the generation that it was asked for */
};

struct observed {
	pthread_mutex_t lock; /* protects all of it */
	struct observation *items;
	size_t n, size;
	size_t next; /* behind what was found last: who asks for all of them goes on there */
};

int observed_open(struct observed **ret)
{
	struct observed *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	*ret = o;
	return 0;
}

void observed_close(struct observed *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++)
		free(o->items[i].sessions);
	free(o->items);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* Index of the first item that is not below `number`. */
static size_t position(const struct observed *o, uint64_t number)
{
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (o->items[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct observation *find(struct observed *o, uint64_t number)
{
	size_t i = o->next;

	if (i >= o->n || o->items[i].number != number)
		i = position(o, number);
	if (i == o->n || o->items[i].number != number)
		return NULL;
	o->next = i + 1;
	return &o->items[i];
}

static struct observation *find_or_add(struct observed *o, uint64_t number)
{
	struct observation *item = find(o, number);
	size_t i = position(o, number);

	if (item)
		return item;
	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 16;
		struct observation *items = reallocarray(o->items, size, sizeof(*items));

		if (!items)
			return NULL;
		o->items = items;
		o->size = size;
	}
	memmove(o->items + i + 1, o->items + i, (o->n - i) * sizeof(*o->items));
	o->n++;
	o->items[i] = (struct observation){.number = number};
	return &o->items[i];
}

static void forget(struct observed *o, uint64_t number)
{
	size_t i = position(o, number);

	if (i == o->n || o->items[i].number != number)
		return;
	free(o->items[i].sessions);
	o->n--;
	memmove(o->items + i, o->items + i + 1, (o->n - i) * sizeof(*o->items));
}

bool observed_usage(struct core *core, uint64_t pool, struct pool_usage *ret)
{
	struct observed *o = core->observed;
	const struct observation *item;

	pthread_mutex_lock(&o->lock);
	item = find(o, pool);
	if (item)
		*ret = item->usage;
	pthread_mutex_unlock(&o->lock);
	return item;
}

void observed_sessions(struct core *core, uint64_t attachment, struct buf *out)
{
	struct observed *o = core->observed;
	const struct observation *item;

	pthread_mutex_lock(&o->lock);
	item = find(o, attachment);
	if (item && item->sessions)
		buf_str(out, item->sessions);
	pthread_mutex_unlock(&o->lock);
}

void observed_set_asked(struct core *core, uint64_t number, uint64_t generation)
{
	struct observed *o = core->observed;
	struct observation *item;

	pthread_mutex_lock(&o->lock);
	item = find_or_add(o, number);
	if (item) {
		item->asked = monotonic_ms();
		item->asked_for = generation;
	}
	pthread_mutex_unlock(&o->lock);
}

bool observed_asked(struct core *core, uint64_t number, uint64_t generation, int64_t ms)
{
	struct observed *o = core->observed;
	const struct observation *item;
	bool recently;

	pthread_mutex_lock(&o->lock);
	item = find(o, number);
	recently = item && item->asked && item->asked_for == generation &&
		   item->asked + ms > monotonic_ms();
	pthread_mutex_unlock(&o->lock);
	return recently;
}

void observed_forget(struct core *core, uint64_t number)
{
	pthread_mutex_lock(&core->observed->lock);
	forget(core->observed, number);
	pthread_mutex_unlock(&core->observed->lock);
}

void core_pool_usage(struct core *core, uint64_t dock, const char *pool,
		     const struct pool_usage *usage)
{
	struct observed *o = core->observed;
	struct observation *item;
	uint64_t number;
	struct tx tx;
	int rc;

	if (store_read_begin(core->store, &tx))
		return;
	rc = object_find(&tx, (struct ref){dock, DOCK_POOLS}, text_of(pool), &number);
	store_read_end(&tx);
	if (rc)
		return;
	pthread_mutex_lock(&o->lock);
	item = find_or_add(o, number);
	if (item)
		item->usage = *usage;
	pthread_mutex_unlock(&o->lock);
}

void core_sessions_set(struct core *core, uint64_t attachment, int result, struct text lines)
{
	struct observed *o = core->observed;
	struct observation *item;

	pthread_mutex_lock(&o->lock);
	if (!lines.n) {
		forget(o, attachment);
	} else if ((item = find_or_add(o, attachment))) {
		free(item->sessions);
		item->sessions = strndup(lines.p, lines.n);
	}
	pthread_mutex_unlock(&o->lock);
	waiters_settled(core, QUERY_OF(attachment), 0, result, NULL);
}

/* Without an export there is nobody to ask about. */
static bool find_dock(struct core *core, uint64_t attachment, uint64_t *ret_volume,
		      uint64_t *ret_dock)
{
	union any a, volume, pool;
	struct tx tx;
	bool found;

	if (store_read_begin(core->store, &tx))
		return false;
	found = !object_get_kind(&tx, attachment, KIND_ATTACHMENT, &a) &&
		a.attachment.status == ATTACHMENT_ATTACHED &&
		!object_get_kind(&tx, a.o.parent, KIND_VOLUME, &volume) &&
		!object_get_kind(&tx, volume.volume.pool, KIND_POOL, &pool);
	store_read_end(&tx);
	if (found)
		*ret_volume = volume.o.number, *ret_dock = pool.o.parent;
	return found;
}

void core_query(struct core *core, struct intent *intent)
{
	uint64_t volume, dock;

	if (!core_is_worked(core) || !find_dock(core, intent->subject.object, &volume, &dock)) {
		intent->answer(intent, 0);
		return;
	}
	intent->core = core;
	intent->wait_object = QUERY_OF(intent->subject.object);
	intent->wait_ms = core->detach_timeout_ms;
	waiters_add(core, intent);
	core_kick(core, dock, volume, KICK_SESSIONS);
}
