/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bench baseline: the steps of a durable, verified attach and detach, one after another. */

/*
 * usage: floor NEW_DIR TGT_SOCKET PORTAL VOLUMES THREADS
 *
 * TGT_SOCKET is the management socket of a private tgtd, PORTAL its ADDRESS:PORT.
 * Reserves VOLUMES volumes, attaches them, each with a target and a CHAP account of its
 * own, and detaches them.
 *
 * reserve = synced commit
 * attach = synced commit (intent), export over tgtd's socket, libiscsi login and probe
 * (unit ready, capacity, write protection), synced commit (result)
 * detach = synced commit, unbind, a login that must be refused, removal, synced commit
 *
 * Prints "ATTACHES DETACHES RESERVATIONS", each per second. It uses none of attachfs's code on
 * purpose: what the driver wastes must show.
 */

#include <fcntl.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attachfs/cleanup.h"
#include "commits.h"

#define VOLUME_BYTES  (16 << 20)
#define INITIATOR     "iqn.2026-11.io.attachfs.bench:host"
#define SECRET	      "0123456789abcdef0123456789abcdef"
#define LUN	      1
#define WRITE_PROTECT 0x80

/* Numbers of tgt's management protocol (usr/tgtadm.h of its sources). */
enum tgt_mode { TGT_TARGET = 1, TGT_DEVICE = 2, TGT_ACCOUNT = 7 };
enum tgt_op { TGT_NEW = 0, TGT_DELETE = 1, TGT_BIND = 3, TGT_UNBIND = 4, TGT_UPDATE = 5 };

/* One request of a connection: this, then `len - sizeof` bytes of NUL-terminated text. */
struct tgt_request {
	uint32_t mode, op;
	char driver[64];
	uint32_t len;
	int32_t tid;
	uint64_t sid, lun;
	uint32_t cid, host, device_type, ac_dir, pack, force;
};

struct tgt_answer {
	uint32_t err, len;
};

struct bench_floor {
	struct commits commits;
	const char *dir, *portal;
	unsigned volumes;
	struct sockaddr_un socket;
};

static int tgt_connect(const struct bench_floor *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&f->socket, sizeof(f->socket)))
		bench_die("%s: %s", f->socket.sun_path, strerror(errno));
	return fd;
}

static void __attribute__((format(printf, 5, 6)))
tgt_call(const struct bench_floor *f, enum tgt_mode mode, enum tgt_op op, unsigned volume,
	 const char *format, ...)
{
	struct {
		struct tgt_request head;
		char text[512];
	} r = {.head = {.mode = mode, .op = op, .driver = "iscsi"}};
	struct tgt_answer answer;
	_cleanup_close_ int fd = tgt_connect(f);
	va_list args;

	va_start(args, format);
	r.head.len = sizeof(r.head) +
		     (unsigned)vsnprintf(r.text, sizeof(r.text), format, args) + 1;
	va_end(args);
	r.head.tid = mode == TGT_ACCOUNT && op < TGT_BIND ? -1 : (int)volume + 1;
	r.head.lun = mode == TGT_DEVICE ? LUN : 0;
	if (write(fd, &r, r.head.len) != (ssize_t)r.head.len ||
	    recv(fd, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) ||
	    answer.err)
		bench_die("tgtd: request mode %u op %u \"%s\": error %u", mode, op,
			  r.text, answer.err);
}

static void volume_path(const struct bench_floor *f, unsigned volume, char out[256])
{
	snprintf(out, 256, "%s/volume%u", f->dir, volume);
}

static void target_name(unsigned volume, char out[128])
{
	snprintf(out, 128, "iqn.2026-11.io.attachfs.bench:volume%u.rw", volume);
}

static void export_volume(const struct bench_floor *f, unsigned v)
{
	char path[256], name[128];

	volume_path(f, v, path);
	target_name(v, name);
	tgt_call(f, TGT_TARGET, TGT_NEW, v, "targetname=%s", name);
	tgt_call(f, TGT_DEVICE, TGT_NEW, v, "path=%s,bstype=rdwr", path);
	tgt_call(f, TGT_DEVICE, TGT_UPDATE, v, "targetOps scsi_id=%031x,scsi_sn=%031x,",
		 v, v);
	tgt_call(f, TGT_ACCOUNT, TGT_NEW, v, "user=user%u,password=" SECRET, v);
	tgt_call(f, TGT_ACCOUNT, TGT_BIND, v, "user=user%u", v);
	tgt_call(f, TGT_TARGET, TGT_BIND, v, "initiator-name=" INITIATOR);
}

static void unexport_volume(const struct bench_floor *f, unsigned v)
{
	tgt_call(f, TGT_TARGET, TGT_DELETE, v, "%s", "");
	tgt_call(f, TGT_ACCOUNT, TGT_DELETE, v, "user=user%u", v);
}

static struct iscsi_context *login(const struct bench_floor *f, unsigned v, bool *ret_ok)
{
	struct iscsi_context *iscsi = iscsi_create_context(INITIATOR);
	char name[128], user[32];

	if (!iscsi)
		bench_die("cannot make an iSCSI context");
	target_name(v, name);
	snprintf(user, sizeof(user), "user%u", v);
	iscsi_set_targetname(iscsi, name);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_initiator_username_pwd(iscsi, user, SECRET);
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_timeout(iscsi, 10);
	*ret_ok = !iscsi_full_connect_sync(iscsi, f->portal, LUN);
	return iscsi;
}

static bool capacity_is_right(struct iscsi_context *iscsi)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(iscsi, LUN);
	struct scsi_readcapacity16 *c = task ? scsi_datain_unmarshall(task) : NULL;
	bool ok = c && task->status == SCSI_STATUS_GOOD &&
		  (c->returned_lba + 1) * c->block_length == VOLUME_BYTES;

	if (task)
		scsi_free_scsi_task(task);
	return ok;
}

static bool is_writable(struct iscsi_context *iscsi)
{
	struct scsi_task *task =
		iscsi_modesense6_sync(iscsi, LUN, 0, SCSI_MODESENSE_PC_CURRENT,
				      SCSI_MODEPAGE_RETURN_ALL_PAGES, 0, 255);
	struct scsi_mode_sense *m = task ? scsi_datain_unmarshall(task) : NULL;
	bool ok = m && task->status == SCSI_STATUS_GOOD &&
		  !(m->device_specific_parameter & WRITE_PROTECT);

	if (task)
		scsi_free_scsi_task(task);
	return ok;
}

static void probe_volume(const struct bench_floor *f, unsigned v)
{
	bool ok;
	struct iscsi_context *iscsi = login(f, v, &ok);

	if (!ok || !capacity_is_right(iscsi) || !is_writable(iscsi))
		bench_die("probe of volume %u: %s", v, iscsi_get_error(iscsi));
	iscsi_logout_sync(iscsi);
	iscsi_destroy_context(iscsi);
}

static void probe_refusal(const struct bench_floor *f, unsigned v)
{
	bool ok;
	struct iscsi_context *iscsi = login(f, v, &ok);

	if (ok)
		bench_die("volume %u: a login after the detach was accepted", v);
	iscsi_destroy_context(iscsi);
}

/* The attachment's state, and with it its volume's. */
static void commit(struct bench_floor *f, unsigned v, unsigned generation)
{
	commits_add(&f->commits, f->volumes + v, v, generation);
}

static void reserve(void *arg, unsigned v, unsigned thread)
{
	(void)thread;
	commit(arg, v, 0);
}

static void attach(void *arg, unsigned v, unsigned thread)
{
	struct bench_floor *f = arg;

	(void)thread;
	commit(f, v, 1);
	export_volume(f, v);
	probe_volume(f, v);
	commit(f, v, 2);
}

static void detach(void *arg, unsigned v, unsigned thread)
{
	struct bench_floor *f = arg;

	(void)thread;
	commit(f, v, 3);
	tgt_call(f, TGT_TARGET, TGT_UNBIND, v, "initiator-name=" INITIATOR);
	probe_refusal(f, v);
	unexport_volume(f, v);
	commit(f, v, 4);
}

static void make_volume(void *arg, unsigned v, unsigned thread)
{
	_cleanup_close_ int fd = -1;
	char path[256];

	(void)thread;
	volume_path(arg, v, path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, VOLUME_BYTES))
		bench_die("%s: %s", path, strerror(errno));
}

/* So that the first commit does not write them, too. */
static void sync_files(const struct bench_floor *f)
{
	_cleanup_close_ int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		bench_die("%s: %s", f->dir, strerror(errno));
}

int main(int argc, char **argv)
{
	struct bench_floor f = {.socket = {.sun_family = AF_UNIX}};
	unsigned threads;
	double held, up, down;

	if (argc != 6)
		bench_die("usage: floor NEW_DIR TGT_SOCKET PORTAL VOLUMES THREADS");
	f.dir = argv[1];
	f.portal = argv[3];
	f.volumes = bench_number(argv[4], 1, 10000);
	threads = bench_number(argv[5], 1, BENCH_THREADS_MAX);
	if (!text_copy(f.socket.sun_path, sizeof(f.socket.sun_path), text_of(argv[2])))
		bench_die("%s: too long for a socket", argv[2]);
	commits_open(&f.commits, f.dir);
	commits_age(&f.commits, 2 * f.volumes);
	bench_parallel(1, f.volumes, make_volume, &f);
	sync_files(&f);
	held = bench_parallel(threads, f.volumes, reserve, &f);
	up = bench_parallel(threads, f.volumes, attach, &f);
	down = bench_parallel(threads, f.volumes, detach, &f);
	printf("%.1f %.1f %.1f\n", f.volumes / up, f.volumes / down, f.volumes / held);
	commits_close(&f.commits);
	return EXIT_SUCCESS;
}
