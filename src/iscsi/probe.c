/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One bounded iSCSI session: login, READ CAPACITY(16), MODE SENSE(6), logout. */
#include "attachfs/probe.h"

#include "attachfs/clock.h"

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

/* A target may report this many unit attentions before its real answer. */
#define ATTENTIONS_MAX 8

/*
 * `done` and `status` are of the one request that is under way; `refusal` is the login
 * response's status class and detail (0x02NN: the initiator's fault), 0 if there was none.
 */
struct probe {
	struct iscsi_context *iscsi;
	int64_t deadline;
	bool done, logged_in;
	int status;
	unsigned refusal;
	const struct probe_request *request;
	struct error *err;
};

static void on_done(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	struct probe *p = arg;

	(void)iscsi;
	(void)data;
	p->status = status;
	p->done = true;
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

static int say(struct probe *p, int code, const char *what)
{
	return error_set(p->err, code, "%s at %s, as %s: %s", p->request->target,
			 p->request->portal, p->request->initiator, what);
}

/* Serves the connection until the request is done: 0, -ETIMEDOUT, -ECONNREFUSED (it broke). */
static int wait_done(struct probe *p)
{
	while (!p->done) {
		int64_t left = p->deadline - monotonic_ms();
		struct pollfd fd = {
			.fd = iscsi_get_fd(p->iscsi),
			.events = (short)iscsi_which_events(p->iscsi),
		};

		if (left <= 0)
			return say(p, ETIMEDOUT, "no answer in time");
		if (fd.fd < 0)
			return say(p, ECONNREFUSED, "the connection broke");
		if (poll(&fd, 1, (int)left) < 0 && errno != EINTR)
			return say(p, errno, "poll failed");
		if (iscsi_service(p->iscsi, fd.revents) < 0 && !p->done)
			return say(p, ECONNREFUSED, "the connection broke");
	}
	p->done = false;
	return 0;
}

static int open_session(struct probe *p)
{
	static atomic_uint qualifier;
	const struct probe_request *r = p->request;

	p->iscsi = iscsi_create_context(r->initiator);
	if (!p->iscsi)
		return say(p, ENOMEM, "out of memory");
	iscsi_set_noautoreconnect(p->iscsi, 1);
	if (iscsi_set_targetname(p->iscsi, r->target) ||
	    iscsi_set_session_type(p->iscsi, ISCSI_SESSION_NORMAL) ||
	    iscsi_set_isid_en(p->iscsi, PROBE_ENTERPRISE,
			      atomic_fetch_add(&qualifier, 1) & 0xffff) ||
	    (r->user && r->user[0] &&
	     iscsi_set_initiator_username_pwd(p->iscsi, r->user, r->secret)))
		return say(p, EIO, iscsi_get_error(p->iscsi));
	return 0;
}

static int connect_portal(struct probe *p)
{
	int rc;

	if (iscsi_connect_async(p->iscsi, p->request->portal, on_connect, p))
		return say(p, ECONNREFUSED, iscsi_get_error(p->iscsi));
	fcntl(iscsi_get_fd(p->iscsi), F_SETFD, FD_CLOEXEC);
	rc = wait_done(p);
	if (!rc && p->status != SCSI_STATUS_GOOD)
		rc = say(p, ECONNREFUSED, "the portal does not answer");
	return rc;
}

/* 0, or -EACCES if the target said no: class 2 is the initiator's fault (RFC 7143, 11.13.5). */
static int log_in(struct probe *p)
{
	int rc;

	if (iscsi_login_async(p->iscsi, on_login, p))
		return say(p, EIO, iscsi_get_error(p->iscsi));
	rc = wait_done(p);
	if (p->refusal >> 8 == 2)
		return say(p, EACCES, iscsi_get_error(p->iscsi));
	if (!rc && !p->logged_in)
		rc = say(p, p->refusal ? EIO : ECONNREFUSED, "the login failed");
	return rc;
}

typedef struct scsi_task *send_fn(struct probe *p);

static struct scsi_task *send_capacity(struct probe *p)
{
	return iscsi_readcapacity16_task(p->iscsi, (int)p->request->lun, on_done, p);
}

/* Page 0x3f: all pages; the write protect bit is in the header of any. */
static struct scsi_task *send_mode_sense(struct probe *p)
{
	return iscsi_modesense6_task(p->iscsi, (int)p->request->lun, 0, 0, 0x3f, 0, 255, on_done,
				     p);
}

/*
 * Runs one command past its unit attentions and copies `n` bytes of the answer. Raw bytes with
 * an explicit length, because a short answer must not be read beyond its end.
 */
static int command(struct probe *p, send_fn *send, const char *name, unsigned char *out, size_t n)
{
	for (int attentions = 0; attentions <= ATTENTIONS_MAX; attentions++) {
		struct scsi_task *task = send(p);
		bool attention;
		int rc;

		if (!task)
			return say(p, EIO, iscsi_get_error(p->iscsi));
		rc = wait_done(p);
		if (rc) {
			/* Out of the context first, which would else still point to it. */
			iscsi_scsi_cancel_task(p->iscsi, task);
			scsi_free_scsi_task(task);
			return rc;
		}
		attention = p->status == SCSI_STATUS_CHECK_CONDITION &&
			    task->sense.key == SCSI_SENSE_UNIT_ATTENTION;
		if (p->status == SCSI_STATUS_GOOD && task->datain.size >= (int)n) {
			memcpy(out, task->datain.data, n);
			scsi_free_scsi_task(task);
			return 0;
		}
		scsi_free_scsi_task(task);
		if (!attention)
			break;
	}
	return error_set(p->err, EIO, "%s at %s, as %s: LUN %u does not answer %s",
			 p->request->target, p->request->portal, p->request->initiator,
			 p->request->lun, name);
}

static uint64_t big_endian(const unsigned char *bytes, int n)
{
	uint64_t value = 0;

	for (int i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

static int look_at_lun(struct probe *p, struct probe_answer *ret)
{
	unsigned char capacity[12], mode[4];
	struct probe_answer answer;
	int rc = command(p, send_capacity, "READ CAPACITY(16)", capacity, sizeof(capacity));

	if (!rc)
		rc = command(p, send_mode_sense, "MODE SENSE(6)", mode, sizeof(mode));
	if (rc)
		return rc;
	answer.block_size = (unsigned)big_endian(capacity + 8, 4);
	if (__builtin_mul_overflow(big_endian(capacity, 8) + 1, answer.block_size,
				   &answer.size_bytes))
		return say(p, EIO, "READ CAPACITY(16) answers nonsense");
	answer.write_protected = mode[2] & 0x80;
	*ret = answer;
	return 0;
}

/* Waits for the logout's answer, so that the target has forgotten the session afterwards. */
static void close_session(struct probe *p)
{
	struct error *err = p->err;

	p->err = NULL;
	p->done = false;
	if (p->logged_in && !iscsi_logout_async(p->iscsi, on_done, p))
		wait_done(p);
	if (p->iscsi)
		iscsi_destroy_context(p->iscsi);
	p->err = err;
}

static int begin(struct probe *p)
{
	int rc = open_session(p);

	if (!rc)
		rc = connect_portal(p);
	return rc ? rc : log_in(p);
}

int probe_look(const struct probe_request *request, struct probe_answer *ret, struct error *err)
{
	struct probe p = {
		.deadline = monotonic_ms() + request->timeout_ms,
		.request = request,
		.err = err,
	};
	int rc = begin(&p);

	if (!rc)
		rc = look_at_lun(&p, ret);
	close_session(&p);
	return rc;
}

int probe_refused(const struct probe_request *request, struct error *err)
{
	struct probe p = {
		.deadline = monotonic_ms() + request->timeout_ms,
		.request = request,
		.err = err,
	};
	int rc = begin(&p);

	if (!rc)
		rc = say(&p, EIO, "the login is still admitted");
	else if (rc == -EACCES)
		rc = 0;
	close_session(&p);
	return rc;
}
