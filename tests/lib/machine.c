/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine that uses one volume. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What it has read in connection/, and keeps. */
struct kept {
	char portal[64], target[224], lun[8], user[256], secret[64];
	bool any;
};

int64_t machine_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void machine_violates(struct machine *m, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	pthread_mutex_lock(&m->lock);
	if (!m->violation[0])
		vsnprintf(m->violation, sizeof(m->violation), format, ap);
	pthread_mutex_unlock(&m->lock);
	va_end(ap);
}

void machine_block(int disk, unsigned number, unsigned char out[HOST_BLOCK])
{
	if (pread(disk, out, HOST_BLOCK, (off_t)number * HOST_BLOCK) != HOST_BLOCK)
		memset(out, 0xff, HOST_BLOCK);
}

static bool read_value(const struct machine *m, const char *name, char *out, size_t size)
{
	char path[320];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", m->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, out, size - 1);
	close(fd);
	if (n <= 1)
		return false;
	out[n - (out[n - 1] == '\n')] = '\0';
	return true;
}

/* All of it, or what it had before. */
static void learn(const struct machine *m, struct kept *kept)
{
	struct kept now;

	now.any = read_value(m, "connection/auth_password", now.secret, sizeof(now.secret)) &&
		  read_value(m, "connection/auth_username", now.user, sizeof(now.user)) &&
		  read_value(m, "connection/target_portal", now.portal, sizeof(now.portal)) &&
		  read_value(m, "connection/target_iqn", now.target, sizeof(now.target)) &&
		  read_value(m, "connection/target_lun", now.lun, sizeof(now.lun));
	if (now.any)
		*kept = now;
}

static struct host *log_in(struct machine *m, struct kept *kept)
{
	struct host_login login = {.portal = kept->portal,
				   .target = kept->target,
				   .initiator = m->initiator,
				   .user = kept->user,
				   .secret = kept->secret,
				   .timeout_ms = 10000};
	struct host *h = NULL;

	learn(m, kept);
	login.lun = (unsigned)strtoul(kept->lun, NULL, 10);
	if (!kept->any || host_open(&login, &h))
		return NULL;
	m->logins++;
	return h;
}

static void remember_all(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->seen_login != m->logins) {
		m->seen_login = m->logins;
		for (unsigned i = 0; i < m->neighbours; i++)
			machine_block(m->disk, i, m->seen[i]);
	}
	pthread_mutex_unlock(&m->lock);
}

/* 0, or that the session is over. */
static int write_stamp(struct machine *m, struct host *h)
{
	struct stamp stamp = {.magic = "stamped", .machine = m->number, .count = m->writes + 1};
	unsigned char block[HOST_BLOCK] = {0};
	int64_t issued = machine_now(), frozen;
	int rc;

	memcpy(block, &stamp, sizeof(stamp));
	rc = host_write(h, m->number, block, 1);
	frozen = m->frozen_at;
	if (!rc && frozen && issued > frozen)
		machine_violates(m, "write %llu succeeded after it had been put out",
				 (unsigned long long)stamp.count);
	if (!rc) {
		m->writes++;
		remember_all(m);
	}
	if (rc != -EIO)
		return rc;
	m->refused++;
	return 0;
}

static void pause_us(struct machine *m, unsigned most)
{
	struct timespec ts = {0, (long)(rand_r(&m->seed) % most) * 1000};

	nanosleep(&ts, NULL);
}

static void *live(void *arg)
{
	struct machine *m = arg;
	struct kept kept = {.any = false};
	struct host *h = NULL;
	unsigned touched = 0;

	while (!m->quit) {
		if (m->stay_out) {
			host_close(h);
			h = NULL;
			m->out = true;
			pause_us(m, 500);
			continue;
		}
		if (!h) {
			touched = m->touched;
			h = log_in(m, &kept);
			pause_us(m, h ? 100 : 10000);
			continue;
		}
		if (write_stamp(m, h)) {
			if (m->touched == touched && touched % 2 == 0)
				machine_violates(m, "its session was ended by what was done to others");
			host_drop(h);
			h = NULL;
		}
		pause_us(m, 1000);
	}
	host_close(h);
	return NULL;
}

int machine_start(struct machine *m)
{
	pthread_mutex_init(&m->lock, NULL);
	return -pthread_create(&m->thread, NULL, live, m);
}

void machine_stop(struct machine *m)
{
	m->quit = true;
	pthread_join(m->thread, NULL);
	pthread_mutex_destroy(&m->lock);
}
