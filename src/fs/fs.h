/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the file system's own files. */
#ifndef FS_FS_H
#define FS_FS_H

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

#include "attachfs/fs.h"
#include "hidden.h"
#include "temps.h"
#include "veil.h"

/* The kernel may keep what it was told this long; what changes is invalidated. */
#define TIMEOUT_SECONDS 60.0

/* One bit for each (hashed) inode whose attributes the kernel may hold; see notify.c. */
#define KNOWN_BITS (1u << 20)

struct fs {
	struct core *core;
	struct fuse_session *session;
	bool mounted;
	atomic_ulong ticket;
	void (*served)(void *arg); /* set before anybody serves */
	void *served_arg;
	bool greeted; /* the kernel has asked what we can do */

	pthread_t notifier;
	bool has_notifier;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;
	struct note_list *first, **last;
	bool stopping;

	pthread_mutex_t files_lock; /* protects `files` */
	struct file *files;	    /* all that are open: nobody closes them at the end */

	_Atomic uint64_t known[KNOWN_BITS / 64];

	struct temps *temps;
	struct hidden *hidden;
	struct veils *veils;
};

/*
 * An inode number is the object's number and the node's: nothing to remember, nothing to
 * forget. The root is (0, 1) and so has FUSE's number 1. When an attribute is renamed to a
 * temporary name the kernel goes on knowing that by the attribute's number, so the attribute
 * itself gets another one as long as that is there: a turn, from INO_TURN on. Temps have
 * numbers of their own (INO_TEMP).
 */
#define INO_TURN (1ULL << 48)

static inline fuse_ino_t ino_of(struct ref ref)
{
	return ref.object << 8 | ref.node;
}

static inline struct ref ref_of(fuse_ino_t ino)
{
	/* What is computed for a pair is renamed by nobody, and so has no turns. */
	fuse_ino_t object = ino & PAIR_OBJECT << 8 ? ino : ino & (INO_TURN - 1);

	return (struct ref){object >> 8, ino & 0xff};
}

/* Only before the request is answered: then libfuse frees it, whichever thread did so. */
static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

extern const struct fuse_lowlevel_ops fs_ops;

/* read.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void fill_temp(const struct temp_stat *st, struct fuse_entry_param *ret);
/* Fills `ret` with what the kernel is told of a node; returns 0 or -errno. */
int fill_entry(struct fs *fs, struct view *v, struct ref ref, struct fuse_entry_param *ret);
/* A view of one moment; end with view_end(). */
int view_begin(struct fs *fs, struct view *v, struct tx *tx);
void view_end(struct view *v);

/* The number by which the kernel is told of a node now. */
fuse_ino_t ino_now(struct fs *fs, struct ref ref);

/* place.c: what stands at a name, as the caller sees it */
struct place {
	fuse_ino_t parent;
	bool in_temp;	     /* the directory is a temporary one; else: */
	struct ref dir;
	enum kind kind;	     /* of the directory's object */
	const struct node *row; /* of the directory; NULL: an object's own */

	const char *name;
	enum {
		FOUND_NONE,
		FOUND_TEMP,
		FOUND_ATTR,
		FOUND_BUILTIN, /* a directory that attachfs has put there */
		FOUND_OBJECT,
		FOUND_KEY,
		FOUND_LINK,
	} what;
	struct ref ref;	     /* of all but a temp */
	struct temp *temp;   /* held until place_end() */
	bool unseen;	     /* for the caller it is not there: unlinked, or not made yet */
	bool settable;
};
/* 0 also if there is nothing; -ENOENT if the directory is gone, -ENOTDIR if it is none. */
int place_find(struct fs *fs, const struct caller *who, fuse_ino_t parent, const char *name,
	       struct place *ret);
void place_end(struct fs *fs, struct place *p);
/* Is it something that users have made, so that they can remove it? */
bool place_is_users(const struct place *p);
/* Is a node of the tree hidden from `pid`, because it was unlinked or is not made yet? */
bool is_unseen(struct fs *fs, struct view *v, struct ref ref, pid_t pid);
/* May a temporary file (or directory) of that name be made there? */
bool place_takes_temp(const struct place *p, bool directory);
/* Objects are made there, by mkdir; keys, by creating them. */
bool place_takes_objects(const struct place *p);
bool place_takes_key(const struct place *p);

/* list.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);

/* open.c and file.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
	      struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* Answers `req` with an open file, for open() or for create(). */
void reply_opened(fuse_req_t req, struct ref ref, struct fuse_file_info *fi, bool created);
void reply_opened_temp(fuse_req_t req, struct temp *temp, struct fuse_file_info *fi,
		       bool created);
/* The temp that is open, or NULL; borrowed. */
struct temp *file_temp(const struct fuse_file_info *fi);
/* What ftruncate() does to an open file: nothing that anybody else sees. */
void file_truncate(struct fuse_file_info *fi, off_t size);

/* make.c */
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);
/* A new temp, owned by the caller and held; refuses the request and returns NULL if it can't be. */
struct temp *make_temp(fuse_req_t req, const struct place *p, enum temp_type type, mode_t mode,
		       struct text content);

/* remove.c */
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);

/* rename.c */
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags);

/* setattr.c */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);

/* Frees what is still open when the session is over. */
void files_free(struct fs *fs);

/* request.c: a FUSE request that became an intent */
struct request {
	struct intent intent;
	fuse_req_t req;
	struct fs *fs;
	struct fuse_file_info fi; /* of create and open */
	size_t written;		  /* of write */
	struct ref found;	  /* of rmdir */
	bool copies;		  /* of mkdir: does the caller seem to copy a tree? */
	bool holds;		  /* of write: the veil of intent.subject's object */
	struct temp *temp;	  /* of rename, held */
	struct buf content;	  /* its content, of which intent.value is made */
	void (*reply)(struct request *r); /* when it went well */
	void (*refused)(struct request *r); /* when it did not, before the answer; or NULL */
};
struct request *request_new(fuse_req_t req, enum intent_op op, struct ref subject,
			    void (*reply)(struct request *r));
/* A request of nobody: what release() commits. */
struct request *request_detached(struct fs *fs, enum intent_op op, struct ref subject,
				 const struct caller *caller);
struct caller caller_of(fuse_req_t req);
void request_submit(struct request *r);
void request_query(struct request *r);
/* Answers -errno, and puts it on record with the reason. */
void request_refuse(struct request *r, int rc, const char *why);
/* The same for what has no request yet. */
void refuse(fuse_req_t req, struct ref subject, int rc, const char *why);
/* The same for what was to be at a place. */
void refuse_at(fuse_req_t req, const struct place *p, int rc, const char *why);
void reply_ok(struct request *r);

/* notify.c: tells the kernel what it must forget, from a thread of its own */
int notifier_start(struct fs *fs);
void notifier_stop(struct fs *fs);
void notifier_add(void *fs, const struct note *notes, size_t n);
/* To be called before the attributes of `ino` are read for the kernel. */
void notifier_remember(struct fs *fs, fuse_ino_t ino);

#endif
