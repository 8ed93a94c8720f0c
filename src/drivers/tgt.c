/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tgt driver: volumes are files, exports are targets of a tgtd. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/probe.h"

#include "filepool.h"

#include <errno.h>
#include <string.h>

/*
 * tgtd has no read-only per host and no LUN masking, so a volume has up to two targets over its
 * one file: PREFIX:UUID.rw and PREFIX:UUID.ro, the latter's LUN read-only. Every host of a mode
 * shares that mode's LUN, and with it its persistent reservations.
 */

#define PROBE_MS 4000

static int tgt_check_config(const struct dock_conf *dock, struct error *err)
{
	struct tgt_conf conf;

	return tgt_conf_read(dock, &conf, err);
}

/* A daemon that cannot be reached now is found by check(), or started for the first export. */
static void adopt_all(struct backend *b, struct error *err)
{
	for (int i = 0; i < b->n_shards; i++) {
		if (tgt_shard_refresh(b, &b->shards[i], false, err) && !b->shards[i].known)
			b->shards[i].wanted = true; /* so that check() looks at it */
		b->epoch = (b->epoch ^ (uint64_t)b->shards[i].daemon.pid ^
			    b->shards[i].daemon.started << 24) * 1099511628211ULL;
	}
}

static void tgt_close(struct backend *b)
{
	tgt_table_free(b);
	for (int i = 0; i < b->n_shards; i++)
		pthread_mutex_destroy(&b->shards[i].slots);
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

/* After a daemon, or a target in it, was lost in the middle of a call the next one must know. */
static int finish(struct tgt_call *call, struct tgt_target *t, int rc)
{
	if (rc == -ENXIO) {
		tgt_table_remove(call->b, t);
		return error_set(call->err, EAGAIN, "somebody else removed the target");
	}
	if (rc == -EAGAIN)
		tgt_shard_refresh(call->b, call->shard, true, NULL);
	return rc;
}

static bool is_doubtful(struct tgt_target *t)
{
	bool doubtful;

	pthread_mutex_lock(&t->shard->slots);
	doubtful = t->doubtful;
	pthread_mutex_unlock(&t->shard->slots);
	return doubtful;
}

/* The target's entry, or NULL if no daemon has such a target. */
static int find_target(struct backend *b, const char *id, const struct backend_export *e,
		       struct tgt_target **ret, struct error *err)
{
	int rc = 0;

	*ret = tgt_table_find(b, id, e->mode);
	if (!*ret)
		rc = tgt_shards_known(b, e->shard, err);
	if (!*ret && !rc)
		*ret = tgt_table_find(b, id, e->mode); /* an adoption may have brought it */
	return rc;
}

/* Binds `call` to the target's daemon; what is doubtful about the target is asked for. */
static int use_target(struct tgt_call *call, struct backend *b, struct tgt_target *t,
		      struct error *err)
{
	int rc = tgt_shard_use(call, b, t->shard, false, err);

	if (!rc && call->incarnation != t->incarnation)
		rc = error_set(err, EAGAIN, "tgtd at %s was restarted", t->shard->socket);
	return !rc && is_doubtful(t) ? tgt_adopt(call) : rc;
}

static int resize_target(struct backend *b, struct tgt_target *t, const char *path,
			 struct error *err)
{
	struct tgt_call call;
	int rc = use_target(&call, b, t, err);

	return rc ? rc : finish(&call, t, tgt_target_resize(&call, t, path));
}

static int tgt_extend(struct backend *b, const struct backend_volume *volume, struct error *err)
{
	static const enum access_mode modes[] = {ACCESS_RW, ACCESS_RO};
	const struct pool_conf *pool = pool_of(b, volume->pool, err);
	char path[1024];
	int rc = pool ? filepool_extend(pool, volume, err) : -ENOENT;

	if (!rc)
		rc = filepool_path(pool, volume->id, path, sizeof(path), err);
	for (size_t i = 0; i < ARRAY_SIZE(modes) && !rc; i++) {
		struct tgt_target *t = tgt_table_find(b, volume->id, modes[i]);

		if (t)
			rc = resize_target(b, t, path, err);
	}
	return rc;
}

static enum access_mode other_mode(enum access_mode mode)
{
	return mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
}

static void make_probe(struct backend *b, const char *id, const struct backend_export *e,
		       struct tgt_shard *shard, char *target, size_t size,
		       struct probe_request *ret)
{
	tgt_target_name(b, id, e->mode, target, size);
	*ret = (struct probe_request){
		.portal = shard->portal,
		.target = target,
		.initiator = e->initiator,
		.user = b->conf.chap ? e->chap_user : NULL,
		.secret = e->chap_secret,
		.lun = TGT_LUN,
		.timeout_ms = PROBE_MS,
	};
}

/* A target without hosts goes, and with it every login that is under way. Else those must have
 * come to their end, and a new one must fail. */
static int prove_gone(struct tgt_call *call, struct tgt_target *t,
		      const struct backend_export *e)
{
	char target[ISCSI_NAME_MAX + 1];
	struct probe_request request;
	int rc;

	if (!t->n_hosts)
		return tgt_target_destroy(call, t);
	rc = tgt_logins_settle(call);
	if (!rc)
		rc = tgt_sessions_end(call, t, e->initiator, true);
	if (rc)
		return rc;
	make_probe(call->b, t->id, e, t->shard, target, sizeof(target), &request);
	return probe_refused(&request, call->err);
}

/* The note last: until then a call that is cut short is found to be unfinished. */
static int drop_account(struct tgt_call *call, struct tgt_target *t, const char *user,
			const char *initiator)
{
	int rc = 0;

	if (!*user)
		return 0;
	if (call->b->conf.chap)
		rc = tgt_account_expel(call, t, user);
	return rc ? rc : tgt_unnote(call, t, user, initiator);
}

/* The name first, so that no new login begins; then the secret; then the sessions there are. */
static int withdraw(struct tgt_call *call, struct tgt_target *t, const struct backend_export *e)
{
	struct tgt_host *host = tgt_host_find(t, e->initiator);
	_cleanup_free_ char *known = host && *host->user ? strdup(host->user) : NULL;
	int rc = tgt_unbind(call, t, e->initiator);

	if (!rc)
		rc = drop_account(call, t, e->chap_user, e->initiator);
	if (!rc && known && strcmp(known, e->chap_user))
		rc = drop_account(call, t, known, e->initiator);
	if (rc)
		return rc;
	tgt_host_remove(call->b, t, e->initiator);
	rc = tgt_sessions_end(call, t, e->initiator, true);
	return rc ? rc : prove_gone(call, t, e);
}

static int tgt_unexport(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *e, struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = use_target(&call, b, t, err);
	return rc ? rc : finish(&call, t, withdraw(&call, t, e));
}

/* Exactly one mode: what the host has of the other one is taken first. */
static int withdraw_other(struct backend *b, const struct backend_volume *volume,
			  const struct backend_export *e, struct error *err)
{
	struct tgt_target *t = tgt_table_find(b, volume->id, other_mode(e->mode));
	struct backend_export other = *e;
	int rc = 0;

	other.mode = other_mode(e->mode);
	if (t && tgt_host_find(t, e->initiator))
		rc = tgt_unexport(b, volume, &other, err);
	explicit_bzero(&other, sizeof(other));
	return rc;
}

static int check_strings(const struct backend_export *e, bool chap, struct error *err)
{
	if (!tgt_value_ok(e->initiator) || strchr(e->initiator, '=') ||
	    strchr(e->chap_user, '=') || (*e->chap_user && !tgt_value_ok(e->chap_user)) ||
	    (chap && (!*e->chap_user || !tgt_value_ok(e->chap_secret) ||
		      tgt_is_guard(e->chap_user))))
		return error_set(err, EINVAL, "the initiator's name or its CHAP account has "
				 "characters that tgtd would misread");
	return 0;
}

/* The name last: until then nobody gets in, however far a call that is cut short has come. */
static int admit(struct tgt_call *call, struct tgt_target *t, const struct backend_volume *volume,
		 const struct backend_export *e)
{
	struct tgt_host *host = tgt_host_find(t, e->initiator);
	_cleanup_free_ char *old = host && *host->user ? strdup(host->user) : NULL;
	int rc = tgt_target_ensure(call, t, volume);

	if (!rc && old && strcmp(old, e->chap_user))
		rc = drop_account(call, t, old, e->initiator);
	if (!rc && *e->chap_user && (!old || strcmp(old, e->chap_user)))
		rc = tgt_note(call, t, e->chap_user, e->initiator);
	if (!rc && call->b->conf.chap)
		rc = tgt_account_admit(call, t, e->chap_user, e->chap_secret);
	if (!rc && tgt_host_add(call->b, t, e->initiator, e->chap_user))
		rc = error_set(call->err, ENOMEM, "out of memory");
	return rc ? rc : tgt_bind(call, t, e->initiator);
}

/* The target's entry, new if need be: on the shard of before, of its sibling, or any. */
static int find_or_add(struct backend *b, const struct backend_volume *volume,
		       const struct backend_export *e, struct tgt_target **ret, struct error *err)
{
	struct tgt_target *t = tgt_table_find(b, volume->id, e->mode), *sibling;
	struct tgt_shard *shard;
	struct tgt_call call;
	int rc, wanted = e->shard;

	if (t) {
		*ret = t;
		return 0;
	}
	sibling = tgt_table_find(b, volume->id, other_mode(e->mode));
	if (wanted < 0 && sibling)
		wanted = sibling->shard->index;
	rc = tgt_shard_choose(b, wanted, &shard, err);
	if (!rc)
		rc = tgt_shard_use(&call, b, shard, true, err);
	if (rc)
		return rc;
	t = tgt_table_add(b, volume->id, e->mode, shard, call.incarnation);
	if (!t)
		return error_set(err, ENOMEM, "out of memory");
	*ret = t;
	return 0;
}

static void fill_connection(struct backend *b, const struct tgt_target *t,
			    struct backend_connection *ret)
{
	*ret = (struct backend_connection){
		.driver_volume_type = "iscsi",
		.target_lun = TGT_LUN,
		.discard = true,
		.chap = b->conf.chap,
		.shard = t->shard->index,
	};
	tgt_target_name(b, t->id, t->mode, ret->target_iqn, sizeof(ret->target_iqn));
	text_copy(ret->target_portal, sizeof(ret->target_portal), text_of(t->shard->portal));
}

static int tgt_export(struct backend *b, const struct backend_volume *volume,
		      const struct backend_export *e, struct backend_connection *ret,
		      struct error *err)
{
	struct tgt_target *t = NULL;
	struct tgt_call call;
	int rc = check_strings(e, b->conf.chap, err);

	if (!rc)
		rc = withdraw_other(b, volume, e, err);
	if (!rc)
		rc = find_or_add(b, volume, e, &t, err);
	if (!rc)
		rc = use_target(&call, b, t, err);
	if (rc)
		return rc;
	rc = finish(&call, t, admit(&call, t, volume, e));
	if (!rc)
		fill_connection(b, t, ret);
	return rc;
}

static int tgt_probe(struct backend *b, const struct backend_volume *volume,
		     const struct backend_export *e, const struct backend_connection *connection,
		     enum access_mode *ret_mode, struct error *err)
{
	struct probe_request request = {
		.portal = connection->target_portal,
		.target = connection->target_iqn,
		.initiator = e->initiator,
		.user = connection->chap ? e->chap_user : NULL,
		.secret = e->chap_secret,
		.lun = connection->target_lun,
		.timeout_ms = PROBE_MS,
	};
	struct probe_answer answer;
	int rc = probe_look(&request, &answer, err);

	(void)b;
	if (rc)
		return rc;
	if (answer.size_bytes != volume->size_bytes)
		return error_set(err, EIO, "%s has %llu bytes, not %llu", request.target,
				 (unsigned long long)answer.size_bytes,
				 (unsigned long long)volume->size_bytes);
	if (answer.write_protected != (e->mode == ACCESS_RO))
		return error_set(err, EIO, "%s is %swrite-protected", request.target,
				 answer.write_protected ? "" : "not ");
	*ret_mode = answer.write_protected ? ACCESS_RO : ACCESS_RW;
	return 0;
}

static int tgt_sessions(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *e, session_fn *fn, void *arg,
			struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = use_target(&call, b, t, err);
	return rc ? rc : finish(&call, t, tgt_sessions_walk(&call, t, e->initiator, fn, arg));
}

static int tgt_end_sessions(struct backend *b, const struct backend_volume *volume,
			    const struct backend_export *e, struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = use_target(&call, b, t, err);
	return rc ? rc : finish(&call, t, tgt_sessions_end(&call, t, e->initiator, false));
}

/* One export that list_exports() is about to report. */
struct found_export {
	char volume_id[UUID_TEXT_SIZE];
	struct backend_export export_;
};

static int collect(const struct tgt_target *t, struct buf *list)
{
	for (size_t i = 0; i < t->n_hosts; i++) {
		struct found_export f = {.export_ = {.mode = t->mode, .shard = t->shard->index}};

		text_copy(f.volume_id, sizeof(f.volume_id), text_of(t->id));
		text_copy(f.export_.initiator, sizeof(f.export_.initiator),
			  text_of(t->hosts[i].initiator));
		text_copy(f.export_.chap_user, sizeof(f.export_.chap_user),
			  text_of(t->hosts[i].user));
		buf_add(list, &f, sizeof(f));
	}
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
	.unexport = tgt_unexport,
	.sessions = tgt_sessions,
	.end_sessions = tgt_end_sessions,
	.list_exports = tgt_list_exports,
};
