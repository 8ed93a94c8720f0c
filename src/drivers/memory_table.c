/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory driver's table: a volume and its exports are found without looking at others. */
#include "memory_table.h"

#include "attachfs/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BITS 6
#define HASH_BITS  32

/* Its upper bits are as good as its lower ones; that of "" is 0, before all others. */
static uint32_t hash_of(const char *id)
{
	uint32_t hash = 0;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619U;
	return hash * 2654435769U;
}

static size_t bucket_of(const struct memory_table *t, uint32_t hash)
{
	return hash >> (HASH_BITS - t->bits);
}

static int compare(const struct memory_volume *v, uint32_t hash, const char *id)
{
	if (v->hash != hash)
		return v->hash < hash ? -1 : 1;
	return strcmp(v->id, id);
}

/* The place that points to the volume, or to the first behind where it would be. */
static struct memory_volume **place_of(const struct memory_table *t, uint32_t hash,
				       const char *id)
{
	struct memory_volume **place = &t->buckets[bucket_of(t, hash)];

	while (*place && compare(*place, hash, id) < 0)
		place = &(*place)->next;
	return place;
}

int memory_table_init(struct memory_table *t)
{
	*t = (struct memory_table){.bits = FIRST_BITS};
	t->buckets = calloc((size_t)1 << FIRST_BITS, sizeof(struct memory_volume *));
	return t->buckets ? 0 : -ENOMEM;
}

void memory_table_free(struct memory_table *t)
{
	for (size_t i = 0; i < (size_t)1 << t->bits; i++)
		while (t->buckets[i])
			memory_table_remove(t, t->buckets[i]);
	free(t->buckets);
}

struct memory_volume *memory_table_find(const struct memory_table *t, const char *id)
{
	uint32_t hash = hash_of(id);
	struct memory_volume *v = *place_of(t, hash, id);

	return v && !compare(v, hash, id) ? v : NULL;
}

struct memory_volume *memory_table_next(const struct memory_table *t, const char *id)
{
	uint32_t hash = hash_of(id);
	size_t i = bucket_of(t, hash);
	struct memory_volume *v = *place_of(t, hash, id);

	if (v && !compare(v, hash, id))
		v = v->next;
	while (!v && ++i < (size_t)1 << t->bits)
		v = t->buckets[i];
	return v;
}

/* Each bucket becomes two, in order. Without memory for that the old ones just get longer. */
static void grow(struct memory_table *t)
{
	struct memory_volume **old = t->buckets, **place;
	size_t n = (size_t)1 << t->bits;
	struct memory_volume **buckets = calloc(2 * n, sizeof(*buckets));

	if (!buckets)
		return;
	t->buckets = buckets;
	t->bits++;
	for (size_t i = 0; i < n; i++) {
		place = &buckets[2 * i];
		*place = old[i];
		while (*place && bucket_of(t, (*place)->hash) == 2 * i)
			place = &(*place)->next;
		buckets[2 * i + 1] = *place;
		*place = NULL;
	}
	free(old);
}

struct memory_volume *memory_table_add(struct memory_table *t, const char *id)
{
	struct memory_volume *v = calloc(1, sizeof(*v)), **place;

	if (!v)
		return NULL;
	if (t->n_volumes >> t->bits && t->bits < HASH_BITS)
		grow(t);
	text_copy(v->id, sizeof(v->id), text_of(id));
	v->hash = hash_of(v->id);
	place = place_of(t, v->hash, v->id);
	v->next = *place;
	*place = v;
	t->n_volumes++;
	return v;
}

void memory_table_remove(struct memory_table *t, struct memory_volume *v)
{
	*place_of(t, v->hash, v->id) = v->next;
	t->n_volumes--;
	memory_exports_free(v);
	free(v);
}

struct memory_export **memory_export_place(struct memory_volume *v, const char *initiator)
{
	struct memory_export **place = &v->exports;

	while (*place && strcmp((*place)->initiator, initiator))
		place = &(*place)->next;
	return place;
}

static struct memory_export *new_export(const struct backend_export *export_)
{
	size_t initiator = strlen(export_->initiator) + 1;
	size_t chap_user = strlen(export_->chap_user) + 1;
	struct memory_export *e = malloc(sizeof(*e) + initiator + chap_user);

	if (!e)
		return NULL;
	*e = (struct memory_export){.mode = (unsigned char)export_->mode};
	memcpy(e->initiator, export_->initiator, initiator);
	memcpy(e->initiator + initiator, export_->chap_user, chap_user);
	return e;
}

int memory_export_put(struct memory_volume *v, const struct backend_export *export_)
{
	struct memory_export **place = memory_export_place(v, export_->initiator);
	struct memory_export *e = new_export(export_), *old = *place;

	if (!e)
		return -ENOMEM;
	if (old) {
		e->next = old->next;
		e->ended = old->ended;
	}
	*place = e;
	free(old);
	return 0;
}

void memory_exports_free(struct memory_volume *v)
{
	while (v->exports) {
		struct memory_export *e = v->exports;

		v->exports = e->next;
		free(e);
	}
}

int memory_exports_copy(const struct memory_volume *v, struct backend_export **ret,
			size_t *ret_n)
{
	const struct memory_export *e;
	struct backend_export *to;
	size_t n = 0;

	for (e = v->exports; e; e = e->next)
		n++;
	to = calloc(n + 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	*ret = to;
	*ret_n = n;
	for (e = v->exports; e; e = e->next, to++) {
		struct text initiator = text_of(e->initiator);

		to->mode = (enum access_mode)e->mode;
		text_copy(to->initiator, sizeof(to->initiator), initiator);
		text_copy(to->chap_user, sizeof(to->chap_user),
			  text_of(initiator.p + initiator.n + 1));
	}
	return 0;
}
