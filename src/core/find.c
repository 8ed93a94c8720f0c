/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects as they are found: by number, by name, in a container, or all of a kind. */
#include <errno.h>

#include "core.h"

struct text number_key(uint8_t room[8], uint64_t number)
{
	key_u64(room, number);
	return (struct text){(char *)room, 8};
}

/* One request asks for the same record several times in a row. */
int object_record(struct tx *tx, uint64_t number, struct text *ret)
{
	uint8_t key[8];
	int rc = 0;

	if (!tx->last_record.p || tx->last_number != number) {
		tx->last_record = TEXT_NONE;
		rc = tx_get(tx, TABLE_OBJECTS, number_key(key, number), &tx->last_record);
		tx->last_number = number;
	}
	if (!rc)
		*ret = tx->last_record;
	return rc;
}

int object_get(struct tx *tx, uint64_t number, union any *ret)
{
	struct text record;
	int rc;

	if (number & PAIR_OBJECT)
		return eligible_get(tx, number, ret);
	rc = object_record(tx, number, &record);
	if (rc)
		return rc;
	return object_decode(number, record, ret) ? -EIO : 0;
}

int object_get_kind(struct tx *tx, uint64_t number, enum kind kind, union any *ret)
{
	int rc = object_get(tx, number, ret);

	return rc ? rc : ret->o.kind == kind ? 0 : -ENOENT;
}

int object_get_head(struct tx *tx, uint64_t number, struct object_head *ret)
{
	struct text record;
	int rc;

	if (number & PAIR_OBJECT)
		return eligible_get_head(tx, number, ret);
	rc = object_record(tx, number, &record);
	if (rc)
		return rc;
	return object_decode_head(record, ret) ? -EIO : 0;
}

static void begin_child_key(struct child_key *room, struct ref container, uint8_t by)
{
	key_u64(room->bytes, container.object);
	room->bytes[8] = container.node;
	room->bytes[9] = by;
}

struct text child_by_name(struct child_key *room, struct ref container, struct text name)
{
	begin_child_key(room, container, CHILD_BY_NAME);
	memcpy(room->bytes + CHILD_PREFIX, name.p, name.n);
	return (struct text){(char *)room->bytes, CHILD_PREFIX + name.n};
}

struct text child_by_number(struct child_key *room, struct ref container, uint64_t number)
{
	begin_child_key(room, container, CHILD_BY_NUMBER);
	key_u64(room->bytes + CHILD_PREFIX, number);
	return (struct text){(char *)room->bytes, CHILD_PREFIX + 8};
}

int object_find(struct tx *tx, struct ref container, struct text name, uint64_t *ret)
{
	struct child_key room;
	struct text value = TEXT_NONE;
	int rc;

	if (name.n > NAME_BYTES_MAX || !name.n)
		return -ENOENT;
	rc = tx_get(tx, TABLE_CHILDREN, child_by_name(&room, container, name), &value);
	if (rc)
		return rc;
	if (value.n != 8)
		return -EIO;
	*ret = key_to_u64(value.p);
	return 0;
}

struct children {
	child_fn *fn;
	void *arg;
};

static int one_child(void *arg, struct text key, struct text value)
{
	struct children *c = arg;

	return key.n == CHILD_PREFIX + 8 ? c->fn(c->arg, key_to_u64(key.p + CHILD_PREFIX), value)
					 : -EIO;
}

int object_children(struct tx *tx, struct ref container, uint64_t from, child_fn *fn, void *arg)
{
	struct children c = {fn, arg};
	struct child_key room;
	struct text key = child_by_number(&room, container, from);

	return tx_scan(tx, TABLE_CHILDREN, (struct text){key.p, CHILD_PREFIX}, key, one_child, &c);
}

struct each {
	enum kind kind;
	object_fn *fn;
	void *arg;
};

static int one_record(void *arg, struct text key, struct text record)
{
	struct each *e = arg;
	struct object_head head;
	union any object;

	if (key.n != 8 || object_decode_head(record, &head))
		return -EIO;
	if (head.kind != e->kind)
		return 0;
	return object_decode(key_to_u64(key.p), record, &object) ? -EIO : e->fn(e->arg, &object);
}

/* No object has a higher number than those that are numbered apart. */
int object_each(struct tx *tx, enum kind kind, uint64_t from, object_fn *fn, void *arg)
{
	struct each e = {kind, fn, arg};
	uint8_t key[8];

	if (kinds[kind]->paired && from < PAIRED_OBJECT)
		from = PAIRED_OBJECT;
	return tx_scan(tx, TABLE_OBJECTS, TEXT_NONE, number_key(key, from), one_record, &e);
}

uint64_t core_newest(struct view *v, uint64_t number)
{
	return number & PAIRED_OBJECT ? PAIRED_OBJECT | tx_last_serial(v->tx)
				      : tx_last_number(v->tx);
}
