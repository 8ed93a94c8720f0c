/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes: the rules of making, growing, renaming and removing them, and their rows. */
#include <errno.h>
#include <inttypes.h>

#include "core.h"

#define IN_NEW (1u << VOLUME_NEW)

static const char *const status_names[] = {
	[VOLUME_NEW] = "new",		  [VOLUME_CREATING] = "creating",
	[VOLUME_AVAILABLE] = "available", [VOLUME_EXTENDING] = "extending",
	[VOLUME_DELETING] = "deleting",
};

static uint64_t stored_status(const union any *object)
{
	return object->volume.status;
}

/* The next generation of the volume is work for the worker, and the request waits for it. */
static int begin_work(struct change *c, struct volume *v, enum volume_status status)
{
	union any pool, dock;
	int rc = pool_get(c->tx, v->pool, &pool, &dock);

	if (rc)
		return rc;
	v->status = status;
	change_touch(c, (union any *)v, VOLUME_STATUS);
	v->generation++;
	change_wait(c, v->o.number, v->generation, c->core->conf->attach_timeout_ms);
	return change_unsettled(c, dock.o.number, v->o.number, v->o.number);
}

/* Writing the same size while it is being worked on waits again. */
static int wait_again(struct change *c, const struct volume *now, const struct volume *before)
{
	if (now->size_bytes != before->size_bytes)
		return error_set(c->err, EBUSY, "volume %s is %s: wait until it is available",
				 now->o.name, status_names[before->status]);
	change_wait(c, now->o.number, now->generation, c->core->conf->attach_timeout_ms);
	return 0;
}

static int create_sized(struct change *c, struct volume *v)
{
	uint64_t pool;
	int rc = place_volume(c, v, &pool);

	if (rc)
		return rc;
	v->pool = pool;
	change_touch(c, (union any *)v, VOLUME_DOCK);
	rc = pool_charge(c, pool, (int64_t)v->size_bytes);
	if (!rc)
		rc = link_add_pool(c, v);
	return rc ? rc : begin_work(c, v, VOLUME_CREATING);
}

static int grow(struct change *c, struct volume *now, const union any *before)
{
	uint64_t more = now->size_bytes - before->volume.size_bytes, room, limit;
	union any pool, dock;
	struct tally t;
	int rc = pool_get(c->tx, now->pool, &pool, &dock);

	if (!rc)
		rc = volume_tally(c->tx, now->o.number, &t);
	if (!rc)
		rc = pool_room(c->core, &pool.pool, &room, &limit);
	if (rc)
		return rc;
	if (room < more)
		return error_set(c->err, ENOSPC, "pool %s:%s has room for %" PRIu64 " bytes more",
				 dock.o.name, pool.o.name, room);
	if (t.total > t.reserved && !(dock.dock.capabilities & DRIVER_ONLINE_EXTEND))
		return error_set(c->err, EBUSY,
				 "driver %.*s cannot grow a volume that is attached: detach %s first",
				 TEXT_ARG(dock.dock.driver), t.holder);
	now->size_before = before->o.attr[VOLUME_SIZE].raw;
	rc = pool_charge(c, now->pool, (int64_t)more);
	return rc ? rc : begin_work(c, now, VOLUME_EXTENDING);
}

static int apply_size(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;

	switch ((enum volume_status)v->status) {
	case VOLUME_NEW:
		return create_sized(c, v);
	case VOLUME_CREATING:
	case VOLUME_EXTENDING:
		return wait_again(c, v, &before->volume);
	case VOLUME_AVAILABLE:
		if (v->size_bytes == before->volume.size_bytes)
			return 0;
		if (v->size_bytes < before->volume.size_bytes)
			return error_set(c->err, EINVAL,
					 "size: a volume cannot shrink, it has %" PRIu64 " bytes",
					 before->volume.size_bytes);
		return grow(c, v, before);
	case VOLUME_DELETING:
		break;
	}
	return -ENOENT;
}

static int apply_multiattach(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	union any pool, dock;
	struct tally t;
	int rc;

	if (v->multiattach == before->volume.multiattach)
		return 0;
	rc = volume_tally(c->tx, v->o.number, &t);
	if (rc)
		return rc;
	if (t.total)
		return error_set(c->err, EBUSY,
				 "multiattach cannot change while %s holds the volume: detach it first",
				 t.holder);
	if (!v->multiattach || !v->pool)
		return 0;
	rc = pool_get(c->tx, v->pool, &pool, &dock);
	if (!rc && !pool.pool.multiattach)
		rc = error_set(c->err, EOPNOTSUPP, "pool %s:%s does not support multiattach",
			       dock.o.name, pool.o.name);
	return rc;
}

static int apply_max_writers(struct change *c, union any *now, const union any *before)
{
	struct tally t;
	int rc = volume_tally(c->tx, now->o.number, &t);

	(void)before;
	if (!rc && now->volume.max_writers && t.writers > now->volume.max_writers)
		rc = error_set(c->err, EBUSY, "max_writers: %u hosts are attached rw", t.writers);
	return rc;
}

static int remove_volume(struct change *c, union any *object)
{
	struct volume *v = &object->volume;
	struct tally t;
	int rc = volume_tally(c->tx, v->o.number, &t);

	if (rc)
		return rc;
	if (t.total)
		return error_set(c->err, EBUSY, "volume %s has %u attachment(s), %s among them: "
				 "detach first", v->o.name, t.total, t.holder);
	if (v->is_protected)
		return error_set(c->err, EPERM, "volume %s is protected: echo 0 > protected first",
				 v->o.name);
	if (!v->pool)
		return change_delete(c, object);
	rc = change_unlink(c, object);
	if (!rc)
		rc = link_remove_pool(c, v);
	if (!rc)
		rc = begin_work(c, v, VOLUME_DELETING);
	c->intent->wait_object = 0; /* the name is gone at once; the bytes follow */
	v->o.container = 0;
	return rc ? rc : change_save(c, object);
}

struct rename {
	struct change *c;
	const char *old_name;
};

static int forget_link(void *arg, uint64_t number, struct text name)
{
	struct rename *r = arg;
	union any a;
	int rc = object_get_kind(r->c->tx, number, KIND_ATTACHMENT, &a);

	(void)name;
	if (!rc)
		link_forget(r->c, &a.attachment, r->old_name);
	return rc;
}

static int rename_volume(struct change *c, union any *object, const char *name)
{
	struct ref container = {object->o.parent, object->o.container};
	struct rename r = {c, object->o.name};
	struct volume *v = &object->volume;
	int rc = object_children(c->tx, (struct ref){v->o.number, VOLUME_ATTACHMENTS}, 0,
				 forget_link, &r);

	if (!rc && v->pool)
		rc = link_remove_pool(c, v);
	if (!rc)
		rc = change_unlink(c, object);
	if (!rc)
		rc = change_link(c, object, container, name);
	if (!rc && v->pool)
		rc = link_add_pool(c, v);
	change_touch(c, object, VOLUME_NAME);
	return rc ? rc : change_save(c, object);
}

static int render_pool(struct view *view, const union any *object, struct buf *out)
{
	union any pool, dock;

	if (object->volume.pool && !pool_get(view->tx, object->volume.pool, &pool, &dock))
		buf_printf(out, "%s:%s\n", dock.o.name, pool.o.name);
	return 0;
}

static int render_dock(struct view *view, const union any *object, struct buf *out)
{
	union any pool, dock;

	if (object->volume.pool && !pool_get(view->tx, object->volume.pool, &pool, &dock))
		buf_printf(out, "%s\n", dock.o.name);
	return 0;
}

static int render_zone(struct view *view, const union any *object, struct buf *out)
{
	union any pool, dock;

	if (object->volume.pool && !pool_get(view->tx, object->volume.pool, &pool, &dock))
		buf_printf(out, "%.*s\n", TEXT_ARG(pool.pool.availability_zone));
	return 0;
}

static int render_name(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_printf(out, "%s\n", object->o.name);
	return 0;
}

static int render_user(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_printf(out, "%u\n", object->o.inode.uid);
	return 0;
}

static int render_tenant(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_printf(out, "%u\n", object->o.inode.gid);
	return 0;
}

#define FIELD(name_) .offset = offsetof(struct volume, name_)

static const struct node nodes[] = {
	[VOLUME_SIZE] = {.name = "size",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE | NODE_REPEAT,
			 .value = &value_size,
			 FIELD(size_bytes),
			 .apply = apply_size,
			 .help = "writing it provisions the volume; later it may grow"},
	[VOLUME_MULTIATTACH] = {.name = "multiattach",
				.type = NODE_ATTR,
				.flags = NODE_SETTABLE,
				.value = &value_bool,
				FIELD(multiattach),
				.apply = apply_multiattach,
				.help = "may several hosts attach it at once? Only while none does"},
	[VOLUME_POOL] = {.name = "pool",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE,
			 .value = &value_pool,
			 FIELD(pool_wish),
			 .states = IN_NEW,
			 .render = render_pool,
			 .help = "POOL or DOCK:POOL: where to provision it, before size is written; "
				 "then where it is"},
	[VOLUME_ZONE] = {.name = "availability_zone",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE,
			 .value = &value_line,
			 FIELD(zone_wish),
			 .states = IN_NEW,
			 .render = render_zone,
			 .help = "zone of the pool wanted, before size is written; then of the pool"},
	[VOLUME_DESCRIPTION] = {.name = "description",
				.type = NODE_ATTR,
				.flags = NODE_SETTABLE,
				.value = &value_line,
				FIELD(description),
				.help = "free text"},
	[VOLUME_GROUP_ID] = {.name = "group_id",
			     .type = NODE_ATTR,
			     .flags = NODE_SETTABLE,
			     .value = &value_line,
			     FIELD(group_id),
			     .help = "free text: what group of volumes it belongs to"},
	[VOLUME_MAX_WRITERS] = {.name = "max_writers",
				.type = NODE_ATTR,
				.flags = NODE_SETTABLE,
				.value = &value_number,
				FIELD(max_writers),
				.apply = apply_max_writers,
				.help = "how many hosts may be attached rw at once; 0 = any number"},
	[VOLUME_PROTECTED] = {.name = "protected",
			      .type = NODE_ATTR,
			      .flags = NODE_SETTABLE,
			      .value = &value_bool,
			      FIELD(is_protected),
			      .help = "while it is true the volume cannot be removed"},
	[VOLUME_METADATA] = {.name = "metadata",
			     .type = NODE_CHILDREN,
			     .child = KIND_KEY,
			     .help = "free-form keys: creating a file creates the key"},
	[VOLUME_ID] = ROW_ID("volume"),
	[VOLUME_NAME] = {.name = "name",
			 .type = NODE_ATTR,
			 .render = render_name,
			 .help = "the volume's name; mv renames it"},
	[VOLUME_STATUS] = {.name = "status",
			   .type = NODE_ATTR,
			   .render = volume_render_status,
			   .help = "new, creating, available, extending; with attachments in-use, "
				   "attaching, detaching or reserved"},
	[VOLUME_ATTACH_STATUS] = {.name = "attach_status",
				  .type = NODE_ATTR,
				  .render = volume_render_attach_status,
				  .help = "attached if any host is, else detached"},
	[VOLUME_DOCK] = {.name = "dock",
			 .type = NODE_ATTR,
			 .render = render_dock,
			 .help = "the dock that it is on"},
	[VOLUME_SIZE_BYTES] = {.name = "size_bytes",
			       .type = NODE_ATTR,
			       .value = &value_bytes,
			       FIELD(real_bytes),
			       .help = "what hosts see, in bytes"},
	[VOLUME_TENANT_ID] = {.name = "tenant_id",
			      .type = NODE_ATTR,
			      .render = render_tenant,
			      .help = "group of the owner"},
	[VOLUME_USER_ID] = {.name = "user_id",
			    .type = NODE_ATTR,
			    .render = render_user,
			    .help = "the owner"},
	[VOLUME_CREATED_AT] = ROW_CREATED,
	[VOLUME_UPDATED_AT] = ROW_UPDATED,
	[VOLUME_LAST_ERROR] = ROW_LAST_ERROR,
	[VOLUME_INFO] = {.name = "info.json",
			 .type = NODE_ATTR,
			 .flags = NODE_FOLLOWS,
			 .render = volume_info,
			 .help = "all of it as OpenSDS's VolumeSpec"},
	[VOLUME_ATTACHMENTS] = {.name = "attachments",
				.type = NODE_CHILDREN,
				.child = KIND_ATTACHMENT,
				.help = "one directory a host: mkdir reserves, rmdir detaches"},
	[VOLUME_STORED_STATUS] = {.name = "stored_status",
				  .type = NODE_FIELD,
				  .flags = NODE_STORED,
				  .value = &value_number,
				  FIELD(status)},
	[VOLUME_PLACED] = {.name = "placed",
			   .type = NODE_FIELD,
			   .flags = NODE_STORED,
			   .value = &value_number,
			   FIELD(pool)},
	[VOLUME_REAL_BYTES] = {.name = "real_bytes",
			       .type = NODE_FIELD,
			       .flags = NODE_STORED,
			       .value = &value_bytes,
			       FIELD(real_bytes)},
	[VOLUME_SIZE_BEFORE] = {.name = "size_before",
				.type = NODE_FIELD,
				.flags = NODE_STORED,
				.value = &value_line,
				FIELD(size_before)},
	[VOLUME_GENERATION] = {.name = "generation",
			       .type = NODE_FIELD,
			       .flags = NODE_STORED,
			       .value = &value_number,
			       FIELD(generation)},
	[VOLUME_LINK] = {.name = "link",
			 .type = NODE_LINK,
			 .readlink = link_readlink_volume},
};

const struct kind_ops volume_kind = {
	.name = "volume",
	.size = sizeof(struct volume),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.status = stored_status,
	.status_names = status_names,
	.directory_mode = 0755,
	.remove = remove_volume,
	.rename = rename_volume,
};
