/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Docks and pools that the configuration no longer has: gone if they are empty, else kept. */
#include <errno.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"
#include "core.h"

/* The children of a container, as they are before anything is changed. */
struct children {
	uint64_t *numbers;
	size_t n, size;
};

static int add_number(void *arg, uint64_t number, struct text name)
{
	struct children *list = arg;

	(void)name;
	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 16;
		uint64_t *numbers = reallocarray(list->numbers, size, sizeof(*numbers));

		if (!numbers)
			return -ENOMEM;
		list->numbers = numbers;
		list->size = size;
	}
	list->numbers[list->n++] = number;
	return 0;
}

typedef int retire_fn(struct change *c, union any *object, const void *conf);

/* Calls `fn` for each of the container's objects. */
static int each_child(struct change *c, struct ref container, enum kind kind, retire_fn *fn,
		      const void *conf)
{
	struct children list = {0};
	union any object;
	int rc = object_children(c->tx, container, 0, add_number, &list);

	for (size_t i = 0; i < list.n && !rc; i++) {
		rc = change_load(c, list.numbers[i], kind, &object);
		if (!rc)
			rc = fn(c, &object, conf);
	}
	free(list.numbers);
	return rc;
}

/* ---- pools ---- */

static bool has_pool(const struct dock_conf *conf, const char *name)
{
	for (size_t i = 0; conf && i < conf->n_pools; i++)
		if (!strcmp(conf->pools[i].name, name))
			return true;
	return false;
}

/* What is being purged is still provisioned. Nothing new goes to a pool that stays. */
static int retire_pool(struct change *c, union any *pool, const void *conf)
{
	int rc;

	if (has_pool(conf, pool->o.name))
		return 0;
	if (!pool->pool.provisioned) {
		rc = index_remove(c, (struct ref){ROOT_OBJECT, ROOT_POOLS}, pool->o.number);
		return rc ? rc : change_delete(c, pool);
	}
	if (!pool->pool.configured)
		return 0;
	pool->pool.configured = 0;
	return change_save(c, pool);
}

int retire_pools(struct change *c, uint64_t dock, const struct dock_conf *conf)
{
	return each_child(c, (struct ref){dock, DOCK_POOLS}, KIND_POOL, retire_pool, conf);
}

/* ---- docks ---- */

static bool has_dock(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_docks; i++)
		if (!strcmp(conf->docks[i].name, name))
			return true;
	return false;
}

static int one_is_enough(void *arg, uint64_t number, struct text name)
{
	(void)arg, (void)number, (void)name;
	return 1;
}

static int retire_dock(struct change *c, union any *dock, const void *conf)
{
	static const char why[] = "it is no longer in the configuration";
	struct ref pools = {dock->o.number, DOCK_POOLS};
	int rc;

	if (has_dock(conf, dock->o.name))
		return 0;
	rc = retire_pools(c, dock->o.number, NULL);
	if (rc)
		return rc;
	rc = object_children(c->tx, pools, 0, one_is_enough, NULL);
	if (!rc) {
		rc = change_event(c, "dock_removed", SELF(dock->o.number), why);
		return rc ? rc : change_delete(c, dock);
	}
	if (rc < 0 || !dock->dock.configured)
		return rc < 0 ? rc : 0;
	dock->dock.configured = 0;
	dock->dock.status = DOCK_UNAVAILABLE;
	change_set_error(c, dock, text_of(why));
	rc = change_event(c, "dock_unavailable", SELF(dock->o.number), why);
	return rc ? rc : change_save(c, dock);
}

int retire_docks(struct change *c, const struct conf *conf)
{
	return each_child(c, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, KIND_DOCK, retire_dock, conf);
}
