/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the store's own files. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <limits.h>
#include <lmdb.h>
#include <pthread.h>

#include "attachfs/store.h"

/* Read transactions that are kept for reuse; more are made when needed. */
#define READERS_KEPT 32

struct store {
	MDB_env *env;
	MDB_dbi table[TABLES];
	int lock_fd;
	char path[PATH_MAX];
	uint64_t map_size;
	bool read_only;

	pthread_mutex_t readers_lock; /* protects what follows, and `env` from being replaced */
	pthread_cond_t readers_wake;  /* the last one has left, or it goes on */
	MDB_txn *idle[READERS_KEPT];
	unsigned n_idle, n_inside;
	bool replacing;

	pthread_t writer;
	bool has_writer;
	bool unflushed; /* the writer's: the last commit was a lazy one */
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;  /* something was queued, or stopping */
	struct mutation *first, **last;
	bool stopping;
	uint64_t commits, mutations;
};

/* LMDB's codes as -errno. */
int store_errno(int code);

int store_writer_start(struct store *store);

/* env.c: LMDB's environment. It may be gone (NULL) after a failure of the disk. */
int env_open(struct store *store, struct error *err);
void env_close(struct store *store);
/* Whoever is inside keeps it from being replaced. -EIO if there is none. The writer, who is the
 * one that replaces it, does not enter. */
int env_enter(struct store *store);
void env_leave(struct store *store);
void env_left(struct store *store); /* the same, with readers_lock held */
/*
 * Begins a transaction of the writer. When the page that makes a commit the current one could
 * not be written LMDB refuses everything that follows until it is opened again; so it is.
 */
int env_begin(struct store *store, MDB_txn **ret);
/* The same without anything to write: after a failure, so that readers have it soon. */
void env_mend(struct store *store);

#endif
