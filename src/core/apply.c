/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the docks and pools of the tree those of the configuration. */
#include <errno.h>

#include "core.h"

struct application {
	const struct conf *conf;
	const struct dock_capability *capabilities;
};

int apply_load(struct change *c, enum kind kind, struct ref container, const char *name,
	       union any *ret, bool *ret_fresh)
{
	int rc = change_find(c, container, text_of(name), kind, ret);

	*ret_fresh = rc == -ENOENT;
	return *ret_fresh ? change_new(c, kind, container, name, kinds[kind]->directory_mode, ret)
			  : rc;
}

int apply_save(struct change *c, union any *object, bool fresh)
{
	return fresh ? change_add(c, object) : change_save(c, object);
}

/* ---- pools ---- */

/* All pools by their numbers, whatever dock they are in. */
static int index_pool(struct change *c, const struct object *dock, const struct object *pool)
{
	BUF_AUTO(name);

	buf_printf(&name, "%s:%s", dock->name, pool->name);
	return buf_error(&name) ?: index_add(c, (struct ref){ROOT_OBJECT, ROOT_POOLS},
					     pool->number, buf_as_text(&name));
}

static int apply_pool(struct change *c, const struct object *dock, const struct pool_conf *conf,
		      bool able)
{
	union any object, before;
	struct pool *p = &object.pool;
	bool fresh;
	BUF_AUTO(extras);
	int rc = apply_load(c, KIND_POOL, (struct ref){dock->number, DOCK_POOLS}, conf->name,
			    &object, &fresh);

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
	capabilities_pack(conf->extras, &extras);
	if (buf_error(&extras))
		return -ENOMEM;
	p->extras = buf_as_text(&extras);
	BUF_AUTO(old);
	BUF_AUTO(new);
	rc = object_encode(&before, &old) ?: object_encode(&object, &new);
	if (!rc && (fresh || !text_equal(buf_as_text(&old), buf_as_text(&new))))
		rc = apply_save(c, &object, fresh);
	if (!rc && fresh)
		rc = index_pool(c, dock, &object.o);
	return rc ? rc : capabilities_apply(c, object.o.number, conf->extras);
}

/* ---- docks ---- */

static const struct dock_capability *capability_of(const struct application *a, const char *dock)
{
	for (size_t i = 0; i < a->conf->n_docks; i++)
		if (!strcmp(a->capabilities[i].dock, dock))
			return &a->capabilities[i];
	return NULL;
}

/* Until its backend has answered. */
static void begin_unanswered(struct change *c, struct dock *d, bool built_in)
{
	BUF_AUTO(why);

	if (built_in)
		buf_str(&why, "it has not answered yet");
	else
		buf_printf(&why, "driver %.*s is not built in", TEXT_ARG(d->driver));
	d->status = DOCK_UNAVAILABLE;
	change_set_error(c, (union any *)d, buf_as_text(&why));
}

static int apply_dock(struct change *c, const struct application *a, const struct dock_conf *conf)
{
	const struct dock_capability *can = capability_of(a, conf->name);
	bool able = can && can->capabilities & DRIVER_MULTIATTACH, fresh;
	union any object;
	struct dock *d = &object.dock;
	int rc = apply_load(c, KIND_DOCK, (struct ref){ROOT_OBJECT, ROOT_DOCKS}, conf->name,
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
	if (!can || !can->serving || fresh || !d->configured)
		begin_unanswered(c, d, can && can->built_in);
	d->configured = 1;
	d->multiattach = 0;
	for (size_t i = 0; i < conf->n_pools && !rc; i++) {
		d->multiattach |= conf->pools[i].multiattach && able;
		rc = apply_pool(c, &d->o, &conf->pools[i], able);
	}
	if (!rc)
		rc = retire_pools(c, d->o.number, conf);
	return rc ? rc : apply_save(c, &object, fresh);
}

static int apply_all(struct change *c, void *arg)
{
	const struct application *a = arg;
	int rc = 0;

	for (size_t i = 0; i < a->conf->n_docks && !rc; i++)
		rc = apply_dock(c, a, &a->conf->docks[i]);
	if (!rc)
		rc = retire_docks(c, a->conf);
	return rc ? rc : change_event(c, "config_loaded", (struct ref){0}, a->conf->file);
}

int core_apply_conf(struct core *core, const struct conf *conf,
		    const struct dock_capability *capabilities, struct error *err)
{
	struct application a = {conf, capabilities};
	int rc = core_run(core, apply_all, &a, err);

	if (rc)
		return rc;
	core->attach_timeout_ms = conf->attach_timeout_ms;
	core->detach_timeout_ms = conf->detach_timeout_ms;
	return 0;
}

static int note_refused(struct change *c, void *arg)
{
	const struct error *why = arg;

	return change_event(c, "config_refused", (struct ref){0}, why->text);
}

void core_conf_refused(struct core *core, const struct error *why)
{
	core_run(core, note_refused, (void *)why, NULL);
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
	if (!object.dock.configured ||
	    (object.dock.status == news->status && text_equal(object.o.last_error, why)))
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
