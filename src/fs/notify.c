/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the kernel what it must forget, from a thread of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

/*
 * Names are never dropped from here: that takes the directory's lock in the kernel, which a
 * rmdir that waits for its backend holds, and whose end may never come if we are killed
 * meanwhile. Names that go by themselves are not cached instead (fill_entry()).
 * Why a thread: the kernel may be slow to listen, commits are not.
 * Why the bits: a change touches every computed value of an object, but the kernel holds
 * few of them, and each notification is a system call. A bit is set before the attributes
 * are read for the kernel and cleared before it is told to drop them, so none is missed;
 * two inodes sharing a bit only cost a call.
 */
struct note_list {
	struct note_list *next;
	size_t n;
	struct note notes[];
};

static uint32_t bit_of(fuse_ino_t ino)
{
	return (uint32_t)(ino * 0x9e3779b97f4a7c15ULL >> 32) % KNOWN_BITS;
}

void notifier_remember(struct fs *fs, fuse_ino_t ino)
{
	uint32_t bit = bit_of(ino);
	uint64_t mask = 1ULL << bit % 64;

	if (!(atomic_load_explicit(&fs->known[bit / 64], memory_order_relaxed) & mask))
		atomic_fetch_or(&fs->known[bit / 64], mask);
	atomic_thread_fence(memory_order_seq_cst);
}

static void forget_attributes(struct fs *fs, fuse_ino_t ino)
{
	uint32_t bit = bit_of(ino);
	uint64_t mask = 1ULL << bit % 64;

	if (atomic_fetch_and(&fs->known[bit / 64], ~mask) & mask)
		fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}

static bool is_known(struct fs *fs, fuse_ino_t ino)
{
	uint32_t bit = bit_of(ino);

	return atomic_load(&fs->known[bit / 64]) & 1ULL << bit % 64;
}

/* Values that users set change by their own writes, which the kernel has seen; so do the
 * directories' owners and times. */
static bool is_computed(enum kind kind, uint8_t node)
{
	const struct node *row = &kinds[kind]->nodes[node];

	return row->type == NODE_ATTR && !(row->flags & NODE_SETTABLE);
}

/* Most changes concern nothing that the kernel holds: then there is nobody to wake. */
static bool concerns_kernel(struct fs *fs, const struct note *note)
{
	if (note->type == NOTE_NODE)
		return is_known(fs, ino_of(note->ref));
	for (uint8_t node = NODE_SELF + 1; node < kinds[note->kind]->n_nodes; node++)
		if (is_computed(note->kind, node) &&
		    is_known(fs, ino_of((struct ref){note->ref.object, node})))
			return true;
	return false;
}

static void tell(struct fs *fs, const struct note *note)
{
	switch (note->type) {
	case NOTE_ATTRS:
		for (uint8_t node = NODE_SELF + 1; node < kinds[note->kind]->n_nodes; node++)
			if (is_computed(note->kind, node))
				forget_attributes(
					fs, ino_of((struct ref){note->ref.object, node}));
		return;
	case NOTE_NODE:
		forget_attributes(fs, ino_of(note->ref));
		return;
	}
}

void notifier_add(void *arg, const struct note *notes, size_t n)
{
	struct fs *fs = arg;
	struct note_list *list = malloc(sizeof(*list) + n * sizeof(*notes));

	if (!list)
		return; /* the kernel's own timeout will do */
	list->next = NULL;
	list->n = 0;
	for (size_t i = 0; i < n; i++)
		if (concerns_kernel(fs, &notes[i]))
			list->notes[list->n++] = notes[i];
	if (!list->n) {
		free(list);
		return;
	}
	pthread_mutex_lock(&fs->lock);
	if (!fs->stopping) {
		*fs->last = list;
		fs->last = &list->next;
		list = NULL;
	}
	pthread_mutex_unlock(&fs->lock);
	pthread_cond_signal(&fs->wake);
	free(list);
}

static struct note_list *take(struct fs *fs)
{
	struct note_list *list;

	pthread_mutex_lock(&fs->lock);
	while (!fs->first && !fs->stopping)
		pthread_cond_wait(&fs->wake, &fs->lock);
	list = fs->first;
	fs->first = NULL;
	fs->last = &fs->first;
	pthread_mutex_unlock(&fs->lock);
	return list;
}

static void *notifier_main(void *arg)
{
	struct fs *fs = arg;
	struct note_list *list;

	while ((list = take(fs)))
		for (struct note_list *next; list; list = next) {
			next = list->next;
			for (size_t i = 0; i < list->n; i++)
				tell(fs, &list->notes[i]);
			free(list);
		}
	return NULL;
}

int notifier_start(struct fs *fs)
{
	int rc;

	fs->last = &fs->first;
	pthread_mutex_init(&fs->lock, NULL);
	pthread_cond_init(&fs->wake, NULL);
	rc = pthread_create(&fs->notifier, NULL, notifier_main, fs);
	fs->has_notifier = !rc;
	return -rc;
}

void notifier_stop(struct fs *fs)
{
	if (!fs->has_notifier)
		return;
	pthread_mutex_lock(&fs->lock);
	fs->stopping = true;
	pthread_cond_signal(&fs->wake);
	pthread_mutex_unlock(&fs->lock);
	pthread_join(fs->notifier, NULL);
	fs->has_notifier = false;
}
