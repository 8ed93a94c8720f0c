/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeing an export as its host would: a login over iSCSI, its capacity, its write protection. */
#ifndef ATTACHFS_PROBE_H
#define ATTACHFS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "attachfs/error.h"

/* Whose eyes to look through. Borrowed strings; `user` NULL or empty means no CHAP. */
struct probe_request {
	const char *portal; /* ADDRESS:PORT */
	const char *target;
	const char *initiator;
	const char *user, *secret;
	unsigned lun;
	unsigned timeout_ms; /* for all of it, from the connect to the logout */
};

struct probe_answer {
	uint64_t size_bytes;
	unsigned block_size;
	bool write_protected; /* the WP bit of MODE SENSE(6) */
};

/*
 * Both functions open a session of their own, under an ISID that no host's initiator uses (so
 * that the host's session of the same name is not reinstated), and have ended it when they
 * return, unless they are told to leave that. They keep nothing, so any number of threads may
 * call them. A target that answers nonsense costs at most the timeout.
 */

/* A session that has seen what it was to see, and has sent its logout. */
struct probe;

/*
 * 0 with what was seen. -EACCES if the login was refused, -ECONNREFUSED if the portal is down,
 * -ETIMEDOUT, -EIO for everything else, a sentence in `err` each time.
 * With `ret_left` (may be NULL) success does not wait for the logout's answer: the caller has
 * something better to do, and then gives *ret_left to probe_end().
 */
int probe_look(const struct probe_request *request, struct probe_answer *ret,
	       struct probe **ret_left, struct error *err);

/* Returns when the target has forgotten the session, or its time is over. */
void probe_end(struct probe *left);

/* 0 only if the target itself said no (authentication, authorisation, no such target). -EIO if
 * it let us in; -ECONNREFUSED, -ETIMEDOUT if that is not known. */
int probe_refused(const struct probe_request *request, struct error *err);

#endif
