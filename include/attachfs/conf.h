/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration: a bounded YAML reader and the settings it yields (design section 5). */
#ifndef ATTACHFS_CONF_H
#define ATTACHFS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attachfs/error.h"
#include "attachfs/text.h"

/*
 * A parsed YAML file is a tree of nodes. Scalars are text as written (plain or quoted, always
 * NUL-terminated); maps and lists hold children in the order of the file. Nodes belong to
 * the file's root and go with conf_free(). Read-only once parsed, so any thread may read.
 */
enum conf_type { CONF_SCALAR, CONF_MAP, CONF_LIST };

struct conf_node {
	enum conf_type type;
	const char *file;	      /* as it was named to conf_parse_file() */
	unsigned line, column;	      /* of the value, both from 1 */
	const char *key;	      /* in a map, else NULL */
	unsigned key_line, key_column;
	char *value;		      /* of a scalar, else NULL */
	bool quoted;		      /* a scalar in quotes (or a | or > block) is text, never null,
				       * true or a number */
	struct conf_node *child, *next;
};

/* Depth, size and node count are bounded; anchors, aliases, tags, duplicate keys, several
 * documents and NUL bytes are refused. Errors read FILE:LINE:COLUMN: … (columns count
 * characters) or FILE: … when the file cannot be read. An empty file is an empty map; the
 * root may also be a list or a scalar. A key is one line of 1 to 255 bytes. -EINVAL for bad
 * YAML or what is no regular file, -errno from reading the file, -ENOMEM. */
int conf_parse_file(const char *path, struct conf_node **ret, struct error *err);
int conf_parse_text(const char *name, struct text text, struct conf_node **ret, struct error *err);
void conf_free(struct conf_node *root);

/* The child of a map by its key, or NULL. `map` may be NULL, or no map. */
const struct conf_node *conf_get(const struct conf_node *map, const char *key);
#define conf_each(node, parent)                                                                \
	for (const struct conf_node *node = (parent) ? (parent)->child : NULL; node;           \
	     node = node->next)

/* Typed reads. A missing key leaves *ret as it was and returns 0; a key with a value of
 * another type is -EINVAL with "FILE:LINE:COLUMN: KEY: expected …, not …" in `err`. A key
 * with nothing, ~ or null behind it counts as missing. Strings: one line of UTF-8 of at most
 * VALUE_BYTES_MAX bytes, any plain scalar included. Booleans: true|false|yes|no|on|off in
 * any case. Numbers: decimal digits, at most `max`; decimals may have a point and at most 15
 * digits, no exponent. */
int conf_string(const struct conf_node *map, const char *key, const char **ret, struct error *err);
int conf_bool(const struct conf_node *map, const char *key, bool *ret, struct error *err);
int conf_number(const struct conf_node *map, const char *key, uint64_t min, uint64_t max,
		uint64_t *ret, struct error *err);
int conf_decimal(const struct conf_node *map, const char *key, double min, double max, double *ret,
		 struct error *err);
/* -EINVAL unless missing or a map; *ret is NULL if missing. */
int conf_map(const struct conf_node *map, const char *key, const struct conf_node **ret,
	     struct error *err);

/* -EINVAL for the first key of `map` (which may be NULL) that is not in the NULL-terminated
 * `keys`: for a driver's own section, where a key that nobody reads is a mistake. */
int conf_only(const struct conf_node *map, const char *const *keys, struct error *err);

/* -EINVAL with "FILE:LINE:COLUMN: " before the text; `node` tells the place. */
int conf_fail(const struct conf_node *node, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* One pool of a dock. Strings belong to the configuration. */
struct pool_conf {
	const char *name;
	const char *storage_type;      /* default "block" */
	const char *availability_zone; /* default "default" */
	const char *path;	       /* the folder of sparse files, absolute; NULL if none is named */
	uint64_t total_bytes;	       /* totalCapacity is in GiB, at most 16 PiB in all; 0 = what the
					* path's file system has */
	bool multiattach;	       /* wished; the driver may be able to do less */
	bool thin;		       /* extras.dataStorage.provisioningPolicy; Thin by default */
	unsigned reserved_percentage;  /* 0 … 99, default 0 */
	double over_subscription;      /* maxOverSubscriptionRatio, thin only; 1 … 1000, default 20 */
	/* A map or NULL. At most KEYS_PER_DIRECTORY_MAX leaves; each is one line, and a list's
	 * scalars together fit VALUE_BYTES_MAX. Dotted names that are no valid names, and what
	 * is no scalar in a list, were warned of and are to be skipped. */
	const struct conf_node *extras;
	const struct conf_node *node;  /* the pool's own map: drivers read further keys from it */
};

/* One backend file. */
struct dock_conf {
	const char *name;	 /* default: the file's name without .yaml */
	const char *description;
	const char *driver;	 /* default: the file's base name (OpenSDS names backends so) */
	const char *type;	 /* "provisioner" */
	const char *storage_type; /* "block" */
	const char *node_id;	 /* default: the machine's host name */
	const char *endpoint;	 /* for display; default "" */
	bool multiattach;	 /* dock default for its pools; default false */
	const struct conf_node *root; /* the whole file: drivers read their own section */
	struct pool_conf *pools;
	size_t n_pools;
};

/* Everything attachfs was told. Immutable once loaded. */
struct conf {
	const char *file;	    /* the main file's absolute path: to load it again */
	const char *state;	    /* absolute path of the state folder */
	const char *docks_dir;	    /* absolute path */
	uint64_t map_size;	    /* mapSize in bytes, whole 4 KiB pages; 16 MiB … 1 TiB, default 1 GiB */
	unsigned attach_timeout_ms; /* attachTimeout (seconds, 0.1 … 3600), default 30 s: mode, size */
	unsigned detach_timeout_ms; /* detachTimeout (seconds, 0.1 … 3600), default 5 s: rmdir */
	struct dock_conf *docks;    /* sorted by name; names are unique */
	size_t n_docks;
	void *private_;		    /* what conf_load() owns */
};

/*
 * Reads the main file and every *.yaml (and *.yml) of its docks folder, in the order of
 * their names; hidden files are not read. A relative docks folder is beside the main file,
 * or beside the link by which that was named. Unknown keys are warnings, passed to `warn`
 * one line each (NULL: dropped); everything else that is wrong is the first error, -EINVAL
 * (-errno when a file cannot be read), and nothing is returned. The section that is named
 * like the dock's driver is not looked into: it is the driver's to check.
 */
typedef void conf_warn_fn(void *arg, const char *line);
int conf_load(const char *path, conf_warn_fn *warn, void *arg, struct conf **ret, struct error *err);
/* What is one owner more has to be unloaded once more. Any thread. */
struct conf *conf_hold(const struct conf *conf);
void conf_unload(struct conf *conf);

/* Do both describe the same backend, as far as a driver is concerned? What they say of it to
 * people and to placement may differ. */
bool dock_conf_same_backend(const struct dock_conf *a, const struct dock_conf *b);

#endif
