/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A test bed for drivers. */
#include "bed.h"

#include "attachfs/buf.h"
#include "attachfs/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static bool port_is_free(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return !bind(fd, (struct sockaddr *)&address, sizeof(address));
}

/* Two free ports in a row below 3400, beginning where other tests do not. */
static unsigned choose_port(void)
{
	unsigned start = (unsigned)getpid() % 25;

	for (unsigned i = 0; i < 25; i++) {
		unsigned port = 3300 + (start + i) % 25 * 4;

		if (port_is_free(port) && port_is_free(port + 1))
			return port;
	}
	fail_msg("no free port from 3300 to 3399");
	return 0;
}

static void open_backend(struct bed *bed)
{
	bed_ok(bed, bed->driver->open(&bed->dock, bed->state, &bed->backend, &bed->err));
}

void bed_open(struct bed *bed, const char *driver, const char *extra)
{
	BUF_AUTO(yaml);

	*bed = (struct bed){.driver = driver_find(driver), .real = !strcmp(driver, "tgt")};
	assert_non_null(bed->driver);
	snprintf(bed->dir, sizeof(bed->dir), "/tmp/attachfs-bed.XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	snprintf(bed->state, sizeof(bed->state), "%s/state", bed->dir);
	snprintf(bed->pool_dir, sizeof(bed->pool_dir), "%s/pool", bed->dir);
	snprintf(bed->control, sizeof(bed->control), "%s/control", bed->dir);
	assert_int_equal(mkdir(bed->state, 0700), 0);
	bed->port = choose_port();
	buf_printf(&yaml, "tgt: {portal: 127.0.0.1:%u, spawn: true%s}\nmemory: {control: %s}\n",
		   bed->port, extra ? extra : "", bed->control);
	bed_ok(bed, conf_parse_text("bed.yaml", buf_as_text(&yaml), &bed->root, &bed->err));
	bed->pool = (struct pool_conf){
		.name = "pool",
		.path = bed->pool_dir,
		.total_bytes = 100ULL << 30,
		.thin = true,
		.node = bed->root,
	};
	bed->dock = (struct dock_conf){
		.name = "bed",
		.driver = driver,
		.root = bed->root,
		.pools = &bed->pool,
		.n_pools = 1,
	};
	bed_ok(bed, bed->driver->check_config(&bed->dock, &bed->err));
	open_backend(bed);
}

void bed_reopen(struct bed *bed)
{
	bed->driver->close(bed->backend);
	open_backend(bed);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void bed_close(struct bed *bed)
{
	for (int n = 0; n < 4; n++)
		bed_kill_daemon(bed, n);
	if (bed->backend)
		bed->driver->close(bed->backend);
	conf_free(bed->root);
	nftw(bed->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Who holds the lock beside its socket: to connect and ask nothing would keep tgtd awake for ever. */
pid_t bed_daemon(const struct bed *bed, int n)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	char path[128];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/tgt.bed/s.%d.lock", bed->state, n + 1);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

/* Gone, or waiting to be reaped by init: its "State:" is Z. */
static bool is_gone(pid_t pid)
{
	char path[64], stat[512] = "";
	_cleanup_close_ int fd = -1;
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, stat, sizeof(stat) - 1) <= 0)
		return true;
	p = strrchr(stat, ')');
	return !p || strchr("ZX", p[2]);
}

void bed_kill_daemon(const struct bed *bed, int n)
{
	static const struct timespec pause = {0, 1000000};
	pid_t pid = bed_daemon(bed, n);

	if (!pid)
		return;
	kill(pid, SIGKILL);
	for (int i = 0; i < 5000 && !is_gone(pid); i++)
		nanosleep(&pause, NULL);
}

struct backend_volume bed_volume(unsigned n)
{
	struct backend_volume v = {.pool = "pool", .size_bytes = BED_BYTES};

	snprintf(v.id, sizeof(v.id), "%08x-1111-4222-8333-444455556666", n);
	return v;
}

struct backend_export bed_export(unsigned host, enum access_mode mode)
{
	struct backend_export e = {.mode = mode, .shard = -1};

	snprintf(e.initiator, sizeof(e.initiator), "iqn.2026-01.test:host%u", host);
	snprintf(e.chap_user, sizeof(e.chap_user), "user%u@%s", host, e.initiator);
	snprintf(e.chap_secret, sizeof(e.chap_secret), "secret-of-host-%u", host);
	return e;
}

struct host_login bed_login(const struct backend_export *e, const struct backend_connection *c)
{
	return (struct host_login){
		.portal = c->target_portal,
		.target = c->target_iqn,
		.initiator = e->initiator,
		.user = c->chap ? e->chap_user : NULL,
		.secret = e->chap_secret,
		.lun = c->target_lun,
		.timeout_ms = 5000,
	};
}

void bed_ok_(struct bed *bed, int rc, const char *call, const char *file, int line)
{
	if (rc)
		print_error("%s: %d (%s)\n", call, rc, bed->err.text);
	_assert_int_equal(rc, 0, file, line);
}

static int open_file(const struct bed *bed, const struct backend_volume *volume)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", bed->pool_dir, volume->id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void bed_read_block(const struct bed *bed, const struct backend_volume *volume, uint64_t lba,
		    void *out)
{
	_cleanup_close_ int fd = open_file(bed, volume);

	assert_int_equal(pread(fd, out, HOST_BLOCK, (off_t)lba * HOST_BLOCK), HOST_BLOCK);
}

uint64_t bed_checksum(const struct bed *bed, const struct backend_volume *volume)
{
	_cleanup_close_ int fd = open_file(bed, volume);
	uint64_t sum = 14695981039346656037ULL;
	char block[4096];
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0)
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)block[i]) * 1099511628211ULL;
	return sum;
}
