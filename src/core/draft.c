/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drafts: objects that only keep what is written, until a rename makes them real, all at once. */
#include <errno.h>
#include <stdio.h>

#include "core.h"

/*
 * An object whose name begins with a dot is a draft, and so is an attachment in a draft of a
 * volume. Values are checked when they are written, as far as that needs nothing else; rules and
 * backends are asked when the draft is renamed: as if it were made then and all its attributes
 * written, those that make a backend work last, in one change that is refused as a whole.
 */
bool object_is_draft(const union any *object)
{
	return object->o.name[0] == '.' || (object->o.kind == KIND_ATTACHMENT &&
					    object->attachment.status == ATTACHMENT_DRAFT);
}

int draft_check_name(const struct node *container, const char *name, struct error *err)
{
	bool draft = name[0] == '.' && container->child != KIND_KEY;
	int rc = check_name(container, draft ? name + 1 : name, err);

	if (rc || strlen(name) <= NAME_BYTES_MAX)
		return rc;
	return error_set(err, EINVAL, "not a name: at most %d characters in all", NAME_BYTES_MAX);
}

/* Is an attachment that is made in this volume a draft, whatever its name? The one who makes
 * the volume may do it in any order, as programs do that copy a tree. */
static int volume_holds_drafts(struct change *c, const struct intent *i, bool *ret)
{
	union any volume;
	int rc = object_get_kind(c->tx, i->subject.object, KIND_VOLUME, &volume);

	if (!rc)
		*ret = object_is_draft(&volume) ||
		       (i->by_maker && volume.volume.status == VOLUME_NEW);
	return rc;
}

int draft_begin(struct change *c, const struct intent *i, union any *object, bool *ret)
{
	bool is = object->o.name[0] == '.';
	int rc = 0;

	if (object->o.kind == KIND_ATTACHMENT) {
		if (!is)
			rc = volume_holds_drafts(c, i, &is);
		if (is)
			object->attachment.status = ATTACHMENT_DRAFT;
	}
	*ret = is;
	return rc;
}

/* ---- the draft becomes real ---- */

static bool was_written(const union any *object, unsigned node)
{
	return object->o.attr[node].flags & ATTR_HAS_RAW;
}

/* The object as mkdir would have made it, but for its owner, times and so on. */
static union any strip(const union any *draft)
{
	const struct kind_ops *ops = kinds[draft->o.kind];
	union any bare = *draft;

	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++) {
		const struct node *node = &ops->nodes[i];
		struct attr_state *a = &bare.o.attr[i];

		if (!was_written(draft, i))
			continue;
		a->flags = (uint8_t)(a->flags & ~ATTR_HAS_RAW);
		a->raw = TEXT_NONE;
		if (node->value->is_text)
			*(struct text *)value_field(node, &bare) = TEXT_NONE;
		else
			*(uint64_t *)value_field(node, &bare) = node->initial;
	}
	bare.o.last_error = TEXT_NONE;
	if (bare.o.kind == KIND_ATTACHMENT)
		bare.attachment.status = ATTACHMENT_RESERVED;
	return bare;
}

/* Writes what the draft holds: what makes a backend work, or everything else. */
static int write_all(struct change *c, const union any *draft, union any *object, bool acts)
{
	const struct kind_ops *ops = kinds[draft->o.kind];
	int rc = 0;

	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes && !rc; i++)
		if (was_written(draft, i) && !(ops->nodes[i].flags & NODE_ACTS) == !acts)
			rc = set_value(c, object, (uint8_t)i, draft->o.attr[i].raw);
	return rc;
}

static int move_to(struct change *c, union any *object, const char *name)
{
	struct ref container = {object->o.parent, object->o.container};
	int rc;

	if (!strcmp(object->o.name, name))
		return 0;
	rc = change_unlink(c, object);
	return rc ? rc : change_link(c, object, container, name);
}

/* What to call it again if the backend fails. */
static void remember_name(struct change *c, const union any *draft, union any *object)
{
	struct text name = draft->o.name[0] == '.' ? change_keep(c, text_of(draft->o.name))
						  : TEXT_NONE;

	if (object->o.kind == KIND_VOLUME && object->volume.status == VOLUME_CREATING)
		object->volume.draft_name = name;
	if (object->o.kind == KIND_ATTACHMENT &&
	    object->attachment.status == ATTACHMENT_ATTACHING)
		object->attachment.draft_name = name;
}

static int make_real(struct change *c, const union any *draft, const char *name)
{
	const struct kind_ops *ops = kinds[draft->o.kind];
	union any object = strip(draft);
	int rc = move_to(c, &object, name);

	if (!rc && ops->create)
		rc = ops->create(c, &object);
	if (!rc)
		rc = write_all(c, draft, &object, false);
	if (!rc)
		rc = write_all(c, draft, &object, true);
	if (rc)
		return rc;
	remember_name(c, draft, &object);
	rc = change_save(c, &object);
	return rc || object.o.kind != KIND_VOLUME ? rc : draft_attachments(c, object.o.number);
}

/* In a draft of a volume it stays one, under any name. */
static int stays_draft(struct change *c, const union any *object, const char *name, bool *ret)
{
	union any volume;
	int rc = 0;

	*ret = name[0] == '.';
	if (!*ret && object->o.kind == KIND_ATTACHMENT) {
		rc = object_get_kind(c->tx, object->o.parent, KIND_VOLUME, &volume);
		if (!rc)
			*ret = object_is_draft(&volume);
	}
	return rc;
}

int draft_rename(struct change *c, union any *object, const char *name)
{
	bool stays;
	int rc = stays_draft(c, object, name, &stays);

	if (rc)
		return rc;
	if (!stays)
		return make_real(c, object, name);
	rc = move_to(c, object, name);
	return rc ? rc : change_save(c, object);
}

/* ---- the attachments of a volume that has become real ---- */

struct next_draft {
	struct tx *tx;
	uint64_t number;
};

static int find_draft(void *arg, uint64_t number, struct text name)
{
	struct next_draft *next = arg;
	union any a;
	int rc = object_get_kind(next->tx, number, KIND_ATTACHMENT, &a);

	if (rc || a.attachment.status != ATTACHMENT_DRAFT || text_starts(name, "."))
		return rc;
	next->number = number;
	return 1;
}

/* They are reserved in the same change, and attached as soon as the volume is available. */
int draft_attachments(struct change *c, uint64_t volume)
{
	struct next_draft next = {.tx = c->tx};
	union any object;
	int rc = object_get_kind(c->tx, volume, KIND_VOLUME, &object);

	if (rc || object.volume.status != VOLUME_CREATING)
		return rc;
	c->drafts = true;
	while ((rc = object_children(c->tx, (struct ref){volume, VOLUME_ATTACHMENTS},
				     next.number + 1, find_draft, &next)) == 1) {
		rc = change_load(c, next.number, KIND_ATTACHMENT, &object);
		if (!rc)
			rc = make_real(c, &object, object.o.name);
		if (rc)
			break;
	}
	c->drafts = false;
	return rc;
}

/* ---- the backend has failed, and it is a draft again ---- */

/* To its old name, if nobody has taken that meanwhile. */
static int move_back(struct change *c, union any *object, struct text *draft_name)
{
	char name[NAME_BYTES_MAX + 1];
	uint64_t taken;

	text_copy(name, sizeof(name), *draft_name);
	*draft_name = TEXT_NONE;
	if (!name[0] || !object_find(c->tx, (struct ref){object->o.parent, object->o.container},
				     text_of(name), &taken))
		return 0;
	return move_to(c, object, name);
}

int draft_again_attachment(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	int rc = volume_touch_number(c, a->o.parent);

	if (!rc)
		rc = link_remove_attachment(c, a);
	a->host_initiator = TEXT_NONE;
	attachment_drop_connection(a);
	a->status = ATTACHMENT_DRAFT;
	a->when_available = 0;
	if (!rc)
		rc = move_back(c, object, &a->draft_name);
	return rc ? rc : change_save(c, object);
}

struct waiting {
	struct tx *tx;
	uint64_t number;
};

static int find_waiting(void *arg, uint64_t number, struct text name)
{
	struct waiting *w = arg;
	union any a;
	int rc = object_get_kind(w->tx, number, KIND_ATTACHMENT, &a);

	(void)name;
	if (rc || !a.attachment.when_available)
		return rc;
	w->number = number;
	return 1;
}

/* Calls `fn` for each attachment that waits for the volume. */
static int each_waiting(struct change *c, uint64_t volume,
			int (*fn)(struct change *c, union any *attachment))
{
	struct waiting w = {.tx = c->tx};
	union any object;
	int rc;

	while ((rc = object_children(c->tx, (struct ref){volume, VOLUME_ATTACHMENTS}, w.number + 1,
				     find_waiting, &w)) == 1) {
		rc = change_load(c, w.number, KIND_ATTACHMENT, &object);
		if (!rc)
			rc = fn(c, &object);
		if (rc)
			return rc;
	}
	return rc;
}

int draft_again_volume(struct change *c, union any *object)
{
	struct volume *v = &object->volume;
	int rc;

	v->touched = 0; /* nobody was attached */
	rc = change_save(c, object);
	if (!rc)
		rc = each_waiting(c, v->o.number, draft_again_attachment);
	if (!rc)
		rc = change_load(c, v->o.number, KIND_VOLUME, object);
	return rc ? rc : move_back(c, object, &v->draft_name);
}

/* ---- the volume is available ---- */

static int attach_one(struct change *c, union any *object)
{
	struct attachment *a = &object->attachment;
	int rc = a->status == ATTACHMENT_RESERVED ? attachment_attach(c, a) : 0;

	a->when_available = a->status == ATTACHMENT_ATTACHING;
	if (!rc)
		return change_save(c, object);
	if (!c->err->code)
		return rc;
	/* It was possible before: somebody has changed his mind meanwhile. */
	a->status = ATTACHMENT_ERROR;
	a->when_available = 0;
	change_set_error(c, object, text_of(c->err->text));
	*c->err = (struct error){0};
	return change_save(c, object);
}

int draft_volume_available(struct change *c, uint64_t volume)
{
	return each_waiting(c, volume, attach_one);
}

/* ---- who waits for all of it ---- */

static int first_error(void *arg, uint64_t number, struct text name)
{
	struct draft_progress *p = arg;
	union any a;
	int rc = object_get_kind(p->tx, number, KIND_ATTACHMENT, &a);

	if (rc)
		return rc;
	p->busy |= a.attachment.when_available != 0;
	if (a.attachment.status == ATTACHMENT_ERROR && !p->err.code)
		error_set(&p->err, EIO, "attachment %.*s: %.*s", TEXT_ARG(name),
			  TEXT_ARG(a.o.last_error));
	return 0;
}

int draft_progress(struct tx *tx, uint64_t volume, struct draft_progress *ret)
{
	*ret = (struct draft_progress){.tx = tx};
	return object_children(tx, (struct ref){volume, VOLUME_ATTACHMENTS}, 0, first_error, ret);
}
