/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A byte buffer that grows; a failed allocation sticks and is asked for once, at the end. */
#ifndef ATTACHFS_BUF_H
#define ATTACHFS_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attachfs/text.h"

/*
 * `data` is NUL-terminated whenever it is not NULL (the NUL is not counted in `len`).
 * Once an allocation has failed `failed` is true, further additions do nothing, and the
 * owner must not use the contents. Zero-initialise with `struct buf b = {0}`, or BUF_AUTO(b).
 * One thread at a time.
 */
struct buf {
	char *data;
	size_t len, size;
	bool failed;
};

void buf_free(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_text(struct buf *b, struct text t);
void buf_str(struct buf *b, const char *s);
/* Adds it as part of one line of UTF-8: bytes that may not be there become '?'. */
void buf_line(struct buf *b, struct text t);
/* In decimal, with zeros before it up to that many digits. Every change prints some. */
void buf_number(struct buf *b, uint64_t n, unsigned digits);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Empties it and keeps the memory. */
void buf_reset(struct buf *b);
/* 0, or -ENOMEM if anything that was added is missing. */
int buf_error(const struct buf *b);

static inline struct text buf_as_text(const struct buf *b)
{
	return (struct text){b->data, b->len};
}

#define BUF_AUTO(name) __attribute__((cleanup(buf_free))) struct buf name = {0}

#endif
