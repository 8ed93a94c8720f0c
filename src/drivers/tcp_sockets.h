/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's view of a process's sockets, above all of TCP, and ending a connection. */
#ifndef ATTACHFS_DRIVERS_TCP_SOCKETS_H
#define ATTACHFS_DRIVERS_TCP_SOCKETS_H

#include "attachfs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Accepted by a process (connections that still wait for that have no inode and are left out). */
struct tcp_socket {
	uint32_t inode;
	uint64_t received; /* bytes */
	char address[64];  /* of the peer, numeric, without a zone */
	bool excused;	   /* the caller's mark */
};

struct tcp_sockets {
	struct tcp_socket *list;
	size_t n;
};

/* A local port; a listing costs the kernel a walk over all its connections, so only of a family
 * that is asked for. */
struct tcp_port {
	unsigned number;
	bool v6;
};

/* All connections to one of `ports` into an empty `ret`. */
int tcp_sockets_list(const struct tcp_port *ports, size_t n_ports, struct tcp_sockets *ret,
		     struct error *err);
void tcp_sockets_free(struct tcp_sockets *s);
void tcp_sockets_sort_by_bytes(struct tcp_sockets *s);
bool tcp_sockets_has(const struct tcp_sockets *s, uint32_t inode);

/* How many sockets of any kind the process has; -errno. */
int process_sockets_count(pid_t pid);

/* Copies of another process's descriptors: the same connections. */
struct tcp_copies {
	int *fds;
	size_t n;
};

/* Of those in `s` that the process still has. Needs the right to trace the process. */
int tcp_sockets_copy(pid_t pid, const struct tcp_sockets *s, struct tcp_copies *ret,
		     struct error *err);
void tcp_copies_free(struct tcp_copies *c);

/*
 * Held: its process is not told of what arrives, which waits in the kernel; nothing is lost,
 * the peer notices a pause at most. Whoever holds must release, also for one who died.
 */
void tcp_copies_hold(const struct tcp_copies *c, bool hold);

/* Shuts down that socket of that process, which sees the end of the connection; 0, too, if it
 * has none such any more. Needs the right to trace the process. */
int tcp_socket_shut(pid_t pid, uint32_t inode, struct error *err);

#endif
