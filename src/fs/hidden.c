/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that unlink() has hidden: a hash table under a lock. */
#include "hidden.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "attachfs/clock.h"

#define BUCKETS 1024

struct hidden_name {
	struct hidden_name *next;
	struct ref ref;
	pid_t pid;
	bool shown;    /* again: only remembered */
	int64_t until; /* ms */
};

struct hidden {
	pthread_mutex_t lock; /* protects what follows */
	struct hidden_name *buckets[BUCKETS];
	atomic_uint n; /* read without the lock to see that there is none */
};

int hidden_open(struct hidden **ret)
{
	struct hidden *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

/* By the object alone, so that its names are found together. */
static struct hidden_name **bucket_of(struct hidden *h, uint64_t object)
{
	return &h->buckets[object * 0x9e3779b97f4a7c15ULL >> 32 & (BUCKETS - 1)];
}

typedef bool match_fn(const struct hidden_name *name, const void *arg);

/* Removes those in a bucket whose time is over, and those that match. Locked. */
static void clean(struct hidden *h, struct hidden_name **link, match_fn *match, const void *arg)
{
	int64_t now = monotonic_ms();

	while (*link) {
		struct hidden_name *name = *link;

		if (name->until > now && !(match && match(name, arg))) {
			link = &name->next;
			continue;
		}
		*link = name->next;
		free(name);
		h->n--;
	}
}

static void clean_all(struct hidden *h, match_fn *match, const void *arg)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		clean(h, &h->buckets[i], match, arg);
}

static bool any(const struct hidden_name *name, const void *arg)
{
	(void)name, (void)arg;
	return true;
}

void hidden_close(struct hidden *h)
{
	if (!h)
		return;
	clean_all(h, any, NULL);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static struct hidden_name *find(struct hidden *h, struct ref ref)
{
	struct hidden_name *name = *bucket_of(h, ref.object);

	while (name && (name->ref.object != ref.object || name->ref.node != ref.node))
		name = name->next;
	return name;
}

int hidden_add(struct hidden *h, struct ref ref, pid_t pid)
{
	struct hidden_name **bucket = bucket_of(h, ref.object), *name;
	int rc = 0;

	pthread_mutex_lock(&h->lock);
	name = find(h, ref);
	if (!name && h->n >= HIDDEN_MAX)
		clean_all(h, NULL, NULL);
	if (!name && h->n >= HIDDEN_MAX) {
		rc = -ENOSPC;
	} else if (!name) {
		name = calloc(1, sizeof(*name));
		rc = name ? 0 : -ENOMEM;
		if (name) {
			name->ref = ref;
			name->next = *bucket;
			*bucket = name;
			h->n++;
		}
	}
	if (!rc) {
		name->pid = pid;
		name->shown = false;
		name->until = monotonic_ms() + HIDDEN_MS;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

bool hidden_has(struct hidden *h, struct ref ref)
{
	struct hidden_name *name;
	bool there;

	if (!atomic_load(&h->n))
		return false;
	pthread_mutex_lock(&h->lock);
	name = find(h, ref);
	there = name && !name->shown && name->until > monotonic_ms();
	pthread_mutex_unlock(&h->lock);
	return there;
}

static bool is_ref(const struct hidden_name *name, const void *arg)
{
	const struct ref *ref = arg;

	return name->ref.object == ref->object && name->ref.node == ref->node;
}

void hidden_reveal(struct hidden *h, struct ref ref)
{
	if (!atomic_load(&h->n))
		return;
	pthread_mutex_lock(&h->lock);
	clean(h, bucket_of(h, ref.object), is_ref, &ref);
	pthread_mutex_unlock(&h->lock);
}

void hidden_reveal_all(struct hidden *h, pid_t pid)
{
	if (!atomic_load(&h->n))
		return;
	pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct hidden_name *name = h->buckets[i]; name; name = name->next)
			name->shown |= name->pid == pid;
	pthread_mutex_unlock(&h->lock);
}

void hidden_reveal_object(struct hidden *h, uint64_t object)
{
	if (!atomic_load(&h->n))
		return;
	pthread_mutex_lock(&h->lock);
	for (struct hidden_name *name = *bucket_of(h, object); name; name = name->next)
		name->shown |= name->ref.object == object;
	pthread_mutex_unlock(&h->lock);
}

bool hidden_by(struct hidden *h, uint64_t object, pid_t pid)
{
	int64_t now = monotonic_ms();
	bool found = false;

	if (!atomic_load(&h->n))
		return false;
	pthread_mutex_lock(&h->lock);
	for (struct hidden_name *name = *bucket_of(h, object); name; name = name->next) {
		if (name->ref.object != object || name->pid != pid || name->until <= now)
			continue;
		found = true;
		if (name->shown)
			name->until = now + HIDDEN_MS;
	}
	pthread_mutex_unlock(&h->lock);
	return found;
}
