/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system: requests of the kernel as calls of core. The only code that knows FUSE. */
#ifndef ATTACHFS_FS_H
#define ATTACHFS_FS_H

#include "attachfs/core.h"
#include "attachfs/error.h"

struct fs;

/* Mounts on `mountpoint` with `options` ("ro,max_read=…", may be NULL) beside our own, and fills
 * the hooks that core calls for it. Nothing is served before fs_serve(). */
int fs_mount(struct core *core, const char *mountpoint, const char *options, struct fs **ret,
	     struct core_hooks *hooks, struct error *err);

/*
 * Serves until somebody unmounts it or fs_stop() is called; 0 or -errno. served() is called once,
 * by one of the serving threads, when the mount answers. (No thread of ours may find that out by
 * asking: killed while its question is under way, the process could not die, since the question
 * ends with the device, and the device with the last thread.)
 */
int fs_serve(struct fs *fs, void (*served)(void *arg), void *arg);

/* Ends fs_serve(). Safe in a signal handler. */
void fs_stop(struct fs *fs);

/* Unmounts, if it is still mounted. Requests that wait must have been answered. */
void fs_unmount(struct fs *fs);
void fs_free(struct fs *fs);

#endif
