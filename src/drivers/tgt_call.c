/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to the daemon of a call: one after another, or several under way at once. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A daemon that is gone took everything along: the call is to be made anew. */
static int told(struct tgt_call *call, int rc)
{
	if (rc != -ECONNREFUSED && rc != -ESTALE)
		return rc;
	return error_set(call->err, EAGAIN, "tgtd at %s was lost meanwhile", call->link.socket);
}

__attribute__((format(printf, 4, 0)))
static int send_formatted(struct tgt_call *call, struct tgt_request *request, int *ret_fd,
			  const char *format, va_list ap)
{
	char params[8192];
	int n = format ? vsnprintf(params, sizeof(params), format, ap) : 0, rc;

	if (n < 0 || (size_t)n >= sizeof(params))
		return error_set(call->err, EINVAL, "a parameter is too long for tgtd");
	request->params = n ? params : NULL;
	rc = tgt_mgmt_send(&call->link, request, ret_fd, call->err);
	request->params = NULL;
	explicit_bzero(params, (size_t)n);
	return told(call, rc);
}

void tgt_begin(struct tgt_call *call, struct tgt_sent *sent, struct tgt_request request,
	       const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	sent->fd = -1;
	sent->rc = send_formatted(call, &request, &sent->fd, format, ap);
	va_end(ap);
}

int tgt_end(struct tgt_call *call, struct tgt_sent *sent)
{
	_cleanup_close_ int fd = steal_fd(&sent->fd);

	return fd < 0 ? sent->rc : told(call, tgt_mgmt_receive(&call->link, fd, NULL, call->err));
}

int tgt_do(struct tgt_call *call, struct tgt_request *request, const char *format, ...)
{
	struct tgt_sent sent = TGT_NOT_SENT;
	va_list ap;

	va_start(ap, format);
	sent.rc = send_formatted(call, request, &sent.fd, format, ap);
	va_end(ap);
	return tgt_end(call, &sent);
}

int tgt_ask(struct tgt_call *call, const struct tgt_request *request, struct buf *reply)
{
	return told(call, tgt_mgmt_call(&call->link, request, reply, call->err));
}

int tgt_show(struct tgt_call *call, enum tgt_mode mode, int tid, struct buf *reply)
{
	struct tgt_request request = {.mode = mode, .op = TGT_SHOW, .tid = tid};

	return tgt_ask(call, &request, reply);
}
