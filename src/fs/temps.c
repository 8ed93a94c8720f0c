/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Temporary files, directories and symlinks: what others do with them, under their lock. */
#include "temp_table.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"

int temps_open(struct temps **ret)
{
	struct temps *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void temps_close(struct temps *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < TEMP_BUCKETS; i++)
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

static void touch(struct temp *temp)
{
	temp->ctime = temp->inode.mtime = time_now();
	temp->has_times = false;
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
	rc = temp_add(t, dir, temp, content);
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
	temp = temp_by_name(t, dir, name);
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
	temp = temp_by_ino(t, ino);
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
	temp_free_if_unused(t, temp);
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
	for (const struct temp *temp; (temp = temp_by_ino(t, ino));)
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
		rc = temp_resize(t, temp, end);
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
		rc = temp_resize(t, temp, size);
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
		temp_leave(t, temp);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

/* Is `dir` this one, or somewhere below it? */
static bool is_below(struct temps *t, uint64_t dir, const struct temp *temp)
{
	for (const struct temp *d = temp_by_ino(t, dir); d; d = temp_by_ino(t, d->dir))
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
		return dir == temp->dir ? 0 : temp_check_room(t, dir);
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
	taken = temp_by_name(t, dir, name);
	rc = strlen(name) > TEMP_NAME_MAX ? -ENAMETOOLONG
	     : taken == temp		  ? 0
					  : check_move(t, temp, dir, taken, no_replace);
	if (!rc && taken != temp) {
		if (taken)
			temp_forget(t, taken);
		temp_leave(t, temp);
		temp_enter(t, temp, dir, steal_pointer(&copy));
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
	n = temp_drop(t, dir);
	pthread_mutex_unlock(&t->lock);
	return n;
}

void temps_sweep(struct temps *t, bool (*gone)(void *arg, uint64_t dir), void *arg)
{
	if (!temps_any(t))
		return;
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < TEMP_BUCKETS; i++)
		for (struct temp *temp = t->by_dir[i]; temp;)
			if (!(temp->dir & INO_TEMP) && gone(arg, temp->dir)) {
				temp_drop(t, temp->dir);
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
	for (struct temp *temp = t->by_dir[temp_bucket(dir)]; temp && !rc; temp = temp->next_in_dir)
		if (temp->dir == dir && temp->cookie > after) {
			const struct temp_stat st = stat_of(temp);

			rc = fn(arg, temp->name, &st, temp->cookie);
		}
	pthread_mutex_unlock(&t->lock);
	return rc;
}
