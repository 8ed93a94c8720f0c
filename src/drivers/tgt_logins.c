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
 * detach. An honest login takes a millisecond; what lingers is cut off.
 */
#define PATIENCE_MS 300
#define AFTER_CUT_MS 2000

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

static int wait_settled(struct tgt_call *call, const struct portals *portals, int ms)
{
	int64_t deadline = monotonic_ms() + ms;
	unsigned pause_us = 200;
	int rc;

	while (!(rc = is_settled(call, portals)) && monotonic_ms() < deadline) {
		clock_sleep_us(pause_us);
		pause_us = pause_us < 20000 ? pause_us * 2 : pause_us;
		call->link.deadline = monotonic_ms() + TGT_ANSWER_MS;
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
 * Cuts off what has no session. With several connections from one address it is not certain
 * which those are; the ones that have received least are taken, as many as are too many.
 */
static int cut_off(struct tgt_call *call, const struct portals *portals)
{
	struct tcp_sockets before = {0}, after = {0};
	int rc = list_sockets(call, portals, &before);

	tcp_sockets_sort_by_bytes(&before);
	if (!rc)
		rc = tgt_connections_walk(call, has_session, &before);
	if (!rc)
		rc = list_sockets(call, portals, &after);
	for (size_t i = 0; i < before.n && !rc; i++) {
		if (before.list[i].excused || !tcp_sockets_has(&after, before.list[i].inode))
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
	int rc = list_portals(call, &portals);

	if (!rc)
		rc = wait_settled(call, &portals, PATIENCE_MS);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = cut_off(call, &portals);
	if (!rc)
		rc = wait_settled(call, &portals, AFTER_CUT_MS);
	if (rc)
		return rc < 0 ? rc : 0;
	return error_set(call->err, ETIMEDOUT, "a login that began before is still under way at %s",
			 call->shard->portal);
}
