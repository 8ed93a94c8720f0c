/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors that carry their explanation. */
#include "attachfs/error.h"
#include "attachfs/text.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list ap;

	if (err) {
		err->code = code;
		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
	}
	return -code;
}

int error_prefix(struct error *err, const char *format, ...)
{
	struct error inner = *err;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 2 < sizeof(err->text)) {
		text_copy(err->text + n, sizeof(err->text) - (size_t)n, TEXT(": "));
		text_copy(err->text + n + 2, sizeof(err->text) - (size_t)n - 2,
			  text_of(inner.text));
	}
	return -err->code;
}
