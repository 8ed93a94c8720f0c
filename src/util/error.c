/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors that carry their explanation. */
#include "attachfs/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "attachfs/text.h"

/* Too long a text was cut anywhere; what is left of its last character goes. */
static void cut_between_characters(char *text)
{
	size_t n = strlen(text), start = n;

	if (n < ERROR_TEXT_MAX - 1)
		return;
	while (start > 0 && (text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && text[start - 1] & 0x80)
		start--;
	if (start < n && text_character((struct text){text + start, n - start}) != n - start)
		text[start] = '\0';
}

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list ap;

	if (err) {
		err->code = code;
		va_start(ap, format);
		vsnprintf(err->text, sizeof(err->text), format, ap);
		va_end(ap);
		cut_between_characters(err->text);
	}
	return -code;
}
