/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker makes backends agree with the tree: a few threads for each dock. */
#ifndef ATTACHFS_WORKER_H
#define ATTACHFS_WORKER_H

#include "attachfs/conf.h"
#include "attachfs/core.h"
#include "attachfs/error.h"

struct worker;

/* Checks the drivers' own part of the configuration, without side effects. */
int worker_check_conf(const struct conf *conf, struct error *err);

/*
 * Puts the configuration's docks into the tree and starts to serve them: what start-up finds
 * unsettled is finished, exports are compared with the backends, by the very same code
 * that serves kicks later. Sets the core's `kick` hook; the other hooks are `hooks`'s.
 */
int worker_open(struct core *core, const struct conf *conf, const struct core_hooks *hooks,
		struct worker **ret, struct error *err);

/* Waits until each dock has answered or failed once, at most `ms`. */
void worker_wait_ready(struct worker *worker, unsigned ms);

/* Ends the threads after what they are doing; what is unsettled stays so. */
void worker_close(struct worker *worker);

/*
 * What attachfs --check and --repair do, while no attachfs runs (-EBUSY). The audit reports
 * each difference between the records and what the backends have; it changes neither, but that
 * a backend is opened as at every start. The repair does what every start does, and returns when
 * nothing is left to do; no bytes of a volume are ever removed by it.
 */
int worker_audit(const struct conf *conf, audit_fn *fn, void *arg, struct error *err);
int worker_repair(const struct conf *conf, struct error *err);

/*
 * Reads the configuration again when it is told to: a bad one is reported, in the log and among
 * the events, and changes nothing. Docks that are new or gone start or end; one that describes
 * another backend than before is opened anew, and the others go on undisturbed.
 */
struct reloader;
int reloader_open(struct worker *worker, const struct conf *conf, struct reloader **ret,
		  struct error *err);
/* Any thread; a signal handler too. */
void reloader_wake(struct reloader *reloader);
/* Waits until what it is doing is done. */
void reloader_close(struct reloader *reloader);

#endif
