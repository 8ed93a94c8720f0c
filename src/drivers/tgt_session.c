/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Live connections of a target: listing them, ending them, seeing that they are gone. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How long commands that are under way may keep an ended session alive. */
#define END_MS 5000

/* One line each in tgtd's listing: Session, Connection, Initiator, IP Address. */
struct connection {
	unsigned sid, cid;
	struct backend_session who;
};

static bool next_connection(const char **p, struct connection *c)
{
	int used = 0;

	*c = (struct connection){0};
	if (!*p || sscanf(*p, " Session: %u Connection: %u Initiator: %223s%n", &c->sid, &c->cid,
			  c->who.initiator, &used) != 3)
		return false;
	*p += used;
	if (sscanf(*p, " IP Address: %63s%n", c->who.address, &used) == 1)
		*p += used;
	return true;
}

static int list(struct tgt_call *call, int tid, struct buf *reply)
{
	int rc;

	buf_reset(reply);
	rc = tgt_show(call, TGT_CONNECTION, tid, reply);
	return rc == -ENXIO ? 0 : rc;
}

int tgt_sessions_walk(struct tgt_call *call, struct tgt_target *t, const char *initiator,
		      session_fn *fn, void *arg)
{
	struct connection c;
	BUF_AUTO(reply);
	int rc = list(call, t->tid, &reply);
	const char *p = reply.data;

	while (!rc && next_connection(&p, &c))
		if (!strcmp(c.who.initiator, initiator)) {
			c.who.since = tgt_session_since(call, c.sid);
			rc = fn(arg, &c.who);
		}
	return rc;
}

int tgt_connections_walk(struct tgt_call *call, session_fn *fn, void *arg)
{
	_cleanup_free_ int *tids = NULL;
	struct connection c;
	size_t n = 0;
	BUF_AUTO(reply);
	int rc = tgt_adopt_tids(call, &tids, &n);

	for (size_t i = 0; i < n && !rc; i++) {
		const char *p;

		rc = list(call, tids[i], &reply);
		p = reply.data;
		while (!rc && next_connection(&p, &c))
			rc = fn(arg, &c.who);
	}
	return rc;
}

static bool is_meant(struct tgt_target *t, const struct connection *c, const char *initiator,
		     bool strangers)
{
	return !strcmp(c->who.initiator, initiator) ||
	       (strangers && !tgt_host_find(t, c->who.initiator));
}

static int end_connection(struct tgt_call *call, struct tgt_target *t, const struct connection *c)
{
	struct tgt_request request = {
		.mode = TGT_CONNECTION,
		.op = TGT_DELETE,
		.tid = t->tid,
		.sid = c->sid,
		.cid = c->cid,
	};
	int rc = tgt_do(call, &request, NULL);

	return rc == -ENOENT || rc == -ENXIO ? 0 : rc;
}

/* Is that session number in the listing? */
static bool lists_sid(const struct buf *listing, unsigned sid)
{
	const char *p = listing->data;
	struct connection c;

	while (next_connection(&p, &c))
		if (c.sid == sid)
			return true;
	return false;
}

/* Is one of the meant sessions that `first` lists still in `now`? */
static bool remains(struct tgt_target *t, const struct buf *first, const struct buf *now,
		    const char *initiator, bool strangers)
{
	const char *p = first->data;
	struct connection c;

	while (next_connection(&p, &c))
		if (is_meant(t, &c, initiator, strangers) && lists_sid(now, c.sid))
			return true;
	return false;
}

static int end_all(struct tgt_call *call, struct tgt_target *t, const struct buf *listing,
		   const char *initiator, bool strangers)
{
	const char *p = listing->data;
	struct connection c;
	int rc = 0;

	while (!rc && next_connection(&p, &c))
		if (is_meant(t, &c, initiator, strangers))
			rc = end_connection(call, t, &c);
	return rc;
}

/*
 * A host may log in again at once, which is its right after a mere end of its sessions: only
 * the sessions of the first listing are waited for. With `strangers` the name has been unbound,
 * so that whatever appears later (a login that was under way) is ended as well.
 */
int tgt_sessions_end(struct tgt_call *call, struct tgt_target *t, const char *initiator,
		     bool strangers)
{
	int64_t deadline = monotonic_ms() + END_MS;
	unsigned pause_us = 100;
	BUF_AUTO(first);
	BUF_AUTO(now);
	int rc = list(call, t->tid, &first);

	if (!rc)
		rc = end_all(call, t, &first, initiator, strangers);
	if (rc || !remains(t, &first, &first, initiator, strangers))
		return rc;
	while (!rc) {
		rc = list(call, t->tid, &now);
		if (rc || !remains(t, strangers ? &now : &first, &now, initiator, strangers))
			return rc;
		if (strangers)
			rc = end_all(call, t, &now, initiator, strangers);
		if (!rc && monotonic_ms() > deadline)
			rc = error_set(call->err, ETIMEDOUT, "a session of %s has not ended yet",
				       initiator);
		clock_sleep_us(pause_us);
		pause_us = pause_us < 20000 ? pause_us * 2 : pause_us;
		call->link.deadline = monotonic_ms() + TGT_ANSWER_MS;
	}
	return rc;
}
