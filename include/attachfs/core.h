/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules: what may be done to the tree, what follows from it, and what the backend owes. */
#ifndef ATTACHFS_CORE_H
#define ATTACHFS_CORE_H

#include <sys/types.h>

#include "attachfs/conf.h"
#include "attachfs/node.h"
#include "attachfs/store.h"

struct core;
struct intent;

/* Something that a kernel may have cached and must forget. */
struct note {
	enum {
		NOTE_ATTRS, /* what attachfs computes of ref.object, an object of `kind` */
		NOTE_NODE,  /* the node itself, though users set it */
	} type;
	struct ref ref;
	enum kind kind;
};

enum kick {
	KICK_WORK = 1,	   /* core_works() */
	KICK_SESSIONS = 2, /* core_sessions_set() for those that are wanted */
	KICK_COMPARE = 4,  /* compare with what the backend exports */
};

/* What core needs from those above and below it. All may be NULL; any thread may call. */
struct core_hooks {
	void *arg;
	/* Commits have changed these (fs/ tells the kernel). */
	void (*changed)(void *arg, const struct note *notes, size_t n);
	/* There is something to do for this volume of this dock. Never blocks. */
	void *kick_arg;
	void (*kick)(void *arg, uint64_t dock, uint64_t volume, enum kick what);
};

/* -EINVAL if there is a record that cannot be read: whoever opens a core does not go on with it. */
int core_check_records(struct store *store, struct error *err);
/* A core that only looks: nothing may be changed, not even by attachfs itself. */
int core_look(struct store *store, struct core **ret);
int core_open(struct store *store, const struct conf *conf, struct core **ret, struct error *err);
/* Answers everybody who waits (-ESHUTDOWN), now and from now on. Intents stand. */
void core_stop_waiting(struct core *core);
/* Returns when everything that was submitted before has been answered or waits. */
void core_flush(struct core *core);
void core_set_hooks(struct core *core, const struct core_hooks *hooks);
void core_close(struct core *core);
struct store *core_store(struct core *core);

/* ---- reading: any thread, in a transaction of store_read_begin() ---- */

/* What a computed value may look at. */
struct view {
	struct core *core;
	struct tx *tx;
	const union any *loaded; /* core's own: what is being listed, or NULL */
};

struct node_stat {
	enum { NODE_IS_DIR, NODE_IS_FILE, NODE_IS_LINK } type;
	struct inode_state inode;
	int64_t ctime;
	uint64_t size;
	bool is_volatile; /* do not cache what it is */
	bool is_new;	  /* its object was made within the last VEIL_MS */
	bool is_fleeting; /* do not cache that it is: it may go without its directory being asked */
};

/* -ENOENT, -ENOTDIR */
int core_lookup(struct view *v, struct ref parent, struct text name, struct ref *ret);
int core_stat(struct view *v, struct ref ref, struct node_stat *ret);
/* The directory that a directory is in. */
int core_parent(struct view *v, struct ref ref, struct ref *ret);
/* The value exactly as read(2) shows it; -EACCES never: permissions are the kernel's. */
int core_read(struct view *v, struct ref ref, struct buf *out);
int core_readlink(struct view *v, struct ref ref, struct buf *out);
/* Entries in a stable order; cookies are greater than 0 and `after` is the last one seen. */
typedef int entry_fn(void *arg, const char *name, struct ref ref, uint64_t cookie);
int core_list(struct view *v, struct ref dir, uint64_t after, entry_fn *fn, void *arg);
/* The newest object's number, of those that are numbered in one row with `number`. */
uint64_t core_newest(struct view *v, uint64_t number);
int core_kind(struct view *v, struct ref ref, enum kind *ret);
/* The row behind a node; NULL if there is none. */
int core_node(struct view *v, struct ref ref, const struct node **ret);
/* Is it an attribute that users may write (as far as its kind is concerned)? */
bool core_settable(struct view *v, struct ref ref);
/* Has anybody ever written it? */
bool core_was_set(struct view *v, struct ref ref);
/* "volumes/db/attachments/host1/mode", for messages and the audit log. */
int core_path(struct tx *tx, struct ref ref, struct buf *out);

/* Is it [A-Za-z0-9][A-Za-z0-9._-]{0,62}, as objects and keys are named? In a `container` of scoped
 * keys it may have colons too; NULL: in any other. `err` says so if not. */
int check_name(const struct node *container, const char *name, struct error *err);

/* ---- changing: one intent per request ---- */

struct caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

enum intent_op {
	INTENT_MAKE,   /* mkdir(subject = container, name, mode) or a new key */
	INTENT_REMOVE, /* rmdir(subject = container, name), or a key */
	INTENT_RENAME, /* subject/name -> dest/new_name */
	INTENT_SET,    /* write `value` to the attribute `subject` */
	INTENT_PUT,    /* the same for what a file replaces that is renamed to it: `subject` is an
			* attribute, or a free-form directory in which `name` is the key, there
			* or not; `inode_fields` of `inode` are taken over too */
	INTENT_INODE,  /* chmod, chown, utimens of `subject` */
	INTENT_REFUSE, /* fs/ has refused it itself: `err` says why, and it is put on record */
};

enum inode_field { INODE_MODE = 1, INODE_UID = 2, INODE_GID = 4, INODE_ATIME = 8, INODE_MTIME = 16 };
/* Takes these fields over. */
void inode_take(struct inode_state *to, unsigned fields, const struct inode_state *from);

/*
 * A request for a change. Whoever makes it fills the first part, keeps it (and what `value`
 * points at) alive until answer() is called, exactly once, in any thread, with 0 or -errno and
 * `err` explaining it. answer() may free it. If the change needs the backend the answer
 * comes when the backend has done it or the bounded wait is over (-ETIMEDOUT: the intent
 * stands and the work goes on), or when a later intent has taken its place (-ECANCELED).
 */
struct intent {
	enum intent_op op;
	struct caller caller;
	struct ref subject, dest;
	char name[NAME_BYTES_MAX + 1], new_name[NAME_BYTES_MAX + 1];
	bool no_replace;	  /* RENAME */
	uint64_t whole;		  /* REMOVE: the volume or attachment that the caller is about to
				   * remove with all that is in it, as far as fs/ can tell; 0 = none */
	bool by_maker;		  /* MAKE: by the process that is making what it is in */
	struct text value;	  /* SET, PUT */
	unsigned inode_fields;	  /* INODE, PUT */
	struct inode_state inode; /* INODE, PUT; mode also for MAKE */
	void (*answer)(struct intent *intent, int result);
	/* Has the caller been interrupted? 0: no; -EINTR: yes; -EAGAIN: by something that ends
	 * nothing, so ask again from time to time. NULL: every interrupt counts. */
	int (*interrupted)(struct intent *intent);
	uint64_t ticket;	  /* unique; for core_interrupt() */

	struct error err;
	struct ref made;	  /* MAKE */

	/* core's own */
	struct mutation mutation;
	struct core *core;
	struct note *notes;
	size_t n_notes, notes_size;
	uint64_t wait_object, wait_generation;
	unsigned wait_ms;
	struct kicked {
		uint64_t dock, volume;
	} *kicks; /* volumes that something is to be done for, when this is committed */
	size_t n_kicks, kicks_size;
	bool poked; /* an interrupt has come */
	int64_t deadline;
	struct intent *next;
	void (*resume)(struct intent *intent, int result); /* instead of answer(): see ask.c */
	uint64_t scope, scope_generation;
	unsigned waited_ms;
};

void core_submit(struct core *core, struct intent *intent);
/* Asks the backend for the live sessions of the attachment `intent->subject`; answered when
 * core_read() shows them. */
void core_query(struct core *core, struct intent *intent);
/* Answers a waiting intent with -EINTR, from another thread, if it is still waiting. */
void core_interrupt(struct core *core, uint64_t ticket);

/* ---- working: what the backend owes, for worker/ ---- */

enum work_type {
	WORK_PROVISION,
	WORK_EXTEND,
	WORK_PURGE,
	WORK_ATTACH,
	WORK_DETACH,
	WORK_FENCE,
};

/* One thing to do, with everything that is needed to do it. Plain data. */
struct work {
	enum work_type type;
	uint64_t object;     /* the volume's or the attachment's number */
	uint64_t volume_number, dock;
	uint64_t generation;
	char pool[NAME_BYTES_MAX + 1];
	struct backend_volume volume; /* .pool points at `pool` */
	struct backend_export want;   /* ATTACH: the export to make; DETACH, FENCE: the one to end */
	bool switches;		      /* ATTACH: the other mode is exported now and must go */
	bool sessions_forbid;	      /* a live session on what goes refuses it (EBUSY) */
};

typedef int work_fn(void *arg, const struct work *work);
/* Everything that is unsettled about a volume, in the order in which it is to be done. */
int core_works(struct core *core, uint64_t volume, work_fn *fn, void *arg);
/* Every attachment of a volume that is attached, as the WORK_ATTACH that keeps it so. */
int core_exports(struct core *core, uint64_t volume, work_fn *fn, void *arg);
/* A volume as its backend sees it. `pool` has room for a name; ret->pool points there. */
int core_volume(struct core *core, uint64_t number, struct backend_volume *ret, char *pool);
/* Every volume of a dock, those being purged too; `id` is text, `busy` if it is unsettled or
 * has attachments that are more than reserved. */
typedef int volume_fn(void *arg, uint64_t volume, const char *id, bool busy);
int core_volumes(struct core *core, uint64_t dock, volume_fn *fn, void *arg);

/*
 * What has come of it: 0 and, for WORK_ATTACH, the connection and the mode that was probed;
 * or -errno. Ignored if the object has moved on to another generation. Waits for the commit,
 * then answers whoever waited. -EBUSY means that a live session forbids it.
 */
int core_settle(struct core *core, const struct work *work, int result,
		const struct backend_connection *connection, enum access_mode seen,
		const struct error *err);
/* It has failed for now and will be tried again: says so in last_error. */
int core_postpone(struct core *core, const struct work *work, const struct error *err);
/* Answers whoever waits for this work, which goes on. */
void core_answer(struct core *core, const struct work *work, int result, const struct error *err);

/* ---- docks: what worker/ finds out about backends ---- */

struct dock_capability {
	const char *dock;
	bool built_in;
	unsigned capabilities; /* enum driver_capability */
	bool serving; /* it is served already, and its status is known */
};
/*
 * Makes the docks and pools of the tree those of the configuration, all of it or, on an error,
 * nothing: those that it no longer has go, or stay as unavailable if they have volumes. The
 * configuration is not used any more after that.
 */
int core_apply_conf(struct core *core, const struct conf *conf,
		    const struct dock_capability *capabilities, struct error *err);
/* It was read again, is bad, and has changed nothing: put on record. */
void core_conf_refused(struct core *core, const struct error *why);
int core_dock_number(struct core *core, const char *name, uint64_t *ret);
int core_dock_status(struct core *core, uint64_t dock, enum dock_status status,
		     const struct error *err);
/* Remembered in memory only. */
void core_pool_usage(struct core *core, uint64_t dock, const char *pool,
		     const struct pool_usage *usage);
/*
 * KICK_SESSIONS: between begin and end, core_sessions_set() for each attachment of the volume
 * that is wanted. Those who ask before a change have an answer then, if they asked before the
 * beginning; or none, if `result` is -errno.
 */
uint64_t core_sessions_begin(struct core *core);
bool core_sessions_wanted(struct core *core, uint64_t volume, uint64_t attachment);
/* A session would refuse what somebody asks for: worth a second look. */
bool core_sessions_matter(struct core *core, uint64_t volume, uint64_t attachment);
void core_sessions_end(struct core *core, uint64_t volume, uint64_t begun, int result);
/* The live sessions of an attachment, one line each, as `sessions` shows them. In memory only.
 * Answers those who asked; with `result` -errno they get that. */
void core_sessions_set(struct core *core, uint64_t attachment, int result, struct text lines);

/* Every record as JSON lines, without secrets, onto `out`. */
int core_dump(struct store *store, int (*line)(void *arg, struct text json), void *arg);

/* Told of each difference: of what, and what about it. Non-zero ends the audit. */
typedef int audit_fn(void *arg, const char *path, const char *what);
/* Do the records agree with each other? Of what is not settled, too. */
int core_audit(struct store *store, audit_fn *fn, void *arg);
/* How the host of an attachment reaches its volume, as it was told. */
int core_connection(struct core *core, uint64_t attachment, struct backend_connection *ret);

#endif
