/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading and writing open files: a value is committed by write. Temps too. */
#include <errno.h>
#include <stdlib.h>

#include "file.h"

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
