/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume's attachments make of its status: always computed, never stored. */
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

int volume_touch(struct change *c, uint64_t number)
{
	union any volume;
	int rc = change_load(c, number, KIND_VOLUME, &volume);

	if (rc)
		return rc;
	change_touch(c, &volume, VOLUME_STATUS);
	change_touch(c, &volume, VOLUME_ATTACH_STATUS);
	return change_save(c, &volume);
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

int volume_render_status(struct view *view, const union any *object, struct buf *out)
{
	struct tally t;
	int rc = volume_tally(view->tx, object->o.number, &t);

	if (!rc)
		buf_printf(out, "%s\n", volume_status_text(&object->volume, &t));
	return rc;
}

int volume_render_attach_status(struct view *view, const union any *object, struct buf *out)
{
	struct tally t;
	int rc = volume_tally(view->tx, object->o.number, &t);

	if (!rc)
		buf_str(out, t.attached ? "attached\n" : "detached\n");
	return rc;
}
