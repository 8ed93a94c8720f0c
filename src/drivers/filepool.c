/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pools that are folders of sparse files: make, grow, remove, measure. */
#include "filepool.h"

#include "attachfs/cleanup.h"
#include "attachfs/kill.h"
#include "attachfs/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a folder is measured until nothing has changed meanwhile. */
#define ROOM_TRIES 3

const struct pool_conf *filepool_find(const struct dock_conf *dock, const char *name)
{
	for (size_t i = 0; i < dock->n_pools; i++)
		if (name && !strcmp(dock->pools[i].name, name))
			return &dock->pools[i];
	return NULL;
}

int filepool_check_config(const struct dock_conf *dock, struct error *err)
{
	for (size_t i = 0; i < dock->n_pools; i++) {
		const struct pool_conf *pool = &dock->pools[i];

		if (!pool->path)
			return conf_fail(pool->node, err,
					 "pool %s: expected path, the folder of its volumes",
					 pool->name);
		if (pool->path[0] != '/' || strpbrk(pool->path, ",\"\n") ||
		    strlen(pool->path) > 512)
			return conf_fail(pool->node, err,
					 "path: expected an absolute path without commas and "
					 "quotes, not %s", pool->path);
	}
	return 0;
}

/* The pool's folder, checked on each use: it may have been replaced meanwhile. */
static int open_folder(const struct pool_conf *pool, int *ret, struct error *err)
{
	_cleanup_close_ int fd = open(pool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, errno, "pool folder %s: %m", pool->path);
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, EPERM,
				 "pool folder %s must belong to uid %u with mode 0700, not to uid "
				 "%u with mode %04o", pool->path, geteuid(), st.st_uid,
				 st.st_mode & 07777);
	*ret = steal_fd(&fd);
	return 0;
}

int filepool_open(const struct dock_conf *dock, struct error *err)
{
	for (size_t i = 0; i < dock->n_pools; i++) {
		_cleanup_close_ int fd = -1;
		int rc;

		if (mkdir(dock->pools[i].path, 0700) && errno != EEXIST)
			return error_set(err, errno, "pool folder %s: %m",
					 dock->pools[i].path);
		rc = open_folder(&dock->pools[i], &fd, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* openat2 has no wrapper in glibc 2.36. */
static int open_beneath(int folder, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
}

static int open_file(const struct pool_conf *pool, int folder, const char *id, int *ret,
		     struct stat *ret_st, struct error *err)
{
	_cleanup_close_ int fd = open_beneath(folder, id, O_RDWR, 0);

	if (fd < 0 || fstat(fd, ret_st))
		return error_set(err, errno, "backing file %s/%s: %m", pool->path, id);
	if (!S_ISREG(ret_st->st_mode))
		return error_set(err, EIO, "backing file %s/%s is not a regular file",
				 pool->path, id);
	*ret = steal_fd(&fd);
	return 0;
}

/* Thick pools promise the room, so it is taken at once: before the size changes, so that a
 * file that lacks it, or is interrupted, has the size that it had. */
static int take_room(int fd, uint64_t size)
{
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size))
		return 0;
	return errno == EOPNOTSUPP ? -posix_fallocate(fd, 0, (off_t)size) : -errno;
}

static int set_size(const struct pool_conf *pool, int fd, uint64_t size)
{
	int rc = pool->thin ? 0 : take_room(fd, size);

	return rc ? rc : ftruncate(fd, (off_t)size) ? -errno : 0;
}

static int settle(const struct pool_conf *pool, int folder, int fd,
		  const struct backend_volume *volume, struct error *err)
{
	int rc = set_size(pool, fd, volume->size_bytes);

	KILL_POINT(file_sized);
	if (!rc && (fsync(fd) || fsync(folder)))
		rc = -errno;
	if (rc)
		return error_set(err, -rc, "backing file %s/%s, %llu bytes: %s", pool->path,
				 volume->id, (unsigned long long)volume->size_bytes,
				 strerror(-rc));
	return 0;
}

/* What could not be made as large as it has to be is again what it was: without a size it is
 * nothing, and else a target daemon that opens the file finds the size that hosts know. */
#define NOTHING (-1)
static int settle_or(const struct pool_conf *pool, int folder, int fd,
		     const struct backend_volume *volume, off_t before, struct error *err)
{
	int rc = settle(pool, folder, fd, volume, err);

	if (rc && before == NOTHING)
		unlinkat(folder, volume->id, 0);
	else if (rc && (ftruncate(fd, before) || fsync(fd)))
		log_warning("backing file %s/%s cannot be made smaller again: %m", pool->path,
			    volume->id);
	return rc;
}

/* A file that is there was left by a call that was cut short: never larger than asked for. */
static int provision_again(const struct pool_conf *pool, int folder,
			   const struct backend_volume *volume, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int rc = open_file(pool, folder, volume->id, &fd, &st, err);

	if (rc)
		return rc;
	if ((uint64_t)st.st_size > volume->size_bytes)
		return error_set(err, EEXIST, "backing file %s/%s is there already with %lld bytes",
				 pool->path, volume->id, (long long)st.st_size);
	return settle_or(pool, folder, fd, volume, NOTHING, err);
}

int filepool_provision(const struct pool_conf *pool, const struct backend_volume *volume,
		       struct error *err)
{
	_cleanup_close_ int folder = -1, fd = -1;
	int rc = open_folder(pool, &folder, err);

	if (rc)
		return rc;
	fd = open_beneath(folder, volume->id, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 && errno == EEXIST)
		return provision_again(pool, folder, volume, err);
	if (fd < 0)
		return error_set(err, errno, "backing file %s/%s: %m", pool->path, volume->id);
	KILL_POINT(file_made);
	return settle_or(pool, folder, fd, volume, NOTHING, err);
}

int filepool_extend(const struct pool_conf *pool, const struct backend_volume *volume,
		    struct error *err)
{
	_cleanup_close_ int folder = -1, fd = -1;
	struct stat st;
	int rc = open_folder(pool, &folder, err);

	if (!rc)
		rc = open_file(pool, folder, volume->id, &fd, &st, err);
	if (rc)
		return rc;
	if ((uint64_t)st.st_size > volume->size_bytes)
		return error_set(err, EINVAL, "backing file %s/%s has %lld bytes already; it does "
				 "not shrink", pool->path, volume->id, (long long)st.st_size);
	return settle_or(pool, folder, fd, volume, st.st_size, err);
}

int filepool_purge(const struct pool_conf *pool, const struct backend_volume *volume,
		   struct error *err)
{
	_cleanup_close_ int folder = -1;
	int rc = open_folder(pool, &folder, err);

	if (rc)
		return rc;
	if (unlinkat(folder, volume->id, 0) && errno != ENOENT)
		return error_set(err, errno, "backing file %s/%s: %m", pool->path, volume->id);
	KILL_POINT(file_removed);
	if (fsync(folder))
		return error_set(err, errno, "backing file %s/%s: %m", pool->path, volume->id);
	return 0;
}

int filepool_path(const struct pool_conf *pool, const char *id, char *out, size_t size,
		  struct error *err)
{
	_cleanup_close_ int folder = -1, fd = -1;
	struct stat st;
	int rc = open_folder(pool, &folder, err);

	if (!rc)
		rc = open_file(pool, folder, id, &fd, &st, err);
	if (rc)
		return rc;
	if ((size_t)snprintf(out, size, "%s/%s", pool->path, id) >= size)
		return error_set(err, ENAMETOOLONG, "pool folder %s: the path is too long",
				 pool->path);
	return 0;
}

/* What the files really occupy; st_blocks counts 512 bytes whatever the file system. */
static uint64_t sum_blocks(DIR *dir)
{
	uint64_t bytes = 0;
	struct dirent *entry;
	struct stat st;

	while ((entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_blocks * 512;
	return bytes;
}

/* Both at one moment: what is being made moves from the one to the other. */
static int read_room(DIR *dir, struct statvfs *fs, uint64_t *ret_allocated)
{
	struct statvfs before;

	for (int tries = 0; tries < ROOM_TRIES; tries++) {
		if (fstatvfs(dirfd(dir), &before))
			return -errno;
		*ret_allocated = sum_blocks(dir);
		rewinddir(dir);
		if (fstatvfs(dirfd(dir), fs))
			return -errno;
		if (fs->f_bavail == before.f_bavail)
			return 0;
	}
	if (fs->f_bavail > before.f_bavail)
		*fs = before; /* others are busy there: rather too little than too much */
	return 0;
}

static int open_to_read(const struct pool_conf *pool, DIR **ret, struct error *err)
{
	_cleanup_close_ int folder = -1;
	int rc = open_folder(pool, &folder, err);

	if (rc)
		return rc;
	*ret = fdopendir(folder);
	if (!*ret)
		return error_set(err, errno, "pool folder %s: %m", pool->path);
	folder = -1; /* closedir() closes it */
	return 0;
}

int filepool_usage(const struct pool_conf *pool, struct pool_usage *ret, struct error *err)
{
	struct pool_usage usage;
	struct statvfs fs;
	DIR *dir;
	int rc = open_to_read(pool, &dir, err);

	if (rc)
		return rc;
	rc = read_room(dir, &fs, &usage.allocated);
	closedir(dir);
	if (rc)
		return error_set(err, -rc, "pool folder %s: %s", pool->path, strerror(-rc));
	usage.total = pool->total_bytes ? pool->total_bytes : fs.f_blocks * fs.f_frsize;
	usage.free = fs.f_bavail * fs.f_frsize;
	if (usage.free + usage.allocated > usage.total)
		usage.free = usage.total > usage.allocated ? usage.total - usage.allocated : 0;
	*ret = usage;
	return 0;
}

int filepool_list(const struct pool_conf *pool, backing_fn *fn, void *arg, struct error *err)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int rc = open_to_read(pool, &dir, err);

	if (rc)
		return rc;
	while (!rc && (entry = readdir(dir)))
		if (!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode))
			rc = fn(arg, pool->name, entry->d_name, (uint64_t)st.st_size);
	closedir(dir);
	return rc;
}
