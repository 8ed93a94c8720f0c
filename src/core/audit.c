/* SPDX-License-Identifier: GPL-2.0-or-later */
/* attachfs --check: do the records agree with each other, and with the tables they are found by? */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core.h"

struct audit {
	struct tx *tx;
	audit_fn *fn;
	void *arg;
};

/* One difference, of the object of that number. */
__attribute__((format(printf, 3, 4))) static int differs(struct audit *a, uint64_t number,
							  const char *format, ...)
{
	char what[256];
	BUF_AUTO(path);
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (core_path(a->tx, SELF(number), &path) || !path.len) {
		buf_reset(&path);
		buf_printf(&path, "object %" PRIu64, number);
	}
	return buf_error(&path) ?: a->fn(a->arg, path.data, what);
}

static bool exists(struct audit *a, uint64_t number)
{
	struct object_head head;

	return !object_get_head(a->tx, number, &head);
}

/* ---- each record, and how it is found ---- */

static bool is_child(struct audit *a, uint64_t container, uint8_t node, uint64_t number)
{
	struct text key, ignored;
	struct child_key room;

	key = child_by_number(&room, (struct ref){container, node}, number);
	return !tx_get(a->tx, TABLE_CHILDREN, key, &ignored);
}

static bool is_purge(struct audit *a, uint64_t number)
{
	struct text ignored;
	uint8_t key[8];

	return !tx_get(a->tx, TABLE_PURGES, number_key(key, number), &ignored);
}

/* What is in a container is found there by its name and by its number. */
static int check_place(struct audit *a, const struct object *o)
{
	struct ref container = {o->parent, o->container};
	uint64_t found = 0;

	if (o->kind == KIND_ROOT || !o->container)
		return 0;
	if (!exists(a, o->parent))
		return differs(a, o->number, "it is in an object that does not exist");
	if (object_find(a->tx, container, text_of(o->name), &found) || found != o->number)
		return differs(a, o->number, "it is not found by its name %s", o->name);
	if (!is_child(a, o->parent, o->container, o->number))
		return differs(a, o->number, "it is not listed in its directory");
	return 0;
}

struct holders {
	struct audit *audit;
	unsigned n, writers;
};

static int count_holder(void *arg, uint64_t number, struct text name)
{
	struct holders *h = arg;
	union any a;

	(void)name;
	if (object_get_kind(h->audit->tx, number, KIND_ATTACHMENT, &a) ||
	    a.attachment.status == ATTACHMENT_DRAFT)
		return 0;
	h->n++;
	h->writers += a.attachment.status == ATTACHMENT_ATTACHED && a.attachment.mode == ACCESS_RW;
	return 0;
}

static int check_holders(struct audit *a, const struct volume *v)
{
	struct holders h = {.audit = a};
	int rc = object_children(a->tx, (struct ref){v->o.number, VOLUME_ATTACHMENTS}, 0,
				 count_holder, &h);

	if (!rc && !v->multiattach && h.n > 1)
		rc = differs(a, v->o.number, "multiattach is false, and %u hosts hold it", h.n);
	if (!rc && v->max_writers && h.writers > v->max_writers)
		rc = differs(a, v->o.number, "max_writers is %" PRIu64 ", and %u hosts may write",
			     v->max_writers, h.writers);
	return rc;
}

static int check_volume(struct audit *a, const struct volume *v)
{
	int rc = 0;

	if (v->status == VOLUME_DELETING && !is_purge(a, v->o.number))
		rc = differs(a, v->o.number, "it is being purged, and no start goes on with it");
	if (!rc && v->pool && v->o.container && !is_child(a, v->pool, POOL_VOLUMES, v->o.number))
		rc = differs(a, v->o.number, "it is not among the volumes of its pool");
	return rc ? rc : check_holders(a, v);
}

struct charged {
	struct audit *audit;
	uint64_t pool, bytes;
	bool moves; /* one of its volumes is between two pools */
};

static int add_volume(void *arg, struct text key, struct text record)
{
	struct charged *c = arg;
	union any object;

	if (object_decode(key_to_u64(key.p), record, &object) || object.o.kind != KIND_VOLUME)
		return 0;
	c->moves |= object.volume.status == VOLUME_MOVING;
	if (object.volume.pool == c->pool)
		c->bytes += object.volume.size_bytes;
	return 0;
}

/* Those that are being purged count, too, until they are gone. */
static int check_pool(struct audit *a, const struct pool *p)
{
	struct charged c = {.audit = a, .pool = p->o.number};
	int rc = tx_scan(a->tx, TABLE_OBJECTS, TEXT_NONE, TEXT_NONE, add_volume, &c);

	if (rc || c.moves || c.bytes == p->provisioned)
		return rc;
	return differs(a, p->o.number,
		       "%" PRIu64 " bytes are provisioned, and its volumes have %" PRIu64,
		       p->provisioned, c.bytes);
}

static int check_record(void *arg, struct text key, struct text record)
{
	struct audit *a = arg;
	uint64_t number = key.n == 8 ? key_to_u64(key.p) : 0;
	union any object;
	int rc;

	if (key.n != 8 || object_decode(number, record, &object))
		return differs(a, number, "the record is damaged");
	rc = check_place(a, &object.o);
	if (!rc && object.o.kind == KIND_VOLUME)
		rc = check_volume(a, &object.volume);
	if (!rc && object.o.kind == KIND_POOL)
		rc = check_pool(a, &object.pool);
	if (!rc && object_is_unsettled(&object)) /* not wrong, but not finished either */
		rc = differs(a, number, "it is not settled: the next start goes on with it");
	return rc;
}

/* ---- what the tables point at ---- */

static int check_name_row(struct audit *a, struct text name, struct text value)
{
	uint64_t number = value.n == 8 ? key_to_u64(value.p) : 0;

	if (number && exists(a, number))
		return 0;
	return differs(a, number, "a name, %.*s, of something that does not exist", TEXT_ARG(name));
}

static int check_number_row(struct audit *a, struct text bytes, struct text name)
{
	uint64_t number = bytes.n == 8 ? key_to_u64(bytes.p) : 0;

	if (number && exists(a, number))
		return 0;
	return differs(a, number, "a directory lists %.*s, which does not exist", TEXT_ARG(name));
}

static int check_child(void *arg, struct text key, struct text value)
{
	struct text rest = {key.p + CHILD_PREFIX, key.n - CHILD_PREFIX};

	if (key.n > CHILD_PREFIX && key.p[CHILD_PREFIX - 1] == CHILD_BY_NAME)
		return check_name_row(arg, rest, value);
	if (key.n > CHILD_PREFIX && key.p[CHILD_PREFIX - 1] == CHILD_BY_NUMBER)
		return check_number_row(arg, rest, value);
	return differs(arg, 0, "a directory has an entry of another kind");
}

static int check_purge(void *arg, struct text key, struct text value)
{
	struct audit *a = arg;
	uint64_t number = key.n == 8 ? key_to_u64(key.p) : 0;

	(void)value;
	if (number && exists(a, number))
		return 0;
	return differs(a, number, "a purge of something that does not exist");
}

int core_audit(struct store *store, audit_fn *fn, void *arg)
{
	static const struct {
		enum store_table table;
		tx_scan_fn *check;
	} steps[] = {
		{TABLE_OBJECTS, check_record},
		{TABLE_CHILDREN, check_child},
		{TABLE_PURGES, check_purge},
	};
	struct tx tx;
	struct audit a = {&tx, fn, arg};
	int rc = store_read_begin(store, &tx);

	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(steps) && !rc; i++)
		rc = tx_scan(&tx, steps[i].table, TEXT_NONE, TEXT_NONE, steps[i].check, &a);
	store_read_end(&tx);
	return rc;
}
