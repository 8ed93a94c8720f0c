/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A test bed for drivers: a private folder, a dock in it, a backend, and nothing left after. */
#ifndef ATTACHFS_TESTS_BED_H
#define ATTACHFS_TESTS_BED_H

#include "attachfs/driver.h"

#include "host.h"

#include <sys/types.h>

#define BED_BYTES (16ULL << 20) /* of the volumes that bed_volume() makes */

struct bed {
	const struct driver *driver;
	struct backend *backend;
	struct dock_conf dock;
	struct pool_conf pool;
	struct conf_node *root;
	char dir[64], state[80], pool_dir[80], control[80];
	unsigned port;
	bool real; /* hosts can log in over iSCSI */
	struct error err;
};

/* A dock of that driver below a new folder; `extra` is added to the tgt: map, e.g. ", chap: no".
 * Fails the test if that cannot be done. */
void bed_open(struct bed *bed, const char *driver, const char *extra);
/* As if attachfs were started again: close() and open(). */
void bed_reopen(struct bed *bed);
/* Ends what was started, by process id, and removes the folder. */
void bed_close(struct bed *bed);

/* Process id of the spawned daemon number n, 0 if there is none. */
pid_t bed_daemon(const struct bed *bed, int n);

/* Kills it and waits until it is gone. */
void bed_kill_daemon(const struct bed *bed, int n);

/* Volume and host number n; everything about them follows from the number. */
struct backend_volume bed_volume(unsigned n);
struct backend_export bed_export(unsigned host, enum access_mode mode);
struct host_login bed_login(const struct backend_export *e, const struct backend_connection *c);

/* The driver's answer must be 0; else the test fails with its sentence. */
#define bed_ok(bed, call) bed_ok_((bed), (call), #call, __FILE__, __LINE__)
void bed_ok_(struct bed *bed, int rc, const char *call, const char *file, int line);

/* HOST_BLOCK bytes of the volume's file. */
void bed_read_block(const struct bed *bed, const struct backend_volume *volume, uint64_t lba,
		    void *out);
/* A checksum of the volume's file. */
uint64_t bed_checksum(const struct bed *bed, const struct backend_volume *volume);

#endif
