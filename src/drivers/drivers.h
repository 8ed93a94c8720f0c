/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the drivers' own files share with each other and with nobody else. */
#ifndef ATTACHFS_DRIVERS_DRIVERS_H
#define ATTACHFS_DRIVERS_DRIVERS_H

#include "attachfs/driver.h"

#include <time.h>

extern const struct driver tgt_driver;
extern const struct driver memory_driver;

/* No call of a driver takes longer than this (the contract says about 10 s). */
#define DRIVER_CALL_MS 10000

/* Milliseconds of a clock that never jumps: deadlines are absolute on it. */
static inline int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps; a signal may cut it short, which every caller's loop tolerates. */
static inline void clock_sleep_us(unsigned us)
{
	struct timespec pause = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&pause, NULL);
}

#endif
