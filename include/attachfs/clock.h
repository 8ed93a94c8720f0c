/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two clocks: what time it is, and how long something takes. */
#ifndef ATTACHFS_CLOCK_H
#define ATTACHFS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since 1970. */
static inline int64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Milliseconds since some moment; never goes back. */
static inline int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A moment of monotonic_ms() for pthread_cond_timedwait() on a CLOCK_MONOTONIC condition. */
static inline struct timespec monotonic_timespec(int64_t ms)
{
	return (struct timespec){ms / 1000, ms % 1000 * 1000000};
}

#endif
