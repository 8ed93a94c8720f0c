/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope-bound cleanup for C: free, close and hand-over without goto ladders. */
#ifndef ATTACHFS_CLEANUP_H
#define ATTACHFS_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* `_cleanup_free_ char *s = NULL;`: freed when the scope ends. */
#define _cleanup_free_	__attribute__((cleanup(cleanup_free)))
/* `_cleanup_close_ int fd = -1;`: closed when the scope ends, unless negative. */
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))

/* Hands the value over and leaves NULL (or -1) behind, so that the cleanup does nothing. */
#define steal_pointer(pp)                                                                      \
	({                                                                                     \
		__typeof__(*(pp)) stolen_ = *(pp);                                             \
		*(pp) = NULL;                                                                  \
		stolen_;                                                                       \
	})
#define steal_fd(fdp)                                                                          \
	({                                                                                     \
		int stolen_ = *(fdp);                                                          \
		*(fdp) = -1;                                                                   \
		stolen_;                                                                       \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
