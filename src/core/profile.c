/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles: what volumes may ask of their pools, by a name. */
#include <errno.h>

#include "core.h"

int profile_find(struct change *c, struct text name, uint64_t *ret)
{
	int rc = object_find(c->tx, (struct ref){ROOT_OBJECT, ROOT_PROFILES}, name, ret);

	if (rc == -ENOENT)
		return error_set(c->err, EINVAL,
				 "profile: there is no %.*s in profiles: mkdir makes one",
				 TEXT_ARG(name));
	return rc;
}

/* ---- the volumes that have it ---- */

int profile_link(struct change *c, uint64_t profile, const struct volume *v)
{
	return index_add(c, (struct ref){profile, PROFILE_VOLUMES}, v->o.number, TEXT_NONE);
}

int profile_unlink(struct change *c, uint64_t profile, const struct volume *v)
{
	return index_remove(c, (struct ref){profile, PROFILE_VOLUMES}, v->o.number);
}

static int first_volume(void *arg, uint64_t number, struct text name)
{
	(void)name;
	*(uint64_t *)arg = number;
	return 1;
}

static int remove_profile(struct change *c, union any *profile)
{
	struct ref index = {profile->o.number, PROFILE_VOLUMES};
	union any volume;
	uint64_t number;
	int rc = object_children(c->tx, index, 0, first_volume, &number);

	if (!rc)
		return change_delete(c, profile);
	if (rc == 1)
		rc = object_get_kind(c->tx, number, KIND_VOLUME, &volume);
	if (rc)
		return rc;
	return error_set(c->err, EBUSY,
			 "profile %s is that of volumes, %s among them: give them another one or "
			 "none first",
			 profile->o.name, volume.o.name);
}

static int render_storage_type(struct view *view, const union any *object, struct buf *out)
{
	(void)view, (void)object;
	buf_str(out, "block\n");
	return 0;
}

static const struct node nodes[] = {
	[PROFILE_DESCRIPTION] = {.name = "description",
				 .type = NODE_ATTR,
				 .flags = NODE_SETTABLE,
				 .value = &value_line,
				 .offset = offsetof(struct profile, description),
				 .help = "free text"},
	[PROFILE_STORAGE_TYPE] = {.name = "storage_type",
				  .type = NODE_ATTR,
				  .flags = NODE_SETTABLE,
				  .value = &value_line,
				  .offset = offsetof(struct profile, storage_type),
				  .render = render_storage_type,
				  .help = "storage_type of the pool wanted; empty means block"},
	[PROFILE_ID] = ROW_ID("profile"),
	[PROFILE_CREATED_AT] = ROW_CREATED,
	[PROFILE_UPDATED_AT] = ROW_UPDATED,
	[PROFILE_LAST_ERROR] = ROW_LAST_ERROR,
	[PROFILE_EXTRA_SPECS] = {.name = "extra_specs",
				 .type = NODE_CHILDREN,
				 .flags = NODE_SCOPED,
				 .child = KIND_KEY,
				 .help = "a file for each capability that is wanted: its name as in a "
					 "pool's capabilities, or multiattach; its value such as "
					 "\"<is> True\" or \">= 5000\""},
	[PROFILE_ELIGIBLE] = {.name = "eligible",
			      .type = NODE_LINKS,
			      .links = &links_eligible,
			      .help = "DOCK:POOL: for each pool \"yes\", or \"no: \" and why not, a "
				      "line for each clause that fails"},
};

const struct kind_ops profile_kind = {
	.name = "profile",
	.paired = true,
	.size = sizeof(struct profile),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.directory_mode = 0755,
	.remove = remove_profile,
};
