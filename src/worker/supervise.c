/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread a dock: opens the backend, notices restarts, reads capacities, wakes what rests. */
#include "worker.h"

#include <errno.h>
#include <string.h>

#include "attachfs/clock.h"
#include "attachfs/kill.h"
#include "attachfs/log.h"

#define TICK_MS	       500
#define USAGE_TICKS    6   /* capacities: every 3 s */
#define MAINTAIN_TICKS 120 /* dead readers: every minute */

/* Sleeps one tick; false when stopping. Locked. */
static bool sleep_tick(struct dock_worker *d)
{
	int64_t until = monotonic_ms() + TICK_MS;
	struct timespec ts = monotonic_timespec(until);

	while (!d->stopping && monotonic_ms() < until)
		pthread_cond_timedwait(&d->tick, &d->lock, &ts);
	return !d->stopping;
}

static void tell_ready(struct dock_worker *d)
{
	pthread_mutex_lock(&d->lock);
	d->ready = true;
	pthread_mutex_unlock(&d->lock);
	pthread_mutex_lock(&d->worker->lock);
	pthread_cond_broadcast(&d->worker->ready);
	pthread_mutex_unlock(&d->worker->lock);
}

static void read_usage(struct dock_worker *d)
{
	for (size_t i = 0; i < d->conf->n_pools; i++) {
		struct pool_usage usage;
		struct error err = {0};

		if (!d->driver->pool_usage(d->backend, d->conf->pools[i].name, &usage, &err))
			core_pool_usage(d->core, d->number, d->conf->pools[i].name, &usage);
		else
			log_warning("dock %s, pool %s: %s", d->conf->name, d->conf->pools[i].name,
				    err.text);
	}
}

/* `last` is what was said of the last failure: the same again is not worth a line. */
static bool open_backend(struct dock_worker *d, struct error *last)
{
	struct error err = {0};
	struct backend *backend;

	if (d->driver->open(d->conf, d->worker->state, &backend, &err)) {
		core_dock_status(d->core, d->number, DOCK_UNAVAILABLE, &err);
		if (strcmp(err.text, last->text))
			log_warning("dock %s: %s", d->conf->name, err.text);
		*last = err;
		return false;
	}
	KILL_POINT(start_adopted);
	pthread_mutex_lock(&d->lock);
	d->backend = backend;
	pthread_mutex_unlock(&d->lock);
	return true;
}

/*
 * The backend answers: capacities first, so that placement knows them. Comparing exports may
 * take long and disturbs nobody, so nobody waits for it. False: it is to be tried again.
 */
static bool begin_service(struct dock_worker *d)
{
	struct error err = {0};

	read_usage(d);
	if (core_dock_status(d->core, d->number, DOCK_AVAILABLE, NULL))
		return false;
	tell_ready(d);
	if (!compare_all(d, &err)) {
		pthread_mutex_lock(&d->lock);
		d->compared = true;
		pthread_mutex_unlock(&d->lock);
		return true;
	}
	log_warning("dock %s: cannot compare exports: %s", d->conf->name, err.text);
	return false;
}

/* There was no memory to note that something is to be done: comparing finds it. */
static bool take_missed(struct dock_worker *d)
{
	bool missed;

	pthread_mutex_lock(&d->lock);
	missed = d->missed;
	d->missed = false;
	pthread_mutex_unlock(&d->lock);
	return missed;
}

/* What a tick does. `epoch` and `served` are the supervisor's memory. */
static void tick(struct dock_worker *d, unsigned ticks, uint64_t *epoch, bool *served)
{
	struct error err = {0};
	uint64_t now = *epoch;
	int rc = d->driver->check(d->backend, &now, &err);

	if (rc) {
		if (*served)
			log_warning("dock %s: %s", d->conf->name, err.text);
		core_dock_status(d->core, d->number, DOCK_UNAVAILABLE, &err);
		*served = false;
	} else if (take_missed(d) || !*served || now != *epoch) {
		if (*epoch && now != *epoch)
			log_warning("dock %s: the backend was restarted: every export is applied again",
				    d->conf->name);
		*epoch = now;
		*served = begin_service(d);
	}
	if (ticks % USAGE_TICKS == 0)
		read_usage(d);
	if (ticks % MAINTAIN_TICKS == 0)
		store_maintain(core_store(d->core));
}

void *supervise(void *arg)
{
	struct dock_worker *d = arg;
	bool served = false, running = true;
	struct error last = {0};
	uint64_t epoch = 0;

	for (unsigned ticks = 1; running; ticks++) {
		if (d->backend || open_backend(d, &last))
			tick(d, ticks, &epoch, &served);
		if (!d->ready)
			tell_ready(d);
		pthread_mutex_lock(&d->lock);
		wake_resting(d);
		running = sleep_tick(d);
		pthread_mutex_unlock(&d->lock);
	}
	return NULL;
}
