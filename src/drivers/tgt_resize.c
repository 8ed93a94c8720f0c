/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling tgtd that a volume's file has grown, while hosts read and write. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/kill.h"
#include "attachfs/log.h"

#include "tcp_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * tgtd looks at a file's size only when it opens it, so it has to close and open it; sessions
 * and reservations stay. Between the two a command that is at work in one of its threads finds
 * no file and fails, which the host sees as a medium error. Hence the daemon's connections are
 * held for a moment, the commands that it has are waited for, and then it is done. If holding
 * is not allowed it is done all the same: better a small risk than no growing.
 */
#define DRAIN_MS 1000

/* Lines "TID LUN SID" and bytes and commands: reads begun, done, writes begun, done. */
static bool is_idle(const char *line)
{
	unsigned n[4];

	return sscanf(line, "%*u %*u %*u %*u %u %*u %u %*u %u %*u %u", &n[0], &n[1], &n[2],
		      &n[3]) != 4 || (n[0] == n[1] && n[2] == n[3]);
}

/* 1 if no command of the target is under way, 0 if one is, -errno. */
static int all_idle(struct tgt_call *call, const struct tgt_target *t)
{
	struct tgt_request stats = {.mode = TGT_TARGET, .op = TGT_STATS, .tid = t->tid};
	BUF_AUTO(reply);
	int rc = tgt_ask(call, &stats, &reply);

	if (rc)
		return rc;
	for (const char *p = reply.data; p && *p; p = strchr(p, '\n'), p += p != NULL)
		if (!is_idle(p))
			return 0;
	return 1;
}

static int drain(struct tgt_call *call, const struct tgt_target *t)
{
	int64_t deadline = monotonic_ms() + DRAIN_MS;
	int rc;

	while (!(rc = all_idle(call, t)) && monotonic_ms() < deadline)
		clock_sleep_us(200);
	return rc < 0 ? rc : 0;
}

static int copy_connections(struct tgt_call *call, struct tcp_copies *ret)
{
	struct tcp_sockets sockets = {0};
	int rc = tgt_sockets_list(call, &sockets);

	if (!rc)
		rc = tcp_sockets_copy(call->link.pid, &sockets, ret, call->err);
	tcp_sockets_free(&sockets);
	return rc;
}

int tgt_release(struct tgt_call *call)
{
	struct tcp_copies connections = {0};
	int rc = copy_connections(call, &connections);

	tcp_copies_hold(&connections, false);
	tcp_copies_free(&connections);
	return rc;
}

/* Both steps in one request: the daemon looks at nothing else in between. */
static int reopen(struct tgt_call *call, const struct tgt_target *t, const char *path)
{
	struct tgt_request request = {
		.mode = TGT_DEVICE,
		.op = TGT_UPDATE,
		.tid = t->tid,
		.lun = TGT_LUN,
	};

	return tgt_do(call, &request, "online=0,path=%s", path);
}

int tgt_target_resize(struct tgt_call *call, struct tgt_target *t, const char *path)
{
	struct tcp_copies connections = {0};
	int rc;

	if (copy_connections(call, &connections))
		log_warning("dock %s: growing without a pause: %s", call->b->dock->name,
			    call->err ? call->err->text : "");
	tcp_copies_hold(&connections, true);
	KILL_POINT(grow_held);
	rc = drain(call, t);
	if (!rc)
		rc = reopen(call, t, path);
	KILL_POINT(grow_reopened);
	tcp_copies_hold(&connections, false);
	tcp_copies_free(&connections);
	return rc;
}
