/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One writer at a time: it commits all waiting mutations in one LMDB transaction. */
#include "store.h"

#include <errno.h>

#include "attachfs/clock.h"
#include "attachfs/log.h"

/* More would only make the first one wait longer. */
#define BATCH_MAX 256

/*
 * LMDB syncs the pages of a commit, and then the page that makes them the current ones. A lazy
 * commit leaves out the second: whatever happens the state is one that was committed, but a
 * power failure may bring back the one before. The next commit's first sync makes up for it.
 */
static int commit(struct store *store, MDB_txn *txn, bool lazy)
{
	int rc;

	mdb_env_set_flags(store->env, MDB_NOMETASYNC, lazy);
	rc = store_errno(mdb_txn_commit(txn));
	if (!rc)
		store->due = lazy ? monotonic_ms() + LAZY_MS : 0;
	return rc;
}

/* No later commit has come. */
static void flush(struct store *store)
{
	int rc = store_errno(mdb_env_sync(store->env, 1));

	if (rc)
		log_error("cannot sync the state: %s", strerror(-rc));
	store->due = 0;
}

/* In the transaction `tx`, which is to be aborted if this fails. */
static int apply(struct tx *tx, struct mutation *m)
{
	int rc = m->apply(tx, m);

	return rc || m->vital ? rc : room_check(tx);
}

/* Applies one mutation in a transaction of its own, nested in the batch's. */
static int apply_nested(struct store *store, MDB_txn *batch, struct mutation *m)
{
	struct tx tx = {.store = store, .write = true};
	MDB_txn *child;
	int rc = store_errno(mdb_txn_begin(store->env, batch, 0, &child));

	if (rc)
		return rc;
	tx.txn = child;
	rc = apply(&tx, m);
	if (!rc)
		return store_errno(mdb_txn_commit(child));
	mdb_txn_abort(child);
	return rc;
}

/* The refusal itself is worth a record, for as long as there is room for that. */
static void note_refusal(struct store *store, MDB_txn *batch, struct mutation *m)
{
	struct tx tx = {.store = store, .write = true};
	MDB_txn *child;

	if (!m->refused || mdb_txn_begin(store->env, batch, 0, &child))
		return;
	tx.txn = child;
	m->refused(&tx, m);
	if (room_for_note(&tx))
		mdb_txn_commit(child);
	else
		mdb_txn_abort(child);
}

static int commit_batch(struct store *store, struct mutation *batch)
{
	MDB_txn *txn;
	int rc = env_begin(store, &txn);
	bool lazy = true;

	if (rc)
		return rc;
	for (struct mutation *m = batch; m; m = m->next) {
		m->result = apply_nested(store, txn, m);
		if (m->result)
			note_refusal(store, txn, m);
		lazy = lazy && !m->result && m->lazy;
	}
	return commit(store, txn, lazy);
}

/* A lone mutation, the usual case, needs no nested transaction. */
static int commit_one(struct store *store, struct mutation *m)
{
	struct tx tx = {.store = store, .write = true};
	MDB_txn *txn;
	int rc = env_begin(store, &txn);

	if (rc)
		return rc;
	tx.txn = txn;
	m->result = apply(&tx, m);
	if (!m->result)
		return commit(store, txn, m->lazy);
	mdb_txn_abort(txn);
	if (!m->refused)
		return 0;
	rc = env_begin(store, &txn);
	if (!rc) {
		note_refusal(store, txn, m);
		commit(store, txn, false);
	}
	return 0;
}

static void finish(struct mutation *batch, int rc)
{
	for (struct mutation *m = batch, *next; m; m = next) {
		next = m->next; /* done() may free it */
		if (rc && !m->result)
			m->result = rc;
		m->done(m);
	}
}

/* Takes up to BATCH_MAX mutations from the queue. Locked. */
static struct mutation *take_batch(struct store *store)
{
	struct mutation *batch = store->first, **end;
	unsigned n = 0;

	for (end = &store->first; *end && n < BATCH_MAX; end = &(*end)->next)
		n++;
	store->first = *end;
	*end = NULL;
	if (!store->first)
		store->last = &store->first;
	store->commits++;
	store->mutations += n;
	return batch;
}

/* Commits what is queued, and tells of it. Locked; the lock is let go meanwhile. */
static void write_batch(struct store *store)
{
	struct mutation *batch = take_batch(store);
	int rc;

	store->writing = true;
	pthread_mutex_unlock(&store->lock);
	room_take(store);
	rc = batch->next ? commit_batch(store, batch) : commit_one(store, batch);
	if (rc) {
		log_error("cannot commit to the state: %s", strerror(-rc));
		env_mend(store);
	}
	finish(batch, rc);
	pthread_mutex_lock(&store->lock);
	store->writing = false;
}

/* The same with what a lazy commit left out, or a failure broke. */
static void write_owed(struct store *store)
{
	store->writing = true;
	pthread_mutex_unlock(&store->lock);
	if (store->env)
		flush(store);
	else
		env_mend(store);
	pthread_mutex_lock(&store->lock);
	store->writing = false;
}

/* Until what is owed is due, or there is something else to do. Locked. */
static void doze(struct store *store)
{
	struct timespec until = monotonic_timespec(store->due);

	store->dozing = true;
	pthread_cond_timedwait(&store->wake, &store->lock, &until);
	store->dozing = false;
}

/* The writer thread writes what nobody else does. */
static void *writer_main(void *arg)
{
	struct store *store = arg;

	pthread_mutex_lock(&store->lock);
	while (!store->stopping || store->writing || store->first) {
		if (store->writing || (!store->first && !store->due))
			pthread_cond_wait(&store->wake, &store->lock);
		else if (store->first)
			write_batch(store);
		else if (store->due <= monotonic_ms())
			write_owed(store);
		else
			doze(store);
	}
	if (store->due)
		write_owed(store);
	pthread_mutex_unlock(&store->lock);
	return NULL;
}

int store_writer_start(struct store *store)
{
	int rc = pthread_create(&store->writer, NULL, writer_main, store);

	store->has_writer = !rc;
	return -rc;
}

void store_stop(struct store *store)
{
	if (!store || !store->has_writer)
		return;
	pthread_mutex_lock(&store->lock);
	store->stopping = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->writer, NULL);
	store->has_writer = false;
}

/* Locked. */
static void enqueue(struct store *store, struct mutation *m)
{
	m->next = NULL;
	m->result = 0;
	m->lazy = m->vital = false;
	*store->last = m;
	store->last = &m->next;
}

void store_queue(struct store *store, struct mutation *m)
{
	pthread_mutex_lock(&store->lock);
	enqueue(store, m);
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
}

/*
 * Whoever finds nobody writing does it, so that a change that comes alone waits for no other
 * thread; those that come meanwhile share the next commit.
 */
void store_submit(struct store *store, struct mutation *m)
{
	pthread_mutex_lock(&store->lock);
	enqueue(store, m);
	if (!store->writing) {
		write_batch(store);
		if (store->first || store->stopping || (store->due && !store->dozing))
			pthread_cond_signal(&store->wake);
	}
	pthread_mutex_unlock(&store->lock);
}

/* A mutation with somebody waiting for it. */
struct waited {
	struct mutation m;
	struct mutation *inner;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool finished;
};

static int waited_apply(struct tx *tx, struct mutation *m)
{
	struct mutation *inner = ((struct waited *)m)->inner;
	int rc = inner->apply(tx, inner);

	m->lazy = inner->lazy;
	m->vital = inner->vital;
	return rc;
}

static void waited_refused(struct tx *tx, struct mutation *m)
{
	struct mutation *inner = ((struct waited *)m)->inner;

	if (inner->refused)
		inner->refused(tx, inner);
}

static void waited_done(struct mutation *m)
{
	struct waited *w = (struct waited *)m;

	if (w->inner->done) {
		w->inner->result = m->result;
		w->inner->done(w->inner);
	}
	pthread_mutex_lock(&w->lock);
	w->finished = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

int store_run(struct store *store, struct mutation *m)
{
	struct waited w = {
		.m = {.apply = waited_apply, .refused = waited_refused, .done = waited_done},
		.inner = m,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.wake = PTHREAD_COND_INITIALIZER,
	};

	store_submit(store, &w.m);
	pthread_mutex_lock(&w.lock);
	while (!w.finished)
		pthread_cond_wait(&w.wake, &w.lock);
	pthread_mutex_unlock(&w.lock);
	m->result = w.m.result;
	return m->result;
}
