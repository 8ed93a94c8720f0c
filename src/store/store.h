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

/* What there is no room in. */
enum shortage { SHORTAGE_NONE, SHORTAGE_MAP, SHORTAGE_DISK };

struct store {
	MDB_env *env;
	MDB_dbi tree;
	int lock_fd;
	char path[PATH_MAX];
	uint64_t map_size, events_max;
	bool read_only;

	pthread_mutex_t readers_lock; /* protects what follows, and `env` from being replaced */
	pthread_cond_t readers_wake;  /* the last one has left, or it goes on */
	MDB_txn *idle[READERS_KEPT];
	unsigned n_idle, n_inside;
	bool replacing;

	pthread_t writer;
	bool has_writer;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;  /* the writer thread has something to do, or is to end */
	struct mutation *first, **last;
	bool writing; /* somebody commits: the environment and the next three are theirs */
	int64_t due;  /* ms: the last commit was lazy, or the environment is lost; 0: neither */
	uint64_t on_disk;	/* bytes of the data file that have room on disk */
	enum shortage shortage; /* as the last change that is not vital found it */
	bool dozing;		/* the writer thread, until something is due */
	bool stopping;
	uint64_t commits, mutations;
};

/*
 * verify.c: -EBADMSG, with the reason, if the data file is none or is damaged, so that LMDB may not be
 * let near it. Its headers only, or the `whole` state of a transaction that stays there as long:
 * -EAGAIN if it has not; 0: the current one, while nobody writes.
 */
int verify_file(int fd, uint64_t transaction, bool whole, struct error *err);

/* room.c: how much of the state is free, and who may have it. */

/* -ENOSPC if what `tx` has changed leaves less than the reserve. */
int room_check(struct tx *tx);
/* Does it leave half of that, which is enough for what is vital? */
bool room_for_note(struct tx *tx);
/* Takes the reserve's room on disk while there is some. Before each commit. */
void room_take(struct store *store);
/* The same for a file of that length; -ENOSPC if there is none. */
int room_claim(struct store *store, uint64_t end);
/* Bytes of its pages; 0 if they are not known. */
uint64_t room_of_tree(struct tx *tx, MDB_dbi tree);
void room_usage(struct tx *tx, struct store_usage *ret);

#define KEY_ROOM 512 /* a byte more than LMDB takes */

/* tx.c: behind the last row of the last table, where pages become full: rows put are halves of them. */
#define TABLE_LAST TABLE_EVENTS
int tx_append(struct tx *tx, struct text key, struct text value);
/* The last row of the last table; -ENOENT if it is empty. */
int tx_last(struct tx *tx, struct text *ret_key, struct text *ret_value);

/* upgrade.c: the format before, of a tree for each table */
#define UPGRADE_TABLES 7
#define UPGRADE_GROWTH 3 /* the rows there were, and as many, which may lie on halves of pages */
bool upgrade_is_due(MDB_txn *txn);
/* Its rows become those of the one tree; -ENOSPC if there is no room on disk for both. */
int upgrade_rows(struct tx *tx);

/* LMDB's codes as -errno. */
int store_errno(int code);

int store_writer_start(struct store *store);

/* env.c: LMDB's environment. It may be gone (NULL) after a failure of the disk. */
int env_open(struct store *store, struct error *err);
void env_close(struct store *store);
/* Whoever is inside keeps it from being replaced. -EIO if there is none. Whoever writes, and is the
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
