/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing: an attribute's value is read at open. Temps too. */
#include <errno.h>
#include <stdlib.h>

#include "file.h"

void file_put(struct file *f)
{
	if (--f->users)
		return;
	temps_put(f->fs->temps, f->temp);
	pthread_mutex_destroy(&f->lock);
	buf_free(&f->seen);
	buf_free(&f->written);
	free(f);
}

static void file_add(struct fs *fs, struct file *f)
{
	pthread_mutex_lock(&fs->files_lock);
	f->next = fs->files;
	f->link = &fs->files;
	if (f->next)
		f->next->link = &f->next;
	fs->files = f;
	pthread_mutex_unlock(&fs->files_lock);
}

static void file_remove(struct fs *fs, struct file *f)
{
	pthread_mutex_lock(&fs->files_lock);
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	pthread_mutex_unlock(&fs->files_lock);
	file_put(f);
}

void files_free(struct fs *fs)
{
	while (fs->files)
		file_remove(fs, fs->files);
}

static struct file *file_new(struct fs *fs, const struct fuse_file_info *fi)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fs = fs;
	f->users = 1;
	f->append = fi->flags & O_APPEND;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

/* direct_io: every read comes here. noflush: close() has nothing to say. */
static void set_open(struct fuse_file_info *fi, struct file *f)
{
	fi->fh = (uintptr_t)f;
	fi->direct_io = 1;
	fi->noflush = 1;
}

struct temp *file_temp(const struct fuse_file_info *fi)
{
	return fi && fi->fh ? file_of(fi)->temp : NULL;
}

/* A created file is empty, and so is what was unlinked and is created again. */
static int open_file(struct fs *fs, struct view *v, struct ref ref,
		     const struct fuse_file_info *fi, bool created,
		     const struct caller *opener, struct file **ret)
{
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;
	const struct node *node;
	struct file *f;
	int rc = core_node(v, ref, &node);

	if (rc)
		return rc;
	if (!node || node->type != NODE_ATTR)
		return -EISDIR;
	if (writes && !core_settable(v, ref))
		return -EACCES;
	f = file_new(fs, fi);
	if (!f)
		return -ENOMEM;
	f->ref = ref;
	f->opener = *opener;
	f->made = created;
	f->truncated = writes && (created || fi->flags & O_TRUNC);
	f->stream = node->flags & NODE_STREAM;
	if ((fi->flags & O_ACCMODE) != O_WRONLY && !f->stream)
		rc = core_read(v, ref, &f->seen);
	if (rc)
		file_put(f);
	else
		*ret = f;
	return rc;
}

void reply_opened(fuse_req_t req, struct ref ref, struct fuse_file_info *fi, bool created)
{
	struct fs *fs = fs_of(req);
	struct caller opener = caller_of(req);
	struct fuse_entry_param entry;
	struct file *f = NULL;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (!rc) {
		rc = open_file(fs, &v, ref, fi, created, &opener, &f);
		if (!rc && created)
			rc = fill_entry(fs, &v, ref, &entry);
		view_end(&v);
	}
	if (f)
		file_add(fs, f);
	set_open(fi, f);
	if (rc == -EACCES)
		refuse(req, ref, rc, "it is read-only");
	else if (rc)
		fuse_reply_err(req, -rc);
	else
		rc = created ? fuse_reply_create(req, &entry, fi) : fuse_reply_open(req, fi);
	if (rc && f)
		file_remove(fs, f); /* refused or interrupted: there will be no release */
}

/* Ordinary files: what O_TRUNC cuts off is gone. */
void reply_opened_temp(fuse_req_t req, struct temp *temp, struct fuse_file_info *fi,
		       bool created)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	struct file *f = NULL;
	struct temp_stat st;
	int rc = 0;

	temps_stat(fs->temps, temp, &st);
	if (st.type != TEMP_FILE)
		rc = st.type == TEMP_DIR ? -EISDIR : -ELOOP;
	else if (!(f = file_new(fs, fi)))
		rc = -ENOMEM;
	if (rc) {
		temps_put(fs->temps, temp);
		fuse_reply_err(req, -rc);
		return;
	}
	if (fi->flags & O_TRUNC && (fi->flags & O_ACCMODE) != O_RDONLY) {
		temps_truncate(fs->temps, temp, 0);
		temps_stat(fs->temps, temp, &st);
	}
	f->temp = temp;
	file_add(fs, f);
	set_open(fi, f);
	fill_temp(&st, &entry);
	rc = created ? fuse_reply_create(req, &entry, fi) : fuse_reply_open(req, fi);
	if (rc)
		file_remove(fs, f);
}

static void reply_queried(struct request *r)
{
	reply_opened(r->req, r->intent.subject, &r->fi, false);
}

/* Is the backend to be asked before the value is read? */
static bool needs_query(struct fs *fs, struct ref ref)
{
	const struct node *node = NULL;
	struct view v;
	struct tx tx;

	if (view_begin(fs, &v, &tx))
		return false;
	core_node(&v, ref, &node);
	view_end(&v);
	return node && node->flags & NODE_QUERY;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct temp *temp = temps_get(fs_of(req)->temps, ino);
	struct ref ref = ref_of(ino);
	struct request *r;

	if (temp) {
		reply_opened_temp(req, temp, fi, false);
		return;
	}
	if (ino & INO_TEMP) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (!needs_query(fs_of(req), ref)) {
		reply_opened(req, ref, fi, false);
		return;
	}
	r = request_new(req, INTENT_SET, ref, reply_queried);
	if (!r)
		return;
	r->fi = *fi;
	request_query(r);
}

/* Truncated and never written: free text becomes empty, everything else stays. */
static void clear_if_text(fuse_req_t req, struct ref ref, const struct caller *opener)
{
	struct fs *fs = fs_of(req);
	const struct node *node = NULL;
	struct request *r;
	struct view v;
	struct tx tx;

	if (view_begin(fs, &v, &tx))
		return;
	core_node(&v, ref, &node);
	view_end(&v);
	if (!node || node->value != &value_line)
		return;
	r = request_detached(fs, INTENT_SET, ref, opener);
	if (r)
		request_submit(r);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *f = file_of(fi);

	(void)ino;
	if (f->truncated && !f->tried)
		clear_if_text(req, f->ref, &f->opener);
	file_remove(fs_of(req), f);
	fuse_reply_err(req, 0);
}
