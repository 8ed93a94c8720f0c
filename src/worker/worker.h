/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the worker's own files. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <pthread.h>

#include "attachfs/core.h"
#include "attachfs/driver.h"
#include "attachfs/worker.h"

/* One volume that something is to be done for. In the table while queued, running or resting. */
struct job {
	uint64_t volume;
	unsigned kicks;	  /* enum kick, or'ed: what came since it was last taken */
	bool running, queued;
	unsigned failures; /* in a row */
	int64_t due;	  /* ms; resting until then, 0 = not resting */
	struct job *next_in_bucket, *next_queued;
};

#define JOB_BUCKETS 4096

/* One of a dock's threads. Of those that have nothing to do the one that had last is called first:
 * what it needs is still in the processor's caches. */
struct dock_thread {
	struct dock_worker *dock;
	pthread_t id;
	pthread_cond_t wake;
	bool called;
	struct dock_thread *next_idle;
};

/* A dock and its threads. Jobs of one volume never overlap: that is what drivers rely on. */
struct dock_worker {
	struct worker *worker;
	struct core *core;
	struct conf *held; /* what `conf` is part of; not the newest if that says the same */
	const struct dock_conf *conf;
	const struct driver *driver; /* NULL: not built in */
	uint64_t number;

	pthread_t supervisor;
	bool supervised;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t tick;  /* for the supervisor */
	struct backend *backend;
	bool ready, stopping, missed;
	bool compared; /* all of its exports, since it was opened */
	struct dock_thread threads[DOCK_WORKERS], *idle;
	unsigned n_threads;
	struct job *buckets[JOB_BUCKETS];
	struct job *first, **last;
	unsigned resting;
};

struct dock_list {
	struct dock_worker **items;
	size_t n;
};

struct worker {
	struct core *core;
	char *state;	   /* the state folder; as map_size it cannot change while we run */
	uint64_t map_size;
	pthread_rwlock_t docks_lock; /* protects `docks`, which one thread at a time replaces */
	struct dock_list docks;
	pthread_mutex_t lock; /* for `ready` */
	pthread_cond_t ready; /* some dock is */
};

/* dock.c: one dock. What was made is started, stopped and freed, in this order. */
int dock_new(struct worker *w, const struct conf *conf, const struct dock_conf *dock,
	     struct dock_worker **ret);
int dock_start(struct dock_worker *d);
/* Ends its threads after what they are doing, and its backend's control plane. */
void dock_stop(struct dock_worker *d);
/* What is still queued at a dock that was stopped. */
void dock_pass_on(struct dock_worker *from, struct dock_worker *to);
void dock_free(struct dock_worker *d);

/* worker.c: makes the docks those of a configuration; on an error nothing has changed, but for
 * -EAGAIN: some dock could not be started. */
int worker_apply(struct worker *w, const struct conf *conf, struct error *err);

/* Queues what has rested long enough. The supervisor's, locked. */
void wake_resting(struct dock_worker *d);
void dock_kick(struct dock_worker *d, uint64_t volume, unsigned kicks);

/* effects.c: does what a volume needs; returns the kicks that must be tried again. */
unsigned run_job(struct dock_worker *d, uint64_t volume, unsigned kicks);

/* compare.c */
/* Kicks every volume that has, or should have, exports, and removes those of no volume. */
int compare_all(struct dock_worker *d, struct error *err);
/* Makes the exports of one volume those that it should have. */
int compare_volume(struct dock_worker *d, uint64_t volume, struct error *err);

/* supervise.c: one thread a dock, for opening, checking, capacities and what rests. */
void *supervise(void *arg);

#endif
