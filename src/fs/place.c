/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands at a name: a node of the tree, something temporary, or nothing. */
#include <errno.h>

#include "fs.h"

static int find_dir(struct fs *fs, struct view *v, fuse_ino_t parent, struct place *p)
{
	struct temp *temp = temps_get(fs->temps, parent);
	struct temp_stat st;
	int rc;

	p->parent = parent;
	if (temp) {
		temps_stat(fs->temps, temp, &st);
		temps_put(fs->temps, temp);
		p->in_temp = true;
		return st.type == TEMP_DIR ? 0 : -ENOTDIR;
	}
	if (parent & INO_TEMP)
		return -ENOENT;
	p->dir = ref_of(parent);
	rc = core_kind(v, p->dir, &p->kind);
	p->row = p->dir.node == NODE_SELF ? NULL : node_of(p->kind, p->dir.node);
	return rc ? rc : p->row || p->dir.node == NODE_SELF ? 0 : -ENOENT;
}

/* What new objects do not show to their makers: what these may make. */
static bool is_veiled(struct view *v, struct ref ref, enum veil_hides hides)
{
	const struct node *row = NULL;

	if (hides == VEIL_NOTHING || core_node(v, ref, &row) || !row)
		return false;
	switch (row->type) {
	case NODE_ATTR:
		return row->flags & NODE_SETTABLE && !core_was_set(v, ref);
	case NODE_CHILDREN:
		return hides == VEIL_DIRECTORIES_TOO && !row->fixed;
	case NODE_NONE:
	case NODE_GROUP:
	case NODE_LINKS:
	case NODE_LINK:
	case NODE_FIELD:
		break;
	}
	return false;
}

bool is_unseen(struct fs *fs, struct view *v, struct ref ref, pid_t pid)
{
	if (ref.node == NODE_SELF)
		return false;
	return hidden_has(fs->hidden, ref) || is_veiled(v, ref, veil_hides(fs->veils, ref, pid));
}

static int find_node(struct fs *fs, struct view *v, pid_t pid, struct place *p)
{
	const struct node *row;
	enum kind kind;
	int rc = core_lookup(v, p->dir, text_of(p->name), &p->ref);

	if (!rc)
		rc = core_kind(v, p->ref, &kind);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	row = p->ref.node == NODE_SELF ? NULL : node_of(kind, p->ref.node);
	p->settable = row && core_settable(v, p->ref);
	if (!row)
		p->what = FOUND_OBJECT;
	else if (kind == KIND_KEY)
		p->what = FOUND_KEY;
	else if (row->type == NODE_LINK)
		p->what = FOUND_LINK;
	else
		p->what = row->type == NODE_ATTR ? FOUND_ATTR : FOUND_BUILTIN;
	p->unseen = is_unseen(fs, v, p->ref, pid);
	return 0;
}

int place_find(struct fs *fs, const struct caller *who, fuse_ino_t parent, const char *name,
	       struct place *ret)
{
	struct view v;
	struct tx tx;
	int rc = view_begin(fs, &v, &tx);

	*ret = (struct place){.name = name};
	if (rc)
		return rc;
	rc = find_dir(fs, &v, parent, ret);
	if (!rc && !ret->in_temp)
		rc = find_node(fs, &v, who->pid, ret);
	view_end(&v);
	if (!rc && ret->what == FOUND_NONE &&
	    (ret->temp = temps_find(fs->temps, parent, name)))
		ret->what = FOUND_TEMP;
	return rc;
}

void place_end(struct fs *fs, struct place *p)
{
	temps_put(fs->temps, p->temp);
	p->temp = NULL;
}

/* Can users make and remove such objects? */
static bool is_users(enum kind kind)
{
	switch (kind) {
	case KIND_HOST:
	case KIND_VOLUME:
	case KIND_ATTACHMENT:
	case KIND_KEY:
	case KIND_PROFILE:
		return true;
	case KIND_ROOT:
	case KIND_DOCK:
	case KIND_POOL:
	case KIND_ELIGIBLE:
	case KINDS:
		break;
	}
	return false;
}

bool place_is_users(const struct place *p)
{
	return p->in_temp || is_users(p->kind);
}

bool place_takes_objects(const struct place *p)
{
	return !p->in_temp && p->row && p->row->type == NODE_CHILDREN && !p->row->fixed &&
	       p->row->child != KIND_KEY;
}

bool place_takes_key(const struct place *p)
{
	return !p->in_temp && p->row && p->row->type == NODE_CHILDREN && !p->row->fixed &&
	       p->row->child == KIND_KEY && !check_name(p->row, p->name, NULL);
}

/* Temps stand where there is something to be written. */
bool place_takes_temp(const struct place *p, bool directory)
{
	if (p->in_temp)
		return true;
	if (!p->row)
		return is_users(p->kind) && temp_name(p->kind, p->name, directory);
	if (p->row->type != NODE_CHILDREN || p->row->fixed || p->row->child != KIND_KEY)
		return false;
	return (directory || check_name(p->row, p->name, NULL)) &&
	       temp_name(KIND_KEY, p->name, directory);
}
