/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a session sees of its LUN: capacity and write protection, asked for at once. */
#include "session.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <string.h>

#include <iscsi/scsi-lowlevel.h>

/* A target may report this many unit attentions before its real answer. */
#define ATTENTIONS_MAX 8

/*
 * One SCSI command: the first `n` bytes of its answer go to `out`. `also` is a status that is as
 * good an answer as GOOD (0), without any bytes; `key` is the sense that may come with it.
 */
struct command {
	struct scsi_task *(*send)(struct probe *p, struct command *c);
	const char *name;
	unsigned char *out;
	size_t n;
	int also, key;
	struct probe *probe;
	struct scsi_task *task; /* while it is under way, or was answered and not yet read */
	int status;
	bool answered;
};

static void on_command(struct iscsi_context *iscsi, int status, void *data, void *arg)
{
	struct command *c = arg;

	(void)iscsi;
	(void)data;
	c->status = status;
	c->probe->pending--;
}

/* A LUN that is not ready says so instead of a capacity. */
static struct scsi_task *send_capacity(struct probe *p, struct command *c)
{
	return iscsi_readcapacity16_task(p->iscsi, (int)p->request->lun, on_command, c);
}

/* Page 0x3f: all pages; the write protect bit is in the header of any. */
static struct scsi_task *send_mode_sense(struct probe *p, struct command *c)
{
	return iscsi_modesense6_task(p->iscsi, (int)p->request->lun, 0, 0, 0x3f, 0, 255,
				     on_command, c);
}

/* Not one descriptor, so it changes nothing; but it is a command that writes. */
static struct scsi_task *send_unmap_nothing(struct probe *p, struct command *c)
{
	return iscsi_unmap_task(p->iscsi, (int)p->request->lun, 0, 0, NULL, 0, on_command, c);
}

/* Those that are not answered yet, all at once. */
static int send_commands(struct probe *p, struct command *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].answered)
			continue;
		list[i].probe = p;
		list[i].task = list[i].send(p, &list[i]);
		if (!list[i].task)
			return probe_say(p, EIO, iscsi_get_error(p->iscsi));
		p->pending++;
	}
	return 0;
}

/*
 * Raw bytes with an explicit length, because a short answer must not be read beyond its end.
 * -EAGAIN: it was a unit attention instead of an answer.
 */
static int read_answer(struct command *c)
{
	const struct scsi_task *task = c->task;

	c->key = c->status == SCSI_STATUS_CHECK_CONDITION ? task->sense.key : 0;
	if (c->key == SCSI_SENSE_UNIT_ATTENTION)
		return -EAGAIN;
	if (c->also && c->status == c->also) {
		c->answered = true;
		return 0;
	}
	if (c->status != SCSI_STATUS_GOOD || task->datain.size < (int)c->n)
		return -EIO;
	if (c->n)
		memcpy(c->out, task->datain.data, c->n);
	c->answered = true;
	return 0;
}

/* What is unanswered goes out of the context first, which would else still point to it. */
static void drop_commands(struct probe *p, struct command *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!list[i].task)
			continue;
		if (p->pending)
			iscsi_scsi_cancel_task(p->iscsi, list[i].task);
		scsi_free_scsi_task(list[i].task);
		list[i].task = NULL;
	}
	p->pending = 0;
}

/* -EAGAIN: some have not been answered, or not been sent. */
static int read_answers(struct probe *p, struct command *list, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		int one = list[i].task ? read_answer(&list[i]) : list[i].answered ? 0 : -EAGAIN;

		if (one == -EIO)
			error_set(p->err, EIO, "%s at %s, as %s: LUN %u does not answer %s",
				  p->request->target, p->request->portal,
				  p->request->initiator, p->request->lun, list[i].name);
		rc = one && rc != -EIO ? one : rc;
	}
	return rc;
}

/*
 * Runs them all, past the LUN's unit attentions. The first one goes alone: it takes the attention
 * that a new session finds, and with its answer the target's window opens for all of them.
 */
static int run_commands(struct probe *p, struct command *list, size_t n)
{
	int rc = -EAGAIN;

	for (int attentions = 0; attentions <= ATTENTIONS_MAX && rc == -EAGAIN; attentions++) {
		rc = send_commands(p, list, attentions ? n : 1);
		if (!rc)
			rc = probe_wait(p);
		if (!rc)
			rc = read_answers(p, list, n);
		drop_commands(p, list, n);
	}
	return rc == -EAGAIN ? probe_say(p, EIO, "the LUN has nothing but unit attentions") : rc;
}

static uint64_t big_endian(const unsigned char *bytes, int n)
{
	uint64_t value = 0;

	for (int i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

/*
 * Another host's persistent reservation forbids to read the modes. So the LUN is asked to carry out
 * a command that writes: it does, or says that it is protected. (By SPC-4 it might answer with
 * another conflict; no target that was tried does.)
 */
static int look_past_reservation(struct probe *p, bool *ret_protected)
{
	struct command unmap = {.send = send_unmap_nothing,
				.name = "UNMAP",
				.also = SCSI_STATUS_CHECK_CONDITION};
	int rc = run_commands(p, &unmap, 1);

	if (!rc && unmap.key && unmap.key != SCSI_SENSE_DATA_PROTECTION)
		rc = probe_say(p, EIO, "another host's reservation hides the write protection");
	if (!rc)
		*ret_protected = unmap.key;
	return rc;
}

int probe_lun(struct probe *p, struct probe_answer *ret)
{
	unsigned char capacity[12], mode[4] = {0};
	struct command commands[] = {
		{.send = send_capacity,
		 .name = "READ CAPACITY(16)",
		 .out = capacity,
		 .n = sizeof(capacity)},
		{.send = send_mode_sense,
		 .name = "MODE SENSE(6)",
		 .out = mode,
		 .n = sizeof(mode),
		 .also = SCSI_STATUS_RESERVATION_CONFLICT},
	};
	struct probe_answer answer;
	int rc = run_commands(p, commands, ARRAY_SIZE(commands));

	if (rc)
		return rc;
	answer.block_size = (unsigned)big_endian(capacity + 8, 4);
	if (__builtin_mul_overflow(big_endian(capacity, 8) + 1, answer.block_size,
				   &answer.size_bytes))
		return probe_say(p, EIO, "READ CAPACITY(16) answers nonsense");
	answer.write_protected = mode[2] & 0x80;
	if (commands[1].status == SCSI_STATUS_RESERVATION_CONFLICT)
		rc = look_past_reservation(p, &answer.write_protected);
	if (!rc)
		*ret = answer;
	return rc;
}
