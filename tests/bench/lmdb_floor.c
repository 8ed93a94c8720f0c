/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bench baseline: durable changes a second in bare LMDB, of an attribute write's size. */

/*
 * usage: lmdb_floor NEW_DIR CHANGES THREADS
 *
 * Every change is one synced commit (threads that wait together share one). Prints
 * changes per second. No attribute write can be durable faster than this on the same
 * disk.
 */

#include "commits.h"

/* So that the tree has the depth of a small installation's, not of an empty one. */
#define OBJECTS 1000

static void change(void *arg, unsigned i, unsigned thread)
{
	commits_add(arg, thread, COMMITS_ALONE, i);
}

int main(int argc, char **argv)
{
	unsigned count, threads;
	struct commits c;

	if (argc != 4)
		bench_die("usage: lmdb_floor NEW_DIR CHANGES THREADS");
	count = bench_number(argv[2], 1, 10000000);
	threads = bench_number(argv[3], 1, BENCH_THREADS_MAX);
	commits_open(&c, argv[1]);
	commits_age(&c, OBJECTS);
	printf("%.1f\n", count / bench_parallel(threads, count, change, &c));
	commits_close(&c);
	return EXIT_SUCCESS;
}
