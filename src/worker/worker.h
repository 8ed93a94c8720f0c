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

/* A dock and its threads. Jobs of one volume never overlap: that is what drivers rely on. */
struct dock_worker {
	struct worker *worker;
	struct core *core;
	const struct dock_conf *conf;
	const struct driver *driver; /* NULL: not built in */
	uint64_t number;

	pthread_t supervisor, threads[DOCK_WORKERS];
	bool supervised;

	/* Held while capacities are asked for and told, so that what is older is not told later. */
	pthread_mutex_t usage_lock;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;  /* for the threads */
	pthread_cond_t tick;  /* for the supervisor */
	struct backend *backend;
	bool ready, stopping;
	unsigned n_threads, n_idle;
	struct job *buckets[JOB_BUCKETS];
	struct job *first, **last;
	unsigned resting;
};

struct worker {
	struct core *core;
	const struct conf *conf;
	struct dock_worker *docks;
	size_t n_docks;
	pthread_mutex_t lock;
	pthread_cond_t ready;
};

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
/* Asks the backend how much room a pool has, and tells core. */
int read_usage(struct dock_worker *d, const char *pool, struct error *err);

#endif
