/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One bounded iSCSI session: connect, login, what is to be seen, logout. */
#include "session.h"

#include "attachfs/clock.h"
#include "attachfs/kill.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

/* RFC 5612's enterprise number for documentation: no initiator that is shipped uses it. */
#define PROBE_ENTERPRISE 32473

static void on_done(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	struct probe *p = arg;

	(void)iscsi;
	(void)data;
	p->status = status;
	p->pending--;
}

/* libiscsi tells a login response's status only as the "(N)" at the end of its message. */
static unsigned login_status(const char *message)
{
	const char *bracket = message ? strrchr(message, '(') : NULL;

	return bracket ? (unsigned)strtoul(bracket + 1, NULL, 10) : 0;
}

static void on_login(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	struct probe *p = arg;

	if (status == SCSI_STATUS_GOOD)
		p->logged_in = true;
	else if (status == SCSI_STATUS_ERROR)
		p->refusal = login_status(iscsi_get_error(iscsi));
	on_done(iscsi, status, data, arg);
}

/* libiscsi opens its socket without close-on-exec. */
static void on_connect(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	fcntl(iscsi_get_fd(iscsi), F_SETFD, FD_CLOEXEC);
	on_done(iscsi, status, data, arg);
}

int probe_say(struct probe *p, int code, const char *what)
{
	if (!p->err)
		return -code;
	return error_set(p->err, code, "%s at %s, as %s: %s", p->request->target,
			 p->request->portal, p->request->initiator, what);
}

static int serve(struct probe *p, int events)
{
	return iscsi_service(p->iscsi, events) < 0 && p->pending
		       ? probe_say(p, ECONNREFUSED, "the connection broke")
		       : 0;
}

/* A socket takes as much as a request at once, and is not asked before. */
static int send_queued(struct probe *p)
{
	return p->connected && iscsi_which_events(p->iscsi) & POLLOUT ? serve(p, POLLOUT) : 0;
}

static int wait_once(struct probe *p)
{
	int64_t left = p->deadline - monotonic_ms();
	struct pollfd fd = {
		.fd = iscsi_get_fd(p->iscsi),
		.events = (short)iscsi_which_events(p->iscsi),
	};

	if (left <= 0)
		return probe_say(p, ETIMEDOUT, "no answer in time");
	if (fd.fd < 0)
		return probe_say(p, ECONNREFUSED, "the connection broke");
	if (poll(&fd, 1, (int)left) < 0 && errno != EINTR)
		return probe_say(p, errno, "poll failed");
	return serve(p, fd.revents);
}

int probe_wait(struct probe *p)
{
	int rc = 0;

	while (!rc && p->pending) {
		rc = send_queued(p);
		if (!rc && p->pending)
			rc = wait_once(p);
	}
	return rc;
}

static int open_session(struct probe *p)
{
	static atomic_uint qualifier;
	const struct probe_request *r = p->request;

	p->iscsi = iscsi_create_context(r->initiator);
	if (!p->iscsi)
		return probe_say(p, ENOMEM, "out of memory");
	iscsi_set_noautoreconnect(p->iscsi, 1);
	if (iscsi_set_targetname(p->iscsi, r->target) ||
	    iscsi_set_session_type(p->iscsi, ISCSI_SESSION_NORMAL) ||
	    iscsi_set_isid_en(p->iscsi, PROBE_ENTERPRISE,
			      atomic_fetch_add(&qualifier, 1) & 0xffff) ||
	    (r->user && r->user[0] &&
	     iscsi_set_initiator_username_pwd(p->iscsi, r->user, r->secret)))
		return probe_say(p, EIO, iscsi_get_error(p->iscsi));
	return 0;
}

static int connect_portal(struct probe *p)
{
	int rc;

	p->pending = 1;
	if (iscsi_connect_async(p->iscsi, p->request->portal, on_connect, p))
		return probe_say(p, ECONNREFUSED, iscsi_get_error(p->iscsi));
	fcntl(iscsi_get_fd(p->iscsi), F_SETFD, FD_CLOEXEC);
	rc = probe_wait(p);
	if (!rc && p->status != SCSI_STATUS_GOOD)
		rc = probe_say(p, ECONNREFUSED, "the portal does not answer");
	p->connected = !rc;
	return rc;
}

/* 0, or -EACCES if the target said no: class 2 is the initiator's fault (RFC 7143, 11.13.5). */
static int log_in(struct probe *p)
{
	int rc;

	p->pending = 1;
	if (iscsi_login_async(p->iscsi, on_login, p))
		return probe_say(p, EIO, iscsi_get_error(p->iscsi));
	rc = probe_wait(p);
	if (p->refusal >> 8 == 2)
		return probe_say(p, EACCES, iscsi_get_error(p->iscsi));
	if (!rc && !p->logged_in)
		rc = probe_say(p, p->refusal ? EIO : ECONNREFUSED, "the login failed");
	return rc;
}

/* Sends the logout, if there is a session. From here on nobody is told of errors. */
static void log_out(struct probe *p)
{
	p->err = NULL;
	p->pending = 0;
	if (!p->logged_in || iscsi_logout_async(p->iscsi, on_done, p))
		return;
	p->pending = 1;
	send_queued(p);
}

/* Waits for the logout's answer, so that the target has forgotten the session afterwards. */
void probe_end(struct probe *p)
{
	probe_wait(p);
	if (p->iscsi)
		iscsi_destroy_context(p->iscsi);
	free(p);
}

static int begin(struct probe *p)
{
	int rc = open_session(p);

	if (!rc)
		rc = connect_portal(p);
	return rc ? rc : log_in(p);
}

static struct probe *probe_new(const struct probe_request *request, struct error *err)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p) {
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	p->deadline = monotonic_ms() + request->timeout_ms;
	p->request = request;
	p->err = err;
	return p;
}

int probe_look(const struct probe_request *request, struct probe_answer *ret,
	       struct probe **ret_left, struct error *err)
{
	struct probe *p = probe_new(request, err);
	int rc;

	if (!p)
		return -ENOMEM;
	rc = begin(p);
	KILL_POINT(probe_logged_in);
	if (!rc)
		rc = probe_lun(p, ret);
	log_out(p);
	if (ret_left && !rc)
		*ret_left = p;
	else
		probe_end(p);
	return rc;
}

int probe_refused(const struct probe_request *request, struct error *err)
{
	struct probe *p = probe_new(request, err);
	int rc;

	if (!p)
		return -ENOMEM;
	rc = begin(p);
	if (!rc)
		rc = probe_say(p, EIO, "the login is still admitted");
	else if (rc == -EACCES)
		rc = 0;
	log_out(p);
	probe_end(p);
	return rc;
}
