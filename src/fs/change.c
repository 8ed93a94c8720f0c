/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making, removing, renaming, and what chmod, chown, utimens and truncate set. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"

/* The row of a directory; NULL for an object's own. */
static int directory_row(struct fs *fs, struct ref ref, const struct node **ret)
{
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (rc)
		return rc;
	rc = core_node(&v, ref, ret);
	view_end(&v);
	return rc;
}

static bool set_name(char out[NAME_BYTES_MAX + 1], const char *name)
{
	return text_copy(out, NAME_BYTES_MAX + 1, text_of(name));
}

static void reply_made(struct request *r)
{
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	int rc = view_begin(r->fs, &v, &tx);

	if (!rc) {
		rc = fill_entry(r->fs, &v, r->intent.made, &entry);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(r->req, -rc);
	else
		fuse_reply_entry(r->req, &entry);
}

/* Objects are made as directories, keys as files; nothing else can be made anywhere. */
static struct request *request_make(fuse_req_t req, fuse_ino_t parent, const char *name,
				    mode_t mode, bool as_key,
				    void (*reply)(struct request *r))
{
	const struct node *node = NULL;
	struct request *r = request_new(req, INTENT_MAKE, ref_of(parent), reply);
	int rc;

	if (!r)
		return NULL;
	rc = directory_row(r->fs, ref_of(parent), &node);
	if (!rc && (!node || node->type != NODE_CHILDREN || node->fixed ||
		    (node->child == KIND_KEY) != as_key))
		rc = -EACCES;
	if (!rc && !set_name(r->intent.name, name))
		rc = -ENAMETOOLONG;
	if (rc) {
		request_refuse(r, rc,
			       rc == -EACCES ? "nothing of that name or type can be made here"
					     : strerror(-rc));
		return NULL;
	}
	r->intent.inode.mode = mode & 07777;
	return r;
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct request *r = request_make(req, parent, name, mode, false, reply_made);

	if (r)
		request_submit(r);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct request *r;

	(void)dev;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	r = request_make(req, parent, name, mode, true, reply_made);
	if (r)
		request_submit(r);
}

static void reply_created(struct request *r)
{
	reply_opened(r->req, r->intent.made, &r->fi, true);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct request *r = request_make(req, parent, name, mode, true, reply_created);

	if (!r)
		return;
	r->fi = *fi;
	request_submit(r);
}

/* Symlinks are attachfs's own, and no object has two names. */
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link, (void)name;
	refuse(req, ref_of(parent), -EACCES, "no symlink can be made here");
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	(void)ino, (void)new_parent, (void)new_name;
	fuse_reply_err(req, EPERM);
}

static int any_entry(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	(void)name, (void)ref, (void)cookie;
	*(bool *)arg = true;
	return 1;
}

/* A built-in directory: removing it does nothing, but only if nothing is in it. */
static int remove_builtin(struct fs *fs, struct ref parent, const char *name)
{
	const struct node *node = NULL;
	bool found = false;
	struct ref ref;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (rc)
		return rc;
	rc = core_lookup(&v, parent, text_of(name), &ref);
	if (!rc)
		rc = core_node(&v, ref, &node);
	if (!rc && (!node || node->type == NODE_ATTR))
		rc = -ENOTDIR;
	if (!rc && node->type != NODE_GROUP)
		rc = core_list(&v, ref, 0, any_entry, &found);
	view_end(&v);
	return rc ? rc : found ? -ENOTEMPTY : 0;
}

/* Attributes stay as long as their object does; an empty built-in directory too, silently. */
static void remove_builtin_row(struct request *r, fuse_ino_t parent, const char *name, bool file)
{
	int rc = file ? -EACCES : remove_builtin(r->fs, ref_of(parent), name);

	if (rc) {
		request_refuse(r, rc, "what attachfs itself put here cannot be removed");
		return;
	}
	fuse_reply_err(r->req, 0);
	free(r);
}

static void remove_entry(fuse_req_t req, fuse_ino_t parent, const char *name, bool as_key)
{
	const struct node *node = NULL;
	struct request *r = request_new(req, INTENT_REMOVE, ref_of(parent), reply_ok);
	int rc;

	if (!r)
		return;
	rc = directory_row(r->fs, ref_of(parent), &node);
	if (!rc && (!node || node->type != NODE_CHILDREN)) {
		remove_builtin_row(r, parent, name, as_key);
		return;
	}
	if (!rc && (node->child == KIND_KEY) != as_key)
		rc = as_key ? -EISDIR : -ENOTDIR;
	if (!rc && !set_name(r->intent.name, name))
		rc = -ENOENT;
	if (rc)
		request_refuse(r, rc, strerror(-rc));
	else
		request_submit(r);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, true);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_entry(req, parent, name, false);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct request *r = request_new(req, INTENT_RENAME, ref_of(parent), reply_ok);
	int rc = 0;

	if (!r)
		return;
	if (flags & ~RENAME_NOREPLACE)
		rc = -EINVAL;
	else if (!set_name(r->intent.name, name) || !set_name(r->intent.new_name, new_name))
		rc = -ENAMETOOLONG;
	r->intent.dest = ref_of(new_parent);
	r->intent.no_replace = flags & RENAME_NOREPLACE;
	if (rc)
		request_refuse(r, rc, strerror(-rc));
	else
		request_submit(r);
}

/* ---- setattr ---- */

static void reply_attr(struct request *r)
{
	op_getattr(r->req, ino_of(r->intent.subject), NULL);
}

static int64_t to_ns(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void take_attr(struct intent *i, const struct stat *attr, int to_set)
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

	for (size_t k = 0; k < 5; k++)
		if (to_set & fields[k].fuse)
			i->inode_fields |= fields[k].ours;
	clock_gettime(CLOCK_REALTIME, &now);
	i->inode = (struct inode_state){
		.mode = attr->st_mode & 07777,
		.uid = attr->st_uid,
		.gid = attr->st_gid,
		.atime = to_ns(to_set & FUSE_SET_ATTR_ATIME_NOW ? now : attr->st_atim),
		.mtime = to_ns(to_set & FUSE_SET_ATTR_MTIME_NOW ? now : attr->st_mtim),
	};
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
	struct request *r;

	if (to_set & FUSE_SET_ATTR_SIZE) {
		int rc = truncate_node(fs_of(req), ref_of(ino), attr->st_size, fi);

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
	take_attr(&r->intent, attr, to_set);
	if (r->intent.inode_fields) {
		request_submit(r);
		return;
	}
	free(r);
	op_getattr(req, ino, fi);
}
