/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a storage driver is: one const struct driver in one file, listed in src/drivers/drivers.c. */
#ifndef ATTACHFS_DRIVER_H
#define ATTACHFS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attachfs/conf.h"
#include "attachfs/error.h"
#include "attachfs/limits.h"

/* Access of one host to one volume. Numbers are stored: never renumber. */
enum access_mode { ACCESS_NONE = 0, ACCESS_RO = 1, ACCESS_RW = 2 };

/* What a driver can do; shown in the docks' capabilities and honoured by placement. */
enum driver_capability {
	DRIVER_MULTIATTACH = 1 << 0,		  /* several hosts may attach one volume */
	DRIVER_RO_ENFORCED = 1 << 1,		  /* the target itself refuses a ro host's writes */
	DRIVER_PERSISTENT_RESERVATIONS = 1 << 2, /* SPC-4 PR IN / PR OUT among rw hosts */
	DRIVER_ONLINE_EXTEND = 1 << 3,		  /* a volume may grow while hosts are logged in */
	DRIVER_DISCARD = 1 << 4,		  /* SBC-3 UNMAP reaches the backing store */
};

/* A text UUID and its NUL. */
#define UUID_TEXT_SIZE 37

/*
 * A volume as a backend sees it: `id` names its backing file and its targets. Ids are never
 * used twice. `size_bytes` is a multiple of VOLUME_BLOCK.
 */
struct backend_volume {
	char id[UUID_TEXT_SIZE];
	const char *pool; /* the pool's name in its dock */
	uint64_t size_bytes;
};

/*
 * One host's way to a volume. `chap_user` is unique for ever (an attachment and a generation
 * of it), so an export with the same user has the same secret; it ends with "@" and `initiator`, so
 * that a target can see to it that no host uses its secret under another one's name. All strings have been checked:
 * printable ASCII without blanks, commas, quotes or equal signs.
 */
struct backend_export {
	enum access_mode mode;
	char initiator[ISCSI_NAME_MAX + 1]; /* lower case */
	char chap_user[CHAP_USER_MAX + 1];
	char chap_secret[64];		    /* empty in what list_exports() reports */
	int shard; /* where it was exported before, or -1: the driver chooses and export() tells */
};

/* How a host reaches the export: the contents of connection/. Filled by export(). */
struct backend_connection {
	char driver_volume_type[16]; /* "iscsi" */
	char target_iqn[ISCSI_NAME_MAX + 1];
	char target_portal[64];	     /* ADDRESS:PORT */
	unsigned target_lun;
	bool target_discovered;
	bool discard;
	bool chap;		     /* false: the dock is configured without CHAP */
	int shard;
};

struct backend_session {
	char initiator[ISCSI_NAME_MAX + 1];
	char address[64]; /* of the host, as the target tells it; may be empty */
	int64_t since;	  /* ns since 1970: it is known to have been there then; 0 = not known */
};

/* Capacity of a pool in bytes, as it really is at this moment: one moment for all of it, as placement
 * goes by the sum of `free` and `allocated`. */
struct pool_usage {
	uint64_t total;	   /* totalCapacity, or the file system's */
	uint64_t free;	   /* what can still be written: never more than the file system has */
	uint64_t allocated; /* what the backing files really occupy */
};

struct backend; /* the driver's own state for one dock */
struct probe;	/* the driver's own, of one look at an export */

typedef int export_fn(void *arg, const char *volume_id, const struct backend_export *export_);
typedef int backing_fn(void *arg, const char *pool, const char *volume_id, uint64_t bytes);
typedef int session_fn(void *arg, const struct backend_session *session);

/*
 * Threads: open(), close() and check() of a backend never overlap anything else of open/close;
 * all other calls come from up to DOCK_WORKERS threads, calls for *different* volumes in
 * parallel, calls for *one* volume never at the same time. check() may run beside them.
 *
 * Time: every call returns within its own deadline (about 10 s); -ETIMEDOUT means that the
 * backend may or may not have done it, and the call will be repeated. So every call is
 * idempotent: doing what is done already returns 0.
 *
 * Errors: -errno and a sentence in `err`. -ETIMEDOUT and -EAGAIN are repeated by the worker;
 * others are final for this attempt. No call writes a secret anywhere but to the target.
 */
struct driver {
	const char *name;
	unsigned capabilities; /* enum driver_capability, or'ed */
	bool forgets;	       /* what it has ends with close() */

	/* Checks the driver's own keys of a dock file: FILE:LINE:COLUMN errors. No side effects. */
	int (*check_config)(const struct dock_conf *dock, struct error *err);

	/* Starts to serve the dock; adopts what still runs. `dock` outlives the backend.
	 * `state_dir` is attachfs's state folder, below which the driver may keep a private
	 * folder of its own (sockets, logs). */
	int (*open)(const struct dock_conf *dock, const char *state_dir, struct backend **ret,
		    struct error *err);

	/* Ends the control plane only: no host's session ends, no spawned daemon stops. */
	void (*close)(struct backend *backend);

	/* Is it there? Stores a number that changes whenever the backend has lost its exports
	 * (a restarted daemon), which makes the worker apply every export anew. May restart a
	 * daemon that it spawned. Called about once a second. */
	int (*check)(struct backend *backend, uint64_t *ret_epoch, struct error *err);

	int (*pool_usage)(struct backend *backend, const char *pool, struct pool_usage *ret,
			  struct error *err);

	/* Makes the backing store of `volume`. -ENOSPC if there is no room. */
	int (*provision)(struct backend *backend, const struct backend_volume *volume,
			 struct error *err);

	/* Grows it to volume->size_bytes; hosts that are logged in see the new size when
	 * DRIVER_ONLINE_EXTEND is set, else the caller makes sure that there are none. */
	int (*extend)(struct backend *backend, const struct backend_volume *volume,
		      struct error *err);

	/* Removes the backing store; the caller has removed every export. */
	int (*purge)(struct backend *backend, const struct backend_volume *volume,
		     struct error *err);

	/* Gives the host `export_->initiator` exactly `export_->mode`; no other host notices. Its
	 * secret lets it in under its own name only, so that fencing it ends all that it has. */
	int (*export)(struct backend *backend, const struct backend_volume *volume,
		      const struct backend_export *export_, struct backend_connection *ret,
		      struct error *err);

	/*
	 * Proves the export as the host would: login, LUN, capacity, write protection. Stores
	 * the mode that was seen. -EIO (and a sentence) when what is seen is not `export_`.
	 * With `ret_left` (may be NULL) it need not wait for the answer to its logout: *ret_left, which
	 * was NULL, may then be what waits for it, for probe_end(), whatever was seen. The caller may
	 * tell of that first, but calls nothing else for this volume before.
	 */
	int (*probe)(struct backend *backend, const struct backend_volume *volume,
		     const struct backend_export *export_,
		     const struct backend_connection *connection, enum access_mode *ret_mode,
		     struct probe **ret_left, struct error *err);

	/* Optional: waits until the session that probe() left has ended. */
	void (*probe_end)(struct probe *left);

	/* Takes the access away, ends the host's sessions on this export, and returns 0 only when
	 * there is provably none left and a new login is refused. No other host notices. */
	int (*unexport)(struct backend *backend, const struct backend_volume *volume,
			const struct backend_export *export_, struct error *err);

	/*
	 * Fences the host `export_->initiator`, in either mode (`export_->mode` is of no account) and
	 * whatever it does: hangs, writes, logs in again and again. Takes its access away, ends its
	 * sessions, and returns 0 only when none is left and the target itself has refused a login
	 * as that host, with its name and its secret; the target being gone is such a refusal, a
	 * portal that does not answer is none. Anything else is an error, and the call is repeated
	 * until it is 0. No other host notices.
	 */
	int (*fence)(struct backend *backend, const struct backend_volume *volume,
		     const struct backend_export *export_, struct error *err);

	/* Calls `fn` for each live session of the host on this export; a non-zero return of
	 * `fn` ends the walk and is returned. Our own probe's sessions do not count. */
	int (*sessions)(struct backend *backend, const struct backend_volume *volume,
			const struct backend_export *export_, session_fn *fn, void *arg,
			struct error *err);

	/* Ends the host's live sessions and leaves the export: it may log in again. */
	int (*end_sessions)(struct backend *backend, const struct backend_volume *volume,
			    const struct backend_export *export_, struct error *err);

	/* Optional: each backing store that is in the pool, whoever's it is, for attachfs --check.
	 * NULL: they cannot be listed. */
	int (*list_volumes)(struct backend *backend, const char *pool, backing_fn *fn, void *arg,
			    struct error *err);

	/* Every export of this dock, or of one volume (`volume_id` not NULL), as the backend
	 * has it at this moment, also one that is only half there. `chap_user` is empty if it was
	 * not export() that made it. Strangers without our prefix are not listed. What is left
	 * without any host is listed with an empty `initiator`; unexport() of that removes it. */
	int (*list_exports)(struct backend *backend, const char *volume_id, export_fn *fn,
			    void *arg, struct error *err);
};

/* All built-in drivers, NULL-terminated: the one list to add a new one to. */
extern const struct driver *const drivers[];
const struct driver *driver_find(const char *name);

#endif
