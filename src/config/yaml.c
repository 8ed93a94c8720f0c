/* SPDX-License-Identifier: GPL-2.0-or-later */
/* YAML text to a tree of nodes, through libyaml's events: its document API is slow on nesting. */
#include "tree.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/cleanup.h"
#include "attachfs/limits.h"

/* Keys are shown in messages and names of files: nothing longer makes sense. */
#define KEY_BYTES_MAX 255

/* A collection that is still open. `keys` is a tsearch() tree of its keys (borrowed). */
struct frame {
	struct conf_node *node, *last;
	void *keys;
};

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct text text;
	/* libyaml counts characters: `byte` is where character number `index` begins. */
	size_t index, byte;
	struct frame frames[CONF_DEPTH_MAX];
	unsigned depth, documents, nodes;
	struct conf_node *root;
	char *key; /* read, and still without a value */
	yaml_mark_t key_mark;
	struct error *err;
};

static int fail_at(struct reader *r, yaml_mark_t mark, const char *what)
{
	return error_set(r->err, EINVAL, "%s:%zu:%zu: %s", r->file, mark.line + 1,
			 mark.column + 1, what);
}

/* The first byte of what begins at `mark`. Marks only grow, so all calls are one pass. */
static char byte_at(struct reader *r, yaml_mark_t mark)
{
	while (r->index < mark.index && r->byte < r->text.n) {
		do
			r->byte++;
		while (r->byte < r->text.n && (r->text.p[r->byte] & 0xc0) == 0x80);
		r->index++;
	}
	return r->byte < r->text.n ? r->text.p[r->byte] : '\0';
}

static int refuse_properties(struct reader *r, const yaml_event_t *event,
			     const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return fail_at(r, event->start_mark,
			       "anchors (&) are not supported, expected a plain value");
	/* libyaml drops the tag `!` of a scalar; no other scalar begins with that byte. */
	if (tag || byte_at(r, event->start_mark) == '!')
		return fail_at(r, event->start_mark,
			       "tags (!) are not supported, expected a plain value");
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep_key(void *key)
{
	(void)key;
}

static void close_frame(struct reader *r)
{
	tdestroy(r->frames[--r->depth].keys, keep_key);
}

/* Is the next node of the innermost map a key? */
static bool wants_key(const struct reader *r)
{
	return r->depth && r->frames[r->depth - 1].node->type == CONF_MAP && !r->key;
}

static int fail_duplicate(struct reader *r, const struct frame *map)
{
	const struct conf_node *first = conf_get(map->node, r->key);

	return error_set(r->err, EINVAL, "%s:%zu:%zu: duplicate key %s, first at %u:%u", r->file,
			 r->key_mark.line + 1, r->key_mark.column + 1, r->key, first->key_line,
			 first->key_column);
}

static int add_key(struct reader *r, const yaml_event_t *event)
{
	struct text key = {(const char *)event->data.scalar.value,
			   event->data.scalar.length};
	struct frame *map = &r->frames[r->depth - 1];
	char **found;

	if (!key.n || key.n > KEY_BYTES_MAX || !text_is_line(key))
		return fail_at(r, event->start_mark,
			       "bad key, expected one line of 1 to 255 bytes");
	r->key = strndup(key.p, key.n);
	r->key_mark = event->start_mark;
	found = r->key ? tsearch(r->key, &map->keys, compare_keys) : NULL;
	if (!found)
		return error_set(r->err, ENOMEM, "%s: out of memory", r->file);
	return *found == r->key ? 0 : fail_duplicate(r, map);
}

static void link_node(struct reader *r, struct conf_node *node)
{
	struct frame *parent = r->depth ? &r->frames[r->depth - 1] : NULL;

	if (!parent)
		r->root = node;
	else if (parent->last)
		parent->last->next = node;
	else
		parent->node->child = node;
	if (parent)
		parent->last = node;
}

/* A node at the event's place, under the pending key if there is one. */
static int add_node(struct reader *r, const yaml_event_t *event, enum conf_type type,
		    struct conf_node **ret)
{
	struct conf_node *node;

	if (++r->nodes > CONF_NODES_MAX)
		return fail_at(r, event->start_mark, "too many values, expected at most 65536");
	node = calloc(1, sizeof(*node));
	if (!node)
		return error_set(r->err, ENOMEM, "%s: out of memory", r->file);
	node->type = type;
	node->file = r->file;
	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	if (r->key) {
		node->key = steal_pointer(&r->key);
		node->key_line = (unsigned)r->key_mark.line + 1;
		node->key_column = (unsigned)r->key_mark.column + 1;
	}
	link_node(r, node);
	*ret = node;
	return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	struct conf_node *node;
	int error = refuse_properties(r, event, event->data.scalar.anchor,
				      event->data.scalar.tag);

	if (error)
		return error;
	if (memchr(value, '\0', length))
		return fail_at(r, event->start_mark, "a NUL byte in a text, expected none");
	if (wants_key(r))
		return add_key(r, event);
	error = add_node(r, event, CONF_SCALAR, &node);
	if (error)
		return error;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->value = strndup(value, length);
	return node->value ? 0 : error_set(r->err, ENOMEM, "%s: out of memory", r->file);
}

static int on_open(struct reader *r, const yaml_event_t *event, enum conf_type type,
		   const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct conf_node *node;
	int error = refuse_properties(r, event, anchor, tag);

	if (error)
		return error;
	if (wants_key(r))
		return fail_at(r, event->start_mark,
			       type == CONF_MAP ? "a map as a key, expected a text"
						: "a list as a key, expected a text");
	if (r->depth == CONF_DEPTH_MAX)
		return fail_at(r, event->start_mark,
			       "nested too deeply, expected at most 32 levels");
	error = add_node(r, event, type, &node);
	if (!error)
		r->frames[r->depth++] = (struct frame){.node = node};
	return error;
}

static int on_document(struct reader *r, const yaml_event_t *event)
{
	if (r->documents++)
		return fail_at(r, event->start_mark,
			       "a second document, expected one in a file");
	if (event->data.document_start.tag_directives.start !=
	    event->data.document_start.tag_directives.end)
		return fail_at(r, event->start_mark, "tags (%TAG) are not supported");
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		return on_document(r, event);
	case YAML_ALIAS_EVENT:
		return fail_at(r, event->start_mark,
			       "aliases (*) are not supported, expected a plain value");
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, event, CONF_LIST, event->data.sequence_start.anchor,
			       event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, event, CONF_MAP, event->data.mapping_start.anchor,
			       event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		close_frame(r);
		return 0;
	}
	return 0;
}

static int read_events(struct reader *r)
{
	yaml_event_t event;
	bool done = false;
	int error = 0;

	while (!done && !error) {
		if (!yaml_parser_parse(&r->parser, &event))
			return yaml_fail(&r->parser, r->file, r->text, r->err);
		done = event.type == YAML_STREAM_END_EVENT;
		error = on_event(r, &event);
		yaml_event_delete(&event);
	}
	return error;
}

/* A file of nothing, or of `---` alone, is an empty map. */
static int finish_root(struct reader *r)
{
	if (!r->root) {
		r->root = calloc(1, sizeof(*r->root));
		if (!r->root)
			return error_set(r->err, ENOMEM, "%s: out of memory", r->file);
		*r->root = (struct conf_node){.type = CONF_MAP, .file = r->file, .line = 1,
					      .column = 1};
	}
	if (r->root->type == CONF_SCALAR && !r->root->quoted && !*r->root->value) {
		free(steal_pointer(&r->root->value));
		r->root->type = CONF_MAP;
	}
	return 0;
}

static int read_text(struct reader *r)
{
	int error;

	if (!yaml_parser_initialize(&r->parser))
		return error_set(r->err, ENOMEM, "%s: out of memory", r->file);
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.p, r->text.n);
	error = read_events(r);
	if (!error)
		error = finish_root(r);
	while (r->depth)
		close_frame(r);
	free(r->key);
	yaml_parser_delete(&r->parser);
	return error;
}

int conf_parse_text(const char *name, struct text text, struct conf_node **ret,
		    struct error *err)
{
	_cleanup_free_ char *file = strdup(name);
	struct reader r = {.file = file, .text = text, .err = err};
	int error;

	if (!file)
		return error_set(err, ENOMEM, "%s: out of memory", name);
	if (text.n > CONF_FILE_BYTES_MAX)
		return error_set(err, EINVAL, "%s:1:1: the file is too long, expected at most %d "
				 "bytes", name, CONF_FILE_BYTES_MAX);
	if (!text.n)
		r.text = TEXT("");
	if (text_starts(r.text, "\xef\xbb\xbf"))
		r.text = (struct text){text.p + 3, text.n - 3};
	error = read_text(&r);
	if (error) {
		node_free(r.root);
		return error;
	}
	steal_pointer(&file);
	*ret = r.root;
	return 0;
}
