/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking without changing: lookup, getattr, readlink, statfs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs.h"

int view_begin(struct fs *fs, struct view *v, struct tx *tx)
{
	*v = (struct view){.core = fs->core, .tx = tx};
	return store_read_begin(core_store(fs->core), tx);
}

void view_end(struct view *v)
{
	store_read_end(v->tx);
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void fill_stat(struct ref ref, const struct node_stat *st, struct stat *ret)
{
	static const mode_t types[] = {
		[NODE_IS_DIR] = S_IFDIR, [NODE_IS_FILE] = S_IFREG, [NODE_IS_LINK] = S_IFLNK};

	*ret = (struct stat){
		.st_ino = ino_of(ref),
		.st_mode = types[st->type] | (st->inode.mode & 07777),
		.st_nlink = st->type == NODE_IS_DIR ? 2 : 1,
		.st_uid = st->inode.uid,
		.st_gid = st->inode.gid,
		.st_size = (off_t)st->size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((st->size + 511) / 512),
		.st_atim = to_timespec(st->inode.atime),
		.st_mtim = to_timespec(st->inode.mtime),
		.st_ctim = to_timespec(st->ctime),
	};
}

int fill_entry(struct fs *fs, struct view *v, struct ref ref, struct fuse_entry_param *ret)
{
	struct node_stat st;
	int rc;

	notifier_remember(fs, ino_of(ref));
	rc = core_stat(v, ref, &st);
	if (rc)
		return rc;
	*ret = (struct fuse_entry_param){
		.ino = ino_of(ref),
		.entry_timeout = st.is_fleeting ? 0 : TIMEOUT_SECONDS,
		.attr_timeout = st.is_volatile ? 0 : TIMEOUT_SECONDS,
	};
	fill_stat(ref, &st, &ret->attr);
	return 0;
}

/* What is not there is not cached: it may be made at any moment. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	struct ref ref;
	int rc = view_begin(fs, &v, &tx);

	if (!rc) {
		rc = core_lookup(&v, ref_of(parent), text_of(name), &ref);
		if (!rc)
			rc = fill_entry(fs, &v, ref, &entry);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_entry(req, &entry);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	(void)fi;
	if (!rc) {
		rc = fill_entry(fs, &v, ref_of(ino), &entry);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_attr(req, &entry.attr, entry.attr_timeout);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct view v;
	struct tx tx;
	BUF_AUTO(link);
	int rc = view_begin(fs_of(req), &v, &tx);

	if (!rc) {
		rc = core_readlink(&v, ref_of(ino), &link);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_readlink(req, link.data);
}

/* Blocks are those of the state, the only thing here that can be full. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct store_usage u;
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

	(void)ino;
	store_usage(core_store(fs_of(req)->core), &u);
	st.f_blocks = u.map_bytes / 4096;
	st.f_bfree = st.f_bavail = (u.map_bytes - u.used_bytes) / 4096;
	fuse_reply_statfs(req, &st);
}
