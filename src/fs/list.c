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
	bool has_keys;	 /* it is a directory of keys */
	uint64_t newest; /* object when the listing began; 0: not known yet */
};

/*
 * Offsets are core's cookies plus one: "." ends at 1 and ".." at 2. Objects are listed in the
 * order of their numbers, so one that is removed and made anew would come twice, and a listing
 * would not end while others go on making. Therefore what is newer than its beginning is not
 * in it, and an object's offset has, above its cookie, the low bits of the number that was the
 * newest then. (If more are made meanwhile than they can count, newer ones are in it, too.)
 */
#define OFF_BOUNDED  (1ULL << 61)
#define NEWEST_SHIFT 40
#define NEWEST_LOW(n) ((n) & ((1ULL << 21) - 1))
_Static_assert(2 * PAIRED_OBJECT <= 1ULL << NEWEST_SHIFT && OFF_BOUNDED < INO_TEMP,
	       "offsets of objects, pairs and temps differ");

/* Is it an object that is bounded so? Keys replace one another, and one always has to be there. */
static bool is_bounded(const struct listing *l, uint64_t cookie)
{
	return !l->has_keys && cookie >= FIRST_OBJECT && cookie < PAIR_OBJECT;
}

static bool is_too_new(struct listing *l, uint64_t cookie)
{
	if (!is_bounded(l, cookie))
		return false;
	if (!l->newest)
		l->newest = core_newest(&l->view, cookie);
	return cookie > l->newest;
}

static off_t offset_of(const struct listing *l, uint64_t cookie)
{
	uint64_t off = cookie + 1;

	if (is_bounded(l, cookie))
		off |= OFF_BOUNDED | NEWEST_LOW(l->newest) << NEWEST_SHIFT;
	return (off_t)off;
}

/* The cookie of what was listed last. */
static uint64_t last_listed(struct listing *l, off_t off)
{
	uint64_t bits = (uint64_t)off, cookie, newest;

	if (off < 2)
		return 0;
	if (bits & INO_TEMP || !(bits & OFF_BOUNDED))
		return bits - 1;
	cookie = (bits & ((1ULL << NEWEST_SHIFT) - 1)) - 1;
	newest = core_newest(&l->view, cookie);
	l->newest = newest - NEWEST_LOW(newest - (bits >> NEWEST_SHIFT));
	return cookie;
}

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

/* The size of info.json takes as long as all others together, and few who list ask for it: without
 * an inode number the kernel looks it up when somebody does. */
static bool is_costly(const struct node *row)
{
	return row && row->flags & NODE_FOLLOWS && row->render;
}

/* The type alone is enough without `plus`: rows know theirs, objects are directories. */
static int add_entry(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	struct listing *l = arg;
	struct fuse_entry_param entry = {.attr = {.st_ino = ino_of(ref), .st_mode = S_IFDIR}};
	const struct node *row = NULL;
	int rc = 0;

	if (is_too_new(l, cookie))
		return 1;
	if (is_unseen(l->fs, &l->view, ref, l->pid))
		return 0;
	if (ref.node != NODE_SELF)
		rc = core_node(&l->view, ref, &row);
	if (!rc && l->plus && !is_costly(row))
		rc = fill_entry(l->fs, &l->view, ref, &entry);
	else if (ref.node != NODE_SELF && (!row || row->type == NODE_ATTR))
		entry.attr.st_mode = S_IFREG;
	else if (row && row->type == NODE_LINK)
		entry.attr.st_mode = S_IFLNK;
	if (rc == -ENOENT)
		return 0;
	return rc ? rc : add(l, name, &entry, offset_of(l, cookie));
}

static int add_temp(void *arg, const char *name, const struct temp_stat *st, uint64_t cookie)
{
	struct fuse_entry_param entry;

	fill_temp(st, &entry);
	return add(arg, name, &entry, (off_t)cookie + 1);
}

static int list_tree(struct listing *l, fuse_ino_t ino, uint64_t after)
{
	const struct node *row;
	int rc = core_node(&l->view, ref_of(ino), &row);

	if (rc)
		return rc;
	l->has_keys = row && row->type == NODE_CHILDREN && row->child == KIND_KEY;
	return core_list(&l->view, ref_of(ino), after, add_entry, l);
}

/* What is in the tree, then what is temporary. */
static int fill(struct listing *l, fuse_ino_t ino, off_t off)
{
	uint64_t after = last_listed(l, off);
	struct temp *temp = temps_get(l->fs->temps, ino);
	fuse_ino_t parent = 0;
	int rc = find_parent(l, ino, temp, &parent);

	if (!rc && off < 2)
		rc = add_dots(l, ino, parent, off);
	if (!rc && !temp && after < INO_TEMP)
		rc = list_tree(l, ino, after);
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
