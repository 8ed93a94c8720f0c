/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core on a temporary state folder, with memory docks, and calls as a file system makes them. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"
#include "attachfs/conf.h"
#include "attachfs/core.h"
#include "attachfs/worker.h"

/* Nothing in a test takes longer, unless it is broken. */
#define PATIENCE_MS 8000

/* What fixture_wait() returns for a call that has not been answered in time. */
#define UNANSWERED (-ETIME)

/* One request that is under way; the fixture owns it. */
struct call {
	struct intent intent; /* first: answer() finds the call by it */
	struct fixture *f;
	struct call *next;
	char value[VALUE_BYTES_MAX + 64];
	pthread_cond_t answered;
	unsigned answers;     /* how often it was answered: once, or something is broken */
	int result;
};

/*
 * Fill in the first part after fixture_init(), then fixture_start(). Paths are those below the
 * mount point, without a slash at the beginning. Errors that no test expects end the test.
 */
struct fixture {
	unsigned attach_timeout_ms, detach_timeout_ms; /* 0: far longer than any test */
	uint64_t map_size;			       /* 0: 64 MiB */

	char dir[64];
	struct conf *conf;
	struct store *store;
	struct core *core;
	struct worker *worker; /* NULL: the test itself is the worker */

	pthread_mutex_t lock;  /* protects what follows */
	pthread_cond_t changed;
	uint64_t changes;      /* rises with every answer and every note */
	unsigned kicks;	       /* without a worker: how often it would have been kicked */
	uint64_t kicked_dock, kicked_volume;
	struct note *notes;
	size_t n_notes, notes_size;
	struct call *calls;
	uint64_t tickets;
	struct kept_text {
		struct kept_text *next;
		char *data;
	} *texts;	       /* what fixture_read() has returned */
};

void fixture_init(struct fixture *f);
/* Adds docks.d/NAME.yaml: a memory dock with these lines below `pool:`. */
void fixture_dock(struct fixture *f, const char *name, const char *pools);
/* The dock of most tests, "mem": pool "many" (100 GiB, thin, multiattach), "one" (without). */
void fixture_default_dock(struct fixture *f);
/* Opens store and core, and the worker too or else plays the docks' part: they are available. */
void fixture_start(struct fixture *f, bool with_worker);
/* The same, but leaves the refusal to the caller. */
int fixture_start_worker(struct fixture *f, struct error *err);
/* Ends the delays that fixture_faults() has set, and leaves the failures. */
void fixture_stop_worker(struct fixture *f);
/* The state folder that another process has left; takes over its files. */
void fixture_adopt(struct fixture *f, const char *dir);
/* Closes everything and leaves the state folder, as the end of a process does. */
void fixture_stop(struct fixture *f);
/* Stops, if need be, and removes everything. */
void fixture_free(struct fixture *f);

/* cmocka: a started fixture with the default dock, with or without a worker. */
int fixture_setup(void **state);
int fixture_setup_worker(void **state);
int fixture_teardown(void **state);
/* cmocka: with a worker, and host h attached rw to the multi-attach volume v of 1 GiB. */
int fixture_setup_attached(void **state);
/* cmocka: with a worker, hosts h, i and k, and a multi-attach volume v of 1 GiB; waits as long as by
 * default, or so short that a test sees them end (but not that volume's making, on a busy machine). */
int fixture_setup_patient(void **state);
int fixture_setup_impatient(void **state);

/* ---- requests; -errno as the caller of the file system would get it ---- */

/* They return at once; the first call that must be resolved and cannot be ends the test. */
struct call *fixture_begin_mkdir(struct fixture *f, const char *path);
struct call *fixture_begin_rmdir(struct fixture *f, const char *path);
struct call *fixture_begin_write(struct fixture *f, const char *path, const char *value);
struct call *fixture_begin_rename(struct fixture *f, const char *from, const char *to);
/* In a directory that may be reached by no path any more. */
struct call *fixture_begin_make(struct fixture *f, struct ref dir, const char *name);
/* A write that the test itself submits. */
struct call *fixture_prepare_write(struct fixture *f, const char *path, const char *value);
int fixture_wait(struct call *call, unsigned ms);

int fixture_mkdir(struct fixture *f, const char *path);
int fixture_rmdir(struct fixture *f, const char *path);
int fixture_write(struct fixture *f, const char *path, const char *value);
int fixture_write_bytes(struct fixture *f, const char *path, struct text value);
int fixture_rename(struct fixture *f, const char *from, const char *to);
int fixture_inode(struct fixture *f, const char *path, unsigned fields,
		  const struct inode_state *inode);

/* Makes a volume of this size: mkdir, multiattach if wished, pool if not NULL, size. */
void fixture_volume(struct fixture *f, const char *name, bool multiattach, const char *pool,
		    const char *size);
/* Makes the attachment if it is not there, and writes its mode. */
void fixture_attach(struct fixture *f, const char *dir, const char *mode);
/* hosts/NAME with an initiator of its own, iqn.2026-11.test:NAME. */
void fixture_host(struct fixture *f, const char *name);

/* ---- reading ---- */

int fixture_ref(struct fixture *f, const char *path, struct ref *ret);
bool fixture_exists(struct fixture *f, const char *path);
/* The value, or "(errno N)"; valid until fixture_free(). One thread at a time. */
const char *fixture_read(struct fixture *f, const char *path);
const char *fixture_readlink(struct fixture *f, const char *path);
/* The names in a directory, each followed by a blank, in the order of the listing. */
const char *fixture_list(struct fixture *f, const char *path);
/* The object itself; its texts have been copied nowhere, so only its numbers may be used. */
void fixture_object(struct fixture *f, const char *path, union any *ret);
/* All of the audit log. */
const char *fixture_events(struct fixture *f);

/* Ends the test unless the file reads so, or does not within PATIENCE_MS. */
void fixture_expect(struct fixture *f, const char *path, const char *value);
void fixture_await(struct fixture *f, const char *path, const char *value);
void fixture_await_gone(struct fixture *f, const char *path);
/* Ends the test unless this is in `last_error` of the object, or in any other text. */
void fixture_expect_in(const char *text, const char *part);

/* ---- playing the worker ---- */

/* The work that the volume's object is owed, or false. `host` NULL: the volume's own. */
bool fixture_work(struct fixture *f, const char *volume, const char *host, struct work *ret);
/* Tells core what has come of it, with a plausible connection. */
int fixture_settle(struct fixture *f, const struct work *work, int result, const char *why);
/* Does everything that is owed to the volume: it is available, its attachments attached … */
void fixture_settle_all(struct fixture *f, const char *volume);

/* ---- the memory driver, when there is a worker ---- */

/* Replaces the control file: delays, faults, sessions (see memory_fault.h). */
void fixture_faults(struct fixture *f, const char *rules);
/* "MODE INITIATOR\n" of each export that dock `mem` has now, sorted. */
const char *fixture_exports(struct fixture *f);
void fixture_await_exports(struct fixture *f, const char *exports);
/* The dock's own worker (src/worker/worker.h), for looking below it. */
struct dock_worker;
struct dock_worker *fixture_dock_worker(struct fixture *f);
/* How many intents are unsettled. */
unsigned fixture_unsettled(struct fixture *f);
void fixture_await_settled(struct fixture *f);

/* ---- notes ---- */

void fixture_forget_notes(struct fixture *f);
bool fixture_noted_attrs(struct fixture *f, uint64_t object);
bool fixture_noted_node(struct fixture *f, struct ref ref);

#endif
