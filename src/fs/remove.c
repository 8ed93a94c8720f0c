/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removing: objects and keys go, attributes are hidden, what is temporary is forgotten. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

static void remove_temp(fuse_req_t req, struct temp *temp, bool directory)
{
	struct fs *fs = fs_of(req);
	struct temp_stat st;
	int rc;

	temps_stat(fs->temps, temp, &st);
	if ((st.type == TEMP_DIR) != directory)
		rc = directory ? -ENOTDIR : -EISDIR;
	else
		rc = temps_remove(fs->temps, temp);
	fuse_reply_err(req, -rc);
}

/* ---- unlink ---- */

/* The value stays as it is: rm -r must not change an attachment's mode on its way. */
static void hide(fuse_req_t req, const struct place *p)
{
	struct fs *fs = fs_of(req);
	int rc;

	if (!place_is_users(p)) {
		refuse_at(req, p, -EACCES, "what attachfs itself has put here cannot be removed");
		return;
	}
	rc = hidden_add(fs->hidden, p->ref, caller_of(req).pid);
	if (rc)
		refuse_at(req, p, rc, "too much is being removed at the same time");
	else
		fuse_reply_err(req, 0);
}

/* What the caller has begun to remove with all that is in it: it has unlinked attributes of it.
 * The topmost of what `object` is in. */
static uint64_t begun_to_remove(struct fs *fs, uint64_t object, pid_t pid)
{
	struct ref above = SELF(object);
	uint64_t found = 0;
	struct view v;
	struct tx tx;

	if (view_begin(fs, &v, &tx))
		return 0;
	for (unsigned depth = 0; above.object != ROOT_OBJECT && depth < 4; depth++) {
		if (hidden_by(fs->hidden, above.object, pid))
			found = above.object;
		if (core_parent(&v, SELF(above.object), &above))
			break;
	}
	view_end(&v);
	return found;
}

static void remove_node(fuse_req_t req, const struct place *p, void (*reply)(struct request *r),
			void (*refused)(struct request *r))
{
	struct request *r = request_new(req, INTENT_REMOVE, p->dir, reply);

	if (!r)
		return;
	r->refused = refused;
	r->found = p->ref;
	r->intent.whole = begun_to_remove(r->fs, p->dir.object, r->intent.caller.pid);
	text_copy(r->intent.name, sizeof(r->intent.name), text_of(p->name));
	request_submit(r);
}

/* Nothing of what the caller was about to remove will go. Its names may have been removed by other
 * processes than the one that was refused: find -exec. */
static void bring_back(struct request *r)
{
	hidden_reveal_object(r->fs->hidden, r->found.object);
	hidden_reveal_all(r->fs->hidden, r->intent.caller.pid);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc = place_find(fs, &who, parent, name, &p);

	if (!rc && (p.what == FOUND_NONE || p.unseen))
		rc = -ENOENT;
	if (rc) {
		fuse_reply_err(req, -rc);
		place_end(fs, &p);
		return;
	}
	switch (p.what) {
	case FOUND_TEMP:
		remove_temp(req, p.temp, false);
		break;
	case FOUND_ATTR:
		hide(req, &p);
		break;
	case FOUND_KEY:
		remove_node(req, &p, reply_ok, bring_back);
		break;
	case FOUND_LINK:
		hidden_reveal_all(fs->hidden, who.pid);
		refuse_at(req, &p, -EACCES, "symlinks are attachfs's own: they go with what they "
					    "point to");
		break;
	case FOUND_NONE:
	case FOUND_BUILTIN:
	case FOUND_OBJECT:
		fuse_reply_err(req, EISDIR);
		break;
	}
	place_end(fs, &p);
}

/* ---- rmdir ---- */

static int any_entry(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	(void)name, (void)ref, (void)cookie;
	*(bool *)arg = true;
	return 1;
}

/* A built-in directory stays as long as its object does: removing it does nothing, but only if
 * there is nothing in it that users have made. */
static void remove_builtin(fuse_req_t req, const struct place *p)
{
	struct fs *fs = fs_of(req);
	const struct node *row = NULL;
	bool found = false;
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	if (!rc) {
		rc = core_node(&v, p->ref, &row);
		if (!rc && row && row->type != NODE_GROUP &&
		    !(row->type == NODE_LINKS && row->links->files))
			rc = core_list(&v, p->ref, 0, any_entry, &found);
		view_end(&v);
	}
	if (!rc && found) {
		hidden_reveal_all(fs->hidden, caller_of(req).pid);
		refuse_at(req, p, -ENOTEMPTY, "what is in it has to be removed first");
		return;
	}
	temps_drop(fs->temps, ino_of(p->ref));
	fuse_reply_err(req, -rc);
}

static void forget_object(struct request *r)
{
	for (uint8_t node = NODE_SELF; node < NODES_MAX; node++)
		temps_drop(r->fs->temps, ino_of((struct ref){r->found.object, node}));
	reply_ok(r);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	struct place p;
	int rc = place_find(fs, &who, parent, name, &p);

	if (rc) {
		fuse_reply_err(req, -rc);
		place_end(fs, &p);
		return;
	}
	switch (p.what) {
	case FOUND_TEMP:
		remove_temp(req, p.temp, true);
		break;
	case FOUND_BUILTIN:
		remove_builtin(req, &p);
		break;
	case FOUND_OBJECT:
		remove_node(req, &p, forget_object, bring_back);
		break;
	case FOUND_NONE:
		fuse_reply_err(req, ENOENT);
		break;
	case FOUND_ATTR:
	case FOUND_KEY:
	case FOUND_LINK:
		fuse_reply_err(req, ENOTDIR);
		break;
	}
	place_end(fs, &p);
}
