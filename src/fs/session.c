/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting, serving and unmounting. */
#include <errno.h>
#include <fuse_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/buf.h"
#include "attachfs/log.h"
#include "fs.h"

/*
 * Threads that read /dev/fuse. One at a time may be writing the state, as long as the disk takes;
 * none calls a backend. The kernel gives each request to the one that has waited longest, so more
 * than are needed only push each other out of the processor's caches.
 */
#define SERVING_THREADS 2

#define OUR_OPTIONS                                                                            \
	"allow_other,default_permissions,nosuid,nodev,noexec,fsname=attachfs,subtype=attachfs"

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	unsigned wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
			  FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
			  FUSE_CAP_DONT_MASK;
	struct fs *fs = userdata;

	fs->greeted = true;
	conn->want &= ~(unsigned)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA |
				  FUSE_CAP_POSIX_ACL | FUSE_CAP_SPLICE_READ);
	conn->want |= wanted & conn->capable;
	fs->served(fs->served_arg); /* whoever asks from now on waits for this at most */
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.link = op_link,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.create = op_create,
};

/* libfuse's own words are for those who debug; what users need is in our error. */
__attribute__((format(printf, 2, 0))) static void log_fuse(enum fuse_log_level level,
							    const char *format, va_list ap)
{
	char line[512];

	(void)level;
	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("libfuse: %s", line);
}

static int make_session(struct fs *fs, const char *options, struct error *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	BUF_AUTO(all);
	int rc;

	buf_printf(&all, "-o%s%s%s", OUR_OPTIONS, options ? "," : "", options ? options : "");
	rc = buf_error(&all) || fuse_opt_add_arg(&args, "attachfs") ||
	     fuse_opt_add_arg(&args, all.data);
	if (!rc)
		fs->session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), fs);
	fuse_opt_free_args(&args);
	if (!fs->session)
		return error_set(err, EINVAL, "cannot make a FUSE session with options %s",
				 all.data ? all.data + 2 : "");
	return 0;
}

int fs_mount(struct core *core, const char *mountpoint, const char *options, struct fs **ret,
	     struct core_hooks *hooks, struct error *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int rc;

	if (!fs)
		return error_set(err, ENOMEM, "out of memory");
	fs->core = core;
	pthread_mutex_init(&fs->files_lock, NULL);
	fuse_set_log_func(log_fuse);
	rc = temps_open(&fs->temps) ?: hidden_open(&fs->hidden) ?: veils_open(&fs->veils);
	if (rc)
		error_set(err, -rc, "out of memory");
	else
		rc = make_session(fs, options, err);
	if (!rc) {
		errno = 0;
		fs->mounted = !fuse_session_mount(fs->session, mountpoint);
		if (!fs->mounted)
			rc = error_set(err, errno ? errno : EIO,
				       "%s: cannot mount there: %s; attachfs -v tells more", mountpoint,
				       errno ? strerror(errno) : "refused");
	}
	if (!rc && (rc = notifier_start(fs)))
		error_set(err, -rc, "cannot start a thread");
	if (rc) {
		fs_free(fs);
		return rc;
	}
	*hooks = (struct core_hooks){.arg = fs, .changed = notifier_add};
	*ret = fs;
	return 0;
}

/*
 * The kernel's first request asks what we can do. If the answer is an error, as libfuse's is when it
 * has no memory, the kernel never asks anything again.
 */
static int greet(struct fs *fs)
{
	struct fuse_buf request = {0};
	int rc;

	do
		rc = fuse_session_receive_buf(fs->session, &request);
	while (rc == -EINTR && !fuse_session_exited(fs->session));
	if (rc > 0)
		fuse_session_process_buf(fs->session, &request);
	free(request.mem);
	if (fuse_session_exited(fs->session))
		return 0;
	return rc < 0 ? rc : fs->greeted ? 0 : -ENOMEM;
}

int fs_serve(struct fs *fs, void (*served)(void *arg), void *arg)
{
	struct fuse_loop_config *config;
	int rc;

	fs->served = served;
	fs->served_arg = arg;
	rc = greet(fs);
	if (rc || fuse_session_exited(fs->session))
		return rc;
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_max_threads(config, SERVING_THREADS);
	fuse_loop_cfg_set_idle_threads(config, SERVING_THREADS);
	rc = fuse_session_loop_mt(fs->session, config);
	fuse_loop_cfg_destroy(config);
	return rc < 0 ? rc : 0;
}

void fs_stop(struct fs *fs)
{
	fuse_session_exit(fs->session);
}

void fs_unmount(struct fs *fs)
{
	notifier_stop(fs); /* it writes to the descriptor that unmounting closes */
	if (fs->mounted)
		fuse_session_unmount(fs->session);
	fs->mounted = false;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	fs_unmount(fs);
	if (fs->session)
		fuse_session_destroy(fs->session);
	files_free(fs);
	temps_close(fs->temps);
	hidden_close(fs->hidden);
	veils_close(fs->veils);
	pthread_mutex_destroy(&fs->files_lock);
	free(fs);
}
