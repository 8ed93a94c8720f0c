/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tgt driver's own state, and which of its files does what to it. */
#ifndef ATTACHFS_DRIVERS_TGT_H
#define ATTACHFS_DRIVERS_TGT_H

#include "attachfs/driver.h"

#include "drivers.h"
#include "tgt_daemon.h"

#include <pthread.h>

/* Room for PREFIX:UUID.rw within an iSCSI name. */
#define TGT_PREFIX_MAX 128
#define TGT_BUCKETS    1024
#define TGT_LUN	       1
/* A daemon that is there answers within this, however busy; a stopped one never does. */
#define TGT_ANSWER_MS 5000
#define TGT_NOTE_SIZE  (CHAP_USER_MAX + ISCSI_NAME_MAX + 16)

/* Options of a dock's `tgt:` map; see tgt_conf.c. */
struct tgt_conf {
	const char *address; /* of the portal; [v6] in brackets, without them here */
	unsigned port;
	unsigned control_port;
	bool spawn, chap;
	const char *prefix;
	const char *program;
};

/*
 * One daemon. Several are used when attachfs spawns them, because a tgtd's logins grow slow with
 * its targets; shard n has control port and portal port plus n.
 * `incarnation` changes when the daemon has lost its targets; 0: never seen.
 * `slots` guards the order of accounts in the daemon's targets (tgt_account.c) and is held
 * while they are listed. Lock order: backend.life, slots, backend.lock.
 */
struct tgt_shard {
	struct backend *backend;
	int index;
	char socket[108], portal[64];
	pthread_mutex_t slots;
	/* below: backend.lock */
	struct tgt_daemon daemon; /* pid 0: none that we speak to */
	bool known; /* what it has is in the table, or there provably is no daemon */
	uint64_t incarnation;
	bool wanted; /* has had targets: started again when it dies */
	unsigned n_targets;
	unsigned n_guards; /* changes under both locks, so that either is enough to read it */
	struct tgt_seen *seen; /* tgt_since.c */
	size_t n_seen;
	uint64_t seen_incarnation;
	int64_t seen_due; /* ms */
};

/* `user` is the host's CHAP account; empty if the target was bound by somebody else. */
struct tgt_host {
	char *initiator, *user;
};

/*
 * One target: a volume in one mode. It belongs to the caller who works on its volume (calls for
 * one volume never overlap); `next` and `hosts` change under backend.lock, because others walk
 * them. `slot` mirrors the order of accounts in the daemon; it and `doubtful` are under
 * shard.slots, because an adoption corrects them.
 */
struct tgt_target {
	struct tgt_target *next;
	char id[UUID_TEXT_SIZE];
	enum access_mode mode;
	int tid;
	struct tgt_shard *shard;
	uint64_t incarnation; /* of the shard; another one than the shard's: the target is gone */
	bool ready;	      /* the LUN and its attributes are known to be there */
	bool doubtful;	      /* a change of its accounts may or may not have happened */
	struct tgt_host *hosts;
	size_t n_hosts;
	char **slot;
	size_t n_slots;
};

struct backend {
	const struct dock_conf *dock;
	struct tgt_conf conf;
	char socket_base[96]; /* of the daemons' sockets, which append .CONTROLPORT */
	pthread_mutex_t life; /* one thread at a time finds, starts or adopts daemons */
	pthread_mutex_t lock;
	struct tgt_shard shards[TGT_DAEMONS_MAX];
	int n_shards; /* how many may be used */
	uint64_t epoch;
	struct tgt_target *buckets[TGT_BUCKETS];
};

/* One call of the driver, bound to one incarnation of one daemon. */
struct tgt_call {
	struct backend *b;
	struct tgt_shard *shard;
	struct tgt_link link;
	uint64_t incarnation;
	struct error *err;
};

/* tgt_conf.c */
int tgt_conf_read(const struct dock_conf *dock, struct tgt_conf *ret, struct error *err);

/* tgt_shard.c: daemons. */
int tgt_shards_init(struct backend *b, const char *state_dir, struct error *err);
/* Binds `call` to the shard's daemon, which is started if `start` says so. -ECONNREFUSED. */
int tgt_shard_use(struct tgt_call *call, struct backend *b, struct tgt_shard *shard, bool start,
		  struct error *err);
/* Looks at the daemon; notices that it died or was restarted, starts it again, adopts it. */
int tgt_shard_refresh(struct backend *b, struct tgt_shard *shard, bool start, struct error *err);
/* 0 if a target that is not in the table is in no daemon either: of shard `wanted`, -1: of all. */
int tgt_shards_known(struct backend *b, int wanted, struct error *err);
/* Where a new target goes: the wanted shard (-1: any) or the first that has room. */
int tgt_shard_choose(struct backend *b, int wanted, struct tgt_shard **ret, struct error *err);

/*
 * tgt_call.c. One request to the call's daemon; `format` (or NULL) makes the parameters. A
 * daemon that is gone is -EAGAIN.
 */
int tgt_do(struct tgt_call *call, struct tgt_request *request, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int tgt_show(struct tgt_call *call, enum tgt_mode mode, int tid, struct buf *reply);
int tgt_ask(struct tgt_call *call, const struct tgt_request *request, struct buf *reply);

/*
 * A request that is under way. Those that are so at the same time cost one wait instead of
 * several, but the daemon takes them up in any order: what must not come first is begun after
 * the other has ended. Each that was begun must be ended, which tells its result; ending what
 * was never begun is 0.
 */
struct tgt_sent {
	int fd, rc;
};

#define TGT_NOT_SENT ((struct tgt_sent){-1, 0})

void tgt_begin(struct tgt_call *call, struct tgt_sent *sent, struct tgt_request request,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));
int tgt_end(struct tgt_call *call, struct tgt_sent *sent);

/* tgt_table.c: what is known of targets; all take backend.lock themselves. */
struct tgt_target *tgt_table_find(struct backend *b, const char *id, enum access_mode mode);
/* For callers who do not work on that volume: leaves outdated entries to those who do. */
struct tgt_target *tgt_table_peek(struct backend *b, const char *id, enum access_mode mode);
int tgt_draw_tid(void);
/* A new entry, not yet in the daemon, with a tid that was never used. */
struct tgt_target *tgt_table_add(struct backend *b, const char *id, enum access_mode mode,
				 struct tgt_shard *shard, uint64_t incarnation);
void tgt_table_remove(struct backend *b, struct tgt_target *t);
/* For each target that the shard's daemon has now; ends when `fn` returns non-zero. */
int tgt_table_each(struct tgt_shard *shard, int (*fn)(void *arg, struct tgt_target *t), void *arg);
void tgt_table_free(struct backend *b);
struct tgt_host *tgt_host_find(struct tgt_target *t, const char *initiator);
int tgt_host_add(struct backend *b, struct tgt_target *t, const char *initiator,
		 const char *user);
void tgt_host_remove(struct backend *b, struct tgt_target *t, const char *initiator);

/* tgt_export.c: struct driver's members of these names, and what they share with the others. */
int tgt_export(struct backend *b, const struct backend_volume *volume,
	       const struct backend_export *e, struct backend_connection *ret,
	       struct error *err);
int tgt_probe(struct backend *b, const struct backend_volume *volume,
	      const struct backend_export *e, const struct backend_connection *connection,
	      enum access_mode *ret_mode, struct probe **ret_left, struct error *err);
int tgt_unexport(struct backend *b, const struct backend_volume *volume,
		 const struct backend_export *e, struct error *err);
/* Takes the host's name and secret from the target and ends its sessions; proves nothing. */
int tgt_put_out(struct tgt_call *call, struct tgt_target *t, const struct backend_export *e);
/* 0 if the daemon refuses a login as that host to that volume's target of its mode. */
int tgt_login_refused(struct tgt_call *call, const char *id, const struct backend_export *e);
/* The target's entry, or NULL if no daemon has such a target. */
int tgt_find_target(struct backend *b, const char *id, const struct backend_export *e,
		    struct tgt_target **ret, struct error *err);
/* Binds `call` to the target's daemon; what is doubtful about the target is asked for. */
int tgt_use_target(struct tgt_call *call, struct backend *b, struct tgt_target *t,
		   struct error *err);
/* Ends a call on `t`: -EAGAIN and a fresh look if the daemon, or the target in it, was lost.
 * `t` may be gone afterwards. */
int tgt_finish(struct tgt_call *call, struct tgt_target *t, int rc);

/* tgt_fence.c: struct driver's member of this name. */
int tgt_fence(struct backend *b, const struct backend_volume *volume,
	      const struct backend_export *e, struct error *err);

/* tgt_account.c: who may log in by CHAP. An account is made in the daemon ... */
void tgt_account_begin(struct tgt_call *call, const char *user, const char *secret,
		       struct tgt_sent *sent);
int tgt_account_end(struct tgt_call *call, struct tgt_sent *sent);
/* ... and then bound to the target. */
int tgt_account_admit(struct tgt_call *call, struct tgt_target *t, const char *user);
int tgt_account_expel(struct tgt_call *call, struct tgt_target *t, const char *user);
/* Those of a target that is destroyed, so that they do not stay behind in the daemon. */
int tgt_accounts_delete(struct tgt_call *call, struct tgt_target *t);
/* Fills the holes that a crash may have left in any of our targets; shard.slots is held. */
int tgt_guard_heal(struct tgt_call *call, const int *tids, size_t n, char *guard, size_t size);
/*
 * What healing has bound and was not needed goes again, or every start would add a guard. Of two
 * guards at the end one is too many: unbinding the last account leaves no hole. And the newest
 * guard goes when no target has it. shard.slots is held.
 */
int tgt_guard_trim(struct tgt_call *call, struct tgt_target *t);
bool tgt_guard_bound(const struct tgt_target *t, const char *guard);
int tgt_guard_drop(struct tgt_call *call, const char *guard);
bool tgt_is_guard(const char *user);

/* tgt_target.c: targets and their LUNs. */
void tgt_target_name(const struct backend *b, const char *id, enum access_mode mode, char *out,
		     size_t size);
/* The target exists afterwards; a host may be bound to it after tgt_lun_end() only. */
int tgt_target_make(struct tgt_call *call, struct tgt_target *t);
struct tgt_lun_sent {
	struct tgt_sent new, attributes;
};
int tgt_lun_begin(struct tgt_call *call, struct tgt_target *t,
		  const struct backend_volume *volume, struct tgt_lun_sent *sent);
int tgt_lun_end(struct tgt_call *call, struct tgt_target *t, struct tgt_lun_sent *sent);
/* -EBUSY while it has sessions; else it goes with its hosts and every login under way, and so
 * does `t`. */
int tgt_target_destroy(struct tgt_call *call, struct tgt_target *t);
int tgt_bind(struct tgt_call *call, struct tgt_target *t, const char *initiator);
int tgt_unbind(struct tgt_call *call, struct tgt_target *t, const char *initiator);
/* Notes in the target itself whose account `user` is; see tgt_target.c. */
void tgt_note_begin(struct tgt_call *call, struct tgt_target *t, const char *user,
		    const char *initiator, struct tgt_sent *sent);
int tgt_note_end(struct tgt_call *call, struct tgt_sent *sent);
int tgt_unnote(struct tgt_call *call, struct tgt_target *t, const char *user,
	       const char *initiator);
/* Cuts a note in place; false if it is none. */
bool tgt_note_parse(char *name, char **ret_user, char **ret_initiator);

/* tgt_session.c: live connections. */
int tgt_sessions_walk(struct tgt_call *call, struct tgt_target *t, const char *initiator,
		      session_fn *fn, void *arg);
/* Each live connection of the daemon, whoever's it is. */
int tgt_connections_walk(struct tgt_call *call, session_fn *fn, void *arg);
/* Ends the initiator's sessions, and with `strangers` those of names that are not bound, and
 * waits until they are gone. New ones of the initiator are left alone unless `strangers`. */
int tgt_sessions_end(struct tgt_call *call, struct tgt_target *t, const char *initiator,
		     bool strangers);

/* tgt_resize.c: the target's file has another size. */
int tgt_target_resize(struct tgt_call *call, struct tgt_target *t, const char *path);
/* Lets the daemon's connections go on that a process which died has held. */
int tgt_release(struct tgt_call *call);

/* tgt_since.c: since when sessions have been there; tgtd does not tell. */
int64_t tgt_session_since(struct tgt_call *call, unsigned sid);
/* Looks for new ones now and then; called with each check(). */
void tgt_sessions_watch(struct backend *b, struct tgt_shard *shard);
void tgt_sessions_forget(struct tgt_shard *shard);

/* tgt_tidy.c: deletes accounts of attachments that no target has. Nobody else may be working. */
int tgt_accounts_tidy(struct tgt_call *call);

/* tgt_logins.c: the numbers (unsigned) of all the daemon's sessions. */
int tgt_session_numbers(struct tgt_call *call, struct buf *ret);
/* All connections to the daemon's portals, into an empty `ret`. */
struct tcp_sockets;
int tgt_sockets_list(struct tgt_call *call, struct tcp_sockets *ret);
/* Returns 0 when every login that began before the call has ended or become a
 * session. */
int tgt_logins_settle(struct tgt_call *call);

/* tgt_adopt.c: what a running daemon has, into the table. */
int tgt_adopt(struct tgt_call *call);
/* The numbers of all its targets; to be freed. */
int tgt_adopt_tids(struct tgt_call *call, int **ret, size_t *ret_n);
/* After "exists already": 1 and the number that the target has in the daemon, or 0 and a new
 * number if only the number was taken. */
int tgt_adopt_tid(struct tgt_call *call, struct tgt_target *t);

#endif
