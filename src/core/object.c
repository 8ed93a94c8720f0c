/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects as bytes and back: one versioned record each, encoded by the attribute tables. */
#include <endian.h>
#include <errno.h>

#include "core.h"

/*
 * A record is a head and then one entry for each node that has something to keep. Integers
 * are little-endian. An unknown version is refused, an unknown node number too: both come
 * from a newer attachfs.
 */
#define RECORD_VERSION 2
#define RECORD_VERSION_OLDEST 1 /* without ENTRY_SAME_TIMES */

enum { ENTRY_RAW = ATTR_HAS_RAW, ENTRY_OWNER = ATTR_HAS_OWNER, ENTRY_TIMES = ATTR_HAS_TIMES,
       ENTRY_FIELD = 8,
       ENTRY_SAME_TIMES = 16, /* those of the last entry with times: they changed together */
};
#define ENTRY_FLAGS (ENTRY_RAW | ENTRY_OWNER | ENTRY_TIMES | ENTRY_FIELD | ENTRY_SAME_TIMES)

struct owner_bytes {
	uint32_t mode, uid, gid;
} __attribute__((packed));

struct times_bytes {
	uint64_t atime, mtime;
} __attribute__((packed));

struct head_bytes {
	uint16_t version;
	uint8_t kind, container;
	uint64_t parent;
	uint8_t id[16];
	struct owner_bytes owner;
	struct times_bytes times;
	uint64_t created, updated;
	uint8_t name_length;
} __attribute__((packed));

const struct kind_ops *const kinds[KINDS] = {
	[KIND_ROOT] = &root_kind,     [KIND_DOCK] = &dock_kind,
	[KIND_POOL] = &pool_kind,     [KIND_HOST] = &host_kind,
	[KIND_VOLUME] = &volume_kind, [KIND_ATTACHMENT] = &attachment_kind,
	[KIND_KEY] = &key_kind,	      [KIND_PROFILE] = &profile_kind,
	[KIND_ELIGIBLE] = &eligible_kind,
};

const struct node *node_of(enum kind kind, uint8_t number)
{
	const struct kind_ops *ops = (unsigned)kind < KINDS ? kinds[kind] : NULL;

	if (!ops || number >= ops->n_nodes || ops->nodes[number].type == NODE_NONE)
		return NULL;
	return &ops->nodes[number];
}

void *value_field(const struct node *node, union any *object)
{
	return (char *)object + node->offset;
}

static struct owner_bytes owner_to_bytes(const struct inode_state *i)
{
	return (struct owner_bytes){htole32(i->mode), htole32(i->uid), htole32(i->gid)};
}

static struct times_bytes times_to_bytes(const struct inode_state *i)
{
	return (struct times_bytes){htole64((uint64_t)i->atime), htole64((uint64_t)i->mtime)};
}

static void owner_from_bytes(struct inode_state *i, const struct owner_bytes *b)
{
	i->mode = le32toh(b->mode);
	i->uid = le32toh(b->uid);
	i->gid = le32toh(b->gid);
}

static void times_from_bytes(struct inode_state *i, const struct times_bytes *b)
{
	i->atime = (int64_t)le64toh(b->atime);
	i->mtime = (int64_t)le64toh(b->mtime);
}

static void encode_bytes(struct buf *out, struct text t)
{
	uint16_t n = htole16((uint16_t)t.n);

	buf_add(out, &n, sizeof(n));
	buf_text(out, t);
}

/* The field of a NODE_STORED row as bytes; numbers in `number`'s room. Empty: nothing to keep. */
static struct text stored_field(const struct node *node, const union any *object,
				uint64_t *room)
{
	const void *field = (const char *)object + node->offset;
	uint64_t value;

	if (!(node->flags & NODE_STORED))
		return TEXT_NONE;
	if (node->value->is_text)
		return *(const struct text *)field;
	value = *(const uint64_t *)field;
	*room = htole64(value);
	return value ? (struct text){(char *)room, sizeof(*room)} : TEXT_NONE;
}

int object_encode(const union any *object, struct buf *out)
{
	const struct object *o = &object->o;
	const struct kind_ops *ops = kinds[o->kind];
	struct head_bytes head = {
		.version = htole16(RECORD_VERSION),
		.kind = (uint8_t)o->kind,
		.container = o->container,
		.parent = htole64(o->parent),
		.owner = owner_to_bytes(&o->inode),
		.times = times_to_bytes(&o->inode),
		.created = htole64((uint64_t)o->created),
		.updated = htole64((uint64_t)o->updated),
		.name_length = (uint8_t)strlen(o->name),
	};
	struct times_bytes last = head.times;

	memcpy(head.id, o->id, sizeof(head.id));
	buf_add(out, &head, sizeof(head));
	buf_str(out, o->name);
	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++) {
		const struct attr_state *a = &o->attr[i];
		uint64_t room;
		struct text field = stored_field(&ops->nodes[i], object, &room);
		uint8_t entry[2] = {(uint8_t)i, (uint8_t)(a->flags | (field.n ? ENTRY_FIELD : 0))};
		struct owner_bytes owner = owner_to_bytes(&a->inode);
		struct times_bytes times = times_to_bytes(&a->inode);

		if (!entry[1])
			continue;
		if (a->flags & ATTR_HAS_TIMES && !memcmp(&times, &last, sizeof(times)))
			entry[1] |= ENTRY_SAME_TIMES;
		buf_add(out, entry, sizeof(entry));
		if (a->flags & ATTR_HAS_OWNER)
			buf_add(out, &owner, sizeof(owner));
		if ((entry[1] & (ENTRY_TIMES | ENTRY_SAME_TIMES)) == ENTRY_TIMES)
			buf_add(out, &times, sizeof(times));
		if (a->flags & ATTR_HAS_TIMES)
			last = times;
		if (a->flags & ATTR_HAS_RAW)
			encode_bytes(out, a->raw);
		if (field.n)
			encode_bytes(out, field);
	}
	return buf_error(out);
}

/* Cuts `n` bytes off the front. */
static const void *take(struct text *t, size_t n)
{
	const void *p = t->p;

	if (t->n < n)
		return NULL;
	t->p += n;
	t->n -= n;
	return p;
}

static bool take_bytes(struct text *t, struct text *ret)
{
	const void *p = take(t, 2);
	uint16_t n;

	if (!p)
		return false;
	memcpy(&n, p, sizeof(n));
	ret->n = le16toh(n);
	ret->p = take(t, ret->n);
	return ret->p != NULL;
}

static bool decode_field(const struct node *node, struct text bytes, union any *ret)
{
	void *field = value_field(node, ret);
	uint64_t value;

	if (!(node->flags & NODE_STORED))
		return false;
	if (node->value->is_text) {
		*(struct text *)field = bytes;
		return true;
	}
	if (bytes.n != sizeof(value))
		return false;
	memcpy(&value, bytes.p, sizeof(value));
	*(uint64_t *)field = le64toh(value);
	return true;
}

/* The meaning of what was written; an empty value leaves the default. */
static bool decode_raw(const struct node *node, struct text raw, union any *ret)
{
	struct text value = text_trim(raw);

	if (!(node->flags & NODE_SETTABLE) || raw.n > VALUE_BYTES_MAX + 1)
		return false;
	return !value.n || !node->value->parse(value, value_field(node, ret));
}

/* Entries come in the order of their nodes, each once. */
static bool decode_entry(struct text *t, uint8_t *last, const struct times_bytes **times,
			 union any *ret)
{
	const uint8_t *entry = take(t, 2);
	const struct node *node = entry ? node_of(ret->o.kind, entry[0]) : NULL;
	const void *p;
	struct attr_state *a;
	struct text field;

	if (!node || entry[0] <= *last || entry[1] & ~ENTRY_FLAGS ||
	    (entry[1] & (ENTRY_TIMES | ENTRY_SAME_TIMES)) == ENTRY_SAME_TIMES)
		return false;
	*last = entry[0];
	a = &ret->o.attr[entry[0]];
	a->flags = entry[1] & ~(ENTRY_FIELD | ENTRY_SAME_TIMES);
	if (entry[1] & ENTRY_OWNER) {
		if (!(p = take(t, sizeof(struct owner_bytes))))
			return false;
		owner_from_bytes(&a->inode, p);
	}
	if (entry[1] & ENTRY_TIMES) {
		if (!(entry[1] & ENTRY_SAME_TIMES) && !(*times = take(t, sizeof(**times))))
			return false;
		times_from_bytes(&a->inode, *times);
	}
	if (entry[1] & ENTRY_RAW && (!take_bytes(t, &a->raw) || !decode_raw(node, a->raw, ret)))
		return false;
	return !(entry[1] & ENTRY_FIELD) ||
	       (take_bytes(t, &field) && decode_field(node, field, ret));
}

static bool decode_head(struct text *t, struct head_bytes *ret)
{
	const void *p = take(t, sizeof(*ret));

	if (!p)
		return false;
	memcpy(ret, p, sizeof(*ret));
	return le16toh(ret->version) >= RECORD_VERSION_OLDEST &&
	       le16toh(ret->version) <= RECORD_VERSION && ret->kind < KINDS &&
	       !kinds[ret->kind]->computed;
}

/* Of the rows' states only those that the kind has: an object is large for having room for all. */
static void clear(const struct kind_ops *ops, union any *ret)
{
	memset(ret, 0, offsetof(struct object, attr) + ops->n_nodes * sizeof(*ret->o.attr));
	memset((char *)ret + sizeof(ret->o), 0, ops->size - sizeof(ret->o));
	for (unsigned i = 0; i < ops->n_nodes; i++)
		if (ops->nodes[i].initial)
			*(uint64_t *)value_field(&ops->nodes[i], ret) = ops->nodes[i].initial;
}

int object_decode(uint64_t number, struct text record, union any *ret)
{
	struct head_bytes head;
	struct object *o = &ret->o;
	const struct times_bytes *times = &head.times;
	uint8_t last = NODE_SELF;
	const void *name;

	if (!decode_head(&record, &head) || head.name_length > NAME_BYTES_MAX ||
	    !(name = take(&record, head.name_length)))
		return -EBADMSG;
	clear(kinds[head.kind], ret);
	o->number = number;
	o->kind = head.kind;
	o->container = head.container;
	o->parent = le64toh(head.parent);
	owner_from_bytes(&o->inode, &head.owner);
	times_from_bytes(&o->inode, &head.times);
	o->created = (int64_t)le64toh(head.created);
	o->updated = (int64_t)le64toh(head.updated);
	memcpy(o->id, head.id, sizeof(o->id));
	memcpy(o->name, name, head.name_length);
	while (record.n)
		if (!decode_entry(&record, &last, &times, ret))
			return -EBADMSG;
	return 0;
}

int object_decode_head(struct text record, struct object_head *ret)
{
	struct head_bytes head;
	const char *name;

	if (!decode_head(&record, &head) || !(name = take(&record, head.name_length)))
		return -EBADMSG;
	*ret = (struct object_head){
		.name = {name, head.name_length},
		.is_draft = head.name_length && name[0] == '.',
		.kind = head.kind,
		.parent = le64toh(head.parent),
		.container = head.container,
		.created = (int64_t)le64toh(head.created),
		.updated = (int64_t)le64toh(head.updated),
	};
	owner_from_bytes(&ret->inode, &head.owner);
	times_from_bytes(&ret->inode, &head.times);
	return 0;
}
