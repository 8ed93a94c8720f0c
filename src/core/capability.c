/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pool's capabilities: the flattened `extras`, as files to look at and as one text to search. */
#include <errno.h>
#include <stdio.h>

#include "spec.h"

#include "core.h"

/* ---- walking through the extras ---- */

typedef int leaf_fn(void *arg, const char *name, const struct conf_node *node);

/* Calls `fn` for each scalar and list: "a.b.c". What has no valid name was warned of. */
static int each_leaf(const struct conf_node *map, const char *prefix, leaf_fn *fn, void *arg)
{
	int rc = 0;

	conf_each(node, map) {
		char name[2 * NAME_BYTES_MAX];

		if (snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "",
			     node->key) >= (int)sizeof(name) ||
		    check_name(NULL, name, NULL))
			continue;
		rc = node->type == CONF_MAP ? each_leaf(node, name, fn, arg) : fn(arg, name, node);
		if (rc)
			break;
	}
	return rc;
}

/* A list becomes one value. */
static void put_value(const struct conf_node *node, char separator, struct buf *out)
{
	const char *parted = "", between[] = {separator, '\0'};

	if (node->type == CONF_SCALAR)
		buf_str(out, node->value);
	conf_each(element, node)
		if (element->type == CONF_SCALAR) {
			buf_printf(out, "%s%s", parted, element->value);
			parted = between;
		}
}

/* ---- the text: a line "NAME=VALUE" each ---- */

/* An empty list reports nothing. */
static int pack_leaf(void *arg, const char *name, const struct conf_node *node)
{
	if (node->type == CONF_LIST && !node->child)
		return 0;
	buf_printf(arg, "%s=", name);
	put_value(node, SPEC_SEPARATOR, arg);
	buf_str(arg, "\n");
	return 0;
}

void capabilities_pack(const struct conf_node *extras, struct buf *out)
{
	each_leaf(extras, "", pack_leaf, out);
}

bool capability_find(const struct pool *pool, const char *name, struct text *ret)
{
	struct text rest = pool->extras;
	size_t n = strlen(name);

	while (rest.n) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t line = end ? (size_t)(end - rest.p) : rest.n;

		if (line > n && rest.p[n] == '=' && !memcmp(rest.p, name, n)) {
			*ret = (struct text){rest.p + n + 1, line - n - 1};
			return true;
		}
		if (!end)
			break;
		rest.p += line + 1;
		rest.n -= line + 1;
	}
	return false;
}

/* ---- the files ---- */

struct keys {
	struct change *c;
	struct ref container;
};

static int apply_key(void *arg, const char *name, const struct conf_node *node)
{
	const struct keys *keys = arg;
	union any key;
	bool fresh;
	BUF_AUTO(line);
	int rc = apply_load(keys->c, KIND_KEY, keys->container, name, &key, &fresh);

	put_value(node, ',', &line);
	buf_str(&line, "\n");
	if (!rc)
		rc = buf_error(&line);
	if (rc || (!fresh && text_equal(key.o.attr[KEY_VALUE].raw, buf_as_text(&line))))
		return rc;
	key.o.attr[KEY_VALUE] = (struct attr_state){
		.flags = ATTR_HAS_RAW,
		.raw = change_keep(keys->c, buf_as_text(&line)),
	};
	key.o.inode.mode = 0444;
	change_note(keys->c, &(struct note){.type = NOTE_NODE,
					    .ref = {key.o.number, KEY_VALUE}});
	return apply_save(keys->c, &key, fresh);
}

static int find_leaf(void *arg, const char *name, const struct conf_node *node)
{
	(void)node;
	return text_is(*(const struct text *)arg, name);
}

struct leftover {
	const struct conf_node *extras;
	uint64_t number;
};

static int find_leftover(void *arg, uint64_t number, struct text name)
{
	struct leftover *l = arg;

	l->number = number;
	return !each_leaf(l->extras, "", find_leaf, &name);
}

/* Those that the configuration no longer has. */
static int drop_leftovers(const struct keys *keys, const struct conf_node *extras)
{
	struct leftover l = {.extras = extras};
	union any key;
	int rc;

	while ((rc = object_children(keys->c->tx, keys->container, 0, find_leftover, &l)) == 1) {
		rc = change_load(keys->c, l.number, KIND_KEY, &key);
		if (!rc)
			rc = change_delete(keys->c, &key);
		if (rc)
			return rc;
	}
	return rc;
}

int capabilities_apply(struct change *c, uint64_t pool, const struct conf_node *extras)
{
	struct keys keys = {c, {pool, POOL_CAPABILITIES}};
	int rc = each_leaf(extras, "", apply_key, &keys);

	return rc ? rc : drop_leftovers(&keys, extras);
}
