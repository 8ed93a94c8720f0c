/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tgt driver: volumes are files, exports are targets of a tgtd. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/log.h"
#include "attachfs/probe.h"

#include "filepool.h"

#include <errno.h>
#include <string.h>

static int tgt_check_config(const struct dock_conf *dock, struct error *err)
{
	struct tgt_conf conf;

	return tgt_conf_read(dock, &conf, err);
}

/* Nobody works yet, so an account without a target is no attachment in the making. */
static void tidy(struct backend *b, struct tgt_shard *shard, struct error *err)
{
	struct tgt_call call;
	int rc = tgt_shard_use(&call, b, shard, false, err);

	if (!rc && b->conf.chap)
		rc = tgt_accounts_tidy(&call);
	if (rc && rc != -ECONNREFUSED)
		log_warning("dock %s: %s", b->dock->name, err->text);
}

/* A daemon that cannot be reached now is found by check(), or started for the first export. */
static void adopt_all(struct backend *b, struct error *err)
{
	for (int i = 0; i < b->n_shards; i++) {
		if (tgt_shard_refresh(b, &b->shards[i], false, err) && !b->shards[i].known)
			b->shards[i].wanted = true; /* so that check() looks at it */
		if (b->shards[i].daemon.pid)
			tidy(b, &b->shards[i], err);
		b->epoch = (b->epoch ^ (uint64_t)b->shards[i].daemon.pid ^
			    b->shards[i].daemon.started << 24) * 1099511628211ULL;
	}
}

static void tgt_close(struct backend *b)
{
	tgt_table_free(b);
	for (int i = 0; i < b->n_shards; i++) {
		tgt_sessions_forget(&b->shards[i]);
		pthread_mutex_destroy(&b->shards[i].slots);
	}
	pthread_mutex_destroy(&b->life);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static int tgt_open(const struct dock_conf *dock, const char *state_dir, struct backend **ret,
		    struct error *err)
{
	struct backend *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return error_set(err, ENOMEM, "out of memory");
	b->dock = dock;
	b->epoch = 14695981039346656037ULL;
	pthread_mutex_init(&b->life, NULL);
	pthread_mutex_init(&b->lock, NULL);
	rc = tgt_conf_read(dock, &b->conf, err);
	if (!rc)
		rc = filepool_open(dock, err);
	if (!rc)
		rc = tgt_shards_init(b, state_dir, err);
	if (rc) {
		tgt_close(b);
		return rc;
	}
	adopt_all(b, err);
	*ret = b;
	return 0;
}

static bool in_use(struct backend *b, int i)
{
	bool used;

	pthread_mutex_lock(&b->lock);
	used = b->shards[i].wanted || b->shards[i].daemon.pid || !b->conf.spawn;
	pthread_mutex_unlock(&b->lock);
	return used;
}

static int tgt_check(struct backend *b, uint64_t *ret_epoch, struct error *err)
{
	int rc = 0;

	for (int i = 0; i < b->n_shards; i++) {
		struct error why = {0};
		int one = in_use(b, i) ? tgt_shard_refresh(b, &b->shards[i], true, &why) : 0;

		if (!one && in_use(b, i))
			tgt_sessions_watch(b, &b->shards[i]);
		if (one && !rc) {
			rc = one;
			if (err)
				*err = why;
		}
	}
	pthread_mutex_lock(&b->lock);
	if (!rc)
		*ret_epoch = b->epoch;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static const struct pool_conf *pool_of(struct backend *b, const char *name, struct error *err)
{
	const struct pool_conf *pool = filepool_find(b->dock, name);

	if (!pool)
		error_set(err, ENOENT, "pool %s is not in the configuration", name);
	return pool;
}

static int tgt_pool_usage(struct backend *b, const char *name, struct pool_usage *ret,
			  struct error *err)
{
	const struct pool_conf *pool = pool_of(b, name, err);

	return pool ? filepool_usage(pool, ret, err) : -ENOENT;
}

static int tgt_provision(struct backend *b, const struct backend_volume *volume,
			 struct error *err)
{
	const struct pool_conf *pool = pool_of(b, volume->pool, err);

	return pool ? filepool_provision(pool, volume, err) : -ENOENT;
}

static int tgt_purge(struct backend *b, const struct backend_volume *volume, struct error *err)
{
	const struct pool_conf *pool = pool_of(b, volume->pool, err);

	return pool ? filepool_purge(pool, volume, err) : -ENOENT;
}

static int tgt_list_volumes(struct backend *b, const char *name, backing_fn *fn, void *arg,
			    struct error *err)
{
	const struct pool_conf *pool = pool_of(b, name, err);

	return pool ? filepool_list(pool, fn, arg, err) : -ENOENT;
}

static int resize_target(struct backend *b, struct tgt_target *t, const char *path,
			 struct error *err)
{
	struct tgt_call call;
	int rc = tgt_use_target(&call, b, t, err);

	return rc ? rc : tgt_finish(&call, t, tgt_target_resize(&call, t, path));
}

static int resize_targets(struct backend *b, const struct backend_volume *volume,
			  const char *path, struct error *err)
{
	static const enum access_mode modes[] = {ACCESS_RW, ACCESS_RO};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(modes) && !rc; i++) {
		struct tgt_target *t = tgt_table_find(b, volume->id, modes[i]);

		if (t)
			rc = resize_target(b, t, path, err);
	}
	return rc;
}

static int tgt_extend(struct backend *b, const struct backend_volume *volume, struct error *err)
{
	const struct pool_conf *pool = pool_of(b, volume->pool, err);
	char path[1024];
	int rc = pool ? filepool_extend(pool, volume, err) : -ENOENT;

	if (!rc)
		rc = filepool_path(pool, volume->id, path, sizeof(path), err);
	if (rc || !resize_targets(b, volume, path, err))
		return rc;
	/* Hosts may have seen the new size, so there is no way back: it is tried again. */
	if (err)
		err->code = EAGAIN;
	return -EAGAIN;
}

static int tgt_sessions(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *e, session_fn *fn, void *arg,
			struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = tgt_find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = tgt_use_target(&call, b, t, err);
	return rc ? rc : tgt_finish(&call, t, tgt_sessions_walk(&call, t, e->initiator, fn, arg));
}

static int tgt_end_sessions(struct backend *b, const struct backend_volume *volume,
			    const struct backend_export *e, struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = tgt_find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = tgt_use_target(&call, b, t, err);
	return rc ? rc : tgt_finish(&call, t, tgt_sessions_end(&call, t, e->initiator, false));
}

/* One export that list_exports() is about to report. */
struct found_export {
	char volume_id[UUID_TEXT_SIZE];
	struct backend_export export_;
};

static void add_found(const struct tgt_target *t, const char *initiator, const char *user,
		      struct buf *list)
{
	struct found_export f = {.export_ = {.mode = t->mode, .shard = t->shard->index}};

	text_copy(f.volume_id, sizeof(f.volume_id), text_of(t->id));
	text_copy(f.export_.initiator, sizeof(f.export_.initiator), text_of(initiator));
	text_copy(f.export_.chap_user, sizeof(f.export_.chap_user), text_of(user));
	buf_add(list, &f, sizeof(f));
}

/* A target without a host was to be destroyed, or had not got its first one yet. */
static int collect(const struct tgt_target *t, struct buf *list)
{
	for (size_t i = 0; i < t->n_hosts; i++)
		add_found(t, t->hosts[i].initiator, t->hosts[i].user, list);
	if (!t->n_hosts)
		add_found(t, "", "", list);
	return buf_error(list);
}

/* From the table, which no one but this process changes as long as the daemon is the same; a
 * listing by tgtd takes 100 ms of its one thread at 5,000 targets. `fn` runs without locks. */
static int tgt_list_exports(struct backend *b, const char *volume_id, export_fn *fn, void *arg,
			    struct error *err)
{
	BUF_AUTO(list);
	int rc = 0;

	for (int i = 0; i < b->n_shards; i++)
		if (in_use(b, i))
			tgt_shard_refresh(b, &b->shards[i], false, NULL);
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < TGT_BUCKETS && !rc; i++)
		for (const struct tgt_target *t = b->buckets[i]; t && !rc; t = t->next)
			if (t->incarnation == t->shard->incarnation &&
			    (!volume_id || !strcmp(volume_id, t->id)))
				rc = collect(t, &list);
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t at = 0; at < list.len && !rc; at += sizeof(struct found_export)) {
		struct found_export f;

		memcpy(&f, list.data + at, sizeof(f));
		rc = fn(arg, f.volume_id, &f.export_);
	}
	return rc;
}

const struct driver tgt_driver = {
	.name = "tgt",
	.capabilities = DRIVER_MULTIATTACH | DRIVER_RO_ENFORCED | DRIVER_PERSISTENT_RESERVATIONS |
			DRIVER_ONLINE_EXTEND | DRIVER_DISCARD,
	.check_config = tgt_check_config,
	.open = tgt_open,
	.close = tgt_close,
	.check = tgt_check,
	.pool_usage = tgt_pool_usage,
	.provision = tgt_provision,
	.extend = tgt_extend,
	.purge = tgt_purge,
	.export = tgt_export,
	.probe = tgt_probe,
	.probe_end = probe_end,
	.unexport = tgt_unexport,
	.fence = tgt_fence,
	.sessions = tgt_sessions,
	.end_sessions = tgt_end_sessions,
	.list_volumes = tgt_list_volumes,
	.list_exports = tgt_list_exports,
};
