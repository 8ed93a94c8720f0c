/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fences of the tgt driver: a host is out of both of a volume's targets, and that is proved. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <string.h>

/*
 * What proves it is an answer to a login, so the target must be there to give it: it is destroyed
 * afterwards, if the host was its last. The sessions are looked for once more when every login
 * that had begun before has come to its end.
 */
static int fence_target(struct tgt_call *call, struct tgt_target *t,
			const struct backend_export *e)
{
	int rc = tgt_put_out(call, t, e);

	if (!rc)
		rc = tgt_logins_settle(call);
	if (!rc)
		rc = tgt_sessions_end(call, t, e->initiator, true);
	if (!rc)
		rc = tgt_login_refused(call, t->id, e);
	if (!rc && !t->n_hosts)
		rc = tgt_target_destroy(call, t);
	return rc;
}

/* A daemon without any target hangs up on a login instead of refusing it. */
static bool has_no_target(struct tgt_call *call)
{
	_cleanup_free_ int *tids = NULL;
	size_t n = 0;

	return !tgt_adopt_tids(call, &tids, &n) && !n;
}

/*
 * No daemon has such a target (tgt_find_target() knows all that run): where it would be, a login
 * is refused. Where no daemon runs there is nobody to log in to.
 */
static int prove_absent(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *e, struct error *err)
{
	for (int i = 0; i < b->n_shards; i++) {
		struct tgt_call call;
		int rc;

		if (e->shard >= 0 && e->shard < b->n_shards && e->shard != i)
			continue;
		rc = tgt_shard_use(&call, b, &b->shards[i], false, err);
		if (rc == -ECONNREFUSED && !call.link.pid)
			continue;
		if (!rc)
			rc = tgt_login_refused(&call, volume->id, e);
		if (rc == -ECONNREFUSED && has_no_target(&call))
			rc = 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int fence_mode(struct backend *b, const struct backend_volume *volume,
		      const struct backend_export *e, struct error *err)
{
	struct tgt_target *t;
	struct tgt_call call;
	int rc = tgt_find_target(b, volume->id, e, &t, err);

	if (rc)
		return rc;
	if (!t)
		return prove_absent(b, volume, e, err);
	rc = tgt_use_target(&call, b, t, err);
	return rc ? rc : tgt_finish(&call, t, fence_target(&call, t, e));
}

/* One that fails does not keep the other from being tried. */
int tgt_fence(struct backend *b, const struct backend_volume *volume,
	      const struct backend_export *e, struct error *err)
{
	static const enum access_mode modes[] = {ACCESS_RW, ACCESS_RO};
	struct backend_export one = *e;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct error why = {0};
		int failed;

		one.mode = modes[i];
		failed = fence_mode(b, volume, &one, &why);
		if (failed && !rc) {
			rc = failed;
			if (err)
				*err = why;
		}
	}
	explicit_bzero(&one, sizeof(one));
	return rc;
}
