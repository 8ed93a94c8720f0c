/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume's attachments make of its status: always computed, never stored. */
#include <errno.h>
#include <stdlib.h>

#include "core.h"

struct tallying {
	struct tx *tx;
	struct tally tally;
};

static int tally_one(void *arg, uint64_t number, struct text name)
{
	struct tallying *t = arg;
	struct tally *sum = &t->tally;
	union any a;
	int rc = object_get_kind(t->tx, number, KIND_ATTACHMENT, &a);

	if (rc)
		return rc;
	if (a.attachment.status == ATTACHMENT_DRAFT) {
		sum->drafts++;
		return 0;
	}
	if (!sum->total++)
		text_copy(sum->holder, sizeof(sum->holder), name);
	switch ((enum attachment_status)a.attachment.status) {
	case ATTACHMENT_RESERVED:
	case ATTACHMENT_FENCED:
	case ATTACHMENT_DRAFT:
		sum->reserved++;
		return 0;
	case ATTACHMENT_ATTACHING:
		sum->attaching++;
		break;
	case ATTACHMENT_ATTACHED:
		sum->attached++;
		break;
	case ATTACHMENT_DETACHING:
	case ATTACHMENT_FENCING:
		sum->detaching++;
		break;
	case ATTACHMENT_ERROR:
		sum->error++;
		break;
	}
	sum->writers += a.attachment.mode == ACCESS_RW;
	return 0;
}

int volume_tally(struct tx *tx, uint64_t volume, struct tally *ret)
{
	struct tallying t = {.tx = tx};
	int rc = object_children(tx, (struct ref){volume, VOLUME_ATTACHMENTS}, 0, tally_one, &t);

	if (!rc)
		*ret = t.tally;
	return rc;
}

/* A failed attachment counts as a reservation: it holds the volume and nothing else. */
const char *volume_status_text(const struct volume *v, const struct tally *t)
{
	switch ((enum volume_status)v->status) {
	case VOLUME_NEW:
		return v->o.name[0] == '.' ? "draft" : "new";
	case VOLUME_CREATING:
	case VOLUME_MOVING:
		return "creating";
	case VOLUME_DELETING:
		return "deleting";
	case VOLUME_EXTENDING:
	case VOLUME_AVAILABLE:
		break;
	}
	if (t->attached)
		return "in-use";
	if (t->attaching)
		return "attaching";
	if (t->detaching)
		return "detaching";
	if (t->reserved || t->error)
		return "reserved";
	return v->status == VOLUME_EXTENDING ? "extending" : "available";
}

/* What is shown of it. Whatever the others are, one that is attached decides. */
struct shown {
	const char *status;
	bool attached;
};

static int until_attached(void *arg, uint64_t number, struct text name)
{
	const struct tallying *t = arg;

	return tally_one(arg, number, name) ?: t->tally.attached > 0;
}

static int look_at(struct tx *tx, const struct volume *v, struct shown *ret)
{
	struct tallying t = {.tx = tx};
	int rc = object_children(tx, (struct ref){v->o.number, VOLUME_ATTACHMENTS}, 0,
				 until_attached, &t);

	if (rc >= 0)
		*ret = (struct shown){volume_status_text(v, &t.tally), t.tally.attached};
	return rc < 0 ? rc : 0;
}

int volume_render_status(struct view *view, const union any *object, struct buf *out)
{
	struct shown shown;
	int rc = look_at(view->tx, &object->volume, &shown);

	if (!rc)
		buf_printf(out, "%s\n", shown.status);
	return rc;
}

int volume_render_attach_status(struct view *view, const union any *object, struct buf *out)
{
	struct shown shown;
	int rc = look_at(view->tx, &object->volume, &shown);

	if (!rc)
		buf_str(out, shown.attached ? "attached\n" : "detached\n");
	return rc;
}

/* ---- when it has changed ---- */

/* A volume that a change touches, and what was shown of it before. */
struct touched {
	uint64_t volume;
	struct shown before;
};

/* A change that touches it twice does so in a row. */
int volume_touch(struct change *c, const struct volume *v)
{
	struct touched *last = c->n_touched ? &c->touched[c->n_touched - 1] : NULL;

	if (last && last->volume == v->o.number)
		return 0;
	if (c->n_touched == c->touched_size) {
		size_t size = c->touched_size ? 2 * c->touched_size : 1;
		struct touched *touched = reallocarray(c->touched, size, sizeof(*touched));

		if (!touched)
			return -ENOMEM;
		c->touched = touched;
		c->touched_size = size;
	}
	last = &c->touched[c->n_touched++];
	last->volume = v->o.number;
	return look_at(c->tx, v, &last->before);
}

int volume_touch_number(struct change *c, uint64_t number)
{
	union any volume;
	int rc = object_get_kind(c->tx, number, KIND_VOLUME, &volume);

	return rc ? rc : volume_touch(c, &volume.volume);
}

int volume_stamp(struct change *c, const struct volume *before, const struct volume *now)
{
	bool same = before->status == now->status &&
		    (before->o.name[0] == '.') == (now->o.name[0] == '.');

	return same ? 0 : volume_touch(c, before);
}

static int stamp(struct change *c, const struct touched *t)
{
	struct shown now;
	union any volume;
	int rc = change_load(c, t->volume, KIND_VOLUME, &volume);

	if (!rc)
		rc = look_at(c->tx, &volume.volume, &now);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (strcmp(now.status, t->before.status))
		change_touch(c, &volume, VOLUME_STATUS);
	if (now.attached != t->before.attached)
		change_touch(c, &volume, VOLUME_ATTACH_STATUS);
	return change_save_times(c, &volume);
}

int volumes_touched(struct change *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_touched && !rc; i++)
		rc = stamp(c, &c->touched[i]);
	return rc;
}
