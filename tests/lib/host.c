/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host for tests, over libiscsi's asynchronous interface. */
#include "host.h"

#include "attachfs/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

struct host {
	struct iscsi_context *iscsi;
	unsigned lun, timeout_ms;
	bool done, logged_in;
	unsigned hold_from, sent; /* do not send message number hold_from; 0: send all */
	int status;
	unsigned sense;
	char error[256];
};

static void on_done(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	struct host *h = arg;

	(void)iscsi;
	(void)data;
	h->status = status;
	h->done = true;
}

static int fail(struct host *h, int code, const char *text)
{
	snprintf(h->error, sizeof(h->error), "%s", text && *text ? text : strerror(code));
	return -code;
}

/* libiscsi writes a whole message when it is told that the socket takes it. */
static bool must_hold(struct host *h, short *events)
{
	if (!h->hold_from || !iscsi_out_queue_length(h->iscsi) || !(*events & POLLOUT))
		return false;
	return ++h->sent == h->hold_from;
}

static int wait_done(struct host *h)
{
	int64_t deadline = monotonic_ms() + h->timeout_ms;

	while (!h->done) {
		int64_t left = deadline - monotonic_ms();
		struct pollfd p = {
			.fd = iscsi_get_fd(h->iscsi),
			.events = (short)iscsi_which_events(h->iscsi),
		};

		if (left <= 0)
			return fail(h, ETIMEDOUT, "no answer in time");
		if (p.fd < 0)
			return fail(h, ECONNRESET, "the session is gone");
		if (must_hold(h, &p.events))
			return -EINPROGRESS;
		poll(&p, 1, (int)left);
		if (iscsi_service(h->iscsi, p.revents) < 0 && !h->done)
			return fail(h, ECONNRESET, iscsi_get_error(h->iscsi));
	}
	h->done = false;
	return 0;
}

/* "(513)" at the end of libiscsi's message is the login status; 2 in its high byte: refused. */
static bool was_refused(const char *message)
{
	const char *bracket = strrchr(message, '(');

	return bracket && strtoul(bracket + 1, NULL, 10) >> 8 == 2;
}

static int connect_portal(struct host *h, const char *portal)
{
	int rc;

	if (iscsi_connect_async(h->iscsi, portal, on_done, h))
		return fail(h, ECONNREFUSED, iscsi_get_error(h->iscsi));
	rc = wait_done(h);
	if (!rc && h->status != SCSI_STATUS_GOOD)
		rc = fail(h, ECONNREFUSED, iscsi_get_error(h->iscsi));
	return rc;
}

static int finish_login(struct host *h)
{
	int rc = wait_done(h);

	if (rc)
		return rc;
	if (h->status != SCSI_STATUS_GOOD)
		return fail(h, was_refused(iscsi_get_error(h->iscsi)) ? EACCES : ECONNREFUSED,
			    iscsi_get_error(h->iscsi));
	h->logged_in = true;
	return 0;
}

static int log_in(struct host *h)
{
	if (iscsi_login_async(h->iscsi, on_done, h))
		return fail(h, EIO, iscsi_get_error(h->iscsi));
	return finish_login(h);
}

/* A session of the same initiator and ISID would take the place of one that another process of
 * the same host has (RFC 7143, 6.3.5); so the ISID is random, not the time. */
static int configure(struct host *h, const struct host_login *login)
{
	static atomic_uint qualifier;
	uint32_t random_bits;

	if (getrandom(&random_bits, sizeof(random_bits), 0) != sizeof(random_bits))
		return -EIO;
	h->iscsi = iscsi_create_context(login->initiator);
	if (!h->iscsi)
		return -ENOMEM;
	iscsi_set_noautoreconnect(h->iscsi, 1);
	iscsi_set_targetname(h->iscsi, login->target);
	iscsi_set_session_type(h->iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_isid_random(h->iscsi, random_bits & 0xffffff,
			      atomic_fetch_add(&qualifier, 1) & 0xffff);
	if (login->user && *login->user)
		iscsi_set_initiator_username_pwd(h->iscsi, login->user, login->secret);
	return 0;
}

int host_open_until(const struct host_login *login, unsigned stage, struct host **ret)
{
	struct host *h = calloc(1, sizeof(*h));
	int rc = h ? configure(h, login) : -ENOMEM;

	if (!rc) {
		h->lun = login->lun;
		h->timeout_ms = login->timeout_ms ? login->timeout_ms : 5000;
		rc = connect_portal(h, login->portal);
	}
	if (h)
		h->hold_from = stage;
	if (!rc)
		rc = log_in(h);
	if (rc && !(stage && rc == -EINPROGRESS)) {
		host_drop(h);
		return rc;
	}
	*ret = h;
	return 0;
}

int host_open(const struct host_login *login, struct host **ret)
{
	return host_open_until(login, 0, ret);
}

int host_finish(struct host *h)
{
	h->hold_from = 0;
	return finish_login(h);
}

void host_drop(struct host *h)
{
	if (h && h->iscsi)
		iscsi_destroy_context(h->iscsi);
	free(h);
}

void host_close(struct host *h)
{
	if (!h)
		return;
	h->done = false;
	if (h->logged_in && !iscsi_logout_async(h->iscsi, on_done, h))
		wait_done(h);
	host_drop(h);
}

/* One command; unit attentions are consumed. Copies at most `n_in` bytes of the answer. */
static int command(struct host *h, const unsigned char *cdb, int cdb_size, void *out,
		   size_t n_out, void *in, size_t n_in, size_t *got)
{
	for (int attempt = 0; attempt < 10; attempt++) {
		struct iscsi_data data = {n_out, out};
		struct scsi_task *task = scsi_create_task(
			cdb_size, (unsigned char *)cdb,
			n_out ? SCSI_XFER_WRITE : n_in ? SCSI_XFER_READ : SCSI_XFER_NONE,
			(int)(n_out ? n_out : n_in));
		int rc;

		if (!task)
			return fail(h, ENOMEM, NULL);
		h->sense = 0;
		h->done = false;
		if (iscsi_scsi_command_async(h->iscsi, (int)h->lun, task, on_done,
					     n_out ? &data : NULL, h)) {
			scsi_free_scsi_task(task);
			return fail(h, ECONNRESET, iscsi_get_error(h->iscsi));
		}
		rc = wait_done(h);
		if (rc) {
			iscsi_scsi_cancel_task(h->iscsi, task);
			scsi_free_scsi_task(task);
			return rc;
		}
		if (h->status == SCSI_STATUS_GOOD && n_in) {
			size_t n = (size_t)(task->datain.size > 0 ? task->datain.size : 0);

			n = n < n_in ? n : n_in;
			memcpy(in, task->datain.data, n);
			*got = n;
		}
		if (h->status == SCSI_STATUS_CHECK_CONDITION)
			h->sense = (unsigned)task->sense.key << 16 |
				   (unsigned)(task->sense.ascq & 0xffff);
		scsi_free_scsi_task(task);
		if (h->status == SCSI_STATUS_GOOD)
			return 0;
		if (h->status == SCSI_STATUS_CANCELLED || h->status == SCSI_STATUS_ERROR)
			return fail(h, ECONNRESET, "the session is gone");
		if (h->status == SCSI_STATUS_RESERVATION_CONFLICT)
			return fail(h, EBUSY, "reservation conflict");
		if (h->sense >> 16 != SCSI_SENSE_UNIT_ATTENTION)
			return fail(h, EIO, iscsi_get_error(h->iscsi));
	}
	return fail(h, EIO, "unit attentions without end");
}

static void put_big_endian(unsigned char *out, uint64_t value, int n)
{
	while (n--) {
		out[n] = (unsigned char)value;
		value >>= 8;
	}
}

static void cdb16(unsigned char *cdb, unsigned char opcode, uint64_t lba, unsigned blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	put_big_endian(cdb + 2, lba, 8);
	put_big_endian(cdb + 10, blocks, 4);
}

int host_read(struct host *h, uint64_t lba, void *data, unsigned blocks)
{
	unsigned char cdb[16];
	size_t got = 0;
	int rc;

	cdb16(cdb, 0x88, lba, blocks);
	rc = command(h, cdb, 16, NULL, 0, data, (size_t)blocks * HOST_BLOCK, &got);
	return !rc && got != (size_t)blocks * HOST_BLOCK ? fail(h, EIO, "short read") : rc;
}

int host_write(struct host *h, uint64_t lba, const void *data, unsigned blocks)
{
	unsigned char cdb[16];

	cdb16(cdb, 0x8a, lba, blocks);
	return command(h, cdb, 16, (void *)data, (size_t)blocks * HOST_BLOCK, NULL, 0, NULL);
}

int host_flush(struct host *h)
{
	unsigned char cdb[16];

	cdb16(cdb, 0x91, 0, 0);
	return command(h, cdb, 16, NULL, 0, NULL, 0, NULL);
}

int host_alive(struct host *h)
{
	static const unsigned char cdb[6];

	return command(h, cdb, 6, NULL, 0, NULL, 0, NULL);
}

int host_capacity(struct host *h, uint64_t *ret_bytes)
{
	static const unsigned char cdb[16] = {0x9e, 0x10, [13] = 32};
	unsigned char answer[32] = {0};
	uint64_t last = 0;
	size_t got = 0;
	int rc = command(h, cdb, 16, NULL, 0, answer, sizeof(answer), &got);

	if (!rc && got < 12)
		rc = fail(h, EIO, "short answer");
	if (rc)
		return rc;
	for (int i = 0; i < 8; i++)
		last = last << 8 | answer[i];
	*ret_bytes = (last + 1) * ((uint64_t)answer[8] << 24 | (uint64_t)answer[9] << 16 |
				   (uint64_t)answer[10] << 8 | answer[11]);
	return 0;
}

int host_write_protected(struct host *h, bool *ret)
{
	static const unsigned char cdb[6] = {0x1a, 0, 0x3f, 0, 255, 0};
	unsigned char answer[255] = {0};
	size_t got = 0;
	int rc = command(h, cdb, 6, NULL, 0, answer, sizeof(answer), &got);

	if (!rc && got < 4)
		rc = fail(h, EIO, "short answer");
	if (!rc)
		*ret = answer[2] & 0x80;
	return rc;
}

int host_identity(struct host *h, char *hex, size_t size)
{
	static const unsigned char cdb[6] = {0x12, 1, 0x83, 0, 255, 0};
	unsigned char answer[255] = {0};
	size_t got = 0, n;
	int rc = command(h, cdb, 6, NULL, 0, answer, sizeof(answer), &got);

	if (!rc && (got < 4 || got < 4U + answer[3]))
		rc = fail(h, EIO, "short answer");
	if (rc)
		return rc;
	n = answer[3];
	for (size_t i = 0; i < n && 2 * i + 2 < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", answer[4 + i]);
	return 0;
}

int host_pr_out(struct host *h, enum host_pr action, unsigned type, uint64_t key, uint64_t other)
{
	unsigned char cdb[10] = {0x5f, (unsigned char)action, (unsigned char)type, [8] = 24};
	unsigned char list[24] = {0};

	put_big_endian(list, key, 8);
	put_big_endian(list + 8, other, 8);
	return command(h, cdb, 10, list, sizeof(list), NULL, 0, NULL);
}

static uint64_t get_big_endian(const unsigned char *bytes, int n)
{
	uint64_t value = 0;

	for (int i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* PERSISTENT RESERVE IN: 0 READ KEYS, 1 READ RESERVATION; what follows the header of 8 bytes. */
static int pr_in(struct host *h, int action, unsigned char *answer, size_t size, size_t *ret)
{
	unsigned char cdb[10] = {0x5e, (unsigned char)action};
	size_t got = 0, n;
	int rc;

	put_big_endian(cdb + 7, size, 2);
	rc = command(h, cdb, 10, NULL, 0, answer, size, &got);
	if (!rc && got < 8)
		rc = fail(h, EIO, "short answer");
	if (rc)
		return rc;
	n = get_big_endian(answer + 4, 4);
	*ret = n < got - 8 ? n : got - 8;
	return 0;
}

int host_pr_keys(struct host *h, uint64_t *ret, size_t size, size_t *ret_n)
{
	unsigned char answer[8 + 8 * 32] = {0};
	size_t bytes = 0;
	int rc = pr_in(h, 0, answer, sizeof(answer), &bytes);

	if (rc)
		return rc;
	*ret_n = bytes / 8 < size ? bytes / 8 : size;
	for (size_t i = 0; i < *ret_n; i++)
		ret[i] = get_big_endian(answer + 8 + 8 * i, 8);
	return 0;
}

int host_pr_holder(struct host *h, uint64_t *ret_key, unsigned *ret_type)
{
	unsigned char answer[64] = {0};
	size_t bytes = 0;
	int rc = pr_in(h, 1, answer, sizeof(answer), &bytes);

	if (rc)
		return rc;
	*ret_key = bytes >= 16 ? get_big_endian(answer + 8, 8) : 0;
	*ret_type = bytes >= 16 ? answer[8 + 13] & 15 : 0;
	return 0;
}

unsigned host_sense(const struct host *h)
{
	return h->sense;
}

const char *host_error(const struct host *h)
{
	return h->error;
}

enum payload { PATTERN, PATTERN_TWICE, UNMAP_LIST, ZEROES, NOTHING };

/* SBC-3 and SPC-4; each on one block at address 0. */
static const struct {
	const char *name;
	int size;
	unsigned char cdb[16];
	enum payload payload;
	unsigned bytes;
} opcodes[] = {
	{"WRITE(6)", 6, {0x0a, 0, 0, 0, 1}, PATTERN, 512},
	{"WRITE(10)", 10, {0x2a, [8] = 1}, PATTERN, 512},
	{"WRITE(10) FUA", 10, {0x2a, 8, [8] = 1}, PATTERN, 512},
	{"WRITE(12)", 12, {0xaa, [9] = 1}, PATTERN, 512},
	{"WRITE(16)", 16, {0x8a, [13] = 1}, PATTERN, 512},
	{"WRITE AND VERIFY(10)", 10, {0x2e, [8] = 1}, PATTERN, 512},
	{"WRITE AND VERIFY(12)", 12, {0xae, [9] = 1}, PATTERN, 512},
	{"WRITE AND VERIFY(16)", 16, {0x8e, [13] = 1}, PATTERN, 512},
	{"WRITE SAME(10)", 10, {0x41, [8] = 1}, PATTERN, 512},
	{"WRITE SAME(10) UNMAP", 10, {0x41, 8, [8] = 1}, ZEROES, 512},
	{"WRITE SAME(16)", 16, {0x93, [13] = 1}, PATTERN, 512},
	{"WRITE SAME(16) UNMAP", 16, {0x93, 8, [13] = 1}, ZEROES, 512},
	{"WRITE SAME(16) NDOB", 16, {0x93, 1, [13] = 1}, NOTHING, 0},
	{"UNMAP", 10, {0x42, [8] = 24}, UNMAP_LIST, 24},
	{"ORWRITE(16)", 16, {0x8b, [13] = 1}, PATTERN, 512},
	{"COMPARE AND WRITE", 16, {0x89, [13] = 1}, PATTERN_TWICE, 1024},
	{"WRITE ATOMIC(16)", 16, {0x9c, [13] = 1}, PATTERN, 512},
	{"WRITE LONG(10)", 10, {0x3f, [7] = 2}, PATTERN, 512},
	{"WRITE LONG(16)", 16, {0x9f, 0x11, [12] = 2}, PATTERN, 512},
	{"XDWRITEREAD(10)", 10, {0x53, [8] = 1}, PATTERN, 512},
	{"XPWRITE(10)", 10, {0x51, [8] = 1}, PATTERN, 512},
	{"EXTENDED COPY", 16, {0x83, [13] = 16}, ZEROES, 16},
	{"FORMAT UNIT", 6, {0x04}, NOTHING, 0},
	{"SANITIZE", 10, {0x48, 3, [8] = 8}, ZEROES, 8},
};

const char *host_opcode_name(size_t i)
{
	return i < sizeof(opcodes) / sizeof(opcodes[0]) ? opcodes[i].name : NULL;
}

int host_opcode(struct host *h, size_t i)
{
	unsigned char data[1024];

	memset(data, opcodes[i].payload == ZEROES ? 0 : 0x5a, sizeof(data));
	if (opcodes[i].payload == UNMAP_LIST) {
		memset(data, 0, 24);
		data[1] = 22;
		data[3] = 16;
		data[19] = 1; /* one block at 0 */
	}
	return command(h, opcodes[i].cdb, opcodes[i].size, data, opcodes[i].bytes, NULL, 0, NULL);
}

struct host_writer {
	pthread_t thread;
	struct host *host;
	uint64_t lba;
	unsigned interval_us;
	atomic_ulong count;
	atomic_int failure;
	atomic_bool stop;
};

static void *write_on(void *arg)
{
	struct host_writer *w = arg;
	unsigned char block[HOST_BLOCK];

	while (!w->stop && !w->failure) {
		struct timespec pause = {0, (long)w->interval_us * 1000};
		int rc;

		memset(block, (int)w->count, sizeof(block));
		rc = host_write(w->host, w->lba, block, 1);
		if (rc)
			w->failure = rc;
		else
			w->count++;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

int host_writer_start(const struct host_login *login, uint64_t lba, unsigned interval_us,
		      struct host_writer **ret)
{
	struct host_writer *w = calloc(1, sizeof(*w));
	int rc = w ? host_open(login, &w->host) : -ENOMEM;

	if (!rc) {
		w->lba = lba;
		w->interval_us = interval_us;
		rc = -pthread_create(&w->thread, NULL, write_on, w);
		if (rc)
			host_close(w->host);
	}
	if (rc) {
		free(w);
		return rc;
	}
	*ret = w;
	return 0;
}

unsigned long host_writer_count(struct host_writer *w)
{
	return w->count;
}

int host_writer_failure(struct host_writer *w)
{
	return w->failure;
}

int host_writer_stop(struct host_writer *w)
{
	int failure;

	w->stop = true;
	pthread_join(w->thread, NULL);
	host_close(w->host);
	failure = w->failure;
	free(w);
	return failure;
}
