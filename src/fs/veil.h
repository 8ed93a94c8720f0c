/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new object does not show yet to the process that has made it. */
#ifndef FS_VEIL_H
#define FS_VEIL_H

#include "attachfs/core.h"

/*
 * Programs that copy a tree make a directory and fill it with O_EXCL, which fails where
 * attributes are from the beginning. So to the process that made an object its settable
 * attributes that nobody has set are not there until it makes them itself; everybody else
 * sees them. Nor are built-in directories if the process seems to copy: if it made the object
 * with other permissions than 0777, and has made no attribute without O_EXCL since. A veil
 * lasts VEIL_MS from what its process last made below the object, and as long as it waits
 * there for a write. At most VEILS_MAX: the oldest goes first. Any thread.
 */
struct veils;

int veils_open(struct veils **ret);
void veils_close(struct veils *v);

/* Threads of one process count as one; `pid` is that of a thread in what follows. */
void veil_add(struct veils *v, uint64_t object, uint64_t parent, pid_t pid, bool copies);
/* What is veiled of a node that `pid` has not made; the caller looks what it is, and was set. */
enum veil_hides { VEIL_NOTHING, VEIL_ATTRIBUTES, VEIL_DIRECTORIES_TOO };
enum veil_hides veil_hides(struct veils *v, struct ref ref, pid_t pid);
/* Is there a veil before this object, for whoever it may be? Then nothing is to be cached. */
bool veil_covers(struct veils *v, uint64_t object);
bool veil_is_maker(struct veils *v, uint64_t object, pid_t pid);
/* `pid` has made the node, or (node 0) something below the object; `plainly`: an attribute
 * without O_EXCL. */
void veil_made(struct veils *v, struct ref ref, pid_t pid, bool plainly);
/* `pid` waits for a write in the object. If it is the maker the veil stays until that has been
 * answered, and true is returned: then veil_release() must follow. */
bool veil_hold(struct veils *v, uint64_t object, pid_t pid);
void veil_release(struct veils *v, uint64_t object);

#endif
