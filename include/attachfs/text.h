/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Borrowed byte strings: a pointer and a length, no ownership, not NUL-terminated. */
#ifndef ATTACHFS_TEXT_H
#define ATTACHFS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* `p` may be NULL only when `n` is 0. The bytes belong to somebody else and outlive the text. */
struct text {
	const char *p;
	size_t n;
};

#define TEXT(literal)	((struct text){literal, sizeof(literal) - 1})
#define TEXT_NONE	((struct text){NULL, 0})
/* For printf("%.*s"). */
#define TEXT_ARG(t)	(int)(t).n, ((t).p ? (t).p : "")

static inline struct text text_of(const char *s)
{
	return (struct text){s, s ? strlen(s) : 0};
}

static inline bool text_equal(struct text a, struct text b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

static inline bool text_is(struct text a, const char *s)
{
	return text_equal(a, text_of(s));
}

/* Without the blanks (space, tab, CR, LF) at both ends. */
struct text text_trim(struct text t);

/* True for well-formed UTF-8 (RFC 3629) without NUL or other control characters than tab. */
bool text_is_line(struct text t);

/* Bytes of the character that `t` begins with, 0 if it may not be in such a line. */
size_t text_character(struct text t);

/* Compares like strcmp, shorter first on a common prefix. */
int text_compare(struct text a, struct text b);

/* Does it begin with, or end in, those bytes? */
bool text_starts(struct text t, const char *prefix);
bool text_ends(struct text t, const char *suffix);

/* A whole decimal number without sign or blanks; -EINVAL, -ERANGE beyond uint64_t. */
int text_to_u64(struct text t, uint64_t *ret);

/* Copies into `out` with a closing NUL, cutting at `size`; returns false if it was cut. */
bool text_copy(char *out, size_t size, struct text t);

#endif
