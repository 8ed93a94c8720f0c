/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A byte buffer that grows by doubling. */
#include "attachfs/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/* Room for `n` more bytes and a NUL. */
static bool reserve(struct buf *b, size_t n)
{
	size_t size = b->size ? b->size : 512;
	char *data;

	if (b->failed)
		return false;
	if (b->len + n < b->size)
		return true;
	while (size <= b->len + n)
		size *= 2;
	data = realloc(b->data, size);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->size = size;
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_text(struct buf *b, struct text t)
{
	buf_add(b, t.p, t.n);
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_line(struct buf *b, struct text t)
{
	while (t.n) {
		size_t n = text_character(t);

		buf_add(b, n ? t.p : "?", n ? n : 1);
		t.p += n ? n : 1;
		t.n -= n ? n : 1;
	}
}

void buf_number(struct buf *b, uint64_t n, unsigned digits)
{
	char text[20]; /* UINT64_MAX */
	size_t at = sizeof(text);

	while (at && (n || at == sizeof(text) || sizeof(text) - at < digits)) {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	}
	buf_add(b, text + at, sizeof(text) - at);
}

/* Most of what is printed fits into the room that there is. */
void buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap;
	size_t room;
	int n;

	if (!reserve(b, 0))
		return;
	room = b->size - b->len;
	va_start(ap, format);
	n = vsnprintf(b->data + b->len, room, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room && reserve(b, (size_t)n)) {
		va_start(ap, format);
		vsnprintf(b->data + b->len, (size_t)n + 1, format, ap);
		va_end(ap);
	}
	b->failed |= n < 0;
	if (b->failed)
		b->data[b->len] = '\0';
	else
		b->len += (size_t)n;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

int buf_error(const struct buf *b)
{
	return b->failed ? -ENOMEM : 0;
}
