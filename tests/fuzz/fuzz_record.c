/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzzes the record codec: no crash, and what was decoded is encoded and decoded to the same. */
#include <stdlib.h>
#include <string.h>

#include "attachfs/buf.h"
#include "attachfs/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static bool same_inode(const struct inode_state *a, const struct inode_state *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->atime == b->atime && a->mtime == b->mtime;
}

/* The field is what hosts, placement and the state machine go by. */
static void compare_row(const union any *a, const union any *b, const struct node *node, unsigned i)
{
	const void *x = (const char *)a + node->offset, *y = (const char *)b + node->offset;

	check(a->o.attr[i].flags == b->o.attr[i].flags);
	if (a->o.attr[i].flags & ATTR_HAS_RAW)
		check(text_equal(a->o.attr[i].raw, b->o.attr[i].raw));
	if (!(node->flags & (NODE_SETTABLE | NODE_STORED)))
		return;
	if (node->value->is_text)
		check(text_equal(*(const struct text *)x, *(const struct text *)y));
	else
		check(*(const uint64_t *)x == *(const uint64_t *)y);
}

static void compare(const union any *a, const union any *b)
{
	const struct kind_ops *ops = kinds[a->o.kind];

	check(a->o.kind == b->o.kind && a->o.parent == b->o.parent);
	check(a->o.container == b->o.container && !strcmp(a->o.name, b->o.name));
	check(!memcmp(a->o.id, b->o.id, sizeof(a->o.id)));
	check(same_inode(&a->o.inode, &b->o.inode));
	check(a->o.created == b->o.created && a->o.updated == b->o.updated);
	for (unsigned i = NODE_SELF + 1; i < ops->n_nodes; i++)
		compare_row(a, b, &ops->nodes[i], i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union any first, second;
	BUF_AUTO(once);
	BUF_AUTO(twice);

	if (object_decode(1, (struct text){(const char *)data, size}, &first))
		return 0;
	check(!object_encode(&first, &once));
	check(!object_decode(1, buf_as_text(&once), &second));
	compare(&first, &second);
	check(!object_encode(&second, &twice));
	check(text_equal(buf_as_text(&once), buf_as_text(&twice)));
	return 0;
}
