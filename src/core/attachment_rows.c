/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attachments: the rows of their attributes and how the computed ones are shown. */
#include <sys/param.h>

#include "core.h"

#define IN(status) (1u << ATTACHMENT_##status)
/* The host's identity is fixed while it may be in use. */
#define IDENTITY_STATES (IN(RESERVED) | IN(ERROR))

static int add_line(struct text t, struct buf *out)
{
	buf_text(out, t);
	if (t.n)
		buf_str(out, "\n");
	return 0;
}

static int render_host(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	return add_line(text_of(object->o.name), out);
}

static int render_status(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	return add_line(text_of(attachment_status_names[object->attachment.status]), out);
}

static int render_protocol(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	return add_line(object->attachment.driver_volume_type, out);
}

static int render_sessions(struct view *view, const union any *object, struct buf *out)
{
	if (!attachment_is_out(&object->attachment))
		observed_sessions(view->core, object->o.number, out);
	return 0;
}

/*
 * Nothing of a connection is shown before there is one. The account of one that failed is kept
 * all the same: who proves that the host is out has to try it.
 */
static bool connected(const union any *object)
{
	return object->attachment.target_iqn.n;
}

static int render_user(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	return connected(object) ? add_line(object->attachment.chap_user, out) : 0;
}

static int render_secret(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	return connected(object) ? add_line(object->attachment.chap_secret, out) : 0;
}

static int render_fenced(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	buf_str(out, object->attachment.status == ATTACHMENT_FENCED ? "1\n" : "0\n");
	return 0;
}

static int render_discovered(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	if (connected(object))
		buf_str(out, object->attachment.target_discovered ? "true\n" : "false\n");
	return 0;
}

static int render_lun(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	if (connected(object))
		buf_printf(out, "%u\n", (unsigned)object->attachment.target_lun);
	return 0;
}

static int render_discard(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	if (connected(object))
		buf_str(out, object->attachment.discard ? "true\n" : "false\n");
	return 0;
}

static int render_auth_method(struct view *view, const union any *object, struct buf *out)
{
	(void)view;
	if (connected(object))
		buf_str(out, object->attachment.chap ? "CHAP\n" : "None\n");
	return 0;
}

/* What the attachment leaves open is taken from the host of its name. */
static bool get_host(struct view *view, const union any *object, union any *ret)
{
	const struct ref hosts = {ROOT_OBJECT, ROOT_HOSTS};
	uint64_t number;

	return !object_find(view->tx, hosts, text_of(object->o.name), &number) &&
	       !object_get_kind(view->tx, number, KIND_HOST, ret);
}

static int render_ip(struct view *view, const union any *object, struct buf *out)
{
	union any host;

	return get_host(view, object, &host) ? add_line(host.host.ip, out) : 0;
}

static int render_os_type(struct view *view, const union any *object, struct buf *out)
{
	union any host;

	return get_host(view, object, &host) ? add_line(host.host.os_type, out) : 0;
}

static int render_platform(struct view *view, const union any *object, struct buf *out)
{
	union any host;

	return get_host(view, object, &host) ? add_line(host.host.platform, out) : 0;
}

static bool has_own_initiator(const union any *object)
{
	return object->attachment.status != ATTACHMENT_RESERVED &&
	       object->attachment.status != ATTACHMENT_DRAFT;
}

static const uint8_t of_host[ATTACHMENT_NODES] = {
	[ATTACHMENT_INITIATOR] = HOST_INITIATOR,
	[ATTACHMENT_IP] = HOST_IP,
	[ATTACHMENT_OS_TYPE] = HOST_OS_TYPE,
	[ATTACHMENT_PLATFORM] = HOST_PLATFORM,
};

static int64_t host_since(struct view *view, const union any *object, uint8_t node)
{
	union any host;

	if (object->o.attr[node].flags & ATTR_HAS_RAW ||
	    (node == ATTACHMENT_INITIATOR && has_own_initiator(object)) ||
	    !get_host(view, object, &host))
		return 0;
	return stamp_of(&host, of_host[node]);
}

/* Of what it tells that is not in the attachment's own record. */
static int64_t info_since(struct view *view, const union any *object, uint8_t node)
{
	int64_t latest = 0;
	union any volume;

	(void)node;
	for (uint8_t i = 0; i < ATTACHMENT_NODES; i++)
		if (of_host[i])
			latest = MAX(latest, host_since(view, object, i));
	if (!object_get(view->tx, object->o.parent, &volume))
		latest = MAX(latest, MAX(stamp_of(&volume, VOLUME_TENANT_ID),
					 stamp_of(&volume, VOLUME_USER_ID)));
	return latest;
}

/* The identity that is in use once attached; before that the one that would be. */
static int render_initiator(struct view *view, const union any *object, struct buf *out)
{
	char name[ISCSI_NAME_MAX + 1];
	union any host;

	if (has_own_initiator(object))
		return add_line(object->attachment.host_initiator, out);
	if (!get_host(view, object, &host))
		return 0;
	text_lower(name, sizeof(name), host.host.initiator);
	return add_line(text_of(name), out);
}

/* A reserved attachment, or one that has failed, is in no mode yet. */
static bool mode_in_force(const union any *object)
{
	return object->attachment.status != ATTACHMENT_RESERVED &&
	       object->attachment.status != ATTACHMENT_ERROR;
}

static int render_no_mode(struct view *view, const union any *object, struct buf *out)
{
	(void)view, (void)object, (void)out;
	return 0;
}

#define FIELD(name_) .offset = offsetof(struct attachment, name_)
#define STORED(name_, value_)                                                                  \
	.flags = NODE_STORED, .value = &value_, .offset = offsetof(struct attachment, name_)
#define IN_CONNECTION .type = NODE_ATTR, .group = ATTACHMENT_CONNECTION

const struct node attachment_nodes[ATTACHMENT_NODES] = {
	[ATTACHMENT_MODE] = {.name = "mode",
			     .type = NODE_ATTR,
			     .flags = NODE_SETTABLE | NODE_REPEAT | NODE_ACTS,
			     .value = &value_mode,
			     FIELD(mode),
			     .initial = ACCESS_RW,
			     .apply = attachment_set_mode,
			     .in_force = mode_in_force,
			     .render = render_no_mode,
			     .help = "ro or rw, rw if nothing is written; writing it attaches, and "
				     "until that is done it is empty"},
	[ATTACHMENT_INITIATOR] = {.name = "initiator",
				  .type = NODE_ATTR,
				  .flags = NODE_SETTABLE,
				  .value = &value_iqn,
				  FIELD(initiator),
				  .states = IDENTITY_STATES,
				  .render = render_initiator,
				  .since = host_since,
				  .help = "the host's iSCSI name; by default that of hosts/HOST"},
	[ATTACHMENT_IP] = {.name = "ip",
			   .type = NODE_ATTR,
			   .flags = NODE_SETTABLE | NODE_ELSEWHERE,
			   .value = &value_ip,
			   FIELD(ip),
			   .render = render_ip,
			   .since = host_since,
			   .help = "the host's address, for information; by default that of "
				   "hosts/HOST"},
	[ATTACHMENT_OS_TYPE] = {.name = "os_type",
				.type = NODE_ATTR,
				.flags = NODE_SETTABLE | NODE_ELSEWHERE,
				.value = &value_line,
				FIELD(os_type),
				.render = render_os_type,
				.since = host_since,
				.help = "operating system, for information; by default that of "
					"hosts/HOST"},
	[ATTACHMENT_PLATFORM] = {.name = "platform",
				 .type = NODE_ATTR,
				 .flags = NODE_SETTABLE | NODE_ELSEWHERE,
				 .value = &value_line,
				 FIELD(platform),
				 .render = render_platform,
				 .since = host_since,
				 .help = "hardware platform, for information; by default that of "
					 "hosts/HOST"},
	[ATTACHMENT_MOUNTPOINT] = {.name = "mountpoint",
				   .type = NODE_ATTR,
				   .flags = NODE_SETTABLE,
				   .value = &value_line,
				   FIELD(mountpoint),
				   .help = "where the host mounts it, for information"},
	[ATTACHMENT_METADATA] = {.name = "metadata",
				 .type = NODE_CHILDREN,
				 .child = KIND_KEY,
				 .help = "free-form keys: creating a file creates the key"},
	[ATTACHMENT_ID] = ROW_ID("attachment"),
	[ATTACHMENT_HOST] = {.name = "host",
			     .type = NODE_ATTR,
			     .render = render_host,
			     .help = "name of the host"},
	[ATTACHMENT_STATUS] = {.name = "status",
			       .type = NODE_ATTR,
			       STORED(status, value_number),
			       .render = render_status,
			       .help = "draft, reserved, attaching, attached, detaching, error, fencing "
				       "or fenced"},
	[ATTACHMENT_EFFECTIVE_MODE] = {.name = "effective_mode",
				       .type = NODE_ATTR,
				       STORED(effective_mode, value_access),
				       .help = "the access that the probe has seen: ro or rw; empty "
					       "while there is none"},
	[ATTACHMENT_ACCESS_PROTOCOL] = {.name = "access_protocol",
					.type = NODE_ATTR,
					.render = render_protocol,
					.help = "iscsi, once attached"},
	[ATTACHMENT_GENERATION] = {.name = "generation",
				   .type = NODE_ATTR,
				   STORED(generation, value_number),
				   .help = "rises with every attach, switch and detach"},
	[ATTACHMENT_SESSIONS] = {.name = "sessions",
				 .type = NODE_ATTR,
				 .flags = NODE_VOLATILE | NODE_QUERY,
				 .render = render_sessions,
				 .help = "the host's live sessions, one a line: initiator, "
					 "address and since when"},
	[ATTACHMENT_ATTACHED_AT] = {.name = "attached_at",
				    .type = NODE_ATTR,
				    STORED(attached_at, value_time),
				    .help = "when it was last attached"},
	[ATTACHMENT_CREATED_AT] = ROW_CREATED,
	[ATTACHMENT_UPDATED_AT] = ROW_UPDATED,
	[ATTACHMENT_LAST_ERROR] = ROW_LAST_ERROR,
	[ATTACHMENT_CONNECTION] = {.name = "connection",
				   .type = NODE_GROUP,
				   .help = "how the host reaches the volume"},
	[ATTACHMENT_DRIVER_VOLUME_TYPE] = {.name = "driver_volume_type",
					   IN_CONNECTION,
					   STORED(driver_volume_type, value_line),
					   .help = "iscsi"},
	[ATTACHMENT_TARGET_DISCOVERED] = {.name = "target_discovered",
					  IN_CONNECTION,
					  STORED(target_discovered, value_bool),
					  .render = render_discovered,
					  .help = "must the host run a discovery first?"},
	[ATTACHMENT_TARGET_IQN] = {.name = "target_iqn",
				   IN_CONNECTION,
				   STORED(target_iqn, value_line),
				   .help = "the target's name"},
	[ATTACHMENT_TARGET_PORTAL] = {.name = "target_portal",
				      IN_CONNECTION,
				      STORED(target_portal, value_line),
				      .help = "ADDRESS:PORT of the target"},
	[ATTACHMENT_TARGET_LUN] = {.name = "target_lun",
				   IN_CONNECTION,
				   STORED(target_lun, value_number),
				   .render = render_lun,
				   .help = "the volume's LUN there"},
	[ATTACHMENT_AUTH_METHOD] = {.name = "auth_method",
				    IN_CONNECTION,
				    STORED(chap, value_bool),
				    .render = render_auth_method,
				    .help = "CHAP or None"},
	[ATTACHMENT_AUTH_USERNAME] = {.name = "auth_username",
				      IN_CONNECTION,
				      STORED(chap_user, value_line),
				      .render = render_user,
				      .help = "CHAP user of this attachment alone"},
	[ATTACHMENT_AUTH_PASSWORD] = {.name = "auth_password",
				      IN_CONNECTION,
				      .flags = NODE_STORED | NODE_SECRET,
				      .value = &value_line,
				      FIELD(chap_secret),
				      .render = render_secret,
				      .help = "its CHAP secret; readable by the owner only"},
	[ATTACHMENT_DISCARD] = {.name = "discard",
				IN_CONNECTION,
				STORED(discard, value_bool),
				.render = render_discard,
				.help = "does UNMAP free room in the pool?"},
	[ATTACHMENT_INFO] = {.name = "info.json",
			     .type = NODE_ATTR,
			     .flags = NODE_FOLLOWS,
			     .render = attachment_info,
			     .since = info_since,
			     .help = "all of it as OpenSDS's VolumeAttachmentSpec, without the "
				     "secret"},
	[ATTACHMENT_MODE_BEFORE] = {.name = "mode_before",
				    .type = NODE_FIELD,
				    STORED(mode_before, value_line)},
	[ATTACHMENT_HOST_INITIATOR] = {.name = "host_initiator",
				       .type = NODE_FIELD,
				       STORED(host_initiator, value_line)},
	[ATTACHMENT_SHARD] = {.name = "shard",
			      .type = NODE_FIELD,
			      STORED(shard, value_number)},
	[ATTACHMENT_LINK_BY_HOST] = {.name = "link_by_host",
				     .type = NODE_LINK,
				     .readlink = link_readlink_by_host},
	[ATTACHMENT_FENCE] = {.name = "fenced",
			      .type = NODE_ATTR,
			      .flags = NODE_SETTABLE | NODE_REPEAT | NODE_VITAL,
			      .value = &value_flag,
			      FIELD(fenced),
			      .apply = attachment_set_fenced,
			      .render = render_fenced,
			      .help = "1: the host is provably out, whatever it does, and cannot be "
				      "attached; writing 1 fences, 0 takes it back"},
	[ATTACHMENT_FENCE_OWN] = {.name = "fence_own",
				  .type = NODE_FIELD,
				  STORED(fence_own, value_number)},
	[ATTACHMENT_FENCE_RAW] = {.name = "fence_raw",
				  .type = NODE_FIELD,
				  STORED(fence_raw, value_line)},
	[ATTACHMENT_AFTER_FENCE] = {.name = "after_fence",
				    .type = NODE_FIELD,
				    STORED(after_fence, value_number)},
	[ATTACHMENT_FENCED_BY] = {.name = "fenced_by",
				  .type = NODE_FIELD,
				  STORED(fenced_by, value_number)},
	[ATTACHMENT_SUCCESSOR] = {.name = "successor",
				  .type = NODE_FIELD,
				  STORED(successor, value_line)},
	[ATTACHMENT_DRAFT_NAME] = {.name = "draft_name",
				   .type = NODE_FIELD,
				   STORED(draft_name, value_line)},
	[ATTACHMENT_WHEN_AVAILABLE] = {.name = "when_available",
				       .type = NODE_FIELD,
				       STORED(when_available, value_number)},
	[ATTACHMENT_LINK_FLAT] = {.name = "link_flat",
				  .type = NODE_LINK,
				  .readlink = link_readlink_attachment},
};
