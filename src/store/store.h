/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the store's own files. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <lmdb.h>
#include <pthread.h>

#include "attachfs/store.h"

/* Read transactions that are kept for reuse; more are made when needed. */
#define READERS_KEPT 32

struct store {
	MDB_env *env;
	MDB_dbi table[TABLES];
	int lock_fd;

	pthread_mutex_t readers_lock; /* protects idle[], n_idle */
	MDB_txn *idle[READERS_KEPT];
	unsigned n_idle;

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

#endif
