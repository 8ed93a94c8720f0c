/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What temps are made of, and the two hash tables that they are found by. */
#ifndef FS_TEMP_TABLE_H
#define FS_TEMP_TABLE_H

#include "temps.h"

#include <pthread.h>
#include <stdatomic.h>

#define TEMP_BUCKETS 1024 /* a power of two */

struct temp {
	struct temp *next_by_ino, *next_in_dir;
	uint64_t ino, dir, cookie;
	enum temp_type type;
	struct inode_state inode;
	int64_t ctime;
	bool has_times;
	unsigned users, children;
	char *name; /* NULL: it has none any more, and is in no directory */
	struct buf data;
};

struct temps {
	pthread_mutex_t lock; /* protects all of it, and what is in each temp */
	struct temp *by_ino[TEMP_BUCKETS], *by_dir[TEMP_BUCKETS];
	uint64_t last; /* number of the one made last */
	uint64_t bytes;
	atomic_uint n, n_aliases;
};

/* All that follows is called with the lock held, but temp_free(). */

unsigned temp_bucket(uint64_t ino);
struct temp *temp_by_ino(struct temps *t, uint64_t ino);
struct temp *temp_by_name(struct temps *t, uint64_t dir, const char *name);

/* May something be added there? -ENOENT, -ENOSPC. */
int temp_check_room(struct temps *t, uint64_t dir);
/* Puts a new one, whose name is set, into both tables, with one user. On error it is in none. */
int temp_add(struct temps *t, uint64_t dir, struct temp *temp, struct text content);
int temp_resize(struct temps *t, struct temp *temp, size_t size);

/* `name` is the temp's from now on. */
void temp_enter(struct temps *t, struct temp *temp, uint64_t dir, char *name);
void temp_leave(struct temps *t, struct temp *temp);
/* It stays as long as somebody uses it. */
void temp_forget(struct temps *t, struct temp *temp);
void temp_free_if_unused(struct temps *t, struct temp *temp);
/* Forgets all that is in a directory; returns how many had a name. */
unsigned temp_drop(struct temps *t, uint64_t dir);

/* Of one that is in no table. */
void temp_free(struct temp *temp);

#endif
