/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The management protocol of tgtd: one request a connection over a local socket. */
#ifndef ATTACHFS_DRIVERS_TGT_MGMT_H
#define ATTACHFS_DRIVERS_TGT_MGMT_H

#include "attachfs/buf.h"
#include "attachfs/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Numbers of the protocol, as tgtd 1.0.85 has them. */
enum tgt_mode {
	TGT_SYSTEM = 0,
	TGT_TARGET = 1,
	TGT_DEVICE = 2,
	TGT_PORTAL = 3,
	TGT_LLD = 4,
	TGT_SESSION = 5,
	TGT_CONNECTION = 6,
	TGT_ACCOUNT = 7,
};

enum tgt_op {
	TGT_NEW = 0,
	TGT_DELETE = 1,
	TGT_SHOW = 2,
	TGT_BIND = 3,
	TGT_UNBIND = 4,
	TGT_UPDATE = 5,
	TGT_STATS = 6,
};

/* `tid` -1 is "all targets" where that makes sense. `params` is KEY=VALUE,… or NULL. */
struct tgt_request {
	enum tgt_mode mode;
	enum tgt_op op;
	int tid;
	uint64_t sid, lun;
	uint32_t cid;
	const char *params;
};

/*
 * Which daemon is meant: the one that answers at `socket`, provided that it still is process
 * `pid` (0: whichever). A daemon that was restarted knows nothing of the targets that the
 * caller has in mind, so a request must never reach it.
 */
struct tgt_link {
	char socket[108];
	pid_t pid;
	int64_t deadline; /* on monotonic_ms() */
};

/*
 * Sends one request and reads the whole answer, into `reply` unless it is NULL. Any thread.
 * From tgtd: -EEXIST (target, LUN, user or binding is there already), -ENXIO (no such target),
 * -ENOENT (no such LUN, user, binding, session or connection), -EBUSY (in use), -ENOMEM, -EIO.
 * From the transport: -ECONNREFUSED (nobody there, or it died), -ESTALE (another process than
 * `pid`), -ETIMEDOUT (it may or may not have been done), -EPROTO.
 */
int tgt_mgmt_call(const struct tgt_link *link, const struct tgt_request *request,
		  struct buf *reply, struct error *err);

/* The two halves of it, so that several requests can be under way. The daemon takes up what
 * is under way in any order. The descriptor is the caller's. */
int tgt_mgmt_send(const struct tgt_link *link, const struct tgt_request *request, int *ret_fd,
		  struct error *err);
int tgt_mgmt_receive(const struct tgt_link *link, int fd, struct buf *reply, struct error *err);

/* The process that listens there, and answers. */
int tgt_listener(const struct tgt_link *link, pid_t *ret, struct error *err);

/* Makes the daemon close what a process of ours that was killed has left half asked. */
int tgt_mgmt_bury(const struct tgt_link *link, struct error *err);

/* May `value` stand in `params`? Printable ASCII without blanks, commas, quotes: tgtd splits at
 * commas and would take the rest for parameters of its own. */
bool tgt_value_ok(const char *value);

#endif
