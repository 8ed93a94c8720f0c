/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logins that were under way when a host was detached: none of them may still succeed. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/log.h"

#include "tcp_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * tgtd checks a host's name with the first message of its login and the secret in the middle,
 * and never again. A host that stops just before the last message is in no list of sessions,
 * and becomes one when it goes on, however long ago it was detached.
 *
 * But its TCP connection is there to be seen. When, at one moment, the daemon has exactly as
 * many connections as sessions, no login is under way, and every later one begins after the
 * detach. There may be no such moment, when hosts try to log in again and again; then only the
 * connections that there were at the beginning count, and the sessions of that time.
 * An honest login takes a millisecond; what lingers is cut off.
 */
#define PATIENCE_MS 300
#define AFTER_CUT_MS 2000
/* So long a beginning counts: a login that was under way then and has become a session since spoils
 * it, for it is in the connections and not in the sessions. */
#define ROUND_MS 60

/* A daemon of ours has one; more than these are not looked at, and then nothing is settled. */
struct portals {
	struct tcp_port list[16];
	size_t n;
};

/* The numbers of all sessions: lines "TID LUN SID ..." of which each session has one for LUN 0,
 * which every target has. */
int tgt_session_numbers(struct tgt_call *call, struct buf *ret)
{
	struct tgt_request stats = {.mode = TGT_SYSTEM, .op = TGT_STATS, .tid = -1};
	unsigned tid, lun, sid;
	BUF_AUTO(reply);
	int rc = tgt_ask(call, &stats, &reply);

	if (rc)
		return rc;
	for (const char *p = reply.data; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (sscanf(p, "%u %u %u", &tid, &lun, &sid) == 3 && lun == 0)
			buf_add(ret, &sid, sizeof(sid));
	return buf_error(ret);
}

/* "Portal: ADDRESS:PORT,1" or "Portal: [ADDRESS]:PORT,1" */
static bool parse_portal(char *line, struct tcp_port *ret)
{
	char *colon = strrchr(line, ':');

	ret->v6 = strchr(line, '[');
	return colon && sscanf(colon, ":%u,", &ret->number) == 1;
}

static int list_portals(struct tgt_call *call, struct portals *ret)
{
	char *line, *rest;
	BUF_AUTO(reply);
	int rc = tgt_show(call, TGT_PORTAL, -1, &reply);

	if (rc || !reply.data)
		return rc;
	for (line = strtok_r(reply.data, "\n", &rest); line && ret->n < ARRAY_SIZE(ret->list);
	     line = strtok_r(NULL, "\n", &rest))
		ret->n += parse_portal(line, &ret->list[ret->n]);
	return 0;
}

/* The connections at all of the daemon's portals. */
static int list_sockets(struct tgt_call *call, const struct portals *portals,
			struct tcp_sockets *ret)
{
	return tcp_sockets_list(portals->list, portals->n, ret, call->err);
}

/*
 * tgtd has a socket for each portal, one for its management, and one for each connection. If
 * all others have a session, there is none for a login; this costs a tenth of a listing.
 */
static bool has_no_more(struct tgt_call *call, const struct portals *portals, size_t sessions)
{
	int n = process_sockets_count(call->link.pid);

	return n >= 0 && portals->n < ARRAY_SIZE(portals->list) &&
	       (size_t)n == portals->n + 1 + sessions;
}

static int count_connections(struct tgt_call *call, const struct portals *portals,
			     size_t sessions, size_t *ret)
{
	struct tcp_sockets sockets = {0};
	int rc = 0;

	*ret = sessions;
	if (!has_no_more(call, portals, sessions)) {
		rc = list_sockets(call, portals, &sockets);
		*ret = sockets.n;
	}
	tcp_sockets_free(&sockets);
	return rc;
}

/*
 * 1 if at one moment there were as many connections as sessions, 0 if not, -errno. The sessions
 * are the same before and after the connections are listed, so each of them has one in the
 * list; and then there is no room in it for a connection without one.
 */
static int is_settled(struct tgt_call *call, const struct portals *portals)
{
	size_t n = 0;
	BUF_AUTO(before);
	BUF_AUTO(after);
	int rc = tgt_session_numbers(call, &before);

	if (!rc)
		rc = count_connections(call, portals, before.len / sizeof(unsigned), &n);
	if (!rc)
		rc = tgt_session_numbers(call, &after);
	return rc ? rc : text_equal(buf_as_text(&before), buf_as_text(&after)) &&
			 n * sizeof(unsigned) == before.len;
}

/* The sessions that were listed at a moment, and then the connections: each session has one. */
struct moment {
	struct buf sessions;
	struct tcp_sockets sockets;
};

static void moment_free(struct moment *m)
{
	buf_free(&m->sessions);
	tcp_sockets_free(&m->sockets);
	*m = (struct moment){0};
}

static int moment_take(struct tgt_call *call, const struct portals *portals, struct moment *ret)
{
	int rc;

	moment_free(ret);
	rc = tgt_session_numbers(call, &ret->sessions);
	return rc ? rc : list_sockets(call, portals, &ret->sockets);
}

static size_t common_sessions(const struct buf *a, const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->len; i += sizeof(unsigned))
		for (size_t k = 0; k < b->len; k += sizeof(unsigned))
			n += !memcmp(a->data + i, b->data + k, sizeof(unsigned));
	return n;
}

static size_t common_sockets(const struct tcp_sockets *a, const struct tcp_sockets *b)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += tcp_sockets_has(b, a->list[i].inode);
	return n;
}

/*
 * 1 if no login is left of those that had begun at that moment, 0 if there may be one, -errno. A
 * session that is in both lists had its connection all the time, hence in both lists of those,
 * which are between. If they are as many, no other connection of that moment is left.
 */
static int is_over(struct tgt_call *call, const struct portals *portals, const struct moment *begun)
{
	struct tcp_sockets sockets = {0};
	BUF_AUTO(sessions);
	int rc = list_sockets(call, portals, &sockets);

	if (!rc)
		rc = tgt_session_numbers(call, &sessions);
	if (!rc)
		rc = common_sockets(&begun->sockets, &sockets) ==
		     common_sessions(&begun->sessions, &sessions);
	tcp_sockets_free(&sockets);
	return rc;
}

static int wait_round(struct tgt_call *call, const struct portals *portals, struct moment *begun,
		      int64_t deadline)
{
	int64_t end = monotonic_ms() + ROUND_MS;
	unsigned pause_us = 500;
	int rc = moment_take(call, portals, begun);

	while (!rc && !(rc = is_over(call, portals, begun)) && monotonic_ms() < end &&
	       monotonic_ms() < deadline) {
		clock_sleep_us(pause_us);
		pause_us = pause_us < 10000 ? pause_us * 2 : pause_us;
	}
	return rc;
}

/* 1: settled; 0: not in that time, and `begun` is the last moment that was looked from. */
static int wait_settled(struct tgt_call *call, const struct portals *portals, int ms,
			struct moment *begun)
{
	int64_t deadline = monotonic_ms() + ms;
	int rc = is_settled(call, portals);

	while (!rc && monotonic_ms() < deadline) {
		call->link.deadline = monotonic_ms() + TGT_ANSWER_MS;
		rc = wait_round(call, portals, begun, deadline);
	}
	return rc;
}

/* A connection of the daemon's listing takes one socket of its address off the suspects. */
static int has_session(void *arg, const struct backend_session *s)
{
	struct tcp_sockets *sockets = arg;

	/* Those that have received most come last: a login has received little. */
	for (size_t i = sockets->n; i-- > 0;) {
		if (sockets->list[i].excused || strcmp(sockets->list[i].address, s->address))
			continue;
		sockets->list[i].excused = true;
		break;
	}
	return 0;
}

/*
 * Cuts off what has no session, of the connections of a moment. With several connections from one
 * address it is not certain which those are; the ones that have received least are taken, as
 * many as are too many.
 */
static int cut_off(struct tgt_call *call, const struct portals *portals,
		   const struct moment *begun)
{
	struct tcp_sockets before = {0}, after = {0};
	int rc = list_sockets(call, portals, &before);

	tcp_sockets_sort_by_bytes(&before);
	if (!rc)
		rc = tgt_connections_walk(call, has_session, &before);
	if (!rc)
		rc = list_sockets(call, portals, &after);
	for (size_t i = 0; i < before.n && !rc; i++) {
		if (before.list[i].excused || !tcp_sockets_has(&after, before.list[i].inode) ||
		    !tcp_sockets_has(&begun->sockets, before.list[i].inode))
			continue;
		log_warning("dock %s: cutting off an unfinished login from %s",
			    call->b->dock->name, before.list[i].address);
		rc = tcp_socket_shut(call->link.pid, before.list[i].inode, call->err);
	}
	tcp_sockets_free(&before);
	tcp_sockets_free(&after);
	return rc;
}

int tgt_sockets_list(struct tgt_call *call, struct tcp_sockets *ret)
{
	struct portals portals = {0};
	int rc = list_portals(call, &portals);

	return rc ? rc : list_sockets(call, &portals, ret);
}

int tgt_logins_settle(struct tgt_call *call)
{
	struct portals portals = {0};
	struct moment begun = {0};
	int rc = list_portals(call, &portals);

	if (!rc)
		rc = wait_settled(call, &portals, PATIENCE_MS, &begun);
	if (!rc)
		rc = cut_off(call, &portals, &begun);
	if (!rc)
		rc = wait_settled(call, &portals, AFTER_CUT_MS, &begun);
	moment_free(&begun);
	if (rc)
		return rc < 0 ? rc : 0;
	return error_set(call->err, ETIMEDOUT, "a login that began before is still under way at %s",
			 call->shard->portal);
}
