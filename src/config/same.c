/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a dock file that was read again about the same backend? */
#include <string.h>

#include "attachfs/cleanup.h"
#include "attachfs/conf.h"

/* What core alone goes by. All else may matter to a driver. */
static const char *const dock_keys[] = {"description", "type",	   "storageType", "nodeId",
					"endpoint",    "multiAttach", "multiattach", "pool",
					NULL};
static const char *const pool_keys[] = {"storageType",	      "availabilityZone",
					"multiAttach",	      "multiattach",
					"reservedPercentage", "maxOverSubscriptionRatio",
					"extras",	      NULL};

static bool is_one_of(const char *key, const char *const *keys)
{
	for (; key && *keys; keys++)
		if (!strcmp(key, *keys))
			return true;
	return false;
}

/* The next child that is not to be passed over. */
static const struct conf_node *skip(const struct conf_node *node, const char *const *keys)
{
	while (node && is_one_of(node->key, keys))
		node = node->next;
	return node;
}

/* Recursion is bounded by CONF_DEPTH_MAX. */
static bool same_children(const struct conf_node *a, const struct conf_node *b,
			  const char *const *ignored);

static bool same_node(const struct conf_node *a, const struct conf_node *b)
{
	static const char *const none[] = {NULL};

	return a->type == b->type && a->quoted == b->quoted && !a->value == !b->value &&
	       (!a->value || !strcmp(a->value, b->value)) && !a->key == !b->key &&
	       (!a->key || !strcmp(a->key, b->key)) && same_children(a, b, none);
}

static bool same_children(const struct conf_node *a, const struct conf_node *b,
			  const char *const *ignored)
{
	a = skip(a->child, ignored);
	b = skip(b->child, ignored);
	while (a && b && same_node(a, b)) {
		a = skip(a->next, ignored);
		b = skip(b->next, ignored);
	}
	return !a && !b;
}

static bool same_pool(const struct pool_conf *a, const struct pool_conf *b)
{
	return !strcmp(a->name, b->name) && a->thin == b->thin &&
	       same_children(a->node, b->node, pool_keys);
}

bool dock_conf_same_backend(const struct dock_conf *a, const struct dock_conf *b)
{
	if (strcmp(a->name, b->name) || strcmp(a->driver, b->driver) || a->n_pools != b->n_pools ||
	    !same_children(a->root, b->root, dock_keys))
		return false;
	for (size_t i = 0; i < a->n_pools; i++)
		if (!same_pool(&a->pools[i], &b->pools[i]))
			return false;
	return true;
}
