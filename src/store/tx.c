/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transactions: reading, writing, scanning, and giving out numbers. */
#include "store.h"

#include <errno.h>

int store_read_begin(struct store *store, struct tx *ret)
{
	MDB_txn *txn = NULL;
	int rc;

	pthread_mutex_lock(&store->readers_lock);
	while (store->replacing)
		pthread_cond_wait(&store->readers_wake, &store->readers_lock);
	if (store->n_idle)
		txn = store->idle[--store->n_idle];
	store->n_inside++;
	pthread_mutex_unlock(&store->readers_lock);
	if (txn)
		rc = mdb_txn_renew(txn);
	else
		rc = store->env ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) : MDB_PANIC;
	if (rc) {
		if (txn)
			mdb_txn_abort(txn);
		env_leave(store);
		return store_errno(rc);
	}
	*ret = (struct tx){.store = store, .txn = txn};
	return 0;
}

void store_read_end(struct tx *tx)
{
	struct store *store = tx->store;
	MDB_txn *txn = tx->txn;

	mdb_txn_reset(txn);
	pthread_mutex_lock(&store->readers_lock);
	if (store->n_idle < READERS_KEPT) {
		store->idle[store->n_idle++] = txn;
		txn = NULL;
		env_left(store);
	}
	pthread_mutex_unlock(&store->readers_lock);
	if (txn) {
		mdb_txn_abort(txn);
		env_leave(store);
	}
	*tx = (struct tx){0};
}

/* A table's rows are those of the tree whose keys begin with its byte. What is cut off is too long. */
static MDB_val row_key(uint8_t room[KEY_ROOM], enum store_table table, struct text key)
{
	size_t n = key.n < KEY_ROOM ? key.n : KEY_ROOM - 1;

	room[0] = (uint8_t)table;
	if (n)
		memcpy(room + 1, key.p, n);
	return (MDB_val){n + 1, room};
}

/* Of a row's key what is the user's. */
static struct text user_key(MDB_val key)
{
	return (struct text){(char *)key.mv_data + 1, key.mv_size - 1};
}

static struct text to_text(MDB_val v)
{
	return (struct text){v.mv_data, v.mv_size};
}

int tx_get(struct tx *tx, enum store_table table, struct text key, struct text *ret)
{
	uint8_t room[KEY_ROOM];
	MDB_val k = row_key(room, table, key), v;
	int rc = mdb_get(tx->txn, tx->store->tree, &k, &v);

	if (!rc)
		*ret = to_text(v);
	return store_errno(rc);
}

static int put(struct tx *tx, enum store_table table, struct text key, struct text value,
	       unsigned flags)
{
	uint8_t room[KEY_ROOM];
	MDB_val k = row_key(room, table, key), v = {value.n, (void *)value.p};

	tx->last_record = TEXT_NONE;
	return store_errno(mdb_put(tx->txn, tx->store->tree, &k, &v, flags));
}

int tx_put(struct tx *tx, enum store_table table, struct text key, struct text value)
{
	return put(tx, table, key, value, 0);
}

int tx_append(struct tx *tx, struct text key, struct text value)
{
	return put(tx, TABLE_LAST, key, value, MDB_APPEND);
}

int tx_delete(struct tx *tx, enum store_table table, struct text key)
{
	uint8_t room[KEY_ROOM];
	MDB_val k = row_key(room, table, key);

	tx->last_record = TEXT_NONE;
	return store_errno(mdb_del(tx->txn, tx->store->tree, &k, NULL));
}

static bool begins_with(MDB_val key, MDB_val prefix)
{
	return key.mv_size >= prefix.mv_size && !memcmp(key.mv_data, prefix.mv_data, prefix.mv_size);
}

int tx_scan(struct tx *tx, enum store_table table, struct text prefix, struct text from,
	    tx_scan_fn *fn, void *arg)
{
	uint8_t all_room[KEY_ROOM], from_room[KEY_ROOM];
	MDB_val all = row_key(all_room, table, prefix), key, value;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(tx->txn, tx->store->tree, &cursor), stop = 0;

	if (rc)
		return store_errno(rc);
	key = from.n ? row_key(from_room, table, from) : all;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (!rc && begins_with(key, all)) {
		stop = fn(arg, user_key(key), to_text(value));
		if (stop)
			break;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return stop ? stop : rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

int tx_last(struct tx *tx, struct text *ret_key, struct text *ret_value)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(tx->txn, tx->store->tree, &cursor);

	if (rc)
		return store_errno(rc);
	rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	mdb_cursor_close(cursor);
	if (rc)
		return store_errno(rc);
	if (*(uint8_t *)key.mv_data != TABLE_LAST)
		return -ENOENT;
	*ret_key = user_key(key);
	*ret_value = to_text(value);
	return 0;
}

static const struct text next_number = TEXT("next_number"), next_serial = TEXT("next_serial");

static int take_number(struct tx *tx, struct text key, uint64_t first, uint64_t max,
		       uint64_t *ret)
{
	uint64_t number = first;
	uint8_t next[8];
	struct text value = TEXT_NONE;
	int rc = tx_get(tx, TABLE_META, key, &value);

	if (!rc && value.n != sizeof(next))
		return -EIO;
	if (!rc)
		number = key_to_u64(value.p);
	else if (rc != -ENOENT)
		return rc;
	if (number > max)
		return -ENOSPC;
	key_u64(next, number + 1);
	rc = tx_put(tx, TABLE_META, key, (struct text){(char *)next, sizeof(next)});
	if (!rc)
		*ret = number;
	return rc;
}

static uint64_t last_number(struct tx *tx, struct text key)
{
	struct text value = TEXT_NONE;

	return !tx_get(tx, TABLE_META, key, &value) && value.n == 8 ? key_to_u64(value.p) - 1 : 0;
}

int tx_new_number(struct tx *tx, uint64_t *ret)
{
	return take_number(tx, next_number, FIRST_OBJECT, LAST_OBJECT, ret);
}

int tx_new_serial(struct tx *tx, uint64_t max, uint64_t *ret)
{
	return take_number(tx, next_serial, 1, max, ret);
}

uint64_t tx_last_number(struct tx *tx)
{
	return last_number(tx, next_number);
}

uint64_t tx_last_serial(struct tx *tx)
{
	return last_number(tx, next_serial);
}
