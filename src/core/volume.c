/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes: the rules of making, growing, renaming and removing them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core.h"

static const char *const status_names[] = {
	[VOLUME_NEW] = "new",		  [VOLUME_CREATING] = "creating",
	[VOLUME_AVAILABLE] = "available", [VOLUME_EXTENDING] = "extending",
	[VOLUME_DELETING] = "deleting",	  [VOLUME_MOVING] = "creating",
};

static uint64_t stored_status(const union any *object)
{
	return object->volume.status;
}

int volume_begin_work(struct change *c, struct volume *v, enum volume_status status)
{
	union any pool, dock;
	int rc = pool_get(c->tx, v->pool, &pool, &dock);

	if (rc)
		return rc;
	v->status = status;
	v->generation++;
	change_wait(c, v->o.number, v->generation, c->core->attach_timeout_ms);
	return change_kick(c, dock.o.number, v->o.number);
}

/* Writing the same size while it is being worked on waits again. */
static int wait_again(struct change *c, const struct volume *now, const struct volume *before)
{
	if (now->size_bytes != before->size_bytes)
		return error_set(c->err, EBUSY, "volume %s is %s: wait until it is available",
				 now->o.name, status_names[before->status]);
	change_wait(c, now->o.number, now->generation, c->core->attach_timeout_ms);
	return 0;
}

struct shown_place {
	char pool[2 * NAME_BYTES_MAX + 2], dock[NAME_BYTES_MAX + 1];
	struct text zone;
};

static int show_place(struct change *c, uint64_t number, struct shown_place *ret)
{
	union any pool, dock;
	int rc = number ? pool_get(c->tx, number, &pool, &dock) : 0;

	*ret = (struct shown_place){.zone = TEXT_NONE};
	if (rc || !number)
		return rc;
	snprintf(ret->pool, sizeof(ret->pool), "%s:%s", dock.o.name, pool.o.name);
	text_copy(ret->dock, sizeof(ret->dock), text_of(dock.o.name));
	ret->zone = change_keep(c, pool.pool.availability_zone);
	return 0;
}

/* What somebody has written there is shown, wherever the volume is. */
static void touch_shown(struct change *c, union any *volume, uint8_t node)
{
	if (volume->o.attr[node].flags & ATTR_HAS_RAW)
		return;
	change_touch(c, volume, node);
	change_note(c, &(struct note){.type = NOTE_NODE, .ref = {volume->o.number, node}});
}

int volume_entered(struct change *c, union any *volume, uint64_t before)
{
	struct shown_place was, is;
	int rc = show_place(c, before, &was) ?: show_place(c, volume->volume.pool, &is);

	if (rc)
		return rc;
	if (strcmp(was.pool, is.pool))
		touch_shown(c, volume, VOLUME_POOL);
	if (strcmp(was.dock, is.dock))
		touch_shown(c, volume, VOLUME_DOCK);
	if (!text_equal(was.zone, is.zone))
		touch_shown(c, volume, VOLUME_ZONE);
	return 0;
}

static int create_sized(struct change *c, union any *object)
{
	struct volume *v = &object->volume;
	uint64_t pool;
	int rc = volume_take_profile(c, object); /* as the profile is now */

	if (!rc)
		rc = place_volume(c, v, &pool);
	if (rc)
		return rc;
	v->pool = pool;
	rc = volume_entered(c, object, 0);
	if (!rc)
		rc = pool_charge(c, pool, v->size_bytes);
	if (!rc)
		rc = link_add_pool(c, v);
	return rc ? rc : volume_begin_work(c, v, VOLUME_CREATING);
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
	rc = pool_charge(c, now->pool, more);
	return rc ? rc : volume_begin_work(c, now, VOLUME_EXTENDING);
}

int volume_set_size(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;

	switch ((enum volume_status)v->status) {
	case VOLUME_NEW:
		return create_sized(c, now);
	case VOLUME_CREATING:
	case VOLUME_EXTENDING:
	case VOLUME_MOVING:
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

int volume_set_max_writers(struct change *c, union any *now, const union any *before)
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
	if (t.drafts)
		return error_set(c->err, EBUSY, "volume %s has %u draft(s) of attachments: remove "
				 "them first", v->o.name, t.drafts);
	if (v->is_protected)
		return error_set(c->err, EPERM, "volume %s is protected: echo 0 > protected first",
				 v->o.name);
	if (v->profile)
		rc = profile_unlink(c, v->profile, v);
	if (rc)
		return rc;
	if (!v->pool)
		return change_delete(c, object);
	rc = change_unlink(c, object);
	if (!rc)
		rc = link_remove_pool(c, v);
	if (!rc)
		rc = link_add_purge(c, v);
	if (!rc)
		rc = volume_begin_work(c, v, VOLUME_DELETING);
	c->intent->wait_object = 0; /* the name is gone at once; the bytes follow */
	v->o.container = 0;
	return rc ? rc : change_save(c, object);
}

static int rename_volume(struct change *c, union any *object, const char *name)
{
	struct ref container = {object->o.parent, object->o.container};
	struct volume *v = &object->volume;
	int rc = v->pool ? link_remove_pool(c, v) : 0;

	if (!rc)
		rc = change_unlink(c, object);
	if (!rc)
		rc = change_link(c, object, container, name);
	if (!rc && v->pool)
		rc = link_add_pool(c, v);
	return rc ? rc : change_save(c, object);
}

const struct kind_ops volume_kind = {
	.name = "volume",
	.size = sizeof(struct volume),
	.nodes = volume_nodes,
	.n_nodes = VOLUME_NODES,
	.status = stored_status,
	.status_names = status_names,
	.directory_mode = 0755,
	.remove = remove_volume,
	.rename = rename_volume,
};
