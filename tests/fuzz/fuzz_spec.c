/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes extra specs: a spec and a value, parted by a newline; no crash, and no contradiction. */
#include <stdlib.h>

#include "../../src/core/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

/* In memory of its exact size. */
static struct text exact(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	check(copy);
	if (n)
		memcpy(copy, p, n);
	return (struct text){copy, n};
}

/* The same with other blanks around it is the same. */
static void compare_padded(struct text text, struct text value, bool matches)
{
	struct spec spec;
	BUF_AUTO(padded);

	buf_str(&padded, " \t");
	buf_text(&padded, text);
	buf_str(&padded, "\n");
	spec_parse(buf_as_text(&padded), &spec);
	check(spec_matches(&spec, value) == matches);
}

/* A list matches if, and only if, an element does; all of them are the same here. */
static void compare_doubled(const struct spec *spec, struct text value, bool matches)
{
	BUF_AUTO(list);

	buf_text(&list, value);
	buf_printf(&list, "%c", SPEC_SEPARATOR);
	buf_text(&list, value);
	check(spec_matches(spec, buf_as_text(&list)) == matches);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t n = end ? (size_t)(end - data) : size;
	struct text text = exact(data, n);
	struct text value = end ? exact(end + 1, size - n - 1) : exact(NULL, 0);
	struct spec spec;
	bool matches;
	BUF_AUTO(why);

	spec_parse(text, &spec);
	matches = spec_matches(&spec, value);
	check(!matches || !spec.expected);
	spec_explain(&spec, &value, &why);
	spec_explain(&spec, NULL, &why);
	check(!buf_error(&why) && text_is_line(buf_as_text(&why)) && why.len < 1024);
	compare_padded(text, value, matches);
	compare_doubled(&spec, value, matches);
	free((char *)text.p);
	free((char *)value.p);
	return 0;
}
