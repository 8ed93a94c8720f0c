/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program: options, background, and the order in which everything starts and ends. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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
#include "attachfs/conf.h"
#include "attachfs/core.h"
#include "attachfs/fs.h"
#include "attachfs/kill.h"
#include "attachfs/log.h"
#include "attachfs/store.h"
#include "attachfs/worker.h"

/* Exit codes, as in attachfs(8). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* How long the mount waits for backends before it is served without them. */
#define READY_MS 5000

struct options {
	const char *conf_file, *mount_options, *mountpoint;
	bool foreground, check_config, check, repair, dump, verbose;
};

static const char help[] =
	"usage: attachfs -c FILE [-f] [-v] [-o OPTIONS] MOUNTPOINT\n"
	"       attachfs -c FILE --check-config | --check | --repair | --dump\n"
	"\n"
	"Serves volumes, docks and attachments as a file system at MOUNTPOINT.\n"
	"\n"
	"  -c, --config FILE   the configuration, attachfs.yaml(5)\n"
	"  -f, --foreground    stay in the foreground and log to standard error\n"
	"  -v, --verbose       log debugging messages too\n"
	"  -o OPTIONS          mount options, as for mount(8)\n"
	"      --check-config  check the configuration and exit\n"
	"      --check         compare the records with the backends and exit: 0 if all agree\n"
	"      --repair        do what every start does to make them agree, then --check\n"
	"      --dump          print every stored record as a JSON line and exit\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n"
	"\n"
	"Without -f it goes to the background once the mount is served. End it with\n"
	"umount MOUNTPOINT, or SIGTERM: no host's session ends with it.\n"
	"See attachfs(8), attachfs(7) for the tree, attachfs.yaml(5).\n";

enum { OPT_CHECK_CONFIG = 256, OPT_CHECK, OPT_REPAIR, OPT_DUMP };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"foreground", no_argument, NULL, 'f'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
	{"check", no_argument, NULL, OPT_CHECK},
	{"repair", no_argument, NULL, OPT_REPAIR},
	{"dump", no_argument, NULL, OPT_DUMP},
	{0},
};

static int usage_error(const char *what)
{
	fprintf(stderr, "attachfs: %s; try attachfs --help\n", what);
	return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:fvo:hV", long_options, NULL)) != -1)
		switch (c) {
		case 'c':
			o->conf_file = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'o':
			o->mount_options = optarg;
			break;
		case OPT_CHECK_CONFIG:
			o->check_config = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_REPAIR:
			o->repair = true;
			break;
		case OPT_DUMP:
			o->dump = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_OK;
		case 'V':
			puts("attachfs " ATTACHFS_VERSION);
			return EXIT_OK;
		default:
			return usage_error("unknown option or missing argument");
		}
	if (!o->conf_file)
		return usage_error("no configuration named: -c FILE is needed");
	if (optind < argc)
		o->mountpoint = argv[optind++];
	if (optind < argc)
		return usage_error("more than one mount point");
	if (!o->check_config && !o->check && !o->repair && !o->dump && !o->mountpoint)
		return usage_error("no mount point named");
	return -1;
}

static int fail(const struct error *err)
{
	fprintf(stderr, "attachfs: %s\n", err->text);
	return EXIT_FAILED;
}

static void warn_line(void *arg, const char *line)
{
	(void)arg;
	log_warning("%s", line);
}

static int print_line(void *arg, struct text json)
{
	(void)arg;
	return printf("%.*s\n", TEXT_ARG(json)) < 0 ? -EIO : 0;
}

static int dump(const struct conf *conf)
{
	struct error err = {0};
	struct store *store;
	int rc = store_open(conf->state, conf->map_size, true, &store, &err);

	if (rc)
		return fail(&err);
	rc = core_check_records(store, &err);
	if (!rc) {
		rc = core_dump(store, print_line, NULL);
		if (rc || fflush(stdout))
			rc = error_set(&err, rc ? -rc : errno, "dump: %s",
				       strerror(rc ? -rc : errno));
	}
	store_close(store);
	return rc ? fail(&err) : EXIT_OK;
}

/* Secrets are in memory: no core dump may hold them, nobody may trace us for them. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
}

static int print_difference(void *arg, const char *path, const char *what)
{
	++*(unsigned long *)arg;
	return printf("%s: %s\n", path, what) < 0 ? -EIO : 0;
}

/* Exit status 0 only if everything agrees. */
static int check(const struct conf *conf, bool repair)
{
	struct error err = {0};
	unsigned long n = 0;

	harden();
	if (repair && worker_repair(conf, &err))
		return fail(&err);
	if (worker_audit(conf, print_difference, &n, &err))
		return fail(&err);
	if (n)
		printf("%lu difference%s\n", n, n == 1 ? "" : "s");
	else
		puts("all agree");
	return fflush(stdout) || n ? EXIT_FAILED : EXIT_OK;
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

static int serve(const struct conf *conf, const struct options *given)
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

int main(int argc, char **argv)
{
	struct options o = {0};
	struct error err = {0};
	struct conf *conf;
	int rc = parse_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	log_open(false, o.verbose ? LOG_DEBUG : LOG_INFO);
	if (conf_load(o.conf_file, warn_line, NULL, &conf, &err))
		return fail(&err);
	if (worker_check_conf(conf, &err))
		rc = fail(&err);
	else if (o.check_config)
		rc = EXIT_OK;
	else
		rc = o.dump			  ? dump(conf)
		     : o.check || o.repair ? check(conf, o.repair)
					   : serve(conf, &o);
	conf_unload(conf);
	return rc;
}
