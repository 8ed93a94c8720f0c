/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bench baseline: a file system of attachfs's shape and FUSE flags that does nothing. */

/*
 * usage: null_fs VOLUMES uncached|cached MOUNTPOINT
 *
 * Serves volumes/v000000 … with the names that a volume of attachfs has, from computed
 * inode numbers and one constant value: no storage, no locks, no memory. What it needs
 * for a request is what FUSE costs; what attachfs needs more is attachfs. `uncached` has
 * all time-outs 0 instead of 60 s. Stays in the foreground; ends on unmount or SIGTERM.
 */

#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"
#include "bench.h"

#define VOLUMES_MAX  10000000
#define FUSE_THREADS 4

static const char value[] = "value\n";
#define VALUE_SIZE (sizeof(value) - 1)

/* A volume's directory; the first ones are directories themselves, and empty. */
#define ENTRY_DIRS 2
static const char *const entries[] = {
	"attachments", "metadata",   "size",
	"multiattach", "profile",    "pool",
	"description", "group_id",   "availability_zone",
	"max_writers", "protected",  "id",
	"name",	       "status",     "attach_status",
	"dock",	       "size_bytes", "tenant_id",
	"user_id",     "created_at", "updated_at",
	"last_error",  "info.json",
};

/* Inode numbers: 1 the root, 2 volumes/, else (volume + 1) << 8 | (0 or entry + 1). */
#define INO_VOLUMES    2
#define INO_VOLUME(v)  (((fuse_ino_t)(v) + 1) << 8)
#define INO_ENTRY(ino) ((unsigned)((ino)&0xff))

static unsigned n_volumes;
static double timeout = 60;

static bool ino_is_dir(fuse_ino_t ino)
{
	return INO_ENTRY(ino) <= ENTRY_DIRS;
}

static void fill_stat(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){
		.st_ino = ino,
		.st_mode = ino_is_dir(ino) ? S_IFDIR | 0755 : S_IFREG | 0644,
		.st_nlink = ino_is_dir(ino) ? 2 : 1,
		.st_size = ino_is_dir(ino) ? 0 : VALUE_SIZE,
		.st_mtim = {.tv_sec = 1000000000},
	};
}

static void fill_entry(fuse_ino_t ino, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = ino,
		.attr_timeout = timeout,
		.entry_timeout = timeout,
	};
	fill_stat(ino, &e->attr);
}

static fuse_ino_t find_volume(const char *name)
{
	uint64_t v;

	if (name[0] != 'v' || text_to_u64(text_of(name + 1), &v) || v >= n_volumes)
		return 0;
	return INO_VOLUME(v);
}

static fuse_ino_t find_child(fuse_ino_t parent, const char *name)
{
	unsigned i;

	if (parent == FUSE_ROOT_ID)
		return strcmp(name, "volumes") ? 0 : INO_VOLUMES;
	if (parent == INO_VOLUMES)
		return find_volume(name);
	for (i = 0; !INO_ENTRY(parent) && i < ARRAY_SIZE(entries); i++)
		if (!strcmp(name, entries[i]))
			return parent | (i + 1);
	return 0;
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_ino_t ino = find_child(parent, name);
	struct fuse_entry_param e;

	if (!ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_entry(ino, &e);
	fuse_reply_entry(req, &e);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill_stat(ino, &st);
	fuse_reply_attr(req, &st, timeout);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	size_t from = offset < (off_t)VALUE_SIZE ? (size_t)offset : VALUE_SIZE;
	size_t left = VALUE_SIZE - from;

	(void)ino;
	(void)fi;
	fuse_reply_buf(req, value + from, left < size ? left : size);
}

/* The `i`-th name in a directory: false at the end. `space` is for computed names. */
static bool child_at(fuse_ino_t dir, uint64_t i, char space[16], const char **name,
		     fuse_ino_t *ino)
{
	if (dir == FUSE_ROOT_ID) {
		*name = "volumes";
		*ino = INO_VOLUMES;
		return i == 0;
	}
	if (dir == INO_VOLUMES) {
		snprintf(space, 16, "v%06u", (unsigned)i);
		*name = space;
		*ino = INO_VOLUME(i);
		return i < n_volumes;
	}
	if (INO_ENTRY(dir) || i >= ARRAY_SIZE(entries))
		return false;
	*name = entries[i];
	*ino = dir | (i + 1);
	return true;
}

static size_t add_child(fuse_req_t req, char *out, size_t room, bool plus,
			const char *name, fuse_ino_t ino, off_t next)
{
	struct fuse_entry_param e;

	fill_entry(ino, &e);
	if (plus)
		return fuse_add_direntry_plus(req, out, room, name, &e, next);
	return fuse_add_direntry(req, out, room, name, &e.attr, next);
}

static void reply_dir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t offset,
		      bool plus)
{
	_cleanup_free_ char *out = malloc(size);
	char space[16];
	const char *name;
	fuse_ino_t ino;
	size_t used = 0, n;

	if (!out) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	while (child_at(dir, (uint64_t)offset, space, &name, &ino)) {
		n = add_child(req, out + used, size - used, plus, name, ino, ++offset);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, out, used);
}

static void null_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			 struct fuse_file_info *fi)
{
	(void)fi;
	reply_dir(req, ino, size, offset, false);
}

static void null_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			     struct fuse_file_info *fi)
{
	(void)fi;
	reply_dir(req, ino, size, offset, true);
}

static void null_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, ENOSYS);
}

static void null_init(void *arg, struct fuse_conn_info *conn)
{
	(void)arg;
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ);
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_ATOMIC_O_TRUNC);
}

static const struct fuse_lowlevel_ops null_ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.open = null_open,
	.read = null_read,
	.readdir = null_readdir,
	.readdirplus = null_readdirplus,
	.getxattr = null_getxattr,
};

static int serve(struct fuse_session *session)
{
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	int r;

	if (!loop)
		return -ENOMEM;
	fuse_loop_cfg_set_max_threads(loop, FUSE_THREADS);
	fuse_loop_cfg_set_idle_threads(loop, FUSE_THREADS);
	r = fuse_session_loop_mt(session, loop);
	fuse_loop_cfg_destroy(loop);
	return r;
}

static int mount_and_serve(struct fuse_session *session, const char *mountpoint)
{
	int r;

	if (fuse_session_mount(session, mountpoint))
		return -EIO;
	if (fuse_set_signal_handlers(session))
		r = -EIO;
	else
		r = serve(session);
	fuse_remove_signal_handlers(session);
	fuse_session_unmount(session);
	return r;
}

int main(int argc, char **argv)
{
	char *mount_argv[] = {
		argv[0], "-o",
		"default_permissions,allow_other,nosuid,nodev,noexec,fsname=null_fs"};
	struct fuse_args args = FUSE_ARGS_INIT(ARRAY_SIZE(mount_argv), mount_argv);
	struct fuse_session *session;
	int r;

	if (argc != 4)
		bench_die("usage: null_fs VOLUMES uncached|cached MOUNTPOINT");
	n_volumes = bench_number(argv[1], 1, VOLUMES_MAX);
	if (!strcmp(argv[2], "uncached"))
		timeout = 0;
	else if (strcmp(argv[2], "cached"))
		bench_die("%s: expected uncached or cached", argv[2]);
	session = fuse_session_new(&args, &null_ops, sizeof(null_ops), NULL);
	if (!session)
		return EXIT_FAILURE;
	r = mount_and_serve(session, argv[3]);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
