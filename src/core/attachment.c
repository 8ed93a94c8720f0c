/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attachments: reserve, attach, switch, detach: the rules, as far as no backend is needed. */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <uuid.h>

#include "core.h"

const char *const attachment_status_names[] = {
	[ATTACHMENT_RESERVED] = "reserved",   [ATTACHMENT_ATTACHING] = "attaching",
	[ATTACHMENT_ATTACHED] = "attached",   [ATTACHMENT_DETACHING] = "detaching",
	[ATTACHMENT_ERROR] = "error",	      [ATTACHMENT_FENCING] = "fencing",
	[ATTACHMENT_FENCED] = "fenced",	      [ATTACHMENT_DRAFT] = "draft",
};

static uint64_t status_of(const union any *object)
{
	return object->attachment.status;
}

/* Is nothing exported to it, provably? */
bool attachment_is_out(const struct attachment *a)
{
	return a->status == ATTACHMENT_RESERVED || a->status == ATTACHMENT_FENCED ||
	       a->status == ATTACHMENT_DRAFT;
}

/* The volume and its pool. */
struct place {
	union any volume, pool;
};

static int get_place(struct change *c, const struct attachment *a, struct place *ret)
{
	int rc = object_get_kind(c->tx, a->o.parent, KIND_VOLUME, &ret->volume);

	if (rc)
		return rc;
	if (!ret->volume.volume.pool)
		return error_set(c->err, EBUSY, "volume %s is new: write its size first",
				 ret->volume.o.name);
	return object_get_kind(c->tx, ret->volume.volume.pool, KIND_POOL, &ret->pool);
}

static int refuse_second(struct change *c, const struct object *pool)
{
	struct object_head dock;
	int rc = object_get_head(c->tx, pool->parent, &dock);

	return rc ? rc
		  : error_set(c->err, EOPNOTSUPP, "pool %.*s:%s no longer supports multiattach",
			      TEXT_ARG(dock.name), pool->name);
}

/* mkdir: the volume is held from here on, and nothing else happens. */
static int reserve(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	struct place p;
	struct tally t;
	int rc = get_place(c, a, &p);

	if (!rc)
		rc = volume_tally(c->tx, a->o.parent, &t);
	if (rc)
		return rc;
	if (p.volume.volume.status == VOLUME_MOVING)
		return error_set(c->err, EBUSY,
				 "volume %s is being made in another pool: wait until it is "
				 "available",
				 p.volume.o.name);
	if (t.total && !p.volume.volume.multiattach)
		return error_set(c->err, EBUSY,
				 "volume %s is held by %s and multiattach is false: detach %s "
				 "first",
				 p.volume.o.name, t.holder, t.holder);
	if (t.total && !p.pool.pool.multiattach)
		return refuse_second(c, &p.pool.o);
	rc = volume_touch(c, &p.volume.volume);
	return rc ? rc : link_add_attachment(c, a);
}

/* Its own initiator, or that of the host it is named after. */
static int find_initiator(struct change *c, struct attachment *a)
{
	char name[ISCSI_NAME_MAX + 1] = "";
	uint64_t number;
	union any host;

	if (a->initiator.n) {
		text_lower(name, sizeof(name), a->initiator);
	} else if (!object_find(c->tx, (struct ref){ROOT_OBJECT, ROOT_HOSTS}, text_of(a->o.name),
				&number) &&
		   !object_get_kind(c->tx, number, KIND_HOST, &host)) {
		text_lower(name, sizeof(name), host.host.initiator);
	}
	if (!name[0])
		return error_set(c->err, EDESTADDRREQ,
				 "%s has no initiator: write its iSCSI name to initiator here, or to "
				 "hosts/%s/initiator",
				 a->o.name, a->o.name);
	a->host_initiator = change_keep(c, text_of(name));
	return a->host_initiator.p ? 0 : -ENOMEM;
}

/* What the attachments beside it say about attaching this one. */
struct siblings {
	struct change *c;
	const struct attachment *self;
	uint64_t gone; /* another one that does not count */
	unsigned writers;
	char writer[NAME_BYTES_MAX + 1], same_initiator[NAME_BYTES_MAX + 1];
};

static int look_at_sibling(void *arg, uint64_t number, struct text name)
{
	struct siblings *s = arg;
	union any a;
	int rc;

	if (number == s->self->o.number || number == s->gone)
		return 0;
	rc = object_get_kind(s->c->tx, number, KIND_ATTACHMENT, &a);
	if (rc || (attachment_is_out(&a.attachment) && !a.attachment.when_available))
		return rc;
	if (text_equal(a.attachment.host_initiator, s->self->host_initiator))
		text_copy(s->same_initiator, sizeof(s->same_initiator), name);
	if (a.attachment.mode == ACCESS_RW) {
		s->writers++;
		text_copy(s->writer, sizeof(s->writer), name);
	}
	return 0;
}

static int check_siblings(struct change *c, const struct attachment *a, const struct place *p,
			  uint64_t gone)
{
	struct siblings s = {.c = c, .self = a, .gone = gone};
	uint64_t most = p->volume.volume.max_writers;
	int rc = object_children(c->tx, (struct ref){a->o.parent, VOLUME_ATTACHMENTS}, 0,
				 look_at_sibling, &s);

	if (rc)
		return rc;
	if (s.same_initiator[0])
		return error_set(c->err, EBUSY,
				 "%.*s is the initiator of attachment %s already: a host is attached "
				 "once",
				 TEXT_ARG(a->host_initiator), s.same_initiator);
	if (a->mode == ACCESS_RW && most && s.writers >= most)
		return error_set(c->err, EBUSY, "max_writers is %u and %s is attached rw: attach ro, or detach it",
				 (unsigned)most, s.writer);
	return 0;
}

/*
 * The secret is 128 random bits in hex, for this attachment in this generation and never again. The
 * account's name is its own too, and that of the initiator which alone may use it; there is room
 * for half of the attachment's id.
 */
static int make_secret(struct change *c, struct attachment *a)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char random[16];
	char secret[2 * sizeof(random) + 1], user[CHAP_USER_MAX + 1], id[UUID_TEXT_SIZE];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(c->err, EIO, "no random numbers");
	for (size_t i = 0; i < sizeof(random); i++) {
		secret[2 * i] = digits[random[i] >> 4];
		secret[2 * i + 1] = digits[random[i] & 15];
	}
	secret[2 * sizeof(random)] = '\0';
	uuid_unparse_lower(a->o.id, id);
	snprintf(user, sizeof(user), "%.18s.%u@%.*s", id, (unsigned)a->generation,
		 TEXT_ARG(a->host_initiator));
	a->chap_user = change_keep(c, text_of(user));
	a->chap_secret = change_keep(c, text_of(secret));
	return a->chap_user.p && a->chap_secret.p ? 0 : -ENOMEM;
}

static int begin_work(struct change *c, struct attachment *a, const struct place *p,
		      enum attachment_status status, unsigned timeout_ms)
{
	int rc = volume_touch(c, &p->volume.volume);

	if (rc)
		return rc;
	a->after_fence = AFTER_STAY;
	a->draft_name = TEXT_NONE; /* of another attempt */
	a->status = status;
	a->generation++;
	/*
	 * If a power failure undoes the intent, comparing takes back what the backend did for it,
	 * and nobody was told otherwise. A fence must not be forgotten once it was asked for.
	 */
	c->intent->mutation.lazy = status == ATTACHMENT_ATTACHING ||
				   status == ATTACHMENT_DETACHING;
	change_wait(c, a->o.number, a->generation, timeout_ms);
	return change_kick(c, p->pool.o.parent, a->o.parent);
}

/* May it be attached, if attachment `gone` were not there? Finds its host's initiator. */
static int check_attach(struct change *c, struct attachment *a, uint64_t gone, struct place *p)
{
	int rc = get_place(c, a, p);
	uint64_t status;

	if (rc)
		return rc;
	status = p->volume.volume.status;
	if (status != VOLUME_AVAILABLE && status != VOLUME_EXTENDING &&
	    !(c->drafts && status == VOLUME_CREATING))
		return error_set(c->err, EBUSY, "volume %s is not available yet",
				 p->volume.o.name);
	rc = find_initiator(c, a);
	if (!rc)
		rc = host_check_fenced(c, a);
	return rc ? rc : check_siblings(c, a, p, gone);
}

int attachment_check(struct change *c, struct attachment *a, uint64_t gone)
{
	struct place p;

	return check_attach(c, a, gone, &p);
}

/* From here on its bytes may be somebody's. */
static int touch_bytes(struct change *c, uint64_t number)
{
	union any volume;
	int rc = change_load(c, number, KIND_VOLUME, &volume);

	volume.volume.touched = 1;
	return rc ? rc : change_store(c, &volume);
}

int attachment_attach(struct change *c, struct attachment *a)
{
	struct place p;
	int rc = check_attach(c, a, 0, &p);

	if (!rc && !p.volume.volume.touched)
		rc = touch_bytes(c, p.volume.o.number);
	if (!rc && p.volume.volume.status == VOLUME_CREATING) {
		a->when_available = 1;
		return 0;
	}
	change_carry(c, (union any *)a, ATTACHMENT_INITIATOR);
	if (!rc)
		rc = begin_work(c, a, &p, ATTACHMENT_ATTACHING, c->core->attach_timeout_ms);
	if (!rc)
		rc = make_secret(c, a);
	return rc;
}

/* To the other mode, in place: the credentials stay, the worker makes sure of the sessions. */
static int switch_mode(struct change *c, struct attachment *a, const union any *before)
{
	struct place p;
	int rc = get_place(c, a, &p);

	if (!rc)
		rc = check_siblings(c, a, &p, 0);
	if (!rc)
		rc = begin_work(c, a, &p, ATTACHMENT_ATTACHING, c->core->attach_timeout_ms);
	a->mode_before = before->o.attr[ATTACHMENT_MODE].raw;
	return rc;
}

int attachment_set_mode(struct change *c, union any *now, const union any *before)
{
	struct attachment *a = &now->attachment;

	switch ((enum attachment_status)a->status) {
	case ATTACHMENT_RESERVED:
	case ATTACHMENT_ERROR:
		return attachment_attach(c, a);
	case ATTACHMENT_DRAFT: /* whose rules are not asked yet */
		return 0;
	case ATTACHMENT_ATTACHED:
		return a->mode == before->attachment.mode ? 0 : switch_mode(c, a, before);
	case ATTACHMENT_ATTACHING:
		if (a->mode != before->attachment.mode)
			break;
		change_wait(c, a->o.number, a->generation, c->core->attach_timeout_ms);
		return 0;
	case ATTACHMENT_FENCING:
	case ATTACHMENT_FENCED:
		return error_set(c->err, EPERM, "%s is %s: echo 0 > fenced first", a->o.name,
				 attachment_status_names[a->status]);
	case ATTACHMENT_DETACHING:
		break;
	}
	return error_set(c->err, EBUSY, "%s is %s: wait until it is done", a->o.name,
			 attachment_status_names[a->status]);
}

int attachment_begin_fence(struct change *c, struct attachment *a, unsigned timeout_ms)
{
	struct place p;
	int rc = get_place(c, a, &p);

	return rc ? rc : begin_work(c, a, &p, ATTACHMENT_FENCING, timeout_ms);
}

/* The record goes, and every name by which it was found. */
int attachment_detached(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	int rc = volume_touch_number(c, a->o.parent);

	if (!rc)
		rc = link_remove_attachment(c, a);
	return rc ? rc : change_delete(c, object);
}

/* rmdir: done at once if no backend was ever told, else when the host is provably out. */
static int detach(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	struct place p;
	int rc;

	if (a->status == ATTACHMENT_DRAFT)
		return change_delete(c, object);
	if (attachment_is_out(a))
		return attachment_detached(c, object);
	if (a->status == ATTACHMENT_DETACHING || a->status == ATTACHMENT_FENCING) {
		change_wait(c, a->o.number, a->generation, c->core->detach_timeout_ms);
		if (a->status == ATTACHMENT_DETACHING && !a->draft_name.n)
			return 0;
		if (a->after_fence == AFTER_FAILOVER)
			return error_set(c->err, EBUSY, "%s fails over to %.*s: wait", a->o.name,
					 TEXT_ARG(a->successor));
		a->draft_name = TEXT_NONE;
		a->after_fence = AFTER_REMOVE;
		return change_save(c, object);
	}
	rc = get_place(c, a, &p);
	if (!rc)
		rc = begin_work(c, a, &p, ATTACHMENT_DETACHING, c->core->detach_timeout_ms);
	return rc ? rc : change_save(c, object);
}

const struct kind_ops attachment_kind = {
	.name = "attachment",
	.size = sizeof(struct attachment),
	.nodes = attachment_nodes,
	.n_nodes = ATTACHMENT_NODES,
	.status = status_of,
	.status_names = attachment_status_names,
	.directory_mode = 0755,
	.create = reserve,
	.remove = detach,
	.move = attachment_move,
};
