/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an open file is, between open.c, which makes and ends it, and file.c, which reads and writes. */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs.h"

/*
 * An open attribute. `seen` is the value at the moment of open, so that a reader never sees
 * a mixture. `written` is what this handle has written so far. The kernel holds the
 * inode's lock over write and truncate, so they do not overlap. Whoever has been answered
 * may close at once, while the thread that answered is still in the call: hence `users`.
 */
struct file {
	struct file *next, **link; /* in fs.files */
	struct fs *fs;
	struct ref ref;	   /* the attribute: its inode number may change meanwhile */
	struct temp *temp; /* held; NULL: an attribute */
	atomic_uint users;
	pthread_mutex_t lock; /* protects `seen`, which a write on this handle replaces */
	struct buf seen, written;
	struct caller opener;
	bool made; /* by create() */
	bool append, truncated, tried, wrote, stream;
};

static inline struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh;
}

/* Ends the use of a call that goes on after its request was answered. */
void file_put(struct file *f);

#endif
