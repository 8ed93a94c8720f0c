/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads the whole configuration: the main file, then every file of the docks folder. */
#include "schema.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/cleanup.h"
#include "attachfs/limits.h"

#define MAP_BYTES_MIN (1ULL << 24)
#define MAP_BYTES_MAX (1ULL << 40)
/* Seconds. */
#define TIMEOUT_MIN 0.1
#define TIMEOUT_MAX 3600

/* What a configuration owns besides its docks: the main file's tree and the texts we made. */
struct owned {
	atomic_uint owners;
	struct conf_node *main;
	struct owned_text {
		struct owned_text *next;
		char *text;
	} *texts;
};

#define CONF(field) .offset = offsetof(struct conf, field)
static const struct setting main_settings[] = {
	{SETTING("state", setting_absolute), CONF(state)},
	{SETTING("docks", setting_folder), CONF(docks_dir)},
	{SETTING("mapSize", setting_bytes), CONF(map_size), RANGE(MAP_BYTES_MIN, MAP_BYTES_MAX)},
	{SETTING("attachTimeout", setting_seconds), CONF(attach_timeout_ms),
	 RANGE(TIMEOUT_MIN, TIMEOUT_MAX)},
	{SETTING("detachTimeout", setting_seconds), CONF(detach_timeout_ms),
	 RANGE(TIMEOUT_MIN, TIMEOUT_MAX)},
};

static int no_memory(const char *path, struct error *err)
{
	return error_set(err, ENOMEM, "%s: out of memory", path);
}

/* Takes `text` (NULL: an allocation that failed) and frees it with the configuration. */
static const char *keep(struct conf *conf, char *text)
{
	struct owned *owned = conf->private_;
	struct owned_text *entry = text ? malloc(sizeof(*entry)) : NULL;

	if (!entry) {
		free(text);
		return NULL;
	}
	*entry = (struct owned_text){.next = owned->texts, .text = text};
	owned->texts = entry;
	return text;
}

static char *join(const char *folder, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* The folder itself is resolved, not the file: a linked file keeps its docks beside the link. */
static int find_folder(const char *path, char **ret_folder, struct error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *named = slash ? strndup(path, (size_t)(slash - path) + 1)
					   : strdup(".");
	char *folder = named ? realpath(named, NULL) : NULL;

	if (!folder)
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	*ret_folder = folder;
	return 0;
}

static int read_main(struct conf *conf, const char *path, const struct warnings *warnings,
		     struct error *err)
{
	struct owned *owned = conf->private_;
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder = NULL;
	int error = conf_parse_file(path, &owned->main, err);

	if (error)
		return error;
	if (owned->main->type != CONF_MAP)
		return conf_fail(owned->main, err, "expected KEY: VALUE lines");
	error = find_folder(path, &folder, err);
	if (!error)
		error = settings_read(owned->main, main_settings, ARRAY_SIZE(main_settings), NULL,
				      warnings, conf, err);
	if (error)
		return error;
	conf->file = keep(conf, join(folder, slash ? slash + 1 : path));
	if (*conf->docks_dir != '/')
		conf->docks_dir = keep(conf, join(folder, conf->docks_dir));
	return conf->file && conf->docks_dir ? 0 : no_memory(path, err);
}

static size_t stem_length(const char *name)
{
	struct text t = text_of(name);

	if (text_ends(t, ".yaml"))
		return t.n - 5;
	return text_ends(t, ".yml") ? t.n - 4 : 0;
}

/* Hidden files are what editors leave behind. */
static int is_dock_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && stem_length(entry->d_name) > 0;
}

/* By bytes, unlike alphasort(): the order must not hang on the locale. */
static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dock(struct conf *conf, const char *name, const char *node_id,
		     const struct warnings *warnings, struct error *err)
{
	_cleanup_free_ char *path = join(conf->docks_dir, name);
	const char *stem = keep(conf, strndup(name, stem_length(name)));

	if (!path || !stem)
		return no_memory(name, err);
	return dock_conf_read(&conf->docks[conf->n_docks++], path, stem, node_id, warnings, err);
}

static const char *host_name(struct conf *conf)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) || !*name || !text_is_line(text_of(name)))
		return "localhost";
	return keep(conf, strdup(name));
}

static int read_entries(struct conf *conf, struct dirent **entries, size_t n,
			const struct warnings *warnings, struct error *err)
{
	const char *node_id = host_name(conf);
	int error = 0;

	if (n > CONF_DOCKS_MAX)
		return error_set(err, EINVAL, "%s: %zu dock files, expected at most %d",
				 conf->docks_dir, n, CONF_DOCKS_MAX);
	conf->docks = calloc(n + 1, sizeof(*conf->docks));
	if (!conf->docks || !node_id)
		return no_memory(conf->docks_dir, err);
	for (size_t i = 0; i < n && !error; i++)
		error = read_dock(conf, entries[i]->d_name, node_id, warnings, err);
	return error;
}

static int read_docks(struct conf *conf, const struct warnings *warnings, struct error *err)
{
	const struct owned *owned = conf->private_;
	const struct conf_node *place = conf_get(owned->main, "docks");
	struct dirent **entries;
	int n = scandir(conf->docks_dir, &entries, is_dock_file, compare_entries);
	int error;

	if (n < 0 && errno == ENOMEM)
		return no_memory(conf->docks_dir, err);
	if (n < 0)
		return conf_fail(place ? place : owned->main, err,
				 "docks: %s: %s, expected a folder of YAML files",
				 conf->docks_dir, strerror(errno));
	error = read_entries(conf, entries, (size_t)n, warnings, err);
	while (n > 0)
		free(entries[--n]);
	free(entries);
	return error;
}

/* Equal names keep the order of their files. */
static int compare_docks(const void *a, const void *b)
{
	const struct dock_conf *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->root->file, y->root->file);
}

static int sort_docks(struct conf *conf, struct error *err)
{
	qsort(conf->docks, conf->n_docks, sizeof(*conf->docks), compare_docks);
	for (size_t i = 1; i < conf->n_docks; i++) {
		const struct conf_node *first = dock_conf_place(&conf->docks[i - 1]);

		if (strcmp(conf->docks[i - 1].name, conf->docks[i].name))
			continue;
		return conf_fail(dock_conf_place(&conf->docks[i]), err,
				 "a second dock named %s, expected another name: the first is at "
				 "%s:%u:%u",
				 conf->docks[i].name, first->file, first->line, first->column);
	}
	return 0;
}

int conf_load(const char *path, conf_warn_fn *warn, void *arg, struct conf **ret,
	      struct error *err)
{
	const struct warnings warnings = {warn, arg};
	struct conf *conf = calloc(1, sizeof(*conf));
	int error;

	if (!conf)
		return no_memory(path, err);
	*conf = (struct conf){
		.state = "/var/lib/attachfs",
		.docks_dir = "docks.d",
		.map_size = 1ULL << 30,
		.attach_timeout_ms = 30000,
		.detach_timeout_ms = 5000,
		.private_ = calloc(1, sizeof(struct owned)),
	};
	error = conf->private_ ? read_main(conf, path, &warnings, err) : no_memory(path, err);
	if (!error)
		error = read_docks(conf, &warnings, err);
	if (!error)
		error = sort_docks(conf, err);
	if (error)
		conf_unload(conf);
	else
		*ret = conf;
	return error;
}

struct conf *conf_hold(const struct conf *conf)
{
	struct owned *owned = conf->private_;

	owned->owners++;
	return (struct conf *)conf;
}

void conf_unload(struct conf *conf)
{
	struct owned *owned = conf ? conf->private_ : NULL;

	if (!conf || (owned && owned->owners--))
		return;
	for (size_t i = 0; i < conf->n_docks; i++)
		dock_conf_clear(&conf->docks[i]);
	free(conf->docks);
	while (owned && owned->texts) {
		struct owned_text *entry = owned->texts;

		owned->texts = entry->next;
		free(entry->text);
		free(entry);
	}
	if (owned)
		conf_free(owned->main);
	free(owned);
	free(conf);
}
