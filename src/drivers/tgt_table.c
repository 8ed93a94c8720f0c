/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the driver knows of its targets: a hash table by volume id and mode. */
#include "tgt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static struct tgt_target **bucket_of(struct backend *b, const char *id)
{
	uint32_t hash = 2166136261U;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619U;
	return &b->buckets[hash % TGT_BUCKETS];
}

static void free_target(struct tgt_target *t)
{
	for (size_t i = 0; i < t->n_hosts; i++) {
		free(t->hosts[i].initiator);
		free(t->hosts[i].user);
	}
	for (size_t i = 0; i < t->n_slots; i++)
		free(t->slot[i]);
	free(t->hosts);
	free(t->slot);
	free(t);
}

static void unlink_target(struct backend *b, struct tgt_target *t)
{
	struct tgt_target **place = bucket_of(b, t->id);

	while (*place != t)
		place = &(*place)->next;
	*place = t->next;
	if (t->incarnation == t->shard->incarnation)
		t->shard->n_targets--;
	free_target(t);
}

struct tgt_target *tgt_table_find(struct backend *b, const char *id, enum access_mode mode)
{
	struct tgt_target *t, *next, *found = NULL;

	pthread_mutex_lock(&b->lock);
	for (t = *bucket_of(b, id); t; t = next) {
		next = t->next;
		if (strcmp(t->id, id) || t->mode != mode)
			continue;
		if (t->incarnation == t->shard->incarnation)
			found = t;
		else
			unlink_target(b, t); /* only this volume's caller could be using it */
	}
	pthread_mutex_unlock(&b->lock);
	return found;
}

struct tgt_target *tgt_table_peek(struct backend *b, const char *id, enum access_mode mode)
{
	struct tgt_target *t;

	pthread_mutex_lock(&b->lock);
	for (t = *bucket_of(b, id); t; t = t->next)
		if (!strcmp(t->id, id) && t->mode == mode &&
		    t->incarnation == t->shard->incarnation)
			break;
	pthread_mutex_unlock(&b->lock);
	return t;
}

/*
 * A tid is drawn at random and so never used twice: a login that was begun on a target, and is
 * completed after that target was destroyed, must not end up in another target of the same tid.
 */
int tgt_draw_tid(void)
{
	uint32_t random;

	do {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -1;
		random &= 0x7fffffff;
	} while (random < 1000); /* small ones are what people choose by hand */
	return (int)random;
}

struct tgt_target *tgt_table_add(struct backend *b, const char *id, enum access_mode mode,
				 struct tgt_shard *shard, uint64_t incarnation)
{
	struct tgt_target *t = calloc(1, sizeof(*t));
	struct tgt_target **bucket = bucket_of(b, id);

	if (!t)
		return NULL;
	text_copy(t->id, sizeof(t->id), text_of(id));
	t->mode = mode;
	t->tid = tgt_draw_tid();
	t->shard = shard;
	t->incarnation = incarnation;
	if (t->tid < 0) {
		free(t);
		return NULL;
	}
	pthread_mutex_lock(&b->lock);
	t->next = *bucket;
	*bucket = t;
	if (incarnation == shard->incarnation)
		shard->n_targets++;
	shard->wanted = true;
	pthread_mutex_unlock(&b->lock);
	return t;
}

void tgt_table_remove(struct backend *b, struct tgt_target *t)
{
	struct tgt_shard *shard = t->shard;

	pthread_mutex_lock(&shard->slots); /* an adoption may be looking at it */
	pthread_mutex_lock(&b->lock);
	unlink_target(b, t);
	pthread_mutex_unlock(&b->lock);
	pthread_mutex_unlock(&shard->slots);
}

int tgt_table_each(struct tgt_shard *shard, int (*fn)(void *arg, struct tgt_target *t), void *arg)
{
	struct backend *b = shard->backend;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < TGT_BUCKETS && !rc; i++)
		for (struct tgt_target *t = b->buckets[i]; t && !rc; t = t->next)
			if (t->shard == shard && t->incarnation == shard->incarnation)
				rc = fn(arg, t);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void tgt_table_free(struct backend *b)
{
	for (size_t i = 0; i < TGT_BUCKETS; i++)
		while (b->buckets[i])
			unlink_target(b, b->buckets[i]);
}

struct tgt_host *tgt_host_find(struct tgt_target *t, const char *initiator)
{
	for (size_t i = 0; i < t->n_hosts; i++)
		if (!strcmp(t->hosts[i].initiator, initiator))
			return &t->hosts[i];
	return NULL;
}

static int set_user(struct tgt_host *host, const char *user)
{
	char *copy = strdup(user);

	if (!copy)
		return -ENOMEM;
	free(host->user);
	host->user = copy;
	return 0;
}

static int append_host(struct tgt_target *t, const char *initiator, const char *user)
{
	struct tgt_host *hosts = realloc(t->hosts, (t->n_hosts + 1) * sizeof(*hosts));
	struct tgt_host host = {0};

	if (!hosts)
		return -ENOMEM;
	t->hosts = hosts;
	host.initiator = strdup(initiator);
	host.user = strdup(user);
	if (!host.initiator || !host.user) {
		free(host.initiator);
		free(host.user);
		return -ENOMEM;
	}
	t->hosts[t->n_hosts++] = host;
	return 0;
}

int tgt_host_add(struct backend *b, struct tgt_target *t, const char *initiator,
		 const char *user)
{
	struct tgt_host *host;
	int rc;

	pthread_mutex_lock(&b->lock);
	host = tgt_host_find(t, initiator);
	rc = host ? set_user(host, user) : append_host(t, initiator, user);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

void tgt_host_remove(struct backend *b, struct tgt_target *t, const char *initiator)
{
	struct tgt_host *host;

	pthread_mutex_lock(&b->lock);
	host = tgt_host_find(t, initiator);
	if (host) {
		free(host->initiator);
		free(host->user);
		*host = t->hosts[--t->n_hosts];
	}
	pthread_mutex_unlock(&b->lock);
}
