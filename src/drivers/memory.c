/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver that keeps everything in RAM: for tests, demonstrations and as the reference. */
#include "attachfs/cleanup.h"

#include "drivers.h"
#include "memory.h"

#include <errno.h>
#include <string.h>

static int memory_check_config(const struct dock_conf *dock, struct error *err)
{
	const struct conf_node *map = NULL;
	const char *control = NULL;
	int rc = conf_map(dock->root, "memory", &map, err);

	if (!rc)
		rc = conf_string(map, "control", &control, err);
	if (!rc && control && control[0] != '/')
		rc = conf_fail(conf_get(map, "control"), err,
			       "control: expected an absolute path, not %s", control);
	return rc;
}

static int memory_open(const struct dock_conf *dock, const char *state_dir, struct backend **ret,
		       struct error *err)
{
	const struct conf_node *map = NULL;
	const char *control = NULL;
	struct backend *b;
	int rc = conf_map(dock->root, "memory", &map, err);

	(void)state_dir;
	if (!rc)
		rc = conf_string(map, "control", &control, err);
	if (rc)
		return rc;
	b = calloc(1, sizeof(*b) + dock->n_pools * sizeof(b->used[0]));
	if (!b || memory_table_init(&b->volumes)) {
		free(b);
		return error_set(err, ENOMEM, "out of memory");
	}
	b->dock = dock;
	b->epoch = (uint64_t)monotonic_ms();
	pthread_mutex_init(&b->lock, NULL);
	memory_faults_init(&b->faults, control);
	*ret = b;
	return 0;
}

static void memory_close(struct backend *b)
{
	memory_table_free(&b->volumes);
	memory_faults_free(&b->faults);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void forget_exports(struct backend *b)
{
	struct memory_volume *v = memory_table_next(&b->volumes, "");

	for (; v; v = memory_table_next(&b->volumes, v->id))
		memory_exports_free(v);
}

static int memory_check(struct backend *b, uint64_t *ret_epoch, struct error *err)
{
	int rc = memory_fault(&b->faults, "check", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	if (memory_fault_restart(&b->faults)) {
		forget_exports(b);
		b->epoch++;
	}
	*ret_epoch = b->epoch;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

static int find_pool(struct backend *b, const char *name, unsigned *ret, struct error *err)
{
	for (unsigned i = 0; i < b->dock->n_pools; i++)
		if (name && !strcmp(b->dock->pools[i].name, name)) {
			*ret = i;
			return 0;
		}
	return error_set(err, ENOENT, "pool %s is not in the configuration", name ? name : "");
}

static int memory_pool_usage(struct backend *b, const char *name, struct pool_usage *ret,
			     struct error *err)
{
	unsigned pool;
	int rc = memory_fault(&b->faults, "pool_usage", err);

	if (!rc)
		rc = find_pool(b, name, &pool, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	ret->allocated = b->dock->pools[pool].thin ? 0 : b->used[pool];
	pthread_mutex_unlock(&b->lock);
	ret->total = b->dock->pools[pool].total_bytes;
	ret->free = ret->allocated < ret->total ? ret->total - ret->allocated : 0;
	return 0;
}

int memory_find_or_add(struct backend *b, const struct backend_volume *volume,
		       struct memory_volume **ret, struct error *err)
{
	struct memory_volume *v = memory_table_find(&b->volumes, volume->id);
	unsigned pool;
	int rc = v ? 0 : find_pool(b, volume->pool, &pool, err);

	if (rc)
		return rc;
	if (!v) {
		v = memory_table_add(&b->volumes, volume->id);
		if (!v)
			return error_set(err, ENOMEM, "out of memory");
		v->pool = pool;
		v->size = volume->size_bytes;
		b->used[pool] += v->size;
	}
	*ret = v;
	return 0;
}

static int memory_provision(struct backend *b, const struct backend_volume *volume,
			    struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "provision", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = memory_find_or_add(b, volume, &v, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int grow_volume(struct backend *b, const struct backend_volume *volume,
		       struct error *err)
{
	struct memory_volume *v;
	int rc = memory_find_or_add(b, volume, &v, err);

	if (rc)
		return rc;
	if (v->size > volume->size_bytes)
		return error_set(err, EINVAL, "volume %s does not shrink", volume->id);
	b->used[v->pool] += volume->size_bytes - v->size;
	v->size = volume->size_bytes;
	return 0;
}

static int memory_extend(struct backend *b, const struct backend_volume *volume,
			 struct error *err)
{
	int rc = memory_fault(&b->faults, "extend", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = grow_volume(b, volume, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int memory_purge(struct backend *b, const struct backend_volume *volume,
			struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "purge", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	v = memory_table_find(&b->volumes, volume->id);
	if (v) {
		b->used[v->pool] -= v->size;
		memory_table_remove(&b->volumes, v);
	}
	pthread_mutex_unlock(&b->lock);
	return 0;
}

const struct driver memory_driver = {
	.name = "memory",
	.forgets = true,
	.capabilities = DRIVER_MULTIATTACH | DRIVER_RO_ENFORCED | DRIVER_PERSISTENT_RESERVATIONS |
			DRIVER_ONLINE_EXTEND | DRIVER_DISCARD,
	.check_config = memory_check_config,
	.open = memory_open,
	.close = memory_close,
	.check = memory_check,
	.pool_usage = memory_pool_usage,
	.provision = memory_provision,
	.extend = memory_extend,
	.purge = memory_purge,
	.export = memory_export_,
	.probe = memory_probe,
	.unexport = memory_unexport,
	.fence = memory_fence,
	.sessions = memory_sessions,
	.end_sessions = memory_end_sessions,
	.list_exports = memory_list_exports,
};
