/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serving a mount: the background, signals, and the order in which everything starts and ends. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attachfs/cleanup.h"
#include "attachfs/core.h"
#include "attachfs/fs.h"
#include "attachfs/kill.h"
#include "attachfs/log.h"
#include "attachfs/store.h"
#include "attachfs/worker.h"
#include "main.h"

/* How long the mount waits for backends before it is served without them. */
#define READY_MS 5000

/* Secrets are in memory: no core dump may hold them, nobody may trace us for them. */
void harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
}

/* ---- signals ---- */

/* Set before the handlers are, and never changed while they are. */
static struct fs *serving;
static struct reloader *reloading;

static void on_signal(int number)
{
	(void)number;
	fs_stop(serving);
}

static void on_hangup(int number)
{
	(void)number;
	reloader_wake(reloading);
}

static const struct {
	int number, flags;
	void (*handler)(int number);
} signals[] = {
	{SIGINT, 0, on_signal}, {SIGTERM, 0, on_signal}, {SIGHUP, SA_RESTART, on_hangup}};

/* Only the main thread takes them: it is the one that waits in fs_serve(). */
static void block_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i].number);
	pthread_sigmask(how, &set, NULL);
}

static void set_signals(struct fs *fs, struct reloader *reloader)
{
	serving = fs;
	reloading = reloader;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction action = {.sa_handler = signals[i].handler,
					   .sa_flags = signals[i].flags};

		sigaction(signals[i].number, &action, NULL);
	}
	block_signals(SIG_UNBLOCK);
}

/* ---- going to the background ---- */

/* The parent waits until the child has mounted or given up, and exits as it did. */
static int wait_for_child(int fd, pid_t child)
{
	int status;
	char ready;

	if (read(fd, &ready, 1) == 1)
		return EXIT_OK;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILED;
	fprintf(stderr, "attachfs: ended before it was mounted\n");
	return EXIT_FAILED;
}

/* -1 in the child, with *ret_fd to be told when ready; else the parent's exit code. */
static int go_to_background(int *ret_fd)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) || (child = fork()) < 0) {
		fprintf(stderr, "attachfs: cannot go to the background: %m\n");
		return EXIT_FAILED;
	}
	if (child) {
		close(fds[1]);
		return wait_for_child(fds[0], child);
	}
	close(fds[0]);
	setsid();
	*ret_fd = fds[1];
	return -1;
}

static void tell_parent(int fd)
{
	int null;

	if (fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (chdir("/") || write(fd, "r", 1) != 1)
		log_warning("cannot tell the parent process: %m");
	close(fd);
}

/* ---- serving ---- */

/* Everything that is running, in the order in which it was started. */
struct service {
	struct store *store;
	struct core *core;
	struct fs *fs;
	struct worker *worker;
	struct reloader *reloader;
};

static int start(struct service *s, const struct conf *conf, const struct options *o,
		 struct error *err)
{
	struct core_hooks hooks = {0};
	int rc = store_open(conf->state, conf->map_size, false, &s->store, err);

	KILL_POINT(start_stored);
	if (!rc)
		rc = core_open(s->store, conf, &s->core, err);
	if (!rc)
		rc = fs_mount(s->core, o->mountpoint, o->mount_options, &s->fs, &hooks, err);
	if (!rc)
		rc = worker_open(s->core, conf, &hooks, &s->worker, err);
	return rc ? rc : reloader_open(s->worker, conf, &s->reloader, err);
}

/*
 * The mount goes first, so that nobody waits for a directory that nobody serves; before it
 * goes, everybody has been answered.
 */
static void end(struct service *s)
{
	block_signals(SIG_BLOCK);
	reloader_close(s->reloader);
	if (s->core) {
		core_stop_waiting(s->core);
		core_flush(s->core);
	}
	if (s->fs)
		fs_unmount(s->fs);
	worker_close(s->worker);
	store_stop(s->store);
	fs_free(s->fs);
	core_close(s->core);
	store_close(s->store);
}

/* A mount that a killed attachfs has left behind answers nobody and is taken away. */
static char *find_mountpoint(const char *path)
{
	struct statvfs st; /* stat() would be answered from the kernel's cache */

	if (statvfs(path, &st) && errno == ENOTCONN)
		umount2(path, MNT_DETACH);
	return realpath(path, NULL);
}

/* What is to be told, and to whom, when the mount answers. */
struct herald {
	const char *mountpoint;
	int fd;
};

static void announce(void *arg)
{
	const struct herald *h = arg;

	log_info("serving %s", h->mountpoint);
	tell_parent(h->fd);
}

static int serve_mounted(struct service *s, const struct options *o, int fd, struct error *err)
{
	struct herald h = {.mountpoint = o->mountpoint, .fd = fd};
	int rc;

	worker_wait_ready(s->worker, READY_MS);
	if (!o->foreground)
		log_open(true, o->verbose ? LOG_DEBUG : LOG_INFO);
	set_signals(s->fs, s->reloader);
	rc = fs_serve(s->fs, announce, &h);
	return rc ? error_set(err, -rc, "%s: %s", o->mountpoint, strerror(-rc)) : 0;
}

int serve(const struct conf *conf, const struct options *given)
{
	_cleanup_free_ char *mountpoint = find_mountpoint(given->mountpoint);
	struct options o = *given;
	struct error err = {0};
	struct service s = {0};
	int fd = -1, rc;

	o.mountpoint = mountpoint;
	if (!mountpoint) {
		fprintf(stderr, "attachfs: %s: %m\n", given->mountpoint);
		return EXIT_FAILED;
	}
	close_range(3, ~0U, 0); /* what the caller had open is none of ours */
	if (!o.foreground) {
		rc = go_to_background(&fd);
		if (rc >= 0)
			return rc;
	}
	harden();
	signal(SIGPIPE, SIG_IGN);
	block_signals(SIG_BLOCK);
	rc = start(&s, conf, &o, &err);
	if (!rc)
		rc = serve_mounted(&s, &o, fd, &err);
	end(&s);
	return rc ? fail(&err) : EXIT_OK;
}
