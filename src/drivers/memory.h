/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory driver's own state, and which of its files does what to it. */
#ifndef ATTACHFS_DRIVERS_MEMORY_H
#define ATTACHFS_DRIVERS_MEMORY_H

#include "memory_fault.h"
#include "memory_table.h"

#include <pthread.h>

/*
 * Sessions exist only as the control file tells them (memory_fault.h). A session that was ended
 * stays ended until the file changes. Volumes and exports live until close(), so what a test
 * wants to survive a restart must be applied again, just as after a restart of a target daemon:
 * a volume of an earlier process is as good as one that was just provisioned.
 */
struct backend {
	const struct dock_conf *dock;
	struct memory_faults faults; /* has its own lock */
	pthread_mutex_t lock;	     /* of everything below */
	struct memory_table volumes;
	uint64_t epoch;
	uint64_t used[]; /* by all volumes of each of the dock's pools, in bytes */
};

/* memory.c: called with the lock held, as all that takes or gives a volume. */
int memory_find_or_add(struct backend *b, const struct backend_volume *volume,
		       struct memory_volume **ret, struct error *err);

/* memory_export.c: struct driver's members of these names. */
int memory_export_(struct backend *b, const struct backend_volume *volume,
		   const struct backend_export *export_, struct backend_connection *ret,
		   struct error *err);
int memory_probe(struct backend *b, const struct backend_volume *volume,
		 const struct backend_export *export_,
		 const struct backend_connection *connection, enum access_mode *ret_mode,
		 struct probe **ret_left, struct error *err);
int memory_unexport(struct backend *b, const struct backend_volume *volume,
		    const struct backend_export *export_, struct error *err);
int memory_fence(struct backend *b, const struct backend_volume *volume,
		 const struct backend_export *export_, struct error *err);
int memory_sessions(struct backend *b, const struct backend_volume *volume,
		    const struct backend_export *export_, session_fn *fn, void *arg,
		    struct error *err);
int memory_end_sessions(struct backend *b, const struct backend_volume *volume,
			const struct backend_export *export_, struct error *err);
int memory_list_exports(struct backend *b, const char *volume_id, export_fn *fn,
			void *arg, struct error *err);

#endif
