/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exports of the tgt driver: who is let in, who is put out, and the proof of both. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/kill.h"
#include "attachfs/probe.h"

#include <errno.h>
#include <string.h>

/*
 * tgtd has no read-only per host and no LUN masking, so a volume has up to two targets over its
 * one file: PREFIX:UUID.rw and PREFIX:UUID.ro, the latter's LUN read-only. Every host of a mode
 * shares that mode's LUN, and with it its persistent reservations.
 */

/* Of one login with what it looks at. */
#define PROBE_MS 4000

/* After a daemon, or a target in it, was lost in the middle of a call the next one must know. */
int tgt_finish(struct tgt_call *call, struct tgt_target *t, int rc)
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
int tgt_find_target(struct backend *b, const char *id, const struct backend_export *e,
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
int tgt_use_target(struct tgt_call *call, struct backend *b, struct tgt_target *t,
		      struct error *err)
{
	int rc = tgt_shard_use(call, b, t->shard, false, err);

	if (!rc && call->incarnation != t->incarnation)
		rc = error_set(err, EAGAIN, "tgtd at %s was restarted", t->shard->socket);
	return !rc && is_doubtful(t) ? tgt_adopt(call) : rc;
}

static enum access_mode other_mode(enum access_mode mode)
{
	return mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
}

int tgt_login_refused(struct tgt_call *call, const char *id, const struct backend_export *e)
{
	char target[ISCSI_NAME_MAX + 1];
	struct probe_request request = {
		.portal = call->shard->portal,
		.target = target,
		.initiator = e->initiator,
		.user = call->b->conf.chap ? e->chap_user : NULL,
		.secret = e->chap_secret,
		.lun = TGT_LUN,
		.timeout_ms = PROBE_MS,
	};

	tgt_target_name(call->b, id, e->mode, target, sizeof(target));
	return probe_refused(&request, call->err);
}

/* A target without hosts goes, and with it every login that is under way. Else those must have
 * come to their end, and a new one must fail. */
static int prove_gone(struct tgt_call *call, struct tgt_target *t,
		      const struct backend_export *e)
{
	int rc;

	if (!t->n_hosts)
		return tgt_target_destroy(call, t);
	rc = tgt_logins_settle(call);
	if (!rc)
		rc = tgt_sessions_end(call, t, e->initiator, true);
	return rc ? rc : tgt_login_refused(call, t->id, e);
}

/* Until the last step of it a call that is cut short is found to be unfinished. */
static int drop_account(struct tgt_call *call, struct tgt_target *t, const char *user,
			const char *initiator)
{
	if (!*user)
		return 0;
	return call->b->conf.chap ? tgt_account_expel(call, t, user)
				  : tgt_unnote(call, t, user, initiator);
}

/* The name first, so that no new login begins; then the secret; then the sessions there are. */
int tgt_put_out(struct tgt_call *call, struct tgt_target *t, const struct backend_export *e)
{
	struct tgt_host *host = tgt_host_find(t, e->initiator);
	_cleanup_free_ char *known = host && *host->user ? strdup(host->user) : NULL;
	int rc = *e->initiator ? tgt_unbind(call, t, e->initiator) : 0;

	KILL_POINT(withdraw_unbound);
	if (!rc)
		rc = drop_account(call, t, e->chap_user, e->initiator);
	if (!rc && known && strcmp(known, e->chap_user))
		rc = drop_account(call, t, known, e->initiator);
	if (rc)
		return rc;
	tgt_host_remove(call->b, t, e->initiator);
	KILL_POINT(withdraw_locked);
	rc = tgt_sessions_end(call, t, e->initiator, true);
	KILL_POINT(withdraw_kicked);
	return rc;
}

static int withdraw_one(struct tgt_call *call, struct tgt_target *t,
			const struct backend_export *e)
{
	int rc = tgt_put_out(call, t, e);

	if (!rc)
		rc = prove_gone(call, t, e);
	KILL_POINT(withdraw_proved);
	return rc;
}

/* The last host takes the target along, which tgtd refuses while anybody has a session. */
static int withdraw(struct tgt_call *call, struct tgt_target *t, const struct backend_export *e)
{
	bool alone = t->n_hosts == 1 && !strcmp(t->hosts[0].initiator, e->initiator);
	int rc = alone || !t->n_hosts ? tgt_target_destroy(call, t) : -EBUSY;

	return rc == -EBUSY ? withdraw_one(call, t, e) : rc;
}

int tgt_unexport(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *e, struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = tgt_find_target(b, volume->id, e, &t, err);

	if (rc || !t)
		return rc;
	rc = tgt_use_target(&call, b, t, err);
	return rc ? rc : tgt_finish(&call, t, withdraw(&call, t, e));
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

/* All that a host needs but its name: the LUN, its account, and whose account it is. */
static int prepare(struct tgt_call *call, struct tgt_target *t,
		   const struct backend_volume *volume, const struct backend_export *e, bool known)
{
	struct tgt_sent note = TGT_NOT_SENT;
	struct tgt_lun_sent lun;
	int rc, one;

	rc = tgt_lun_begin(call, t, volume, &lun);
	if (rc)
		return rc;
	if (*e->chap_user && !known && !call->b->conf.chap)
		tgt_note_begin(call, t, e->chap_user, e->initiator, &note);
	if (call->b->conf.chap)
		rc = tgt_account_admit(call, t, e->chap_user);
	one = tgt_note_end(call, &note);
	rc = rc ? rc : one;
	one = tgt_lun_end(call, t, &lun);
	return rc ? rc : one;
}

static int make_target_and_account(struct tgt_call *call, struct tgt_target *t,
				   const struct backend_export *e)
{
	struct tgt_sent account = TGT_NOT_SENT;
	int rc, one;

	if (call->b->conf.chap)
		tgt_account_begin(call, e->chap_user, e->chap_secret, &account);
	rc = tgt_target_make(call, t);
	one = tgt_account_end(call, &account);
	return rc ? rc : one;
}

/* The name last: until then nobody gets in, however far a call that is cut short has come. */
static int admit(struct tgt_call *call, struct tgt_target *t, const struct backend_volume *volume,
		 const struct backend_export *e)
{
	struct tgt_host *host = tgt_host_find(t, e->initiator);
	_cleanup_free_ char *old = host && *host->user ? strdup(host->user) : NULL;
	bool known = old && !strcmp(old, e->chap_user);
	int rc = make_target_and_account(call, t, e);

	if (!rc && old && !known)
		rc = drop_account(call, t, old, e->initiator);
	if (!rc)
		rc = prepare(call, t, volume, e, known);
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

int tgt_export(struct backend *b, const struct backend_volume *volume,
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
		rc = tgt_use_target(&call, b, t, err);
	if (rc)
		return rc;
	rc = tgt_finish(&call, t, admit(&call, t, volume, e));
	if (!rc)
		fill_connection(b, t, ret);
	return rc;
}

int tgt_probe(struct backend *b, const struct backend_volume *volume,
	      const struct backend_export *e, const struct backend_connection *connection,
	      enum access_mode *ret_mode, struct probe **ret_left, struct error *err)
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
	int rc = probe_look(&request, &answer, ret_left, err);

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
