/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host on the command line: the shell tests' way to log in, read, write and stay. */
#include "../lib/host.h"

#include "attachfs/clock.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * host COMMAND [OPTION]...
 *
 *	login		log in, print "bytes=N wp=0|1 identity=HEX", log out
 *	read LBA	print the block's first byte and whether all are equal to it
 *	write LBA BYTE	fill one block with that byte (0 to 255)
 *	opcodes		send every opcode that can change a disk; a line each, 0 if none was done
 *	hold [LBA]	stay logged in and write a block each --interval ms (0: only look whether
 *			the session is alive) until standard input ends or a signal comes; prints
 *			"ready", "ok N" once a second, "error ..." at the first failure
 *	session		one session for the commands on standard input, a line each, which are
 *			answered with a line each; see session_commands below; logs out at "quit"
 *			or the end
 *	loop [N]	log in and out N times, print microseconds per login
 *
 * --portal A:P --target IQN --initiator IQN [--lun N] [--user U] [--secret-file F]
 * [--timeout MS] [--interval MS]; the secret may also be in the environment's HOST_SECRET.
 *
 * Exit status: 0 done, 1 usage or no portal, 2 login refused, 3 I/O refused or session gone
 * (the sense is printed), 4 no answer in time.
 */
static const struct option options[] = {
	{"portal", required_argument, NULL, 'p'},
	{"target", required_argument, NULL, 't'},
	{"initiator", required_argument, NULL, 'i'},
	{"lun", required_argument, NULL, 'l'},
	{"user", required_argument, NULL, 'u'},
	{"secret-file", required_argument, NULL, 's'},
	{"timeout", required_argument, NULL, 'T'},
	{"interval", required_argument, NULL, 'I'},
	{NULL, 0, NULL, 0},
};

static struct host_login login = {.lun = 1, .timeout_ms = 5000};
static unsigned interval_ms = 10;
static char secret[256];
static volatile sig_atomic_t stopped;

static int status_of(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case EACCES:
		return 2;
	case EIO:
	case ECONNRESET:
		return 3;
	case ETIMEDOUT:
		return 4;
	default:
		return 1;
	}
}

static int complain(struct host *h, int rc)
{
	if (rc && h)
		fprintf(stderr, "host: %s (sense %06x)\n", host_error(h), host_sense(h));
	else if (rc)
		fprintf(stderr, "host: login: %s\n", strerror(-rc));
	return status_of(rc);
}

static int do_login(struct host *h, char **argv)
{
	char identity[HOST_IDENTITY] = "";
	uint64_t bytes = 0;
	bool wp = false;
	int rc = host_capacity(h, &bytes);

	(void)argv;
	if (!rc)
		rc = host_write_protected(h, &wp);
	if (!rc)
		rc = host_identity(h, identity, sizeof(identity));
	if (!rc)
		printf("bytes=%llu wp=%d identity=%s\n", (unsigned long long)bytes, wp, identity);
	return rc;
}

static uint64_t number(const char *text)
{
	return text ? strtoull(text, NULL, 0) : 0;
}

static int do_read(struct host *h, char **argv)
{
	unsigned char block[HOST_BLOCK] = {0};
	int rc = host_read(h, number(argv[0]), block, 1);

	if (!rc)
		printf("%u %s\n", block[0],
		       memcmp(block, block + 1, sizeof(block) - 1) ? "mixed" : "equal");
	return rc;
}

static int do_write(struct host *h, char **argv)
{
	unsigned char block[HOST_BLOCK];

	if (!argv[0])
		return -EINVAL;
	memset(block, (int)number(argv[1]), sizeof(block));
	return host_write(h, number(argv[0]), block, 1);
}

static int do_opcodes(struct host *h, char **argv)
{
	int done = 0;

	(void)argv;
	for (size_t i = 0; host_opcode_name(i); i++) {
		int rc = host_opcode(h, i);

		if (rc && rc != -EIO)
			return rc;
		done += !rc;
		printf("%-22s %s %06x\n", host_opcode_name(i), rc ? "refused" : "DONE",
		       host_sense(h));
	}
	return done ? 0 : -EIO;
}

static void on_signal(int number_)
{
	(void)number_;
	stopped = 1;
}

static int do_hold(struct host *h, char **argv)
{
	unsigned char block[HOST_BLOCK] = {0};
	struct pollfd in = {.fd = 0, .events = POLLIN};
	unsigned long n = 0;
	int64_t next_line = monotonic_ms() + 1000;
	char byte;
	int rc = 0;

	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	printf("ready\n");
	while (!stopped && !rc) {
		if (poll(&in, 1, (int)(interval_ms ? interval_ms : 100)) > 0 &&
		    read(0, &byte, 1) <= 0)
			break;
		memset(block, (int)++n, sizeof(block));
		rc = interval_ms ? host_write(h, number(argv[0]), block, 1) : host_alive(h);
		if (!rc && monotonic_ms() >= next_line) {
			printf("ok %lu\n", n);
			next_line += 1000;
		}
	}
	if (rc)
		printf("error %s sense %06x after %lu\n", host_error(h), host_sense(h), n);
	return rc;
}

/* ---- a session that is told what to do ---- */

static int in_read(struct host *h, const uint64_t *arg)
{
	unsigned char block[HOST_BLOCK] = {0};
	int rc = host_read(h, arg[0], block, 1);

	if (!rc)
		printf("%u %s\n", block[0],
		       memcmp(block, block + 1, sizeof(block) - 1) ? "mixed" : "equal");
	return rc;
}

static int in_write(struct host *h, const uint64_t *arg)
{
	unsigned char block[HOST_BLOCK];

	memset(block, (int)arg[1], sizeof(block));
	return host_write(h, arg[0], block, 1);
}

static int in_alive(struct host *h, const uint64_t *arg)
{
	(void)arg;
	return host_alive(h);
}

static int in_register(struct host *h, const uint64_t *arg)
{
	return host_pr_out(h, HOST_PR_REGISTER, 0, 0, arg[0]);
}

static int in_reserve(struct host *h, const uint64_t *arg)
{
	return host_pr_out(h, HOST_PR_RESERVE, (unsigned)arg[1], arg[0], 0);
}

static int in_release(struct host *h, const uint64_t *arg)
{
	return host_pr_out(h, HOST_PR_RELEASE, (unsigned)arg[1], arg[0], 0);
}

static int in_clear(struct host *h, const uint64_t *arg)
{
	return host_pr_out(h, HOST_PR_CLEAR, 0, arg[0], 0);
}

static int in_preempt(struct host *h, const uint64_t *arg)
{
	return host_pr_out(h, HOST_PR_PREEMPT, (unsigned)arg[2], arg[0], arg[1]);
}

static int in_keys(struct host *h, const uint64_t *arg)
{
	uint64_t keys[32];
	size_t n = 0;
	int rc = host_pr_keys(h, keys, 32, &n);

	(void)arg;
	for (size_t i = 0; i < n && !rc; i++)
		printf("%s%llu", i ? " " : "", (unsigned long long)keys[i]);
	if (!rc)
		printf("%s\n", n ? "" : "none");
	return rc;
}

static int in_holder(struct host *h, const uint64_t *arg)
{
	uint64_t key;
	unsigned type;
	int rc = host_pr_holder(h, &key, &type);

	(void)arg;
	if (!rc && type)
		printf("%llu type %u\n", (unsigned long long)key, type);
	else if (!rc)
		printf("none\n");
	return rc;
}

/* Their arguments are numbers. Those that print nothing are answered "ok", a failure is "error"
 * and why, another's reservation "conflict". */
static const struct {
	const char *name;
	int (*run)(struct host *h, const uint64_t *arg);
	bool prints;
} session_commands[] = {
	{"read", in_read, true},	/* LBA */
	{"write", in_write, false},	/* LBA BYTE */
	{"alive", in_alive, false},
	{"register", in_register, false}, /* KEY */
	{"reserve", in_reserve, false}, /* KEY TYPE */
	{"release", in_release, false}, /* KEY TYPE */
	{"clear", in_clear, false},	/* KEY */
	{"preempt", in_preempt, false}, /* KEY VICTIM TYPE */
	{"keys", in_keys, true},
	{"holder", in_holder, true},
};

static void session_line(struct host *h, const char *line)
{
	long long arg[3] = {0};
	uint64_t numbers[3];
	char name[16] = "";
	int rc = -EINVAL;
	bool prints = false;

	sscanf(line, "%15s %lli %lli %lli", name, &arg[0], &arg[1], &arg[2]);
	for (int i = 0; i < 3; i++)
		numbers[i] = (uint64_t)arg[i];
	for (size_t i = 0; i < sizeof(session_commands) / sizeof(session_commands[0]); i++)
		if (!strcmp(session_commands[i].name, name)) {
			rc = session_commands[i].run(h, numbers);
			prints = session_commands[i].prints;
		}
	if (rc == -EBUSY)
		printf("conflict\n");
	else if (rc)
		printf("error %s sense %06x\n", rc == -EINVAL ? "usage" : host_error(h),
		       host_sense(h));
	else if (!prints)
		printf("ok\n");
}

static int do_session(struct host *h, char **argv)
{
	char line[256];

	(void)argv;
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n"))
		session_line(h, line);
	return 0;
}

static int do_loop(char **argv)
{
	uint64_t n = argv[0] ? number(argv[0]) : 100;
	int64_t start = monotonic_ms();

	for (uint64_t i = 0; i < n; i++) {
		struct host *h;
		int rc = host_open(&login, &h);

		if (rc)
			return rc;
		host_close(h);
	}
	printf("%.0f\n", (double)(monotonic_ms() - start) * 1000 / (double)(n ? n : 1));
	return 0;
}

static void read_secret(const char *path)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(secret, sizeof(secret), file)) {
		fprintf(stderr, "host: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	fclose(file);
	secret[strcspn(secret, "\n")] = '\0';
	login.secret = secret;
}

static void set_option(int c)
{
	switch (c) {
	case 'p': login.portal = optarg; break;
	case 't': login.target = optarg; break;
	case 'i': login.initiator = optarg; break;
	case 'l': login.lun = (unsigned)number(optarg); break;
	case 'u': login.user = optarg; break;
	case 's': read_secret(optarg); break;
	case 'T': login.timeout_ms = (unsigned)number(optarg); break;
	case 'I': interval_ms = (unsigned)number(optarg); break;
	default: exit(1);
	}
}

static const struct {
	const char *name;
	int (*run)(struct host *h, char **argv);
} commands[] = {
	{"login", do_login}, {"read", do_read}, {"write", do_write},
	{"opcodes", do_opcodes}, {"hold", do_hold}, {"session", do_session},
};

static int run(char **argv)
{
	struct host *h = NULL;
	int rc, status;

	if (!strcmp(argv[0], "loop"))
		return complain(NULL, do_loop(argv + 1));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[0], commands[i].name))
			continue;
		rc = host_open(&login, &h);
		if (rc)
			return complain(NULL, rc);
		status = complain(h, commands[i].run(h, argv + 1));
		host_close(h);
		return status;
	}
	fprintf(stderr, "host: login, read, write, opcodes, hold, session or loop, not %s\n", argv[0]);
	return 1;
}

int main(int argc, char **argv)
{
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	login.secret = getenv("HOST_SECRET");
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(c);
	if (!argv[optind] || !login.portal || !login.target || !login.initiator ||
	    (login.user && !login.secret)) {
		fprintf(stderr, "host: COMMAND --portal A:P --target IQN --initiator IQN "
				"[--user U --secret-file F]\n");
		return 1;
	}
	return run(argv + optind);
}
