/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts: an identity that attachments of the same name take over. */
#include <errno.h>

#include "core.h"

static int any_link(void *arg, const char *name, struct ref link)
{
	char *first = arg;

	(void)link;
	text_copy(first, NAME_BYTES_MAX + 1, text_of(name));
	return 1;
}

static int remove_host(struct change *c, union any *host)
{
	char first[NAME_BYTES_MAX + 1];
	int rc = links_of_host.list(c->tx, &host->o, 0, any_link, first);

	if (host->host.fence)
		return error_set(c->err, EPERM, "host %s is fenced: echo 0 > fenced first",
				 host->o.name);
	if (rc == 1)
		return error_set(c->err, EBUSY,
				 "host %s has attachments, volume %s among them: detach them first",
				 host->o.name, first);
	return rc ? rc : change_delete(c, host);
}

/* Another name must not be a way back in. */
static int apply_initiator(struct change *c, union any *now, const union any *before)
{
	(void)before;
	return now->host.fence ? error_set(c->err, EPERM,
					   "initiator: host %s is fenced: echo 0 > fenced first",
					   now->o.name)
			       : 0;
}

static int render_fenced(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_str(out, object->host.fence == HOST_FENCED ? "1\n" : "0\n");
	return 0;
}

#define FIELD(name_) .offset = offsetof(struct host, name_)
#define STORED(name_, value_)                                                                  \
	.type = NODE_FIELD, .flags = NODE_STORED, .value = &value_, FIELD(name_)

static const struct node nodes[] = {
	[HOST_INITIATOR] = {.name = "initiator",
			    .type = NODE_ATTR,
			    .flags = NODE_SETTABLE,
			    .value = &value_iqn,
			    .offset = offsetof(struct host, initiator),
			    .apply = apply_initiator,
			    .help = "the host's iSCSI name; its attachments use it from their next "
				    "attach on"},
	[HOST_IP] = {.name = "ip",
		     .type = NODE_ATTR,
		     .flags = NODE_SETTABLE,
		     .value = &value_ip,
		     .offset = offsetof(struct host, ip),
		     .help = "the host's address, for information"},
	[HOST_OS_TYPE] = {.name = "os_type",
			  .type = NODE_ATTR,
			  .flags = NODE_SETTABLE,
			  .value = &value_line,
			  .offset = offsetof(struct host, os_type),
			  .help = "operating system, for information"},
	[HOST_PLATFORM] = {.name = "platform",
			   .type = NODE_ATTR,
			   .flags = NODE_SETTABLE,
			   .value = &value_line,
			   .offset = offsetof(struct host, platform),
			   .help = "hardware platform, for information"},
	[HOST_DESCRIPTION] = {.name = "description",
			      .type = NODE_ATTR,
			      .flags = NODE_SETTABLE,
			      .value = &value_line,
			      .offset = offsetof(struct host, description),
			      .help = "free text"},
	[HOST_ID] = ROW_ID("host"),
	[HOST_CREATED_AT] = ROW_CREATED,
	[HOST_UPDATED_AT] = ROW_UPDATED,
	[HOST_LAST_ERROR] = ROW_LAST_ERROR,
	[HOST_ATTACHMENTS] = {.name = "attachments",
			      .type = NODE_LINKS,
			      .links = &links_of_host,
			      .help = "VOLUME: the host's attachments"},
	[HOST_FENCE] = {.name = "fenced",
			.type = NODE_ATTR,
			.flags = NODE_SETTABLE | NODE_REPEAT | NODE_VITAL,
			.value = &value_flag,
			FIELD(fenced),
			.apply = host_set_fenced,
			.render = render_fenced,
			.help = "1: the host is provably out of every volume, and cannot be attached to "
				"any; writing 1 fences, 0 takes it back"},
	[HOST_FENCE_STATE] = {.name = "fence_state", STORED(fence, value_number)},
	[HOST_FENCE_RAW] = {.name = "fence_raw", STORED(fence_raw, value_line)},
	[HOST_FENCE_PENDING] = {.name = "fence_pending", STORED(fence_pending, value_number)},
	[HOST_GENERATION] = {.name = "generation", STORED(generation, value_number)},
};

const struct kind_ops host_kind = {
	.name = "host",
	.size = sizeof(struct host),
	.nodes = nodes,
	.n_nodes = ARRAY_SIZE(nodes),
	.directory_mode = 0755,
	.remove = remove_host,
};
