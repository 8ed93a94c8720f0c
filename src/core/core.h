/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by core's own files: the state of a running core and the context of one change. */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "attachfs/cleanup.h"
#include "attachfs/core.h"

/* Requests that wait for the backend; see waiters.c. */
struct waiters {
	pthread_mutex_t lock; /* protects all of it */
	pthread_cond_t wake;
	struct intent *first; /* in no order; there are few */
	int64_t sleeps_until; /* the thread, unless it is woken */
	pthread_t thread;
	bool running, stopping;
};

/* What backends said of themselves; not state, so only in memory. */
struct observed;

struct core {
	struct store *store;
	atomic_uint attach_timeout_ms, detach_timeout_ms; /* as the configuration has them now */
	pthread_rwlock_t hooks_lock; /* held while a hook is called, so that none outlives */
	struct core_hooks hooks;     /* those it belongs to */
	struct waiters waiters;
	struct observed *observed;
	_Atomic uint64_t asked; /* how many have asked for sessions; see ask.c */
};

/*
 * One change in the making: lives while apply() runs, one at a time. Texts that it
 * borrows from records are copied into `copies`, because a write moves LMDB's pages.
 */
struct change {
	struct core *core;
	struct tx *tx;
	struct intent *intent; /* collects notes, waits and errors; never NULL */
	struct error *err;
	int64_t now;
	bool drafts; /* attachments are drafted with their volume */
	struct copy *copies;
	struct touched *touched; /* volumes; see status.c */
	size_t n_touched, touched_size;
};

/* change.c: the only ways to alter records. */
int change_load(struct change *c, uint64_t number, enum kind kind, union any *ret);
int change_find(struct change *c, struct ref container, struct text name, enum kind kind,
		union any *ret);
/* A new object of `kind` for `container`, with a number, an id and an owner; change_add() puts
 * it there. */
int change_new(struct change *c, enum kind kind, struct ref container, const char *name,
	       uint32_t mode, union any *ret);
int change_add(struct change *c, union any *object);
/* Writes it back and notes what the kernel must forget; change_save() also sets `updated`. */
int change_store(struct change *c, union any *object);
int change_save(struct change *c, union any *object);
/* The same if no value of it has changed but by change_touch(): it is not compared with before. */
int change_save_times(struct change *c, union any *object);
void change_set_error(struct change *c, union any *object, struct text why);
/* Out of its container (name and order), keeping the record. */
int change_unlink(struct change *c, union any *object);
int change_link(struct change *c, union any *object, struct ref container, const char *name);
/* Unlinked and gone, with its keys. */
int change_delete(struct change *c, union any *object);
/* The value of an attribute that users could have written themselves. NULL: never set. */
int change_set_raw(struct change *c, union any *object, uint8_t node, const char *raw);
/* A copy that lives as long as the change. */
struct text change_keep(struct change *c, struct text t);

/* times.c: the node's value is new. change_store() finds out of which that is so, but for those
 * that are computed from other records. */
void change_touch(struct change *c, union any *object, uint8_t node);
int change_stamp(struct change *c, union any *object);
/* What is computed from all of the object is as new as `updated`, which has changed. */
void change_stamp_followers(union any *object);
/* The node is about to keep what it has shown from elsewhere. */
void change_carry(struct change *c, union any *object, uint8_t node);
/* When it was given to the node last, 0 = never. */
int64_t stamp_of(const union any *object, uint8_t node);
/* `own` mtime of the node, or that of what it takes from elsewhere if this has changed later. */
int64_t shown_since(struct view *v, const union any *object, uint8_t node, int64_t own);

/* trail.c: what a change leaves beside its records. */
int change_event(struct change *c, const char *event, struct ref ref, const char *detail);
void change_note(struct change *c, const struct note *note);
void change_note_attrs(struct change *c, enum kind kind, uint64_t number);
/* Values of other objects that are computed from this one. */
int change_note_dependents(struct change *c, const union any *object);
/* The owner has changed: attachments tell of their volume's. */
int change_note_owner(struct change *c, const union any *object);
/* The request is answered when `object` has settled in `generation`. */
void change_wait(struct change *c, uint64_t object, uint64_t generation, unsigned ms);
/* The worker of `dock` is told that there is work for the volume, as soon as this is committed. */
int change_kick(struct change *c, uint64_t dock, uint64_t volume);

static inline struct intent *intent_of(struct mutation *m)
{
	return (struct intent *)((char *)m - offsetof(struct intent, mutation));
}

/* change.c: calls `apply` with a change for `intent` in the transaction that writes. */
int change_run(struct intent *intent, struct tx *tx,
	       int (*apply)(struct change *c, struct intent *intent));

/* Runs `apply` as a mutation of attachfs itself and waits until it is durable. */
int core_run(struct core *core, int (*apply)(struct change *c, void *arg), void *arg,
	     struct error *err);
/* committed() is called as soon as it is, before anybody else can write, which may be earlier than
 * this returns. */
int core_run_then(struct core *core, int (*apply)(struct change *c, void *arg),
		  void (*committed)(void *arg), void *arg, struct error *err);

/* intent.c */
int apply_intent(struct change *c, struct intent *i);

/* core.c: the hooks, if there are any */
void core_tell(struct core *core, const struct note *notes, size_t n);
/* Frees the list. */
void core_kick_all(struct core *core, struct kicked *kicks, size_t n);
/* False if nobody works. */
bool core_kick(struct core *core, uint64_t dock, uint64_t volume, enum kick what);
bool core_is_worked(struct core *core);

/* draft.c */
struct draft_progress {
	struct tx *tx;
	bool busy;	  /* an attachment that was drafted with the volume is not settled yet */
	struct error err; /* of the first that failed */
};
bool object_is_draft(const union any *object);
/* As check_name(), but may begin with a dot. */
int draft_check_name(const struct node *container, const char *name, struct error *err);
/* Says whether a new object is a draft, and makes it one. */
int draft_begin(struct change *c, const struct intent *i, union any *object, bool *ret);
int draft_rename(struct change *c, union any *object, const char *name);
/* The volume is being created: so are the attachments that were drafted with it. */
int draft_attachments(struct change *c, uint64_t volume);
/* It is there: they are attached. */
int draft_volume_available(struct change *c, uint64_t volume);
/* It could not be created, and is a draft again; `object` is to be saved. */
int draft_again_volume(struct change *c, union any *object);
int draft_again_attachment(struct change *c, union any *object);
int draft_progress(struct tx *tx, uint64_t volume, struct draft_progress *ret);

/* set.c */
/* Checks and takes over a value, and applies the rules of writing it; nothing is saved. */
int set_value(struct change *c, union any *now, uint8_t node, struct text raw);
int set_attribute(struct change *c, struct ref ref, struct text value);
int set_inode(struct change *c, struct ref ref, unsigned fields, const struct inode_state *inode);

/* tree.c */
/* What a node shows before anybody has changed it; `node` NULL: the object's directory. */
void inode_default(const struct node *node, const struct object *o, struct inode_state *ret);
/* Has it a name in its object's directory? Links have theirs in other places. */
bool node_is_shown(const struct node *node);
/* Where an object of this kind stands in its container: as a directory or as a key's file. */
struct ref ref_of_child(enum kind kind, uint64_t number);
/* The value as core_read() shows it, of an object that need not be in the records yet. */
int node_show(struct view *v, const union any *object, uint8_t node, struct buf *out);

/* find.c: keys of the store's tables, in `room`: an object's number, and of TABLE_CHILDREN */
#define CHILD_PREFIX 10 /* (parent, container, which of the two follows) */
struct child_key {
	uint8_t bytes[CHILD_PREFIX + NAME_BYTES_MAX];
};
struct text number_key(uint8_t room[8], uint64_t number);
struct text child_by_name(struct child_key *room, struct ref container, struct text name);
struct text child_by_number(struct child_key *room, struct ref container, uint64_t number);

/* The bytes of a record, which the transaction remembers until it writes; -ENOENT */
int object_record(struct tx *tx, uint64_t number, struct text *ret);

/* object.c, value.c */
void *value_field(const struct node *node, union any *object);
/* `text` in lower case, for names that compare so. */
void text_lower(char *out, size_t size, struct text t);

/* iscsi_name.c: is it an iSCSI name? In lower case already. */
bool iscsi_name_ok(struct text low);

struct failover;

/* waiters.c */
int waiters_start(struct core *core);
void waiters_add(struct core *core, struct intent *intent);
void waiters_settled(struct core *core, uint64_t object, uint64_t generation, int result,
		     const struct error *err);
/* Those who wait for a failover go on to wait for the successor, or are answered. */
void waiters_follow(struct core *core, uint64_t object, uint64_t generation,
		    const struct failover *f);
unsigned waiters_count(struct core *core);

void waiters_told(struct core *core, uint64_t object, uint64_t generation, int result);
bool waiters_stopping(struct core *core);
/* Does anybody wait under this number, for `either` or `or_`? */
bool waiters_want(struct core *core, uint64_t object, uint64_t either, uint64_t or_);

/* ask.c */
/* True: it is submitted later, or refused. */
bool ask_first(struct core *core, struct intent *intent);
/* Was it found without sessions just now? */
bool ask_is_fresh(struct core *core, const struct attachment *a);

/* observed.c */
/* Queries wait under a number that no object has. */
#define QUERY_OF(number) ((number) | 1ULL << 63)
/* The attachment had no session a moment ago, before its `generation` began; or the volume (0)
 * with all of its attachments. */
void observed_set_asked(struct core *core, uint64_t number, uint64_t generation);
bool observed_asked(struct core *core, uint64_t number, uint64_t generation, int64_t ms);
void observed_forget(struct core *core, uint64_t number);
int observed_open(struct observed **ret);
void observed_close(struct observed *observed);
bool observed_usage(struct core *core, uint64_t pool, struct pool_usage *ret);
void observed_sessions(struct core *core, uint64_t attachment, struct buf *out);

/* status.c: what is computed from a volume's attachments */
struct tally {
	unsigned drafts; /* they count nowhere else */
	unsigned total, reserved, attaching, attached, detaching, error;
	unsigned writers; /* rw, and more than reserved */
	char holder[NAME_BYTES_MAX + 1]; /* the first one, for messages */
};
/* An attachment is about to change, and with it what is computed from the attachments. */
int volume_touch(struct change *c, const struct volume *v);
int volume_touch_number(struct change *c, uint64_t volume);
/* The same if the volume's own status changes. */
int volume_stamp(struct change *c, const struct volume *before, const struct volume *now);
/* At the end of a change: of the volumes that were touched. */
int volumes_touched(struct change *c);
int volume_tally(struct tx *tx, uint64_t volume, struct tally *ret);
const char *volume_status_text(const struct volume *v, const struct tally *t);
int volume_render_status(struct view *view, const union any *object, struct buf *out);
int volume_render_attach_status(struct view *view, const union any *object, struct buf *out);

/* place.c: pools and the room in them */
int place_volume(struct change *c, const struct volume *v, uint64_t *ret_pool);
/* Bytes that can still be provisioned, and that could be if it were empty. -EAGAIN while
 * the backend has not told its capacity. */
int pool_room(struct core *core, const struct pool *pool, uint64_t *ret, uint64_t *ret_limit);
/* Adds to what is provisioned in a pool, or takes from it. */
int pool_charge(struct change *c, uint64_t pool, uint64_t bytes);
int pool_discharge(struct change *c, uint64_t pool, uint64_t bytes);
/* The pool by its number, and the dock that it is in. */
int pool_get(struct tx *tx, uint64_t number, union any *ret_pool, union any *ret_dock);
/* Does "POOL" or "DOCK:POOL" name this pool? */
bool pool_matches(struct text wish, const char *dock, const char *pool);

/* apply.c: an object of the configuration by its name, or a new one (`fresh`), and back */
int apply_load(struct change *c, enum kind kind, struct ref container, const char *name,
	       union any *ret, bool *ret_fresh);
int apply_save(struct change *c, union any *object, bool fresh);

/* retire.c: what the configuration no longer has; `conf` NULL: nothing of the dock */
int retire_pools(struct change *c, uint64_t dock, const struct dock_conf *conf);
int retire_docks(struct change *c, const struct conf *conf);

/* capability.c: pool.extras has "NAME=VALUE\n" for each, the elements of lists parted by
 * SPEC_SEPARATOR (spec.h) */
void capabilities_pack(const struct conf_node *extras, struct buf *out);
bool capability_find(const struct pool *pool, const char *name, struct text *ret);
/* The files of capabilities/. */
int capabilities_apply(struct change *c, uint64_t pool, const struct conf_node *extras);

/* profile.c: what a profile asks for, and which volumes have it */
int profile_find(struct change *c, struct text name, uint64_t *ret);
int profile_link(struct change *c, uint64_t profile, const struct volume *v);
int profile_unlink(struct change *c, uint64_t profile, const struct volume *v);

/* eligible.c: pairs of a profile and a pool */
extern const struct link_ops links_eligible;
int eligible_get(struct tx *tx, uint64_t pair, union any *ret);
int eligible_get_head(struct tx *tx, uint64_t pair, struct object_head *ret);
/* "DOCK:POOL" */
int eligible_name(struct tx *tx, const struct eligible *e, struct buf *out);

/* links.c: symlinks and the keys they are found by */
extern const struct link_ops links_of_host, links_of_pool, links_flat;
int link_readlink_attachment(struct tx *tx, const union any *object, struct buf *out);
int link_readlink_by_host(struct tx *tx, const union any *object, struct buf *out);
int link_readlink_volume(struct tx *tx, const union any *object, struct buf *out);
/* An index stands where the children of a container do. */
int index_add(struct change *c, struct ref index, uint64_t number, struct text name);
int index_remove(struct change *c, struct ref index, uint64_t number);
int link_add_attachment(struct change *c, const struct attachment *a);
int link_remove_attachment(struct change *c, const struct attachment *a);
int link_add_pool(struct change *c, const struct volume *v);
int link_remove_pool(struct change *c, const struct volume *v);
/* Volumes that are being purged: they are in no directory any more. */
int link_add_purge(struct change *c, const struct volume *v);
int link_remove_purge(struct change *c, const struct volume *v);
/* Hosts that are fenced or being fenced: few, so that who attaches can look at them all. */
int link_add_fenced(struct change *c, const struct host *h);
int link_remove_fenced(struct change *c, const struct host *h);

/* work.c: does the backend owe anything of it? */
bool object_is_unsettled(const union any *object);

/* volume.c, volume_rows.c */
extern const struct node volume_nodes[VOLUME_NODES];
int volume_set_size(struct change *c, union any *now, const union any *before);
int volume_set_multiattach(struct change *c, union any *now, const union any *before);
int volume_set_profile(struct change *c, union any *now, const union any *before);
/* Takes over what the profile that is named there says now. */
int volume_take_profile(struct change *c, union any *volume);
/* It is in another pool now than `before` (0: in none): what shows that has changed. */
int volume_entered(struct change *c, union any *volume, uint64_t before);
/* The next generation of the volume is work for the worker, and the request waits for it. */
int volume_begin_work(struct change *c, struct volume *v, enum volume_status status);

/* move.c: a volume that nobody has used yet is made anew in another pool */
int volume_move(struct change *c, union any *now, const union any *before);
/* It is there: what it leaves behind is to be purged. */
int volume_moved(struct change *c, union any *volume);
/* It could not be made there, and is what it was. */
int volume_move_failed(struct change *c, union any *volume);
/* What it may have left behind goes too. */
int volume_purge_left(struct change *c, struct volume *v);
/* The id that its backend knows it by. */
void volume_backing(const struct volume *v, char ret[UUID_TEXT_SIZE]);
int volume_set_max_writers(struct change *c, union any *now, const union any *before);

/* attachment.c, attachment_rows.c */
extern const char *const attachment_status_names[];
extern const struct node attachment_nodes[ATTACHMENT_NODES];
int attachment_set_mode(struct change *c, union any *now, const union any *before);
int attachment_attach(struct change *c, struct attachment *a);
int attachment_detached(struct change *c, union any *attachment);
bool attachment_is_out(const struct attachment *a);
/* May it be attached, if attachment `gone` (0 = none) were not there? Nothing is stored. */
int attachment_check(struct change *c, struct attachment *a, uint64_t gone);
/* Its host is to be put out, whatever it does; the request waits for that. */
int attachment_begin_fence(struct change *c, struct attachment *a, unsigned timeout_ms);

/* fence.c */
int attachment_set_fenced(struct change *c, union any *now, const union any *before);
/* The host is provably out: what is to follow. The attachment may be gone after it. */
int attachment_fenced(struct change *c, union any *attachment, struct failover *ret);

/* failover.c */
/* What has become of it, for those who wait in `mv`. */
struct failover {
	uint64_t successor, generation; /* 0: there is nothing more to wait for */
	int result;
	struct error err;
};
/* mv attachments/a attachments/b */
int attachment_move(struct change *c, const struct intent *i, union any *attachment);
/* Its host is out: it goes, and its successor is attached. */
int attachment_succeed(struct change *c, union any *attachment, struct failover *ret);

/* host_fence.c */
int host_set_fenced(struct change *c, union any *now, const union any *before);
/* -EPERM if the host that it is attached to is fenced: by its name, or by its initiator. */
int host_check_fenced(struct change *c, const struct attachment *a);
/* One of the attachments that were fenced with a host is provably out. */
int host_member_fenced(struct change *c, uint64_t host);
/* That of this volume is not yet: says why in the host's last_error. */
int host_member_postponed(struct change *c, uint64_t host, uint64_t volume, struct text why);
void attachment_drop_connection(struct attachment *a);

/* key.c: a key of `before` or now, NULL = none; what tells of all keys of their object is new. */
int key_changed(struct change *c, const struct key *before, const struct key *now);

/* info.c */
int dock_info(struct view *view, const union any *object, struct buf *out);
int volume_info(struct view *view, const union any *object, struct buf *out);
int attachment_info(struct view *view, const union any *object, struct buf *out);

/* Rows that every kind with a record has, for its table. */
#define ROW_ID(kind_)                                                                          \
	{                                                                                      \
		.name = "id", .type = NODE_ATTR, .value = &value_uuid,                         \
		.offset = offsetof(struct object, id), .help = "UUID of the " kind_            \
						      ", never used twice"                     \
	}
#define ROW_CREATED                                                                            \
	{                                                                                      \
		.name = "created_at", .type = NODE_ATTR, .value = &value_time,                 \
		.offset = offsetof(struct object, created), .help = "when it was made"         \
	}
#define ROW_UPDATED                                                                            \
	{                                                                                      \
		.name = "updated_at", .type = NODE_ATTR, .value = &value_time,                 \
		.flags = NODE_FOLLOWS, .offset = offsetof(struct object, updated),             \
		.help = "when it last changed"                                                 \
	}
#define ROW_LAST_ERROR                                                                         \
	{                                                                                      \
		.name = "last_error", .type = NODE_ATTR, .flags = NODE_STORED,                 \
		.value = &value_line, .offset = offsetof(struct object, last_error),           \
		.help = "why the last change was refused or failed; empty when it did not"     \
	}

extern const struct kind_ops root_kind, dock_kind, pool_kind, host_kind, volume_kind,
	attachment_kind, key_kind, profile_kind, eligible_kind;

#endif
