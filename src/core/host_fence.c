/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing a host: every attachment that is its, by name or by initiator, at the same time. */
#include <errno.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"
#include "core.h"

/* ---- which attachments are a host's ---- */

struct members {
	uint64_t *numbers;
	size_t n, size;
};

static int add_member(void *arg, uint64_t number, struct text name)
{
	struct members *m = arg;

	(void)name;
	if (m->n == m->size) {
		size_t size = m->size ? 2 * m->size : 8;
		uint64_t *numbers = reallocarray(m->numbers, size, sizeof(*numbers));

		if (!numbers)
			return -ENOMEM;
		m->numbers = numbers;
		m->size = size;
	}
	m->numbers[m->n++] = number;
	return 0;
}

static int add_link(void *arg, const char *name, struct ref link)
{
	(void)name;
	return add_member(arg, link.object, TEXT_NONE);
}

static struct text initiator_of(const struct host *h, char room[ISCSI_NAME_MAX + 1])
{
	text_lower(room, ISCSI_NAME_MAX + 1, h->initiator);
	return text_of(room);
}

struct of_initiator {
	struct text initiator;
	struct members *members;
};

static int add_of_initiator(void *arg, const union any *a)
{
	struct of_initiator *o = arg;

	return text_equal(a->attachment.host_initiator, o->initiator)
		       ? add_member(o->members, a->o.number, TEXT_NONE)
		       : 0;
}

/*
 * Some may be listed twice. They are listed first because fencing them writes. By initiator all
 * attachments are looked at: fencing is rare, and each attach would have to write an index.
 */
static int list_members(struct change *c, const struct host *h, struct members *ret)
{
	char room[ISCSI_NAME_MAX + 1];
	struct of_initiator o = {initiator_of(h, room), ret};
	int rc = links_of_host.list(c->tx, &h->o, 0, add_link, ret);

	if (!rc && o.initiator.n)
		rc = object_each(c->tx, KIND_ATTACHMENT, 0, add_of_initiator, &o);
	return rc;
}

/* ---- fencing ---- */

static int fence_member(struct change *c, struct host *h, uint64_t number)
{
	union any object;
	struct attachment *a = &object.attachment;
	int rc = change_load(c, number, KIND_ATTACHMENT, &object);

	if (rc || attachment_is_out(a) || a->fenced_by == h->o.number)
		return rc == -ENOENT ? 0 : rc;
	if (a->status == ATTACHMENT_FENCING && a->fenced_by)
		return error_set(c->err, EBUSY, "%s is just being fenced with another host: wait",
				 a->o.name);
	if (a->status != ATTACHMENT_FENCING)
		rc = attachment_begin_fence(c, a, 0);
	a->fenced_by = h->o.number;
	h->fence_pending++;
	return rc ? rc : change_save(c, &object);
}

static int fence_members(struct change *c, struct host *h)
{
	struct members m = {0};
	int rc = list_members(c, h, &m);

	h->fence_pending = 0;
	for (size_t i = 0; i < m.n && !rc; i++)
		rc = fence_member(c, h, m.numbers[i]);
	free(m.numbers);
	return rc;
}

/* `fenced` goes on showing what is true; what was written is kept until it is. */
static void wait_for_proof(struct change *c, union any *now, const union any *before)
{
	struct host *h = &now->host;

	h->fence_raw = h->o.attr[HOST_FENCE].raw;
	h->o.attr[HOST_FENCE] = before->o.attr[HOST_FENCE];
	h->fenced = before->host.fenced;
	change_wait(c, h->o.number, h->generation, c->core->attach_timeout_ms);
}

static int fence(struct change *c, union any *now, const union any *before)
{
	struct host *h = &now->host;
	int rc;

	if (h->fence == HOST_FENCED)
		return 0;
	if (h->fence == HOST_FENCING) {
		wait_for_proof(c, now, before);
		return 0;
	}
	h->generation++;
	h->fence = HOST_FENCING;
	rc = link_add_fenced(c, h);
	if (!rc)
		rc = fence_members(c, h);
	if (rc)
		return rc;
	if (h->fence_pending) {
		wait_for_proof(c, now, before);
		return 0;
	}
	h->fence = HOST_FENCED;
	c->intent->wait_object = 0;
	return change_event(c, "fenced", SELF(h->o.number), NULL);
}

/* ---- taking it back ---- */

/* One that was fenced for itself, too, stays so. */
static int release_member(struct change *c, const struct host *h, uint64_t number)
{
	union any object;
	struct attachment *a = &object.attachment;
	int rc = change_load(c, number, KIND_ATTACHMENT, &object);

	if (rc || a->fenced_by != h->o.number)
		return rc == -ENOENT ? 0 : rc;
	a->fenced_by = 0;
	if (a->status == ATTACHMENT_FENCED && !a->fence_own) {
		a->status = ATTACHMENT_RESERVED;
		rc = volume_touch_number(c, a->o.parent);
	}
	return rc ? rc : change_save(c, &object);
}

static int unfence(struct change *c, struct host *h)
{
	struct members m = {0};
	int rc;

	if (h->fence == HOST_FENCING)
		return error_set(c->err, EBUSY,
				 "host %s is being fenced, which is not called off halfway: wait "
				 "until it is fenced",
				 h->o.name);
	if (h->fence == HOST_NOT_FENCED)
		return 0;
	h->fence = HOST_NOT_FENCED;
	rc = link_remove_fenced(c, h);
	if (!rc)
		rc = list_members(c, h, &m);
	for (size_t i = 0; i < m.n && !rc; i++)
		rc = release_member(c, h, m.numbers[i]);
	free(m.numbers);
	return rc;
}

int host_set_fenced(struct change *c, union any *now, const union any *before)
{
	return now->host.fenced ? fence(c, now, before) : unfence(c, &now->host);
}

/* ---- what attachments ask and tell ---- */

struct search {
	struct tx *tx;
	const struct attachment *a;
	char name[NAME_BYTES_MAX + 1];
};

static int is_fenced_host(void *arg, uint64_t number, struct text name)
{
	char room[ISCSI_NAME_MAX + 1];
	struct search *s = arg;
	union any host;
	int rc = object_get_kind(s->tx, number, KIND_HOST, &host);

	text_copy(s->name, sizeof(s->name), name);
	if (rc)
		return rc;
	return text_is(name, s->a->o.name) ||
	       text_equal(initiator_of(&host.host, room), s->a->host_initiator);
}

int host_check_fenced(struct change *c, const struct attachment *a)
{
	struct search s = {c->tx, a, ""};
	int rc = object_children(c->tx, (struct ref){ROOT_OBJECT, ROOT_FENCED}, 0,
				 is_fenced_host, &s);

	if (rc == 1)
		return error_set(c->err, EPERM, "host %s is fenced: echo 0 > hosts/%s/fenced first",
				 s.name, s.name);
	return rc;
}

int host_member_fenced(struct change *c, uint64_t number)
{
	union any object;
	struct host *h = &object.host;
	struct text raw;
	int rc = change_load(c, number, KIND_HOST, &object);

	if (rc)
		return rc;
	if (h->fence_pending)
		h->fence_pending--;
	if (h->fence_pending || h->fence != HOST_FENCING)
		return change_save(c, &object);
	h->fence = HOST_FENCED;
	h->o.last_error = TEXT_NONE;
	raw = change_keep(c, h->fence_raw);
	h->fence_raw = TEXT_NONE;
	rc = raw.p ? change_set_raw(c, &object, HOST_FENCE, raw.p) : -ENOMEM;
	if (!rc)
		rc = change_event(c, "fenced", SELF(number), NULL);
	return rc ? rc : change_save(c, &object);
}

int host_member_postponed(struct change *c, uint64_t number, uint64_t volume, struct text why)
{
	union any object, v;
	BUF_AUTO(said);
	int rc = change_load(c, number, KIND_HOST, &object);

	if (!rc)
		rc = object_get_kind(c->tx, volume, KIND_VOLUME, &v);
	if (rc)
		return rc;
	buf_printf(&said, "volume %s: %.*s", v.o.name, TEXT_ARG(why));
	change_set_error(c, &object, buf_as_text(&said));
	return buf_error(&said) ?: change_save(c, &object);
}
