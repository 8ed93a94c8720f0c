/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A dock's queue and threads: a volume's jobs run one after another, volumes in parallel. */
#include "worker.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/clock.h"
#include "attachfs/log.h"

/* Waits between tries of what failed: 1 s, 2 s … */
#define REST_MS_FIRST 1000
#define REST_MS_MAX   8000

static struct job **find_job(struct dock_worker *d, uint64_t volume)
{
	struct job **link = &d->buckets[volume % JOB_BUCKETS];

	while (*link && (*link)->volume != volume)
		link = &(*link)->next_in_bucket;
	return link;
}

static void enqueue(struct dock_worker *d, struct job *job)
{
	if (job->due)
		d->resting--;
	job->due = 0;
	job->queued = true;
	job->next_queued = NULL;
	*d->last = job;
	d->last = &job->next_queued;
}

static void call_idle(struct dock_worker *d)
{
	struct dock_thread *t = d->idle;

	d->idle = t->next_idle;
	t->called = true;
	pthread_cond_signal(&t->wake);
}

/* Until it is called. Locked. */
static void stand_idle(struct dock_thread *t)
{
	struct dock_worker *d = t->dock;

	t->called = false;
	t->next_idle = d->idle;
	d->idle = t;
	while (!t->called)
		pthread_cond_wait(&t->wake, &d->lock);
}

static void *thread_main(void *arg);

/* Somebody for a job that is queued: whoever is idle, or one thread more. False: nobody can be
 * called now. Locked. */
static bool call_thread(struct dock_worker *d)
{
	struct dock_thread *t = &d->threads[d->n_threads];

	if (d->idle) {
		call_idle(d);
		return true;
	}
	if (d->n_threads == DOCK_WORKERS || d->stopping || !d->backend)
		return false;
	t->dock = d;
	pthread_cond_init(&t->wake, NULL);
	if (pthread_create(&t->id, NULL, thread_main, t)) {
		pthread_cond_destroy(&t->wake);
		log_error("dock %s: cannot start a thread", d->conf->name);
		return false;
	}
	d->n_threads++;
	return true;
}

void dock_kick(struct dock_worker *d, uint64_t volume, unsigned kicks)
{
	struct job **link, *job;

	pthread_mutex_lock(&d->lock);
	link = find_job(d, volume);
	job = *link;
	if (!job) {
		job = calloc(1, sizeof(*job));
		if (!job) {
			d->missed = true;
			pthread_mutex_unlock(&d->lock);
			log_error("dock %s: out of memory", d->conf->name);
			return;
		}
		job->volume = volume;
		*link = job;
	}
	job->kicks |= kicks;
	if (!job->running) {
		if (!job->queued)
			enqueue(d, job);
		call_thread(d);
	}
	pthread_mutex_unlock(&d->lock);
}

/* The next job, or NULL when stopping. Nothing is done while there is no backend. Locked. */
static struct job *take_job(struct dock_thread *t)
{
	struct dock_worker *d = t->dock;
	struct job *job;

	while (!d->stopping && (!d->first || !d->backend))
		stand_idle(t);
	if (d->stopping)
		return NULL;
	job = d->first;
	d->first = job->next_queued;
	if (!d->first)
		d->last = &d->first;
	job->queued = false;
	job->running = true;
	return job;
}

/* Queued again (the caller goes on with the queue), laid to rest, or done with. Locked. */
static void put_job(struct dock_worker *d, struct job *job, unsigned again)
{
	struct job **link;
	int64_t rest;

	job->running = false;
	job->failures = again ? job->failures + 1 : 0;
	if (job->kicks) {
		job->kicks |= again;
		enqueue(d, job);
		return;
	}
	if (again) {
		rest = (int64_t)REST_MS_FIRST << (job->failures < 4 ? job->failures - 1 : 3);
		job->kicks = again;
		job->due = monotonic_ms() + (rest < REST_MS_MAX ? rest : REST_MS_MAX);
		d->resting++;
		return;
	}
	link = find_job(d, job->volume);
	*link = job->next_in_bucket;
	free(job);
}

static void *thread_main(void *arg)
{
	struct dock_thread *t = arg;
	struct dock_worker *d = t->dock;
	struct job *job;

	pthread_mutex_lock(&d->lock);
	while ((job = take_job(t))) {
		unsigned kicks = job->kicks, again;

		job->kicks = 0;
		pthread_mutex_unlock(&d->lock);
		again = run_job(d, job->volume, kicks);
		pthread_mutex_lock(&d->lock);
		put_job(d, job, again);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Whatever has rested long enough is queued again. Called by the supervisor, locked. */
void wake_resting(struct dock_worker *d)
{
	int64_t now = monotonic_ms();

	for (unsigned i = 0; i < JOB_BUCKETS && d->resting; i++)
		for (struct job *job = d->buckets[i]; job; job = job->next_in_bucket)
			if (job->due && job->due <= now)
				enqueue(d, job);
	/* Those that were queued before there was a backend have called nobody. */
	for (struct job *job = d->first; job && call_thread(d); job = job->next_queued)
		;
}

/* ---- a dock's threads as a whole ---- */

static void init_locks(struct dock_worker *d)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->tick, &attr);
	pthread_condattr_destroy(&attr);
}

int dock_new(struct worker *w, const struct conf *conf, const struct dock_conf *dock,
	     struct dock_worker **ret)
{
	struct dock_worker *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->worker = w;
	d->core = w->core;
	d->held = conf_hold(conf);
	d->conf = dock;
	d->driver = driver_find(dock->driver);
	d->last = &d->first;
	init_locks(d);
	*ret = d;
	return 0;
}

int dock_start(struct dock_worker *d)
{
	int rc;

	if (!d->driver) {
		log_warning("dock %s: driver %s is not built in, so it is unavailable",
			    d->conf->name, d->conf->driver);
		d->ready = true;
		return 0;
	}
	rc = pthread_create(&d->supervisor, NULL, supervise, d);
	d->supervised = !rc;
	return -rc;
}

void dock_stop(struct dock_worker *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	while (d->idle)
		call_idle(d);
	pthread_cond_broadcast(&d->tick);
	pthread_mutex_unlock(&d->lock);
	if (d->supervised)
		pthread_join(d->supervisor, NULL);
	for (unsigned i = 0; i < d->n_threads; i++) {
		pthread_join(d->threads[i].id, NULL);
		pthread_cond_destroy(&d->threads[i].wake);
	}
	d->supervised = false;
	d->n_threads = 0;
	if (d->backend)
		d->driver->close(d->backend);
	d->backend = NULL;
}

void dock_pass_on(struct dock_worker *from, struct dock_worker *to)
{
	for (unsigned i = 0; i < JOB_BUCKETS; i++)
		for (struct job *job = from->buckets[i]; job; job = job->next_in_bucket)
			dock_kick(to, job->volume, job->kicks);
}

void dock_free(struct dock_worker *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < JOB_BUCKETS; i++)
		for (struct job *job = d->buckets[i], *next; job; job = next) {
			next = job->next_in_bucket;
			free(job);
		}
	pthread_cond_destroy(&d->tick);
	pthread_mutex_destroy(&d->lock);
	conf_unload(d->held);
	free(d);
}
