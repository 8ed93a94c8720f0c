/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A state of format 1, in which each table was a tree of its own: its rows move into the one tree. */
#include "store.h"

#include "attachfs/cleanup.h"

#define PREFIX 9 /* (parent, container), which a name or a number followed */

/* What a row's key is now; a key without bytes: the row is of no use any more. */
typedef struct text rekey_fn(struct text key, uint8_t room[KEY_ROOM]);

static struct text keep(struct text key, uint8_t room[KEY_ROOM])
{
	(void)room;
	return key;
}

static struct text insert(struct text key, uint8_t by, uint8_t room[KEY_ROOM])
{
	if (key.n < PREFIX || key.n >= KEY_ROOM)
		return key; /* none of ours: it is left to those who look at every record */
	memcpy(room, key.p, PREFIX);
	room[PREFIX] = by;
	memcpy(room + PREFIX + 1, key.p + PREFIX, key.n - PREFIX);
	return (struct text){(char *)room, key.n + 1};
}

static struct text name(struct text key, uint8_t room[KEY_ROOM])
{
	return insert(key, CHILD_BY_NAME, room);
}

/* The root's eighth row had an index of all attachments. */
static struct text child(struct text key, uint8_t room[KEY_ROOM])
{
	static const char all[PREFIX] = {[PREFIX - 1] = 8};

	if (key.n > PREFIX && !memcmp(key.p, all, PREFIX))
		return TEXT_NONE;
	return insert(key, CHILD_BY_NUMBER, room);
}

/* A volume's number twice; two that differ were the unfinished work of an attachment. */
static struct text purge(struct text key, uint8_t room[KEY_ROOM])
{
	(void)room;
	if (key.n != 16 || memcmp(key.p, key.p + 8, 8))
		return TEXT_NONE;
	return (struct text){key.p, 8};
}

/* Attachments were indexed by their initiators, too, which began with a sign that no host has. */
static struct text host(struct text key, uint8_t room[KEY_ROOM])
{
	(void)room;
	return text_starts(key, "@") ? TEXT_NONE : key;
}

static const struct table {
	const char *name;
	enum store_table now;
	rekey_fn *rekey;
} tables[] = {
	{"meta", TABLE_META, keep},	 {"objects", TABLE_OBJECTS, keep},
	{"names", TABLE_CHILDREN, name}, {"children", TABLE_CHILDREN, child},
	{"hosts", TABLE_HOSTS, host},	 {"unsettled", TABLE_PURGES, purge},
	{"events", TABLE_EVENTS, keep},
};

_Static_assert(ARRAY_SIZE(tables) == UPGRADE_TABLES, "LMDB must be told how many");

bool upgrade_is_due(MDB_txn *txn)
{
	MDB_val key = {6, "format"}, value;
	MDB_dbi dbi;

	for (size_t i = 1; i < ARRAY_SIZE(tables); i++)
		if (mdb_dbi_open(txn, tables[i].name, 0, &dbi))
			return false;
	return !mdb_dbi_open(txn, tables[0].name, 0, &dbi) && !mdb_get(txn, dbi, &key, &value) &&
	       text_is((struct text){value.mv_data, value.mv_size}, "attachfs 1");
}

static int move_row(struct tx *tx, const struct table *table, struct text key, struct text value)
{
	uint8_t room[KEY_ROOM];

	key = table->rekey(key, room);
	return key.n ? tx_put(tx, table->now, key, value) : 0;
}

static int move_rows(struct tx *tx, const struct table *table, MDB_cursor *cursor)
{
	MDB_val key, value;
	int rc, moved = 0;

	while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) && !moved)
		moved = move_row(tx, table, (struct text){key.mv_data, key.mv_size},
				 (struct text){value.mv_data, value.mv_size});
	return moved ? moved : rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

static int move_table(struct tx *tx, const struct table *table)
{
	MDB_cursor *cursor;
	MDB_dbi dbi;
	int rc = store_errno(mdb_dbi_open(tx->txn, table->name, 0, &dbi));

	if (!rc)
		rc = store_errno(mdb_cursor_open(tx->txn, dbi, &cursor));
	if (rc)
		return rc;
	rc = move_rows(tx, table, cursor);
	mdb_cursor_close(cursor);
	return rc ? rc : store_errno(mdb_drop(tx->txn, dbi, 1));
}

/* LMDB takes a disk that becomes full while it writes for one that is broken: so that is asked before. */
static int claim_room(struct tx *tx)
{
	uint64_t bytes = 0;
	MDB_dbi dbi;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !rc; i++) {
		rc = store_errno(mdb_dbi_open(tx->txn, tables[i].name, 0, &dbi));
		if (!rc)
			bytes += room_of_tree(tx, dbi);
	}
	return rc ? rc : room_claim(tx->store, 2 * bytes);
}

int upgrade_rows(struct tx *tx)
{
	int rc = claim_room(tx);

	for (size_t i = 0; i < ARRAY_SIZE(tables) && !rc; i++)
		rc = move_table(tx, &tables[i]);
	return rc;
}
