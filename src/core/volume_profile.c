/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume takes from its profile. */
#include <errno.h>

#include "wish.h"

static int check_unattached(struct change *c, const struct volume *v)
{
	struct tally t;
	int rc = volume_tally(c->tx, v->o.number, &t);

	if (!rc && t.total)
		rc = error_set(c->err, EBUSY,
			       "multiattach cannot change while %s holds the volume: detach it first",
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
	rc = check_unattached(c, v);
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

/* May it stay where it is? */
static int check_pool(struct change *c, const struct volume *v)
{
	union any pool, dock;
	struct wish wish = {0};
	BUF_AUTO(why);
	int rc = pool_get(c->tx, v->pool, &pool, &dock);

	if (!rc)
		rc = wish_of_volume(c->tx, v, &wish);
	if (!rc && !wish_fits(&wish, &pool.pool, &dock.dock, true, &why, " and "))
		rc = error_set(c->err, EOPNOTSUPP, "pool %s:%s, where volume %s is: %s",
			       dock.o.name, pool.o.name, v->o.name, why.data ?: "");
	wish_free(&wish);
	return rc;
}

int volume_set_profile(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	int rc = take_profile(c, v);

	if (rc || v->profile == before->volume.profile)
		return rc;
	rc = take_multiattach(c, now);
	return rc || !v->pool ? rc : check_pool(c, v);
}

int volume_set_multiattach(struct change *c, union any *now, const union any *before)
{
	struct volume *v = &now->volume;
	int rc;

	v->multiattach_given = 0;
	if (v->multiattach == before->volume.multiattach)
		return 0;
	rc = check_unattached(c, v);
	return rc || !v->multiattach || !v->pool ? rc : check_pool(c, v);
}
