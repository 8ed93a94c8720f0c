/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing: a host is put out whatever it does, and called fenced only when that was proved. */
#include <errno.h>

#include "core.h"

/* `fenced` goes on showing what is true; what was written is kept until it is. */
static void hold_back(union any *now, const union any *before)
{
	struct attachment *a = &now->attachment;

	a->fence_raw = a->o.attr[ATTACHMENT_FENCE].raw;
	a->o.attr[ATTACHMENT_FENCE] = before->o.attr[ATTACHMENT_FENCE];
	a->fenced = before->attachment.fenced;
	a->fence_own = 1;
}

static int fence(struct change *c, union any *now, const union any *before)
{
	struct attachment *a = &now->attachment;
	unsigned ms = c->core->attach_timeout_ms;

	switch ((enum attachment_status)a->status) {
	case ATTACHMENT_RESERVED: /* no backend was ever told of it */
		a->status = ATTACHMENT_FENCED;
		a->fence_own = 1;
		return volume_touch_number(c, a->o.parent);
	case ATTACHMENT_FENCED:
		a->fence_own = 1;
		return 0;
	case ATTACHMENT_DRAFT: /* whose rules are not asked yet */
		return 0;
	case ATTACHMENT_FENCING:
		hold_back(now, before);
		change_wait(c, a->o.number, a->generation, ms);
		return 0;
	case ATTACHMENT_ATTACHING:
	case ATTACHMENT_ATTACHED:
	case ATTACHMENT_DETACHING:
	case ATTACHMENT_ERROR:
		break;
	}
	hold_back(now, before);
	return attachment_begin_fence(c, a, ms);
}

static int unfence(struct change *c, struct attachment *a)
{
	union any host;

	if (a->status == ATTACHMENT_FENCING)
		return error_set(c->err, EBUSY,
				 "%s is being fenced, which is not called off halfway: wait until it "
				 "is fenced, or rmdir it",
				 a->o.name);
	if (a->status != ATTACHMENT_FENCED)
		return 0;
	if (a->fenced_by && !object_get_kind(c->tx, a->fenced_by, KIND_HOST, &host))
		return error_set(c->err, EPERM,
				 "%s is fenced with its host: echo 0 > hosts/%s/fenced takes it back",
				 a->o.name, host.o.name);
	a->status = ATTACHMENT_RESERVED;
	a->fence_own = 0;
	return volume_touch_number(c, a->o.parent);
}

int attachment_set_fenced(struct change *c, union any *now, const union any *before)
{
	return now->attachment.fenced ? fence(c, now, before) : unfence(c, &now->attachment);
}

/* What was written to `fenced` has come true; if nothing was, what is shown is computed. */
static int show_fenced(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	struct text raw = change_keep(c, a->fence_raw);

	a->fence_raw = TEXT_NONE;
	return raw.p ? change_set_raw(c, object, ATTACHMENT_FENCE, raw.n ? raw.p : NULL)
		     : -ENOMEM;
}

static int follow(struct change *c, union any *object, enum after_fence after,
		  struct failover *ret)
{
	int rc;

	switch (after) {
	case AFTER_STAY:
		return change_save(c, object);
	case AFTER_REMOVE:
		rc = change_event(c, "detached", SELF(object->o.number), NULL);
		return rc ? rc : attachment_detached(c, object);
	case AFTER_FAILOVER:
		return attachment_succeed(c, object, ret);
	}
	return -EINVAL;
}

int attachment_fenced(struct change *c, union any *object, struct failover *ret)
{
	struct attachment *a = &object->attachment;
	enum after_fence after = a->after_fence;
	uint64_t host = a->fenced_by;
	int rc = change_event(c, "fenced", SELF(a->o.number), NULL);

	attachment_drop_connection(a);
	a->status = ATTACHMENT_FENCED;
	a->after_fence = AFTER_STAY;
	if (!rc)
		rc = show_fenced(c, object);
	if (!rc)
		rc = follow(c, object, after, ret);
	return rc || !host ? rc : host_member_fenced(c, host);
}
