/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects of the tree, as they are stored. How each is shown: node.h. */
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

/*
 * Calls `fn` for each object of a kind, in the order of numbers, from `from` on. What a call returns
 * other than 0 ends it. Those of kinds that are `paired` stand side by side in the state, so thousands
 * are read quickly; for any other kind all records are looked at, about 5 million a second.
 */
typedef int object_fn(void *arg, const union any *object);
int object_each(struct tx *tx, enum kind kind, uint64_t from, object_fn *fn, void *arg);

/* Encodes into `out`; decodes borrowed bytes. -EBADMSG for what no attachfs ever wrote. */
int object_encode(const union any *object, struct buf *out);
int object_decode(uint64_t number, struct text record, union any *ret);
int object_decode_head(struct text record, struct object_head *ret);

#endif
