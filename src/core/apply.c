/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the docks and pools of the tree those of the configuration. */
#include <errno.h>
#include <stdio.h>

#include "attachfs/log.h"
#include "core.h"

struct application {
	const struct conf *conf;
	const struct dock_capability *capabilities;
};

/* Loads the object of that name, or begins a new one. `ret_fresh`: it must be saved. */
static int load_or_make(struct change *c, enum kind kind, struct ref container, const char *name,
			union any *ret, bool *ret_fresh)
{
	int rc = change_find(c, container, text_of(name), kind, ret);

	*ret_fresh = rc == -ENOENT;
	return *ret_fresh ? change_new(c, kind, container, name, kinds[kind]->directory_mode, ret)
			  : rc;
}

static int put(struct change *c, union any *object, bool fresh)
{
	return fresh ? change_add(c, object) : change_save(c, object);
}

/* ---- capabilities: the flattened extras ---- */

static int set_key(struct change *c, struct ref container, const char *name, struct text value)
{
	union any key;
	bool fresh;
	int rc;

	if (check_name(name, NULL)) {
		log_warning("capability %s has no valid name and is not shown", name);
		return 0;
	}
	rc = load_or_make(c, KIND_KEY, container, name, &key, &fresh);
	if (rc || (!fresh && text_equal(text_trim(key.o.attr[KEY_VALUE].raw), value)))
		return rc;
	key.o.attr[KEY_VALUE] = (struct attr_state){
		.flags = ATTR_HAS_RAW,
	};
	key.o.inode.mode = 0444;
	BUF_AUTO(line);
	buf_text(&line, value);
	buf_str(&line, "\n");
	key.o.attr[KEY_VALUE].raw = change_keep(c, buf_as_text(&line));
	return buf_error(&line) ?: put(c, &key, fresh);
}

/* A list becomes one value, its elements parted by commas. */
static void join_list(const struct conf_node *list, struct buf *out)
{
	conf_each(element, list)
		if (element->type == CONF_SCALAR)
			buf_printf(out, "%s%s", out->len ? "," : "", element->value);
}

static int set_capabilities(struct change *c, struct ref container, const struct conf_node *map,
			    const char *prefix)
{
	int rc = 0;

	conf_each(node, map) {
		char name[2 * NAME_BYTES_MAX];
		BUF_AUTO(list);

		if (snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "", node->key) >=
		    (int)sizeof(name))
			continue;
		if (node->type == CONF_MAP) {
			rc = set_capabilities(c, container, node, name);
		} else if (node->type == CONF_SCALAR) {
			rc = set_key(c, container, name, text_of(node->value));
		} else {
			join_list(node, &list);
			rc = buf_error(&list) ?: set_key(c, container, name, buf_as_text(&list));
		}
		if (rc)
			break;
	}
	return rc;
}

/* Does the configuration still have the key "a.b.c"? */
static bool has_capability(const struct conf_node *map, const char *name)
{
	conf_each(node, map) {
		size_t n = strlen(node->key);

		if (strncmp(name, node->key, n))
			continue;
		if (!name[n] && node->type != CONF_MAP)
			return true;
		if (name[n] == '.' && node->type == CONF_MAP && has_capability(node, name + n + 1))
			return true;
	}
	return false;
}

struct stale {
	const struct conf_node *extras;
	uint64_t number;
};

static int find_stale(void *arg, uint64_t number, struct text name)
{
	struct stale *s = arg;
	char copy[NAME_BYTES_MAX + 1];

	text_copy(copy, sizeof(copy), name);
	s->number = number;
	return !has_capability(s->extras, copy);
}

static int drop_stale_capabilities(struct change *c, struct ref container,
				   const struct conf_node *extras)
{
	struct stale s = {.extras = extras};
	union any key;
	int rc;

	while ((rc = object_children(c->tx, container, 0, find_stale, &s)) == 1) {
		rc = change_load(c, s.number, KIND_KEY, &key);
		if (!rc)
			rc = change_delete(c, &key);
		if (rc)
			return rc;
	}
	return rc;
}

/* ---- pools ---- */

static int apply_pool(struct change *c, uint64_t dock, const struct pool_conf *conf, bool able)
{
	union any object, before;
	struct pool *p = &object.pool;
	struct ref capabilities;
	bool fresh;
	int rc = load_or_make(c, KIND_POOL, (struct ref){dock, DOCK_POOLS}, conf->name, &object,
			      &fresh);

	if (rc)
		return rc;
	before = object;
	p->storage_type = text_of(conf->storage_type);
	p->availability_zone = text_of(conf->availability_zone);
	p->multiattach = conf->multiattach && able;
	p->thin = conf->thin;
	p->total_bytes = conf->total_bytes;
	p->reserved_percentage = conf->reserved_percentage;
	p->over_subscription = (uint64_t)(conf->over_subscription * 1000 + 0.5);
	p->configured = 1;
	BUF_AUTO(old);
	BUF_AUTO(new);
	rc = object_encode(&before, &old) ?: object_encode(&object, &new);
	if (!rc && (fresh || !text_equal(buf_as_text(&old), buf_as_text(&new))))
		rc = put(c, &object, fresh);
	capabilities = (struct ref){object.o.number, POOL_CAPABILITIES};
	if (!rc)
		rc = set_capabilities(c, capabilities, conf->extras, "");
	return rc ? rc : drop_stale_capabilities(c, capabilities, conf->extras);
}

/* ---- what the configuration no longer has ---- */

struct leftover {
	const struct conf *conf;
	const struct dock_conf *dock; /* NULL: look for docks, else for its pools */
	struct change *c;
	uint64_t number;
};

static bool is_configured(const struct leftover *l, struct text name)
{
	for (size_t i = 0; !l->dock && i < l->conf->n_docks; i++)
		if (text_is(name, l->conf->docks[i].name))
			return true;
	for (size_t i = 0; l->dock && i < l->dock->n_pools; i++)
		if (text_is(name, l->dock->pools[i].name))
			return true;
	return false;
}

static int find_leftover(void *arg, uint64_t number, struct text name)
{
	struct leftover *l = arg;
	union any object;
	int rc;

	if (is_configured(l, name))
		return 0;
	rc = object_get(l->c->tx, number, &object);
	if (rc)
		return rc;
	l->number = number;
	return l->dock ? object.pool.configured != 0 : object.dock.configured != 0;
}

/* It stays, with its volumes, but nothing new goes there. */
static int retire_leftovers(struct change *c, const struct conf *conf,
			    const struct dock_conf *dock, struct ref container)
{
	struct leftover l = {.conf = conf, .dock = dock, .c = c};
	union any object;
	int rc;

	while ((rc = object_children(c->tx, container, 0, find_leftover, &l)) == 1) {
		rc = change_load(c, l.number, dock ? KIND_POOL : KIND_DOCK, &object);
		if (rc)
			return rc;
		if (dock) {
			object.pool.configured = 0;
		} else {
			object.dock.configured = 0;
			object.dock.status = DOCK_UNAVAILABLE;
			object.o.last_error = TEXT("it is no longer in the configuration");
		}
		rc = change_save(c, &object);
		if (rc)
			return rc;
	}
	return rc;
}

/* ---- docks ---- */

static const struct dock_capability *capability_of(const struct application *a, const char *dock)
{
	for (size_t i = 0; i < a->conf->n_docks; i++)
		if (!strcmp(a->capabilities[i].dock, dock))
			return &a->capabilities[i];
	return NULL;
}

static int apply_dock(struct change *c, const struct application *a, const struct dock_conf *conf)
{
	const struct dock_capability *can = capability_of(a, conf->name);
	bool able = can && can->capabilities & DRIVER_MULTIATTACH, fresh;
	union any object;
	struct dock *d = &object.dock;
	int rc = load_or_make(c, KIND_DOCK, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, conf->name,
			      &object, &fresh);

	if (rc)
		return rc;
	d->description = text_of(conf->description);
	d->type = text_of(conf->type);
	d->driver = text_of(conf->driver);
	d->endpoint = text_of(conf->endpoint);
	d->node_id = text_of(conf->node_id);
	d->storage_type = text_of(conf->storage_type);
	d->capabilities = can ? can->capabilities : 0;
	d->configured = 1;
	d->status = DOCK_UNAVAILABLE; /* until its backend has answered */
	d->o.last_error = can && can->built_in ? TEXT("it has not answered yet")
					       : TEXT("this driver is not built in");
	d->multiattach = 0;
	for (size_t i = 0; i < conf->n_pools && !rc; i++) {
		d->multiattach |= conf->pools[i].multiattach && able;
		rc = apply_pool(c, d->o.number, &conf->pools[i], able);
	}
	if (!rc)
		rc = retire_leftovers(c, a->conf, conf, (struct ref){d->o.number, DOCK_POOLS});
	return rc ? rc : put(c, &object, fresh);
}

static int apply_all(struct change *c, void *arg)
{
	const struct application *a = arg;
	int rc = 0;

	for (size_t i = 0; i < a->conf->n_docks && !rc; i++)
		rc = apply_dock(c, a, &a->conf->docks[i]);
	return rc ? rc
		  : retire_leftovers(c, a->conf, NULL, (struct ref){ROOT_OBJECT, ROOT_DOCKS});
}

int core_apply_conf(struct core *core, const struct conf *conf,
		    const struct dock_capability *capabilities, struct error *err)
{
	struct application a = {conf, capabilities};

	return core_run(core, apply_all, &a, err);
}

/* ---- what the worker learns of a dock ---- */

int core_dock_number(struct core *core, const char *name, uint64_t *ret)
{
	struct tx tx;
	int rc = store_read_begin(core->store, &tx);

	if (rc)
		return rc;
	rc = object_find(&tx, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, text_of(name), ret);
	store_read_end(&tx);
	return rc;
}

struct dock_news {
	uint64_t dock;
	enum dock_status status;
	const struct error *err;
};

static int apply_dock_news(struct change *c, void *arg)
{
	const struct dock_news *news = arg;
	union any object;
	struct text why = news->err && news->err->code ? text_of(news->err->text) : TEXT_NONE;
	int rc = change_load(c, news->dock, KIND_DOCK, &object);

	if (rc)
		return rc;
	if (object.dock.status == news->status && text_equal(object.o.last_error, why))
		return 0;
	object.dock.status = news->status;
	change_set_error(c, &object, why);
	rc = change_save(c, &object);
	return rc ? rc
		  : change_event(c,
				 news->status == DOCK_AVAILABLE ? "dock_available"
								: "dock_unavailable",
				 SELF(news->dock), why.n ? why.p : NULL);
}

int core_dock_status(struct core *core, uint64_t dock, enum dock_status status,
		     const struct error *err)
{
	struct dock_news news = {dock, status, err};

	return core_run(core, apply_dock_news, &news, NULL);
}
