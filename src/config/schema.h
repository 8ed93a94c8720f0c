/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the keys of one map become the fields of one struct: a key is one row of a table. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "attachfs/conf.h"

/*
 * A row: `read` checks the value of `key` in `map` and stores it at `to`, the field at
 * `offset`; a key that is missing or null leaves the field as it was. `min` and `max`
 * bound numbers, in the unit of the file.
 */
struct setting;
typedef int setting_fn(const struct setting *s, const struct conf_node *map, void *to,
		       struct error *err);

struct setting {
	const char *key;
	setting_fn *read;
	size_t offset; /* SETTING_UNUSED: checked, stored nowhere */
	double min, max;
};
#define SETTING_UNUSED ((size_t)-1)
/* Parts of a row's initialiser. */
#define SETTING(key_, read_) .key = key_, .read = read_
#define RANGE(min_, max_)    .min = min_, .max = max_

setting_fn setting_line;     /* const char *: one line of text */
setting_fn setting_name;     /* const char *: a valid name of an object */
setting_fn setting_folder;   /* const char *: a path, relative or absolute, not empty */
setting_fn setting_absolute; /* const char *: an absolute path */
setting_fn setting_bool;     /* bool */
setting_fn setting_percent;  /* unsigned */
setting_fn setting_gib;	     /* uint64_t bytes, whole GiB in the file */
setting_fn setting_bytes;    /* uint64_t, plain or with K, M, G or T; whole pages */
setting_fn setting_seconds;  /* unsigned milliseconds, decimal seconds in the file */
setting_fn setting_ratio;    /* double */
setting_fn setting_map;	     /* const struct conf_node *, a map */

/* Where warnings go while one configuration is loaded. */
struct warnings {
	conf_warn_fn *fn;
	void *arg;
};

/* "FILE:LINE:COLUMN: WHAT KEY, ignored", at the node's key if it has one. `similar`: the
 * setting that may have been meant, or NULL. */
void warn_at(const struct warnings *warnings, const struct conf_node *node, const char *what,
	     const struct setting *similar);

/*
 * Reads every key of `map` into `target` by the rows of `settings`, in the order of the
 * file. A key without a row is a warning, except `section` (may be NULL), which is left
 * to a driver.
 */
int settings_read(const struct conf_node *map, const struct setting *settings, size_t n,
		  const char *section, const struct warnings *warnings, void *target,
		  struct error *err);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
bool name_is_valid(const char *name);
#define NAME_RULE "1 to 63 of A-Z a-z 0-9 . _ - beginning with a letter or digit"

/*
 * Reads one dock file. `stem` is the file's name without its suffix and `node_id` the
 * machine's name: they are borrowed, as defaults. `dock` is zeroed by the caller, who calls
 * dock_conf_clear() whether this succeeds or not.
 */
int dock_conf_read(struct dock_conf *dock, const char *path, const char *stem,
		   const char *node_id, const struct warnings *warnings, struct error *err);
void dock_conf_clear(struct dock_conf *dock);

/* Where the dock got its name: the value of `name`, or the file itself. */
const struct conf_node *dock_conf_place(const struct dock_conf *dock);

/* Checks what conf.h promises of pool_conf.extras. */
int extras_check(const struct conf_node *extras, const struct warnings *warnings,
		 struct error *err);

#endif
