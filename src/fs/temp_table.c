/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two hash tables that temps are found by: a lock around them is the caller's (temps.c). */
#include "temp_table.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/cleanup.h"

void temp_free(struct temp *temp)
{
	buf_free(&temp->data);
	free(temp->name);
	free(temp);
}

unsigned temp_bucket(uint64_t ino)
{
	return (unsigned)(ino * 0x9e3779b97f4a7c15ULL >> 32) % TEMP_BUCKETS;
}

static bool is_alias(const struct temp *temp)
{
	return !(temp->ino & INO_TEMP);
}

/* Once it has lost its name, a number that was an attribute's is the attribute's again. */
struct temp *temp_by_ino(struct temps *t, uint64_t ino)
{
	struct temp *temp = t->by_ino[temp_bucket(ino)];

	while (temp && (temp->ino != ino || (is_alias(temp) && !temp->name)))
		temp = temp->next_by_ino;
	return temp;
}

struct temp *temp_by_name(struct temps *t, uint64_t dir, const char *name)
{
	struct temp *temp = t->by_dir[temp_bucket(dir)];

	while (temp && (temp->dir != dir || strcmp(temp->name, name)))
		temp = temp->next_in_dir;
	return temp;
}

static unsigned count_in(struct temps *t, uint64_t dir)
{
	unsigned n = 0;

	for (struct temp *temp = t->by_dir[temp_bucket(dir)]; temp; temp = temp->next_in_dir)
		n += temp->dir == dir;
	return n;
}

void temp_enter(struct temps *t, struct temp *temp, uint64_t dir, char *name)
{
	struct temp **bucket = &t->by_dir[temp_bucket(dir)], *parent = temp_by_ino(t, dir);

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

void temp_leave(struct temps *t, struct temp *temp)
{
	struct temp **link = &t->by_dir[temp_bucket(temp->dir)], *parent = temp_by_ino(t, temp->dir);

	while (*link != temp)
		link = &(*link)->next_in_dir;
	*link = temp->next_in_dir;
	if (parent)
		parent->children--;
	free(steal_pointer(&temp->name));
	temp->dir = 0;
}

void temp_free_if_unused(struct temps *t, struct temp *temp)
{
	struct temp **link = &t->by_ino[temp_bucket(temp->ino)];

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

void temp_forget(struct temps *t, struct temp *temp)
{
	temp_leave(t, temp);
	temp_free_if_unused(t, temp);
}

static struct temp *first_in(struct temps *t, uint64_t dir)
{
	struct temp *temp = t->by_dir[temp_bucket(dir)];

	while (temp && temp->dir != dir)
		temp = temp->next_in_dir;
	return temp;
}

/* Depth first; directories in directories are bounded by TEMPS_MAX. */
unsigned temp_drop(struct temps *t, uint64_t dir)
{
	struct temp *temp;
	unsigned n = 0;

	while ((temp = first_in(t, dir))) {
		while (temp->children)
			temp = first_in(t, temp->ino);
		temp_forget(t, temp);
		n++;
	}
	return n;
}

int temp_check_room(struct temps *t, uint64_t dir)
{
	const struct temp *parent = temp_by_ino(t, dir);

	if (parent ? parent->type != TEMP_DIR || !parent->name : dir & INO_TEMP)
		return -ENOENT;
	return count_in(t, dir) < TEMPS_PER_DIRECTORY_MAX ? 0 : -ENOSPC;
}

int temp_resize(struct temps *t, struct temp *temp, size_t size)
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

int temp_add(struct temps *t, uint64_t dir, struct temp *temp, struct text content)
{
	char *name = temp->name;
	int rc = temp_check_room(t, dir);

	temp->name = NULL;
	if (!rc && t->n >= TEMPS_MAX)
		rc = -ENOSPC;
	if (!rc && (temp_by_name(t, dir, name) || (temp->ino && temp_by_ino(t, temp->ino))))
		rc = -EEXIST;
	if (!rc)
		rc = temp_resize(t, temp, content.n);
	if (rc) {
		t->bytes -= temp->data.len;
		free(name);
		return rc;
	}
	if (content.n)
		memcpy(temp->data.data, content.p, content.n);
	if (!temp->ino)
		temp->ino = INO_TEMP | ++t->last;
	temp->next_by_ino = t->by_ino[temp_bucket(temp->ino)];
	t->by_ino[temp_bucket(temp->ino)] = temp;
	t->n++;
	if (is_alias(temp))
		t->n_aliases++;
	temp_enter(t, temp, dir, name);
	temp->users = 1;
	return 0;
}
