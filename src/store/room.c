/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room in the state: how much is free, and what is kept for changes that must not fail. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "attachfs/limits.h"
#include "attachfs/log.h"

/*
 * LMDB refuses a page beyond the map, whoever asks: a state that was filled to the brim could not
 * even be emptied, as removing needs new pages first. So a reserve of it is kept for changes that
 * free room or keep hosts out, also on disk, where the file system may be full before the map
 * is. What is counted are the pages of the trees. Those that a commit has replaced are free, but
 * not to be used until the commit after the next one, and not while somebody reads the older
 * state: the reserve is large enough for that as well.
 *
 * The audit log grows with every change, vital or not, up to its limit: its room is set aside.
 */
#define FREE_TREE    0 /* LMDB's own */
#define EVENTS_ROOM  2 /* bytes of pages for a byte of the log, at worst */
#define RESERVE_DISK (2ULL << 20) /* LMDB takes pages again before it makes its file longer */
#define STEP	     (1ULL << 20) /* on disk, at a time */

static uint64_t reserve_of_map(const struct store *store)
{
	uint64_t part = store->map_size / RESERVE_PART;

	return part < RESERVE_BYTES_MAX ? part : RESERVE_BYTES_MAX;
}

uint64_t room_of_tree(struct tx *tx, MDB_dbi tree)
{
	MDB_stat stat;

	if (mdb_stat(tx->txn, tree, &stat))
		return 0;
	return (uint64_t)stat.ms_psize *
	       (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
}

struct room {
	uint64_t used;	 /* bytes of pages */
	uint64_t events; /* bytes of the log, which are among them */
};

static struct room measure(struct tx *tx)
{
	return (struct room){.used = room_of_tree(tx, FREE_TREE) + room_of_tree(tx, tx->store->tree),
			     .events = tx_events_size(tx)};
}

/* What is left of `limit`, 0 if it is exceeded. */
static uint64_t left(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

static uint64_t left_of_map(const struct store *store, const struct room *r)
{
	return left(store->map_size, r->used + left(EVENTS_ROOM * store->events_max, r->events));
}

/* What the file has on disk already, as far as that can be told. */
static uint64_t allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Room on disk for the file up to there, and a step more. */
static void take(struct store *store, uint64_t end)
{
	int fd;

	if (end <= store->on_disk || mdb_env_get_fd(store->env, &fd))
		return;
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(end + STEP)))
		store->on_disk = end + STEP;
	else if (errno != ENOSPC && errno != EDQUOT && errno != EINTR)
		store->on_disk = UINT64_MAX; /* it cannot be told: commits fail when there is no room */
	else if (!store->on_disk)
		store->on_disk = allocated(fd);
}

int room_claim(struct store *store, uint64_t end)
{
	take(store, end);
	return store->on_disk < end ? -ENOSPC : 0;
}

void room_take(struct store *store)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (store->env && !mdb_env_info(store->env, &info) && !mdb_env_stat(store->env, &stat))
		take(store, (info.me_last_pgno + 1) * stat.ms_psize + RESERVE_DISK);
}

/* Less is left than the reserve, or than such a part of it. */
static enum shortage find_shortage(struct tx *tx, unsigned part)
{
	struct room r = measure(tx);

	if (left_of_map(tx->store, &r) < reserve_of_map(tx->store) / part)
		return SHORTAGE_MAP;
	take(tx->store, r.used + RESERVE_DISK);
	if (left(tx->store->on_disk, r.used) < RESERVE_DISK / part)
		return SHORTAGE_DISK;
	return SHORTAGE_NONE;
}

int room_check(struct tx *tx)
{
	struct store *store = tx->store;
	enum shortage before = store->shortage;

	store->shortage = find_shortage(tx, 1);
	if (store->shortage && store->shortage != before)
		log_warning("%s: %s", store->path, store_full_text(store));
	if (!store->shortage && before)
		log_info("%s: there is room in the state again", store->path);
	return store->shortage ? -ENOSPC : 0;
}

bool room_for_note(struct tx *tx)
{
	return find_shortage(tx, 2) == SHORTAGE_NONE;
}

const char *store_full_text(const struct store *store)
{
	if (store->shortage == SHORTAGE_DISK)
		return "the file system of the state folder is full: make room there; until then only "
		       "removing, detaching and fencing are possible";
	return "the state is full: remove volumes, hosts or keys that nobody needs, or raise mapSize and "
	       "start attachfs again; until then only removing, detaching and fencing are possible";
}

void room_usage(struct tx *tx, struct store_usage *ret)
{
	struct room r = measure(tx);

	ret->map_bytes = tx->store->map_size;
	ret->used_bytes = r.used;
	ret->available_bytes = left(left_of_map(tx->store, &r), reserve_of_map(tx->store));
}
