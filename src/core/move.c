/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume that no host has been let at is made anew in another pool when it asks for that. */
#include <errno.h>
#include <uuid.h>

#include "core.h"

/*
 * The new one gets an identity of its own for its backend: none is ever used twice. What is
 * left behind is a record of the volume as it was, in no container, which holds the old pool's
 * bytes: if the new one cannot be made the volume is that again, and if it can they are
 * purged like those of any volume that was removed.
 */

void volume_backing(const struct volume *v, char ret[UUID_TEXT_SIZE])
{
	if (v->backing.n)
		text_copy(ret, UUID_TEXT_SIZE, v->backing);
	else
		uuid_unparse_lower(v->o.id, ret);
}

static int leave_behind(struct change *c, struct volume *now, const union any *before)
{
	char backing[UUID_TEXT_SIZE];
	union any left;
	struct object fresh;
	int rc = change_new(c, KIND_VOLUME, (struct ref){ROOT_OBJECT, 0}, before->o.name, 0, &left);

	if (rc)
		return rc;
	fresh = left.o;
	left = *before;
	left.o.number = fresh.number;
	left.o.container = 0;
	memcpy(left.o.id, fresh.id, sizeof(left.o.id));
	volume_backing(&before->volume, backing);
	left.volume.backing = text_of(backing);
	now->left = left.o.number;
	rc = change_store(c, &left);
	if (!rc && left.volume.profile) /* which must not go, as long as it may be needed again */
		rc = profile_link(c, left.volume.profile, &left.volume);
	return rc;
}

/* Refused as what the pool that it is in cannot do, unless only room is missing. */
static int find_pool(struct change *c, const struct volume *v, uint64_t *ret)
{
	int rc = place_volume(c, v, ret);

	if (rc == -ENODEV && c->err)
		c->err->code = EOPNOTSUPP;
	return rc == -ENODEV ? -EOPNOTSUPP : rc;
}

static int enter(struct change *c, struct volume *v, uint64_t pool)
{
	uint64_t before = v->pool;
	int rc = link_remove_pool(c, v);

	v->pool = pool;
	if (!rc)
		rc = link_add_pool(c, v);
	return rc ? rc : volume_entered(c, (union any *)v, before);
}

int volume_move(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	char backing[UUID_TEXT_SIZE];
	uuid_t id;
	uint64_t pool;
	int rc = find_pool(c, v, &pool);

	if (!rc)
		rc = leave_behind(c, v, before);
	if (!rc)
		rc = enter(c, v, pool);
	if (!rc)
		rc = pool_charge(c, pool, v->size_bytes);
	if (rc)
		return rc;
	uuid_generate_random(id);
	uuid_unparse_lower(id, backing);
	v->backing = change_keep(c, text_of(backing));
	return v->backing.p ? volume_begin_work(c, v, VOLUME_MOVING) : -ENOMEM;
}

int volume_purge_left(struct change *c, struct volume *v)
{
	union any left, pool;
	int rc;

	if (!v->left)
		return 0;
	rc = change_load(c, v->left, KIND_VOLUME, &left);
	if (!rc)
		rc = object_get_kind(c->tx, left.volume.pool, KIND_POOL, &pool);
	v->left = 0;
	if (!rc && left.volume.profile)
		rc = profile_unlink(c, left.volume.profile, &left.volume);
	if (rc)
		return rc;
	left.volume.status = VOLUME_DELETING;
	left.volume.generation++;
	rc = link_add_purge(c, &left.volume);
	if (!rc)
		rc = change_kick(c, pool.o.parent, left.o.number);
	return rc ? rc : change_store(c, &left);
}

int volume_moved(struct change *c, union any *object)
{
	object->volume.status = VOLUME_AVAILABLE;
	return change_event(c, "moved", SELF(object->o.number), NULL) ?:
	       volume_purge_left(c, &object->volume);
}

/* The attribute that made it move goes back to what it was. */
static int restore(struct change *c, union any *object, const union any *left)
{
	static const uint8_t written[] = {VOLUME_PROFILE, VOLUME_MULTIATTACH};
	struct volume *v = &object->volume;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(written) && !rc; i++) {
		const struct attr_state *a = &left->o.attr[written[i]];
		const char *raw = a->flags & ATTR_HAS_RAW ? change_keep(c, a->raw).p : NULL;

		rc = change_set_raw(c, object, written[i], raw);
	}
	v->multiattach_given = left->volume.multiattach_given;
	if (!rc && v->profile)
		rc = profile_unlink(c, v->profile, v);
	if (!rc && left->volume.profile)
		rc = profile_unlink(c, left->volume.profile, &left->volume) ?:
		     profile_link(c, left->volume.profile, v);
	v->profile = left->volume.profile;
	return rc;
}

int volume_move_failed(struct change *c, union any *object)
{
	struct volume *v = &object->volume;
	uint64_t failed = v->pool;
	union any left;
	int rc = change_load(c, v->left, KIND_VOLUME, &left);

	if (!rc)
		rc = pool_discharge(c, failed, v->size_bytes);
	if (!rc)
		rc = enter(c, v, left.volume.pool);
	if (!rc)
		rc = restore(c, object, &left);
	if (rc)
		return rc;
	v->backing = left.volume.backing;
	v->status = VOLUME_AVAILABLE;
	v->left = 0;
	return change_delete(c, &left);
}
