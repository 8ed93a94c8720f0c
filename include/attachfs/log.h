/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's own log: standard error in the foreground, syslog once in the background. */
#ifndef ATTACHFS_LOG_H
#define ATTACHFS_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Levels are syslog's (LOG_ERR … LOG_DEBUG). Never log a secret. Any thread. */
void log_at(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...)	 log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_DEBUG, __VA_ARGS__)

/* Chooses where lines go and which are dropped; called before the first thread starts. */
void log_open(bool to_syslog, int max_level);

#endif
