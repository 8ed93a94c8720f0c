/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the tree from the attribute tables: as man(7) source, or (-t) as a drawing. */
#include <stdio.h>
#include <string.h>

#include "attachfs/cleanup.h"
#include "attachfs/node.h"

#define PATH_BYTES 256
#define LINE_BYTES 66

/* A directory of the tree: rows of `kind` in `group`, at `path` below the mount point. */
struct place {
	enum kind kind;
	uint8_t group; /* 0: the object's own directory */
	const char *path;
};

/* What stands for the names that users choose. */
static const char *const names[KINDS] = {
	[KIND_ROOT] = "MOUNT", [KIND_DOCK] = "DOCK",	 [KIND_POOL] = "POOL",
	[KIND_HOST] = "HOST",  [KIND_VOLUME] = "VOLUME", [KIND_ATTACHMENT] = "HOST",
	[KIND_KEY] = "KEY",    [KIND_PROFILE] = "PROFILE",
};

static bool is_here(const struct node *node, const struct place *p)
{
	return node->group == p->group && node->type != NODE_NONE && node->type != NODE_FIELD &&
	       node->type != NODE_LINK;
}

static bool is_directory(const struct node *node)
{
	return node->type != NODE_ATTR;
}

/* The row from `i` on that is the next in this directory, or NULL. */
static const struct node *next_row(const struct place *p, unsigned *i, bool directories)
{
	const struct kind_ops *ops = kinds[p->kind];

	for (; *i < ops->n_nodes; ++*i)
		if (is_here(&ops->nodes[*i], p) && is_directory(&ops->nodes[*i]) == directories)
			return &ops->nodes[(*i)++];
	return NULL;
}

/* How the help of links names them: "NAME: what they are". */
static int link_name_length(const struct node *node)
{
	const char *end = strstr(node->help, ": ");

	return end ? (int)(end - node->help) : 0;
}

/* What users may do to the objects in it. */
static const char *operations(const struct node *node)
{
	if (node->type != NODE_CHILDREN || node->fixed)
		return NULL;
	return kinds[node->child]->rename || kinds[node->child]->move ? "mkdir, mv, rmdir"
								      : "mkdir, rmdir";
}

/* ---- man(7) ---- */

/* Text in roff: no backslash, and no request at the beginning of a line. */
static void put(const char *text, bool at_line_start)
{
	if (at_line_start && (*text == '.' || *text == '\''))
		fputs("\\&", stdout);
	for (; *text; text++)
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
}

static void put_sentence(const char *text)
{
	size_t n = strlen(text);

	put(text, true);
	if (n && !strchr(".?!", text[n - 1]))
		putchar('.');
	putchar('\n');
}

/* "reserved or error", for the states in which an attribute may be written. */
static void put_states(const struct kind_ops *ops, uint32_t states)
{
	const char *parted = "";

	printf("May be written only while the %s is ", ops->name);
	for (unsigned i = 0; i < 32; i++)
		if (states & 1u << i) {
			printf("%s%s", parted, ops->status_names[i]);
			parted = " or ";
		}
	puts(".");
}

static void put_default(const struct node *node)
{
	BUF_AUTO(value);

	if (node->render || node->value->refuses_empty || node->value->is_text)
		return;
	node->value->format(&node->initial, &value);
	if (value.len) {
		fputs("Default: ", stdout);
		put(value.data, false);
		puts(".");
	}
}

static void put_attribute(const struct kind_ops *ops, const struct node *node, bool settable)
{
	puts(".TP");
	printf(".BR %s \" (%s%s)\"\n", node->name, settable ? "w" : "r",
	       node->flags & NODE_SECRET ? ", mode 0600" : "");
	put_sentence(node->help);
	if (!settable)
		return;
	fputs("Takes ", stdout);
	put(node->value->expected, false);
	puts(".");
	if (node->states)
		put_states(ops, node->states);
	put_default(node);
}

static void put_directory(const struct place *p);

static void put_below(const struct node *node, unsigned number, const struct place *p)
{
	char path[PATH_BYTES];
	struct place below = {.path = path};

	if (node->type == NODE_GROUP) {
		snprintf(path, sizeof(path), "%s%s/", p->path, node->name);
		below.kind = p->kind;
		below.group = (uint8_t)number;
		put_directory(&below);
	} else if (node->type == NODE_CHILDREN && node->child != KIND_KEY) {
		snprintf(path, sizeof(path), "%s%s/%s/", p->path, node->name, names[node->child]);
		below.kind = node->child;
		put_directory(&below);
	}
}

static void put_subdirectory(const struct node *node)
{
	puts(".TP");
	if (node->type == NODE_LINKS)
		printf(".BR %s/%.*s \" (%s)\"\n", node->name, link_name_length(node),
		       node->help, node->links->files ? "r" : "symbolic link");
	else if (node->type == NODE_CHILDREN && node->child == KIND_KEY)
		printf(".BR %s/KEY \" (%s)\"\n", node->name, node->fixed ? "r" : "w");
	else
		printf(".BR %s/ \" (%s)\"\n", node->name, operations(node) ?: "directory");
	if (node->type == NODE_LINKS)
		put_sentence(node->help + link_name_length(node) + 2);
	else
		put_sentence(node->help);
}

/* All that is in the directory, then what is in the directories below it. */
static void put_directory(const struct place *p)
{
	const struct kind_ops *ops = kinds[p->kind];
	const struct node *node;

	printf(".SS \"%s\"\n", *p->path ? p->path : "/");
	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, false));)
		put_attribute(ops, node, node->flags & NODE_SETTABLE);
	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, true));)
		put_subdirectory(node);
	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, true));)
		put_below(node, i - 1, p);
}

/* ---- the drawing ---- */


static unsigned count_rows(const struct place *p, bool directories)
{
	unsigned n = 0;

	for (unsigned i = NODE_SELF + 1; next_row(p, &i, directories);)
		n++;
	return n;
}

/* Names of the same access share lines: "├── a b c   w". */
static void draw_names(const struct place *p, const char *prefix, bool settable, bool last)
{
	const struct node *node;
	BUF_AUTO(line);

	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, false));) {
		if (!(node->flags & NODE_SETTABLE) == settable)
			continue;
		if (line.len && strlen(prefix) / 2 + line.len + strlen(node->name) > LINE_BYTES) {
			printf("%s├── %s  %s\n", prefix, line.data, settable ? "w" : "r");
			buf_reset(&line);
		}
		buf_printf(&line, "%s%s", line.len ? " " : "", node->name);
	}
	if (line.len)
		printf("%s%s── %s  %s\n", prefix, last ? "└" : "├", line.data,
		       settable ? "w" : "r");
}

static bool has_names(const struct place *p, bool settable)
{
	const struct node *node;

	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, false));)
		if (!(node->flags & NODE_SETTABLE) != settable)
			return true;
	return false;
}

static void draw_directory(const struct place *p, const char *prefix);

static void draw_below(const struct node *node, unsigned number, const struct place *p,
		       const char *prefix, bool last)
{
	char deeper[PATH_BYTES], deepest[PATH_BYTES + 8];
	struct place below = {.kind = p->kind, .group = (uint8_t)number, .path = ""};

	snprintf(deeper, sizeof(deeper), "%s%s", prefix, last ? "    " : "│   ");
	printf("%s%s── %s/", prefix, last ? "└" : "├", node->name);
	if (node->type == NODE_LINKS) {
		printf("%.*s  %s\n", link_name_length(node), node->help,
		       node->links->files ? "r" : "symbolic link");
	} else if (node->type == NODE_GROUP) {
		putchar('\n');
		draw_directory(&below, deeper);
	} else if (node->child == KIND_KEY) {
		printf("KEY  %s\n", node->fixed ? "r" : "w");
	} else {
		printf("  %s\n%s└── %s/\n", operations(node) ?: "", deeper, names[node->child]);
		snprintf(deepest, sizeof(deepest), "%s    ", deeper);
		below.kind = node->child;
		below.group = 0;
		draw_directory(&below, deepest);
	}
}

static void draw_directory(const struct place *p, const char *prefix)
{
	unsigned left = count_rows(p, true);
	bool readable = has_names(p, false);
	const struct node *node;

	draw_names(p, prefix, true, !left && !readable);
	draw_names(p, prefix, false, !left);
	for (unsigned i = NODE_SELF + 1; (node = next_row(p, &i, true));)
		draw_below(node, i - 1, p, prefix, !--left);
}

int main(int argc, char **argv)
{
	const struct place root = {.kind = KIND_ROOT, .path = ""};

	if (argc > 1 && !strcmp(argv[1], "-t")) {
		printf("%s/\n", names[KIND_ROOT]);
		draw_directory(&root, "");
	} else {
		put_directory(&root);
	}
	return fflush(stdout) || ferror(stdout);
}
