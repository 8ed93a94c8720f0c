/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program's two parts share: its options, and how it ends. */
#ifndef MAIN_H
#define MAIN_H

#include <stdbool.h>

#include "attachfs/conf.h"

/* Exit codes, as in attachfs(8). */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *conf_file, *mount_options, *mountpoint;
	bool foreground, check_config, check, repair, dump, verbose;
};

/* Prints the error; returns EXIT_FAILED. */
int fail(const struct error *err);

/* No core dumps, no tracing, and files for root alone: secrets are in memory. */
void harden(void);

/* Mounts, and serves until the mount ends; returns the exit code. */
int serve(const struct conf *conf, const struct options *options);

#endif
