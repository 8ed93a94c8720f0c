/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors that carry their explanation. */
#include "attachfs/error.h"

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
