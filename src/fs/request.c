/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUSE requests as intents: who asks, how they are answered, and how they are interrupted. */
#include <errno.h>
#include <stdlib.h>

#include "fs.h"

static void answer(struct intent *intent, int result)
{
	struct request *r = (struct request *)intent;

	if (!r->req)
		; /* nobody waits */
	else if (result)
		fuse_reply_err(r->req, -result);
	else
		r->reply(r);
	free(r);
}

static bool interrupted(struct intent *intent)
{
	fuse_req_t req = ((struct request *)intent)->req;

	return req && fuse_req_interrupted(req);
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
	core_submit(r->fs->core, &r->intent);
}

void request_query(struct request *r)
{
	fuse_req_interrupt_func(r->req, on_interrupt, (void *)(uintptr_t)r->intent.ticket);
	core_query(r->fs->core, &r->intent);
}

void request_refuse(struct request *r, int rc)
{
	fuse_reply_err(r->req, -rc);
	free(r);
}

void reply_ok(struct request *r)
{
	fuse_reply_err(r->req, 0);
}
