/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One dock file: the dock's own settings, its pools, and OpenSDS's names for both. */
#include "schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attachfs/cleanup.h"
#include "attachfs/limits.h"

#define POOLS_PER_DOCK_MAX 1024
/* GiB. 16 PiB of bytes times an over-subscription of 1000 still fits 64 bits. */
#define POOL_GIB_MAX (1 << 24)

#define UNUSED	    .offset = SETTING_UNUSED
#define DOCK(field) .offset = offsetof(struct dock_conf, field)
static const struct setting dock_settings[] = {
	{SETTING("name", setting_name), DOCK(name)},
	{SETTING("description", setting_line), DOCK(description)},
	{SETTING("driver", setting_name), DOCK(driver)},
	{SETTING("type", setting_line), DOCK(type)},
	{SETTING("storageType", setting_line), DOCK(storage_type)},
	{SETTING("nodeId", setting_line), DOCK(node_id)},
	{SETTING("endpoint", setting_line), DOCK(endpoint)},
	{SETTING("multiAttach", setting_bool), DOCK(multiattach)},
	{SETTING("multiattach", setting_bool), DOCK(multiattach)},
	{SETTING("pool", setting_map), UNUSED},
	/* Of OpenSDS's backend files: for drivers that want them. */
	{SETTING("tgtBindIp", setting_line), UNUSED},
	{SETTING("tgtConfDir", setting_line), UNUSED},
	{SETTING("enableChapAuth", setting_bool), UNUSED},
	{SETTING("configFile", setting_line), UNUSED},
	{SETTING("backendOptions", setting_map), UNUSED},
	{SETTING("authOptions", setting_map), UNUSED},
};

#define POOL(field) .offset = offsetof(struct pool_conf, field)
static const struct setting pool_settings[] = {
	{SETTING("storageType", setting_line), POOL(storage_type)},
	{SETTING("availabilityZone", setting_line), POOL(availability_zone)},
	{SETTING("path", setting_absolute), POOL(path)},
	{SETTING("totalCapacity", setting_gib), POOL(total_bytes), RANGE(0, POOL_GIB_MAX)},
	{SETTING("multiAttach", setting_bool), POOL(multiattach)},
	{SETTING("multiattach", setting_bool), POOL(multiattach)},
	{SETTING("reservedPercentage", setting_percent), POOL(reserved_percentage),
	 RANGE(0, 99)},
	{SETTING("maxOverSubscriptionRatio", setting_ratio), POOL(over_subscription),
	 RANGE(1, 1000)},
	{SETTING("extras", setting_map), POOL(extras)},
};

/* Both spellings are one setting, so together they are a duplicate key. */
static int refuse_two_spellings(const struct conf_node *map, struct error *err)
{
	const struct conf_node *a = conf_get(map, "multiAttach");
	const struct conf_node *b = conf_get(map, "multiattach");

	if (!a || !b)
		return 0;
	return conf_fail(b, err, "both multiAttach and multiattach, expected one of them");
}

static int read_thin(struct pool_conf *pool, struct error *err)
{
	const struct conf_node *storage = NULL;
	const char *policy = "Thin";
	int error = conf_map(pool->extras, "dataStorage", &storage, err);

	if (!error)
		error = conf_string(storage, "provisioningPolicy", &policy, err);
	if (error)
		return error;
	pool->thin = !strcasecmp(policy, "Thin");
	if (!pool->thin && strcasecmp(policy, "Thick"))
		return conf_fail(conf_get(storage, "provisioningPolicy"), err,
				 "provisioningPolicy: expected Thin or Thick");
	return 0;
}

static int read_pool(const struct conf_node *node, const struct dock_conf *dock,
		     const struct warnings *warnings, struct pool_conf *pool, struct error *err)
{
	const struct conf_node *map;
	int error;

	*pool = (struct pool_conf){
		.name = node->key,
		.storage_type = "block",
		.availability_zone = "default",
		.multiattach = dock->multiattach,
		.over_subscription = 20,
		.node = node,
	};
	if (!name_is_valid(node->key))
		return error_set(err, EINVAL, "%s:%u:%u: bad name of a pool, expected %s",
				 node->file, node->key_line, node->key_column, NAME_RULE);
	/* Refuses a text or a list; a pool with nothing below it has all defaults. */
	error = conf_map(conf_get(dock->root, "pool"), node->key, &map, err);
	if (!error)
		error = refuse_two_spellings(node, err);
	if (!error)
		error = settings_read(node, pool_settings, ARRAY_SIZE(pool_settings), NULL,
				      warnings, pool, err);
	if (!error)
		error = extras_check(pool->extras, warnings, err);
	return error ? error : read_thin(pool, err);
}

static int read_pools(struct dock_conf *dock, const struct warnings *warnings,
		      struct error *err)
{
	const struct conf_node *map = conf_get(dock->root, "pool");
	size_t n = 0;

	conf_each(node, map)
		if (++n > POOLS_PER_DOCK_MAX)
			return conf_fail(node, err, "too many pools, expected at most %d",
					 POOLS_PER_DOCK_MAX);
	dock->pools = n ? calloc(n, sizeof(*dock->pools)) : NULL;
	if (n && !dock->pools)
		return error_set(err, ENOMEM, "%s: out of memory", map->file);
	conf_each(node, map) {
		int error = read_pool(node, dock, warnings, &dock->pools[dock->n_pools], err);

		if (error)
			return error;
		dock->n_pools++;
	}
	return 0;
}

static void set_defaults(struct dock_conf *dock, const char *stem, const char *node_id)
{
	dock->name = stem;
	dock->driver = stem;
	dock->description = "";
	dock->type = "provisioner";
	dock->storage_type = "block";
	dock->node_id = node_id;
	dock->endpoint = "";
}

const struct conf_node *dock_conf_place(const struct dock_conf *dock)
{
	const struct conf_node *name = conf_get(dock->root, "name");

	return name ? name : dock->root;
}

/* What the file's name gives by default, if the file itself gives nothing. */
static int check_stem(const struct dock_conf *dock, const char *stem, struct error *err)
{
	if (name_is_valid(stem) || (dock->name != stem && dock->driver != stem))
		return 0;
	return conf_fail(dock->root, err,
			 "the file's name is no valid name of a dock and its driver, expected "
			 "`name` and `driver` in the file, or %s",
			 NAME_RULE);
}

int dock_conf_read(struct dock_conf *dock, const char *path, const char *stem,
		   const char *node_id, const struct warnings *warnings, struct error *err)
{
	struct conf_node *root;
	const char *section = stem;
	int error = conf_parse_file(path, &root, err);

	if (error)
		return error;
	dock->root = root;
	if (root->type != CONF_MAP)
		return conf_fail(root, err, "expected KEY: VALUE lines that describe a dock");
	set_defaults(dock, stem, node_id);
	/* Known before the walk, because the section may stand above `driver`. */
	error = conf_string(root, "driver", &section, err);
	if (!error)
		error = refuse_two_spellings(root, err);
	if (!error)
		error = settings_read(root, dock_settings, ARRAY_SIZE(dock_settings), section,
				      warnings, dock, err);
	if (!error)
		error = check_stem(dock, stem, err);
	return error ? error : read_pools(dock, warnings, err);
}

void dock_conf_clear(struct dock_conf *dock)
{
	free(dock->pools);
	conf_free((struct conf_node *)dock->root);
	*dock = (struct dock_conf){0};
}
