/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The root of the tree: its rows, and the values that belong to no object. */
#include <inttypes.h>

#include "core.h"

static int render_version(struct view *view, const union any *object, struct buf *out)
{
	(void)view, (void)object;
	buf_str(out, ATTACHFS_VERSION "\n");
	return 0;
}

/* The whole log at once is only for readers that do not read by offset: NODE_STREAM does. */
static int render_events(struct view *view, const union any *object, struct buf *out)
{
	(void)view, (void)object, (void)out;
	return 0;
}

static int render_metrics(struct view *view, const union any *object, struct buf *out)
{
	struct store_usage u;

	(void)object;
	store_usage(core_store(view->core), &u);
	buf_printf(out,
		   "# HELP attachfs_mutations_total Changes that were committed or refused.\n"
		   "# TYPE attachfs_mutations_total counter\n"
		   "attachfs_mutations_total %" PRIu64 "\n"
		   "# HELP attachfs_commits_total Commits to the state; one may hold many "
		   "changes.\n"
		   "# TYPE attachfs_commits_total counter\n"
		   "attachfs_commits_total %" PRIu64 "\n"
		   "# HELP attachfs_state_bytes Room that the state has taken, its limit, and what is "
		   "left for changes that make it grow.\n"
		   "# TYPE attachfs_state_bytes gauge\n"
		   "attachfs_state_bytes{part=\"used\"} %" PRIu64 "\n"
		   "attachfs_state_bytes{part=\"available\"} %" PRIu64 "\n"
		   "attachfs_state_bytes{part=\"limit\"} %" PRIu64 "\n"
		   "# HELP attachfs_events_bytes Length of the audit log.\n"
		   "# TYPE attachfs_events_bytes gauge\n"
		   "attachfs_events_bytes %" PRIu64 "\n"
		   "# HELP attachfs_waiting_requests Requests that wait for a backend.\n"
		   "# TYPE attachfs_waiting_requests gauge\n"
		   "attachfs_waiting_requests %u\n",
		   u.mutations, u.commits, u.used_bytes, u.available_bytes, u.map_bytes,
		   tx_events_size(view->tx), waiters_count(view->core));
	return buf_error(out);
}

static const struct node nodes[] = {
	[ROOT_VERSION] = {.name = "version",
			  .type = NODE_ATTR,
			  .render = render_version,
			  .help = "version of the running attachfs"},
	[ROOT_EVENTS] = {.name = "events",
			 .type = NODE_ATTR,
			 .flags = NODE_VOLATILE | NODE_STREAM,
			 .render = render_events,
			 .help = "the audit log: one JSON object a line, who did what and why it was "
				 "refused"},
	[ROOT_METRICS] = {.name = "metrics",
			  .type = NODE_ATTR,
			  .flags = NODE_VOLATILE,
			  .render = render_metrics,
			  .help = "counters in Prometheus text format"},
	[ROOT_DOCKS] = {.name = "docks",
			.type = NODE_CHILDREN,
			.child = KIND_DOCK,
			.fixed = true,
			.help = "the storage backends of the configuration"},
	[ROOT_PROFILES] = {.name = "profiles",
			   .type = NODE_CHILDREN,
			   .child = KIND_PROFILE,
			   .help = "what volumes may ask of their pools; mkdir makes one"},
	[ROOT_HOSTS] = {.name = "hosts",
			.type = NODE_CHILDREN,
			.child = KIND_HOST,
			.help = "hosts that volumes are attached to; mkdir makes one"},
	[ROOT_VOLUMES] = {.name = "volumes",
			  .type = NODE_CHILDREN,
			  .child = KIND_VOLUME,
			  .help = "volumes; mkdir makes one, writing its size provisions it"},
	[ROOT_ATTACHMENTS] = {.name = "attachments",
			      .type = NODE_LINKS,
			      .links = &links_flat,
			      .help = "VOLUME@HOST: every attachment at a glance"},
};

const struct kind_ops root_kind = {
	.name = "root",
	.size = sizeof(struct root),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.directory_mode = 0755,
};
