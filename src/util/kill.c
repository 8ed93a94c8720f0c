/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends the process at a named point, for tests; an ordinary build has nothing of it. */
#include "attachfs/kill.h"

#ifdef ATTACHFS_KILL_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/cleanup.h"

#define SPEC_SIZE 128

#define KILL_NAME(name, text) #name,
static const char *const names[] = {KILL_POINTS(KILL_NAME)};
#undef KILL_NAME

static const char *order; /* of the environment; never changes */

/* What is to happen now; a new order counts from the beginning. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char spec[SPEC_SIZE];
static unsigned long passed;

static void __attribute__((constructor)) read_order(void)
{
	order = getenv("ATTACHFS_KILL");
	if (!order || strcmp(order, "list"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		puts(names[i]);
	exit(0);
}

/* The order of this moment without its newline; empty: there is none. */
static void read_spec(char out[SPEC_SIZE])
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (order[0] != '@') {
		snprintf(out, SPEC_SIZE, "%s", order);
		return;
	}
	fd = open(order + 1, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, out, SPEC_SIZE - 1);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static void trace(const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[4096], line[SPEC_SIZE];
	int n = snprintf(line, sizeof(line), "%s\n", name);

	snprintf(path, sizeof(path), "%s.trace", order + 1);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
}

/* Is it this point's turn to end? Locked. */
static int is_due(const char *name)
{
	const char *colon = strchr(spec, ':');
	size_t n = colon ? (size_t)(colon - spec) : strlen(spec);

	if (strlen(name) != n || strncmp(name, spec, n))
		return 0;
	return ++passed == (colon ? strtoul(colon + 1, NULL, 10) : 1);
}

void kill_point(enum kill_point point)
{
	char now[SPEC_SIZE];

	if (!order)
		return;
	pthread_mutex_lock(&lock);
	read_spec(now);
	if (strcmp(now, spec)) {
		memcpy(spec, now, sizeof(spec));
		passed = 0;
	}
	if (!strcmp(spec, "trace") && order[0] == '@')
		trace(names[point]);
	else if (is_due(names[point]))
		kill(getpid(), SIGKILL);
	pthread_mutex_unlock(&lock);
}

#else

/* ISO C wants something in every file. */
typedef int kill_is_not_built;

#endif
