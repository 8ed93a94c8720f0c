/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words and places for what libyaml refuses. */
#include "tree.h"

#include <errno.h>
#include <string.h>

#include "attachfs/cleanup.h"

/* libyaml reports bytes that are not text by their offset alone. */
static int fail_bytes(const yaml_parser_t *parser, const char *file, struct text text,
		      struct error *err)
{
	size_t offset = parser->problem_offset;
	yaml_mark_t mark = {0};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		if (text.p[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((text.p[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return error_set(err, EINVAL, "%s:%zu:%zu: %s, expected UTF-8 text", file,
			 mark.line + 1, mark.column + 1, parser->problem);
}

/* What libyaml leaves unsaid about the mistakes that people make. */
static const char *hint(const char *problem)
{
	static const struct {
		const char *problem, *hint;
	} hints[] = {
		{"found character that cannot start any token",
		 "; expected a value (indent with spaces, not tabs; quote text that begins "
		 "with @, ` or %)"},
		{"mapping values are not allowed in this context",
		 "; expected one KEY: VALUE a line (quote text that holds \": \")"},
		{"could not find expected ':'", " after a key"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (!strcmp(hints[i].problem, problem))
			return hints[i].hint;
	return "";
}

int yaml_fail(const yaml_parser_t *parser, const char *file, struct text text,
	      struct error *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return error_set(err, ENOMEM, "%s: out of memory", file);
	if (parser->error == YAML_READER_ERROR)
		return fail_bytes(parser, file, text, err);
	return error_set(err, EINVAL, "%s:%zu:%zu: %s%s%s%s", file,
			 parser->problem_mark.line + 1, parser->problem_mark.column + 1,
			 parser->problem, hint(parser->problem), parser->context ? " " : "",
			 parser->context ? parser->context : "");
}
