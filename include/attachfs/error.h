/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An errno together with the sentence that a person needs: what was refused, why, what to do. */
#ifndef ATTACHFS_ERROR_H
#define ATTACHFS_ERROR_H

/* Longer explanations are cut, never refused. */
#define ERROR_TEXT_MAX 1024

/*
 * `code` is a positive errno, 0 while nothing has gone wrong. `text` is one line of UTF-8
 * without a newline; it never holds a secret. Plain data: copy it, no need to free it.
 */
struct error {
	int code;
	char text[ERROR_TEXT_MAX];
};

/*
 * Fills `err` (which may be NULL) and returns -code, so that a function can end with
 * `return error_set(err, EBUSY, "volume %s is …", name);`. A later call overwrites.
 */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
