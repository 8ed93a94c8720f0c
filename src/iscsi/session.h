/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the probe's own files: a session that is open. */
#ifndef ISCSI_SESSION_H
#define ISCSI_SESSION_H

#include "attachfs/probe.h"

#include <iscsi/iscsi.h>

/*
 * `pending` counts what is under way; `status` is of a request that was so alone; `refusal` is
 * the login response's status class and detail (0x02NN: the initiator's fault), 0 if there was
 * none.
 */
struct probe {
	struct iscsi_context *iscsi;
	int64_t deadline;
	unsigned pending;
	bool connected, logged_in;
	int status;
	unsigned refusal;
	const struct probe_request *request; /* valid as long as `err` is not NULL */
	struct error *err;
};

/* Serves the connection until nothing is pending: 0, -ETIMEDOUT, -ECONNREFUSED (it broke). */
int probe_wait(struct probe *p);

/* Fills the probe's error: where, as whom, and what. Returns -code. */
int probe_say(struct probe *p, int code, const char *what);

/* Stores what the LUN answers, past its unit attentions. */
int probe_lun(struct probe *p, struct probe_answer *ret);

#endif
