/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the memory driver holds: volumes in a hash table, each with its own exports. */
#ifndef ATTACHFS_DRIVERS_MEMORY_TABLE_H
#define ATTACHFS_DRIVERS_MEMORY_TABLE_H

#include "attachfs/driver.h"

/* One of each host and volume, whatever its mode. */
struct memory_export {
	struct memory_export *next;
	unsigned ended; /* the control file's version at end_sessions(); 0: not called */
	unsigned char mode;
	char initiator[]; /* and behind its NUL chap_user */
};

struct memory_volume {
	struct memory_volume *next; /* in its bucket */
	struct memory_export *exports;
	uint64_t size;
	unsigned pool; /* its index in the dock */
	uint32_t hash;
	char id[UUID_TEXT_SIZE];
};

/*
 * The whole table is in the order of (hash, id), as a bucket is a range of hashes: who walks it
 * by id finds his place again, whatever came, went or grew meanwhile. It has no lock.
 */
struct memory_table {
	struct memory_volume **buckets;
	size_t n_volumes;
	unsigned bits; /* of a hash, the upper ones, that choose among 1 << bits buckets */
};

int memory_table_init(struct memory_table *t);
void memory_table_free(struct memory_table *t);

struct memory_volume *memory_table_find(const struct memory_table *t, const char *id);
/* The volume behind `id`, which need not be there; "" is before the first. NULL at the end. */
struct memory_volume *memory_table_next(const struct memory_table *t, const char *id);
/* Adds one that is not there yet; NULL if there is no memory. */
struct memory_volume *memory_table_add(struct memory_table *t, const char *id);
void memory_table_remove(struct memory_table *t, struct memory_volume *v);

/* The place that points to the initiator's export, or to the NULL behind the last. */
struct memory_export **memory_export_place(struct memory_volume *v, const char *initiator);
/* Makes or replaces the initiator's export; sessions that were ended stay ended. */
int memory_export_put(struct memory_volume *v, const struct backend_export *export_);
void memory_exports_free(struct memory_volume *v);

/* All of the volume as list_exports() tells them, in an array that the caller frees. */
int memory_exports_copy(const struct memory_volume *v, struct backend_export **ret,
			size_t *ret_n);

#endif
