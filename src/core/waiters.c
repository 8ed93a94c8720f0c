/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that wait for the backend: answered when it has settled, late, or on interrupt. */
#include <errno.h>

#include "attachfs/clock.h"
#include "core.h"

/* How soon a second signal is noticed: the kernel tells of the first only. */
#define POLL_MS 100

/* Unlinks those for which `due` says so onto a list of their own. Locked. */
static struct intent *take_due(struct waiters *w, int (*due)(struct intent *i, void *arg),
			       void *arg)
{
	struct intent *taken = NULL, **link = &w->first;

	while (*link) {
		struct intent *i = *link;
		int result = due(i, arg);

		if (result == 1) {
			link = &i->next;
			continue;
		}
		*link = i->next;
		i->next = taken;
		i->mutation.result = result;
		taken = i;
	}
	return taken;
}

static void answer_all(struct intent *taken)
{
	for (struct intent *next; taken; taken = next) {
		next = taken->next;
		if (taken->resume)
			taken->resume(taken, taken->mutation.result);
		else
			taken->answer(taken, taken->mutation.result);
	}
}

/* The due functions return 1 to go on waiting, else the result. */
static int overdue(struct intent *i, void *now)
{
	if (i->poked && (!i->interrupted || i->interrupted(i) == -EINTR))
		return -EINTR;
	return i->deadline <= *(int64_t *)now ? -ETIMEDOUT : 1;
}

struct settled {
	uint64_t object, generation;
	int result;
	const struct error *err;
};

static int has_settled(struct intent *i, void *arg)
{
	const struct settled *s = arg;

	if (i->wait_object != s->object || i->wait_generation > s->generation)
		return 1;
	if (i->wait_generation < s->generation)
		return error_set(&i->err, ECANCELED, "a later request has overtaken this one");
	if (s->err)
		i->err = *s->err;
	return s->result;
}

void waiters_settled(struct core *core, uint64_t object, uint64_t generation, int result,
		     const struct error *err)
{
	struct settled s = {object, generation, result, err};
	struct intent *taken;

	pthread_mutex_lock(&core->waiters.lock);
	taken = take_due(&core->waiters, has_settled, &s);
	pthread_mutex_unlock(&core->waiters.lock);
	answer_all(taken);
}

/* The answer came from a question that was put later than `i` has waited. */
static int was_told(struct intent *i, void *arg)
{
	const struct settled *s = arg;

	return i->wait_object != s->object || i->wait_generation > s->generation ? 1 : s->result;
}

void waiters_told(struct core *core, uint64_t object, uint64_t generation, int result)
{
	struct settled s = {object, generation, result, NULL};
	struct intent *taken;

	pthread_mutex_lock(&core->waiters.lock);
	taken = take_due(&core->waiters, was_told, &s);
	pthread_mutex_unlock(&core->waiters.lock);
	answer_all(taken);
}

bool waiters_want(struct core *core, uint64_t object, uint64_t either, uint64_t or_)
{
	bool found = false;

	pthread_mutex_lock(&core->waiters.lock);
	for (struct intent *i = core->waiters.first; i && !found; i = i->next)
		found = i->wait_object == object && (i->scope == either || i->scope == or_);
	pthread_mutex_unlock(&core->waiters.lock);
	return found;
}

struct following {
	uint64_t object, generation;
	const struct failover *f;
};

/* Only whoever asked for the failover; others have waited for the fence alone. */
static int follows(struct intent *i, void *arg)
{
	const struct following *s = arg;

	if (i->op != INTENT_RENAME || i->wait_object != s->object ||
	    i->wait_generation != s->generation)
		return 1;
	if (s->f->successor) {
		i->wait_object = s->f->successor;
		i->wait_generation = s->f->generation;
		return 1;
	}
	if (s->f->result)
		i->err = s->f->err;
	return s->f->result;
}

void waiters_follow(struct core *core, uint64_t object, uint64_t generation,
		    const struct failover *f)
{
	struct following s = {object, generation, f};
	struct intent *taken;

	pthread_mutex_lock(&core->waiters.lock);
	taken = take_due(&core->waiters, follows, &s);
	pthread_mutex_unlock(&core->waiters.lock);
	answer_all(taken);
}

/* interrupted() is asked under the lock, so an interrupt is either seen here or finds us. */
void waiters_add(struct core *core, struct intent *intent)
{
	struct waiters *w = &core->waiters;
	bool wake;

	/* What was waited for an answer to ask.c's question is part of the wait. */
	intent->deadline = monotonic_ms() + intent->wait_ms - intent->waited_ms;
	pthread_mutex_lock(&w->lock);
	if (w->stopping) {
		pthread_mutex_unlock(&w->lock);
		intent->next = NULL;
		intent->mutation.result = -ESHUTDOWN;
		answer_all(intent);
		return;
	}
	intent->poked = intent->interrupted && intent->interrupted(intent);
	intent->next = w->first;
	w->first = intent;
	wake = intent->poked || intent->deadline < w->sleeps_until;
	pthread_mutex_unlock(&w->lock);
	if (wake)
		pthread_cond_signal(&w->wake);
}

bool waiters_stopping(struct core *core)
{
	bool stopping;

	pthread_mutex_lock(&core->waiters.lock);
	stopping = core->waiters.stopping;
	pthread_mutex_unlock(&core->waiters.lock);
	return stopping;
}

unsigned waiters_count(struct core *core)
{
	unsigned n = 0;

	pthread_mutex_lock(&core->waiters.lock);
	for (struct intent *i = core->waiters.first; i; i = i->next)
		n++;
	pthread_mutex_unlock(&core->waiters.lock);
	return n;
}

void core_interrupt(struct core *core, uint64_t ticket)
{
	struct waiters *w = &core->waiters;

	pthread_mutex_lock(&w->lock);
	for (struct intent *i = w->first; i; i = i->next)
		if (i->ticket == ticket) {
			i->poked = true;
			pthread_cond_signal(&w->wake);
		}
	pthread_mutex_unlock(&w->lock);
}

/* Sleeps until the next deadline, or until somebody joins whose deadline comes sooner. Locked. */
static void sleep_until_due(struct waiters *w)
{
	int64_t next = INT64_MAX, poll = monotonic_ms() + POLL_MS;
	struct timespec ts;

	for (struct intent *i = w->first; i; i = i->next) {
		int64_t due = i->poked && poll < i->deadline ? poll : i->deadline;

		if (due < next)
			next = due;
	}
	w->sleeps_until = next;
	if (next == INT64_MAX) {
		pthread_cond_wait(&w->wake, &w->lock);
		return;
	}
	ts = monotonic_timespec(next);
	pthread_cond_timedwait(&w->wake, &w->lock, &ts);
}

static void *waiters_main(void *arg)
{
	struct waiters *w = &((struct core *)arg)->waiters;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		int64_t now = monotonic_ms();
		struct intent *taken = take_due(w, overdue, &now);

		if (!taken) {
			sleep_until_due(w);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		answer_all(taken);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int waiters_start(struct core *core)
{
	struct waiters *w = &core->waiters;
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&w->thread, NULL, waiters_main, core);
	w->running = !rc;
	return -rc;
}

static int stopping(struct intent *i, void *arg)
{
	(void)i, (void)arg;
	return -ESHUTDOWN;
}

void core_stop_waiting(struct core *core)
{
	struct waiters *w = &core->waiters;
	struct intent *taken;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_lock(&w->lock); /* workers go on answering */
	taken = take_due(w, stopping, NULL);
	pthread_mutex_unlock(&w->lock);
	answer_all(taken);
	w->running = false;
}
