/* SPDX-License-Identifier: GPL-2.0-or-later */
/* attachfs --check and --repair: do the backends have what the tree says, and only that? */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attachfs/buf.h"
#include "attachfs/clock.h"
#include "worker.h"

/* How long a repair may take; a backend that is not there makes it wait that long. */
#define REPAIR_MS 60000
#define LOOK_US	  20000

/* A volume of the dock that is looked at. */
struct known {
	char id[UUID_TEXT_SIZE];
	uint64_t number;
	bool there; /* its backing was seen */
};

/* An export that the backend has. */
struct found {
	char id[UUID_TEXT_SIZE];
	struct backend_export export_;
	bool wanted;
};

struct audit {
	struct core *core;
	const struct dock_conf *dock;
	const struct driver *driver;
	struct backend *backend;
	struct buf volumes; /* of struct known, sorted by id */
	struct buf found;   /* of struct found */
	audit_fn *fn;
	void *arg;
};

static struct known *known_at(struct audit *a, size_t i)
{
	return (struct known *)(void *)a->volumes.data + i;
}

static struct found *found_at(struct audit *a, size_t i)
{
	return (struct found *)(void *)a->found.data + i;
}

static size_t n_known(const struct audit *a)
{
	return a->volumes.len / sizeof(struct known);
}

static size_t n_found(const struct audit *a)
{
	return a->found.len / sizeof(struct found);
}

__attribute__((format(printf, 3, 4))) static int differs(struct audit *a, uint64_t number,
							  const char *format, ...)
{
	char what[512];
	BUF_AUTO(path);
	va_list ap;
	struct tx tx;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (number && !store_read_begin(core_store(a->core), &tx)) {
		core_path(&tx, SELF(number), &path);
		store_read_end(&tx);
	}
	if (!path.len)
		buf_printf(&path, "docks/%s", a->dock->name);
	return buf_error(&path) ?: a->fn(a->arg, path.data, what);
}

/* ---- volumes ---- */

static int add_volume(void *arg, uint64_t number, const char *id, bool busy)
{
	struct audit *a = arg;
	struct known known = {.number = number};

	(void)busy;
	memcpy(known.id, id, sizeof(known.id));
	buf_add(&a->volumes, &known, sizeof(known));
	return buf_error(&a->volumes);
}

static int by_id(const void *x, const void *y)
{
	return strcmp(x, y);
}

static struct known *find_volume(struct audit *a, const char *id)
{
	return n_known(a) ? bsearch(id, a->volumes.data, n_known(a), sizeof(struct known), by_id)
			  : NULL;
}

static int stop_at_first(void *arg, const struct work *w)
{
	(void)arg;
	return w->object == w->volume_number;
}

/* While a volume is being made, grown or purged its bytes are in between; that was told. */
static bool is_between(struct audit *a, uint64_t number)
{
	return core_works(a->core, number, stop_at_first, NULL) == 1;
}

static int look_at_backing(void *arg, const char *pool, const char *id, uint64_t bytes)
{
	struct audit *a = arg;
	struct known *known = find_volume(a, id);
	char name[NAME_BYTES_MAX + 1];
	struct backend_volume volume;

	if (!known)
		return differs(a, 0, "pool %s has %s, which is no volume's", pool, id);
	if (core_volume(a->core, known->number, &volume, name) || strcmp(name, pool))
		return differs(a, known->number, "its bytes are in pool %s, too", pool);
	known->there = true;
	if (bytes != volume.size_bytes && !is_between(a, known->number))
		return differs(a, known->number, "its backing has %" PRIu64 " bytes, not %" PRIu64,
			       bytes, volume.size_bytes);
	return 0;
}

static int check_backing(struct audit *a)
{
	struct error err = {0};
	int rc = 0;

	for (size_t i = 0; i < a->dock->n_pools && !rc; i++) {
		const char *pool = a->dock->pools[i].name;

		rc = a->driver->list_volumes(a->backend, pool, look_at_backing, a, &err);
		if (rc < 0 && err.code)
			rc = differs(a, 0, "pool %s cannot be looked at: %s", pool, err.text);
	}
	for (size_t i = 0; i < n_known(a) && !rc; i++)
		if (!known_at(a, i)->there && !is_between(a, known_at(a, i)->number))
			rc = differs(a, known_at(a, i)->number, "its backing is missing");
	return rc;
}

/* ---- exports ---- */

static int add_found(void *arg, const char *id, const struct backend_export *e)
{
	struct audit *a = arg;
	struct found found = {.export_ = *e};

	memcpy(found.id, id, sizeof(found.id));
	buf_add(&a->found, &found, sizeof(found));
	return buf_error(&a->found);
}

static struct found *find_export(struct audit *a, const struct work *w)
{
	for (size_t i = 0; i < n_found(a); i++)
		if (!strcmp(found_at(a, i)->id, w->volume.id) &&
		    !strcmp(found_at(a, i)->export_.initiator, w->want.initiator))
			return found_at(a, i);
	return NULL;
}

/* What is being worked on may be there or not. */
static int excuse(void *arg, const struct work *w)
{
	struct audit *a = arg;

	for (size_t i = 0; i < n_found(a); i++)
		if (!strcmp(found_at(a, i)->id, w->volume.id) &&
		    !strcmp(found_at(a, i)->export_.initiator, w->want.initiator))
			found_at(a, i)->wanted = true;
	return 0;
}

static int probe(struct audit *a, const struct work *w)
{
	struct backend_connection connection;
	struct error err = {0};
	enum access_mode seen;
	int rc = core_connection(a->core, w->object, &connection);

	if (rc)
		return rc;
	if (a->driver->probe(a->backend, &w->volume, &w->want, &connection, &seen, NULL, &err) &&
	    !is_between(a, w->volume_number))
		return differs(a, w->object, "as its host sees it: %s", err.text);
	return 0;
}

static int check_export(void *arg, const struct work *w)
{
	struct audit *a = arg;
	struct found *found = find_export(a, w);

	if (!found)
		return differs(a, w->object, "%s is attached, and nothing is exported to it",
			       w->want.initiator);
	found->wanted = true;
	if (found->export_.mode != w->want.mode)
		return differs(a, w->object, "it is %s, and exported %s",
			       w->want.mode == ACCESS_RO ? "ro" : "rw",
			       w->want.mode == ACCESS_RO ? "rw" : "ro");
	if (strcmp(found->export_.chap_user, w->want.chap_user))
		return differs(a, w->object, "it is exported to another account");
	return probe(a, w);
}

static int check_exports(struct audit *a)
{
	struct error err = {0};
	int rc = a->driver->list_exports(a->backend, NULL, add_found, a, &err);

	if (rc)
		return differs(a, 0, "its exports cannot be listed: %s", err.text);
	for (size_t i = 0; i < n_known(a) && !rc; i++) {
		rc = core_exports(a->core, known_at(a, i)->number, check_export, a);
		if (!rc)
			rc = core_works(a->core, known_at(a, i)->number, excuse, a);
	}
	for (size_t i = 0; i < n_found(a) && !rc; i++) {
		struct found *f = found_at(a, i);
		struct known *known = find_volume(a, f->id);

		if (!f->wanted)
			rc = differs(a, known ? known->number : 0,
				     "%s is exported to %s, which nobody asked for", f->id,
				     *f->export_.initiator ? f->export_.initiator : "no host");
	}
	return rc;
}

/* ---- a dock, and all of them ---- */

static int look_at_dock(struct audit *a)
{
	int rc = 0;

	if (n_known(a))
		qsort(a->volumes.data, n_known(a), sizeof(struct known), by_id);
	if (a->driver->list_volumes)
		rc = check_backing(a);
	return rc ? rc : check_exports(a);
}

static int audit_dock(struct core *core, const char *state, const struct dock_conf *dock,
		      audit_fn *fn, void *arg)
{
	struct audit a = {.core = core, .dock = dock, .driver = driver_find(dock->driver), .fn = fn,
			  .arg = arg};
	struct error err = {0};
	uint64_t number;
	int rc;

	/* One that has never been served has no records; one that forgets has nothing to show. */
	if (core_dock_number(core, dock->name, &number) || !a.driver || a.driver->forgets)
		return 0;
	rc = core_volumes(core, number, add_volume, &a);
	if (!rc && a.driver->open(dock, state, &a.backend, &err))
		rc = differs(&a, 0, "it cannot be asked: %s", err.text);
	else if (!rc)
		rc = look_at_dock(&a);
	if (a.backend)
		a.driver->close(a.backend);
	buf_free(&a.volumes);
	buf_free(&a.found);
	return rc;
}

static int audit_all(struct store *store, const struct conf *conf, audit_fn *fn, void *arg)
{
	struct core *core;
	int rc = core_look(store, &core);

	if (rc)
		return rc;
	rc = core_audit(store, fn, arg);
	for (size_t i = 0; i < conf->n_docks && !rc; i++)
		rc = audit_dock(core, conf->state, &conf->docks[i], fn, arg);
	core_close(core);
	return rc;
}

int worker_audit(const struct conf *conf, audit_fn *fn, void *arg, struct error *err)
{
	struct store *store;
	int rc = store_open(conf->state, conf->map_size, true, &store, err);

	if (rc)
		return rc;
	rc = store_claim(store, conf->state, err);
	if (!rc) {
		rc = audit_all(store, conf, fn, arg);
		if (rc)
			error_set(err, -rc, "%s: %s", conf->state, strerror(-rc));
	}
	store_close(store);
	return rc;
}

/* ---- repairing: the worker does what it does at every start ---- */

static bool has_jobs(struct dock_worker *d)
{
	for (unsigned i = 0; i < JOB_BUCKETS; i++)
		if (d->buckets[i])
			return true;
	return false;
}

/* Compared, and nothing left to do; or there is no backend, which waiting would not change. */
static bool is_quiet(struct dock_worker *d)
{
	bool quiet;

	pthread_mutex_lock(&d->lock);
	quiet = !d->driver || (d->ready && !d->backend) || (d->compared && !has_jobs(d));
	pthread_mutex_unlock(&d->lock);
	return quiet;
}

static bool all_quiet(struct worker *w)
{
	bool quiet = true;

	pthread_rwlock_rdlock(&w->docks_lock);
	for (size_t i = 0; i < w->docks.n && quiet; i++)
		quiet = is_quiet(w->docks.items[i]);
	pthread_rwlock_unlock(&w->docks_lock);
	return quiet;
}

int worker_repair(const struct conf *conf, struct error *err)
{
	struct core_hooks none = {0};
	int64_t end = monotonic_ms() + REPAIR_MS;
	struct store *store = NULL;
	struct core *core = NULL;
	struct worker *worker = NULL;
	int rc = store_open(conf->state, conf->map_size, false, &store, err);

	if (!rc)
		rc = core_open(store, conf, &core, err);
	if (!rc)
		rc = worker_open(core, conf, &none, &worker, err);
	while (!rc && !all_quiet(worker) && monotonic_ms() < end)
		usleep(LOOK_US);
	if (core)
		core_stop_waiting(core);
	worker_close(worker);
	store_stop(store);
	core_close(core);
	store_close(store);
	return rc;
}
