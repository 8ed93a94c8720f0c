/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exports of the memory driver, and the sessions that tests say there are. */
#include "attachfs/cleanup.h"

#include "drivers.h"
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct memory_export *find_export(struct backend *b, const struct backend_volume *volume,
					 const struct backend_export *export_)
{
	struct memory_volume *v = memory_table_find(&b->volumes, volume->id);

	return v ? *memory_export_place(v, export_->initiator) : NULL;
}

int memory_export_(struct backend *b, const struct backend_volume *volume,
		   const struct backend_export *export_, struct backend_connection *ret,
		   struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "export", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	rc = memory_find_or_add(b, volume, &v, err);
	if (!rc && memory_export_put(v, export_))
		rc = error_set(err, ENOMEM, "out of memory");
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return rc;
	*ret = (struct backend_connection){
		.driver_volume_type = "iscsi",
		.target_portal = "127.0.0.1:3260",
		.target_lun = 1,
		.chap = true,
		.discard = true,
	};
	snprintf(ret->target_iqn, sizeof(ret->target_iqn), "iqn.2026-11.io.attachfs:%s.%s",
		 volume->id, export_->mode == ACCESS_RO ? "ro" : "rw");
	return 0;
}

int memory_probe(struct backend *b, const struct backend_volume *volume,
		 const struct backend_export *export_,
		 const struct backend_connection *connection, enum access_mode *ret_mode,
		 struct probe **ret_left, struct error *err)
{
	struct memory_export *e;
	enum access_mode seen = ACCESS_NONE;
	int rc = memory_fault(&b->faults, "probe", err);

	(void)connection;
	(void)ret_left;
	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	if (e)
		seen = (enum access_mode)e->mode;
	pthread_mutex_unlock(&b->lock);
	if (seen != export_->mode || memory_fault_wrong(&b->faults, "probe"))
		return error_set(err, EIO, "the probe of volume %s as %s did not see what was "
				 "exported", volume->id, export_->initiator);
	*ret_mode = seen;
	return 0;
}

/* An export of the other mode is not this one: it stays. */
static void remove_export(struct memory_volume *v, const struct backend_export *export_)
{
	struct memory_export **place = memory_export_place(v, export_->initiator), *e = *place;

	if (!e || e->mode != export_->mode)
		return;
	*place = e->next;
	free(e);
}

int memory_unexport(struct backend *b, const struct backend_volume *volume,
		    const struct backend_export *export_, struct error *err)
{
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "unexport", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	v = memory_table_find(&b->volumes, volume->id);
	if (v)
		remove_export(v, export_);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* Both modes at once: a host has one export of a volume. */
int memory_fence(struct backend *b, const struct backend_volume *volume,
		 const struct backend_export *export_, struct error *err)
{
	struct backend_export other = *export_;
	struct memory_volume *v;
	int rc = memory_fault(&b->faults, "fence", err);

	if (rc)
		return rc;
	other.mode = export_->mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
	pthread_mutex_lock(&b->lock);
	v = memory_table_find(&b->volumes, volume->id);
	if (v) {
		remove_export(v, export_);
		remove_export(v, &other);
	}
	pthread_mutex_unlock(&b->lock);
	if (memory_fault_wrong(&b->faults, "fence"))
		return error_set(err, EIO, "a login to volume %s as %s is still admitted",
				 volume->id, export_->initiator);
	return 0;
}

/* Ended sessions come back only when the control file has changed since. */
static bool has_sessions(struct backend *b, const struct backend_volume *volume,
			 const struct backend_export *export_)
{
	unsigned version = memory_fault_version(&b->faults);
	struct memory_export *e;
	bool has;

	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	has = e && e->mode == export_->mode && e->ended != version;
	pthread_mutex_unlock(&b->lock);
	return has;
}

int memory_sessions(struct backend *b, const struct backend_volume *volume,
		    const struct backend_export *export_, session_fn *fn, void *arg,
		    struct error *err)
{
	int rc = memory_fault(&b->faults, "sessions", err);

	if (rc || !has_sessions(b, volume, export_))
		return rc;
	return memory_fault_sessions(&b->faults, export_->initiator, fn, arg);
}

int memory_end_sessions(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *export_, struct error *err)
{
	struct memory_export *e;
	int rc = memory_fault(&b->faults, "end_sessions", err);

	if (rc)
		return rc;
	pthread_mutex_lock(&b->lock);
	e = find_export(b, volume, export_);
	if (e)
		e->ended = memory_fault_version(&b->faults);
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/*
 * Copies the exports of the volume `id`, or of the `next` one behind it, as `fn` may call the
 * driver. Stores which volume that was: "" if there is none.
 */
static int list_volume(struct backend *b, char *id, bool next, export_fn *fn, void *arg,
		       struct error *err)
{
	_cleanup_free_ struct backend_export *list = NULL;
	struct memory_volume *v;
	size_t n = 0;
	int rc;

	pthread_mutex_lock(&b->lock);
	v = next ? memory_table_next(&b->volumes, id) : memory_table_find(&b->volumes, id);
	text_copy(id, UUID_TEXT_SIZE, text_of(v ? v->id : ""));
	rc = v ? memory_exports_copy(v, &list, &n) : 0;
	pthread_mutex_unlock(&b->lock);
	if (rc)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(arg, id, &list[i]);
	return rc;
}

int memory_list_exports(struct backend *b, const char *volume_id, export_fn *fn,
			void *arg, struct error *err)
{
	char id[UUID_TEXT_SIZE] = "";
	int rc = memory_fault(&b->faults, "list_exports", err);

	if (rc)
		return rc;
	if (volume_id)
		text_copy(id, sizeof(id), text_of(volume_id));
	do
		rc = list_volume(b, id, !volume_id, fn, arg, err);
	while (!rc && !volume_id && id[0]);
	return rc;
}
