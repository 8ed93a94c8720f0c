/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes as open files: a value is read at open and committed by write. Temps too. */
#include <errno.h>
#include <stdlib.h>

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

static struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh;
}

static void file_put(struct file *f)
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

static void read_stream(fuse_req_t req, size_t size, off_t off)
{
	char *out = malloc(size);
	struct view v;
	struct tx tx;
	size_t n = 0;
	int rc = out ? view_begin(fs_of(req), &v, &tx) : -ENOMEM;

	if (!rc) {
		rc = tx_events_read(&tx, (uint64_t)off, out, size, &n);
		view_end(&v);
	}
	if (rc)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_buf(req, out, n);
	free(out);
}

static void read_temp(fuse_req_t req, struct file *f, size_t size, off_t off)
{
	BUF_AUTO(data);

	temps_read(f->fs->temps, f->temp, (uint64_t)off, size, &data);
	if (buf_error(&data))
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_buf(req, data.data, data.len);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct file *f = file_of(fi);
	size_t n;

	(void)ino;
	if (f->stream) {
		read_stream(req, size, off);
		return;
	}
	if (f->temp) {
		read_temp(req, f, size, off);
		return;
	}
	f->users++;
	pthread_mutex_lock(&f->lock);
	n = (size_t)off < f->seen.len ? f->seen.len - (size_t)off : 0;
	fuse_reply_buf(req, n ? f->seen.data + off : NULL, n < size ? n : size);
	pthread_mutex_unlock(&f->lock);
	file_put(f);
}

/* What O_APPEND adds to: the value as it is, for free text; other values are replaced. */
static int read_for_append(struct fs *fs, struct ref ref, struct buf *out)
{
	const struct node *node;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (rc)
		return rc;
	rc = core_node(&v, ref, &node);
	if (!rc && node->value == &value_line)
		rc = core_read(&v, ref, out);
	view_end(&v);
	if (out->len && out->data[out->len - 1] == '\n')
		out->len--; /* a value is one line, so the line grows */
	return rc;
}

/* Puts the new whole value into `f->written`. */
static int compose(struct fs *fs, struct ref ref, struct file *f, const char *data, size_t size,
		   off_t off)
{
	if (f->append && !f->wrote) {
		int rc;

		buf_reset(&f->written);
		rc = read_for_append(fs, ref, &f->written);

		if (rc)
			return rc;
	} else if (!f->append && off == 0) {
		buf_reset(&f->written);
	} else if (!f->append && (!f->wrote || (size_t)off != f->written.len)) {
		return -EINVAL;
	}
	buf_add(&f->written, data, size);
	return buf_error(&f->written);
}

static void reply_written(struct request *r)
{
	struct file *f = file_of(&r->fi);

	f->wrote = true;
	pthread_mutex_lock(&f->lock);
	buf_reset(&f->seen);
	buf_text(&f->seen, buf_as_text(&f->written));
	pthread_mutex_unlock(&f->lock);
	fuse_reply_write(r->req, r->written);
}

/* The handle goes back to what it last wrote, and is as good as before. */
static void forget_refused(struct request *r)
{
	struct file *f = file_of(&r->fi);

	buf_reset(&f->written);
	if (f->wrote)
		buf_text(&f->written, buf_as_text(&f->seen));
}

static const char *const too_large = "a temporary file has at most 64 KiB, and all of them together "
				     "16 MiB";

static void write_temp(fuse_req_t req, fuse_ino_t ino, struct file *f, struct text data,
		       off_t off)
{
	int rc = temps_write(f->fs->temps, f->temp, (uint64_t)off, f->append, data);

	if (rc)
		refuse(req, ref_of(temps_top(f->fs->temps, ino)), rc, too_large);
	else
		fuse_reply_write(req, data.n);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct file *f = file_of(fi);
	struct ref ref = f->ref;
	struct request *r;
	int rc;

	if (f->temp) {
		write_temp(req, ino, f, (struct text){data, size}, off);
		return;
	}
	r = request_new(req, INTENT_SET, ref, reply_written);
	if (!r)
		return;
	r->fi = *fi;
	r->written = size;
	r->refused = forget_refused;
	f->tried = true;
	rc = compose(r->fs, ref, f, data, size, off);
	if (rc) {
		request_refuse(r, rc, "a value is written from its beginning, in one piece or "
				      "contiguous ones");
		return;
	}
	r->intent.value = buf_as_text(&f->written);
	r->holds = f->made && veil_hold(r->fs->veils, ref.object, r->intent.caller.pid);
	request_submit(r);
}

void file_truncate(struct fuse_file_info *fi, off_t size)
{
	struct file *f = file_of(fi);

	if (size == 0) {
		f->truncated = true;
		f->wrote = f->tried = false;
		buf_reset(&f->written);
	}
}

/* Errors of close() are lost by half the tools there are, so nothing is decided here. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0);
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
