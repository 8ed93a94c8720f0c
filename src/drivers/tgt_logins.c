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

/* Lines "TID LUN SID ..."; each session has one for LUN 0, which every target has. */
static int count_sessions(struct tgt_call *call, size_t *ret)
{
	struct tgt_request stats = {.mode = TGT_SYSTEM, .op = TGT_STATS, .tid = -1};
	unsigned tid, lun;
	size_t n = 0;
	BUF_AUTO(reply);
	int rc = tgt_ask(call, &stats, &reply);

	if (rc)
		return rc;
	for (const char *p = reply.data; p && *p; p = strchr(p, '\n'), p += p != NULL)
		n += sscanf(p, "%u %u", &tid, &lun) == 2 && lun == 0;
	*ret = n;
	return 0;
}

/* The connections at all of the daemon's portals: "Portal: ADDRESS:PORT,1". */
static int list_sockets(struct tgt_call *call, struct tcp_sockets *ret)
{
	unsigned ports[16];
	size_t n = 0;
	BUF_AUTO(reply);
	int rc = tgt_show(call, TGT_PORTAL, -1, &reply);

	for (char *p = reply.data, *end; !rc && p && n < ARRAY_SIZE(ports); p = end + 1) {
		end = strchr(p, '\n');
		if (!end)
			break;
		*end = '\0';
		p = strrchr(p, ':');
		if (p && sscanf(p, ":%u,", &ports[n]) == 1)
			n++;
	}
	return rc ? rc : tcp_sockets_list(ports, n, ret, call->err);
}

/* 1 if at one moment there were as many connections as sessions, 0 if not, -errno. */
static int is_settled(struct tgt_call *call)
{
	struct tcp_sockets before = {0}, after = {0};
	size_t sessions = 0;
	int rc = list_sockets(call, &before);

	if (!rc)
		rc = count_sessions(call, &sessions);
	if (!rc)
		rc = list_sockets(call, &after);
	if (!rc)
		rc = before.n == sessions && tcp_sockets_same(&before, &after);
	tcp_sockets_free(&before);
	tcp_sockets_free(&after);
	return rc;
}

static int wait_settled(struct tgt_call *call, int ms)
{
	int64_t deadline = monotonic_ms() + ms;
	unsigned pause_us = 200;
	int rc;

	while (!(rc = is_settled(call)) && monotonic_ms() < deadline) {
		clock_sleep_us(pause_us);
		pause_us = pause_us < 20000 ? pause_us * 2 : pause_us;
		call->link.deadline = monotonic_ms() + ms;
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
static int cut_off(struct tgt_call *call)
{
	struct tcp_sockets before = {0}, after = {0};
	int rc = list_sockets(call, &before);

	tcp_sockets_sort_by_bytes(&before);
	if (!rc)
		rc = tgt_connections_walk(call, has_session, &before);
	if (!rc)
		rc = list_sockets(call, &after);
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

int tgt_logins_settle(struct tgt_call *call)
{
	int rc = wait_settled(call, PATIENCE_MS);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = cut_off(call);
	if (!rc)
		rc = wait_settled(call, AFTER_CUT_MS);
	if (rc)
		return rc < 0 ? rc : 0;
	return error_set(call->err, ETIMEDOUT, "a login that began before is still under way at %s",
			 call->shard->portal);
}
