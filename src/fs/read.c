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

static void fill_stat(fuse_ino_t ino, const struct node_stat *st, struct stat *ret)
{
	static const mode_t types[] = {
		[NODE_IS_DIR] = S_IFDIR, [NODE_IS_FILE] = S_IFREG, [NODE_IS_LINK] = S_IFLNK};

	*ret = (struct stat){
		.st_ino = ino,
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
	fuse_ino_t ino = ino_now(fs, ref);
	struct node_stat st;
	bool renumbered, fickle; /* to whom it is there will change */
	int rc;

	notifier_remember(fs, ino_of(ref));
	rc = core_stat(v, ref, &st);
	if (rc)
		return rc;
	renumbered = ino != ino_of(ref); /* whom nobody tells of changes */
	fickle = renumbered || st.is_new ||
		 (ref.node != NODE_SELF && veil_covers(fs->veils, ref.object));
	*ret = (struct fuse_entry_param){
		.ino = ino,
		.entry_timeout = fickle || st.is_fleeting ? 0 : TIMEOUT_SECONDS,
		.attr_timeout = renumbered || st.is_volatile ? 0 : TIMEOUT_SECONDS,
	};
	fill_stat(ino, &st, &ret->attr);
	return 0;
}

fuse_ino_t ino_now(struct fs *fs, struct ref ref)
{
	fuse_ino_t ino = ino_of(ref);

	for (struct temp *temp; (temp = temps_get(fs->temps, ino)); ino += INO_TURN)
		temps_put(fs->temps, temp);
	return ino;
}

/* Nothing of it is cached: its name, its number and its contents may go to something else. */
void fill_temp(const struct temp_stat *st, struct fuse_entry_param *ret)
{
	const struct node_stat node = {
		.type = st->type == TEMP_DIR	? NODE_IS_DIR
			: st->type == TEMP_FILE ? NODE_IS_FILE
						: NODE_IS_LINK,
		.inode = st->inode,
		.ctime = st->ctime,
		.size = st->size,
	};

	*ret = (struct fuse_entry_param){.ino = st->ino};
	fill_stat(st->ino, &node, &ret->attr);
	if (!st->dir)
		ret->attr.st_nlink = 0;
}

/* Not held: the temp may be gone, and then it is not there. */
static int fill_temp_of(struct fs *fs, struct temp *temp, struct fuse_entry_param *ret)
{
	struct temp_stat st;

	if (!temp)
		return -ENOENT;
	temps_stat(fs->temps, temp, &st);
	temps_put(fs->temps, temp);
	fill_temp(&st, ret);
	return 0;
}

static int lookup(struct fs *fs, struct view *v, pid_t pid, fuse_ino_t parent, const char *name,
		  struct fuse_entry_param *ret)
{
	struct ref ref;
	int rc = parent & INO_TEMP ? -ENOENT
				   : core_lookup(v, ref_of(parent), text_of(name), &ref);

	if (!rc && is_unseen(fs, v, ref, pid))
		rc = -ENOENT;
	if (!rc)
		return fill_entry(fs, v, ref, ret);
	return rc == -ENOENT ? fill_temp_of(fs, temps_find(fs->temps, parent, name), ret) : rc;
}

/* What is not there is not cached: it may be made at any moment. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (!rc) {
		rc = lookup(fs, &v, caller_of(req).pid, parent, name, &entry);
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
	struct temp *temp = temps_get(fs->temps, ino);
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	int rc;

	(void)fi;
	if (temp || ino & INO_TEMP) {
		rc = fill_temp_of(fs, temp, &entry);
	} else if (!(rc = view_begin(fs, &v, &tx))) {
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
	struct fs *fs = fs_of(req);
	struct temp *temp = temps_get(fs->temps, ino);
	struct view v;
	struct tx tx;
	BUF_AUTO(link);
	int rc;

	if (temp) {
		temps_read(fs->temps, temp, 0, TEMP_BYTES_MAX, &link);
		temps_put(fs->temps, temp);
		rc = buf_error(&link);
	} else if (!(rc = view_begin(fs, &v, &tx))) {
		rc = core_readlink(&v, ref_of(ino), &link);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_readlink(req, link.data ? link.data : "");
}

/* Blocks are those of the state, the only thing here that can be full. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct store_usage u;
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};

	(void)ino;
	store_usage(core_store(fs_of(req)->core), &u);
	st.f_blocks = u.map_bytes / 4096;
	st.f_bfree = u.map_bytes > u.used_bytes ? (u.map_bytes - u.used_bytes) / 4096 : 0;
	st.f_bavail = u.available_bytes / 4096;
	fuse_reply_statfs(req, &st);
}
