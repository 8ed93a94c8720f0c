/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine that uses one volume: a thread that logs in whenever it can, and stamps its block. */
#ifndef ATTACHFS_TESTS_MACHINE_H
#define ATTACHFS_TESTS_MACHINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host.h"

#define MACHINES_MAX 8 /* on one volume */

/* What it writes, the only machine to do so, at the block of its number: itself and a counter. */
struct stamp {
	char magic[8];
	uint64_t machine, count;
};

/*
 * It takes what it needs to log in from its attachment's directory as soon as that is there, and
 * keeps it: when it is detached or fenced it goes on trying with what it has. `frozen` is set by
 * whoever knows that no write of it may succeed any more; `touched` is raised before and after
 * anything that may end its session is done to it, so it is odd meanwhile.
 */
struct machine {
	char dir[256]; /* its attachment */
	char initiator[224];
	int disk;      /* the volume's file, for reading */
	unsigned number, neighbours; /* on the volume: 0 to neighbours - 1 */
	atomic_bool stay_out, out;   /* asked to log out and stay so; it has */
	atomic_bool quit;
	atomic_llong frozen_at; /* ns; 0: it may write */
	atomic_uint touched;
	atomic_ulong logins, writes, refused;

	pthread_mutex_t lock; /* protects what follows */
	/* All blocks as they were when its first write of the session was acknowledged. */
	unsigned long seen_login;
	unsigned char seen[MACHINES_MAX][HOST_BLOCK];
	char violation[256]; /* the first thing that must never happen, or empty */

	pthread_t thread;
	unsigned seed;
};

int64_t machine_now(void);
int machine_start(struct machine *m);
void machine_stop(struct machine *m);
/* What the disk has at the block of that machine. */
void machine_block(int disk, unsigned number, unsigned char out[HOST_BLOCK]);
void machine_violates(struct machine *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
