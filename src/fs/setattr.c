/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting what chmod, chown, utimens and truncate set. */
#include <errno.h>
#include <stdlib.h>

#include "fs.h"


static void reply_attr(struct request *r)
{
	op_getattr(r->req, ino_of(r->intent.subject), NULL);
}

static int64_t to_ns(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static unsigned take_attr(const struct stat *attr, int to_set, struct inode_state *ret)
{
	static const struct {
		int fuse;
		unsigned ours;
	} fields[] = {{FUSE_SET_ATTR_MODE, INODE_MODE},
		      {FUSE_SET_ATTR_UID, INODE_UID},
		      {FUSE_SET_ATTR_GID, INODE_GID},
		      {FUSE_SET_ATTR_ATIME, INODE_ATIME},
		      {FUSE_SET_ATTR_MTIME, INODE_MTIME}};
	struct timespec now;
	unsigned set = 0;

	for (size_t k = 0; k < 5; k++)
		if (to_set & fields[k].fuse)
			set |= fields[k].ours;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct inode_state){
		.mode = attr->st_mode & 07777,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.atime = to_ns(to_set & FUSE_SET_ATTR_ATIME_NOW ? now : attr->st_atim),
		.mtime = to_ns(to_set & FUSE_SET_ATTR_MTIME_NOW ? now : attr->st_mtim),
	};
	return set;
}

static void set_temp(fuse_req_t req, fuse_ino_t ino, struct temp *temp, const struct stat *attr,
		     int to_set)
{
	struct fs *fs = fs_of(req);
	struct inode_state inode;
	unsigned fields = take_attr(attr, to_set, &inode);
	int rc = 0;

	/* The times that come with a truncation are the kernel's, not the user's. */
	if (to_set & FUSE_SET_ATTR_SIZE)
		rc = temps_truncate(fs->temps, temp, (uint64_t)attr->st_size);
	else
		temps_set(fs->temps, temp, fields, &inode);
	if (rc)
		refuse(req, ref_of(temps_top(fs->temps, ino)), rc, "a temporary file has at most 64 KiB");
	else
		op_getattr(req, ino, NULL);
}

/* Truncating commits nothing; a read-only attribute refuses it all the same. */
static int truncate_node(struct fs *fs, struct ref ref, off_t size, struct fuse_file_info *fi)
{
	struct view v;
	struct tx tx;
	int rc;

	if (fi) {
		file_truncate(fi, size);
		return 0;
	}
	rc = view_begin(fs, &v, &tx);
	if (rc)
		return rc;
	rc = core_settable(&v, ref) ? 0 : -EACCES;
	view_end(&v);
	return rc;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct temp *temp = temps_get(fs->temps, ino);
	struct request *r;

	if (temp || ino & INO_TEMP) {
		if (temp)
			set_temp(req, ino, temp, attr, to_set);
		else
			fuse_reply_err(req, ESTALE);
		temps_put(fs->temps, temp);
		return;
	}
	if (to_set & FUSE_SET_ATTR_SIZE) {
		int rc = truncate_node(fs, ref_of(ino), attr->st_size, fi);

		if (rc) {
			refuse(req, ref_of(ino), rc, "it is read-only");
			return;
		}
		/* The times that come with a truncation are the kernel's, not the user's. */
		op_getattr(req, ino, fi);
		return;
	}
	r = request_new(req, INTENT_INODE, ref_of(ino), reply_attr);
	if (!r)
		return;
	r->intent.inode_fields = take_attr(attr, to_set, &r->intent.inode);
	if (r->intent.inode_fields) {
		request_submit(r);
		return;
	}
	free(r);
	op_getattr(req, ino, fi);
}
