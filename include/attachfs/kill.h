/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Named points at which a test kills the process: in an ordinary build they are nothing. */
#ifndef ATTACHFS_KILL_H
#define ATTACHFS_KILL_H

/*
 * In a build with ATTACHFS_KILL_POINTS (make KILL=1) the environment's ATTACHFS_KILL says
 * where the process is to end as by SIGKILL:
 *
 *	POINT[:N]	the N-th time (default: the first) that it comes to that point
 *	@FILE		as the file says, which is looked at each time; a missing one says nothing.
 *			"trace" in it appends the name of each point that is passed to FILE.trace
 *	list		prints the names of all points and ends
 *
 * A point is passed by any thread, so each of them must be one where a SIGKILL is survived; that
 * is what tests/crash proves. X(NAME, what is so when it is passed).
 */
#define KILL_POINTS(X)                                                                           \
	X(request_read, "a request for a change was read and not yet queued")                    \
	X(intent_applied, "the intent is in a transaction that is not committed")                \
	X(intent_committed, "the intent is on disk; nobody was told")                            \
	X(intent_answered, "answered, or waiting; the worker was not told")                      \
	X(work_taken, "the worker has an intent in hand")                                        \
	X(work_exported, "exported, not probed")                                                 \
	X(work_unexported, "one of the two modes is withdrawn")                                  \
	X(work_done, "the backend has done it; the result is nowhere")                           \
	X(result_applied, "the result is in a transaction that is not committed")                \
	X(result_committed, "the result is on disk; who waits was not told")                     \
	X(result_answered, "the result is on disk and known")                                    \
	X(tgt_asking, "connected to tgtd, nothing was sent")                                     \
	X(tgt_asked, "tgtd has the request; its answer was not read")                            \
	X(tgt_answered, "tgtd's answer was read")                                                \
	X(tgt_spawned, "a tgtd was started that does not answer yet")                            \
	X(probe_logged_in, "our own login is open")                                              \
	X(withdraw_unbound, "the host's name was taken from the target")                         \
	X(withdraw_locked, "its account, too; its sessions are still there")                     \
	X(withdraw_kicked, "its sessions are ended; the target is still there")                  \
	X(withdraw_proved, "nothing is left, and the result not committed")                      \
	X(file_made, "the backing file is there and empty")                                      \
	X(file_sized, "it has its size and is not synced")                                       \
	X(file_removed, "it was removed, which is not synced")                                   \
	X(grow_held, "it has grown and the target's connections are held")                       \
	X(grow_reopened, "the target has the new size; its connections are held")                \
	X(start_stored, "starting: the state is open")                                           \
	X(start_configured, "starting: the docks are in the tree")                               \
	X(start_adopted, "starting: the backend is known and nothing compared")                  \
	X(compare_begun, "a dock's exports are being compared")                                  \
	X(compare_listed, "what one volume has and should have is known")                        \
	X(compare_applied, "an export that should be there was made anew")

#ifdef ATTACHFS_KILL_POINTS
#define KILL_ENUM(name, text) KILL_##name,
enum kill_point { KILL_POINTS(KILL_ENUM) };
#undef KILL_ENUM

void kill_point(enum kill_point point);
#define KILL_POINT(name) kill_point(KILL_##name)
#else
#define KILL_POINT(name) ((void)0)
#endif

#endif
