/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making: objects by mkdir, keys and temporary files by creating them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"
#include "fs.h"

static void reply_made(struct request *r)
{
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	struct ref made = r->intent.made;
	int rc;

	if (made.node == NODE_SELF)
		veil_add(r->fs->veils, made.object, r->intent.subject.object,
			 r->intent.caller.pid, r->copies);
	rc = view_begin(r->fs, &v, &tx);
	if (!rc) {
		rc = fill_entry(r->fs, &v, made, &entry);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(r->req, -rc);
	else
		fuse_reply_entry(r->req, &entry);
}

static void reply_created(struct request *r)
{
	reply_opened(r->req, r->intent.made, &r->fi, true);
}

/* The umask is left to us, because it would hide what the caller asked for (veil.h). */
static mode_t masked(fuse_req_t req, mode_t mode)
{
	return mode & 07777 & ~fuse_req_ctx(req)->umask;
}

/* An object or a key; `fi` is what create() will have opened, or NULL. */
static void make_node(fuse_req_t req, const struct place *p, mode_t mode,
		      const struct fuse_file_info *fi)
{
	struct request *r =
		request_new(req, INTENT_MAKE, p->dir, fi ? reply_created : reply_made);

	if (!r)
		return;
	r->intent.inode.mode = masked(req, mode);
	r->intent.by_maker = veil_is_maker(r->fs->veils, p->dir.object, r->intent.caller.pid);
	r->copies = (mode & 0777) != 0777;
	veil_made(r->fs->veils, (struct ref){p->dir.object, 0}, r->intent.caller.pid, false);
	if (fi)
		r->fi = *fi;
	if (text_copy(r->intent.name, sizeof(r->intent.name), text_of(p->name)))
		request_submit(r);
	else
		request_refuse(r, -ENAMETOOLONG, strerror(ENAMETOOLONG));
}

static bool is_gone(void *arg, uint64_t dir)
{
	enum kind kind;

	return core_kind(arg, ref_of(dir), &kind) == -ENOENT;
}

/* Temps of objects that others have removed are still there until somebody needs the room. */
static void sweep(struct fs *fs)
{
	struct view v;
	struct tx tx;

	if (view_begin(fs, &v, &tx))
		return;
	temps_sweep(fs->temps, is_gone, &v);
	view_end(&v);
}

struct temp *make_temp(fuse_req_t req, const struct place *p, enum temp_type type, mode_t mode,
		       struct text content)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	int64_t now = time_now();
	const struct inode_state inode = {
		.mode = masked(req, mode), .uid = who.uid, .gid = who.gid, .atime = now, .mtime = now};
	struct temp *temp = NULL;
	int rc = temps_make(fs->temps, p->parent, p->name, type, &inode, content, 0, &temp);

	if (rc == -ENOSPC) {
		sweep(fs);
		rc = temps_make(fs->temps, p->parent, p->name, type, &inode, content, 0, &temp);
	}
	if (rc == -ENOSPC)
		refuse_at(req, p, rc, "too many temporary files: at most 64 in one directory, and 4096 "
				      "or 16 MiB in all");
	else if (rc)
		fuse_reply_err(req, -rc);
	return temp;
}

/* NULL: the request has been answered, and with that is not to be touched any more. */
static void reply_temp(struct fs *fs, fuse_req_t req, struct temp *temp)
{
	struct fuse_entry_param entry;
	struct temp_stat st;

	if (!temp)
		return;
	temps_stat(fs->temps, temp, &st);
	fill_temp(&st, &entry);
	fuse_reply_entry(req, &entry);
	temps_put(fs->temps, temp);
}

/* What was there all along is made, as far as the caller can see. */
static void made_again(struct fs *fs, const struct place *p, pid_t pid, bool plainly)
{
	hidden_reveal(fs->hidden, p->ref);
	veil_made(fs->veils, p->ref, pid, plainly);
}

static void reply_node(fuse_req_t req, struct ref ref)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (!rc) {
		rc = fill_entry(fs, &v, ref, &entry);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_entry(req, &entry);
}

/* Why nothing of that name can be made there. */
static void refuse_name(fuse_req_t req, const struct place *p)
{
	char why[512];

	if (place_takes_objects(p))
		snprintf(why, sizeof(why), "%.255s: mkdir makes objects here, and files cannot be made",
			 p->name);
	else if (p->row && p->row->child == KIND_KEY && !p->row->fixed)
		snprintf(why, sizeof(why), "%.255s: not the name of a key", p->name);
	else if (p->row && p->row->fixed)
		snprintf(why, sizeof(why), "%.255s: " NODE_FIXED_WHY, p->name);
	else
		snprintf(why, sizeof(why), "%.255s: no attribute has that name, and it is not one that "
			 "programs give to temporary files", p->name);
	refuse_at(req, p, -EACCES, why);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc = place_find(fs, &who, parent, name, &p);

	if (rc)
		fuse_reply_err(req, -rc);
	else if (place_takes_objects(&p))
		make_node(req, &p, mode, NULL);
	else if (p.what != FOUND_NONE && !p.unseen)
		fuse_reply_err(req, EEXIST);
	else if (p.what == FOUND_BUILTIN) {
		made_again(fs, &p, who.pid, false);
		reply_node(req, p.ref);
	} else if (p.what == FOUND_NONE && place_takes_temp(&p, true))
		reply_temp(fs, req, make_temp(req, &p, TEMP_DIR, mode, TEXT_NONE));
	else
		refuse_name(req, &p);
	place_end(fs, &p);
}

/* Something of that name is there, though the kernel did not see it. 0 if it can be opened. */
static int check_there(const struct place *p, int flags)
{
	switch (p->what) {
	case FOUND_NONE:
		return -ENOENT;
	case FOUND_BUILTIN:
	case FOUND_OBJECT:
		return -EISDIR;
	case FOUND_LINK:
		return -EEXIST;
	case FOUND_ATTR:
	case FOUND_KEY:
	case FOUND_TEMP:
		break;
	}
	return flags & O_EXCL && !p->unseen ? -EEXIST : 0;
}

static void open_there(fuse_req_t req, struct place *p, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);

	if (p->what == FOUND_TEMP) {
		reply_opened_temp(req, steal_pointer(&p->temp), fi, true);
		return;
	}
	made_again(fs, p, caller_of(req).pid, !(fi->flags & O_EXCL));
	reply_opened(req, p->ref, fi, true);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc = place_find(fs, &who, parent, name, &p);
	struct temp *temp;

	if (!rc && p.what != FOUND_NONE)
		rc = check_there(&p, fi->flags);
	if (rc)
		fuse_reply_err(req, -rc);
	else if (p.what != FOUND_NONE)
		open_there(req, &p, fi);
	else if (place_takes_key(&p))
		make_node(req, &p, mode, fi);
	else if (!place_takes_temp(&p, false))
		refuse_name(req, &p);
	else if ((temp = make_temp(req, &p, TEMP_FILE, mode, TEXT_NONE)))
		reply_opened_temp(req, temp, fi, true);
	place_end(fs, &p);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc;

	(void)dev;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	rc = place_find(fs, &who, parent, name, &p);
	if (!rc && p.what != FOUND_NONE)
		rc = check_there(&p, O_EXCL);
	if (rc) {
		fuse_reply_err(req, -rc);
	} else if (p.what != FOUND_NONE) {
		made_again(fs, &p, who.pid, false);
		reply_node(req, p.ref);
	} else if (place_takes_key(&p)) {
		make_node(req, &p, mode, NULL);
	} else if (place_takes_temp(&p, false)) {
		reply_temp(fs, req, make_temp(req, &p, TEMP_FILE, mode, TEXT_NONE));
	} else {
		refuse_name(req, &p);
	}
	place_end(fs, &p);
}

/* Editors lock a file by a symlink beside it; all other symlinks are attachfs's own. */
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc = place_find(fs, &who, parent, name, &p);

	if (rc)
		fuse_reply_err(req, -rc);
	else if (p.what != FOUND_NONE && !p.unseen)
		fuse_reply_err(req, EEXIST);
	else if (p.what == FOUND_NONE && place_takes_temp(&p, false))
		reply_temp(fs, req, make_temp(req, &p, TEMP_LINK, 0777, text_of(link)));
	else
		refuse_name(req, &p);
	place_end(fs, &p);
}

/* No value has two names. With EPERM, callers rename or copy instead. */
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	(void)ino, (void)new_parent, (void)new_name;
	fuse_reply_err(req, EPERM);
}
