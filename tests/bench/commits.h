/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bench baseline: the durable records of one change in bare LMDB, with group commit. */
#ifndef ATTACHFS_BENCH_COMMITS_H
#define ATTACHFS_BENCH_COMMITS_H

#include <lmdb.h>
#include <sys/stat.h>

#include "bench.h"

/*
 * One change writes what attachfs writes for it: the object's record, and that of the one
 * it belongs to, if any; and a line of the audit log. Sizes are
 * those of a volume with a few settings. Threads that wait at the same time share a commit:
 * the first of them writes for all. Any thread may call commits_add().
 */
#define COMMITS_RECORD_BYTES 256
#define COMMITS_EVENT_BYTES  144
#define COMMITS_ALONE	     UINT64_MAX /* it belongs to none */

struct commits_wait {
	uint64_t object, owner, generation;
	bool done;
	struct commits_wait *next;
};

struct commits {
	MDB_env *env;
	MDB_dbi tree;
	uint64_t log_bytes; /* the committing thread's */
	pthread_mutex_t lock;
	pthread_cond_t committed;
	struct commits_wait *waiting; /* `lock` guards this and `busy` */
	bool busy;
};

static inline void commits_check(int rc, const char *what)
{
	if (rc)
		bench_die("%s: %s", what, mdb_strerror(rc));
}

/* Tables are in one tree, as attachfs's: that takes fewer pages for a change than a tree for each. */
enum commits_table { COMMITS_OBJECTS = 1, COMMITS_EVENTS };

static inline void commits_put(const struct commits *c, MDB_txn *txn, enum commits_table table,
			       uint64_t key, const void *p, size_t n)
{
	uint64_t number = __builtin_bswap64(key);
	uint8_t bytes[1 + sizeof(number)] = {(uint8_t)table};
	MDB_val k = {sizeof(bytes), bytes}, v = {n, (void *)p};

	memcpy(bytes + 1, &number, sizeof(number));
	commits_check(mdb_put(txn, c->tree, &k, &v, table == COMMITS_EVENTS ? MDB_APPEND : 0),
		      "mdb_put");
}

static inline void commits_put_change(struct commits *c, MDB_txn *txn,
				      const struct commits_wait *w)
{
	char record[COMMITS_RECORD_BYTES] = {0}, line[COMMITS_EVENT_BYTES];

	memcpy(record, &w->generation, sizeof(w->generation));
	memset(line, 'e', sizeof(line));
	commits_put(c, txn, COMMITS_OBJECTS, w->object, record, sizeof(record));
	if (w->owner != COMMITS_ALONE)
		commits_put(c, txn, COMMITS_OBJECTS, w->owner, record, sizeof(record));
	commits_put(c, txn, COMMITS_EVENTS, c->log_bytes, line, sizeof(line));
	c->log_bytes += sizeof(line);
}

static inline void commits_write(struct commits *c, const struct commits_wait *list)
{
	MDB_txn *txn;

	commits_check(mdb_txn_begin(c->env, NULL, 0, &txn), "mdb_txn_begin");
	for (; list; list = list->next)
		commits_put_change(c, txn, list);
	commits_check(mdb_txn_commit(txn), "mdb_txn_commit");
}

/* Called and left with the lock held. */
static inline void commits_lead(struct commits *c)
{
	struct commits_wait *list = c->waiting, *w;

	c->busy = true;
	c->waiting = NULL;
	pthread_mutex_unlock(&c->lock);
	commits_write(c, list);
	pthread_mutex_lock(&c->lock);
	while ((w = list)) {
		list = w->next;
		w->done = true;
	}
	c->busy = false;
	pthread_cond_broadcast(&c->committed);
}

/* Returns when the change is on disk. */
static inline void commits_add(struct commits *c, uint64_t object, uint64_t owner,
			       uint64_t generation)
{
	struct commits_wait w = {
		.object = object, .owner = owner, .generation = generation};

	pthread_mutex_lock(&c->lock);
	w.next = c->waiting;
	c->waiting = &w;
	while (!w.done) {
		if (c->busy)
			pthread_cond_wait(&c->committed, &c->lock);
		else
			commits_lead(c);
	}
	pthread_mutex_unlock(&c->lock);
}

static inline void commits_open_tree(struct commits *c)
{
	MDB_txn *txn;

	commits_check(mdb_txn_begin(c->env, NULL, 0, &txn), "mdb_txn_begin");
	commits_check(mdb_dbi_open(txn, NULL, 0, &c->tree), "mdb_dbi_open");
	commits_check(mdb_txn_commit(txn), "mdb_txn_commit");
}

/* Makes the environment in a new folder, with attachfs's flags: synced, no WRITEMAP. */
static inline void commits_open(struct commits *c, const char *path)
{
	*c = (struct commits){.lock = PTHREAD_MUTEX_INITIALIZER,
			      .committed = PTHREAD_COND_INITIALIZER};
	if (mkdir(path, 0700))
		bench_die("%s: %s", path, strerror(errno));
	commits_check(mdb_env_create(&c->env), "mdb_env_create");
	commits_check(mdb_env_set_mapsize(c->env, (size_t)1 << 30),
		      "mdb_env_set_mapsize");
	commits_check(mdb_env_open(c->env, path, MDB_NOTLS, 0600), path);
	commits_open_tree(c);
}

/*
 * As a state that has been in use for a while: each of its objects was changed some times, one
 * after another, which has scattered the pages that are free.
 */
#define COMMITS_AGE 8

static inline void commits_age(struct commits *c, unsigned objects)
{
	unsigned i;

	commits_check(mdb_env_set_flags(c->env, MDB_NOSYNC, 1), "mdb_env_set_flags");
	for (i = 0; i < objects * COMMITS_AGE; i++)
		commits_add(c, i % objects, COMMITS_ALONE, i);
	commits_check(mdb_env_set_flags(c->env, MDB_NOSYNC, 0), "mdb_env_set_flags");
	commits_check(mdb_env_sync(c->env, 1), "mdb_env_sync");
}

static inline void commits_close(struct commits *c)
{
	mdb_env_close(c->env);
}

#endif
