/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the backend owes, as work for the worker: it is computed, never stored. */
#include <errno.h>
#include <uuid.h>

#include "core.h"

static int fill_volume(struct tx *tx, const struct volume *v, struct work *w)
{
	union any pool;
	int rc = object_get_kind(tx, v->pool, KIND_POOL, &pool);

	if (rc)
		return rc;
	w->volume_number = v->o.number;
	w->dock = pool.o.parent;
	text_copy(w->pool, sizeof(w->pool), text_of(pool.o.name));
	w->volume.pool = w->pool;
	w->volume.size_bytes = v->real_bytes;
	volume_backing(v, w->volume.id);
	return 0;
}

static bool volume_owes(const struct volume *v, enum work_type *ret)
{
	switch ((enum volume_status)v->status) {
	case VOLUME_NEW:
	case VOLUME_AVAILABLE:
		break;
	case VOLUME_CREATING:
	case VOLUME_MOVING:
		*ret = WORK_PROVISION;
		return true;
	case VOLUME_EXTENDING:
		*ret = WORK_EXTEND;
		return true;
	case VOLUME_DELETING:
		*ret = WORK_PURGE;
		return true;
	}
	return false;
}

static bool attachment_owes(const struct attachment *a, enum work_type *ret)
{
	switch ((enum attachment_status)a->status) {
	case ATTACHMENT_RESERVED:
	case ATTACHMENT_ATTACHED:
	case ATTACHMENT_ERROR:
	case ATTACHMENT_FENCED:
	case ATTACHMENT_DRAFT:
		break;
	case ATTACHMENT_ATTACHING:
		*ret = WORK_ATTACH;
		return true;
	case ATTACHMENT_DETACHING:
		*ret = WORK_DETACH;
		return true;
	case ATTACHMENT_FENCING:
		*ret = WORK_FENCE;
		return true;
	}
	return false;
}

static bool owes(const union any *object, enum work_type *ret)
{
	return object->o.kind == KIND_VOLUME ? volume_owes(&object->volume, ret)
	       : object->o.kind == KIND_ATTACHMENT && attachment_owes(&object->attachment, ret);
}

bool object_is_unsettled(const union any *object)
{
	enum work_type ignored;

	return owes(object, &ignored);
}

static int volume_work(struct tx *tx, const struct volume *v, enum work_type type, struct work *w)
{
	w->type = type;
	w->object = v->o.number;
	w->generation = v->generation;
	if (fill_volume(tx, v, w))
		return -ENOENT;
	w->volume.size_bytes = v->size_bytes;
	return 0;
}

static void fill_export(const struct attachment *a, struct backend_export *e)
{
	e->mode = a->mode;
	e->shard = (int)a->shard - 1;
	text_copy(e->initiator, sizeof(e->initiator), a->host_initiator);
	text_copy(e->chap_user, sizeof(e->chap_user), a->chap_user);
	text_copy(e->chap_secret, sizeof(e->chap_secret), a->chap_secret);
}

static int attachment_work(struct core *core, struct tx *tx, const struct attachment *a,
			   enum work_type type, struct work *w)
{
	union any volume;
	int rc = object_get_kind(tx, a->o.parent, KIND_VOLUME, &volume);

	if (!rc)
		rc = fill_volume(tx, &volume.volume, w);
	if (rc)
		return -ENOENT;
	w->type = type;
	w->object = a->o.number;
	w->generation = a->generation;
	fill_export(a, &w->want);
	if (type == WORK_ATTACH) {
		w->switches = a->effective_mode && a->effective_mode != a->mode;
		w->sessions_forbid = w->switches;
	} else if (type == WORK_DETACH) {
		w->sessions_forbid = a->effective_mode != ACCESS_NONE;
	}
	w->sessions_forbid = w->sessions_forbid && !ask_is_fresh(core, a);
	return 0;
}

struct works {
	struct core *core;
	struct tx *tx;
	work_fn *fn;
	void *arg;
};

static int one_work(void *arg, uint64_t number, struct text name)
{
	struct works *s = arg;
	struct work w = {0};
	enum work_type type;
	union any object;
	int rc = object_get(s->tx, number, &object);

	(void)name;
	if (rc || !owes(&object, &type))
		return rc == -ENOENT ? 0 : rc;
	rc = object.o.kind == KIND_VOLUME
		     ? volume_work(s->tx, &object.volume, type, &w)
		     : attachment_work(s->core, s->tx, &object.attachment, type, &w);
	return rc == -ENOENT ? 0 : rc ? rc : s->fn(s->arg, &w);
}

int core_works(struct core *core, uint64_t volume, work_fn *fn, void *arg)
{
	struct tx tx;
	struct works s = {core, &tx, fn, arg};
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = one_work(&s, volume, TEXT_NONE);
	if (!rc)
		rc = object_children(&tx, (struct ref){volume, VOLUME_ATTACHMENTS}, 0, one_work, &s);
	store_read_end(&tx);
	return rc;
}

static int one_export(void *arg, uint64_t number, struct text name)
{
	struct works *s = arg;
	struct work w = {0};
	union any a;
	int rc = object_get_kind(s->tx, number, KIND_ATTACHMENT, &a);

	(void)name;
	if (rc || a.attachment.status != ATTACHMENT_ATTACHED)
		return rc;
	rc = attachment_work(s->core, s->tx, &a.attachment, WORK_ATTACH, &w);
	return rc == -ENOENT ? 0 : rc ? rc : s->fn(s->arg, &w);
}

int core_exports(struct core *core, uint64_t volume, work_fn *fn, void *arg)
{
	struct tx tx;
	struct works s = {core, &tx, fn, arg};
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = object_children(&tx, (struct ref){volume, VOLUME_ATTACHMENTS}, 0, one_export, &s);
	store_read_end(&tx);
	return rc;
}

int core_volume(struct core *core, uint64_t number, struct backend_volume *ret, char *pool)
{
	struct work w = {0};
	union any volume;
	struct tx tx;
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = object_get_kind(&tx, number, KIND_VOLUME, &volume);
	if (!rc)
		rc = fill_volume(&tx, &volume.volume, &w);
	store_read_end(&tx);
	if (rc)
		return rc;
	*ret = w.volume;
	text_copy(pool, NAME_BYTES_MAX + 1, text_of(w.pool));
	ret->pool = pool;
	return 0;
}

int core_connection(struct core *core, uint64_t attachment, struct backend_connection *ret)
{
	union any object;
	struct attachment *a = &object.attachment;
	struct tx tx;
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = object_get_kind(&tx, attachment, KIND_ATTACHMENT, &object);
	if (!rc) {
		*ret = (struct backend_connection){.target_lun = (unsigned)a->target_lun,
						   .chap = a->chap,
						   .shard = (int)a->shard - 1};
		text_copy(ret->target_iqn, sizeof(ret->target_iqn), a->target_iqn);
		text_copy(ret->target_portal, sizeof(ret->target_portal), a->target_portal);
	}
	store_read_end(&tx);
	return rc;
}

/* ---- which volumes a dock has to look after ---- */

struct volumes {
	struct tx *tx;
	uint64_t dock;
	volume_fn *fn;
	void *arg;
};

static int is_attached(void *arg, uint64_t number, struct text name)
{
	union any a;
	int rc = object_get_kind(arg, number, KIND_ATTACHMENT, &a);

	(void)name;
	return rc ? rc : !attachment_is_out(&a.attachment);
}

static int tell_volume(struct volumes *s, const union any *volume)
{
	char id[UUID_TEXT_SIZE];
	int busy = object_children(s->tx, (struct ref){volume->o.number, VOLUME_ATTACHMENTS}, 0,
				   is_attached, s->tx);

	if (busy < 0)
		return busy;
	volume_backing(&volume->volume, id);
	return s->fn(s->arg, volume->o.number, id,
		     busy || volume->volume.status != VOLUME_AVAILABLE);
}

static int volume_in_pool(void *arg, uint64_t number, struct text name)
{
	struct volumes *s = arg;
	union any volume;
	int rc = object_get_kind(s->tx, number, KIND_VOLUME, &volume);

	(void)name;
	return rc ? rc : tell_volume(s, &volume);
}

static int pool_in_dock(void *arg, uint64_t number, struct text name)
{
	struct volumes *s = arg;

	(void)name;
	return object_children(s->tx, (struct ref){number, POOL_VOLUMES}, 0, volume_in_pool, s);
}

/* Volumes that are being purged are in no pool's directory any more. */
static int purged_volume(void *arg, struct text key, struct text value)
{
	struct volumes *s = arg;
	uint64_t number = key_to_u64(key.p);
	union any volume, pool;

	(void)value;
	if (object_get_kind(s->tx, number, KIND_VOLUME, &volume) ||
	    volume.o.container || object_get_kind(s->tx, volume.volume.pool, KIND_POOL, &pool) ||
	    pool.o.parent != s->dock)
		return 0;
	return tell_volume(s, &volume);
}

int core_volumes(struct core *core, uint64_t dock, volume_fn *fn, void *arg)
{
	struct tx tx;
	struct volumes s = {.tx = &tx, .dock = dock, .fn = fn, .arg = arg};
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = object_children(&tx, (struct ref){dock, DOCK_POOLS}, 0, pool_in_dock, &s);
	if (!rc)
		rc = tx_scan(&tx, TABLE_PURGES, TEXT_NONE, TEXT_NONE, purged_volume, &s);
	store_read_end(&tx);
	return rc;
}
