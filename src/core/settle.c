/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has come of the work: the second half of the state machine. */
#include <errno.h>

#include "attachfs/kill.h"
#include "core.h"

struct outcome {
	struct core *core;
	const struct work *work;
	int result;
	const struct backend_connection *connection;
	enum access_mode seen;
	const struct error *err;
	bool with_volume; /* an attachment that was drafted with its volume */
	bool stale; /* the object has moved on: nothing was done */
	uint64_t host; /* the one that it was fenced with, 0 = none */
	struct failover failover;
};

static struct text why(const struct outcome *o)
{
	return o->result && o->err ? text_of(o->err->text) : TEXT_NONE;
}

/* ---- volumes ---- */

static int provisioned(struct change *c, const struct outcome *o, union any *object)
{
	struct volume *v = &object->volume;
	uint64_t pool = v->pool;
	int rc;

	if (v->status == VOLUME_MOVING)
		return o->result ? volume_move_failed(c, object) : volume_moved(c, object);
	if (!o->result) {
		v->status = VOLUME_AVAILABLE;
		v->real_bytes = o->work->volume.size_bytes;
		v->draft_name = TEXT_NONE;
		return change_event(c, "created", SELF(v->o.number), NULL);
	}
	/* As if size had not been written: it is new again, and in no pool. */
	rc = link_remove_pool(c, v);
	if (!rc)
		rc = pool_discharge(c, pool, v->size_bytes);
	v->status = VOLUME_NEW;
	v->pool = 0;
	if (!rc)
		rc = volume_entered(c, object, pool);
	if (!rc && !v->draft_name.n)
		rc = change_set_raw(c, object, VOLUME_SIZE, NULL);
	return rc ? rc : draft_again_volume(c, object);
}

static int extended(struct change *c, const struct outcome *o, union any *object)
{
	struct volume *v = &object->volume;
	uint64_t wanted = v->size_bytes;
	int rc;

	v->status = VOLUME_AVAILABLE;
	if (!o->result) {
		v->real_bytes = o->work->volume.size_bytes;
		v->size_before = TEXT_NONE;
		return change_event(c, "extended", SELF(v->o.number), NULL);
	}
	rc = change_set_raw(c, object, VOLUME_SIZE, change_keep(c, v->size_before).p);
	v->size_before = TEXT_NONE;
	return rc ? rc : pool_discharge(c, v->pool, wanted - v->size_bytes);
}

static int purged(struct change *c, union any *object)
{
	int rc = pool_discharge(c, object->volume.pool, object->volume.size_bytes);

	if (!rc)
		rc = link_remove_purge(c, &object->volume);
	if (!rc)
		rc = change_event(c, "purged", SELF(object->o.number), NULL);
	if (!rc)
		rc = volume_purge_left(c, &object->volume);
	return rc ? rc : change_delete(c, object);
}

static int settle_volume(struct change *c, struct outcome *o)
{
	union any object;
	int rc = change_load(c, o->work->object, KIND_VOLUME, &object);

	o->stale = rc == -ENOENT || (!rc && object.volume.generation != o->work->generation);
	if (rc || o->stale)
		return o->stale ? 0 : rc;
	if (o->work->type == WORK_PURGE)
		return purged(c, &object);
	change_set_error(c, &object, why(o));
	if (o->result)
		rc = change_event(c, "failed", SELF(object.o.number), o->err->text);
	if (!rc)
		rc = o->work->type == WORK_EXTEND ? extended(c, o, &object)
						  : provisioned(c, o, &object);
	if (!rc)
		rc = change_save(c, &object);
	return rc || o->result || o->work->type != WORK_PROVISION
		       ? rc
		       : draft_volume_available(c, object.o.number);
}

/* ---- attachments ---- */

static void keep_connection(struct change *c, struct attachment *a,
			    const struct backend_connection *b)
{
	a->driver_volume_type = change_keep(c, text_of(b->driver_volume_type));
	a->target_iqn = change_keep(c, text_of(b->target_iqn));
	a->target_portal = change_keep(c, text_of(b->target_portal));
	a->target_lun = b->target_lun;
	a->target_discovered = b->target_discovered;
	a->discard = b->discard;
	a->chap = b->chap;
	a->shard = (uint64_t)(b->shard + 1);
	if (!b->chap)
		a->chap_user = a->chap_secret = TEXT_NONE;
}

/* The account outlives what it was for, in case that was not taken away completely. */
static void drop_target(struct attachment *a)
{
	a->driver_volume_type = a->target_iqn = a->target_portal = TEXT_NONE;
	a->target_lun = a->target_discovered = a->discard = a->chap = 0;
	a->effective_mode = ACCESS_NONE;
}

void attachment_drop_connection(struct attachment *a)
{
	drop_target(a);
	a->chap_user = a->chap_secret = TEXT_NONE;
}

/* A live session forbade the switch or the detach: it stays what it was. */
static int stays_attached(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	struct text before = change_keep(c, a->mode_before);

	a->status = ATTACHMENT_ATTACHED;
	a->mode_before = TEXT_NONE;
	if (a->mode == a->effective_mode)
		return 0;
	return change_set_raw(c, object, ATTACHMENT_MODE, before.n ? before.p : NULL);
}

/* A draft that cannot be attached is one again, as soon as it is provably not exported. */
static int withdraw_draft(struct change *c, const struct outcome *o, struct attachment *a)
{
	a->status = ATTACHMENT_DETACHING;
	a->generation++;
	return change_kick(c, o->work->dock, a->o.parent);
}

static int attached(struct change *c, const struct outcome *o, union any *object)
{
	struct attachment *a = &object->attachment;

	if (!o->result) {
		a->draft_name = TEXT_NONE;
		a->mode_before = TEXT_NONE;
		a->status = ATTACHMENT_ATTACHED;
		a->effective_mode = o->seen;
		a->attached_at = (uint64_t)c->now;
		keep_connection(c, a, o->connection);
		return change_event(c, "attached", SELF(a->o.number),
				    o->seen == ACCESS_RO ? "ro" : "rw");
	}
	if (o->result == -EBUSY && o->work->switches)
		return stays_attached(c, object);
	a->mode_before = TEXT_NONE;
	a->status = ATTACHMENT_ERROR;
	drop_target(a);
	return a->draft_name.n ? withdraw_draft(c, o, a) : 0;
}

static int settle_attachment(struct change *c, struct outcome *o)
{
	union any object;
	int rc = change_load(c, o->work->object, KIND_ATTACHMENT, &object);

	o->stale = rc == -ENOENT || (!rc && object.attachment.generation != o->work->generation);
	if (rc || o->stale)
		return o->stale ? 0 : rc;
	/* What a draft could not become is still to be read when it is one again. */
	if (o->result || o->work->type != WORK_DETACH)
		change_set_error(c, &object, why(o));
	if (o->result)
		rc = change_event(c, "failed", SELF(object.o.number), o->err->text);
	if (!rc)
		rc = volume_touch_number(c, object.o.parent);
	if (rc)
		return rc;
	o->host = object.attachment.fenced_by;
	o->with_volume = object.attachment.when_available;
	object.attachment.when_available = 0;
	if (o->work->type == WORK_FENCE) /* which does not fail: it goes on */
		return o->result ? -EINVAL : attachment_fenced(c, &object, &o->failover);
	if (o->work->type == WORK_ATTACH) {
		rc = attached(c, o, &object);
	} else if (!o->result) {
		rc = change_event(c, "detached", SELF(object.o.number), NULL);
		return rc			      ? rc
		       : object.attachment.draft_name.n ? draft_again_attachment(c, &object)
						      : attachment_detached(c, &object);
	} else {
		rc = stays_attached(c, &object);
	}
	return rc ? rc : change_save(c, &object);
}

static int settle(struct change *c, struct outcome *o)
{
	switch (o->work->type) {
	case WORK_PROVISION:
	case WORK_EXTEND:
	case WORK_PURGE:
		return settle_volume(c, o);
	case WORK_ATTACH:
	case WORK_DETACH:
	case WORK_FENCE:
		return settle_attachment(c, o);
	}
	return -EINVAL;
}

static int apply_outcome(struct change *c, void *arg)
{
	int rc = settle(c, arg);

	KILL_POINT(result_applied);
	return rc;
}

/* Whoever fences a host waits for all of its attachments, or for the first that fails. */
static void answer_host(struct core *core, uint64_t number, int result, const struct error *err)
{
	union any host;
	struct tx tx;
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return;
	rc = object_get_kind(&tx, number, KIND_HOST, &host);
	store_read_end(&tx);
	if (!rc && (result || host.host.fence == HOST_FENCED))
		waiters_settled(core, number, host.host.generation, result, err);
}

/* Whoever made a volume with drafts of attachments in it waits for all of them. */
static void answer_volume(const struct outcome *o)
{
	const struct work *w = o->work;
	struct draft_progress p;
	union any volume;
	struct tx tx;
	int rc = store_read_begin(o->core->store, &tx);

	if (rc)
		return;
	rc = object_get_kind(&tx, w->volume_number, KIND_VOLUME, &volume);
	if (!rc)
		rc = draft_progress(&tx, w->volume_number, &p);
	store_read_end(&tx);
	if (!rc && !p.busy)
		waiters_settled(o->core, w->volume_number, volume.volume.generation, -p.err.code,
				&p.err);
}

/* By whoever has committed it: one thread less to be woken before the user is. */
static void answer_waiters(void *arg)
{
	const struct outcome *o = arg;
	bool whole = o->with_volume || (o->work->type == WORK_PROVISION && !o->result);

	KILL_POINT(result_committed);
	if (o->stale)
		return;
	if (o->work->type == WORK_FENCE)
		waiters_follow(o->core, o->work->object, o->work->generation, &o->failover);
	if (whole)
		answer_volume(o);
	if (!whole || o->with_volume)
		waiters_settled(o->core, o->work->object, o->work->generation, o->result, o->err);
	if (o->host)
		answer_host(o->core, o->host, 0, NULL);
}

int core_settle(struct core *core, const struct work *work, int result,
		const struct backend_connection *connection, enum access_mode seen,
		const struct error *err)
{
	struct outcome o = {.core = core,
			    .work = work,
			    .result = result,
			    .connection = connection,
			    .seen = seen,
			    .err = err};
	int rc = core_run_then(core, apply_outcome, answer_waiters, &o, NULL);

	KILL_POINT(result_answered);
	if (!rc && work->type == WORK_PURGE && !result)
		observed_forget(core, work->object);
	if (!rc && (work->type == WORK_DETACH || work->type == WORK_FENCE) && !result)
		core_sessions_set(core, work->object, 0, TEXT_NONE);
	return rc;
}

static int apply_postponed(struct change *c, void *arg)
{
	const struct outcome *o = arg;
	union any object;
	bool of_volume = o->work->object == o->work->volume_number;
	int rc = change_load(c, o->work->object, of_volume ? KIND_VOLUME : KIND_ATTACHMENT, &object);

	if (rc || text_equal(object.o.last_error, why(o)))
		return rc == -ENOENT ? 0 : rc;
	change_set_error(c, &object, why(o));
	rc = change_save(c, &object);
	if (!rc && o->work->type == WORK_FENCE && object.attachment.fenced_by)
		rc = host_member_postponed(c, object.attachment.fenced_by, object.o.parent, why(o));
	return rc ? rc : change_event(c, "postponed", SELF(object.o.number), o->err->text);
}

int core_postpone(struct core *core, const struct work *work, const struct error *err)
{
	struct outcome o = {.work = work, .result = -EAGAIN, .err = err};

	return core_run(core, apply_postponed, &o, NULL);
}

/* The host that the work's attachment is fenced with. */
static uint64_t host_of(struct core *core, const struct work *work)
{
	uint64_t host = 0;
	union any a;
	struct tx tx;

	if (work->type != WORK_FENCE || store_read_begin(core->store, &tx))
		return 0;
	if (!object_get_kind(&tx, work->object, KIND_ATTACHMENT, &a))
		host = a.attachment.fenced_by;
	store_read_end(&tx);
	return host;
}

void core_answer(struct core *core, const struct work *work, int result, const struct error *err)
{
	uint64_t host = host_of(core, work);

	waiters_settled(core, work->object, work->generation, result, err);
	if (host)
		answer_host(core, host, result, err);
}
