/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queues and threads: a volume's jobs run one after another, volumes in parallel. */
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
	pthread_cond_signal(&d->wake);
}

static void *thread_main(void *arg);

/* One thread more, if all are busy. Locked. */
static void add_thread(struct dock_worker *d)
{
	if (d->n_idle || d->n_threads == DOCK_WORKERS || d->stopping || !d->backend)
		return;
	if (!pthread_create(&d->threads[d->n_threads], NULL, thread_main, d))
		d->n_threads++;
	else
		log_error("dock %s: cannot start a thread", d->conf->name);
}

void dock_kick(struct dock_worker *d, uint64_t volume, unsigned kicks)
{
	struct job **link, *job;

	pthread_mutex_lock(&d->lock);
	link = find_job(d, volume);
	job = *link;
	if (!job) {
		job = calloc(1, sizeof(*job));
		if (!job) { /* unsettled work is found again by the next comparison */
			pthread_mutex_unlock(&d->lock);
			log_error("dock %s: out of memory", d->conf->name);
			return;
		}
		job->volume = volume;
		*link = job;
	}
	job->kicks |= kicks;
	if (!job->queued && !job->running)
		enqueue(d, job);
	add_thread(d);
	pthread_mutex_unlock(&d->lock);
}

/* The next job, or NULL when stopping. Nothing is done while there is no backend. Locked. */
static struct job *take_job(struct dock_worker *d)
{
	struct job *job;

	d->n_idle++;
	while (!d->stopping && (!d->first || !d->backend))
		pthread_cond_wait(&d->wake, &d->lock);
	d->n_idle--;
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

/* Queued again, laid to rest, or done with. Locked. */
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
	struct dock_worker *d = arg;
	struct job *job;

	pthread_mutex_lock(&d->lock);
	while ((job = take_job(d))) {
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
	if (d->first)
		add_thread(d);
}

/* ---- the worker as a whole ---- */

static void kick_hook(void *arg, uint64_t dock, uint64_t volume, enum kick what)
{
	struct worker *w = arg;

	for (size_t i = 0; i < w->n_docks; i++)
		if (w->docks[i].number == dock)
			dock_kick(&w->docks[i], volume, what);
}

int worker_check_conf(const struct conf *conf, struct error *err)
{
	for (size_t i = 0; i < conf->n_docks; i++) {
		const struct driver *driver = driver_find(conf->docks[i].driver);
		int rc = driver ? driver->check_config(&conf->docks[i], err) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

static int tell_core(struct worker *w, struct error *err)
{
	struct dock_capability *can = calloc(w->n_docks + 1, sizeof(*can));
	int rc;

	if (!can)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < w->n_docks; i++) {
		const struct driver *driver = w->docks[i].driver;

		can[i] = (struct dock_capability){.dock = w->conf->docks[i].name,
						  .built_in = driver,
						  .capabilities = driver ? driver->capabilities : 0};
	}
	rc = core_apply_conf(w->core, w->conf, can, err);
	free(can);
	for (size_t i = 0; i < w->n_docks && !rc; i++)
		rc = core_dock_number(w->core, w->conf->docks[i].name, &w->docks[i].number);
	return rc;
}

static int start_dock(struct dock_worker *d)
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

static void init_dock(struct worker *w, size_t i)
{
	struct dock_worker *d = &w->docks[i];
	pthread_condattr_t attr;

	d->worker = w;
	d->core = w->core;
	d->conf = &w->conf->docks[i];
	d->driver = driver_find(d->conf->driver);
	d->last = &d->first;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->usage_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->wake, &attr);
	pthread_cond_init(&d->tick, &attr);
	pthread_condattr_destroy(&attr);
}

int worker_open(struct core *core, const struct conf *conf, const struct core_hooks *hooks,
		struct worker **ret, struct error *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct core_hooks with_kick = {hooks->arg, hooks->changed, NULL, NULL};
	int rc;

	if (!w || !(w->docks = calloc(conf->n_docks + 1, sizeof(*w->docks)))) {
		free(w);
		return error_set(err, ENOMEM, "out of memory");
	}
	w->core = core;
	w->conf = conf;
	w->n_docks = conf->n_docks;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ready, NULL);
	for (size_t i = 0; i < w->n_docks; i++)
		init_dock(w, i);
	rc = tell_core(w, err);
	if (!rc) {
		with_kick.kick_arg = w;
		with_kick.kick = kick_hook;
		core_set_hooks(core, &with_kick);
	}
	for (size_t i = 0; i < w->n_docks && !rc; i++)
		if ((rc = start_dock(&w->docks[i])))
			error_set(err, -rc, "cannot start a thread");
	if (rc) {
		worker_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

static bool all_ready(struct worker *w)
{
	bool ready = true;

	for (size_t i = 0; i < w->n_docks; i++) {
		pthread_mutex_lock(&w->docks[i].lock);
		ready = ready && w->docks[i].ready;
		pthread_mutex_unlock(&w->docks[i].lock);
	}
	return ready;
}

void worker_wait_ready(struct worker *w, unsigned ms)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	pthread_mutex_lock(&w->lock);
	while (!all_ready(w) && !rc)
		rc = pthread_cond_timedwait(&w->ready, &w->lock, &until);
	pthread_mutex_unlock(&w->lock);
}

static void stop_dock(struct dock_worker *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_broadcast(&d->wake);
	pthread_cond_broadcast(&d->tick);
	pthread_mutex_unlock(&d->lock);
	if (d->supervised)
		pthread_join(d->supervisor, NULL);
	for (unsigned i = 0; i < d->n_threads; i++)
		pthread_join(d->threads[i], NULL);
	if (d->backend)
		d->driver->close(d->backend);
	for (unsigned i = 0; i < JOB_BUCKETS; i++)
		for (struct job *job = d->buckets[i], *next; job; job = next) {
			next = job->next_in_bucket;
			free(job);
		}
	pthread_cond_destroy(&d->tick);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->usage_lock);
	pthread_mutex_destroy(&d->lock);
}

void worker_close(struct worker *w)
{
	if (!w)
		return;
	core_set_hooks(w->core, &(struct core_hooks){0}); /* nobody kicks us any more */
	for (size_t i = 0; i < w->n_docks; i++)
		stop_dock(&w->docks[i]);
	pthread_cond_destroy(&w->ready);
	pthread_mutex_destroy(&w->lock);
	free(w->docks);
	free(w);
}
