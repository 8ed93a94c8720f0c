/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes: the rows of their attributes and how the computed ones are shown. */
#include "core.h"

#define IN_NEW	     (1u << VOLUME_NEW)
#define IN_AVAILABLE (1u << VOLUME_AVAILABLE)

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

static int64_t zone_since(struct view *view, const union any *object, uint8_t node)
{
	union any pool;

	(void)node;
	if (!object->volume.pool || object_get(view->tx, object->volume.pool, &pool))
		return 0;
	return stamp_of(&pool, POOL_ZONE);
}

static int render_name(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_str(out, object->o.name);
	buf_str(out, "\n");
	return 0;
}

static int render_user(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_number(out, object->o.inode.uid, 1);
	buf_str(out, "\n");
	return 0;
}

static int render_tenant(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_number(out, object->o.inode.gid, 1);
	buf_str(out, "\n");
	return 0;
}

#define FIELD(name_) .offset = offsetof(struct volume, name_)

const struct node volume_nodes[VOLUME_NODES] = {
	[VOLUME_SIZE] = {.name = "size",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE | NODE_REPEAT | NODE_ACTS,
			 .value = &value_size,
			 FIELD(size_bytes),
			 .apply = volume_set_size,
			 .then = draft_attachments,
			 .help = "writing it provisions the volume; later it may grow"},
	[VOLUME_MULTIATTACH] = {.name = "multiattach",
				.type = NODE_ATTR,
				.flags = NODE_SETTABLE | NODE_REPEAT,
				.value = &value_bool,
				FIELD(multiattach),
				.apply = volume_set_multiattach,
				.help = "may several hosts attach it at once? Only while none does"},
	[VOLUME_PROFILE] = {.name = "profile",
			    .type = NODE_ATTR,
			    .flags = NODE_SETTABLE | NODE_REPEAT,
			    .value = &value_name,
			    FIELD(profile_name),
			    .states = IN_NEW | IN_AVAILABLE,
			    .apply = volume_set_profile,
			    .help = "one of profiles: what the volume asks of its pool, and whether it "
				    "is multiattach by default"},
	[VOLUME_POOL] = {.name = "pool",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE | NODE_ELSEWHERE,
			 .value = &value_pool,
			 FIELD(pool_wish),
			 .states = IN_NEW,
			 .render = render_pool,
			 .help = "POOL or DOCK:POOL: where to provision it, before size is written; "
				 "then where it is"},
	[VOLUME_ZONE] = {.name = "availability_zone",
			 .type = NODE_ATTR,
			 .flags = NODE_SETTABLE | NODE_ELSEWHERE,
			 .value = &value_line,
			 FIELD(zone_wish),
			 .states = IN_NEW,
			 .render = render_zone,
			 .since = zone_since,
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
				.apply = volume_set_max_writers,
				.help = "how many hosts may be attached rw at once; 0 = any number"},
	[VOLUME_PROTECTED] = {.name = "protected",
			      .type = NODE_ATTR,
			      .flags = NODE_SETTABLE | NODE_VITAL,
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
			   .flags = NODE_ELSEWHERE,
			   .render = volume_render_status,
			   .help = "draft, new, creating, available, extending; with attachments in-use, "
				   "attaching, detaching or reserved"},
	[VOLUME_ATTACH_STATUS] = {.name = "attach_status",
				  .type = NODE_ATTR,
				  .flags = NODE_ELSEWHERE,
				  .render = volume_render_attach_status,
				  .help = "attached if any host is, else detached"},
	[VOLUME_DOCK] = {.name = "dock",
			 .type = NODE_ATTR,
			 .flags = NODE_ELSEWHERE,
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
			 .since = zone_since,
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
	[VOLUME_DRAFT_NAME] = {.name = "draft_name",
			       .type = NODE_FIELD,
			       .flags = NODE_STORED,
			       .value = &value_line,
			       FIELD(draft_name)},
	[VOLUME_GENERATION] = {.name = "generation",
			       .type = NODE_FIELD,
			       .flags = NODE_STORED,
			       .value = &value_number,
			       FIELD(generation)},
	[VOLUME_PROFILE_NUMBER] = {.name = "profile_number",
				   .type = NODE_FIELD,
				   .flags = NODE_STORED,
				   .value = &value_number,
				   FIELD(profile)},
	[VOLUME_MULTIATTACH_GIVEN] = {.name = "multiattach_given",
				      .type = NODE_FIELD,
				      .flags = NODE_STORED,
				      .value = &value_number,
				      FIELD(multiattach_given)},
	[VOLUME_TOUCHED] = {.name = "touched",
			    .type = NODE_FIELD,
			    .flags = NODE_STORED,
			    .value = &value_number,
			    FIELD(touched)},
	[VOLUME_BACKING] = {.name = "backing",
			    .type = NODE_FIELD,
			    .flags = NODE_STORED,
			    .value = &value_line,
			    FIELD(backing)},
	[VOLUME_LEFT] = {.name = "left",
			 .type = NODE_FIELD,
			 .flags = NODE_STORED,
			 .value = &value_number,
			 FIELD(left)},
	[VOLUME_LINK] = {.name = "link",
			 .type = NODE_LINK,
			 .readlink = link_readlink_volume},
};
