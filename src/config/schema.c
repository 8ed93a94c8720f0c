/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of values that settings have, and the walk over one map by its table. */
#include "schema.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "attachfs/buf.h"
#include "attachfs/limits.h"

/* LMDB wants a map of whole pages. */
#define MAP_SIZE_UNIT 4096

int setting_line(const struct setting *s, const struct conf_node *map, void *to,
		 struct error *err)
{
	return conf_string(map, s->key, to, err);
}

static bool is_alnum(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > NAME_BYTES_MAX || !is_alnum(name[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_alnum(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
			return false;
	return true;
}

int setting_name(const struct setting *s, const struct conf_node *map, void *to,
		 struct error *err)
{
	const char *name = NULL;
	int error = conf_string(map, s->key, &name, err);

	if (error || !name)
		return error;
	if (!name_is_valid(name))
		return conf_fail(conf_get(map, s->key), err, "%s: bad name, expected %s", s->key,
				 NAME_RULE);
	*(const char **)to = name;
	return 0;
}

static int read_path(const struct setting *s, const struct conf_node *map, bool absolute,
		     void *to, struct error *err)
{
	const char *path = NULL;
	int error = conf_string(map, s->key, &path, err);

	if (error || !path)
		return error;
	if (!*path || strlen(path) >= PATH_MAX || (absolute && *path != '/'))
		return conf_fail(conf_get(map, s->key), err, "%s: bad path, expected %s", s->key,
				 absolute ? "an absolute one, beginning with /"
					  : "the path of a folder");
	*(const char **)to = path;
	return 0;
}

int setting_folder(const struct setting *s, const struct conf_node *map, void *to,
		   struct error *err)
{
	return read_path(s, map, false, to, err);
}

int setting_absolute(const struct setting *s, const struct conf_node *map, void *to,
		     struct error *err)
{
	return read_path(s, map, true, to, err);
}

int setting_bool(const struct setting *s, const struct conf_node *map, void *to,
		 struct error *err)
{
	return conf_bool(map, s->key, to, err);
}

int setting_percent(const struct setting *s, const struct conf_node *map, void *to,
		    struct error *err)
{
	uint64_t value = *(unsigned *)to;
	int error = conf_number(map, s->key, (uint64_t)s->min, (uint64_t)s->max, &value, err);

	if (!error)
		*(unsigned *)to = (unsigned)value;
	return error;
}

int setting_gib(const struct setting *s, const struct conf_node *map, void *to,
		struct error *err)
{
	uint64_t value = *(uint64_t *)to >> 30;
	int error = conf_number(map, s->key, (uint64_t)s->min, (uint64_t)s->max, &value, err);

	if (!error)
		*(uint64_t *)to = value << 30;
	return error;
}

/* 1073741824, 1048576K, 1024M, 1G. */
static int parse_bytes(struct text t, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char last = t.n ? t.p[t.n - 1] : '\0';
	unsigned shift = 0;
	uint64_t value;

	for (unsigned i = 0; i < sizeof(units) - 1; i++)
		if ((last & ~0x20) == units[i])
			shift = 10 * (i + 1);
	t.n -= shift != 0;
	if (text_to_u64(t, &value) || value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}

int setting_bytes(const struct setting *s, const struct conf_node *map, void *to,
		  struct error *err)
{
	const char *value = NULL;
	int error = conf_string(map, s->key, &value, err);
	uint64_t bytes;

	if (error || !value)
		return error;
	if (parse_bytes(text_of(value), &bytes) || bytes < s->min || bytes > s->max ||
	    bytes % MAP_SIZE_UNIT)
		return conf_fail(conf_get(map, s->key), err,
				 "%s: bad size, expected bytes, or a number with K, M, G or T, "
				 "from %juM to %juG and a multiple of %u",
				 s->key, (uintmax_t)s->min >> 20, (uintmax_t)s->max >> 30,
				 MAP_SIZE_UNIT);
	*(uint64_t *)to = bytes;
	return 0;
}

int setting_seconds(const struct setting *s, const struct conf_node *map, void *to,
		    struct error *err)
{
	double value = *(unsigned *)to / 1000.0;
	int error = conf_decimal(map, s->key, s->min, s->max, &value, err);

	if (!error)
		*(unsigned *)to = (unsigned)(value * 1000 + 0.5);
	return error;
}

int setting_ratio(const struct setting *s, const struct conf_node *map, void *to,
		  struct error *err)
{
	return conf_decimal(map, s->key, s->min, s->max, to, err);
}

int setting_map(const struct setting *s, const struct conf_node *map, void *to,
		struct error *err)
{
	return conf_map(map, s->key, to, err);
}

static const struct setting *find_setting(const struct setting *settings, size_t n,
					  const char *key,
					  int (*compare)(const char *, const char *))
{
	for (size_t i = 0; i < n; i++)
		if (!compare(settings[i].key, key))
			return &settings[i];
	return NULL;
}

void warn_at(const struct warnings *warnings, const struct conf_node *node, const char *what,
	     const struct setting *similar)
{
	BUF_AUTO(line);

	if (!warnings->fn)
		return;
	if (node->key)
		buf_printf(&line, "%s:%u:%u: %s %s, ignored", node->file, node->key_line,
			   node->key_column, what, node->key);
	else
		buf_printf(&line, "%s:%u:%u: %s, ignored", node->file, node->line,
			   node->column, what);
	if (similar)
		buf_printf(&line, " (did you mean %s?)", similar->key);
	warnings->fn(warnings->arg, buf_error(&line) ? "out of memory: a warning is lost"
						     : line.data);
}

static int read_one(const struct setting *s, const struct conf_node *map, void *target,
		    struct error *err)
{
	union {
		const void *pointer;
		uint64_t number;
		double decimal;
		bool flag;
	} unused = {0};

	return s->read(s, map,
		       s->offset == SETTING_UNUSED ? (void *)&unused : (char *)target + s->offset,
		       err);
}

int settings_read(const struct conf_node *map, const struct setting *settings, size_t n,
		  const char *section, const struct warnings *warnings, void *target,
		  struct error *err)
{
	conf_each(node, map) {
		const struct setting *s = find_setting(settings, n, node->key, strcmp);
		int error = 0;

		if (s)
			error = read_one(s, map, target, err);
		else if (!section || strcmp(section, node->key))
			warn_at(warnings, node, "unknown key",
				find_setting(settings, n, node->key, strcasecmp));
		if (error)
			return error;
	}
	return 0;
}
