/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Temporary files, directories and symlinks: two hash tables under one lock. */
#include "temps.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"

#define BUCKETS 1024 /* a power of two */

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
	struct temp *by_ino[BUCKETS], *by_dir[BUCKETS];
	uint64_t last; /* number of the one made last */
	uint64_t bytes;
	atomic_uint n, n_aliases;
};

int temps_open(struct temps **ret)
{
	struct temps *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

static void temp_free(struct temp *temp)
{
	buf_free(&temp->data);
	free(temp->name);
	free(temp);
}

void temps_close(struct temps *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct temp *temp = t->by_ino[i], *next; temp; temp = next) {
			next = temp->next_by_ino;
			temp_free(temp);
		}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

bool temps_any(struct temps *t)
{
	return atomic_load(&t->n) != 0;
}

bool temps_any_alias(struct temps *t)
{
	return atomic_load(&t->n_aliases) != 0;
}

/* ---- the tables; everything from here to the next line is called with the lock held ---- */

static unsigned bucket_of(uint64_t ino)
{
	return (unsigned)(ino * 0x9e3779b97f4a7c15ULL >> 32) % BUCKETS;
}

static bool is_alias(const struct temp *temp)
{
	return !(temp->ino & INO_TEMP);
}

/* Once it has lost its name, a number that was an attribute's is the attribute's again. */
static struct temp *by_ino(struct temps *t, uint64_t ino)
{
	struct temp *temp = t->by_ino[bucket_of(ino)];

	while (temp && (temp->ino != ino || (is_alias(temp) && !temp->name)))
		temp = temp->next_by_ino;
	return temp;
}

static struct temp *by_name(struct temps *t, uint64_t dir, const char *name)
{
	struct temp *temp = t->by_dir[bucket_of(dir)];

	while (temp && (temp->dir != dir || strcmp(temp->name, name)))
		temp = temp->next_in_dir;
	return temp;
}

static unsigned count_in(struct temps *t, uint64_t dir)
{
	unsigned n = 0;

	for (struct temp *temp = t->by_dir[bucket_of(dir)]; temp; temp = temp->next_in_dir)
		n += temp->dir == dir;
	return n;
}

static void add_to_dir(struct temps *t, struct temp *temp, uint64_t dir, char *name)
{
	struct temp **bucket = &t->by_dir[bucket_of(dir)], *parent = by_ino(t, dir);

	temp->dir = dir;
	temp->name = name;
	temp->cookie = INO_TEMP | ++t->last;
	/* At the end, so that a bucket is in the order of cookies. */
	while (*bucket)
		bucket = &(*bucket)->next_in_dir;
	temp->next_in_dir = NULL;
	*bucket = temp;
	if (parent)
		parent->children++;
}

static void remove_from_dir(struct temps *t, struct temp *temp)
{
	struct temp **link = &t->by_dir[bucket_of(temp->dir)], *parent = by_ino(t, temp->dir);

	while (*link != temp)
		link = &(*link)->next_in_dir;
	*link = temp->next_in_dir;
	if (parent)
		parent->children--;
	free(steal_pointer(&temp->name));
	temp->dir = 0;
}

static void free_if_unused(struct temps *t, struct temp *temp)
{
	struct temp **link = &t->by_ino[bucket_of(temp->ino)];

	if (temp->name || temp->users)
		return;
	while (*link != temp)
		link = &(*link)->next_by_ino;
	*link = temp->next_by_ino;
	t->bytes -= temp->data.len;
	t->n--;
	if (is_alias(temp))
		t->n_aliases--;
	temp_free(temp);
}

static void take_name_away(struct temps *t, struct temp *temp)
{
	remove_from_dir(t, temp);
	free_if_unused(t, temp);
}

static struct temp *first_in(struct temps *t, uint64_t dir)
{
	struct temp *temp = t->by_dir[bucket_of(dir)];

	while (temp && temp->dir != dir)
		temp = temp->next_in_dir;
	return temp;
}

/* Depth first; directories in directories are bounded by TEMPS_MAX. */
static unsigned drop(struct temps *t, uint64_t dir)
{
	struct temp *temp;
	unsigned n = 0;

	while ((temp = first_in(t, dir))) {
		while (temp->children)
			temp = first_in(t, temp->ino);
		take_name_away(t, temp);
		n++;
	}
	return n;
}

/* May something be added there? */
static int check_room(struct temps *t, uint64_t dir)
{
	const struct temp *parent = by_ino(t, dir);

	if (parent ? parent->type != TEMP_DIR || !parent->name : dir & INO_TEMP)
		return -ENOENT;
	return count_in(t, dir) < TEMPS_PER_DIRECTORY_MAX ? 0 : -ENOSPC;
}

static int resize(struct temps *t, struct temp *temp, size_t size)
{
	size_t old = temp->data.len;

	if (size > TEMP_BYTES_MAX || t->bytes - old + size > TEMPS_BYTES_MAX)
		return -ENOSPC;
	while (temp->data.len < size && !temp->data.failed) {
		static const char zeros[256];
		size_t n = size - temp->data.len;

		buf_add(&temp->data, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
	}
	if (temp->data.failed || size < old) {
		temp->data.failed = false;
		temp->data.len = size < old ? size : old;
	}
	t->bytes += temp->data.len - old;
	return temp->data.len == size ? 0 : -ENOMEM;
}

static void touch(struct temp *temp)
{
	temp->ctime = temp->inode.mtime = time_now();
	temp->has_times = false;
}

/* ---- what others call ---- */

static int make(struct temps *t, uint64_t dir, struct temp *temp, struct text content)
{
	char *name = temp->name;
	int rc = check_room(t, dir);

	temp->name = NULL;
	if (!rc && t->n >= TEMPS_MAX)
		rc = -ENOSPC;
	if (!rc && (by_name(t, dir, name) || (temp->ino && by_ino(t, temp->ino))))
		rc = -EEXIST;
	if (!rc)
		rc = resize(t, temp, content.n);
	if (rc) {
		t->bytes -= temp->data.len;
		free(name);
		return rc;
	}
	if (content.n)
		memcpy(temp->data.data, content.p, content.n);
	if (!temp->ino)
		temp->ino = INO_TEMP | ++t->last;
	temp->next_by_ino = t->by_ino[bucket_of(temp->ino)];
	t->by_ino[bucket_of(temp->ino)] = temp;
	t->n++;
	if (is_alias(temp))
		t->n_aliases++;
	add_to_dir(t, temp, dir, name);
	temp->users = 1;
	return 0;
}

int temps_make(struct temps *t, uint64_t dir, const char *name, enum temp_type type,
	       const struct inode_state *inode, struct text content, uint64_t ino,
	       struct temp **ret)
{
	struct temp *temp;
	int rc;

	if (strlen(name) > TEMP_NAME_MAX)
		return -ENAMETOOLONG;
	temp = calloc(1, sizeof(*temp));
	if (!temp || !(temp->name = strdup(name))) {
		free(temp);
		return -ENOMEM;
	}
	temp->type = type;
	temp->ino = ino;
	temp->inode = *inode;
	temp->ctime = time_now();
	pthread_mutex_lock(&t->lock);
	rc = make(t, dir, temp, content);
	pthread_mutex_unlock(&t->lock);
	if (rc)
		temp_free(temp);
	else
		*ret = temp;
	return rc;
}

struct temp *temps_find(struct temps *t, uint64_t dir, const char *name)
{
	struct temp *temp;

	if (!temps_any(t))
		return NULL;
	pthread_mutex_lock(&t->lock);
	temp = by_name(t, dir, name);
	if (temp)
		temp->users++;
	pthread_mutex_unlock(&t->lock);
	return temp;
}

struct temp *temps_get(struct temps *t, uint64_t ino)
{
	struct temp *temp;

	if (ino & INO_TEMP ? !temps_any(t) : !temps_any_alias(t))
		return NULL;
	pthread_mutex_lock(&t->lock);
	temp = by_ino(t, ino);
	if (temp)
		temp->users++;
	pthread_mutex_unlock(&t->lock);
	return temp;
}

void temps_put(struct temps *t, struct temp *temp)
{
	if (!temp)
		return;
	pthread_mutex_lock(&t->lock);
	temp->users--;
	free_if_unused(t, temp);
	pthread_mutex_unlock(&t->lock);
}

static struct temp_stat stat_of(const struct temp *temp)
{
	return (struct temp_stat){
		.type = temp->type,
		.ino = temp->ino,
		.dir = temp->dir,
		.inode = temp->inode,
		.ctime = temp->ctime,
		.size = temp->data.len,
		.has_times = temp->has_times,
	};
}

void temps_stat(struct temps *t, struct temp *temp, struct temp_stat *ret)
{
	pthread_mutex_lock(&t->lock);
	*ret = stat_of(temp);
	pthread_mutex_unlock(&t->lock);
}

uint64_t temps_top(struct temps *t, uint64_t ino)
{
	pthread_mutex_lock(&t->lock);
	for (const struct temp *temp; (temp = by_ino(t, ino));)
		ino = temp->dir;
	pthread_mutex_unlock(&t->lock);
	return ino;
}

void temps_read(struct temps *t, struct temp *temp, uint64_t off, size_t size, struct buf *out)
{
	pthread_mutex_lock(&t->lock);
	if (off < temp->data.len)
		buf_add(out, temp->data.data + off,
			size < temp->data.len - off ? size : temp->data.len - off);
	pthread_mutex_unlock(&t->lock);
}

int temps_write(struct temps *t, struct temp *temp, uint64_t off, bool append, struct text data)
{
	uint64_t end;
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (append)
		off = temp->data.len;
	end = off + data.n;
	if (end < off || end > TEMP_BYTES_MAX)
		rc = -ENOSPC;
	else if (end > temp->data.len)
		rc = resize(t, temp, end);
	if (!rc && data.n) {
		memcpy(temp->data.data + off, data.p, data.n);
		touch(temp);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int temps_truncate(struct temps *t, struct temp *temp, uint64_t size)
{
	int rc = -ENOSPC;

	pthread_mutex_lock(&t->lock);
	if (size <= TEMP_BYTES_MAX)
		rc = resize(t, temp, size);
	if (!rc)
		touch(temp);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void temps_set(struct temps *t, struct temp *temp, unsigned fields,
	       const struct inode_state *inode)
{
	pthread_mutex_lock(&t->lock);
	inode_take(&temp->inode, fields, inode);
	if (fields & (INODE_ATIME | INODE_MTIME))
		temp->has_times = true;
	temp->ctime = time_now();
	pthread_mutex_unlock(&t->lock);
}

int temps_remove(struct temps *t, struct temp *temp)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (!temp->name)
		rc = -ENOENT;
	else if (temp->children)
		rc = -ENOTEMPTY;
	else
		remove_from_dir(t, temp);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

/* Is `dir` this one, or somewhere below it? */
static bool is_below(struct temps *t, uint64_t dir, const struct temp *temp)
{
	for (const struct temp *d = by_ino(t, dir); d; d = by_ino(t, d->dir))
		if (d == temp)
			return true;
	return false;
}

static int check_move(struct temps *t, const struct temp *temp, uint64_t dir,
		      const struct temp *taken, bool no_replace)
{
	if (!temp->name)
		return -ENOENT;
	if (is_below(t, dir, temp))
		return -EINVAL;
	if (!taken)
		return dir == temp->dir ? 0 : check_room(t, dir);
	if (no_replace)
		return -EEXIST;
	if (temp->type == TEMP_DIR)
		return taken->type != TEMP_DIR ? -ENOTDIR : taken->children ? -ENOTEMPTY : 0;
	return taken->type == TEMP_DIR ? -EISDIR : 0;
}

int temps_move(struct temps *t, struct temp *temp, uint64_t dir, const char *name,
	       bool no_replace)
{
	char *copy = strdup(name);
	struct temp *taken;
	int rc;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&t->lock);
	taken = by_name(t, dir, name);
	rc = strlen(name) > TEMP_NAME_MAX ? -ENAMETOOLONG
	     : taken == temp		  ? 0
					  : check_move(t, temp, dir, taken, no_replace);
	if (!rc && taken != temp) {
		if (taken)
			take_name_away(t, taken);
		remove_from_dir(t, temp);
		add_to_dir(t, temp, dir, steal_pointer(&copy));
		temp->ctime = time_now();
	}
	pthread_mutex_unlock(&t->lock);
	free(copy);
	return rc;
}

unsigned temps_drop(struct temps *t, uint64_t dir)
{
	unsigned n;

	if (!temps_any(t))
		return 0;
	pthread_mutex_lock(&t->lock);
	n = drop(t, dir);
	pthread_mutex_unlock(&t->lock);
	return n;
}

void temps_sweep(struct temps *t, bool (*gone)(void *arg, uint64_t dir), void *arg)
{
	if (!temps_any(t))
		return;
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct temp *temp = t->by_dir[i]; temp;)
			if (!(temp->dir & INO_TEMP) && gone(arg, temp->dir)) {
				drop(t, temp->dir);
				temp = t->by_dir[i];
			} else {
				temp = temp->next_in_dir;
			}
	pthread_mutex_unlock(&t->lock);
}

int temps_list(struct temps *t, uint64_t dir, uint64_t after, temp_fn *fn, void *arg)
{
	int rc = 0;

	if (!temps_any(t))
		return 0;
	pthread_mutex_lock(&t->lock);
	for (struct temp *temp = t->by_dir[bucket_of(dir)]; temp && !rc; temp = temp->next_in_dir)
		if (temp->dir == dir && temp->cookie > after) {
			const struct temp_stat st = stat_of(temp);

			rc = fn(arg, temp->name, &st, temp->cookie);
		}
	pthread_mutex_unlock(&t->lock);
	return rc;
}
