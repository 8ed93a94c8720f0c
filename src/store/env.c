/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LMDB's environment: made, opened, checked for its format, and opened again after a failure. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"
#include "attachfs/limits.h"
#include "attachfs/log.h"

/* Raised when a record of an older attachfs could no longer be read by this one. */
#define FORMAT_VERSION "attachfs 2"
#define READERS_MAX    512
#define READERS_BYTES  (64 * READERS_MAX + 4096) /* a slot is a cache line; and the head */

#define DATA_FILE "data.mdb"
#define LOCK_FILE "lock.mdb"
/* Where a new environment is made, before it is moved to where it will be looked for. */
#define NEW_FOLDER "new"

/* LMDB's own codes are negative: what is there is not, or no longer, one of its files. */
static int cannot_open(const struct store *store, int rc, struct error *err)
{
	return error_set(err, rc < 0 ? EINVAL : rc, "%s: cannot open the state%s: %s", store->path,
			 rc < 0 ? ", which is left as it is" : "", mdb_strerror(rc));
}

/* The row that says how the others are to be read. */
static const struct text format_key = TEXT("format");

static int put_format(struct tx *tx)
{
	return tx_put(tx, TABLE_META, format_key, TEXT(FORMAT_VERSION));
}

/* 1: it is the one before. */
static int check_format(struct store *store, MDB_txn *txn, struct error *err)
{
	struct tx tx = {.store = store, .txn = txn};
	struct text format;
	int rc = store_errno(mdb_dbi_open(txn, NULL, 0, &store->tree));

	if (!rc)
		rc = tx_get(&tx, TABLE_META, format_key, &format);
	if (rc == -ENOENT && upgrade_is_due(txn))
		return 1;
	if (rc)
		return error_set(err, EINVAL, "%s: not a state folder of attachfs (%s); left as it is",
				 store->path, rc == -ENOENT ? "it names no format" : strerror(-rc));
	if (!text_is(format, FORMAT_VERSION))
		return error_set(err, EINVAL, "%s: the state was written as \"%.*s\", this program "
				 "reads \"%s\"; left as it is", store->path, TEXT_ARG(format),
				 FORMAT_VERSION);
	return 0;
}

/* LMDB's own limit: not below what was reached before mapSize was lowered, and the reserve. */
static uint64_t map_bytes(const struct store *store)
{
	char path[PATH_MAX + sizeof("/" DATA_FILE)];
	uint64_t reached;
	struct stat st;

	snprintf(path, sizeof(path), "%s/" DATA_FILE, store->path);
	if (stat(path, &st))
		return store->map_size;
	reached = (uint64_t)st.st_size + RESERVE_BYTES_MAX;
	return reached > store->map_size ? reached : store->map_size;
}

static int open_folder(struct store *store, const char *path)
{
	int fd, rc = mdb_env_create(&store->env);

	if (!rc)
		rc = mdb_env_set_mapsize(store->env, map_bytes(store));
	if (!rc)
		rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
	if (!rc)
		rc = mdb_env_set_maxdbs(store->env, UPGRADE_TABLES);
	if (!rc)
		rc = mdb_env_open(store->env, path, MDB_NOTLS | (store->read_only ? MDB_RDONLY : 0),
				  0600);
	if (!rc)
		rc = mdb_env_get_fd(store->env, &fd);
	if (!rc) /* LMDB leaves it open across exec; a spawned target must not hold it */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return rc;
}

/* ---- a new one ---- */

static int make_tree(struct store *store)
{
	struct tx tx = {.store = store, .write = true};
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (rc)
		return rc;
	tx.txn = txn;
	rc = mdb_dbi_open(txn, NULL, 0, &store->tree);
	if (!rc)
		rc = -put_format(&tx);
	if (!rc)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static void remove_files(int folder)
{
	unlinkat(folder, NEW_FOLDER "/" DATA_FILE, 0);
	unlinkat(folder, NEW_FOLDER "/" LOCK_FILE, 0);
	unlinkat(folder, NEW_FOLDER, AT_REMOVEDIR);
}

static int make_in(struct store *store, int folder)
{
	char path[PATH_MAX + sizeof("/" NEW_FOLDER)];
	int rc;

	remove_files(folder); /* of one who was killed here */
	if (mkdirat(folder, NEW_FOLDER, 0700))
		return errno;
	snprintf(path, sizeof(path), "%s/" NEW_FOLDER, store->path);
	rc = open_folder(store, path);
	if (!rc)
		rc = make_tree(store);
	env_close(store);
	if (!rc && (renameat(folder, NEW_FOLDER "/" DATA_FILE, folder, DATA_FILE) || fsync(folder)))
		rc = errno;
	remove_files(folder);
	return rc;
}

/* What may be in a folder without a state: that of a file system's root, and what is ours. */
static bool may_be_there(const char *name)
{
	static const char *const known[] = {".", "..", "lost+found", "lock", LOCK_FILE, NEW_FOLDER};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return text_starts(text_of(name), "tgt."); /* sockets of daemons that went on */
}

/* A folder that is somebody else's is none for us. */
static int check_empty(const struct store *store, struct error *err)
{
	DIR *dir = opendir(store->path);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return error_set(err, errno, "%s: %m", store->path);
	while (!rc && (entry = readdir(dir)))
		if (!may_be_there(entry->d_name))
			rc = error_set(err, ENOTEMPTY, "%s: holds no state of attachfs, but %s: name a "
				       "folder of its own", store->path, entry->d_name);
	closedir(dir);
	return rc;
}

/* It appears whole or not at all, so that whatever else is found there is damage. */
static int make(struct store *store, struct error *err)
{
	_cleanup_close_ int folder = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int rc;

	if (folder < 0)
		return error_set(err, errno, "%s: %m", store->path);
	if (!fstatat(folder, DATA_FILE, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	rc = errno;
	if (rc == ENOENT && check_empty(store, err))
		return -err->code;
	if (rc == ENOENT)
		rc = make_in(store, folder);
	return rc ? error_set(err, -store_errno(rc), "%s: cannot make the state: %s", store->path,
			      mdb_strerror(rc))
		  : 0;
}

/* ---- opening and closing ---- */

/*
 * The table of readers is written through a map: a page of it that has no room on disk would be
 * our death. To be called only while LMDB does not have it open: its locks would go with our fd.
 */
static void take_room_for_readers(const struct store *store)
{
	char path[PATH_MAX + sizeof("/" LOCK_FILE)];
	_cleanup_close_ int fd = -1;
	int rc;

	snprintf(path, sizeof(path), "%s/" LOCK_FILE, store->path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? errno : posix_fallocate(fd, 0, READERS_BYTES);
	if (rc)
		log_warning("%s: no room on disk for the table of readers: %s", path, strerror(rc));
}

static int verify(const struct store *store, uint64_t transaction, bool whole, struct error *err)
{
	char path[PATH_MAX + sizeof("/" DATA_FILE)];
	struct error why = {0};
	_cleanup_close_ int fd = -1;
	int rc;

	snprintf(path, sizeof(path), "%s/" DATA_FILE, store->path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = fd < 0 ? error_set(&why, errno, "%m") : verify_file(fd, transaction, whole, &why);
	if (rc == -EBADMSG)
		return error_set(err, EINVAL, "%s: not a state of attachfs, or damaged (%s); left as it is",
				 path, why.text);
	return rc ? error_set(err, -rc, "%s: %s", path, why.text) : 0;
}

/* A running attachfs may have gone on meanwhile. */
static int begin_verified(struct store *store, MDB_txn **ret, struct error *err)
{
	int rc;

	do {
		rc = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, ret);
		if (rc)
			return cannot_open(store, rc, err);
		rc = verify(store, store->read_only ? mdb_txn_id(*ret) : 0, true, err);
		if (rc)
			mdb_txn_abort(*ret);
	} while (rc == -EAGAIN);
	return rc;
}

/* Ends the transaction. */
static int upgrade_in(struct store *store, MDB_txn *txn)
{
	struct tx tx = {.store = store, .txn = txn, .write = true};
	int rc = upgrade_rows(&tx);

	if (!rc)
		rc = put_format(&tx);
	if (!rc)
		return store_errno(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return rc;
}

/* All rows are there twice until that is committed: for so long there is room in the map. */
static int upgrade(struct store *store, struct error *err)
{
	MDB_txn *txn;
	int rc;

	if (store->read_only)
		return error_set(err, EINVAL, "%s: the state was written by an older attachfs: start this "
				 "one on it once, which brings it up to date", store->path);
	rc = store_errno(mdb_env_set_mapsize(store->env, UPGRADE_GROWTH * map_bytes(store)));
	if (!rc)
		rc = store_errno(mdb_txn_begin(store->env, NULL, 0, &txn));
	if (!rc)
		rc = upgrade_in(store, txn);
	if (!rc)
		rc = store_errno(mdb_env_set_mapsize(store->env, map_bytes(store)));
	if (rc)
		return error_set(err, -rc, "%s: an older attachfs wrote the state, and it cannot be brought "
				 "up to date: %s; left as it is", store->path, strerror(-rc));
	log_info("%s: brought up to date: an older attachfs cannot read it any more", store->path);
	return 0;
}

/* `again`: it was in our hands. */
static int open_checked(struct store *store, bool again, struct error *err)
{
	MDB_txn *txn;
	int rc = verify(store, 0, false, err);

	if (rc)
		return rc;
	rc = open_folder(store, store->path);
	if (!rc && again)
		rc = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (rc)
		return cannot_open(store, rc, err);
	rc = again ? 0 : begin_verified(store, &txn, err);
	if (rc)
		return rc;
	rc = check_format(store, txn, err);
	if (rc) {
		mdb_txn_abort(txn);
		return rc > 0 ? upgrade(store, err) : rc;
	}
	rc = mdb_txn_commit(txn);
	return rc ? cannot_open(store, rc, err) : 0;
}

int env_open(struct store *store, struct error *err)
{
	int rc = store->read_only ? 0 : make(store, err);

	if (!rc && !store->read_only)
		take_room_for_readers(store);
	if (!rc)
		rc = open_checked(store, false, err);
	if (rc)
		env_close(store);
	return rc;
}

void env_close(struct store *store)
{
	while (store->n_idle)
		mdb_txn_abort(store->idle[--store->n_idle]);
	if (store->env)
		mdb_env_close(store->env);
	store->env = NULL;
}

int env_enter(struct store *store)
{
	bool there;

	pthread_mutex_lock(&store->readers_lock);
	while (store->replacing)
		pthread_cond_wait(&store->readers_wake, &store->readers_lock);
	there = store->env;
	store->n_inside += there;
	pthread_mutex_unlock(&store->readers_lock);
	return there ? 0 : -EIO;
}

void env_left(struct store *store)
{
	if (!--store->n_inside && store->replacing)
		pthread_cond_broadcast(&store->readers_wake);
}

void env_leave(struct store *store)
{
	pthread_mutex_lock(&store->readers_lock);
	env_left(store);
	pthread_mutex_unlock(&store->readers_lock);
}

/* Waits until nobody reads: that takes no longer than one request. */
static int reopen(struct store *store)
{
	struct error err = {0};
	int rc;

	pthread_mutex_lock(&store->readers_lock);
	store->replacing = true;
	while (store->n_inside)
		pthread_cond_wait(&store->readers_wake, &store->readers_lock);
	pthread_mutex_unlock(&store->readers_lock);
	env_close(store);
	rc = open_checked(store, true, &err);
	if (rc) {
		env_close(store);
		log_error("%s", err.text);
	} else {
		log_warning("%s: opened again after a failure", store->path);
	}
	store->due = rc ? monotonic_ms() + LAZY_MS : 0; /* tried again */
	pthread_mutex_lock(&store->readers_lock);
	store->replacing = false;
	pthread_cond_broadcast(&store->readers_wake);
	pthread_mutex_unlock(&store->readers_lock);
	return rc;
}

int env_begin(struct store *store, MDB_txn **ret)
{
	int rc = store->env ? mdb_txn_begin(store->env, NULL, 0, ret) : MDB_PANIC;

	if (rc == MDB_PANIC && !reopen(store))
		rc = mdb_txn_begin(store->env, NULL, 0, ret);
	return store_errno(rc);
}

void env_mend(struct store *store)
{
	MDB_txn *txn;

	if (!env_begin(store, &txn))
		mdb_txn_abort(txn);
}
