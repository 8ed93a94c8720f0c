/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's log: one line an entry, to standard error or to syslog. */
#include "attachfs/log.h"

#include <stdarg.h>
#include <stdio.h>

/* Set once by log_open() before threads start, read-only afterwards. */
static bool use_syslog;
static int max_level = LOG_INFO;

void log_open(bool to_syslog, int level)
{
	use_syslog = to_syslog;
	max_level = level;
	if (to_syslog)
		openlog("attachfs", LOG_PID, LOG_DAEMON);
}

void log_at(int level, const char *format, ...)
{
	static const char *const names[] = {
		[LOG_ERR] = "error",
		[LOG_WARNING] = "warning",
		[LOG_NOTICE] = "notice",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};
	char line[2048];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (use_syslog)
		syslog(level, "%s", line);
	else
		fprintf(stderr, "attachfs: %s: %s\n", names[level], line);
}
