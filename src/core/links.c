/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree's symlinks: a host's attachments, a pool's volumes, and the flat index of both. */
#include <errno.h>
#include <stdio.h>

#include "core.h"

/* An attachment and the volume it is of. */
static int get_pair(struct tx *tx, uint64_t number, union any *attachment, union any *volume)
{
	int rc = object_get_kind(tx, number, KIND_ATTACHMENT, attachment);

	return rc ? rc : object_get_kind(tx, attachment->o.parent, KIND_VOLUME, volume);
}

static int find_attachment(struct tx *tx, struct text volume, struct text host, uint64_t *ret)
{
	uint64_t number;
	int rc = object_find(tx, (struct ref){ROOT_OBJECT, ROOT_VOLUMES}, volume, &number);

	return rc ? rc : object_find(tx, (struct ref){number, VOLUME_ATTACHMENTS}, host, ret);
}

/* ---- hosts/HOST/attachments/VOLUME ---- */

static struct text host_key(uint8_t room[NAME_BYTES_MAX + 9], const char *host, uint64_t number)
{
	size_t n = strlen(host) + 1;

	memcpy(room, host, n);
	key_u64(room + n, number);
	return (struct text){(char *)room, n + 8};
}

static int lookup_of_host(struct tx *tx, const struct object *host, struct text name,
			  struct ref *ret)
{
	uint64_t number;
	int rc = find_attachment(tx, name, text_of(host->name), &number);

	if (!rc)
		*ret = (struct ref){number, ATTACHMENT_LINK_BY_HOST};
	return rc;
}

struct link_list {
	struct tx *tx;
	link_entry_fn *fn;
	void *arg;
};

static int list_one_of_host(void *arg, struct text key, struct text value)
{
	struct link_list *l = arg;
	uint64_t number = key_to_u64(key.p + key.n - 8);
	union any attachment, volume;
	int rc = get_pair(l->tx, number, &attachment, &volume);

	(void)value;
	return rc ? rc
		  : l->fn(l->arg, volume.o.name, (struct ref){number, ATTACHMENT_LINK_BY_HOST});
}

static int list_of_host(struct tx *tx, const struct object *host, uint64_t from,
			link_entry_fn *fn, void *arg)
{
	struct link_list l = {tx, fn, arg};
	uint8_t room[NAME_BYTES_MAX + 9];
	struct text key = host_key(room, host->name, from);

	return tx_scan(tx, TABLE_HOSTS, (struct text){key.p, key.n - 8}, key, list_one_of_host,
		       &l);
}

const struct link_ops links_of_host = {.lookup = lookup_of_host, .list = list_of_host};

int link_readlink_by_host(struct tx *tx, const union any *object, struct buf *out)
{
	union any volume;
	int rc = object_get_kind(tx, object->o.parent, KIND_VOLUME, &volume);

	if (!rc)
		buf_printf(out, "../../../volumes/%s/attachments/%s", volume.o.name,
			   object->o.name);
	return rc ? rc : buf_error(out);
}

/* ---- attachments/VOLUME@HOST ---- */

static int lookup_flat(struct tx *tx, const struct object *root, struct text name,
		       struct ref *ret)
{
	const char *at = memchr(name.p, '@', name.n);
	struct text volume, host;
	uint64_t number;
	int rc;

	(void)root;
	if (!at)
		return -ENOENT;
	volume = (struct text){name.p, (size_t)(at - name.p)};
	host = (struct text){at + 1, name.n - volume.n - 1};
	rc = find_attachment(tx, volume, host, &number);
	if (!rc)
		*ret = (struct ref){number, ATTACHMENT_LINK_FLAT};
	return rc;
}

static int list_one_flat(void *arg, const union any *a)
{
	struct link_list *l = arg;
	char name[2 * NAME_BYTES_MAX + 2];
	struct object_head volume;
	int rc = object_get_head(l->tx, a->o.parent, &volume);

	if (rc || a->attachment.status == ATTACHMENT_DRAFT)
		return rc;
	snprintf(name, sizeof(name), "%.*s@%s", TEXT_ARG(volume.name), a->o.name);
	return l->fn(l->arg, name, (struct ref){a->o.number, ATTACHMENT_LINK_FLAT});
}

/* No index of its own: attachments are most of all objects, and each reserving would write it. */
static int list_flat(struct tx *tx, const struct object *root, uint64_t from, link_entry_fn *fn,
		     void *arg)
{
	struct link_list l = {tx, fn, arg};

	(void)root;
	return object_each(tx, KIND_ATTACHMENT, from, list_one_flat, &l);
}

const struct link_ops links_flat = {.lookup = lookup_flat, .list = list_flat};

int link_readlink_attachment(struct tx *tx, const union any *object, struct buf *out)
{
	union any volume;
	int rc = object_get_kind(tx, object->o.parent, KIND_VOLUME, &volume);

	if (!rc)
		buf_printf(out, "../volumes/%s/attachments/%s", volume.o.name, object->o.name);
	return rc ? rc : buf_error(out);
}

/* ---- docks/DOCK/pools/POOL/volumes/NAME ---- */

static int lookup_of_pool(struct tx *tx, const struct object *pool, struct text name,
			  struct ref *ret)
{
	union any volume;
	uint64_t number;
	int rc = object_find(tx, (struct ref){ROOT_OBJECT, ROOT_VOLUMES}, name, &number);

	if (!rc)
		rc = object_get_kind(tx, number, KIND_VOLUME, &volume);
	if (rc)
		return rc;
	if (volume.volume.pool != pool->number)
		return -ENOENT;
	*ret = (struct ref){number, VOLUME_LINK};
	return 0;
}

static int list_one_of_pool(void *arg, uint64_t number, struct text name)
{
	struct link_list *l = arg;
	char copy[NAME_BYTES_MAX + 1];

	text_copy(copy, sizeof(copy), name);
	return l->fn(l->arg, copy, (struct ref){number, VOLUME_LINK});
}

static int list_of_pool(struct tx *tx, const struct object *pool, uint64_t from,
			link_entry_fn *fn, void *arg)
{
	struct link_list l = {tx, fn, arg};

	return object_children(tx, (struct ref){pool->number, POOL_VOLUMES}, from,
			       list_one_of_pool, &l);
}

const struct link_ops links_of_pool = {.lookup = lookup_of_pool, .list = list_of_pool};

int link_readlink_volume(struct tx *tx, const union any *object, struct buf *out)
{
	(void)tx;
	buf_printf(out, "../../../../../volumes/%s", object->o.name);
	return buf_error(out);
}

/* ---- the indexes that they are found by ---- */

int index_add(struct change *c, struct ref index, uint64_t number, struct text name)
{
	struct child_key key;

	return tx_put(c->tx, TABLE_CHILDREN, child_by_number(&key, index, number), name);
}

int index_remove(struct change *c, struct ref index, uint64_t number)
{
	struct child_key key;
	int rc = tx_delete(c->tx, TABLE_CHILDREN, child_by_number(&key, index, number));

	return rc == -ENOENT ? 0 : rc;
}

int link_add_pool(struct change *c, const struct volume *v)
{
	return index_add(c, (struct ref){v->pool, POOL_VOLUMES}, v->o.number, text_of(v->o.name));
}

int link_remove_pool(struct change *c, const struct volume *v)
{
	return index_remove(c, (struct ref){v->pool, POOL_VOLUMES}, v->o.number);
}

/* ---- what is being purged ---- */

int link_add_purge(struct change *c, const struct volume *v)
{
	uint8_t key[8];

	return tx_put(c->tx, TABLE_PURGES, number_key(key, v->o.number), TEXT_NONE);
}

int link_remove_purge(struct change *c, const struct volume *v)
{
	uint8_t key[8];
	int rc = tx_delete(c->tx, TABLE_PURGES, number_key(key, v->o.number));

	return rc == -ENOENT ? 0 : rc;
}

int link_add_fenced(struct change *c, const struct host *h)
{
	return index_add(c, (struct ref){ROOT_OBJECT, ROOT_FENCED}, h->o.number,
			 text_of(h->o.name));
}

int link_remove_fenced(struct change *c, const struct host *h)
{
	return index_remove(c, (struct ref){ROOT_OBJECT, ROOT_FENCED}, h->o.number);
}

int link_add_attachment(struct change *c, const struct attachment *a)
{
	uint8_t by_host[NAME_BYTES_MAX + 9];

	return tx_put(c->tx, TABLE_HOSTS, host_key(by_host, a->o.name, a->o.number), TEXT_NONE);
}

int link_remove_attachment(struct change *c, const struct attachment *a)
{
	uint8_t by_host[NAME_BYTES_MAX + 9];

	return tx_delete(c->tx, TABLE_HOSTS, host_key(by_host, a->o.name, a->o.number));
}
