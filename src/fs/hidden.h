/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes that were unlinked: their names are hidden for a while, their values stay. */
#ifndef FS_HIDDEN_H
#define FS_HIDDEN_H

#include "attachfs/core.h"

/*
 * unlink() of an attribute must return 0 and the name must be gone (or tar tries for ever), but
 * an attribute is there as long as its object is. So the name is hidden from everybody until
 * it is created again, a rmdir of the object is refused, or HIDDEN_MS are over. At most
 * HIDDEN_MAX. Any thread.
 */
struct hidden;

int hidden_open(struct hidden **ret);
void hidden_close(struct hidden *h);

/* `pid` has unlinked it. -ENOSPC */
int hidden_add(struct hidden *h, struct ref ref, pid_t pid);
bool hidden_has(struct hidden *h, struct ref ref);
void hidden_reveal(struct hidden *h, struct ref ref);
/* Shows again all that `pid` has hidden, and remembers that it had. */
void hidden_reveal_all(struct hidden *h, pid_t pid);
/* Likewise all of one object, whoever has hidden it. */
void hidden_reveal_object(struct hidden *h, uint64_t object);
/* Has `pid` unlinked an attribute of this object? Then it is about to remove all of it; that
 * is remembered for another HIDDEN_MS from now on. */
bool hidden_by(struct hidden *h, uint64_t object, pid_t pid);

#endif
