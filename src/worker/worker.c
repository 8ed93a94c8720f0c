/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker as a whole: which docks there are, at the start and after the configuration was
 * read again. */
#include "worker.h"

#include "attachfs/kill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static void kick_hook(void *arg, uint64_t dock, uint64_t volume, enum kick what)
{
	struct worker *w = arg;

	pthread_rwlock_rdlock(&w->docks_lock);
	for (size_t i = 0; i < w->docks.n; i++)
		if (w->docks.items[i]->number == dock)
			dock_kick(w->docks.items[i], volume, what);
	pthread_rwlock_unlock(&w->docks_lock);
}

/* ---- the docks of a configuration ---- */

static struct dock_worker *find_dock(const struct dock_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->items[i]->conf->name, name))
			return list->items[i];
	return NULL;
}

static bool has_dock(const struct dock_list *list, const struct dock_worker *d)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i] == d)
			return true;
	return false;
}

/* A dock whose backend is the same goes on as it is; the others are new and not started. */
static int make_list(struct worker *w, const struct conf *conf, struct dock_list *ret)
{
	int rc = 0;

	*ret = (struct dock_list){.items = calloc(conf->n_docks + 1, sizeof(*ret->items))};
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_docks && !rc; i++) {
		struct dock_worker *d = find_dock(&w->docks, conf->docks[i].name);

		if (d && dock_conf_same_backend(d->conf, &conf->docks[i]))
			ret->items[ret->n++] = d;
		else if (!(rc = dock_new(w, conf, &conf->docks[i], &d)))
			ret->items[ret->n++] = d;
	}
	return rc;
}

/* Of two lists: frees those that are in the first only. */
static void free_others(struct dock_list *list, const struct dock_list *kept)
{
	for (size_t i = 0; i < list->n; i++)
		if (!has_dock(kept, list->items[i]))
			dock_free(list->items[i]);
	free(list->items);
	*list = (struct dock_list){0};
}

static int tell_core(struct worker *w, const struct conf *conf, const struct dock_list *list,
		     struct error *err)
{
	struct dock_capability *can = calloc(list->n + 1, sizeof(*can));
	int rc;

	if (!can)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		const struct driver *driver = list->items[i]->driver;
		struct dock_worker *old = find_dock(&w->docks, list->items[i]->conf->name);

		can[i] = (struct dock_capability){.dock = list->items[i]->conf->name,
						  .built_in = driver,
						  .capabilities = driver ? driver->capabilities : 0,
						  .serving = old && old->driver == driver};
	}
	rc = core_apply_conf(w->core, conf, can, err);
	KILL_POINT(start_configured);
	free(can);
	for (size_t i = 0; i < list->n && !rc; i++)
		if (!list->items[i]->number) /* those that are running have theirs */
			rc = core_dock_number(w->core, list->items[i]->conf->name,
					      &list->items[i]->number);
	return rc;
}

/*
 * From the swap on kicks reach the new docks, which queue them until they are started; and that
 * is when every old one has let go of its backend, as it may be the same.
 */
static int replace_docks(struct worker *w, struct dock_list *list, struct error *err)
{
	struct dock_list old = w->docks;
	int rc = 0;

	pthread_rwlock_wrlock(&w->docks_lock);
	w->docks = *list;
	pthread_rwlock_unlock(&w->docks_lock);
	for (size_t i = 0; i < old.n; i++) {
		struct dock_worker *d = old.items[i], *heir = find_dock(list, d->conf->name);

		if (d == heir)
			continue;
		dock_stop(d);
		if (heir)
			dock_pass_on(d, heir);
	}
	for (size_t i = 0; i < list->n; i++)
		if (!has_dock(&old, list->items[i]) && dock_start(list->items[i]))
			rc = error_set(err, EAGAIN, "dock %s: cannot start a thread",
				       list->items[i]->conf->name);
	free_others(&old, list);
	return rc;
}

int worker_apply(struct worker *w, const struct conf *conf, struct error *err)
{
	struct dock_list list;
	int rc = make_list(w, conf, &list);

	if (rc)
		error_set(err, -rc, "out of memory");
	else
		rc = tell_core(w, conf, &list, err);
	if (rc) {
		free_others(&list, &w->docks);
		return rc;
	}
	return replace_docks(w, &list, err);
}

/* ---- beginning and end ---- */

int worker_open(struct core *core, const struct conf *conf, const struct core_hooks *hooks,
		struct worker **ret, struct error *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct core_hooks with_kick = {hooks->arg, hooks->changed, NULL, NULL};
	int rc;

	if (!w || !(w->state = strdup(conf->state))) {
		free(w);
		return error_set(err, ENOMEM, "out of memory");
	}
	w->core = core;
	w->map_size = conf->map_size;
	pthread_rwlock_init(&w->docks_lock, NULL);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->ready, NULL);
	with_kick.kick_arg = w;
	with_kick.kick = kick_hook;
	core_set_hooks(core, &with_kick);
	rc = worker_apply(w, conf, err);
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

	pthread_rwlock_rdlock(&w->docks_lock);
	for (size_t i = 0; i < w->docks.n; i++) {
		pthread_mutex_lock(&w->docks.items[i]->lock);
		ready = ready && w->docks.items[i]->ready;
		pthread_mutex_unlock(&w->docks.items[i]->lock);
	}
	pthread_rwlock_unlock(&w->docks_lock);
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

void worker_close(struct worker *w)
{
	if (!w)
		return;
	core_set_hooks(w->core, &(struct core_hooks){0}); /* nobody kicks us any more */
	for (size_t i = 0; i < w->docks.n; i++)
		dock_stop(w->docks.items[i]);
	free_others(&w->docks, &(struct dock_list){0});
	pthread_cond_destroy(&w->ready);
	pthread_mutex_destroy(&w->lock);
	pthread_rwlock_destroy(&w->docks_lock);
	free(w->state);
	free(w);
}
