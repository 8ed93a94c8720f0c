/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only ways to alter records: load, save, link, unlink, delete. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <uuid.h>

#include "attachfs/clock.h"
#include "core.h"

/* A record's bytes, kept until the change is over. */
struct copy {
	struct copy *next;
	char bytes[];
};

struct text change_keep(struct change *c, struct text t)
{
	struct copy *copy = malloc(sizeof(*copy) + t.n + 1);

	if (!copy)
		return TEXT_NONE;
	if (t.n)
		memcpy(copy->bytes, t.p, t.n);
	copy->bytes[t.n] = '\0';
	copy->next = c->copies;
	c->copies = copy;
	return (struct text){copy->bytes, t.n};
}

static void drop_copies(struct change *c)
{
	for (struct copy *next; c->copies; c->copies = next) {
		next = c->copies->next;
		free(c->copies);
	}
}

int change_load(struct change *c, uint64_t number, enum kind kind, union any *ret)
{
	struct text record = TEXT_NONE, copy;
	int rc = object_record(c->tx, number, &record);

	if (rc)
		return rc;
	copy = change_keep(c, record);
	if (!copy.p)
		return -ENOMEM;
	if (object_decode(number, copy, ret))
		return error_set(c->err, EIO, "the record of object %" PRIu64 " is damaged",
				 number);
	return ret->o.kind == kind ? 0 : -ENOENT;
}

int change_find(struct change *c, struct ref container, struct text name, enum kind kind,
		union any *ret)
{
	uint64_t number;
	int rc = object_find(c->tx, container, name, &number);

	return rc ? rc : change_load(c, number, kind, ret);
}

int change_new(struct change *c, enum kind kind, struct ref container, const char *name,
	       uint32_t mode, union any *ret)
{
	const struct kind_ops *ops = kinds[kind];
	uint64_t number, taken;
	int rc = object_find(c->tx, container, text_of(name), &taken);

	if (rc != -ENOENT)
		return rc ? rc : error_set(c->err, EEXIST, "%s exists already", name);
	rc = ops->paired ? tx_new_serial(c->tx, PAIRED_SERIAL(~0ULL), &number)
			 : tx_new_number(c->tx, &number);
	if (rc)
		return rc;
	if (ops->paired)
		number |= PAIRED_OBJECT;
	memset(ret, 0, ops->size);
	ret->o.number = number;
	ret->o.kind = kind;
	ret->o.inode = (struct inode_state){.mode = mode & 07777,
					    .uid = c->intent->caller.uid,
					    .gid = c->intent->caller.gid,
					    .atime = c->now,
					    .mtime = c->now};
	ret->o.created = c->now;
	uuid_generate_random(ret->o.id);
	for (unsigned i = 0; i < ops->n_nodes; i++)
		if (ops->nodes[i].initial)
			*(uint64_t *)value_field(&ops->nodes[i], ret) = ops->nodes[i].initial;
	ret->o.parent = container.object;
	ret->o.container = container.node;
	text_copy(ret->o.name, sizeof(ret->o.name), text_of(name));
	return 0;
}

int change_add(struct change *c, union any *object)
{
	int rc = change_link(c, object, (struct ref){object->o.parent, object->o.container},
			     object->o.name);

	return rc ? rc : change_save(c, object);
}

static int store_record(struct change *c, union any *object)
{
	uint8_t room[8];
	BUF_AUTO(record);
	int rc = object_encode(object, &record);

	if (!rc)
		rc = tx_put(c->tx, TABLE_OBJECTS, number_key(room, object->o.number),
			    buf_as_text(&record));
	if (!rc)
		change_note_attrs(c, object->o.kind, object->o.number);
	return rc ? rc : change_note_dependents(c, object);
}

int change_store(struct change *c, union any *object)
{
	int rc = change_stamp(c, object);

	return rc ? rc : store_record(c, object);
}

int change_save_times(struct change *c, union any *object)
{
	object->o.updated = c->now;
	change_stamp_followers(object);
	return store_record(c, object);
}

void change_set_error(struct change *c, union any *object, struct text why)
{
	BUF_AUTO(line);

	buf_line(&line, why);
	object->o.last_error = line.len ? change_keep(c, buf_as_text(&line)) : TEXT_NONE;
}

int change_save(struct change *c, union any *object)
{
	object->o.updated = c->now;
	return change_store(c, object);
}

int change_link(struct change *c, union any *object, struct ref container, const char *name)
{
	struct child_key key;
	uint8_t room[8];
	int rc;

	object->o.parent = container.object;
	object->o.container = container.node;
	if (name != object->o.name)
		text_copy(object->o.name, sizeof(object->o.name), text_of(name));
	rc = tx_put(c->tx, TABLE_CHILDREN, child_by_name(&key, container, text_of(object->o.name)),
		    number_key(room, object->o.number));
	return rc ? rc : index_add(c, container, object->o.number, text_of(object->o.name));
}

int change_unlink(struct change *c, union any *object)
{
	struct ref container = {object->o.parent, object->o.container};
	struct child_key key;
	int rc = tx_delete(c->tx, TABLE_CHILDREN,
			   child_by_name(&key, container, text_of(object->o.name)));

	return rc ? rc : index_remove(c, container, object->o.number);
}

static int first_child(void *arg, uint64_t number, struct text name)
{
	(void)name;
	*(uint64_t *)arg = number;
	return 1;
}

static int delete_keys(struct change *c, union any *object)
{
	const struct kind_ops *ops = kinds[object->o.kind];
	uint64_t number;
	union any key;
	int rc = 0;

	for (uint8_t i = 0; i < ops->n_nodes && !rc; i++) {
		struct ref container = {object->o.number, i};

		if (ops->nodes[i].type != NODE_CHILDREN || ops->nodes[i].child != KIND_KEY)
			continue;
		while ((rc = object_children(c->tx, container, 0, first_child, &number)) == 1) {
			rc = change_load(c, number, KIND_KEY, &key);
			if (!rc)
				rc = change_delete(c, &key);
			if (rc)
				return rc;
		}
	}
	return rc;
}

int change_delete(struct change *c, union any *object)
{
	uint8_t room[8];
	int rc = object->o.container ? change_unlink(c, object) : 0;

	if (!rc)
		rc = delete_keys(c, object);
	if (!rc)
		rc = change_note_dependents(c, object);
	if (!rc)
		rc = tx_delete(c->tx, TABLE_OBJECTS, number_key(room, object->o.number));
	return rc;
}

int change_set_raw(struct change *c, union any *object, uint8_t number, const char *raw)
{
	const struct node *node = node_of(object->o.kind, number);
	struct attr_state *a = &object->o.attr[number];
	struct text kept = raw ? change_keep(c, text_of(raw)) : TEXT_NONE;
	struct text value = text_trim(kept);
	void *field = value_field(node, object);

	if (raw && !kept.p)
		return -ENOMEM;
	if (node->value->is_text)
		*(struct text *)field = TEXT_NONE;
	else
		*(uint64_t *)field = node->initial;
	if (value.n && node->value->parse(value, field))
		return -EINVAL;
	a->raw = kept;
	a->flags = (uint8_t)((a->flags & ~ATTR_HAS_RAW) | (raw ? ATTR_HAS_RAW : 0));
	return 0;
}

int change_run(struct intent *intent, struct tx *tx,
	       int (*apply)(struct change *c, struct intent *intent))
{
	struct change c = {.core = intent->core,
			   .tx = tx,
			   .intent = intent,
			   .err = &intent->err,
			   .now = time_now()};
	int rc = apply(&c, intent);

	if (!rc)
		rc = volumes_touched(&c);
	free(c.touched);
	drop_copies(&c);
	return rc;
}

/* ---- changes of attachfs's own ---- */

struct own_change {
	struct intent intent;
	int (*apply)(struct change *c, void *arg);
	void (*committed)(void *arg);
	void *arg;
};

static int own_change(struct change *c, struct intent *intent)
{
	struct own_change *own = (struct own_change *)intent;

	return own->apply(c, own->arg);
}

/* Never lazy: who runs it goes on at once. It tells what has happened, whether there is room or not. */
static int own_apply(struct tx *tx, struct mutation *m)
{
	int rc = change_run(intent_of(m), tx, own_change);

	m->lazy = false;
	m->vital = true;
	return rc;
}

static void own_done(struct mutation *m)
{
	struct own_change *own = (struct own_change *)intent_of(m);

	if (!m->result && own->committed)
		own->committed(own->arg);
}

int core_run_then(struct core *core, int (*apply)(struct change *c, void *arg),
		  void (*committed)(void *arg), void *arg, struct error *err)
{
	struct own_change own = {
		.intent = {.core = core, .mutation = {.apply = own_apply, .done = own_done}},
		.apply = apply,
		.committed = committed,
		.arg = arg,
	};
	int rc;

	own.intent.caller = (struct caller){getuid(), getgid(), getpid()};
	rc = store_run(core->store, &own.intent.mutation);
	if (rc && err) {
		*err = own.intent.err;
		if (!err->code)
			error_set(err, -rc, "%s", strerror(-rc));
	}
	if (!rc)
		core_tell(core, own.intent.notes, own.intent.n_notes);
	core_kick_all(core, own.intent.kicks, rc ? 0 : own.intent.n_kicks);
	free(own.intent.notes);
	return rc;
}

int core_run(struct core *core, int (*apply)(struct change *c, void *arg), void *arg,
	     struct error *err)
{
	return core_run_then(core, apply, NULL, arg, err);
}
