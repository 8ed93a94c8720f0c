/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver that keeps everything in RAM: for tests, demonstrations and as the reference. */
#include "attachfs/cleanup.h"

#include "drivers.h"
#include "memory_fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/*
 * Sessions exist only as the control file tells them (memory_fault.h). A session that was ended
 * stays ended until the file says so anew: `ended` lists the initiators. Volumes and exports
 * live until close(), so what a test wants to survive a restart must be applied again, just as
 * after a restart of a target daemon.
 */
struct memory_export {
	struct memory_export *next;
	char volume_id[UUID_TEXT_SIZE];
	struct backend_export export_;
	bool ended;	   /* end_sessions() was called ... */
	ino_t ended_inode; /* ... under this control file */
	struct timespec ended_mtime;
};

struct memory_volume {
	struct memory_volume *next;
	char id[UUID_TEXT_SIZE];
	const struct pool_conf *pool;
	uint64_t size;
};

struct backend {
	const struct dock_conf *dock;
	struct memory_faults faults; /* has its own lock */
	pthread_mutex_t lock;	     /* of everything below */
	struct memory_volume *volumes;
	struct memory_export *exports;
	uint64_t epoch;
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
	b = calloc(1, sizeof(*b));
	if (!b)
		return error_set(err, ENOMEM, "out of memory");
	b->dock = dock;
	b->epoch = (uint64_t)monotonic_ms();
	pthread_mutex_init(&b->lock, NULL);
	memory_faults_init(&b->faults, control);
	*ret = b;
	return 0;
}

static void forget_exports(struct backend *b)
{
	while (b->exports) {
		struct memory_export *e = b->exports;

		b->exports = e->next;
		free(e);
	}
}

static void memory_close(struct backend *b)
{
	forget_exports(b);
	while (b->volumes) {
		struct memory_volume *v = b->volumes;

		b->volumes = v->next;
		free(v);
	}
	memory_faults_free(&b->faults);
	pthread_mutex_destroy(&b->lock);
	free(b);
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

static const struct pool_conf *find_pool(struct backend *b, const char *name)
{
	for (size_t i = 0; i < b->dock->n_pools; i++)
		if (name && !strcmp(b->dock->pools[i].name, name))
			return &b->dock->pools[i];
	return NULL;
}

static int memory_pool_usage(struct backend *b, const char *name, struct pool_usage *ret,
			     struct error *err)
{
	const struct pool_conf *pool = find_pool(b, name);
	uint64_t used = 0;
	int rc = memory_fault(&b->faults, "pool_usage", err);

	if (rc)
		return rc;
	if (!pool)
		return error_set(err, ENOENT, "pool %s is not in the configuration", name);
	pthread_mutex_lock(&b->lock);
	for (struct memory_volume *v = b->volumes; v; v = v->next)
		if (v->pool == pool && !pool->thin)
			used += v->size;
	pthread_mutex_unlock(&b->lock);
	ret->total = pool->total_bytes;
	ret->allocated = used;
	ret->free = used < ret->total ? ret->total - used : 0;
	return 0;
}

/* The place that points to the volume, or to NULL. Called with the lock held. */
static struct memory_volume **volume_place(struct backend *b, const char *id)
{
	struct memory_volume **place = &b->volumes;

	while (*place && strcmp((*place)->id, id))
		place = &(*place)->next;
	return place;
}

static int add_volume(struct backend *b, const struct backend_volume *volume, struct error *err)
{
	const struct pool_conf *pool = find_pool(b, volume->pool);
	struct memory_volume *v;

	if (!pool)
		return error_set(err, ENOENT, "pool %s is not in the configuration",
				 volume->pool);
	v = calloc(1, sizeof(*v));
	if (!v)
		return error_set(err, ENOMEM, "out of memory");
	text_copy(v->id, sizeof(v->id), text_of(volume->id));
	v->pool = pool;
	v->size = volume->size_bytes;
	v->next = b->volumes;
	b->volumes = v;
	return 0;
}

static int memory_provision(struct backend *b, const struct backend_volume *volume,
			    struct error *err)
{
	int rc = memory_fault(&b->faults, "provision", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	if (!*volume_place(b, volume->id))
		rc = add_volume(b, volume, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* A volume of an earlier process is as good as one that was just provisioned. */
static int memory_extend(struct backend *b, const struct backend_volume *volume,
			 struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "extend", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	v = *volume_place(b, volume->id);
	if (!v)
		rc = add_volume(b, volume, err);
	else if (v->size > volume->size_bytes)
		rc = error_set(err, EINVAL, "volume %s does not shrink", volume->id);
	else
		v->size = volume->size_bytes;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int memory_purge(struct backend *b, const struct backend_volume *volume,
			struct error *err)
{
	struct memory_volume **place, *v;
	int rc = memory_fault(&b->faults, "purge", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	place = volume_place(b, volume->id);
	v = *place;
	if (v)
		*place = v->next;
	pthread_mutex_unlock(&b->lock);
	free(v);
	return 0;
}

/* One export a host and volume, whatever its mode. Called with the lock held. */
static struct memory_export **export_place(struct backend *b, const char *volume_id,
					   const char *initiator)
{
	struct memory_export **place = &b->exports;

	while (*place && (strcmp((*place)->volume_id, volume_id) ||
			  strcmp((*place)->export_.initiator, initiator)))
		place = &(*place)->next;
	return place;
}

static int put_export(struct backend *b, const struct backend_volume *volume,
		      const struct backend_export *export_, struct error *err)
{
	struct memory_export **place = export_place(b, volume->id, export_->initiator);

	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return error_set(err, ENOMEM, "out of memory");
		text_copy((*place)->volume_id, sizeof((*place)->volume_id),
			  text_of(volume->id));
	}
	(*place)->export_ = *export_;
	(*place)->export_.shard = 0;
	explicit_bzero((*place)->export_.chap_secret, sizeof((*place)->export_.chap_secret));
	return 0;
}

static int memory_export_(struct backend *b, const struct backend_volume *volume,
			  const struct backend_export *export_, struct backend_connection *ret,
			  struct error *err)
{
	int rc = memory_fault(&b->faults, "export", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = put_export(b, volume, export_, err);
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
	e = *export_place(b, volume->id, export_->initiator);
	if (e)
		seen = e->export_.mode;
	pthread_mutex_unlock(&b->lock);
	if (seen != export_->mode || memory_fault_wrong(&b->faults))
		return error_set(err, EIO, "the probe of volume %s as %s did not see what was "
				 "exported", volume->id, export_->initiator);
	*ret_mode = seen;
	return 0;
}

/* An export of the other mode is not this one: it stays. */
static int memory_unexport(struct backend *b, const struct backend_volume *volume,
			   const struct backend_export *export_, struct error *err)
{
	struct memory_export **place, *e;
	int rc = memory_fault(&b->faults, "unexport", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	place = export_place(b, volume->id, export_->initiator);
	e = *place;
	if (e && e->export_.mode == export_->mode)
		*place = e->next;
	else
		e = NULL;
	pthread_mutex_unlock(&b->lock);
	free(e);
	return 0;
}

/* Ended sessions come back only when the control file has changed since. */
static bool has_sessions(struct backend *b, const struct backend_volume *volume,
			 const struct backend_export *export_)
{
	struct memory_faults *f = &b->faults;
	struct memory_export *e;
	bool has;

	pthread_mutex_lock(&b->lock);
	e = *export_place(b, volume->id, export_->initiator);
	pthread_mutex_lock(&f->lock);
	has = e && e->export_.mode == export_->mode &&
	      !(e->ended && e->ended_inode == f->inode &&
		e->ended_mtime.tv_sec == f->mtime.tv_sec &&
		e->ended_mtime.tv_nsec == f->mtime.tv_nsec);
	pthread_mutex_unlock(&f->lock);
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
	e = *export_place(b, volume->id, export_->initiator);
	if (e) {
		pthread_mutex_lock(&b->faults.lock);
		e->ended = true;
		e->ended_inode = b->faults.inode;
		e->ended_mtime = b->faults.mtime;
		pthread_mutex_unlock(&b->faults.lock);
	}
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* Copies first: `fn` may call the driver. */
static int copy_exports(struct backend *b, const char *volume_id, struct memory_export **ret,
			size_t *ret_n)
{
	size_t n = 0;

	for (struct memory_export *e = b->exports; e; e = e->next)
		n++;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	n = 0;
	for (struct memory_export *e = b->exports; e; e = e->next)
		if (!volume_id || !strcmp(volume_id, e->volume_id))
			(*ret)[n++] = *e;
	*ret_n = n;
	return 0;
}

static int memory_list_exports(struct backend *b, const char *volume_id, export_fn *fn,
			       void *arg, struct error *err)
{
	_cleanup_free_ struct memory_export *list = NULL;
	size_t n = 0;
	int rc = memory_fault(&b->faults, "list_exports", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = copy_exports(b, volume_id, &list, &n);
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(arg, list[i].volume_id, &list[i].export_);
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
	.sessions = memory_sessions,
	.end_sessions = memory_end_sessions,
	.list_exports = memory_list_exports,
};
