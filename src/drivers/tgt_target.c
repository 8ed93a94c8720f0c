/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets of the tgt driver: one per volume and mode, with the volume's file as LUN 1. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include "filepool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void tgt_target_name(const struct backend *b, const char *id, enum access_mode mode, char *out,
		     size_t size)
{
	snprintf(out, size, "%s:%s.%s", b->conf.prefix, id, mode == ACCESS_RO ? "ro" : "rw");
}

int tgt_target_make(struct tgt_call *call, struct tgt_target *t)
{
	char name[ISCSI_NAME_MAX + 1];
	int rc = -EEXIST;

	if (t->ready)
		return 0;
	tgt_target_name(call->b, t->id, t->mode, name, sizeof(name));
	for (int attempt = 0; attempt < 3 && rc == -EEXIST; attempt++) {
		struct tgt_request request = {.mode = TGT_TARGET, .op = TGT_NEW, .tid = t->tid};

		rc = tgt_do(call, &request, "targetname=%s", name);
		if (rc == -EEXIST) {
			rc = tgt_adopt_tid(call, t);
			rc = rc == 1 ? 0 : rc ? rc : -EEXIST;
		}
	}
	return rc;
}

/*
 * The LUN's identity comes from the volume, never from the target's number: a host that sees
 * another volume under an identity that it knows would write to the wrong one. tgtd parses
 * 31 hexadecimal digits of it; the dashes of a UUID are not hexadecimal.
 */
static void identity_of(const char *id, char *hex, size_t size)
{
	size_t n = 0;

	for (; *id && n + 1 < size; id++)
		if (*id != '-')
			hex[n++] = *id;
	hex[n] = '\0';
}

static void begin_attributes(struct tgt_call *call, struct tgt_target *t, struct tgt_sent *sent)
{
	struct tgt_request request = {
		.mode = TGT_DEVICE,
		.op = TGT_UPDATE,
		.tid = t->tid,
		.lun = TGT_LUN,
	};
	char hex[32];

	identity_of(t->id, hex, sizeof(hex));
	tgt_begin(call, sent, request,
		  "readonly=%d,scsi_id=%s,scsi_sn=%s,vendor_id=ATTACHFS,product_id=VOLUME,"
		  "thin_provisioning=1",
		  t->mode == ACCESS_RO, hex, hex);
}

/* Each step is harmless when it was done before: a call that was cut short is just repeated. */
int tgt_lun_begin(struct tgt_call *call, struct tgt_target *t,
		  const struct backend_volume *volume, struct tgt_lun_sent *sent)
{
	const struct pool_conf *pool = filepool_find(call->b->dock, volume->pool);
	struct tgt_request new = {
		.mode = TGT_DEVICE,
		.op = TGT_NEW,
		.tid = t->tid,
		.lun = TGT_LUN,
	};
	char path[1024];
	int rc;

	*sent = (struct tgt_lun_sent){TGT_NOT_SENT, TGT_NOT_SENT};
	if (t->ready)
		return 0;
	if (!pool)
		return error_set(call->err, ENOENT, "pool %s is not in the configuration",
				 volume->pool);
	rc = filepool_path(pool, volume->id, path, sizeof(path), call->err);
	if (rc)
		return rc;
	tgt_begin(call, &sent->new, new, "path=%s,bstype=rdwr", path);
	begin_attributes(call, t, &sent->attributes);
	return 0;
}

/* The attributes may have come before the LUN that they are of; then they are set once more. */
int tgt_lun_end(struct tgt_call *call, struct tgt_target *t, struct tgt_lun_sent *sent)
{
	int made = tgt_end(call, &sent->new), set = tgt_end(call, &sent->attributes);

	if (made == -EEXIST)
		made = 0;
	if (!made && set == -ENOENT) {
		begin_attributes(call, t, &sent->attributes);
		set = tgt_end(call, &sent->attributes);
	}
	t->ready = !made && !set;
	return made ? made : set;
}

int tgt_target_destroy(struct tgt_call *call, struct tgt_target *t)
{
	struct tgt_request request = {.mode = TGT_TARGET, .op = TGT_DELETE, .tid = t->tid};
	int rc = tgt_do(call, &request, NULL);

	if (rc && rc != -ENXIO)
		return rc;
	rc = tgt_accounts_delete(call, t);
	tgt_table_remove(call->b, t);
	return rc;
}

/* By name only: tgtd ORs names and addresses, so one address would admit its every user. */
int tgt_bind(struct tgt_call *call, struct tgt_target *t, const char *initiator)
{
	struct tgt_request request = {.mode = TGT_TARGET, .op = TGT_BIND, .tid = t->tid};
	int rc = tgt_do(call, &request, "initiator-name=%s", initiator);

	return rc == -EEXIST ? 0 : rc;
}

int tgt_unbind(struct tgt_call *call, struct tgt_target *t, const char *initiator)
{
	struct tgt_request request = {.mode = TGT_TARGET, .op = TGT_UNBIND, .tid = t->tid};
	int rc = tgt_do(call, &request, "initiator-name=%s", initiator);

	/* What a stranger bound may be an address, or ALL: the listing does not tell. */
	if (rc == -ENOENT)
		rc = tgt_do(call, &request, "initiator-address=%s", initiator);
	return rc == -ENOENT ? 0 : rc;
}

/*
 * tgtd binds accounts to targets, not to initiators, and attachfs may be started anew while a
 * target lives. The name of an account says whose it is (driver.h). Without CHAP there is none,
 * and it is written down where it shares the target's life: as one more name in its list of
 * initiators, "account=USER=INITIATOR". A session under such a name is nobody's, and ends with
 * the next detach.
 */
#define NOTE "account="

void tgt_note_begin(struct tgt_call *call, struct tgt_target *t, const char *user,
		    const char *initiator, struct tgt_sent *sent)
{
	struct tgt_request request = {.mode = TGT_TARGET, .op = TGT_BIND, .tid = t->tid};

	tgt_begin(call, sent, request, "initiator-name=" NOTE "%s=%s", user, initiator);
}

int tgt_note_end(struct tgt_call *call, struct tgt_sent *sent)
{
	int rc = tgt_end(call, sent);

	return rc == -EEXIST ? 0 : rc;
}

int tgt_unnote(struct tgt_call *call, struct tgt_target *t, const char *user,
	       const char *initiator)
{
	char note[TGT_NOTE_SIZE];

	snprintf(note, sizeof(note), NOTE "%s=%s", user, initiator);
	return tgt_unbind(call, t, note);
}

bool tgt_note_parse(char *name, char **ret_user, char **ret_initiator)
{
	char *separator;

	if (!text_starts(text_of(name), NOTE))
		return false;
	separator = strchr(name + strlen(NOTE), '=');
	if (!separator)
		return false;
	*separator = '\0';
	*ret_user = name + strlen(NOTE);
	*ret_initiator = separator + 1;
	return true;
}
