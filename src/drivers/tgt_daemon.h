/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of one tgtd: started apart from attachfs, found again, told from a restarted one. */
#ifndef ATTACHFS_DRIVERS_TGT_DAEMON_H
#define ATTACHFS_DRIVERS_TGT_DAEMON_H

#include "tgt_mgmt.h"

/* One incarnation of a daemon: pids are used again, a pid with its start time is not. */
struct tgt_daemon {
	pid_t pid;
	uint64_t started; /* clock ticks since boot */
};

/* How to start one. Borrowed strings. */
struct tgt_spawn {
	const char *program;
	const char *socket_base; /* tgtd appends .CONTROLPORT */
	unsigned control_port;
	const char *portal; /* ADDRESS:PORT */
};

/* Who answers at link->socket? -ECONNREFUSED if nobody does. */
int tgt_daemon_find(const struct tgt_link *link, struct tgt_daemon *ret, struct error *err);

/* Is that very process still there? */
bool tgt_daemon_alive(const struct tgt_daemon *daemon);

/* Is its socket still where it was? */
bool tgt_daemon_reachable(const struct tgt_link *link);

/* Does any process hold the lock beside that socket, as every tgtd does while it lives? */
bool tgt_daemon_locked(const struct tgt_link *link);

/*
 * Starts a daemon and waits until it answers and listens on its portal and on no other (tgtd
 * falls back to every address when the wanted one is taken; such a daemon is killed again).
 * It is nobody's child, has its own session and keeps no descriptor of ours but the library's
 * that pairs names with secrets (tgt_pair.h), so it outlives attachfs. -EADDRINUSE if the portal
 * is taken.
 */
int tgt_daemon_start(const struct tgt_spawn *spawn, struct tgt_link *link,
		     struct tgt_daemon *ret, struct error *err);

#endif
