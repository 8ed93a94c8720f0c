/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Temporary files, directories and symlinks beside attributes: in memory, few, and small. */
#ifndef FS_TEMPS_H
#define FS_TEMPS_H

#include "attachfs/core.h"

/*
 * What tools put beside a file that they replace. Nothing of it is state: it goes with the
 * directory that it is in and with the process. Bounded by TEMP_BYTES_MAX for each,
 * TEMPS_PER_DIRECTORY_MAX, TEMPS_MAX and TEMPS_BYTES_MAX: -ENOSPC beyond.
 *
 * A temp is found by the inode number of its directory and its name, and by its own inode
 * number as long as it has a name or somebody holds it open (one that has taken over the
 * number of an attribute: as long as it has a name). All functions are for any
 * thread. temps_find(), temps_get() and temps_make() give a reference that temps_put() ends.
 */
struct temps;
struct temp;

enum temp_type { TEMP_FILE, TEMP_DIR, TEMP_LINK };

/* Inode numbers of temps have this bit, those of the tree's own nodes do not. */
#define INO_TEMP (1ULL << 62)

struct temp_stat {
	enum temp_type type;
	uint64_t ino, dir; /* `dir` 0: it has no name any more */
	struct inode_state inode;
	int64_t ctime;
	uint64_t size;
	bool has_times; /* utimens() has set them */
};

int temps_open(struct temps **ret);
void temps_close(struct temps *t);

/* Is there any at all? And one that has taken over the inode number of an attribute? */
bool temps_any(struct temps *t);
bool temps_any_alias(struct temps *t);

/*
 * A new one; `content` is that of a file or the target of a symlink. `ino` is 0, or the inode
 * number of a node whose name is moved here: the kernel knows it by that from now on.
 * -EEXIST, -ENOSPC, -ENAMETOOLONG, -ENOENT (the directory is a temp that is gone).
 */
int temps_make(struct temps *t, uint64_t dir, const char *name, enum temp_type type,
	       const struct inode_state *inode, struct text content, uint64_t ino,
	       struct temp **ret);
/* NULL if there is none. */
struct temp *temps_find(struct temps *t, uint64_t dir, const char *name);
struct temp *temps_get(struct temps *t, uint64_t ino);
void temps_put(struct temps *t, struct temp *temp);

void temps_stat(struct temps *t, struct temp *temp, struct temp_stat *ret);
/* The directory of the tree in which it stands, maybe with others between; 0: it has no name. */
uint64_t temps_top(struct temps *t, uint64_t ino);
/* Adds what is there to `out`. */
void temps_read(struct temps *t, struct temp *temp, uint64_t off, size_t size, struct buf *out);
int temps_write(struct temps *t, struct temp *temp, uint64_t off, bool append, struct text data);
int temps_truncate(struct temps *t, struct temp *temp, uint64_t size);
void temps_set(struct temps *t, struct temp *temp, unsigned inode_fields,
	       const struct inode_state *inode);

/* -ENOTEMPTY for a directory that is not empty. */
int temps_remove(struct temps *t, struct temp *temp);
/* To another name, maybe in another directory. What has that name gives way, unless that is a
 * directory or `no_replace` is set (-EEXIST). -EINVAL into itself. */
int temps_move(struct temps *t, struct temp *temp, uint64_t dir, const char *name,
	       bool no_replace);
/* Takes away all that is in this directory; returns how many had a name. */
unsigned temps_drop(struct temps *t, uint64_t dir);
/* The same for all directories for which `gone` says so. */
void temps_sweep(struct temps *t, bool (*gone)(void *arg, uint64_t dir), void *arg);

/* Those of a directory in the order of their making; cookies are above INO_TEMP. A result of `fn`
 * other than 0 ends it and is returned. `fn` must not call back. */
typedef int temp_fn(void *arg, const char *name, const struct temp_stat *st, uint64_t cookie);
int temps_list(struct temps *t, uint64_t dir, uint64_t after, temp_fn *fn, void *arg);

/* names.c: is this a name that tools give such files (or, `directory`, such directories) beside
 * attributes of `kind`? With KIND_KEY: beside the keys of a free-form directory. */
bool temp_name(enum kind kind, const char *name, bool directory);

#endif
