/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which names are temporary: those that tools give the files beside the one they change. */
#include <ctype.h>
#include <string.h>

#include "attachfs/cleanup.h"
#include "temps.h"

static bool all(const char *s, int (*is)(int c))
{
	while (*s && is((unsigned char)*s))
		s++;
	return !*s;
}

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), m = strlen(with);

	return n > m && !strcmp(name + n - m, with);
}

static bool is_word(const char *s, size_t n)
{
	static const char *const words[] = {"bak", "old", "orig", "new", "tmp", "save", "saved"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == n && !strncmp(s, words[i], n))
			return true;
	return false;
}

/* What may follow an attribute's name. A slip of the pen may not: "sizes", "ip4", "modde". */
static bool is_suffix(const char *s)
{
	size_t n = strlen(s);

	if (!isalnum((unsigned char)s[0]) && s[0] != '_')
		return true; /* mode.bak, mode-, mode~ */
	if (s[0] == '_' && isdigit((unsigned char)s[1]))
		return true; /* mode_1700000000.before-edit */
	if (n == 6 && all(s, isalnum))
		return true; /* modeXXXXXX of mkstemp() */
	return is_word(s, n) || strspn(s, "0123456789") >= 8; /* mode20261120-99-abcdef */
}

/* What may stand before it: orig_mode, old.mode. */
static bool is_prefix(const char *s, size_t n)
{
	return n > 1 && strchr("._-", s[n - 1]) && is_word(s, n - 1);
}

static bool contains(const char *name, const char *attribute)
{
	const char *at = strstr(name, attribute);
	size_t n = strlen(attribute);

	if (!at)
		return false;
	if (at == name)
		return at[n] && is_suffix(at + n);
	return is_prefix(name, (size_t)(at - name)) && (!at[n] || is_suffix(at + n));
}

static bool contains_attribute(enum kind kind, const char *name)
{
	const struct kind_ops *ops = kinds[kind];

	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++)
		if (ops->nodes[i].type == NODE_ATTR && ops->nodes[i].flags & NODE_SETTABLE &&
		    contains(name, ops->nodes[i].name))
			return true;
	return false;
}

bool temp_name(enum kind kind, const char *name, bool directory)
{
	size_t n = strlen(name);

	if (name[0] == '.' || name[0] == '#' || ends(name, "~"))
		return true;
	if (directory && ends(name, ".lock"))
		return true;
	if (kind == KIND_KEY)
		return false; /* whatever else is a valid key is one */
	if (n == 9 && begins(name, "sed"))
		return true;
	if (n == 8 && begins(name, "XX"))
		return true;
	if (begins(name, "tmp") || ends(name, ".tmp"))
		return true;
	if (n >= 4 && n <= 6 && all(name, isdigit))
		return true;
	return contains_attribute(kind, name);
}
