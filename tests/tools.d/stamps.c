/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random attaches, detaches, fences, failovers and switches, while every host stamps its block. */
#include "../lib/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * stamps MOUNT POOL_FOLDER PREFIX SEED SEQUENCES
 *
 * There must be the volumes PREFIX0 and PREFIX1 (multiattach, on the pool in that folder) and the
 * hosts PREFIXa, PREFIXb and PREFIXc, with initiators iqn.2026-11.test:PREFIXa and so on. Exit
 * status 0 if nothing has happened that must not:
 *	- a write of a host that succeeds after its rmdir, fence or mv has returned, or while it is
 *	  attached ro; or a block of it that changes after that;
 *	- a block of the old host that changes after the new one's first write has succeeded;
 *	- a session that ends though nothing was done to its host;
 *	- an operation that fails with another error than it may.
 */
#define VOLUMES 2
#define HOSTS	3
#define OPS_MAX 64

enum state { NONE, RO, RW, FENCED, RESERVED };

struct place {
	struct machine machine;
	enum state state;
	bool with_host; /* fenced with its host, not for itself */
	unsigned char frozen[HOST_BLOCK];
};

static struct place places[VOLUMES][HOSTS];
static bool host_fenced[HOSTS];
static const char *mount_dir, *prefix;
static char story[OPS_MAX][160];
static unsigned n_story, seed;
static unsigned long n_ops;

static unsigned draw(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(story[n_story++ % OPS_MAX], sizeof(story[0]), format, ap);
	va_end(ap);
}

static void give_up(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
static void give_up(const char *format, ...)
{
	va_list ap;

	for (unsigned i = n_story > OPS_MAX ? n_story - OPS_MAX : 0; i < n_story; i++)
		printf("  %s\n", story[i % OPS_MAX]);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

/* ---- what an administrator does ---- */

static int put(const char *dir, const char *name, const char *value)
{
	char path[320];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	/* As a shell does: what it has just made has no attributes yet, to it. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static const char *last_error(unsigned v, unsigned h)
{
	static char text[1100];
	char path[320];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/last_error", places[v][h].machine.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void expect(const char *what, unsigned v, unsigned h, int rc, int allowed)
{
	tell("%.3f %s %s%u/%c: %s", (double)machine_now() / 1e9, what, prefix, v, 'a' + (int)h,
	     rc ? strerror(-rc) : "done");
	n_ops++;
	if (rc && rc != -allowed)
		give_up("unexpected: %s; %s", strerror(-rc), last_error(v, h));
}

/* ---- what must hold ---- */

static void check_frozen(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];
	unsigned char now[HOST_BLOCK];

	if (!p->machine.frozen_at)
		return;
	machine_block(p->machine.disk, h, now);
	if (memcmp(now, p->frozen, HOST_BLOCK))
		give_up("%s%u: the block of host %c has changed after it was put out", prefix, v,
			'a' + (int)h);
}

/* The operation has returned: from now on its block stays as it is. */
static void freeze(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];

	check_frozen(v, h);
	machine_block(p->machine.disk, h, p->frozen);
	p->machine.frozen_at = machine_now();
}

static void thaw(unsigned v, unsigned h)
{
	check_frozen(v, h);
	places[v][h].machine.frozen_at = 0;
}

static void check_all(void)
{
	for (unsigned v = 0; v < VOLUMES; v++)
		for (unsigned h = 0; h < HOSTS; h++) {
			struct machine *m = &places[v][h].machine;

			check_frozen(v, h);
			pthread_mutex_lock(&m->lock);
			if (m->violation[0])
				give_up("%s%u: host %c: %s", prefix, v, 'a' + (int)h, m->violation);
			pthread_mutex_unlock(&m->lock);
		}
}

/* When the new host's first write was acknowledged the old one's block was already final. */
static void check_order(unsigned v, unsigned old, unsigned new, unsigned long logins_before)
{
	struct machine *m = &places[v][new].machine;
	unsigned char now[HOST_BLOCK];

	machine_block(m->disk, old, now);
	pthread_mutex_lock(&m->lock);
	if (m->seen_login > logins_before && memcmp(now, m->seen[old], HOST_BLOCK))
		give_up("%s%u: host %c has written after %c, who took over", prefix, v,
			'a' + (int)old, 'a' + (int)new);
	pthread_mutex_unlock(&m->lock);
}

static bool is_attached(unsigned v, unsigned h)
{
	return places[v][h].state == RO || places[v][h].state == RW;
}

/* Logged out for certain; come_back() lets it in again. */
static void send_out(unsigned v, unsigned h)
{
	struct machine *m = &places[v][h].machine;

	m->out = false;
	m->stay_out = true;
	while (!m->out)
		usleep(200);
}

static void come_back(unsigned v, unsigned h)
{
	places[v][h].machine.stay_out = false;
}

/* ---- operations ---- */

/* Mostly it is let to log in and do something before the next thing happens. */
static void let_work(unsigned v, unsigned h)
{
	struct machine *m = &places[v][h].machine;
	unsigned long done = m->writes + m->refused, logins = m->logins;
	int64_t end = machine_now() + 20 * 1000000000LL;

	if (!draw(4))
		return;
	while (m->writes + m->refused == done) {
		usleep(300);
		if (machine_now() > end)
			give_up("%s%u: host %c has not come to write within 20 s (%lu logins)", prefix,
				v, 'a' + (int)h, m->logins - logins);
	}
}

static void set_mode(unsigned v, unsigned h, enum state mode, int allowed)
{
	struct place *p = &places[v][h];
	int rc;

	p->machine.touched++;
	if (mode == RW)
		thaw(v, h);
	rc = put(p->machine.dir, "mode", mode == RW ? "rw\n" : "ro\n");
	p->machine.touched++;
	expect(mode == RW ? "rw" : "ro", v, h, rc, allowed);
	if (!rc)
		p->state = mode;
	if (p->state != RW)
		freeze(v, h);
	if (!rc && !p->machine.stay_out)
		let_work(v, h);
}

static void attach(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];

	if (p->state == NONE) {
		expect("mkdir", v, h, mkdir(p->machine.dir, 0755) ? -errno : 0, 0);
		p->state = RESERVED;
	}
	set_mode(v, h, draw(3) ? RW : RO, host_fenced[h] ? EPERM : 0);
}

/* Politely (the host logs out first) or, now and then, not: a refusal takes a while. */
static void detach(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];
	bool polite = draw(8);
	int rc;

	if (polite)
		send_out(v, h);
	p->machine.touched++;
	rc = rmdir(p->machine.dir) ? -errno : 0;
	p->machine.touched++;
	expect(polite ? "logout, rmdir" : "rmdir", v, h, rc,
	       is_attached(v, h) && !polite ? EBUSY : 0);
	if (!rc) {
		freeze(v, h);
		p->state = NONE;
	}
	if (polite)
		come_back(v, h);
}

static void switch_mode(unsigned v, unsigned h)
{
	bool polite = draw(4);

	if (polite)
		send_out(v, h);
	set_mode(v, h, places[v][h].state == RW ? RO : RW, polite ? 0 : EBUSY);
	if (polite)
		come_back(v, h);
}

static void fence(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];

	p->machine.touched++;
	expect("fence", v, h, put(p->machine.dir, "fenced", "1\n"), 0);
	p->machine.touched++;
	freeze(v, h);
	p->state = FENCED;
	p->with_host = false;
}

static void unfence(unsigned v, unsigned h)
{
	struct place *p = &places[v][h];
	int rc = put(p->machine.dir, "fenced", "0\n");

	expect("unfence", v, h, rc, p->with_host ? EPERM : 0);
	if (!rc)
		p->state = RESERVED;
}

static void fence_host(unsigned h)
{
	char dir[256];

	for (unsigned v = 0; v < VOLUMES; v++)
		places[v][h].machine.touched++;
	snprintf(dir, sizeof(dir), "%s/hosts/%s%c", mount_dir, prefix, 'a' + (int)h);
	expect("fence host", 0, h, put(dir, "fenced", "1\n"), 0);
	for (unsigned v = 0; v < VOLUMES; v++)
		places[v][h].machine.touched++;
	host_fenced[h] = true;
	for (unsigned v = 0; v < VOLUMES; v++)
		if (is_attached(v, h)) {
			freeze(v, h);
			places[v][h].state = FENCED;
			places[v][h].with_host = true;
		}
}

static void unfence_host(unsigned h)
{
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/hosts/%s%c", mount_dir, prefix, 'a' + (int)h);
	expect("unfence host", 0, h, put(dir, "fenced", "0\n"), 0);
	host_fenced[h] = false;
	for (unsigned v = 0; v < VOLUMES; v++)
		if (places[v][h].state == FENCED && places[v][h].with_host)
			places[v][h].state = RESERVED;
}

/* What errors a failover to `to` may end with; *ret_none: it cannot even begin. */
static int failover_error(unsigned v, unsigned from, unsigned to, bool *ret_none)
{
	enum state mode = places[v][from].state, there = places[v][to].state;

	*ret_none = true;
	if (there == FENCED)
		return EPERM;
	if (host_fenced[to] && there != RO && there != RW)
		return EPERM;
	if (there == mode)
		return EEXIST;
	*ret_none = false;
	return there == RO || there == RW ? EBUSY : 0; /* it is logged in, and stays what it is */
}

static void fail_over(unsigned v, unsigned from, unsigned to)
{
	struct place *old = &places[v][from], *new = &places[v][to];
	unsigned long logins = new->machine.logins;
	enum state mode = old->state;
	char target[320];
	bool none;
	int allowed = failover_error(v, from, to, &none), rc;

	/* Into its directory, if it has one, as mv does */
	snprintf(target, sizeof(target), "%s%s", new->machine.dir,
		 new->state == NONE ? "" : strrchr(old->machine.dir, '/'));
	old->machine.touched++;
	new->machine.touched++;
	if (!none && mode == RW)
		thaw(v, to);
	rc = rename(old->machine.dir, target) ? -errno : 0;
	old->machine.touched++;
	new->machine.touched++;
	tell("mv to %c", 'a' + (int)to);
	expect("mv", v, from, rc, allowed);
	if (none) {
		if (!rc)
			give_up("mv: that should have been refused");
		return;
	}
	freeze(v, from);
	old->state = NONE;
	if (!rc)
		new->state = mode;
	if (new->state != RW)
		freeze(v, to);
	if (!rc)
		let_work(v, to);
	check_order(v, from, to, logins);
}

static void do_something(void)
{
	unsigned v = draw(VOLUMES), h = draw(HOSTS), other = (h + 1 + draw(HOSTS - 1)) % HOSTS;
	unsigned what = draw(16);

	if (what == 0 && !host_fenced[h])
		fence_host(h);
	else if (host_fenced[h] && what < 6)
		unfence_host(h);
	else if (places[v][h].state == NONE || places[v][h].state == RESERVED)
		attach(v, h);
	else if (places[v][h].state == FENCED && what < 10)
		unfence(v, h);
	else if (places[v][h].state == FENCED || what < 4)
		detach(v, h);
	else if (what < 7)
		switch_mode(v, h);
	else if (what < 10)
		fence(v, h);
	else
		fail_over(v, h, other);
}

/* Everybody out, one way or another. */
static void clean_up(void)
{
	for (unsigned h = 0; h < HOSTS; h++) {
		for (unsigned v = 0; v < VOLUMES; v++) {
			if (is_attached(v, h) && draw(2))
				fence(v, h);
			while (places[v][h].state != NONE)
				detach(v, h);
		}
		if (host_fenced[h])
			unfence_host(h);
	}
}

/* ---- the setting ---- */

static int open_disk(const char *folder, unsigned v)
{
	char path[512], id[64] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/volumes/%s%u/id", mount_dir, prefix, v);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, id, sizeof(id) - 1) <= 0)
		give_up("%s: %s", path, strerror(errno));
	close(fd);
	id[strcspn(id, "\n")] = '\0';
	snprintf(path, sizeof(path), "%s/%s", folder, id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up("%s: %s", path, strerror(errno));
	return fd;
}

static void start_machines(const char *folder)
{
	for (unsigned v = 0; v < VOLUMES; v++) {
		int disk = open_disk(folder, v);

		for (unsigned h = 0; h < HOSTS; h++) {
			struct machine *m = &places[v][h].machine;

			*m = (struct machine){.disk = disk,
					      .number = h,
					      .neighbours = HOSTS,
					      .seed = seed + v * HOSTS + h};
			snprintf(m->dir, sizeof(m->dir), "%s/volumes/%s%u/attachments/%s%c",
				 mount_dir, prefix, v, prefix, 'a' + (int)h);
			snprintf(m->initiator, sizeof(m->initiator), "iqn.2026-11.test:%s%c",
				 prefix, 'a' + (int)h);
			if (machine_start(m))
				give_up("cannot start a thread");
			freeze(v, h);
		}
	}
}

static void tell_figures(unsigned long sequences)
{
	unsigned long logins = 0, writes = 0, refused = 0;

	for (unsigned v = 0; v < VOLUMES; v++)
		for (unsigned h = 0; h < HOSTS; h++) {
			struct machine *m = &places[v][h].machine;

			machine_stop(m);
			logins += m->logins;
			writes += m->writes;
			refused += m->refused;
		}
	printf("%lu sequences, %lu operations, %lu logins, %lu writes, %lu refused\n", sequences,
	       n_ops, logins, writes, refused);
}

int main(int argc, char **argv)
{
	unsigned long sequences;

	if (argc != 6) {
		fprintf(stderr, "stamps: MOUNT POOL_FOLDER PREFIX SEED SEQUENCES\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a session that is cut while it writes */
	mount_dir = argv[1];
	prefix = argv[3];
	seed = (unsigned)strtoul(argv[4], NULL, 10);
	sequences = strtoul(argv[5], NULL, 10);
	start_machines(argv[2]);
	for (unsigned long i = 0; i < sequences; i++) {
		tell("--- sequence %lu", i);
		for (unsigned k = 4 + draw(5); k; k--) {
			do_something();
			check_all();
		}
		clean_up();
		check_all();
	}
	if (getenv("STAMPS_STORY"))
		for (unsigned i = 0; i < n_story; i++)
			printf("  %s\n", story[i % OPS_MAX]);
	tell_figures(sequences);
	return 0;
}
