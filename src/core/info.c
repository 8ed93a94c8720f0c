/* SPDX-License-Identifier: GPL-2.0-or-later */
/* info.json: objects under the names that OpenSDS's API gives them. No secrets. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <uuid.h>

#include "core.h"

static void set_text(json_t *json, const char *key, struct text t)
{
	if (t.n)
		json_object_set_new(json, key, json_stringn(t.p, t.n));
}

static void set_id(json_t *json, const char *key, const struct object *o)
{
	char id[UUID_TEXT_SIZE];

	uuid_unparse_lower(o->id, id);
	json_object_set_new(json, key, json_string(id));
}

static void set_time(json_t *json, const char *key, int64_t ns)
{
	BUF_AUTO(text);

	value_time.format(&ns, &text);
	set_text(json, key, buf_as_text(&text));
}

/* The value of an attribute as the tree shows it, without its newline. */
static void set_shown(struct view *view, json_t *json, const char *key, struct ref ref)
{
	BUF_AUTO(value);

	if (!core_read(view, ref, &value))
		set_text(json, key, text_trim(buf_as_text(&value)));
}

static json_t *begin(const struct object *o)
{
	json_t *json = json_object();

	set_id(json, "id", o);
	set_time(json, "createdAt", o->created);
	set_time(json, "updatedAt", o->updated);
	return json;
}

static int finish(json_t *json, struct buf *out)
{
	char *dump = json_dumps(json, JSON_INDENT(2));

	json_decref(json);
	if (!dump)
		return -ENOMEM;
	buf_str(out, dump);
	buf_str(out, "\n");
	free(dump);
	return buf_error(out);
}

struct metadata {
	struct view *view;
	json_t *json;
};

static int add_key(void *arg, uint64_t number, struct text name)
{
	struct metadata *m = arg;
	char key[NAME_BYTES_MAX + 1];

	text_copy(key, sizeof(key), name);
	set_shown(m->view, m->json, key, (struct ref){number, KEY_VALUE});
	return 0;
}

static void set_metadata(struct view *view, json_t *json, struct ref container)
{
	struct metadata m = {view, json_object()};

	object_children(view->tx, container, 0, add_key, &m);
	if (json_object_size(m.json))
		json_object_set(json, "metadata", m.json);
	json_decref(m.json);
}

int dock_info(struct view *view, const union any *object, struct buf *out)
{
	const struct dock *d = &object->dock;
	json_t *json = begin(&d->o);

	json_object_set_new(json, "name", json_string(d->o.name));
	set_text(json, "type", d->type);
	set_text(json, "description", d->description);
	set_shown(view, json, "status", (struct ref){d->o.number, DOCK_STATUS});
	set_text(json, "storageType", d->storage_type);
	set_text(json, "endpoint", d->endpoint);
	set_text(json, "nodeId", d->node_id);
	set_text(json, "driverName", d->driver);
	json_object_set_new(json, "metadata",
			    json_pack("{s:s}", "multiattach",
				      d->multiattach ? "<is> True" : "<is> False"));
	return finish(json, out);
}

int volume_info(struct view *view, const union any *object, struct buf *out)
{
	const struct volume *v = &object->volume;
	json_t *json = begin(&v->o);
	union any pool, profile;

	set_shown(view, json, "tenantId", (struct ref){v->o.number, VOLUME_TENANT_ID});
	set_shown(view, json, "userId", (struct ref){v->o.number, VOLUME_USER_ID});
	json_object_set_new(json, "name", json_string(v->o.name));
	set_text(json, "description", v->description);
	set_text(json, "groupId", v->group_id);
	/* OpenSDS counts in GiB; what is not whole is rounded up. */
	json_object_set_new(json, "size",
			    json_integer((json_int_t)((v->size_bytes + (1 << 30) - 1) >> 30)));
	set_shown(view, json, "availabilityZone", (struct ref){v->o.number, VOLUME_ZONE});
	set_shown(view, json, "status", (struct ref){v->o.number, VOLUME_STATUS});
	if (v->pool && !object_get_kind(view->tx, v->pool, KIND_POOL, &pool))
		set_id(json, "poolId", &pool.o);
	if (v->profile && !object_get_kind(view->tx, v->profile, KIND_PROFILE, &profile))
		set_id(json, "profileId", &profile.o);
	set_metadata(view, json, (struct ref){v->o.number, VOLUME_METADATA});
	set_shown(view, json, "attachStatus", (struct ref){v->o.number, VOLUME_ATTACH_STATUS});
	json_object_set_new(json, "multiAttach", json_boolean(v->multiattach));
	return finish(json, out);
}

static json_t *host_info(struct view *view, const struct attachment *a)
{
	json_t *json = json_object();

	set_shown(view, json, "platform", (struct ref){a->o.number, ATTACHMENT_PLATFORM});
	set_shown(view, json, "osType", (struct ref){a->o.number, ATTACHMENT_OS_TYPE});
	set_shown(view, json, "ip", (struct ref){a->o.number, ATTACHMENT_IP});
	json_object_set_new(json, "host", json_string(a->o.name));
	set_shown(view, json, "initiator", (struct ref){a->o.number, ATTACHMENT_INITIATOR});
	return json;
}

static json_t *connection_info(const struct attachment *a)
{
	json_t *data = json_object(), *json = json_object();

	json_object_set_new(data, "targetDiscovered", json_boolean(a->target_discovered));
	set_text(data, "targetIQN", a->target_iqn);
	set_text(data, "targetPortal", a->target_portal);
	json_object_set_new(data, "targetLun", json_integer((json_int_t)a->target_lun));
	json_object_set_new(data, "discard", json_boolean(a->discard));
	json_object_set_new(data, "authMethod", json_string(a->chap ? "CHAP" : "None"));
	set_text(data, "authUserName", a->chap_user);
	set_text(json, "driverVolumeType", a->driver_volume_type);
	json_object_set_new(json, "data", data);
	return json;
}

int attachment_info(struct view *view, const union any *object, struct buf *out)
{
	const struct attachment *a = &object->attachment;
	json_t *json = begin(&a->o);
	union any volume;

	if (!object_get_kind(view->tx, a->o.parent, KIND_VOLUME, &volume)) {
		set_shown(view, json, "tenantId", (struct ref){a->o.parent, VOLUME_TENANT_ID});
		set_shown(view, json, "userId", (struct ref){a->o.parent, VOLUME_USER_ID});
		set_id(json, "volumeId", &volume.o);
	}
	set_text(json, "mountpoint", a->mountpoint);
	set_shown(view, json, "status", (struct ref){a->o.number, ATTACHMENT_STATUS});
	set_metadata(view, json, (struct ref){a->o.number, ATTACHMENT_METADATA});
	json_object_set_new(json, "hostInfo", host_info(view, a));
	if (a->target_iqn.n)
		json_object_set_new(json, "connectionInfo", connection_info(a));
	set_text(json, "accessProtocol", a->driver_volume_type);
	json_object_set_new(json, "attachMode", json_string(a->mode == ACCESS_RO ? "ro" : "rw"));
	return finish(json, out);
}
