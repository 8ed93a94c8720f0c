/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs of the bench share: a clock, numbers, fatal errors, threads. */
#ifndef ATTACHFS_BENCH_H
#define ATTACHFS_BENCH_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attachfs/text.h"

#define BENCH_THREADS_MAX 256

/* Any error makes the measured number worthless, so the programs end at the first one. */
static inline void __attribute__((noreturn, format(printf, 1, 2)))
bench_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static inline double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline unsigned bench_number(const char *s, unsigned min, unsigned max)
{
	uint64_t n;

	if (text_to_u64(text_of(s), &n) || n < min || n > max)
		bench_die("%s: expected a number from %u to %u", s, min, max);
	return (unsigned)n;
}

/* Job `i` of a run; `thread` counts from 0. */
typedef void bench_job(void *arg, unsigned i, unsigned thread);

struct bench_crew {
	bench_job *job;
	void *arg;
	unsigned count;
	atomic_uint next, threads;
};

static inline void *bench_crew_main(void *arg)
{
	struct bench_crew *crew = arg;
	unsigned thread = atomic_fetch_add(&crew->threads, 1), i;

	while ((i = atomic_fetch_add(&crew->next, 1)) < crew->count)
		crew->job(crew->arg, i, thread);
	return NULL;
}

/* Runs the jobs 0 … count-1 on that many threads and returns the seconds it took. */
static inline double bench_parallel(unsigned threads, unsigned count, bench_job *job,
				    void *arg)
{
	struct bench_crew crew = {.job = job, .arg = arg, .count = count};
	pthread_t ids[BENCH_THREADS_MAX];
	double start = bench_now();
	unsigned i;

	if (threads == 1) {
		bench_crew_main(&crew);
		return bench_now() - start;
	}
	for (i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, bench_crew_main, &crew))
			bench_die("cannot start thread %u", i);
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	return bench_now() - start;
}

#endif
