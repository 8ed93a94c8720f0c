/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects of the tree and the tables of their attributes: an attribute is one row. */
#ifndef ATTACHFS_OBJECT_H
#define ATTACHFS_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attachfs/buf.h"
#include "attachfs/driver.h"
#include "attachfs/error.h"
#include "attachfs/limits.h"
#include "attachfs/store.h"
#include "attachfs/text.h"

/* Numbers are on disk: append only. */
enum kind {
	KIND_ROOT = 0,
	KIND_DOCK = 1,
	KIND_POOL = 2,
	KIND_HOST = 3,
	KIND_VOLUME = 4,
	KIND_ATTACHMENT = 5,
	KIND_KEY = 6, /* a file in metadata/, extra_specs/ or capabilities/ */
	KIND_PROFILE = 7,
	KIND_ELIGIBLE = 8, /* what a pool is to a profile: computed for the pair, never stored */
	KINDS
};

/* Every object and every node of it has a place in the tree: (object, node). */
struct ref {
	uint64_t object;
	uint8_t node;
};
#define ROOT_OBJECT 0
/* Node numbers are on disk and in inode numbers: 1 is the object's own directory. */
#define NODE_SELF 1
#define NODES_MAX 48
#define SELF(number) ((struct ref){number, NODE_SELF})

/*
 * Pools and profiles are numbered apart from all else, and few, so that a pair of them has a
 * number too: what a pool is to a profile is a file of which nothing need be stored. In an
 * inode number there is room for 40 bits of an object's number, and for all of a pair's.
 */
#define PAIRED_BITS	   26
#define PAIRED_OBJECT	   (LAST_OBJECT + 1)
#define PAIR_OBJECT	   (1ULL << 53)
#define PAIRED_SERIAL(n)   ((n) & ((1ULL << PAIRED_BITS) - 1))
#define PAIR(first, second) \
	(PAIR_OBJECT | PAIRED_SERIAL(first) << PAIRED_BITS | PAIRED_SERIAL(second))
#define PAIR_FIRST(pair)   (PAIRED_OBJECT | PAIRED_SERIAL((pair) >> PAIRED_BITS))
#define PAIR_SECOND(pair)  (PAIRED_OBJECT | PAIRED_SERIAL(pair))

/* What stat(2) shows and chmod, chown and utimens store. Times are ns since 1970. */
struct inode_state {
	uint32_t mode; /* permission bits only */
	uint32_t uid, gid;
	int64_t atime, mtime;
};

/* What is stored of one node beyond its default. */
enum attr_state_flag { ATTR_HAS_RAW = 1, ATTR_HAS_OWNER = 2, ATTR_HAS_TIMES = 4 };
struct attr_state {
	uint8_t flags;
	struct text raw; /* the bytes that were written, if ATTR_HAS_RAW */
	struct inode_state inode;
};

/*
 * What all kinds begin with. A loaded object borrows its texts from the transaction (or
 * from the change that copied it); it owns nothing, so there is nothing to free.
 */
struct object {
	uint64_t number;
	enum kind kind;
	uint64_t parent;    /* number of the object in whose container it is */
	uint8_t container;  /* the container's node there; 0 = in none: being purged */
	char name[NAME_BYTES_MAX + 1];
	uint8_t id[16];	    /* UUID */
	struct inode_state inode;
	int64_t created, updated; /* ns since 1970 */
	struct text last_error;
	struct attr_state attr[NODES_MAX];
};

struct root {
	struct object o;
};

/* Statuses are on disk: append only. */
enum dock_status { DOCK_UNAVAILABLE = 0, DOCK_AVAILABLE = 1 };

struct dock {
	struct object o;
	struct text description, type, driver, endpoint, node_id, storage_type;
	uint64_t status; /* enum dock_status, of the backend */
	uint64_t multiattach;
	uint64_t capabilities; /* enum driver_capability */
	uint64_t configured;   /* 0: it vanished from the configuration */
};

struct pool {
	struct object o;
	struct text storage_type, availability_zone;
	uint64_t multiattach;
	uint64_t thin;
	uint64_t total_bytes;	 /* as configured; 0: what the file system has */
	uint64_t reserved_percentage;
	uint64_t over_subscription; /* thousandths */
	uint64_t provisioned;	 /* sum of the sizes of its volumes, bytes */
	uint64_t configured;
	struct text extras;	 /* its capabilities: see capability_find() */
};

struct profile {
	struct object o;
	struct text description, storage_type;
};

struct eligible {
	struct object o;
	uint64_t profile, pool; /* numbers */
};

/* On disk: append only. */
enum host_fence { HOST_NOT_FENCED = 0, HOST_FENCING = 1, HOST_FENCED = 2 };

struct host {
	struct object o;
	struct text initiator, ip, os_type, platform, description;
	uint64_t fenced;	/* wanted, while `fenced` is written */
	uint64_t fence;		/* enum host_fence */
	struct text fence_raw;	/* raw `fenced` to show once it is true */
	uint64_t fence_pending; /* how many of its attachments are not yet provably out */
	uint64_t generation;	/* rises with every fence */
};

/* What is stored; what is shown is computed with the attachments (volume_status()). */
enum volume_status {
	VOLUME_NEW = 0,
	VOLUME_CREATING = 1,
	VOLUME_AVAILABLE = 2,
	VOLUME_EXTENDING = 3,
	VOLUME_DELETING = 4,
	VOLUME_MOVING = 5, /* being made in another pool: see volume_move() */
};

struct volume {
	struct object o;
	uint64_t size_bytes; /* wanted: parsed from `size` */
	uint64_t multiattach, max_writers, is_protected;
	struct text profile_name, pool_wish, zone_wish, description, group_id;
	uint64_t profile;	    /* the profile's number, 0 = none */
	uint64_t multiattach_given; /* it is true because the profile says so */
	uint64_t touched;	    /* a host was let at it: its bytes may matter */
	struct text backing;	    /* UUID that backends know it by; empty: its id */
	uint64_t left;		    /* while it moves: the volume that it was, by number */
	uint64_t status;     /* enum volume_status */
	uint64_t pool;	     /* number of the pool it is placed in, 0 = none */
	uint64_t real_bytes; /* what the backend has made of it */
	struct text size_before; /* raw `size` to go back to if growing fails */
	uint64_t generation;
	struct text draft_name; /* to go back to if making it fails */
};

enum attachment_status {
	ATTACHMENT_RESERVED = 0,
	ATTACHMENT_ATTACHING = 1,
	ATTACHMENT_ATTACHED = 2,
	ATTACHMENT_DETACHING = 3,
	ATTACHMENT_ERROR = 4,
	ATTACHMENT_FENCING = 5,
	ATTACHMENT_FENCED = 6,
	ATTACHMENT_DRAFT = 7, /* it holds nothing; see core/draft.c */
};

/* What becomes of an attachment once its host is provably out. On disk: append only. */
enum after_fence {
	AFTER_STAY = 0, /* it is fenced, until that is taken back */
	AFTER_REMOVE = 1,
	AFTER_FAILOVER = 2, /* `successor` is attached in its place */
};

struct attachment {
	struct object o; /* named by its host; its parent is the volume */
	uint64_t mode;	 /* wanted: enum access_mode, parsed from `mode` */
	struct text initiator, ip, os_type, platform, mountpoint;
	uint64_t status;	  /* enum attachment_status */
	uint64_t generation;	  /* rises with every intent */
	uint64_t effective_mode;  /* what the probe saw; 0 while nothing is exported */
	uint64_t attached_at;	  /* ns since 1970, 0 = never */
	struct text mode_before;  /* raw `mode` to go back to if a switch is refused */
	struct text host_initiator; /* lower case, as exported */
	struct text chap_user, chap_secret;
	struct text driver_volume_type, target_iqn, target_portal;
	uint64_t target_lun, target_discovered, discard, chap;
	uint64_t shard;		  /* the driver's, plus 1; 0 = not chosen yet */
	uint64_t fenced;	  /* wanted, while `fenced` is written; what is shown is the status */
	uint64_t fence_own;	  /* 1: it was fenced itself, not only with its host */
	uint64_t fenced_by;	  /* number of the host that it was fenced with, 0 = none */
	struct text fence_raw;	  /* raw `fenced` to show once it is true */
	uint64_t after_fence;	  /* enum after_fence */
	struct text successor;	  /* name of the host, AFTER_FAILOVER */
	struct text draft_name;	  /* to go back to if attaching it fails */
	uint64_t when_available;  /* it was drafted with its volume: attached when that is there, and
				   * whoever waits for the volume waits for this too */
};

struct key {
	struct object o;
	struct text value;
};

/* Any object, for the stack. */
union any {
	struct object o;
	struct root root;
	struct dock dock;
	struct pool pool;
	struct host host;
	struct volume volume;
	struct attachment attachment;
	struct key key;
	struct profile profile;
	struct eligible eligible;
};

/* How a value is read and written; fields are uint64_t, or struct text if `is_text`. */
struct value_type {
	const char *name;     /* for the manual */
	const char *expected; /* for error messages: "expected …" */
	bool is_text;
	bool refuses_empty;   /* else an empty value means the default */
	int (*parse)(struct text trimmed, void *field); /* -EINVAL, -ERANGE … */
	void (*format)(const void *field, struct buf *out);
};
extern const struct value_type value_line, value_bool, value_flag, value_number, value_size, value_bytes,
	value_mode, value_access, value_iqn, value_ip, value_time, value_uuid, value_name,
	value_pool, value_thousandths;

enum node_type {
	NODE_NONE = 0,
	NODE_ATTR,     /* a file with a value */
	NODE_GROUP,    /* a directory of attributes: connection/ */
	NODE_CHILDREN, /* a directory of objects, or of keys */
	NODE_LINKS,    /* a directory of symlinks to objects */
	NODE_LINK,     /* how this object appears in such a directory; not in its own */
	NODE_FIELD,    /* stored, without a file */
};

enum node_flag {
	NODE_SETTABLE = 1 << 0, /* by users; what was written is stored as written */
	NODE_STORED = 1 << 1,	/* set by attachfs and stored as the field */
	NODE_SECRET = 1 << 2,	/* 0600, and in no dump */
	NODE_VOLATILE = 1 << 3, /* changes by itself: never cached by the kernel */
	NODE_REPEAT = 1 << 4,	/* writing an equal value calls apply() all the same */
	NODE_QUERY = 1 << 5,	/* the backend is asked when it is opened */
	NODE_FOLLOWS = 1 << 7,	/* computed from all of the object: as new as that */
	NODE_ELSEWHERE = 1 << 10, /* computed from other records: who changes those stamps it */
	NODE_STREAM = 1 << 6,	/* read by offset, not as one value: events */
	NODE_ACTS = 1 << 9,	/* writing it makes a backend work: a draft's is written last */
	NODE_SCOPED = 1 << 8,	/* names of keys may have colons: extra_specs/ */
	NODE_VITAL = 1 << 10,	/* can be written in a state that is full: it helps to empty it, or
				 * keeps a host out */
};

struct change;
struct intent;
struct view;

/* How a NODE_LINKS directory finds its entries. `from` and the cookies are object numbers. */
typedef int link_entry_fn(void *arg, const char *name, struct ref link);
struct link_ops {
	int (*lookup)(struct tx *tx, const struct object *o, struct text name, struct ref *ret);
	int (*list)(struct tx *tx, const struct object *o, uint64_t from, link_entry_fn *fn,
		    void *arg);
	bool files; /* its entries are no symlinks but read-only files */
};

struct node {
	const char *name;
	enum node_type type;
	uint8_t group;	     /* the NODE_GROUP it is in; 0 = the object's own directory */
	unsigned flags;
	const struct value_type *value;
	size_t offset;	     /* of the field in the kind's struct */
	uint64_t initial;    /* of a number that was never set */
	uint32_t states;     /* 1 << status in which it may be written; 0 = in any */
	/* The rules of writing it: `now` holds the new value, `before` the old. In the
	 * writer; an error refuses the write. */
	int (*apply)(struct change *c, union any *now, const union any *before);
	/* What follows in other objects, once the new value is in the record. */
	int (*then)(struct change *c, uint64_t object);
	/* Is what was written in force? If not, it is shown as if it had never been written, so
	 * that tools that compare before they write do write it. NULL: it always is. */
	bool (*in_force)(const union any *object);
	/* A computed value, with its newline. */
	int (*render)(struct view *view, const union any *object, struct buf *out);
	/* When that which it takes from other records, if nothing is written here, has changed
	 * last, in ns since 1970; 0: never. NULL: it takes nothing from there, or is stamped. */
	int64_t (*since)(struct view *view, const union any *object, uint8_t node);
	int (*readlink)(struct tx *tx, const union any *object, struct buf *out);
	enum kind child;     /* of NODE_CHILDREN */
	bool fixed;	     /* NODE_CHILDREN that users can't add to: docks, pools */
	const struct link_ops *links;
	const char *help;    /* for the manual */
};

/* One kind of object. Hooks run in the writer and may be NULL. */
struct kind_ops {
	const char *name;
	size_t size;
	const struct node *nodes; /* indexed by node number */
	unsigned n_nodes;
	uint64_t (*status)(const union any *object); /* for node.states; NULL: always 0 */
	const char *const *status_names;
	uint32_t directory_mode; /* default permissions of the object's directory */
	bool paired;		 /* numbered from PAIRED_OBJECT on */
	bool computed;		 /* it has no record */
	int (*create)(struct change *c, union any *object);
	int (*remove)(struct change *c, union any *object);
	int (*rename)(struct change *c, union any *object, const char *name);
	/* Instead of rename(), for those to whom it means more: all of the intent is theirs. */
	int (*move)(struct change *c, const struct intent *i, union any *object);
};
extern const struct kind_ops *const kinds[KINDS];

/* The row of a node, or NULL if the kind has none of that number. */
const struct node *node_of(enum kind kind, uint8_t number);

/* -ENOENT if it is not there, -EIO if it is damaged. */
int object_get(struct tx *tx, uint64_t number, union any *ret);
/* The same for an object that must be of this kind (-ENOENT otherwise). */
int object_get_kind(struct tx *tx, uint64_t number, enum kind kind, union any *ret);
/* By name in a container; -ENOENT. */
int object_find(struct tx *tx, struct ref container, struct text name, uint64_t *ret);
/* Only what stat(2) needs, without decoding the rest. */
struct object_head {
	enum kind kind;
	uint64_t parent;
	uint8_t container;
	struct text name; /* borrowed as a loaded object's texts are */
	bool is_draft;	  /* by its name */
	struct inode_state inode;
	int64_t created, updated;
};
int object_get_head(struct tx *tx, uint64_t number, struct object_head *ret);

/* Calls `fn` for each child of a container, in the order of numbers, from `from` on. */
typedef int child_fn(void *arg, uint64_t number, struct text name);
int object_children(struct tx *tx, struct ref container, uint64_t from, child_fn *fn, void *arg);

/* Calls `fn` for each object of a kind that is `paired`, in the order of numbers. They stand side by
 * side in the state, so thousands are read quickly. What a call returns other than 0 ends it. */
typedef int paired_fn(void *arg, const union any *object);
int object_each_paired(struct tx *tx, enum kind kind, paired_fn *fn, void *arg);

/* Encodes into `out`; decodes borrowed bytes. -EBADMSG for what no attachfs ever wrote. */
int object_encode(const union any *object, struct buf *out);
int object_decode(uint64_t number, struct text record, union any *ret);
int object_decode_head(struct text record, struct object_head *ret);

/* The numbers of the rows. On disk: append only. */
enum root_node {
	ROOT_VERSION = 2,
	ROOT_EVENTS,
	ROOT_METRICS,
	ROOT_DOCKS,
	ROOT_HOSTS,
	ROOT_VOLUMES,
	ROOT_ATTACHMENTS,
	ROOT_FENCED, /* no row: the index of fenced hosts */
	ROOT_PROFILES,
	ROOT_POOLS, /* no row: the index of all pools, "DOCK:POOL" each */
};
enum dock_node {
	DOCK_ID = 2,
	DOCK_NAME,
	DOCK_DESCRIPTION,
	DOCK_TYPE,
	DOCK_DRIVER,
	DOCK_ENDPOINT,
	DOCK_NODE_ID,
	DOCK_STORAGE_TYPE,
	DOCK_STATUS,
	DOCK_LAST_ERROR,
	DOCK_MULTIATTACH,
	DOCK_METADATA,
	DOCK_METADATA_MULTIATTACH,
	DOCK_INFO,
	DOCK_POOLS,
	DOCK_CAPABILITIES,
	DOCK_CONFIGURED,
};
enum pool_node {
	POOL_ID = 2,
	POOL_NAME,
	POOL_STATUS,
	POOL_STORAGE_TYPE,
	POOL_ZONE,
	POOL_MULTIATTACH,
	POOL_TOTAL,
	POOL_FREE,
	POOL_PROVISIONED,
	POOL_RESERVED_PERCENTAGE,
	POOL_OVER_SUBSCRIPTION,
	POOL_CAPABILITIES,
	POOL_VOLUMES,
	POOL_THIN,
	POOL_TOTAL_CONFIGURED,
	POOL_CONFIGURED,
	POOL_EXTRAS,
};
enum host_node {
	HOST_INITIATOR = 2,
	HOST_IP,
	HOST_OS_TYPE,
	HOST_PLATFORM,
	HOST_DESCRIPTION,
	HOST_ID,
	HOST_CREATED_AT,
	HOST_UPDATED_AT,
	HOST_LAST_ERROR,
	HOST_ATTACHMENTS,
	HOST_FENCE,
	HOST_FENCE_STATE,
	HOST_FENCE_RAW,
	HOST_FENCE_PENDING,
	HOST_GENERATION,
};
enum volume_node {
	VOLUME_SIZE = 2,
	VOLUME_MULTIATTACH,
	VOLUME_POOL,
	VOLUME_ZONE,
	VOLUME_DESCRIPTION,
	VOLUME_GROUP_ID,
	VOLUME_MAX_WRITERS,
	VOLUME_PROTECTED,
	VOLUME_METADATA,
	VOLUME_ID,
	VOLUME_NAME,
	VOLUME_STATUS,
	VOLUME_ATTACH_STATUS,
	VOLUME_DOCK,
	VOLUME_SIZE_BYTES,
	VOLUME_TENANT_ID,
	VOLUME_USER_ID,
	VOLUME_CREATED_AT,
	VOLUME_UPDATED_AT,
	VOLUME_LAST_ERROR,
	VOLUME_INFO,
	VOLUME_ATTACHMENTS,
	VOLUME_STORED_STATUS,
	VOLUME_PLACED,
	VOLUME_REAL_BYTES,
	VOLUME_SIZE_BEFORE,
	VOLUME_GENERATION,
	VOLUME_LINK,
	VOLUME_PROFILE,
	VOLUME_PROFILE_NUMBER,
	VOLUME_MULTIATTACH_GIVEN,
	VOLUME_TOUCHED,
	VOLUME_BACKING,
	VOLUME_LEFT,
	VOLUME_DRAFT_NAME,
	VOLUME_NODES
};
enum attachment_node {
	ATTACHMENT_MODE = 2,
	ATTACHMENT_INITIATOR,
	ATTACHMENT_IP,
	ATTACHMENT_OS_TYPE,
	ATTACHMENT_PLATFORM,
	ATTACHMENT_MOUNTPOINT,
	ATTACHMENT_METADATA,
	ATTACHMENT_ID,
	ATTACHMENT_HOST,
	ATTACHMENT_STATUS,
	ATTACHMENT_EFFECTIVE_MODE,
	ATTACHMENT_ACCESS_PROTOCOL,
	ATTACHMENT_GENERATION,
	ATTACHMENT_SESSIONS,
	ATTACHMENT_ATTACHED_AT,
	ATTACHMENT_CREATED_AT,
	ATTACHMENT_UPDATED_AT,
	ATTACHMENT_LAST_ERROR,
	ATTACHMENT_CONNECTION,
	ATTACHMENT_DRIVER_VOLUME_TYPE,
	ATTACHMENT_TARGET_DISCOVERED,
	ATTACHMENT_TARGET_IQN,
	ATTACHMENT_TARGET_PORTAL,
	ATTACHMENT_TARGET_LUN,
	ATTACHMENT_AUTH_METHOD,
	ATTACHMENT_AUTH_USERNAME,
	ATTACHMENT_AUTH_PASSWORD,
	ATTACHMENT_DISCARD,
	ATTACHMENT_INFO,
	ATTACHMENT_MODE_BEFORE,
	ATTACHMENT_HOST_INITIATOR,
	ATTACHMENT_SHARD,
	ATTACHMENT_LINK_BY_HOST,
	ATTACHMENT_LINK_FLAT,
	ATTACHMENT_FENCE,
	ATTACHMENT_FENCE_OWN,
	ATTACHMENT_FENCE_RAW,
	ATTACHMENT_AFTER_FENCE,
	ATTACHMENT_FENCED_BY,
	ATTACHMENT_SUCCESSOR,
	ATTACHMENT_DRAFT_NAME,
	ATTACHMENT_WHEN_AVAILABLE,
	ATTACHMENT_NODES
};
enum key_node { KEY_VALUE = 2 };
enum profile_node {
	PROFILE_DESCRIPTION = 2,
	PROFILE_STORAGE_TYPE,
	PROFILE_ID,
	PROFILE_CREATED_AT,
	PROFILE_UPDATED_AT,
	PROFILE_LAST_ERROR,
	PROFILE_EXTRA_SPECS,
	PROFILE_ELIGIBLE,
	PROFILE_VOLUMES, /* no row: the index of the volumes that have this profile */
};
enum eligible_node { ELIGIBLE_VALUE = 2 };

#endif
