/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pools that are folders of files, one per volume, named by the volume's id. */
#ifndef ATTACHFS_DRIVERS_FILEPOOL_H
#define ATTACHFS_DRIVERS_FILEPOOL_H

#include "attachfs/driver.h"

/*
 * A pool folder belongs to the effective user with mode 0700: it is made if missing and refused
 * if it is looser, because whoever can write into it can read and replace every volume. Files
 * have mode 0600 and are only ever opened below their folder, through no symbolic link.
 * No state is kept between calls, so any thread may call any function.
 */

/* The pool's configuration by its name, or NULL. */
const struct pool_conf *filepool_find(const struct dock_conf *dock, const char *name);

/* Every pool has a `path` that is absolute and free of what a target daemon would split at. */
int filepool_check_config(const struct dock_conf *dock, struct error *err);

/* Makes the folders that are missing; -EPERM for a loose one. */
int filepool_open(const struct dock_conf *dock, struct error *err);

int filepool_usage(const struct pool_conf *pool, struct pool_usage *ret, struct error *err);

/* On disk (file and folder synced) when it returns 0. A file of that size is success. */
int filepool_provision(const struct pool_conf *pool, const struct backend_volume *volume,
		       struct error *err);

/* Grows the file; -EINVAL if it is larger already. */
int filepool_extend(const struct pool_conf *pool, const struct backend_volume *volume,
		    struct error *err);

/* Removes the file; one that is gone is success. */
int filepool_purge(const struct pool_conf *pool, const struct backend_volume *volume,
		   struct error *err);

/* POOL/ID into `out`; -ENOENT if there is no such regular file. */
int filepool_path(const struct pool_conf *pool, const char *id, char *out, size_t size,
		  struct error *err);

/* Each file in the pool's folder, with its name and size. */
int filepool_list(const struct pool_conf *pool, backing_fn *fn, void *arg, struct error *err);

#endif
