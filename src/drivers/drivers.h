/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the drivers' own files share with each other and with nobody else. */
#ifndef ATTACHFS_DRIVERS_DRIVERS_H
#define ATTACHFS_DRIVERS_DRIVERS_H

#include "attachfs/clock.h"
#include "attachfs/driver.h"

extern const struct driver tgt_driver;
extern const struct driver memory_driver;

/* Sleeps; a signal may cut it short, which every caller's loop tolerates. */
static inline void clock_sleep_us(unsigned us)
{
	struct timespec pause = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&pause, NULL);
}

#endif
