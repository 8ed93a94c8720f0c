/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The management protocol of tgtd, spoken without blocking and against a deadline. */
#include "tgt_mgmt.h"

#include "attachfs/cleanup.h"
#include "attachfs/kill.h"

#include "drivers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* tgtd closes the connection on more. */
#define PARAMS_MAX 8191

/* A listing of 5,000 targets has 5.4 MB. */
#define REPLY_MAX (64U << 20)

/*
 * What goes over the socket, in the byte order of the machine, natural alignment, 120 bytes;
 * `length` counts this header, the parameters and their NUL. Unused fields are 0.
 */
struct wire_request {
	uint32_t mode, op;
	char transport[64];
	uint32_t length;
	int32_t tid;
	uint64_t sid, lun;
	uint32_t cid, host, device_type, account_direction, pack, force;
};

/* `error` is 0 or one of tgtd's own numbers; `length` counts this header and the text. */
struct wire_reply {
	uint32_t error, length;
};

_Static_assert(sizeof(struct wire_request) == 120, "layout of tgtd's management protocol");
_Static_assert(sizeof(struct wire_reply) == 8, "layout of tgtd's management protocol");

static const struct {
	int code;
	const char *text;
} tgt_errors[] = {
	[1] = {EIO, "unknown error"},
	[2] = {ENOMEM, "out of memory"},
	[3] = {EIO, "no iSCSI transport"},
	[4] = {ENXIO, "no such target"},
	[5] = {ENOENT, "no such LUN"},
	[6] = {ENOENT, "no such session"},
	[7] = {ENOENT, "no such connection"},
	[8] = {ENOENT, "no such binding"},
	[9] = {EEXIST, "the target exists already"},
	[10] = {EEXIST, "the LUN exists already"},
	[11] = {EEXIST, "the binding exists already"},
	[12] = {EEXIST, "the initiator is bound already"},
	[13] = {ENOENT, "the initiator is not bound"},
	[14] = {EEXIST, "the account exists already"},
	[15] = {ENOENT, "no such account"},
	[16] = {EIO, "too many accounts"},
	[17] = {EIO, "invalid request"},
	[18] = {EEXIST, "an outgoing account exists already"},
	[19] = {EBUSY, "the target is in use"},
	[20] = {EBUSY, "the LUN is in use"},
	[21] = {EBUSY, "the transport is in use"},
	[22] = {EIO, "unsupported operation"},
	[23] = {EIO, "unknown parameter"},
	[24] = {EBUSY, "a host prevents removal"},
};

bool tgt_value_ok(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value > '~' || strchr(",\"'", *value))
			return false;
	return true;
}

static int lost(const struct tgt_link *link, int code, struct error *err)
{
	return error_set(err, code == ETIMEDOUT ? ETIMEDOUT : ECONNREFUSED,
			 "tgtd at %s: %s", link->socket, strerror(code));
}

static int wait_for(const struct tgt_link *link, int fd, short events, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = link->deadline - monotonic_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (!n)
			return lost(link, ETIMEDOUT, err);
		if (errno != EINTR)
			return lost(link, errno, err);
	}
}

/* The backlog is full: waits in the kernel for a place in it, which poll() cannot. */
static int connect_patiently(const struct tgt_link *link, int fd,
			     const struct sockaddr_un *address)
{
	int64_t left = link->deadline - monotonic_ms();
	struct timeval patience = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	int flags = fcntl(fd, F_GETFL), code;

	if (left <= 0)
		return ETIMEDOUT;
	if (flags < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return errno;
	code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	if (!code && fcntl(fd, F_SETFL, flags))
		return errno;
	return code == EAGAIN ? ETIMEDOUT : code;
}

static int connect_socket(const struct tgt_link *link, int *ret, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code = EAGAIN;

	if (fd < 0)
		return lost(link, errno, err);
	memcpy(address.sun_path, link->socket, sizeof(address.sun_path));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		code = 0;
	else if (errno != EAGAIN && errno != EINTR)
		return lost(link, errno, err);
	while (code == EAGAIN || code == EINTR)
		code = connect_patiently(link, fd, &address);
	if (code)
		return lost(link, code, err);
	*ret = steal_fd(&fd);
	return 0;
}

static int peer_pid(const struct tgt_link *link, int fd, pid_t *ret, struct error *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return lost(link, errno, err);
	*ret = peer.pid;
	return 0;
}

static int send_all(const struct tgt_link *link, int fd, const void *data, size_t n,
		    struct error *err)
{
	const char *p = data;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		int rc = 0;

		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			rc = wait_for(link, fd, POLLOUT, err);
		} else if (errno != EINTR) {
			rc = lost(link, errno, err);
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int receive_all(const struct tgt_link *link, int fd, void *data, size_t n,
		       struct error *err)
{
	char *p = data;

	while (n) {
		ssize_t got = recv(fd, p, n, 0);
		int rc = 0;

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (!got) {
			rc = lost(link, ECONNRESET, err);
		} else if (errno == EAGAIN) {
			rc = wait_for(link, fd, POLLIN, err);
		} else if (errno != EINTR) {
			rc = lost(link, errno, err);
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int send_request(const struct tgt_link *link, int fd, const struct tgt_request *request,
			struct error *err)
{
	struct wire_request header = {
		.mode = request->mode,
		.op = request->op,
		.transport = "iscsi",
		.length = sizeof(header),
		.tid = request->tid,
		.sid = request->sid,
		.lun = request->lun,
		.cid = request->cid,
	};
	size_t n = request->params ? strlen(request->params) + 1 : 0;
	BUF_AUTO(message);
	int rc;

	if (n > PARAMS_MAX)
		return error_set(err, EINVAL, "tgtd takes at most %d bytes", PARAMS_MAX);
	header.length += (uint32_t)n;
	buf_add(&message, &header, sizeof(header));
	buf_add(&message, request->params, n);
	if (buf_error(&message))
		return error_set(err, ENOMEM, "out of memory");
	rc = send_all(link, fd, message.data, message.len, err);
	explicit_bzero(message.data, message.len); /* may hold a secret */
	return rc;
}

static int receive_text(const struct tgt_link *link, int fd, size_t n, struct buf *reply,
			struct error *err)
{
	char chunk[16384];

	while (n) {
		size_t part = n < sizeof(chunk) ? n : sizeof(chunk);
		int rc = receive_all(link, fd, chunk, part, err);

		if (rc)
			return rc;
		if (reply)
			buf_add(reply, chunk, part);
		n -= part;
	}
	if (reply && buf_error(reply))
		return error_set(err, ENOMEM, "out of memory");
	while (reply && reply->len && !reply->data[reply->len - 1])
		reply->len--; /* tgtd sends the NUL of its text, too */
	return 0;
}

static int receive_reply(const struct tgt_link *link, int fd, struct buf *reply,
			 struct error *err)
{
	struct wire_reply header;
	int rc = receive_all(link, fd, &header, sizeof(header), err);

	if (rc)
		return rc;
	if (header.length < sizeof(header) || header.length > REPLY_MAX)
		return error_set(err, EPROTO, "tgtd at %s answers nonsense", link->socket);
	rc = receive_text(link, fd, header.length - sizeof(header), reply, err);
	if (rc || !header.error)
		return rc;
	if (header.error >= ARRAY_SIZE(tgt_errors))
		return error_set(err, EIO, "tgtd: error %u", header.error);
	return error_set(err, tgt_errors[header.error].code, "tgtd: %s",
			 tgt_errors[header.error].text);
}

/*
 * tgtd 1.0.85 reads a request with read(2) and takes 0, the end, for an error only if errno is
 * not EAGAIN, which it has been ever since a host's connection was read to its end. So when a
 * connection ends before its request is whole, tgtd never closes it, is woken by it at once and
 * always, and runs at real-time priority. Hence no connection is closed on which nothing was
 * asked; this asks for something cheap.
 */
static const struct tgt_request nothing = {.mode = TGT_PORTAL, .op = TGT_SHOW, .tid = -1};

static int ask_nothing(const struct tgt_link *link, int fd, struct error *err)
{
	int rc = send_request(link, fd, &nothing, err);

	return rc ? rc : receive_reply(link, fd, NULL, err);
}

static int connect_daemon(const struct tgt_link *link, int *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	pid_t pid = 0;
	int rc = connect_socket(link, &fd, err);

	if (!rc)
		rc = peer_pid(link, fd, &pid, err);
	if (rc)
		return rc;
	if (link->pid && pid != link->pid) {
		ask_nothing(link, fd, NULL);
		return error_set(err, ESTALE, "tgtd at %s was restarted", link->socket);
	}
	*ret = steal_fd(&fd);
	return 0;
}

int tgt_mgmt_receive(const struct tgt_link *link, int fd, struct buf *reply, struct error *err)
{
	int rc = receive_reply(link, fd, reply, err);

	KILL_POINT(tgt_answered);
	return rc;
}

int tgt_mgmt_send(const struct tgt_link *link, const struct tgt_request *request, int *ret_fd,
		  struct error *err)
{
	_cleanup_close_ int fd = -1;
	int rc = connect_daemon(link, &fd, err);

	KILL_POINT(tgt_asking);
	if (!rc)
		rc = send_request(link, fd, request, err);
	KILL_POINT(tgt_asked);
	if (!rc)
		*ret_fd = steal_fd(&fd);
	return rc;
}

int tgt_mgmt_call(const struct tgt_link *link, const struct tgt_request *request,
		  struct buf *reply, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int rc = tgt_mgmt_send(link, request, &fd, err);

	return rc ? rc : tgt_mgmt_receive(link, fd, reply, err);
}

int tgt_listener(const struct tgt_link *link, pid_t *ret, struct error *err)
{
	_cleanup_close_ int fd = -1;
	pid_t pid = 0;
	int rc = connect_socket(link, &fd, err);

	if (!rc)
		rc = peer_pid(link, fd, &pid, err);
	if (!rc)
		rc = ask_nothing(link, fd, err);
	if (!rc)
		*ret = pid;
	return rc;
}

/*
 * A request whose answer cannot be sent leaves EPIPE in tgtd's errno, and with that it closes the
 * connections that it is woken by, before a host's can put EAGAIN there again.
 */
int tgt_mgmt_bury(const struct tgt_link *link, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int rc = connect_daemon(link, &fd, err);

	if (!rc && shutdown(fd, SHUT_RD))
		rc = lost(link, errno, err);
	if (!rc)
		rc = send_request(link, fd, &nothing, err);
	/* Readable at once, for it is shut: that tgtd has closed it shows as POLLHUP alone. */
	return rc ? rc : wait_for(link, fd, 0, err);
}
