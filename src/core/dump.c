/* SPDX-License-Identifier: GPL-2.0-or-later */
/* attachfs --dump: every record as one JSON line, without secrets. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <uuid.h>

#include "core.h"

struct dump {
	struct tx *tx;
	int (*line)(void *arg, struct text json);
	void *arg;
};

/* What is stored of one node: the bytes that were written, or attachfs's own field. */
static json_t *node_json(const struct node *node, const union any *object,
			 const struct attr_state *a)
{
	const void *field = (const char *)object + node->offset;

	if (a->flags & ATTR_HAS_RAW)
		return json_stringn(a->raw.p, a->raw.n);
	if (!(node->flags & NODE_STORED) || node->flags & NODE_SECRET)
		return NULL;
	if (!node->value->is_text)
		return json_integer((json_int_t) * (const uint64_t *)field);
	return json_stringn(((const struct text *)field)->p ?: "", ((const struct text *)field)->n);
}

static json_t *object_json(struct tx *tx, const union any *object)
{
	const struct kind_ops *ops = kinds[object->o.kind];
	char id[UUID_TEXT_SIZE];
	json_t *values = json_object();
	BUF_AUTO(path);

	uuid_unparse_lower(object->o.id, id);
	core_path(tx, SELF(object->o.number), &path);
	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++) {
		json_t *value = ops->nodes[i].type == NODE_NONE
					? NULL
					: node_json(&ops->nodes[i], object, &object->o.attr[i]);

		if (value)
			json_object_set_new(values, ops->nodes[i].name, value);
	}
	return json_pack("{s:I, s:s, s:s, s:s, s:i, s:i, s:i, s:o}", "object",
			 (json_int_t)object->o.number, "kind", ops->name, "path",
			 path.data ?: "", "id", id, "mode", (int)object->o.inode.mode, "uid",
			 (int)object->o.inode.uid, "gid", (int)object->o.inode.gid, "values",
			 values);
}

static int put_line(struct dump *d, json_t *json)
{
	char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int rc = line ? d->line(d->arg, text_of(line)) : -ENOMEM;

	json_decref(json);
	free(line);
	return rc;
}

static int dump_record(void *arg, struct text key, struct text value)
{
	struct dump *d = arg;
	union any object;
	int rc = key.n == 8 ? object_decode(key_to_u64(key.p), value, &object) : -EBADMSG;

	return rc ? rc : put_line(d, object_json(d->tx, &object));
}

static int dump_unsettled(void *arg, struct text key, struct text value)
{
	struct dump *d = arg;
	uint64_t number = key_to_u64(key.p);
	union any object;
	int rc = object_decode(number, value, &object);

	if (rc || !object_is_unsettled(&object))
		return rc;
	return put_line(d, json_pack("{s:I, s:I}", "unsettled", (json_int_t)number, "volume",
				     (json_int_t)(object.o.kind == KIND_VOLUME ? number
									       : object.o.parent)));
}

int core_dump(struct store *store, int (*line)(void *arg, struct text json), void *arg)
{
	struct tx tx;
	struct dump d = {&tx, line, arg};
	int rc = store_read_begin(store, &tx);

	if (rc)
		return rc;
	rc = tx_scan(&tx, TABLE_OBJECTS, TEXT_NONE, TEXT_NONE, dump_record, &d);
	if (!rc)
		rc = tx_scan(&tx, TABLE_OBJECTS, TEXT_NONE, TEXT_NONE, dump_unsettled, &d);
	store_read_end(&tx);
	return rc;
}
