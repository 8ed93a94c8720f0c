/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listing directories, with or without the attributes of what is in them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "attachfs/cleanup.h"
#include "fs.h"

/* One call of readdir: entries are added until the buffer is full. */
struct listing {
	struct fs *fs;
	fuse_req_t req;
	struct view view;
	char *out;
	size_t size, used;
	bool plus, is_full;
	pid_t pid; /* of the caller */
};

/* Offsets are core's cookies plus one: "." ends at 1 and ".." at 2. */
static int add(struct listing *l, const char *name, struct fuse_entry_param *entry, off_t off)
{
	size_t room = l->size - l->used, n;

	if (l->plus)
		n = fuse_add_direntry_plus(l->req, l->out + l->used, room, name, entry, off);
	else
		n = fuse_add_direntry(l->req, l->out + l->used, room, name, &entry->attr, off);
	if (n > room) {
		l->is_full = true;
		return 1;
	}
	l->used += n;
	return 0;
}

/* `temp`: the directory, if it is a temporary one. */
static int find_parent(struct listing *l, fuse_ino_t ino, struct temp *temp, fuse_ino_t *ret)
{
	struct temp_stat st;
	struct ref parent;
	int rc = 0;

	if (temp) {
		temps_stat(l->fs->temps, temp, &st);
		*ret = st.dir;
		return st.type == TEMP_DIR ? 0 : -ENOTDIR;
	}
	rc = core_parent(&l->view, ref_of(ino), &parent);
	if (!rc)
		*ret = ino_of(parent);
	return rc;
}

static int add_dots(struct listing *l, fuse_ino_t ino, fuse_ino_t parent, off_t off)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = ino, .st_mode = S_IFDIR}};

	if (off < 1 && add(l, ".", &entry, 1))
		return 1;
	entry.attr.st_ino = parent;
	return off < 2 ? add(l, "..", &entry, 2) : 0;
}

/* The type alone is enough without `plus`: rows know theirs, objects are directories. */
static int add_entry(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = {.attr = {.st_ino = ino_of(ref)}};
	const struct node *node = NULL;
	int rc = 0;

	if (is_unseen(l->fs, &l->view, ref, l->pid))
		return 0;
	if (l->plus) {
		rc = fill_entry(l->fs, &l->view, ref, &entry);
	} else if (ref.node == NODE_SELF) {
		entry.attr.st_mode = S_IFDIR;
	} else {
		rc = core_node(&l->view, ref, &node);
		entry.attr.st_mode = !node || node->type == NODE_ATTR ? S_IFREG
				     : node->type == NODE_LINK	      ? S_IFLNK
								      : S_IFDIR;
	}
	if (rc == -ENOENT)
		return 0;
	return rc ? rc : add(l, name, &entry, (off_t)cookie + 1);
}

static int add_temp(void *arg, const char *name, const struct temp_stat *st, uint64_t cookie)
{
	struct fuse_entry_param entry;

	fill_temp(st, &entry);
	return add(arg, name, &entry, (off_t)cookie + 1);
}

/* What is in the tree, then what is temporary. */
static int fill(struct listing *l, fuse_ino_t ino, off_t off)
{
	uint64_t after = off < 2 ? 0 : (uint64_t)off - 1;
	struct temp *temp = temps_get(l->fs->temps, ino);
	fuse_ino_t parent = 0;
	int rc = find_parent(l, ino, temp, &parent);

	if (!rc && off < 2)
		rc = add_dots(l, ino, parent, off);
	if (!rc && !temp && after < INO_TEMP)
		rc = core_list(&l->view, ref_of(ino), after, add_entry, l);
	if (!rc && l->is_full)
		rc = 1;
	if (!rc)
		rc = temps_list(l->fs->temps, ino, after, add_temp, l);
	temps_put(l->fs->temps, temp);
	return rc;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l = {.fs = fs_of(req), .req = req, .size = size, .plus = plus};
	_cleanup_free_ char *out = malloc(size);
	struct tx tx;
	int rc;

	l.out = out;
	l.pid = caller_of(req).pid;
	rc = out ? view_begin(l.fs, &l.view, &tx) : -ENOMEM;
	if (!rc) {
		rc = fill(&l, ino, off);
		view_end(&l.view);
	}
	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_buf(req, out, l.used);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fuse_reply_open(req, fi);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}
