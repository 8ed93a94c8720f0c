/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing the state folder: permissions, lock, LMDB environment, format version. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"

/* Raised when a record of an older attachfs could no longer be read by this one. */
#define FORMAT_VERSION "attachfs 1"
#define READERS_MAX    512

static const char *const table_names[TABLES] = {
	[TABLE_META] = "meta",		 [TABLE_OBJECTS] = "objects",
	[TABLE_NAMES] = "names",	 [TABLE_CHILDREN] = "children",
	[TABLE_HOSTS] = "hosts",	 [TABLE_UNSETTLED] = "unsettled",
	[TABLE_EVENTS] = "events",
};

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

static int take_lock(struct store *store, const char *path, struct error *err)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof(name), "%s/lock", path) >= (int)sizeof(name))
		return error_set(err, ENAMETOOLONG, "%s: the path is too long", path);
	store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0)
		return error_set(err, errno, "%s: %m", name);
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB))
		return error_set(err, EBUSY, "%s: another attachfs uses this state folder", path);
	return 0;
}

/* LMDB's own codes are negative: what is there is not, or no longer, one of its files. */
static int cannot_open(const char *path, int rc, struct error *err)
{
	return error_set(err, rc < 0 ? EINVAL : rc, "%s: cannot open the state%s: %s", path,
			 rc < 0 ? ", which is left as it is" : "", mdb_strerror(rc));
}

static int open_tables(struct store *store, MDB_txn *txn, bool create)
{
	for (int i = 0; i < TABLES; i++) {
		int rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0,
				      &store->table[i]);

		if (rc)
			return rc;
	}
	return 0;
}

/* A fresh environment has no table at all; anything else must carry our mark. */
static int check_format(struct store *store, const char *path, bool read_only, struct error *err)
{
	MDB_val key = {6, "format"}, value;
	MDB_stat stat;
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
	bool fresh;

	if (rc)
		return cannot_open(path, rc, err);
	mdb_env_stat(store->env, &stat);
	fresh = !stat.ms_entries && !read_only;
	rc = open_tables(store, txn, fresh);
	if (!rc && fresh) {
		value = (MDB_val){strlen(FORMAT_VERSION), FORMAT_VERSION};
		rc = mdb_put(txn, store->table[TABLE_META], &key, &value, 0);
	} else if (!rc) {
		rc = mdb_get(txn, store->table[TABLE_META], &key, &value);
	}
	if (!rc && !text_is((struct text){value.mv_data, value.mv_size}, FORMAT_VERSION)) {
		error_set(err, EINVAL, "%s: the state was written as \"%.*s\", this program reads \"%s\"",
			  path, (int)value.mv_size, (char *)value.mv_data, FORMAT_VERSION);
		mdb_txn_abort(txn);
		return -EINVAL;
	}
	if (rc) {
		mdb_txn_abort(txn);
		return error_set(err, EINVAL, "%s: not a state folder of attachfs (%s); left as it is",
				 path, mdb_strerror(rc));
	}
	rc = mdb_txn_commit(txn);
	return rc ? error_set(err, -store_errno(rc), "%s: %s", path, mdb_strerror(rc)) : 0;
}

static int open_environment(struct store *store, const char *path, uint64_t map_size,
			    bool read_only, struct error *err)
{
	unsigned flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0);
	int fd, rc = mdb_env_create(&store->env);

	if (!rc)
		rc = mdb_env_set_mapsize(store->env, map_size);
	if (!rc)
		rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
	if (!rc)
		rc = mdb_env_set_maxdbs(store->env, TABLES);
	if (!rc)
		rc = mdb_env_open(store->env, path, flags, 0600);
	if (!rc)
		rc = mdb_env_get_fd(store->env, &fd);
	if (rc)
		return cannot_open(path, rc, err);
	/* LMDB leaves its data file open across exec; a spawned target must not hold it. */
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return check_format(store, path, read_only, err);
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
	pthread_mutex_init(&store->readers_lock, NULL);
	pthread_mutex_init(&store->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&store->wake, &attr);
	pthread_condattr_destroy(&attr);
	store->last = &store->first;
	if (!read_only)
		rc = make_folders(path, err);
	if (!rc)
		rc = check_folder(path, err);
	if (!rc && !read_only)
		rc = take_lock(store, path, err);
	if (!rc)
		rc = open_environment(store, path, map_size, read_only, err);
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
	while (store->n_idle)
		mdb_txn_abort(store->idle[--store->n_idle]);
	if (store->env)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->readers_lock);
	free(store);
}

void store_maintain(struct store *store)
{
	int dead;

	mdb_reader_check(store->env, &dead);
}

void store_usage(struct store *store, struct store_usage *ret)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(store->env, &info);
	mdb_env_stat(store->env, &stat);
	pthread_mutex_lock(&store->lock);
	*ret = (struct store_usage){
		.map_bytes = info.me_mapsize,
		.used_bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize,
		.readers = info.me_numreaders,
		.commits = store->commits,
		.mutations = store->mutations,
	};
	pthread_mutex_unlock(&store->lock);
}
