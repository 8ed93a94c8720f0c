/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The durable state: an LMDB environment, one writer at a time with group commit, the audit log. */
#ifndef ATTACHFS_STORE_H
#define ATTACHFS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "attachfs/error.h"
#include "attachfs/text.h"

/*
 * The store knows bytes, not objects: what keys and values mean is core's business. Keys
 * compare as bytes, so numbers in keys are big-endian (key_u64()).
 *
 * A table is what begins with the same byte in one tree: what is changed together mostly lies on
 * the same pages, and each page that a commit writes costs it as much as a seek. The bytes are on disk.
 */
enum store_table {
	TABLE_OBJECTS = 1,  /* object number -> record */
	TABLE_META = 2,	    /* counters, the format's version: mostly on the newest object's page */
	TABLE_CHILDREN = 3, /* (parent, container, 'n', name) -> object number;
			     * (parent, container, 'o', object number) -> name: the order of readdir */
	TABLE_HOSTS = 4,    /* (host name, NUL, attachment's number) -> nothing */
	TABLE_PURGES = 5,   /* number of a volume -> nothing: it is in no directory any more */
	TABLE_EVENTS = 6,   /* byte offset -> line of the audit log: the last table, it is appended to */
};

/* What follows (parent, container) in a key of TABLE_CHILDREN. */
enum { CHILD_BY_NAME = 'n', CHILD_BY_NUMBER = 'o' };

struct store;

/*
 * A transaction. Readers see one moment; what they get points into the map and is valid
 * until store_read_end(). In the writer's transactions it is valid until the next tx_put()
 * or tx_delete(). One thread at a time.
 */
struct tx {
	struct store *store;
	void *txn; /* MDB_txn */
	bool write;
	uint64_t log_bytes; /* of the audit log, once a line was added; 0: not known */
	/* The user's own: what it has looked at last. A tx_put() or tx_delete() forgets it. */
	uint64_t last_number;
	struct text last_record;
};

/*
 * Opens (and makes) the state folder, which must be ours alone: mode 0700, owned by the
 * caller, not opened by another attachfs (-EBUSY). -EINVAL if it is foreign, newer or damaged;
 * never overwritten. `read_only` is for looking at a folder that a running attachfs may
 * hold: no lock, no writer thread. Errors are explained in `err`.
 */
int store_open(const char *path, uint64_t map_size, bool read_only, struct store **ret,
	       struct error *err);

/* Sees to it that no attachfs uses the folder that was opened read_only, or starts to; -EBUSY. */
int store_claim(struct store *store, const char *path, struct error *err);

/* Commits what is queued and ends the writer: nothing may be submitted any more. */
void store_stop(struct store *store);
/* Commits what is queued, ends the writer, closes. No transaction may be open. */
void store_close(struct store *store);

/* A snapshot for reading. About 100 ns; never waits for a commit. Any thread. */
int store_read_begin(struct store *store, struct tx *ret);
void store_read_end(struct tx *tx);

/* Results are 0, -ENOENT, -ENOSPC (the map is full), -EIO … */
int tx_get(struct tx *tx, enum store_table table, struct text key, struct text *ret);
int tx_put(struct tx *tx, enum store_table table, struct text key, struct text value);
int tx_delete(struct tx *tx, enum store_table table, struct text key);

/*
 * Calls `fn` for the keys that begin with `prefix`, in order, from the first one that is not
 * below `from` (TEXT_NONE: from the start). `fn` returns 0 to go on; anything else ends the
 * scan and is returned. `fn` must not write.
 */
typedef int tx_scan_fn(void *arg, struct text key, struct text value);
int tx_scan(struct tx *tx, enum store_table table, struct text prefix, struct text from,
	    tx_scan_fn *fn, void *arg);

/* A number that was never given out before; -ENOSPC in the end, which is some years off. */
#define FIRST_OBJECT 256
#define LAST_OBJECT  ((1ULL << 39) - 1)
int tx_new_number(struct tx *tx, uint64_t *ret);
/* The same from a second row of numbers, from 1 to `max`; -ENOSPC beyond. */
int tx_new_serial(struct tx *tx, uint64_t max, uint64_t *ret);
/* The one that was given out last; 0: none. */
uint64_t tx_last_number(struct tx *tx);
uint64_t tx_last_serial(struct tx *tx);

/*
 * A change of the state. One at a time apply() is called in a transaction; if it returns
 * an error nothing of it remains, and refused() (optional) may leave a note of the refusal
 * in the same commit. When the commit is on disk (or has failed: `result`), done() is
 * called, once; it may free the mutation. All three in the thread of whoever writes.
 *
 * apply() may set `lazy`: nobody is told of this change before a later one has been committed.
 * Then it outlives us, as any other, but until that later commit, or for LAZY_MS, a power
 * failure may undo it.
 *
 * apply() may set `vital`: this change frees room, or must not fail for want of it. It may use
 * what is kept in reserve; any other that would leave less than the reserve is -ENOSPC.
 */
#define LAZY_MS 200

struct mutation {
	int (*apply)(struct tx *tx, struct mutation *m);
	void (*refused)(struct tx *tx, struct mutation *m);
	void (*done)(struct mutation *m);
	int result;
	bool lazy, vital;
	struct mutation *next; /* the queue's */
};

/*
 * Changes are made in the order of submission. If nobody is writing the caller does, which takes as
 * long as the disk; else whoever is goes on with it. Any thread that holds no lock and no
 * transaction, for done() is its own. From done() too: then it is queued.
 */
void store_submit(struct store *store, struct mutation *m);
/* The same for those who cannot wait for the disk: returns at once. */
void store_queue(struct store *store, struct mutation *m);

/* Submits it and waits until it is durable; returns its result. `m->done` may be NULL; if not
 * it is called before. Not from within a change. */
int store_run(struct store *store, struct mutation *m);

/* Releases reader slots of processes that died. Now and then, any thread. */
void store_maintain(struct store *store);

/* After -ENOSPC in a change: what there is no room in, and what to do about it. */
const char *store_full_text(const struct store *store);

struct store_usage {
	uint64_t map_bytes, used_bytes, commits, mutations;
	uint64_t available_bytes; /* for changes that are not vital */
	unsigned readers;
};
void store_usage(struct store *store, struct store_usage *ret);

/*
 * The audit log is a byte stream of lines, each ending in a newline. Appending is part
 * of the change that it tells of. Past its limit (EVENTS_BYTES_MAX, EVENTS_PART) the older half
 * goes.
 */
int tx_event_add(struct tx *tx, struct text line);
uint64_t tx_events_size(struct tx *tx);
/* Up to `size` bytes from `offset`; 0 at the end. */
int tx_events_read(struct tx *tx, uint64_t offset, char *out, size_t size, size_t *ret);

static inline void key_u64(uint8_t out[8], uint64_t n)
{
	for (int i = 7; i >= 0; i--, n >>= 8)
		out[i] = (uint8_t)n;
}

static inline uint64_t key_to_u64(const void *p)
{
	const uint8_t *b = p;
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | b[i];
	return n;
}

#endif
