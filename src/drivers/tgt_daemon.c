/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starting a tgtd that outlives attachfs, and knowing it again. */
#include "tgt_daemon.h"

#include "attachfs/cleanup.h"
#include "attachfs/kill.h"

#include "drivers.h"
#include "tgt_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The 22nd field of /proc/PID/stat, counted from behind the name, which may hold anything.
 * 0 for a zombie, too: it holds no session any more, however late it is reaped. */
static uint64_t start_time(pid_t pid)
{
	char path[64], stat[1024];
	_cleanup_close_ int fd = -1;
	unsigned long long ticks;
	ssize_t n;
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return 0;
	stat[n] = '\0';
	p = strrchr(stat, ')');
	if (p && strchr("ZX", p[1] ? p[2] : 'X'))
		return 0;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %llu", &ticks) == 1 ? ticks : 0;
}

int tgt_daemon_find(const struct tgt_link *link, struct tgt_daemon *ret, struct error *err)
{
	pid_t pid = 0;
	int rc = tgt_listener(link, &pid, err);

	if (rc)
		return rc;
	*ret = (struct tgt_daemon){pid, start_time(pid)};
	return 0;
}

bool tgt_daemon_alive(const struct tgt_daemon *daemon)
{
	return daemon->pid && daemon->started && start_time(daemon->pid) == daemon->started;
}

bool tgt_daemon_reachable(const struct tgt_link *link)
{
	struct stat st;

	return !lstat(link->socket, &st) && S_ISSOCK(st.st_mode);
}

bool tgt_daemon_locked(const struct tgt_link *link)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	char path[128];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s.lock", link->socket);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
}

/* Where tgtd's loader finds the library; it keeps the descriptor. */
#define PAIR_FD	     3
#define PAIR_PRELOAD "LD_PRELOAD=/proc/self/fd/3"

/*
 * The second child: async-signal-safe calls only, since other threads may hold any lock.
 * Descriptor 0 is read-only on purpose: while a LUN is reopened, tgtd's threads may take
 * descriptor 0 for the file, and a write must fail there and not vanish into /dev/null.
 */
static void __attribute__((noreturn)) become_daemon(char *const *argv, char *const *envp, int pair)
{
	static const struct rlimit files = {1048576, 1048576};
	int in = open("/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
	int preloaded = fcntl(pair, F_DUPFD, PAIR_FD + 1);
	struct rlimit limit;
	sigset_t none;

	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    dup2(preloaded, PAIR_FD) < 0 || close_range(PAIR_FD + 1, ~0U, 0) || chdir("/"))
		_exit(126);
	umask(077);
	if (setrlimit(RLIMIT_NOFILE, &files) && !getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(argv[0], argv, envp);
	_exit(127);
}

/* Forks twice, so that init and not attachfs reaps it; the pid comes back through a pipe. */
static int fork_daemon(char *const *argv, char *const *envp, int pair, pid_t *ret)
{
	_cleanup_close_ int reader = -1, writer = -1;
	int fds[2], status;
	pid_t child, pid = 0;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	reader = fds[0];
	writer = fds[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		setsid();
		pid = fork();
		if (!pid)
			become_daemon(argv, envp, pair);
		_exit(write(writer, &pid, sizeof(pid)) != sizeof(pid));
	}
	close(steal_fd(&writer));
	if (read(reader, &pid, sizeof(pid)) != sizeof(pid) || pid < 0)
		pid = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!pid)
		return -EAGAIN;
	*ret = pid;
	return 0;
}

/* The first child's session leader is gone, so the daemon has no terminal either. */
static int spawn(const struct tgt_spawn *s, pid_t *ret, struct error *err)
{
	char port[16], portal[96], socket[160];
	char *argv[] = {(char *)s->program, "-f", "-C", port, "-t", "2", "--iscsi", portal, NULL};
	char *envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", PAIR_PRELOAD, socket, NULL};
	_cleanup_close_ int pair = -1;
	int rc;

	snprintf(port, sizeof(port), "%u", s->control_port);
	snprintf(portal, sizeof(portal), "portal=%s", s->portal);
	snprintf(socket, sizeof(socket), "TGT_IPC_SOCKET=%s", s->socket_base);
	if (access(s->program, X_OK))
		return error_set(err, errno, "%s: %m; install tgt, or name the program with tgt: "
				 "{tgtd: PATH}", s->program);
	pair = tgt_pair_open(err);
	if (pair < 0)
		return pair;
	rc = fork_daemon(argv, envp, pair, ret);
	return rc ? error_set(err, -rc, "%s: cannot start: %s", s->program, strerror(-rc)) : 0;
}

static int wait_until_it_answers(struct tgt_link *link, const struct tgt_daemon *daemon,
				 struct error *err)
{
	struct tgt_daemon found;

	while (monotonic_ms() < link->deadline && tgt_daemon_alive(daemon)) {
		if (!tgt_daemon_find(link, &found, NULL) && found.pid == daemon->pid)
			return 0;
		clock_sleep_us(2000);
	}
	return error_set(err, ECONNREFUSED, "tgtd does not answer at %s; is another one running "
			 "with its lock?", link->socket);
}

/* "Portal: ADDRESS:PORT,1" must be the only line. */
static int check_portal(const struct tgt_link *link, const char *portal, struct error *err)
{
	struct tgt_request show = {.mode = TGT_PORTAL, .op = TGT_SHOW, .tid = -1};
	char expected[112];
	BUF_AUTO(reply);
	int rc = tgt_mgmt_call(link, &show, &reply, err);

	if (rc)
		return rc;
	snprintf(expected, sizeof(expected), "Portal: %s,1\n", portal);
	if (!text_is(buf_as_text(&reply), expected))
		return error_set(err, EADDRINUSE, "tgtd cannot listen on %s: the address is taken, "
				 "or not of this machine", portal);
	return 0;
}

/* A library that cannot be loaded is but a warning to the loader. */
static int check_pair(pid_t pid, const char *program, struct error *err)
{
	if (tgt_pair_loaded(pid))
		return 0;
	return error_set(err, ENOEXEC, "%s cannot be made to pair names with secrets: it is linked "
			 "statically, or another program", program);
}

int tgt_daemon_start(const struct tgt_spawn *s, struct tgt_link *link, struct tgt_daemon *ret,
		     struct error *err)
{
	struct tgt_daemon daemon;
	int rc = spawn(s, &daemon.pid, err);

	if (rc)
		return rc;
	KILL_POINT(tgt_spawned);
	daemon.started = start_time(daemon.pid);
	link->pid = daemon.pid;
	rc = wait_until_it_answers(link, &daemon, err);
	if (!rc)
		rc = check_portal(link, s->portal, err);
	if (!rc)
		rc = check_pair(daemon.pid, s->program, err);
	if (rc) {
		if (tgt_daemon_alive(&daemon))
			kill(daemon.pid, SIGKILL);
		return rc;
	}
	*ret = daemon;
	return 0;
}
