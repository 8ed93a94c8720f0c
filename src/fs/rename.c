/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Renaming: objects, keys, and above all the temporary file that becomes a value. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

/* ---- a temporary file becomes a value ---- */

/* It has become one; the name under which it was written is gone. */
static void reply_put(struct request *r)
{
	temps_remove(r->fs->temps, r->temp);
	hidden_reveal(r->fs->hidden, r->intent.subject);
	veil_made(r->fs->veils, r->intent.subject, r->intent.caller.pid, true);
	reply_ok(r);
}

/* A file's mode and owner come with it, as on any file system. Its times do if somebody has
 * set them; else the value's time is that of its change. */
static unsigned inode_fields_of(const struct temp_stat *st)
{
	return INODE_MODE | INODE_UID | INODE_GID | (st->has_times ? INODE_ATIME | INODE_MTIME : 0);
}

static void put(fuse_req_t req, const struct place *from, const struct place *to, bool no_replace)
{
	struct fs *fs = fs_of(req);
	bool is_key = to->what == FOUND_NONE || to->what == FOUND_KEY;
	struct request *r =
		request_new(req, INTENT_PUT, is_key ? to->dir : to->ref, reply_put);
	struct temp_stat st;

	if (!r)
		return;
	temps_stat(fs->temps, from->temp, &st);
	temps_read(fs->temps, from->temp, 0, TEMP_BYTES_MAX, &r->content);
	r->temp = temps_get(fs->temps, st.ino);
	r->intent.value = buf_as_text(&r->content);
	r->intent.inode = st.inode;
	r->intent.inode_fields = inode_fields_of(&st);
	r->intent.no_replace = no_replace;
	if (is_key)
		text_copy(r->intent.name, sizeof(r->intent.name), text_of(to->name));
	if (st.type != TEMP_FILE)
		request_refuse(r, -EINVAL, "only a file can become a value");
	else if (!is_key && !to->settable)
		request_refuse(r, -EACCES, "it is read-only");
	else if (buf_error(&r->content))
		request_refuse(r, -ENOMEM, strerror(ENOMEM));
	else
		request_submit(r);
}

static void rename_temp(fuse_req_t req, struct place *from, struct place *to, bool no_replace)
{
	struct fs *fs = fs_of(req);
	int rc;

	if (to->what == FOUND_ATTR || to->what == FOUND_KEY ||
	    (to->what == FOUND_NONE && place_takes_key(to))) {
		if (no_replace && to->what != FOUND_NONE && !to->unseen)
			fuse_reply_err(req, EEXIST);
		else
			put(req, from, to, no_replace);
		return;
	}
	if (to->what != FOUND_TEMP && to->what != FOUND_NONE) {
		fuse_reply_err(req, to->what == FOUND_LINK ? EEXIST : EISDIR);
		return;
	}
	if (to->what == FOUND_NONE) {
		struct temp_stat st;

		temps_stat(fs->temps, from->temp, &st);
		if (!place_takes_temp(to, st.type == TEMP_DIR)) {
			refuse_at(req, to, -EACCES, "no attribute has that name, and it is not one "
						    "that programs give to temporary files");
			return;
		}
	}
	rc = temps_move(fs->temps, from->temp, to->parent, to->name, no_replace);
	if (rc == -ENOSPC)
		refuse_at(req, to, rc, "at most 64 temporary files can be in one directory");
	else
		fuse_reply_err(req, -rc);
}

/* ---- a value is moved aside ---- */

/* A copy under the new name, which the kernel goes on knowing by the number of the old one. */
static int copy_aside(struct fs *fs, const struct place *from, const struct place *to,
		      bool no_replace, struct temp **ret)
{
	struct node_stat st;
	struct view v;
	struct tx tx;
	BUF_AUTO(value);
	int rc = view_begin(fs, &v, &tx);

	if (rc)
		return rc;
	rc = core_stat(&v, from->ref, &st);
	if (!rc)
		rc = core_read(&v, from->ref, &value);
	view_end(&v);
	if (rc)
		return rc;
	if (to->temp && no_replace)
		return -EEXIST;
	if (to->temp && (rc = temps_remove(fs->temps, to->temp)))
		return rc;
	return temps_make(fs->temps, to->parent, to->name, TEMP_FILE, &st.inode,
			  buf_as_text(&value), ino_now(fs, from->ref), ret);
}

static void drop_copy(struct request *r)
{
	temps_remove(r->fs->temps, r->temp);
}

/* A key is gone from where it was. */
static void remove_key(fuse_req_t req, const struct place *from, struct temp *copy)
{
	struct fs *fs = fs_of(req);
	struct request *r = request_new(req, INTENT_REMOVE, from->dir, reply_ok);

	if (!r) {
		temps_remove(fs->temps, copy);
		temps_put(fs->temps, copy);
		return;
	}
	r->temp = copy;
	r->refused = drop_copy;
	text_copy(r->intent.name, sizeof(r->intent.name), text_of(from->name));
	request_submit(r);
}

/* A secret stands under its own name only. */
static bool is_secret(const struct place *p)
{
	const struct node *node = p->what == FOUND_ATTR ? node_of(p->kind, p->ref.node) : NULL;

	return node && node->flags & NODE_SECRET;
}

/* An attribute is hidden, as if it had been unlinked. */
static void move_aside(fuse_req_t req, struct place *from, struct place *to, bool no_replace)
{
	struct fs *fs = fs_of(req);
	struct temp *copy = NULL;
	int rc;

	if (to->what != FOUND_TEMP && !place_takes_temp(to, false)) {
		refuse_at(req, from, -EACCES, "an attribute can be moved to the name of a temporary "
					      "file only");
		return;
	}
	if (!place_is_users(from)) {
		refuse_at(req, from, -EACCES, "what attachfs itself has put here cannot be moved");
		return;
	}
	if (is_secret(from)) {
		refuse_at(req, from, -EACCES, "a secret cannot be moved");
		return;
	}
	rc = copy_aside(fs, from, to, no_replace, &copy);
	if (!rc && from->what == FOUND_KEY) {
		remove_key(req, from, copy);
		return;
	}
	if (!rc && (rc = hidden_add(fs->hidden, from->ref, caller_of(req).pid)))
		temps_remove(fs->temps, copy);
	temps_put(fs->temps, copy);
	if (rc == -ENOSPC)
		refuse_at(req, from, rc, "too many temporary files");
	else
		fuse_reply_err(req, -rc);
}

/* ---- what is in the tree ---- */

static void rename_node(fuse_req_t req, const struct place *from, const struct place *to,
			bool no_replace)
{
	struct request *r = request_new(req, INTENT_RENAME, from->dir, reply_ok);

	if (!r)
		return;
	r->intent.dest = to->dir;
	r->intent.no_replace = no_replace;
	if (text_copy(r->intent.name, sizeof(r->intent.name), text_of(from->name)) &&
	    text_copy(r->intent.new_name, sizeof(r->intent.new_name), text_of(to->name)))
		request_submit(r);
	else
		request_refuse(r, -ENAMETOOLONG, strerror(ENAMETOOLONG));
}

static void rename_place(fuse_req_t req, struct place *from, struct place *to, bool no_replace)
{
	switch (from->what) {
	case FOUND_NONE:
		fuse_reply_err(req, ENOENT);
		return;
	case FOUND_TEMP:
		rename_temp(req, from, to, no_replace);
		return;
	case FOUND_KEY:
		if (!to->in_temp && to->dir.object == from->dir.object &&
		    to->dir.node == from->dir.node && (to->what == FOUND_KEY || place_takes_key(to)))
			break;
		move_aside(req, from, to, no_replace);
		return;
	case FOUND_ATTR:
		if (to->what == FOUND_ATTR || to->what == FOUND_BUILTIN || to->what == FOUND_KEY ||
		    to->what == FOUND_OBJECT || to->what == FOUND_LINK)
			refuse_at(req, from, -EINVAL, "an attribute cannot take another's name");
		else
			move_aside(req, from, to, no_replace);
		return;
	case FOUND_BUILTIN:
	case FOUND_LINK:
		refuse_at(req, from, -EACCES, "what attachfs itself has put here cannot be moved");
		return;
	case FOUND_OBJECT:
		if (!to->in_temp)
			break;
		refuse_at(req, from, -EINVAL, "it stays in its own directory");
		return;
	}
	rename_node(req, from, to, no_replace);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place from, to;
	int rc = place_find(fs, &who, parent, name, &from);

	to = (struct place){0};
	if (!rc && from.unseen)
		rc = -ENOENT;
	if (!rc)
		rc = place_find(fs, &who, new_parent, new_name, &to);
	if (rc)
		fuse_reply_err(req, -rc);
	else if (flags & ~RENAME_NOREPLACE)
		refuse_at(req, &from, -EINVAL, "two names cannot be exchanged");
	else
		rename_place(req, &from, &to, flags & RENAME_NOREPLACE);
	place_end(fs, &from);
	place_end(fs, &to);
}
