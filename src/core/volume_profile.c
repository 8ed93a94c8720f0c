/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume takes from its profile. */
#include <errno.h>

#include "wish.h"

static int check_unattached(struct change *c, const struct volume *v, const char *what)
{
	struct tally t;
	int rc = volume_tally(c->tx, v->o.number, &t);

	if (!rc && t.total)
		rc = error_set(c->err, EBUSY,
			       "%s cannot change while %s holds the volume: detach it first", what,
			       t.holder);
	return rc;
}

static int profile_wants_multiattach(struct change *c, uint64_t profile, bool *ret)
{
	struct wish wish;
	int rc = wish_of_profile(c->tx, profile, &wish);

	*ret = !rc && wish_is_multiattach(&wish);
	wish_free(&wish);
	return rc;
}

/* What somebody wrote himself stays, unless the profile wants the volume to be multi-attach. */
static int take_multiattach(struct change *c, union any *object)
{
	struct volume *v = &object->volume;
	bool wanted;
	int rc = profile_wants_multiattach(c, v->profile, &wanted);

	if (rc || (wanted ? v->multiattach : !v->multiattach_given))
		return rc;
	rc = check_unattached(c, v, "multiattach");
	if (!rc)
		rc = change_set_raw(c, object, VOLUME_MULTIATTACH, wanted ? "true\n" : NULL);
	v->multiattach_given = wanted;
	return rc;
}

/* The name has been written; the profile itself is what counts from here on. */
static int take_profile(struct change *c, struct volume *v)
{
	uint64_t number = 0;
	int rc = v->profile_name.n ? profile_find(c, v->profile_name, &number) : 0;

	if (rc || number == v->profile)
		return rc;
	if (v->profile)
		rc = profile_unlink(c, v->profile, v);
	if (!rc && number)
		rc = profile_link(c, number, v);
	v->profile = number;
	return rc;
}

int volume_take_profile(struct change *c, union any *object)
{
	int rc = take_profile(c, &object->volume);

	return rc ? rc : take_multiattach(c, object);
}

/* Is its pool what it asks for now? */
static int check_pool(struct change *c, const struct volume *v)
{
	union any pool, dock;
	struct wish wish = {0};
	BUF_AUTO(why);
	int rc = pool_get(c->tx, v->pool, &pool, &dock);

	if (!rc)
		rc = wish_of_volume(c->tx, v, &wish);
	if (!rc && !wish_fits(&wish, &pool.pool, &dock.dock, true, &why, " and "))
		rc = error_set(c->err, EOPNOTSUPP, "pool %s:%s, where volume %s is%s: %s",
			       dock.o.name, pool.o.name, v->o.name,
			       v->touched ? " and stays, as it has been attached" : "",
			       why.data ?: "");
	wish_free(&wish);
	return rc;
}

/* It stays where it is if it can, and is made anew elsewhere if nothing is lost by that. */
static int stay_or_move(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	int rc = v->pool ? check_pool(c, v) : 0;

	if (rc != -EOPNOTSUPP || v->touched)
		return rc;
	rc = check_unattached(c, v, "the pool that it is in");
	if (!rc && v->status != VOLUME_AVAILABLE)
		rc = error_set(c->err, EBUSY,
			       "volume %s has to be made in another pool for that: wait until it is "
			       "available",
			       v->o.name);
	return rc ? rc : volume_move(c, now, before);
}

/* The write that has made it move waits again when it is repeated. */
static int wait_again(struct change *c, const struct volume *v, bool same)
{
	if (!same)
		return error_set(c->err, EBUSY,
				 "volume %s is being made in another pool: wait until it is available",
				 v->o.name);
	change_wait(c, v->o.number, v->generation, c->core->attach_timeout_ms);
	return 0;
}

int volume_set_profile(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	int rc;

	if (v->status == VOLUME_MOVING)
		return wait_again(c, v, text_equal(v->profile_name, before->volume.profile_name));
	rc = take_profile(c, v);
	if (rc || v->profile == before->volume.profile)
		return rc;
	rc = take_multiattach(c, now);
	return rc ? rc : stay_or_move(c, now, before);
}

int volume_set_multiattach(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	int rc;

	if (v->status == VOLUME_MOVING)
		return wait_again(c, v, v->multiattach == before->volume.multiattach);
	v->multiattach_given = 0;
	if (v->multiattach == before->volume.multiattach)
		return 0;
	rc = check_unattached(c, v, "multiattach");
	return rc || !v->multiattach ? rc : stay_or_move(c, now, before);
}
