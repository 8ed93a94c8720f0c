/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUSE requests as intents: who asks, how they are answered, and how they are interrupted. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "attachfs/kill.h"
#include "fs.h"

static void answer(struct intent *intent, int result)
{
	struct request *r = (struct request *)intent;

	if (r->holds)
		veil_release(r->fs->veils, intent->subject.object);
	if (result && r->refused)
		r->refused(r);
	if (!r->req)
		; /* nobody waits */
	else if (result)
		fuse_reply_err(r->req, -result);
	else
		r->reply(r);
	temps_put(r->fs->temps, r->temp);
	buf_free(&r->content);
	free(r);
}

/* The signals in /proc/TID/status that are pending, for the thread or its process. */
static uint64_t pending_signals(pid_t tid)
{
	uint64_t all = 0, mask;
	char path[32], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	file = fopen(path, "re");
	if (!file)
		return ~0ULL;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SigPnd: %" SCNx64, &mask) == 1 ||
		    sscanf(line, "ShdPnd: %" SCNx64, &mask) == 1)
			all |= mask;
	fclose(file);
	return all;
}

#define SIGNAL(number) (1ULL << ((number) - 1))

/*
 * The kernel tells of any signal that has a handler: a shell's, when a child of it ends, too.
 * Such a one must not make its `echo rw > mode` fail.
 */
static int interrupted(struct intent *intent)
{
	static const uint64_t harmless =
		SIGNAL(SIGCHLD) | SIGNAL(SIGWINCH) | SIGNAL(SIGURG) | SIGNAL(SIGCONT);
	fuse_req_t req = ((struct request *)intent)->req;

	if (!req || !fuse_req_interrupted(req))
		return 0;
	return pending_signals(intent->caller.pid) & ~harmless ? -EINTR : -EAGAIN;
}

struct caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct caller){ctx->uid, ctx->gid, ctx->pid};
}

struct request *request_detached(struct fs *fs, enum intent_op op, struct ref subject,
				 const struct caller *caller)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->fs = fs;
	r->intent = (struct intent){
		.op = op,
		.caller = *caller,
		.subject = subject,
		.answer = answer,
		.interrupted = interrupted,
		.ticket = ++fs->ticket,
	};
	return r;
}

struct request *request_new(fuse_req_t req, enum intent_op op, struct ref subject,
			    void (*reply)(struct request *r))
{
	struct caller caller = caller_of(req);
	struct request *r = request_detached(fs_of(req), op, subject, &caller);

	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	r->req = req;
	r->reply = reply;
	return r;
}

/*
 * Only the ticket is handed over: by the time the interrupt comes the request may have been
 * answered and freed. Nothing may be answered from inside libfuse's interrupt handling,
 * so core's own thread does it.
 */
static void on_interrupt(fuse_req_t req, void *ticket)
{
	core_interrupt(fs_of(req)->core, (uintptr_t)ticket);
}

void request_submit(struct request *r)
{
	if (r->req)
		fuse_req_interrupt_func(r->req, on_interrupt,
					(void *)(uintptr_t)r->intent.ticket);
	KILL_POINT(request_read);
	core_submit(r->fs->core, &r->intent);
}

void request_query(struct request *r)
{
	fuse_req_interrupt_func(r->req, on_interrupt, (void *)(uintptr_t)r->intent.ticket);
	core_query(r->fs->core, &r->intent);
}

void request_refuse(struct request *r, int rc, const char *why)
{
	r->intent.op = INTENT_REFUSE;
	error_set(&r->intent.err, -rc, "%s", why);
	core_submit(r->fs->core, &r->intent);
}

void refuse(fuse_req_t req, struct ref subject, int rc, const char *why)
{
	struct request *r = request_new(req, INTENT_REFUSE, subject, NULL);

	if (r)
		request_refuse(r, rc, why);
}

/* Of the directory, or that of the tree in which a temporary one is. */
void refuse_at(fuse_req_t req, const struct place *p, int rc, const char *why)
{
	refuse(req, p->in_temp ? ref_of(temps_top(fs_of(req)->temps, p->parent)) : p->dir, rc, why);
}

void reply_ok(struct request *r)
{
	fuse_reply_err(r->req, 0);
}
