/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bench: does one operation many times through a mount and prints its rate. */

/*
 * usage: client COMMAND MOUNT FIRST COUNT THREADS
 *
 * Works on the volumes v<FIRST> … v<FIRST+COUNT-1> (six digits) below MOUNT/volumes, on
 * as many threads as asked for, and prints operations per second, as one number. Commands
 * are the rows of `commands` below. It uses nothing but system calls on the mount, as any
 * tool would, and ends with the object's last_error if one of them fails.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"
#include "bench.h"

#define VOLUME_SIZE    "16M"
#define INITIATOR      "iqn.2026-11.io.attachfs.bench:host"
#define POPULATE_HOSTS 3

struct client {
	const char *mount;
	unsigned first, count, threads;
	int fds[BENCH_THREADS_MAX];
};

static void __attribute__((noreturn)) die_at(const char *path, const char *what)
{
	char why[512] = "", place[512];
	int code = errno;
	const char *slash = strrchr(path, '/');
	_cleanup_close_ int fd = -1;

	snprintf(place, sizeof(place), "%.*s/last_error", (int)(slash - path), path);
	fd = open(place, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, why, sizeof(why) - 1) < 0)
		why[0] = '\0';
	bench_die("%s: %s: %s; last_error: %s", path, what, strerror(code), why);
}

static void volume_path(const struct client *c, unsigned i, const char *below,
			char out[512])
{
	snprintf(out, 512, "%s/volumes/v%06u%s", c->mount, c->first + i % c->count,
		 below);
}

static void attachment_path(const struct client *c, unsigned i, unsigned host,
			    const char *below, char out[512])
{
	char tail[128];

	snprintf(tail, sizeof(tail), "/attachments/h%u%s", host, below);
	volume_path(c, i, tail, out);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755))
		die_at(path, "mkdir");
}

static void remove_dir(const char *path)
{
	if (rmdir(path))
		die_at(path, "rmdir");
}

/* As a shell's `echo VALUE > PATH` does it. */
static void set(const char *path, const char *value)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die_at(path, "open");
	if (write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		die_at(path, "write");
}

static void stat_job(void *arg, unsigned i, unsigned thread)
{
	static const char *const names[] = {"/size", "/multiattach", "/description",
					    "/id", "/status"};
	struct stat st;
	char path[512];
	unsigned n;

	(void)thread;
	for (n = 0; n < ARRAY_SIZE(names); n++) {
		volume_path(arg, i, names[n], path);
		if (stat(path, &st))
			die_at(path, "stat");
	}
}

static void read_job(void *arg, unsigned i, unsigned thread)
{
	_cleanup_close_ int fd = -1;
	char path[512], value[4096];

	(void)thread;
	volume_path(arg, i, "/size", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, value, sizeof(value)) <= 0)
		die_at(path, "read");
}

/* Every thread writes its own volume, never the same value twice: equal is a no-op. */
static void write_job(void *arg, unsigned i, unsigned thread)
{
	struct client *c = arg;
	char path[512], value[64];
	int n = snprintf(value, sizeof(value), "written %u %ld\n", i, (long)time(NULL));

	volume_path(c, thread, "/description", path);
	if (!c->fds[thread])
		c->fds[thread] = open(path, O_WRONLY | O_CLOEXEC);
	if (pwrite(c->fds[thread], value, (size_t)n, 0) != n)
		die_at(path, "write");
}

static void rewrite_job(void *arg, unsigned i, unsigned thread)
{
	char path[512], value[64];

	snprintf(value, sizeof(value), "rewritten %u %ld\n", i, (long)time(NULL));
	volume_path(arg, thread, "/description", path);
	set(path, value);
}

static void host_job(void *arg, unsigned i, unsigned thread)
{
	const struct client *c = arg;
	char path[512], value[128];

	(void)thread;
	snprintf(path, sizeof(path), "%s/hosts/h%u", c->mount, c->first + i);
	make_dir(path);
	snprintf(path, sizeof(path), "%s/hosts/h%u/initiator", c->mount, c->first + i);
	snprintf(value, sizeof(value), INITIATOR "%u\n", c->first + i);
	set(path, value);
}

static void volume_job(void *arg, unsigned i, unsigned thread)
{
	char path[512];

	(void)thread;
	volume_path(arg, i, "", path);
	make_dir(path);
	volume_path(arg, i, "/size", path);
	set(path, VOLUME_SIZE "\n");
}

static void share_job(void *arg, unsigned i, unsigned thread)
{
	char path[512];

	(void)thread;
	volume_path(arg, i, "/multiattach", path);
	set(path, "true\n");
}

static void purge_job(void *arg, unsigned i, unsigned thread)
{
	char path[512];

	(void)thread;
	volume_path(arg, i, "", path);
	remove_dir(path);
}

static void reserve(const struct client *c, unsigned i, unsigned host)
{
	char path[512];

	attachment_path(c, i, host, "", path);
	make_dir(path);
}

static void attach(const struct client *c, unsigned i, unsigned host)
{
	char path[512];

	attachment_path(c, i, host, "/mode", path);
	set(path, "rw\n");
}

static void reserve_job(void *arg, unsigned i, unsigned thread)
{
	(void)thread;
	reserve(arg, i, 0);
}

static void attach_job(void *arg, unsigned i, unsigned thread)
{
	(void)thread;
	attach(arg, i, 0);
}

static void detach_job(void *arg, unsigned i, unsigned thread)
{
	char path[512];

	(void)thread;
	attachment_path(arg, i, 0, "", path);
	remove_dir(path);
}

static void cycle_job(void *arg, unsigned i, unsigned thread)
{
	reserve_job(arg, i, thread);
	attach_job(arg, i, thread);
	detach_job(arg, i, thread);
}

static void populate_job(void *arg, unsigned i, unsigned thread)
{
	unsigned host;

	volume_job(arg, i, thread);
	share_job(arg, i, thread);
	for (host = 0; host < POPULATE_HOSTS; host++) {
		reserve(arg, i, host);
		attach(arg, i, host);
	}
}

/* `job` is timed: `passes` times over all volumes, `operations` a call, after one pass of
 * `warm`. */
static const struct command {
	const char *name, *help;
	bench_job *job, *warm;
	unsigned passes, operations;
} commands[] = {
	{"stat", "stat 5 attributes of each volume", stat_job, NULL, 1, 5},
	{"stat-cached", "the same, when they are in the cache", stat_job, stat_job, 20,
	 5},
	{"read", "open, read and close an attribute", read_job, read_job, 10, 1},
	{"write", "COUNT writes of an attribute that is open", write_job, NULL, 1, 1},
	{"rewrite", "COUNT times open, write and close", rewrite_job, NULL, 1, 1},
	{"hosts", "make COUNT hosts, each with an initiator", host_job, NULL, 1, 1},
	{"volumes", "make and provision each volume", volume_job, NULL, 1, 1},
	{"reserve", "make an attachment of each volume", reserve_job, NULL, 1, 1},
	{"attach", "attach it: write its mode", attach_job, NULL, 1, 1},
	{"detach", "detach it", detach_job, NULL, 1, 1},
	{"cycle", "reserve, attach and detach each volume", cycle_job, NULL, 1, 1},
	{"purge", "remove each volume", purge_job, NULL, 1, 1},
	{"populate", "make each volume, attach 3 hosts to it", populate_job, NULL, 1, 1},
};

static void __attribute__((noreturn)) usage(void)
{
	unsigned i;

	fprintf(stderr, "usage: client COMMAND MOUNT FIRST COUNT THREADS\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "  %-12s %s\n", commands[i].name, commands[i].help);
	exit(EXIT_FAILURE);
}

static const struct command *find_command(const char *name)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	usage();
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct client c = {0};
	unsigned jobs;

	if (argc != 6)
		usage();
	command = find_command(argv[1]);
	c.mount = argv[2];
	c.first = bench_number(argv[3], 0, 999999);
	c.count = bench_number(argv[4], 1, 1000000);
	c.threads = bench_number(argv[5], 1, BENCH_THREADS_MAX);
	jobs = c.count * command->passes;
	if (command->warm)
		bench_parallel(1, c.count, command->warm, &c);
	printf("%.1f\n", jobs / bench_parallel(c.threads, jobs, command->job, &c) *
				 command->operations);
	return EXIT_SUCCESS;
}
