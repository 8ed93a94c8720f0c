/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares what a backend exports with what the tree wants, and makes them equal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/kill.h"
#include "attachfs/log.h"
#include "worker.h"

/* ---- one volume ---- */

/* What is exported or wanted of one volume: a handful, so plain arrays serve. */
struct exports {
	struct backend_export *items;
	size_t n, size;
};

static int add_export(struct exports *list, const struct backend_export *e)
{
	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 8;
		struct backend_export *items = reallocarray(list->items, size, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->size = size;
	}
	list->items[list->n++] = *e;
	return 0;
}

struct comparison {
	struct dock_worker *d;
	struct exports found, wanted, unsettled;
	struct backend_volume volume;
	char pool[NAME_BYTES_MAX + 1];
	bool grows; /* its size is the old or the new one, until that is settled */
	int rc;
	struct error *err;
};

static int collect_found(void *arg, const char *volume_id, const struct backend_export *e)
{
	(void)volume_id;
	return add_export(&((struct comparison *)arg)->found, e);
}

static int collect_wanted(void *arg, const struct work *w)
{
	struct comparison *c = arg;

	return add_export(&c->wanted, &w->want);
}

/* An attachment in the midst of something has its own work to put it right. */
static int collect_unsettled(void *arg, const struct work *w)
{
	struct comparison *c = arg;

	c->grows |= w->type == WORK_EXTEND;
	return w->object != w->volume_number ? add_export(&c->unsettled, &w->want) : 0;
}

static const struct backend_export *find_initiator(const struct exports *list,
						   const struct backend_export *e)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->items[i].initiator, e->initiator))
			return &list->items[i];
	return NULL;
}

static bool is_wanted(const struct comparison *c, const struct backend_export *e)
{
	const struct backend_export *w = find_initiator(&c->wanted, e);

	if (find_initiator(&c->unsettled, e))
		return true;
	return w && w->mode == e->mode && !strcmp(w->chap_user, e->chap_user);
}

static void keep_error(struct comparison *c, int rc)
{
	if (rc)
		c->rc = rc;
}

static void remove_strangers(struct comparison *c)
{
	for (size_t i = 0; i < c->found.n; i++) {
		struct backend_export *e = &c->found.items[i];

		if (is_wanted(c, e))
			continue;
		log_warning("dock %s: removing the export of volume %s to %s, which nobody asked for",
			    c->d->conf->name, c->volume.id,
			    *e->initiator ? e->initiator : "no host");
		keep_error(c, c->d->driver->unexport(c->d->backend, &c->volume, e, c->err));
	}
}

/* What is wanted is exported again, there or not: exporting twice is once. */
static int apply_wanted(void *arg, const struct work *w)
{
	struct comparison *c = arg;
	struct backend_connection connection;
	struct backend_volume volume = w->volume;
	struct error err = {0};
	enum access_mode seen;
	int rc;

	volume.pool = w->pool;
	rc = c->d->driver->export(c->d->backend, &volume, &w->want, &connection, &err);
	if (!rc && !c->grows)
		rc = c->d->driver->probe(c->d->backend, &volume, &w->want, &connection, &seen, NULL,
					 &err);
	KILL_POINT(compare_applied);
	if (rc) {
		log_warning("dock %s: volume %s, %s: %s", c->d->conf->name, volume.id,
			    w->want.initiator, err.text);
		keep_error(c, rc);
	}
	return 0;
}

int compare_volume(struct dock_worker *d, uint64_t number, struct error *err)
{
	struct comparison c = {.d = d, .err = err};
	int rc = core_volume(d->core, number, &c.volume, c.pool);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	rc = d->driver->list_exports(d->backend, c.volume.id, collect_found, &c, err);
	if (!rc)
		rc = core_exports(d->core, number, collect_wanted, &c);
	if (!rc)
		rc = core_works(d->core, number, collect_unsettled, &c);
	KILL_POINT(compare_listed);
	if (!rc) {
		remove_strangers(&c);
		rc = core_exports(d->core, number, apply_wanted, &c);
	}
	free(c.found.items);
	free(c.wanted.items);
	free(c.unsettled.items);
	return rc ? rc : c.rc;
}

/* ---- all of a dock ---- */

struct known {
	char id[UUID_TEXT_SIZE];
	uint64_t number;
};

struct overview {
	struct dock_worker *d;
	struct known *volumes;
	size_t n, size;
	struct exports strangers;
	char (*stranger_ids)[UUID_TEXT_SIZE];
};

static int add_volume(void *arg, uint64_t number, const char *id, bool busy)
{
	struct overview *o = arg;

	if (o->n == o->size) {
		size_t size = o->size ? 2 * o->size : 64;
		struct known *volumes = reallocarray(o->volumes, size, sizeof(*volumes));

		if (!volumes)
			return -ENOMEM;
		o->volumes = volumes;
		o->size = size;
	}
	memcpy(o->volumes[o->n].id, id, UUID_TEXT_SIZE);
	o->volumes[o->n++].number = number;
	if (busy)
		dock_kick(o->d, number, KICK_COMPARE);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, UUID_TEXT_SIZE);
}

/* An export of a volume that we know but think unattached is that volume's to compare. */
static int look_at_export(void *arg, const char *volume_id, const struct backend_export *e)
{
	struct overview *o = arg;
	const struct known *known =
		o->n ? bsearch(volume_id, o->volumes, o->n, sizeof(*o->volumes), by_id) : NULL;
	void *ids;

	if (known) {
		dock_kick(o->d, known->number, KICK_COMPARE);
		return 0;
	}
	ids = reallocarray(o->stranger_ids, o->strangers.n + 1, UUID_TEXT_SIZE);
	if (!ids)
		return -ENOMEM;
	o->stranger_ids = ids;
	memcpy(o->stranger_ids[o->strangers.n], volume_id, UUID_TEXT_SIZE);
	return add_export(&o->strangers, e);
}

/* Ids are never used twice, so nobody can be attaching a volume that is not in the tree. */
static int remove_unknown(struct overview *o, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < o->strangers.n; i++) {
		struct backend_volume volume = {.pool = ""};
		int one;

		memcpy(volume.id, o->stranger_ids[i], UUID_TEXT_SIZE);
		log_warning("dock %s: removing the export of volume %s, which does not exist",
			    o->d->conf->name, volume.id);
		one = o->d->driver->unexport(o->d->backend, &volume, &o->strangers.items[i], err);
		rc = rc ? rc : one;
	}
	return rc;
}

int compare_all(struct dock_worker *d, struct error *err)
{
	struct overview o = {.d = d};
	int rc = core_volumes(d->core, d->number, add_volume, &o);

	KILL_POINT(compare_begun);
	if (o.n)
		qsort(o.volumes, o.n, sizeof(*o.volumes), by_id);
	if (!rc)
		rc = d->driver->list_exports(d->backend, NULL, look_at_export, &o, err);
	if (!rc)
		rc = remove_unknown(&o, err);
	free(o.volumes);
	free(o.strangers.items);
	free(o.stranger_ids);
	return rc;
}
