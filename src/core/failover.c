/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Failover: mv attachments/a attachments/b puts a out, provably, and attaches b in its place. */
#include <errno.h>

#include "core.h"

/*
 * It is one intent, kept in a's record (after_fence, successor) until a is out: then a goes, b
 * comes, and b's attaching begins, in one commit. So whenever attachfs is killed either a is
 * being fenced and b has nothing, or a has nothing and b is being attached.
 */

static struct ref container_of(const struct attachment *a)
{
	return (struct ref){a->o.parent, VOLUME_ATTACHMENTS};
}

/*
 * Beside itself under another name, or into the directory of another attachment: what mv makes
 * of "mv a b" when there is a b.
 */
static int find_successor(struct change *c, const struct intent *i, const struct attachment *a,
			  char name[NAME_BYTES_MAX + 1])
{
	union any b;

	if (i->dest.object == i->subject.object && i->dest.node == i->subject.node) {
		text_copy(name, NAME_BYTES_MAX + 1, text_of(i->new_name));
		return 0;
	}
	if (i->dest.node != NODE_SELF || strcmp(i->name, i->new_name) ||
	    object_get_kind(c->tx, i->dest.object, KIND_ATTACHMENT, &b) ||
	    b.o.parent != a->o.parent)
		return error_set(c->err, EINVAL, "attachment %s stays on its volume", a->o.name);
	text_copy(name, NAME_BYTES_MAX + 1, text_of(b.o.name));
	return 0;
}

static int check_existing(struct change *c, const struct attachment *a, struct attachment *b)
{
	switch ((enum attachment_status)b->status) {
	case ATTACHMENT_RESERVED:
	case ATTACHMENT_ERROR:
		b->mode = a->mode;
		return attachment_check(c, b, a->o.number);
	case ATTACHMENT_ATTACHED:
		return b->mode != a->mode ? 0
					  : error_set(c->err, EEXIST,
						      "%s is attached already: rmdir or fence %s",
						      b->o.name, a->o.name);
	case ATTACHMENT_FENCING:
	case ATTACHMENT_FENCED:
		return error_set(c->err, EPERM, "%s is %s: echo 0 > fenced first", b->o.name,
				 attachment_status_names[b->status]);
	case ATTACHMENT_ATTACHING:
	case ATTACHMENT_DETACHING:
	case ATTACHMENT_DRAFT: /* of a volume on which nothing is attached */
		break;
	}
	return error_set(c->err, EBUSY, "%s is %s: wait until it is done", b->o.name,
			 attachment_status_names[b->status]);
}

/* Nobody is put out for the sake of one who cannot come. */
static int check_successor(struct change *c, const struct attachment *a, const char *name,
			   bool is_new)
{
	union any b;
	int rc = change_find(c, container_of(a), text_of(name), KIND_ATTACHMENT, &b);

	if (!rc && is_new)
		return error_set(c->err, EEXIST,
				 "%s exists already: to fail over to it, move %s into its directory",
				 name, a->o.name);
	if (rc != -ENOENT)
		return rc ? rc : check_existing(c, a, &b.attachment);
	memset(&b.attachment, 0, sizeof(b.attachment));
	b.o.parent = a->o.parent;
	b.attachment.mode = a->mode;
	text_copy(b.o.name, sizeof(b.o.name), text_of(name));
	return attachment_check(c, &b.attachment, a->o.number);
}

/* Nothing is attached, so only the name changes. */
static int rename_reserved(struct change *c, union any *object, const char *name)
{
	struct attachment *a = &object->attachment;
	union any taken;
	int rc = change_find(c, container_of(a), text_of(name), KIND_ATTACHMENT, &taken);

	if (!rc)
		return error_set(c->err, EEXIST, "%s exists already", name);
	if (rc != -ENOENT)
		return rc;
	rc = link_remove_attachment(c, a);
	if (!rc)
		rc = change_unlink(c, object);
	if (!rc)
		rc = change_link(c, object, container_of(a), name);
	if (!rc)
		rc = link_add_attachment(c, a);
	if (!rc)
		rc = volume_touch_number(c, a->o.parent);
	return rc ? rc : change_save(c, object);
}

static int begin(struct change *c, union any *object, const char *name)
{
	struct attachment *a = &object->attachment;
	unsigned ms = c->core->detach_timeout_ms;
	int rc = 0;

	if (a->status != ATTACHMENT_FENCING)
		rc = attachment_begin_fence(c, a, ms);
	change_wait(c, a->o.number, a->generation, ms);
	a->after_fence = AFTER_FAILOVER;
	a->successor = change_keep(c, text_of(name));
	if (!rc && !a->successor.p)
		rc = -ENOMEM;
	return rc ? rc : change_save(c, object);
}

/* It is out already, so its successor comes in the same commit, or nothing changes. */
static int succeed_now(struct change *c, union any *object, const char *name)
{
	struct failover f = {0};
	int rc;

	object->attachment.successor = text_of(name);
	rc = attachment_succeed(c, object, &f);
	if (!rc && f.result) {
		*c->err = f.err;
		rc = f.result;
	}
	if (!rc && f.successor)
		change_wait(c, f.successor, f.generation, c->core->detach_timeout_ms);
	return rc;
}

static int fail_over(struct change *c, union any *object, const char *name, bool is_new)
{
	struct attachment *a = &object->attachment;
	bool again = a->status == ATTACHMENT_FENCING && a->after_fence == AFTER_FAILOVER &&
		     text_is(a->successor, name);
	int rc;

	if (again) {
		change_wait(c, a->o.number, a->generation, c->core->detach_timeout_ms);
		return 0;
	}
	if (a->status == ATTACHMENT_DETACHING ||
	    (a->status == ATTACHMENT_FENCING && a->after_fence != AFTER_STAY))
		return error_set(c->err, EBUSY, "%s is %s: wait until it is done", a->o.name,
				 attachment_status_names[a->status]);
	rc = check_successor(c, a, name, is_new);
	if (!rc)
		rc = change_event(c, "failover", SELF(a->o.number), name);
	if (rc)
		return rc;
	return a->status == ATTACHMENT_FENCED ? succeed_now(c, object, name)
					      : begin(c, object, name);
}

int attachment_move(struct change *c, const struct intent *i, union any *object)
{
	struct attachment *a = &object->attachment;
	bool beside = i->dest.node == i->subject.node;
	char name[NAME_BYTES_MAX + 1];
	int rc = find_successor(c, i, a, name);

	c->intent->mutation.vital = true;
	if (rc || !strcmp(name, a->o.name))
		return rc;
	if (a->status != ATTACHMENT_RESERVED)
		return fail_over(c, object, name, beside);
	rc = change_event(c, "rename", SELF(a->o.number), name);
	return rc ? rc : rename_reserved(c, object, name);
}

/* ---- a is out ---- */

/* Its directory is a's, with another name: the same owner and permissions. */
static int make_successor(struct change *c, const struct attachment *a, struct text name,
			  union any *ret)
{
	struct ref container = container_of(a);
	char copy[NAME_BYTES_MAX + 1];
	int rc = change_find(c, container, name, KIND_ATTACHMENT, ret);

	if (rc != -ENOENT)
		return rc;
	text_copy(copy, sizeof(copy), name);
	rc = change_new(c, KIND_ATTACHMENT, container, copy, a->o.inode.mode, ret);
	if (rc)
		return rc;
	ret->o.inode.uid = a->o.inode.uid;
	ret->o.inode.gid = a->o.inode.gid;
	rc = attachment_kind.create(c, ret);
	if (!rc)
		rc = change_add(c, ret);
	return rc ? rc : change_event(c, "make", SELF(ret->o.number), NULL);
}

/* By the rules it cannot be attached now, whatever was possible when the failover began. */
static int refuse_successor(struct change *c, union any *b, const char *mode,
			    struct failover *ret, int rc)
{
	if (!c->err->code)
		error_set(c->err, -rc, "%s", strerror(-rc));
	ret->result = rc;
	ret->err = *c->err;
	rc = 0;
	if (b->attachment.status != ATTACHMENT_ATTACHED) {
		b->attachment.status = ATTACHMENT_ERROR;
		rc = change_set_raw(c, b, ATTACHMENT_MODE, mode);
	}
	change_set_error(c, b, text_of(ret->err.text));
	if (!rc)
		rc = change_event(c, "failed", SELF(b->o.number), ret->err.text);
	return rc ? rc : change_save(c, b);
}

static int attach_successor(struct change *c, const struct attachment *a, union any *b,
			    struct failover *ret)
{
	const struct attr_state *mode = &a->o.attr[ATTACHMENT_MODE];
	const char *raw = mode->flags & ATTR_HAS_RAW ? change_keep(c, mode->raw).p : NULL;
	union any before = *b;
	int rc = change_set_raw(c, b, ATTACHMENT_MODE, raw);

	if (!rc)
		rc = attachment_set_mode(c, b, &before);
	if (rc)
		return refuse_successor(c, &before, raw, ret, rc);
	b->o.last_error = TEXT_NONE;
	if (b->attachment.status == ATTACHMENT_ATTACHING) {
		ret->successor = b->o.number;
		ret->generation = b->attachment.generation;
	}
	return change_save(c, b);
}

/* There is not even a name to put the reason under, so it is the volume's. */
static int tell_volume(struct change *c, uint64_t number, struct failover *ret, int rc)
{
	union any volume;

	if (!c->err->code)
		error_set(c->err, -rc, "%s", strerror(-rc));
	ret->result = rc;
	ret->err = *c->err;
	rc = change_load(c, number, KIND_VOLUME, &volume);
	if (rc)
		return rc;
	change_set_error(c, &volume, text_of(ret->err.text));
	rc = change_event(c, "failed", SELF(number), ret->err.text);
	return rc ? rc : change_save(c, &volume);
}

int attachment_succeed(struct change *c, union any *object, struct failover *ret)
{
	struct attachment *a = &object->attachment;
	struct text name = a->successor;
	union any b;
	int rc = change_event(c, "detached", SELF(a->o.number), NULL);

	if (!rc)
		rc = attachment_detached(c, object);
	if (rc)
		return rc;
	rc = make_successor(c, a, name, &b);
	return rc ? tell_volume(c, a->o.parent, ret, rc) : attach_successor(c, a, &b, ret);
}
