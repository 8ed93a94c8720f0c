/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The veils: a hash table of objects under a lock. */
#include "veil.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "attachfs/clock.h"

#define BUCKETS 1024
_Static_assert(NODES_MAX <= 64, "a bit for each node");

struct veil {
	struct veil *next;
	struct veil *newer; /* in the order of their making */
	uint64_t object, parent;
	pid_t thread, process;
	bool copies;
	uint64_t made;	    /* a bit for each node that the maker has made */
	unsigned waiting;   /* writes that are under way */
	int64_t until;	    /* ms */
};

struct veils {
	pthread_mutex_t lock; /* protects what follows */
	struct veil *buckets[BUCKETS];
	struct veil *oldest, **newest;
	atomic_uint n; /* read without the lock to see that there is none */
};

int veils_open(struct veils **ret)
{
	struct veils *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->newest = &v->oldest;
	*ret = v;
	return 0;
}

/* Every LOOKUP of what is new to somebody else asks: a system call that looks at nothing else. */
static bool is_thread_of(pid_t thread, pid_t process)
{
	return thread == process || !tgkill(process, thread, 0) || errno == EPERM;
}

/* The process of a thread; the thread itself if that cannot be known. */
static pid_t process_of(pid_t thread)
{
	char path[32], line[64];
	pid_t process = thread;
	FILE *file;

	if (!tgkill(thread, thread, 0)) /* as most are: the first one of it */
		return thread;
	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	file = fopen(path, "re");
	if (!file)
		return thread;
	while (fgets(line, sizeof(line), file) && sscanf(line, "Tgid: %d", &process) != 1)
		;
	fclose(file);
	return process;
}

static struct veil **bucket_of(struct veils *v, uint64_t object)
{
	return &v->buckets[object * 0x9e3779b97f4a7c15ULL >> 32 & (BUCKETS - 1)];
}

/* ---- with the lock held ---- */

static bool is_over(const struct veil *veil)
{
	return !veil->waiting && veil->until <= monotonic_ms();
}

static struct veil *find(struct veils *v, uint64_t object)
{
	struct veil *veil = *bucket_of(v, object);

	while (veil && veil->object != object)
		veil = veil->next;
	return veil && !is_over(veil) ? veil : NULL;
}

static void remove_oldest(struct veils *v)
{
	struct veil *veil = v->oldest, **link = bucket_of(v, veil->object);

	for (struct veil *above = find(v, veil->parent); above; above = find(v, above->parent))
		above->waiting -= veil->waiting;
	v->oldest = veil->newer;
	if (!v->oldest)
		v->newest = &v->oldest;
	while (*link != veil)
		link = &(*link)->next;
	*link = veil->next;
	free(veil);
	v->n--;
}

/* So that those who look at what is no longer new find no veil at all, and take no lock. */
static void remove_over(struct veils *v)
{
	while (v->oldest && is_over(v->oldest))
		remove_oldest(v);
}

/* It, and what it is in. */
static void renew(struct veils *v, struct veil *veil, int waits)
{
	for (unsigned depth = 0; veil && depth < 8; depth++) {
		veil->until = monotonic_ms() + VEIL_MS;
		veil->waiting += (unsigned)waits;
		veil = find(v, veil->parent);
	}
}

/* ---- */

void veils_close(struct veils *v)
{
	if (!v)
		return;
	while (v->oldest)
		remove_oldest(v);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void veil_add(struct veils *v, uint64_t object, uint64_t parent, pid_t pid, bool copies)
{
	struct veil *veil = calloc(1, sizeof(*veil)), *above;
	struct veil **bucket = bucket_of(v, object);

	if (!veil)
		return;
	veil->object = object;
	veil->parent = parent;
	veil->copies = copies;
	veil->thread = pid;
	veil->process = process_of(pid);
	veil->until = monotonic_ms() + VEIL_MS;
	pthread_mutex_lock(&v->lock);
	remove_over(v);
	if (v->n >= VEILS_MAX)
		remove_oldest(v);
	above = find(v, parent);
	if (above && above->process == veil->process)
		renew(v, above, 0);
	veil->next = *bucket;
	*bucket = veil;
	*v->newest = veil;
	v->newest = &veil->newer;
	v->n++;
	pthread_mutex_unlock(&v->lock);
}

/* Locks, and finds the veil of this object if `pid` is its maker. */
static struct veil *lock_and_find(struct veils *v, uint64_t object, pid_t pid)
{
	struct veil *veil;
	pid_t process;
	bool is;

	pthread_mutex_lock(&v->lock);
	remove_over(v);
	veil = find(v, object);
	if (!veil || veil->thread == pid)
		return veil;
	process = veil->process;
	pthread_mutex_unlock(&v->lock);
	is = is_thread_of(pid, process);
	pthread_mutex_lock(&v->lock);
	veil = find(v, object);
	return veil && is && veil->process == process ? veil : NULL;
}

bool veil_covers(struct veils *v, uint64_t object)
{
	bool there;

	if (!atomic_load(&v->n))
		return false;
	pthread_mutex_lock(&v->lock);
	there = find(v, object);
	pthread_mutex_unlock(&v->lock);
	return there;
}

bool veil_is_maker(struct veils *v, uint64_t object, pid_t pid)
{
	bool is;

	if (!atomic_load(&v->n))
		return false;
	is = lock_and_find(v, object, pid);
	pthread_mutex_unlock(&v->lock);
	return is;
}

enum veil_hides veil_hides(struct veils *v, struct ref ref, pid_t pid)
{
	enum veil_hides hides = VEIL_NOTHING;
	struct veil *veil;

	if (!atomic_load(&v->n))
		return hides;
	veil = lock_and_find(v, ref.object, pid);
	if (veil && !(veil->made >> ref.node & 1))
		hides = veil->copies ? VEIL_DIRECTORIES_TOO : VEIL_ATTRIBUTES;
	pthread_mutex_unlock(&v->lock);
	return hides;
}

void veil_made(struct veils *v, struct ref ref, pid_t pid, bool plainly)
{
	struct veil *veil;

	if (!atomic_load(&v->n))
		return;
	veil = lock_and_find(v, ref.object, pid);
	if (veil) {
		veil->made |= 1ULL << ref.node;
		veil->copies &= !plainly;
	}
	renew(v, veil, 0);
	pthread_mutex_unlock(&v->lock);
}

bool veil_hold(struct veils *v, uint64_t object, pid_t pid)
{
	struct veil *veil;

	if (!atomic_load(&v->n))
		return false;
	veil = lock_and_find(v, object, pid);
	renew(v, veil, 1);
	pthread_mutex_unlock(&v->lock);
	return veil;
}

/* By now the thread may be gone, so it is not asked for. */
void veil_release(struct veils *v, uint64_t object)
{
	pthread_mutex_lock(&v->lock);
	renew(v, find(v, object), -1);
	pthread_mutex_unlock(&v->lock);
}
