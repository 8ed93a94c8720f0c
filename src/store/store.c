/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing the state folder: permissions, lock, and what is in it. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"
#include "attachfs/limits.h"

#define LOCK_PATIENCE_MS 1000

int store_errno(int code)
{
	switch (code) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	default:
		return code > 0 ? -code : -EIO;
	}
}

static int make_folders(const char *path, struct error *err)
{
	char partial[PATH_MAX];

	if (!text_copy(partial, sizeof(partial), text_of(path)))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	for (char *p = partial + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(partial, 0755) && errno != EEXIST)
			return error_set(err, errno, "%s: cannot make the folder: %m", partial);
	}
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, errno, "%s: cannot make the state folder: %m", path);
	return 0;
}

/* The folder holds CHAP secrets: nobody else may look into it. */
static int check_folder(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st))
		return error_set(err, errno, "%s: %m", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, "%s: the state must be a folder", path);
	if (st.st_uid != geteuid())
		return error_set(err, EPERM, "%s: the state folder belongs to uid %u, not to us",
				 path, st.st_uid);
	if (st.st_mode & 077)
		return error_set(err, EPERM,
				 "%s: the state folder has mode %04o and holds secrets: run chmod "
				 "700 on it",
				 path, st.st_mode & 07777);
	return 0;
}

/*
 * Of an attachfs that was killed while it started a target daemon a child may still live, with a
 * copy of the lock, for the moment until that has become another program.
 */
static int lock_patiently(int fd)
{
	int64_t end = monotonic_ms() + LOCK_PATIENCE_MS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || monotonic_ms() >= end)
			return -errno;
		usleep(10000);
	}
	return 0;
}

static int take_lock(struct store *store, const char *path, struct error *err)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof(name), "%s/lock", path) >= (int)sizeof(name))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0)
		return error_set(err, errno, "%s: %m", name);
	if (lock_patiently(store->lock_fd))
		return error_set(err, EBUSY, "%s: another attachfs uses this state folder", path);
	return 0;
}

int store_claim(struct store *store, const char *path, struct error *err)
{
	return take_lock(store, path, err);
}

int store_open(const char *path, uint64_t map_size, bool read_only, struct store **ret,
	       struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	pthread_condattr_t attr;
	int rc = 0;

	if (!store)
		return error_set(err, ENOMEM, "out of memory");
	store->lock_fd = -1;
	store->map_size = map_size;
	store->events_max = map_size / EVENTS_PART < EVENTS_BYTES_MAX ? map_size / EVENTS_PART
								      : EVENTS_BYTES_MAX;
	store->read_only = read_only;
	pthread_mutex_init(&store->readers_lock, NULL);
	pthread_cond_init(&store->readers_wake, NULL);
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &attr);
	pthread_condattr_destroy(&attr);
	store->last = &store->first;
	if (!text_copy(store->path, sizeof(store->path), text_of(path)))
		rc = error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	if (!rc && !read_only)
		rc = make_folders(path, err);
	if (!rc)
		rc = check_folder(path, err);
	if (!rc && !read_only)
		rc = take_lock(store, path, err);
	if (!rc)
		rc = env_open(store, err);
	if (!rc && !read_only) {
		store_maintain(store);
		rc = store_writer_start(store);
		if (rc)
			error_set(err, -rc, "cannot start the writer thread");
	}
	if (rc) {
		store_close(store);
		return rc;
	}
	*ret = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_stop(store);
	env_close(store);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	pthread_cond_destroy(&store->readers_wake);
	pthread_mutex_destroy(&store->readers_lock);
	free(store);
}

void store_maintain(struct store *store)
{
	int dead;

	if (env_enter(store))
		return;
	mdb_reader_check(store->env, &dead);
	env_leave(store);
}

void store_usage(struct store *store, struct store_usage *ret)
{
	MDB_envinfo info = {0};
	struct tx tx;

	*ret = (struct store_usage){.map_bytes = store->map_size};
	if (!store_read_begin(store, &tx)) {
		room_usage(&tx, ret);
		mdb_env_info(store->env, &info);
		store_read_end(&tx);
	}
	pthread_mutex_lock(&store->lock);
	ret->readers = info.me_numreaders;
	ret->commits = store->commits;
	ret->mutations = store->mutations;
	pthread_mutex_unlock(&store->lock);
}
