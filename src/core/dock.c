/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Docks and pools: their rows. Users cannot change them; the configuration does (apply.c). */
#include <inttypes.h>

#include "core.h"

static int render_name(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_printf(out, "%s\n", object->o.name);
	return 0;
}

static bool is_available(const struct dock *d)
{
	return d->configured && d->status == DOCK_AVAILABLE;
}

static int render_dock_status(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_str(out, is_available(&object->dock) ? "available\n" : "unavailable\n");
	return 0;
}

static int render_wish(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_str(out, object->dock.multiattach ? "<is> True\n" : "<is> False\n");
	return 0;
}

#define DOCK_TEXT(name_, field, help_)                                                         \
	{                                                                                      \
		.name = name_, .type = NODE_ATTR, .flags = NODE_STORED, .value = &value_line,  \
		.offset = offsetof(struct dock, field), .help = help_                          \
	}

static const struct node dock_nodes[] = {
	[DOCK_ID] = ROW_ID("dock"),
	[DOCK_NAME] = {.name = "name",
		       .type = NODE_ATTR,
		       .render = render_name,
		       .help = "the dock's name"},
	[DOCK_DESCRIPTION] = DOCK_TEXT("description", description, "free text"),
	[DOCK_TYPE] = DOCK_TEXT("type", type, "provisioner"),
	[DOCK_DRIVER] = DOCK_TEXT("driver", driver, "name of the driver"),
	[DOCK_ENDPOINT] = DOCK_TEXT("endpoint", endpoint, "where it is reached, for information"),
	[DOCK_NODE_ID] = DOCK_TEXT("node_id", node_id, "the machine that it runs on"),
	[DOCK_STORAGE_TYPE] = DOCK_TEXT("storage_type", storage_type, "block"),
	[DOCK_STATUS] = {.name = "status",
			 .type = NODE_ATTR,
			 .flags = NODE_STORED,
			 .value = &value_number,
			 .offset = offsetof(struct dock, status),
			 .render = render_dock_status,
			 .help = "available or unavailable; last_error says why"},
	[DOCK_LAST_ERROR] = ROW_LAST_ERROR,
	[DOCK_MULTIATTACH] = {.name = "multiattach",
			      .type = NODE_ATTR,
			      .flags = NODE_STORED,
			      .value = &value_bool,
			      .offset = offsetof(struct dock, multiattach),
			      .help = "can any of its pools attach a volume to several hosts?"},
	[DOCK_METADATA] = {.name = "metadata",
			   .type = NODE_GROUP,
			   .help = "the dock's metadata as OpenSDS reports it"},
	[DOCK_METADATA_MULTIATTACH] = {.name = "multiattach",
				       .type = NODE_ATTR,
				       .group = DOCK_METADATA,
				       .render = render_wish,
				       .help = "<is> True or <is> False"},
	[DOCK_INFO] = {.name = "info.json",
		       .type = NODE_ATTR,
		       .flags = NODE_FOLLOWS,
			 .render = dock_info,
		       .help = "all of it as OpenSDS's DockSpec"},
	[DOCK_POOLS] = {.name = "pools",
			.type = NODE_CHILDREN,
			.child = KIND_POOL,
			.fixed = true,
			.help = "the dock's pools"},
	[DOCK_CAPABILITIES] = {.name = "capabilities",
			       .type = NODE_FIELD,
			       .flags = NODE_STORED,
			       .value = &value_number,
			       .offset = offsetof(struct dock, capabilities)},
	[DOCK_CONFIGURED] = {.name = "configured",
			     .type = NODE_FIELD,
			     .flags = NODE_STORED,
			     .value = &value_number,
			     .offset = offsetof(struct dock, configured)},
};

const struct kind_ops dock_kind = {
	.name = "dock",
	.size = sizeof(struct dock),
	.nodes = dock_nodes,
	.n_nodes = ARRAY_SIZE(dock_nodes),
	.directory_mode = 0755,
};

static int render_pool_status(struct view *view, const union any *object, struct buf *out)
{
	union any dock;
	int rc = object_get_kind(view->tx, object->o.parent, KIND_DOCK, &dock);

	if (!rc)
		buf_str(out, object->pool.configured && is_available(&dock.dock)
				     ? "available\n"
				     : "unavailable\n");
	return rc;
}

static int64_t pool_status_since(struct view *view, const union any *object, uint8_t node)
{
	union any dock;

	(void)node;
	if (!object->pool.configured || object_get(view->tx, object->o.parent, &dock))
		return 0;
	return stamp_of(&dock, DOCK_STATUS);
}

static int render_total(struct view *view, const union any *object, struct buf *out)
{
	struct pool_usage usage = {0};
	uint64_t total = object->pool.total_bytes;

	observed_usage(view->core, object->o.number, &usage);
	buf_printf(out, "%" PRIu64 "\n", total ? total : usage.total);
	return 0;
}

static int render_free(struct view *view, const union any *object, struct buf *out)
{
	struct pool_usage usage = {0};

	observed_usage(view->core, object->o.number, &usage);
	buf_printf(out, "%" PRIu64 "\n", usage.free);
	return 0;
}

static const struct node pool_nodes[] = {
	[POOL_ID] = ROW_ID("pool"),
	[POOL_NAME] = {.name = "name",
		       .type = NODE_ATTR,
		       .render = render_name,
		       .help = "the pool's name"},
	[POOL_STATUS] = {.name = "status",
			 .type = NODE_ATTR,
			 .render = render_pool_status,
			 .since = pool_status_since,
			 .help = "available or unavailable"},
	[POOL_STORAGE_TYPE] = {.name = "storage_type",
			       .type = NODE_ATTR,
			       .flags = NODE_STORED,
			       .value = &value_line,
			       .offset = offsetof(struct pool, storage_type),
			       .help = "block"},
	[POOL_ZONE] = {.name = "availability_zone",
		       .type = NODE_ATTR,
		       .flags = NODE_STORED,
		       .value = &value_line,
		       .offset = offsetof(struct pool, availability_zone),
		       .help = "the pool's zone"},
	[POOL_MULTIATTACH] = {.name = "multiattach",
			      .type = NODE_ATTR,
			      .flags = NODE_STORED,
			      .value = &value_bool,
			      .offset = offsetof(struct pool, multiattach),
			      .help = "may its volumes be attached to several hosts?"},
	[POOL_TOTAL] = {.name = "total_capacity",
			.type = NODE_ATTR,
			.flags = NODE_VOLATILE,
			.render = render_total,
			.help = "bytes, as configured or as the file system has them"},
	[POOL_FREE] = {.name = "free_capacity",
		       .type = NODE_ATTR,
		       .flags = NODE_VOLATILE,
		       .render = render_free,
		       .help = "bytes that can really still be written"},
	[POOL_PROVISIONED] = {.name = "provisioned_capacity",
			      .type = NODE_ATTR,
			      .flags = NODE_STORED | NODE_VOLATILE,
			      .value = &value_bytes,
			      .offset = offsetof(struct pool, provisioned),
			      .help = "sum of the sizes of its volumes, in bytes"},
	[POOL_RESERVED_PERCENTAGE] = {.name = "reserved_percentage",
				      .type = NODE_ATTR,
				      .flags = NODE_STORED,
				      .value = &value_number,
				      .offset = offsetof(struct pool, reserved_percentage),
				      .help = "share of the total that is never given to volumes"},
	[POOL_OVER_SUBSCRIPTION] = {.name = "max_over_subscription_ratio",
				    .type = NODE_ATTR,
				    .flags = NODE_STORED,
				    .value = &value_thousandths,
				    .offset = offsetof(struct pool, over_subscription),
				    .help = "how often a thin pool's room is promised"},
	[POOL_CAPABILITIES] = {.name = "capabilities",
			       .type = NODE_CHILDREN,
			       .child = KIND_KEY,
			       .fixed = true,
			       .help = "the pool's extras, flattened: GROUP.KEY"},
	[POOL_VOLUMES] = {.name = "volumes",
			  .type = NODE_LINKS,
			  .links = &links_of_pool,
			  .help = "NAME: the volumes in this pool"},
	[POOL_THIN] = {.name = "thin",
		       .type = NODE_FIELD,
		       .flags = NODE_STORED,
		       .value = &value_number,
		       .offset = offsetof(struct pool, thin)},
	[POOL_TOTAL_CONFIGURED] = {.name = "total_configured",
				   .type = NODE_FIELD,
				   .flags = NODE_STORED,
				   .value = &value_bytes,
				   .offset = offsetof(struct pool, total_bytes)},
	[POOL_CONFIGURED] = {.name = "configured",
			     .type = NODE_FIELD,
			     .flags = NODE_STORED,
			     .value = &value_number,
			     .offset = offsetof(struct pool, configured)},
	[POOL_EXTRAS] = {.name = "extras",
			 .type = NODE_FIELD,
			 .flags = NODE_STORED,
			 .value = &value_line,
			 .offset = offsetof(struct pool, extras)},
};

const struct kind_ops pool_kind = {
	.name = "pool",
	.paired = true,
	.size = sizeof(struct pool),
	.nodes = pool_nodes,
	.n_nodes = ARRAY_SIZE(pool_nodes),
	.directory_mode = 0755,
};
