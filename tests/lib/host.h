/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host for tests: an iSCSI session with a deadline on everything and no reconnect, ever. */
#ifndef ATTACHFS_TESTS_HOST_H
#define ATTACHFS_TESTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_BLOCK    512
#define HOST_IDENTITY 512

/* Borrowed strings; `user` NULL or empty: no CHAP. */
struct host_login {
	const char *portal, *target, *initiator;
	const char *user, *secret;
	unsigned lun;
	unsigned timeout_ms; /* of each single operation */
};

/* One session; one thread at a time. */
struct host;

/*
 * Functions return 0 or -errno: -EACCES the login was refused, -EIO the command was refused
 * (host_sense() tells why), -EBUSY another host's reservation forbids it, -ECONNRESET the session is gone, -ECONNREFUSED no portal,
 * -ETIMEDOUT no answer in time.
 */
int host_open(const struct host_login *login, struct host **ret);

/* Stops within the login, before message number `stage` (with CHAP there are 4) is sent: the
 * target has answered all before. host_finish() goes on from there. */
int host_open_until(const struct host_login *login, unsigned stage, struct host **ret);
int host_finish(struct host *h);

void host_close(struct host *h); /* logs out; NULL is fine */
void host_drop(struct host *h);	 /* closes the connection without a logout */

int host_read(struct host *h, uint64_t lba, void *data, unsigned blocks);
int host_write(struct host *h, uint64_t lba, const void *data, unsigned blocks);
int host_flush(struct host *h);
int host_capacity(struct host *h, uint64_t *ret_bytes);
int host_write_protected(struct host *h, bool *ret);
/* TEST UNIT READY */
int host_alive(struct host *h);
/* INQUIRY page 0x83, all its designators in hexadecimal: HOST_IDENTITY bytes are enough. */
int host_identity(struct host *h, char *hex, size_t size);
/* PERSISTENT RESERVE OUT: `key` is the host's own, `other` the new one or the victim's. */
enum host_pr { HOST_PR_REGISTER, HOST_PR_RESERVE, HOST_PR_RELEASE, HOST_PR_CLEAR, HOST_PR_PREEMPT };
#define HOST_PR_WRITE_EXCLUSIVE	     1
#define HOST_PR_EXCLUSIVE_ACCESS     3
#define HOST_PR_WRITE_REGISTRANTS    5 /* write exclusive, registrants only */
#define HOST_PR_ACCESS_REGISTRANTS   6
int host_pr_out(struct host *h, enum host_pr action, unsigned type, uint64_t key, uint64_t other);
/* The registered keys, at most `size`. */
int host_pr_keys(struct host *h, uint64_t *ret, size_t size, size_t *ret_n);
/* The key that holds the reservation; type 0: nobody does. */
int host_pr_holder(struct host *h, uint64_t *ret_key, unsigned *ret_type);

/* The last command's sense: key << 16 | ASC << 8 | ASCQ. */
unsigned host_sense(const struct host *h);
/* Why the last function failed, in words. */
const char *host_error(const struct host *h);

/* Every opcode that can change a disk, numbered from 0; NULL beyond the last. */
const char *host_opcode_name(size_t i);
/* Sends it, at the first block, with data; 0 means that the target carried it out. */
int host_opcode(struct host *h, size_t i);

/* A thread with a session of its own that writes one block again and again. */
struct host_writer;
int host_writer_start(const struct host_login *login, uint64_t lba, unsigned interval_us,
		      struct host_writer **ret);
unsigned long host_writer_count(struct host_writer *w);
/* The first failure, 0 while there was none. */
int host_writer_failure(struct host_writer *w);
/* Ends the thread and the session; the first failure. */
int host_writer_stop(struct host_writer *w);

#endif
