/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: the rows of which the tree is made. What is in an object's directory, what it means to
 * read, write, list, make and remove it, and the manual, all come from these tables.
 */
#ifndef ATTACHFS_NODE_H
#define ATTACHFS_NODE_H

#include "attachfs/object.h"

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
	NODE_STREAM = 1 << 6,	/* read by offset, not as one value: events */
	NODE_FOLLOWS = 1 << 7,	/* computed from all of the object: as new as that */
	NODE_ELSEWHERE = 1 << 8, /* computed from other records: who changes those stamps it */
	NODE_ACTS = 1 << 9,	/* writing it makes a backend work: a draft's is written last */
	NODE_SCOPED = 1 << 10,	/* names of keys may have colons: extra_specs/ */
	NODE_VITAL = 1 << 11,	/* can be written in a state that is full: it helps to empty it, or
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

/* Docks, pools, what they can do. */
#define NODE_FIXED_WHY "what is in here follows the configuration: change it there and send SIGHUP"

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
	 * change; an error refuses the write. */
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
	bool fixed;	     /* NODE_CHILDREN that users can't add to: NODE_FIXED_WHY */
	const struct link_ops *links;
	const char *help;    /* for the manual */
};

/* One kind of object. Hooks run in a change and may be NULL. */
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
