/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver that keeps everything in RAM: for tests, demonstrations and as the reference. */
#include "attachfs/cleanup.h"

#include "drivers.h"
#include "memory_fault.h"
#include "memory_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/*
 * Sessions exist only as the control file tells them (memory_fault.h). A session that was ended
 * stays ended until the file changes. Volumes and exports live until close(), so what a test
 * wants to survive a restart must be applied again, just as after a restart of a target daemon:
 * a volume of an earlier process is as good as one that was just provisioned.
 */
struct backend {
	const struct dock_conf *dock;
	struct memory_faults faults; /* has its own lock */
	pthread_mutex_t lock;	     /* of everything below */
	struct memory_table volumes;
	uint64_t epoch;
	uint64_t used[]; /* by all volumes of each of the dock's pools, in bytes */
};

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

/* Called with the lock held, as all that takes or gives a volume. */
static int find_or_add(struct backend *b, const struct backend_volume *volume,
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
	rc = find_or_add(b, volume, &v, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int grow_volume(struct backend *b, const struct backend_volume *volume,
		       struct error *err)
{
	struct memory_volume *v;
	int rc = find_or_add(b, volume, &v, err);

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

static struct memory_export *find_export(struct backend *b, const struct backend_volume *volume,
					 const struct backend_export *export_)
{
	struct memory_volume *v = memory_table_find(&b->volumes, volume->id);

	return v ? *memory_export_place(v, export_->initiator) : NULL;
}

static int memory_export_(struct backend *b, const struct backend_volume *volume,
			  const struct backend_export *export_, struct backend_connection *ret,
			  struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "export", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = find_or_add(b, volume, &v, err);
	if (!rc && memory_export_put(v, export_))
		rc = error_set(err, ENOMEM, "out of memory");
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return rc;
	*ret = (struct backend_connection){
		.driver_volume_type = "iscsi",
		.target_portal = "127.0.0.1:3260",
		.target_lun = 1,
		.chap = true,
		.discard = true,
	};
	snprintf(ret->target_iqn, sizeof(ret->target_iqn), "iqn.2026-11.io.attachfs:%s.%s",
		 volume->id, export_->mode == ACCESS_RO ? "ro" : "rw");
	return 0;
}

static int memory_probe(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *export_,
			const struct backend_connection *connection, enum access_mode *ret_mode,
			struct error *err)
{
	struct memory_export *e;
	enum access_mode seen = ACCESS_NONE;
	int rc = memory_fault(&b->faults, "probe", err);

	(void)connection;
	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	if (e)
		seen = (enum access_mode)e->mode;
	pthread_mutex_unlock(&b->lock);
	if (seen != export_->mode || memory_fault_wrong(&b->faults, "probe"))
		return error_set(err, EIO, "the probe of volume %s as %s did not see what was "
				 "exported", volume->id, export_->initiator);
	*ret_mode = seen;
	return 0;
}

/* An export of the other mode is not this one: it stays. */
static void remove_export(struct memory_volume *v, const struct backend_export *export_)
{
	struct memory_export **place = memory_export_place(v, export_->initiator), *e = *place;

	if (!e || e->mode != export_->mode)
		return;
	*place = e->next;
	free(e);
}

static int memory_unexport(struct backend *b, const struct backend_volume *volume,
			   const struct backend_export *export_, struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "unexport", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	v = memory_table_find(&b->volumes, volume->id);
	if (v)
		remove_export(v, export_);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* Both modes at once: a host has one export of a volume. */
static int memory_fence(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *export_, struct error *err)
{
	struct backend_export other = *export_;
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "fence", err);

	if (rc)
		return rc;
	other.mode = export_->mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
	pthread_mutex_lock(&b->lock);
	v = memory_table_find(&b->volumes, volume->id);
	if (v) {
		remove_export(v, export_);
		remove_export(v, &other);
	}
	pthread_mutex_unlock(&b->lock);
	if (memory_fault_wrong(&b->faults, "fence"))
		return error_set(err, EIO, "a login to volume %s as %s is still admitted",
				 volume->id, export_->initiator);
	return 0;
}

/* Ended sessions come back only when the control file has changed since. */
static bool has_sessions(struct backend *b, const struct backend_volume *volume,
			 const struct backend_export *export_)
{
	unsigned version = memory_fault_version(&b->faults);
	struct memory_export *e;
	bool has;

	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	has = e && e->mode == export_->mode && e->ended != version;
	pthread_mutex_unlock(&b->lock);
	return has;
}

static int memory_sessions(struct backend *b, const struct backend_volume *volume,
			   const struct backend_export *export_, session_fn *fn, void *arg,
			   struct error *err)
{
	int rc = memory_fault(&b->faults, "sessions", err);

	if (rc || !has_sessions(b, volume, export_))
		return rc;
	return memory_fault_sessions(&b->faults, export_->initiator, fn, arg);
}

static int memory_end_sessions(struct backend *b, const struct backend_volume *volume,
			       const struct backend_export *export_, struct error *err)
{
	struct memory_export *e;
	int rc = memory_fault(&b->faults, "end_sessions", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	if (e)
		e->ended = memory_fault_version(&b->faults);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/*
 * Copies the exports of the volume `id`, or of the `next` one behind it, as `fn` may call the
 * driver. Stores which volume that was: "" if there is none.
 */
static int list_volume(struct backend *b, char *id, bool next, export_fn *fn, void *arg,
		       struct error *err)
{
	_cleanup_free_ struct backend_export *list = NULL;
	struct memory_volume *v;
	size_t n = 0;
	int rc;

	pthread_mutex_lock(&b->lock);
	v = next ? memory_table_next(&b->volumes, id) : memory_table_find(&b->volumes, id);
	text_copy(id, UUID_TEXT_SIZE, text_of(v ? v->id : ""));
	rc = v ? memory_exports_copy(v, &list, &n) : 0;
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(arg, id, &list[i]);
	return rc;
}

static int memory_list_exports(struct backend *b, const char *volume_id, export_fn *fn,
			       void *arg, struct error *err)
{
	char id[UUID_TEXT_SIZE] = "";
	int rc = memory_fault(&b->faults, "list_exports", err);

	if (rc)
		return rc;
	if (volume_id)
		text_copy(id, sizeof(id), text_of(volume_id));
	do
		rc = list_volume(b, id, !volume_id, fn, arg, err);
	while (!rc && !volume_id && id[0]);
	return rc;
}

const struct driver memory_driver = {
	.name = "memory",
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
