/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a change leaves beside its records: notes for kernels, work, who waits, the audit log. */
#include <errno.h>
#include <stdlib.h>

#include "core.h"

void change_note(struct change *c, const struct note *note)
{
	struct intent *i = c->intent;

	if (i->n_notes == i->notes_size) {
		size_t size = i->notes_size ? 2 * i->notes_size : 4;
		struct note *notes = realloc(i->notes, size * sizeof(*notes));

		if (!notes)
			return; /* the kernel forgets by itself after its timeout */
		i->notes = notes;
		i->notes_size = size;
	}
	i->notes[i->n_notes++] = *note;
}

void change_note_attrs(struct change *c, enum kind kind, uint64_t number)
{
	change_note(c, &(struct note){.type = NOTE_ATTRS, .ref = SELF(number), .kind = kind});
}

static int note_attachment(void *arg, const char *name, struct ref link)
{
	static const uint8_t defaults[] = {ATTACHMENT_INITIATOR, ATTACHMENT_IP,
					   ATTACHMENT_OS_TYPE, ATTACHMENT_PLATFORM};
	struct change *c = arg;

	(void)name;
	change_note_attrs(c, KIND_ATTACHMENT, link.object);
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		change_note(c, &(struct note){.type = NOTE_NODE,
					      .ref = {link.object, defaults[i]}});
	return 0;
}

static int note_pool(void *arg, uint64_t number, struct text name)
{
	(void)name;
	change_note_attrs(arg, KIND_POOL, number);
	return 0;
}

int change_note_dependents(struct change *c, const union any *object)
{
	struct object_head parent;

	if (object->o.kind == KIND_HOST)
		return links_of_host.list(c->tx, &object->o, 0, note_attachment, c);
	if (object->o.kind == KIND_DOCK)
		return object_children(c->tx, (struct ref){object->o.number, DOCK_POOLS}, 0,
				       note_pool, c);
	if (object->o.kind == KIND_KEY && !object_get_head(c->tx, object->o.parent, &parent))
		change_note_attrs(c, parent.kind, object->o.parent);
	return 0;
}

static int note_one(void *arg, uint64_t number, struct text name)
{
	(void)name;
	change_note_attrs(arg, KIND_ATTACHMENT, number);
	return 0;
}

int change_note_owner(struct change *c, const union any *object)
{
	if (object->o.kind != KIND_VOLUME)
		return 0;
	return object_children(c->tx, (struct ref){object->o.number, VOLUME_ATTACHMENTS}, 0,
			       note_one, c);
}

void change_wait(struct change *c, uint64_t object, uint64_t generation, unsigned ms)
{
	c->intent->wait_object = object;
	c->intent->wait_generation = generation;
	c->intent->wait_ms = ms;
}

int change_kick(struct change *c, uint64_t dock, uint64_t volume)
{
	struct intent *i = c->intent;

	if (i->n_kicks == i->kicks_size) {
		size_t size = i->kicks_size ? 2 * i->kicks_size : 1;
		struct kicked *kicks = reallocarray(i->kicks, size, sizeof(*kicks));

		if (!kicks)
			return -ENOMEM;
		i->kicks = kicks;
		i->kicks_size = size;
	}
	i->kicks[i->n_kicks++] = (struct kicked){dock, volume};
	return 0;
}

/* A text without control characters other than tabs. */
static void add_string(struct buf *line, struct text t)
{
	size_t plain = 0; /* so many bytes before `i` are as they are */

	buf_str(line, "\"");
	for (size_t i = 0; i < t.n; i++, plain++) {
		if (t.p[i] != '"' && t.p[i] != '\\' && t.p[i] != '\t')
			continue;
		buf_add(line, t.p + i - plain, plain);
		buf_str(line, t.p[i] == '"' ? "\\\"" : t.p[i] == '\t' ? "\\t" : "\\\\");
		plain = (size_t)-1;
	}
	buf_add(line, t.p + t.n - plain, plain);
	buf_str(line, "\"");
}

/* One line of JSON: when, what, where, who, and what there is to say about it. */
int change_event(struct change *c, const char *event, struct ref ref, const char *detail)
{
	BUF_AUTO(line);
	BUF_AUTO(path);
	BUF_AUTO(said);

	if (detail)
		buf_line(&said, text_of(detail));
	if (ref.node)
		core_path(c->tx, ref, &path);
	if (buf_error(&path) || buf_error(&said))
		return -ENOMEM;
	buf_str(&line, "{\"time\":\"");
	value_time.format(&c->now, &line);
	buf_str(&line, "\",\"event\":\"");
	buf_str(&line, event);
	buf_str(&line, "\",\"path\":");
	add_string(&line, buf_as_text(&path));
	buf_str(&line, ",\"uid\":");
	buf_number(&line, c->intent->caller.uid, 1);
	buf_str(&line, ",\"pid\":");
	buf_number(&line, (uint64_t)c->intent->caller.pid, 1);
	if (said.len) {
		buf_str(&line, ",\"detail\":");
		add_string(&line, buf_as_text(&said));
	}
	buf_str(&line, "}\n");
	if (line.len > EVENT_BYTES_MAX)
		return -EMSGSIZE;
	return buf_error(&line) ?: tx_event_add(c->tx, buf_as_text(&line));
}
