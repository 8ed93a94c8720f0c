/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks at LMDB's file before LMDB does, which trusts it: what is damaged would end the program. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachfs/cleanup.h"

/*
 * LMDB 0.9's data file, which is the machine's own in byte order and word size. Pages 0 and 1 are
 * headers, of which the one with the higher transaction is the current one. From there each page
 * of each tree is visited once: its number and kind must be what refers to it says, and what it
 * refers to must lie within it, or within the file. What records say is not LMDB's business.
 */
#define MAGIC	   0xBEEFC0DEU
#define VERSION	   1
#define NO_PAGE	   UINT64_MAX
#define DEPTH_MAX  32
#define PAGE_MIN   512
#define PAGE_MAX   65536
#define PAGE_KINDS 0x6f /* of the flags */
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_HEADER = 8 };
enum { NODE_OVERFLOW = 1, NODE_TREE = 2 };

struct page { /* the offsets of its nodes follow */
	uint64_t number;
	uint16_t pad, flags, lower, upper; /* overflow: how many pages, in the place of the last two */
};

struct node {
	uint16_t low, high, flags, key_size;
	uint8_t key[];
};

struct tree {
	uint32_t page_size; /* of the first tree in a header; not used in others */
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct header {
	struct page page;
	uint32_t magic, version;
	uint64_t address, map_size;
	struct tree free, main;
	uint64_t last_page, transaction;
};

struct verify {
	const char *map;
	uint64_t size, page_size, last_page;
	uint64_t visited; /* never more than there are, or there is a circle */
	struct error *err;
};

static int damaged(struct verify *v, uint64_t page, const char *what)
{
	return error_set(v->err, EBADMSG, "page %llu %s", (unsigned long long)page, what);
}

/* Are `n` pages from that one on in the file? Its last pages may be free ones that were never written. */
static bool is_inside(const struct verify *v, uint64_t page, uint64_t n)
{
	uint64_t end = v->size / v->page_size;

	return page > 1 && page <= v->last_page && page < end && n && n <= end - page;
}

static int get_page(struct verify *v, uint64_t number, unsigned kind, const struct page **ret)
{
	const struct page *p;

	if (!is_inside(v, number, 1))
		return damaged(v, number, "is not in the file");
	p = (const void *)(v->map + number * v->page_size);
	if (p->number != number || (p->flags & PAGE_KINDS) != kind)
		return damaged(v, number, "is not what it is referred to as");
	if (v->visited++ > v->last_page)
		return damaged(v, number, "is in a circle");
	*ret = p;
	return 0;
}

static int check_tree(struct verify *v, const struct tree *tree, bool is_main, bool is_free);

/* A list of free pages: how many, and their numbers from the highest down. */
static int check_free(struct verify *v, uint64_t page, const uint8_t *data, uint64_t size)
{
	uint64_t n, number, before = v->last_page + 1;

	if (size < sizeof(n) || size % sizeof(n))
		return damaged(v, page, "has a list of another length");
	memcpy(&n, data, sizeof(n));
	if (n != size / sizeof(n) - 1)
		return damaged(v, page, "has a list of another length");
	for (uint64_t i = 1; i <= n; i++, before = number) {
		memcpy(&number, data + i * sizeof(n), sizeof(n));
		if (number >= before || number < 2)
			return damaged(v, page, "has a list out of order");
	}
	return 0;
}

static int check_data(struct verify *v, uint64_t page, const struct node *node, bool is_main,
		      bool is_free)
{
	uint64_t size = node->low | (uint64_t)node->high << 16, first;
	const uint8_t *data = node->key + node->key_size;
	const uint8_t *end = (const uint8_t *)v->map + (page + 1) * v->page_size;
	const struct page *overflow;
	struct tree tree;
	uint32_t pages;
	int rc;

	if (node->flags & ~(NODE_OVERFLOW | NODE_TREE) || (node->flags & NODE_TREE && !is_main))
		return damaged(v, page, "has an entry of another kind");
	if (data > end || (uint64_t)(end - data) < (node->flags & NODE_OVERFLOW ? sizeof(first) : size))
		return damaged(v, page, "has an entry that is cut off");
	if (node->flags & NODE_OVERFLOW) {
		memcpy(&first, data, sizeof(first));
		rc = get_page(v, first, PAGE_OVERFLOW, &overflow);
		if (rc)
			return rc;
		memcpy(&pages, &overflow->lower, sizeof(pages));
		if (!is_inside(v, first, pages) ||
		    pages * v->page_size - sizeof(*overflow) < size)
			return damaged(v, first, "is cut off");
		v->visited += pages - 1;
		data = (const uint8_t *)(overflow + 1);
	}
	if (is_free)
		return check_free(v, page, data, size);
	if (!(node->flags & NODE_TREE))
		return 0;
	if (size != sizeof(tree))
		return damaged(v, page, "has a table that is none");
	memcpy(&tree, data, sizeof(tree));
	return check_tree(v, &tree, false, false);
}

/* Pages of one level and all below it. `depth` 1: leaves. */
static int check_pages(struct verify *v, uint64_t number, unsigned depth, bool is_main, bool is_free)
{
	const struct page *p;
	const uint16_t *offset;
	unsigned n;
	int rc = get_page(v, number, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, &p);

	if (rc)
		return rc;
	n = (unsigned)(p->lower - sizeof(*p)) / sizeof(*offset);
	if (p->lower < sizeof(*p) || p->lower > p->upper || p->upper > v->page_size ||
	    n < (depth > 1 ? 2U : 1U))
		return damaged(v, number, "has another size than it says");
	offset = (const void *)(p + 1);
	for (unsigned i = 0; i < n && !rc; i++, offset++) {
		const struct node *node = (const void *)((const char *)p + *offset);

		if (*offset < p->upper || *offset % 2 || *offset + sizeof(*node) > v->page_size ||
		    *offset + sizeof(*node) + node->key_size > v->page_size)
			return damaged(v, number, "has an entry outside of it");
		rc = depth > 1 ? check_pages(v, node->low | (uint64_t)node->high << 16 |
						       (uint64_t)node->flags << 32,
					     depth - 1, is_main, is_free)
			       : check_data(v, number, node, is_main, is_free);
	}
	return rc;
}

static int check_tree(struct verify *v, const struct tree *tree, bool is_main, bool is_free)
{
	if (tree->root == NO_PAGE)
		return 0;
	if (!tree->depth || tree->depth > DEPTH_MAX)
		return damaged(v, tree->root, "is a tree of no depth");
	return check_pages(v, tree->root, tree->depth, is_main, is_free);
}

/* The header number 0 or 1; NULL if it is none. */
static const struct header *header_at(const struct verify *v, uint64_t offset)
{
	const struct header *h = (const void *)(v->map + offset);

	return offset + sizeof(*h) <= v->size && h->page.flags & PAGE_HEADER && h->magic == MAGIC &&
			       h->version == VERSION
		       ? h
		       : NULL;
}

/* Both are looked at; that of this transaction is returned, 0: the current one. */
static int find_header(struct verify *v, uint64_t transaction, struct header *ret)
{
	const struct header *one = header_at(v, 0), *two;
	uint64_t page_size = one ? one->free.page_size : 0;

	if (page_size < PAGE_MIN || page_size > PAGE_MAX || page_size & (page_size - 1))
		return damaged(v, 0, "is no header of LMDB's");
	two = header_at(v, page_size);
	if (!two)
		return damaged(v, 1, "is no header of LMDB's");
	if (!transaction)
		transaction = one->transaction > two->transaction ? one->transaction
								  : two->transaction;
	*ret = one->transaction == transaction ? *one : *two;
	v->page_size = page_size;
	v->last_page = ret->last_page;
	if (ret->transaction != transaction)
		return -EAGAIN;
	return 0;
}

static int check_mapped(struct verify *v, uint64_t transaction, bool whole)
{
	struct header h = {0};
	int rc = find_header(v, transaction, &h);

	if (rc || !whole)
		return rc;
	rc = check_tree(v, &h.free, false, true);
	return rc ? rc : check_tree(v, &h.main, true, false);
}

int verify_file(int fd, uint64_t transaction, bool whole, struct error *err)
{
	struct verify v = {.err = err};
	struct stat st;
	void *map;
	int rc;

	if (fstat(fd, &st))
		return error_set(err, errno, "%m");
	v.size = (uint64_t)st.st_size;
	if (!v.size)
		return error_set(err, EBADMSG, "it is empty");
	map = mmap(NULL, v.size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error_set(err, errno, "cannot map it: %m");
	v.map = map;
	rc = check_mapped(&v, transaction, whole);
	munmap(map, v.size);
	return rc;
}
