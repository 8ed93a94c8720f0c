/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library that is preloaded into a tgtd: it pairs names with secrets (src/preload). */
#ifndef ATTACHFS_DRIVERS_TGT_PAIR_H
#define ATTACHFS_DRIVERS_TGT_PAIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "attachfs/error.h"

/* A file in memory that holds it, close-on-exec; the caller closes it. -errno. */
int tgt_pair_open(struct error *err);

/* Has that process loaded it? */
bool tgt_pair_loaded(pid_t pid);

#endif
