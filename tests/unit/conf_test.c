/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of loading a configuration: every key good and bad, every bound, every kind of file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attachfs/buf.h"
#include "attachfs/cleanup.h"
#include "attachfs/conf.h"
#include "attachfs/limits.h"

/* ---- helpers ---- */

static void add_many(struct buf *b, const char *s, unsigned times)
{
	while (times--)
		buf_str(b, s);
}

/* A folder with main.yaml and docks.d/, of which each test writes what it needs. */
struct folder {
	char path[64];
};

static int folder_new(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	char docks[96];

	assert_non_null(f);
	strncpy(f->path, "/tmp/conf_test.XXXXXX", sizeof(f->path) - 1);
	assert_non_null(mkdtemp(f->path));
	snprintf(docks, sizeof(docks), "%s/docks.d", f->path);
	assert_int_equal(mkdir(docks, 0700), 0);
	*state = f;
	return 0;
}

static void empty_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0))
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static int folder_free(void **state)
{
	struct folder *f = *state;
	char docks[96];

	snprintf(docks, sizeof(docks), "%s/docks.d", f->path);
	empty_folder(docks);
	empty_folder(f->path);
	rmdir(f->path);
	free(f);
	return 0;
}

static const char *path_of(const struct folder *f, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	return path;
}

static void put_file(const struct folder *f, const char *name, const char *text)
{
	int fd = open(path_of(f, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void keep_line(void *arg, const char *line)
{
	buf_printf(arg, "%s\n", line);
}

/* Loads main.yaml; the warnings are compared without the folder's path. */
static struct conf *load_ok(const struct folder *f, const char *warnings)
{
	struct conf *conf = NULL;
	struct error err = {0};
	BUF_AUTO(lines);
	BUF_AUTO(plain);
	const char *at;

	if (conf_load(path_of(f, "main.yaml"), keep_line, &lines, &conf, &err))
		fail_msg("refused: %s", err.text);
	buf_str(&plain, "");
	for (const char *p = lines.data; p && *p; p = strchr(p, '\n') + 1) {
		at = strncmp(p, f->path, strlen(f->path)) ? p : p + strlen(f->path) + 1;
		buf_add(&plain, at, (size_t)(strchr(at, '\n') + 1 - at));
	}
	assert_string_equal(plain.data, warnings);
	return conf;
}

/* `expected` is the beginning, without the folder's path. */
static void load_fails(const struct folder *f, int code, const char *expected)
{
	struct conf *const untouched = (struct conf *)&untouched;
	struct conf *conf = untouched;
	struct error err = {0};
	BUF_AUTO(full);

	buf_printf(&full, "%s/%s", f->path, expected);
	assert_int_equal(conf_load(path_of(f, "main.yaml"), NULL, NULL, &conf, &err), -code);
	assert_int_equal(err.code, code);
	assert_ptr_equal(conf, untouched);
	if (strncmp(err.text, full.data, full.len))
		fail_msg("expected \"%s\", got \"%s\"", full.data, err.text);
}

/* ---- files ---- */

static void test_files(void **state)
{
	static const struct {
		const char *name;
		int code;
		const char *error;
	} cases[] = {
		{"missing", ENOENT, ": No such file or directory"},
		{"docks.d", EINVAL, ": not a regular file"},
		{"fifo", EINVAL, ": not a regular file"},
		{"dangling", ENOENT, ": No such file or directory"},
		{"loop", ELOOP, ": Too many levels of symbolic links"},
		{"long", EINVAL, ":1:1: the file is too long"},
		{"bad", EINVAL, ":1:5: mapping values"},
	};
	struct folder *f = *state;
	struct conf_node *root = NULL;
	struct error err = {0};
	BUF_AUTO(b);

	add_many(&b, "#", CONF_FILE_BYTES_MAX);
	put_file(f, "full", b.data);
	buf_str(&b, "#");
	put_file(f, "long", b.data);
	put_file(f, "bad", "a: b: c\n");
	assert_int_equal(mkfifo(path_of(f, "fifo"), 0600), 0);
	assert_int_equal(symlink("nowhere", path_of(f, "dangling")), 0);
	assert_int_equal(symlink("loop", path_of(f, "loop")), 0);
	assert_int_equal(symlink("full", path_of(f, "link")), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = path_of(f, cases[i].name);

		assert_int_equal(conf_parse_file(path, &root, &err), -cases[i].code);
		assert_null(root);
		assert_memory_equal(err.text, path, strlen(path));
		assert_memory_equal(err.text + strlen(path), cases[i].error,
				    strlen(cases[i].error));
	}
	assert_int_equal(conf_parse_file(path_of(f, "full"), &root, &err), 0);
	conf_free(root);
	assert_int_equal(conf_parse_file(path_of(f, "link"), &root, &err), 0);
	assert_string_equal(root->file, path_of(f, "link"));
	conf_free(root);
}

/* ---- the schema ---- */

static void test_defaults(void **state)
{
	struct folder *f = *state;
	struct conf *conf;
	const struct dock_conf *dock;
	const struct pool_conf *pool;
	char host[256] = "";

	put_file(f, "main.yaml", "");
	put_file(f, "docks.d/lvm.yaml", "pool: {p: }\n");
	conf = load_ok(f, "");
	assert_string_equal(conf->file, path_of(f, "main.yaml"));
	assert_string_equal(conf->state, "/var/lib/attachfs");
	assert_string_equal(conf->docks_dir, path_of(f, "docks.d"));
	assert_true(conf->map_size == 1ULL << 30);
	assert_int_equal(conf->attach_timeout_ms, 30000);
	assert_int_equal(conf->detach_timeout_ms, 5000);
	assert_int_equal(conf->n_docks, 1);
	dock = &conf->docks[0];
	gethostname(host, sizeof(host) - 1);
	assert_string_equal(dock->name, "lvm");
	assert_string_equal(dock->driver, "lvm");
	assert_string_equal(dock->description, "");
	assert_string_equal(dock->type, "provisioner");
	assert_string_equal(dock->storage_type, "block");
	assert_string_equal(dock->node_id, host);
	assert_string_equal(dock->endpoint, "");
	assert_false(dock->multiattach);
	assert_int_equal(dock->n_pools, 1);
	pool = &dock->pools[0];
	assert_string_equal(pool->name, "p");
	assert_string_equal(pool->storage_type, "block");
	assert_string_equal(pool->availability_zone, "default");
	assert_null(pool->path);
	assert_true(pool->total_bytes == 0);
	assert_false(pool->multiattach);
	assert_true(pool->thin);
	assert_int_equal(pool->reserved_percentage, 0);
	assert_true(pool->over_subscription == 20);
	assert_null(pool->extras);
	assert_null(conf_get(pool->node, "any"));
	conf_unload(conf);
	conf_unload(NULL);
}

static void test_everything_set(void **state)
{
	struct folder *f = *state;
	struct conf *conf;
	const struct dock_conf *dock;
	const struct pool_conf *pool;

	put_file(f, "main.yaml",
		 "state: /s\ndocks: ./docks.d\nmapSize: 512M\nattachTimeout: 0.5\n"
		 "detachTimeout: 7\n");
	put_file(f, "docks.d/x.yml",
		 "tgt: {any: 1}\n"
		 "name: ssd\ndescription: SSD shelf\ndriver: tgt\ntype: attacher\n"
		 "storageType: file\nnodeId: node1\nendpoint: 192.0.2.1:50050\n"
		 "multiAttach: true\n"
		 "pool:\n"
		 "  fast: {storageType: object, availabilityZone: az1, path: /fast,\n"
		 "    totalCapacity: 100, reservedPercentage: 10,\n"
		 "    maxOverSubscriptionRatio: 1.5,\n"
		 "    extras: {dataStorage: {provisioningPolicy: THICK}}}\n"
		 "  slow: {multiattach: false}\n");
	conf = load_ok(f, "");
	assert_string_equal(conf->state, "/s");
	assert_true(conf->map_size == 512ULL << 20);
	assert_int_equal(conf->attach_timeout_ms, 500);
	assert_int_equal(conf->detach_timeout_ms, 7000);
	dock = &conf->docks[0];
	assert_string_equal(dock->name, "ssd");
	assert_string_equal(dock->description, "SSD shelf");
	assert_string_equal(dock->driver, "tgt");
	assert_string_equal(dock->type, "attacher");
	assert_string_equal(dock->storage_type, "file");
	assert_string_equal(dock->node_id, "node1");
	assert_string_equal(dock->endpoint, "192.0.2.1:50050");
	assert_true(dock->multiattach);
	assert_string_equal(conf_get(conf_get(dock->root, "tgt"), "any")->value, "1");
	assert_int_equal(dock->n_pools, 2);
	pool = &dock->pools[0];
	assert_string_equal(pool->name, "fast");
	assert_string_equal(pool->storage_type, "object");
	assert_string_equal(pool->availability_zone, "az1");
	assert_string_equal(pool->path, "/fast");
	assert_true(pool->total_bytes == 100ULL << 30);
	assert_int_equal(pool->reserved_percentage, 10);
	assert_true(pool->over_subscription == 1.5);
	assert_false(pool->thin);
	assert_non_null(pool->extras);
	/* The dock's default, and a pool that says otherwise. */
	assert_true(pool->multiattach);
	assert_false(dock->pools[1].multiattach);
	conf_unload(conf);
}

static void test_bad_main(void **state)
{
	static const struct {
		const char *text, *error; /* NULL: accepted */
	} cases[] = {
		{"state: var\n", ":1:8: state: bad path, expected an absolute one"},
		{"state: ''\n", ":1:8: state: bad path"},
		{"state: [a]\n", ":1:8: state: expected a text, not a list"},
		{"docks: ''\n", ":1:8: docks: bad path"},
		{"docks: {}\n", ":1:8: docks: expected a text, not a map"},
		{"\ndocks: none.d\n", ":2:8: docks: "},
		{"docks: main.yaml\n", ":1:8: docks: "},
		{"mapSize: 16M\n", NULL},
		{"mapSize: 16777216\n", NULL},
		{"mapSize: 16777215\n", ":1:10: mapSize: bad size"},
		{"mapSize: 16777217\n", ":1:10: mapSize: bad size"},
		{"mapSize: 15M\n", ":1:10: mapSize: bad size, expected bytes, or a number with K, "
				   "M, G or T, from 16M to 1024G"},
		{"mapSize: 16384k\n", NULL},
		{"mapSize: '1g'\n", NULL},
		{"mapSize: 1T\n", NULL},
		{"mapSize: 2T\n", ":1:10: mapSize: bad size"},
		{"mapSize: 16777216T\n", ":1:10: mapSize: bad size"},
		{"mapSize: G\n", ":1:10: mapSize: bad size"},
		{"mapSize: 1GB\n", ":1:10: mapSize: bad size"},
		{"mapSize: 1.5G\n", ":1:10: mapSize: bad size"},
		{"mapSize: [1]\n", ":1:10: mapSize: expected a text, not a list"},
		{"attachTimeout: 0.1\n", NULL},
		{"attachTimeout: 3600\n", NULL},
		{"attachTimeout: 0.09\n", ":1:16: attachTimeout: expected a number from 0.1 to 3600, "
					  "not 0.09"},
		{"attachTimeout: 3600.1\n", ":1:16: attachTimeout: expected a number"},
		{"attachTimeout: 30s\n", ":1:16: attachTimeout: expected a number"},
		{"detachTimeout: 3600\n", NULL},
		{"detachTimeout: 0\n", ":1:16: detachTimeout: expected a number"},
		{"[a]\n", ":1:1: expected KEY: VALUE lines"},
		{"word\n", ":1:1: expected KEY: VALUE lines"},
		{"state: /a\nstate: /b\n", ":2:1: duplicate key state"},
	};
	struct folder *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[256];

		put_file(f, "main.yaml", cases[i].text);
		snprintf(expected, sizeof(expected), "main.yaml%s",
			 cases[i].error ? cases[i].error : "");
		if (cases[i].error)
			load_fails(f, EINVAL, expected);
		else
			conf_unload(load_ok(f, ""));
	}
	unlink(path_of(f, "main.yaml"));
	load_fails(f, ENOENT, "main.yaml: No such file or directory");
}

static void test_dock_keys(void **state)
{
	static const struct {
		const char *text, *error; /* NULL: accepted */
	} cases[] = {
		{"name: a.B_c-9\n", NULL},
		{"name: a b\n", ":1:7: name: bad name, expected 1 to 63 of"},
		{"name: -a\n", ":1:7: name: bad name"},
		{"name: ''\n", ":1:7: name: bad name"},
		{"name: [a]\n", ":1:7: name: expected a text, not a list"},
		{"description: {}\n", ":1:14: description: expected a text"},
		{"description: |\n  a\n  b\n", ":1:14: description: expected one line"},
		{"driver: a/b\n", ":1:9: driver: bad name"},
		{"driver: [tgt]\n", ":1:9: driver: expected a text"},
		{"type: []\n", ":1:7: type: expected a text"},
		{"storageType: []\n", ":1:14: storageType: expected a text"},
		{"nodeId: []\n", ":1:9: nodeId: expected a text"},
		{"endpoint: []\n", ":1:11: endpoint: expected a text"},
		{"multiAttach: 'true'\n", ":1:14: multiAttach: expected true or false"},
		{"multiattach: maybe\n", ":1:14: multiattach: expected true or false"},
		{"multiattach: yes\n", NULL},
		{"multiAttach: true\nmultiattach: true\n",
		 ":2:14: both multiAttach and multiattach"},
		{"pool: []\n", ":1:7: pool: expected a map, not a list"},
		{"pool: p\n", ":1:7: pool: expected a map, not a text"},
		{"pool:\n", NULL},
		{"tgtBindIp: 192.0.2.1\ntgtConfDir: /x\nenableChapAuth: true\nconfigFile: /y\n"
		 "backendOptions: {a: 1}\nauthOptions: {b: {c: 1}}\n",
		 NULL},
		{"tgtBindIp: []\n", ":1:12: tgtBindIp: expected a text"},
		{"tgtConfDir: []\n", ":1:13: tgtConfDir: expected a text"},
		{"enableChapAuth: maybe\n", ":1:17: enableChapAuth: expected true or false"},
		{"configFile: {}\n", ":1:13: configFile: expected a text"},
		{"backendOptions: a\n", ":1:17: backendOptions: expected a map"},
		{"authOptions: [a]\n", ":1:14: authOptions: expected a map"},
		{"driver: tgt\ntgt: [whatever]\n", NULL},
		{"d: {the driver's: section}\n", NULL},
		{"[a]\n", ":1:1: expected KEY: VALUE lines that describe a dock"},
	};
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[256];

		put_file(f, "docks.d/d.yaml", cases[i].text);
		snprintf(expected, sizeof(expected), "docks.d/d.yaml%s",
			 cases[i].error ? cases[i].error : "");
		if (cases[i].error)
			load_fails(f, EINVAL, expected);
		else
			conf_unload(load_ok(f, ""));
	}
}

static void test_pool_keys(void **state)
{
	/* Values begin at column 4 + the key's length + 2. */
	static const struct {
		const char *text, *error; /* NULL: accepted */
	} cases[] = {
		{"storageType: []", ":3:14: storageType: expected a text"},
		{"availabilityZone: {}", ":3:19: availabilityZone: expected a text"},
		{"path: /a/b", NULL},
		{"path: a/b", ":3:7: path: bad path, expected an absolute one"},
		{"path: ''", ":3:7: path: bad path"},
		{"path: [a]", ":3:7: path: expected a text"},
		{"totalCapacity: 0", NULL},
		{"totalCapacity: 16777216", NULL},
		{"totalCapacity: 16777217",
		 ":3:16: totalCapacity: expected a whole number from 0 to 16777216, not 16777217"},
		{"totalCapacity: 1.5", ":3:16: totalCapacity: expected a whole number"},
		{"totalCapacity: 10G", ":3:16: totalCapacity: expected a whole number"},
		{"multiAttach: maybe", ":3:14: multiAttach: expected true or false"},
		{"multiattach: '1'", ":3:14: multiattach: expected true or false"},
		{"reservedPercentage: 0", NULL},
		{"reservedPercentage: 99", NULL},
		{"reservedPercentage: 100",
		 ":3:21: reservedPercentage: expected a whole number from 0 to 99, not 100"},
		{"maxOverSubscriptionRatio: 1", NULL},
		{"maxOverSubscriptionRatio: 1000", NULL},
		{"maxOverSubscriptionRatio: 0.9",
		 ":3:27: maxOverSubscriptionRatio: expected a number from 1 to 1000, not 0.9"},
		{"maxOverSubscriptionRatio: 1000.5",
		 ":3:27: maxOverSubscriptionRatio: expected a number"},
		{"extras: [a]", ":3:9: extras: expected a map"},
		{"extras: a", ":3:9: extras: expected a map"},
		{"extras:", NULL},
		{"extras: {dataStorage: a}", ":3:23: dataStorage: expected a map"},
		{"extras: {dataStorage: {provisioningPolicy: thin}}", NULL},
		{"extras: {dataStorage: {provisioningPolicy: 'Thick'}}", NULL},
		{"extras: {dataStorage: {provisioningPolicy: thinn}}",
		 ":3:44: provisioningPolicy: expected Thin or Thick"},
		{"extras: {dataStorage: {provisioningPolicy: [a]}}",
		 ":3:44: provisioningPolicy: expected a text"},
		{"extras: {a: \"x\\ny\"}", ":3:13: bad value, expected one line"},
		{"extras: {a: {b: [c, \"x\\ny\"]}}", ":3:21: bad value, expected one line"},
	};
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256], expected[256];

		/* Top-level columns: a flow map whose lines need no indent. */
		snprintf(text, sizeof(text), "pool: {\np: {\n%s\n}}\n", cases[i].text);
		put_file(f, "docks.d/d.yaml", text);
		snprintf(expected, sizeof(expected), "docks.d/d.yaml%s",
			 cases[i].error ? cases[i].error : "");
		if (cases[i].error)
			load_fails(f, EINVAL, expected);
		else
			conf_unload(load_ok(f, ""));
	}
	put_file(f, "docks.d/d.yaml", "pool:\n  p: {multiattach: on,\n    multiAttach: on}\n");
	load_fails(f, EINVAL, "docks.d/d.yaml:2:20: both multiAttach and multiattach");
	put_file(f, "docks.d/d.yaml", "pool:\n  p q: {}\n");
	load_fails(f, EINVAL, "docks.d/d.yaml:2:3: bad name of a pool, expected 1 to 63 of");
	put_file(f, "docks.d/d.yaml", "pool:\n  p: []\n");
	load_fails(f, EINVAL, "docks.d/d.yaml:2:6: p: expected a map, not a list");
	put_file(f, "docks.d/d.yaml", "pool:\n  p: {}\n  p: {}\n");
	load_fails(f, EINVAL, "docks.d/d.yaml:3:3: duplicate key p, first at 2:3");
}

static void test_warnings(void **state)
{
	struct folder *f = *state;

	put_file(f, "main.yaml", "State: /s\nnobody: 1\n");
	put_file(f, "docks.d/lvm.yaml",
		 "tgt: {a: 1}\n"
		 "pools: {p: }\n"
		 "pool:\n"
		 "  p:\n"
		 "    diskType: SSD\n"
		 "    storagetype: block\n"
		 "    extras:\n"
		 "      a b: 1\n"
		 "      tiers: [hot, [cold]]\n");
	conf_unload(load_ok(f, "main.yaml:1:1: unknown key State, ignored (did you mean state?)\n"
			       "main.yaml:2:1: unknown key nobody, ignored\n"
			       "docks.d/lvm.yaml:1:1: unknown key tgt, ignored\n"
			       "docks.d/lvm.yaml:2:1: unknown key pools, ignored\n"
			       "docks.d/lvm.yaml:5:5: unknown key diskType, ignored\n"
			       "docks.d/lvm.yaml:6:5: unknown key storagetype, ignored (did you "
			       "mean storageType?)\n"
			       "docks.d/lvm.yaml:8:7: bad name of a capability a b, ignored\n"
			       "docks.d/lvm.yaml:9:20: a map or list in a list of capabilities, "
			       "ignored\n"));
}

/* ---- bounds of the schema ---- */

static void test_name_length(void **state)
{
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	for (unsigned extra = 0; extra < 2; extra++) {
		BUF_AUTO(name);
		BUF_AUTO(pool);

		buf_str(&name, "name: ");
		add_many(&name, "n", NAME_BYTES_MAX + extra);
		put_file(f, "docks.d/d.yaml", name.data);
		if (extra)
			load_fails(f, EINVAL, "docks.d/d.yaml:1:7: name: bad name");
		else
			conf_unload(load_ok(f, ""));
		buf_str(&pool, "pool:\n ");
		add_many(&pool, "p", NAME_BYTES_MAX + extra);
		buf_str(&pool, ": {}\n");
		put_file(f, "docks.d/d.yaml", pool.data);
		if (extra)
			load_fails(f, EINVAL, "docks.d/d.yaml:2:2: bad name of a pool");
		else
			conf_unload(load_ok(f, ""));
	}
}

/* The file's name counts only where it is used. */
static void test_file_names(void **state)
{
	struct folder *f = *state;
	struct conf *conf;

	put_file(f, "main.yaml", "");
	put_file(f, "docks.d/my disk.yaml", "driver: tgt\n");
	load_fails(f, EINVAL, "docks.d/my disk.yaml:1:1: the file's name is no valid name");
	put_file(f, "docks.d/my disk.yaml", "name: d\n");
	load_fails(f, EINVAL, "docks.d/my disk.yaml:1:1: the file's name is no valid name");
	put_file(f, "docks.d/my disk.yaml", "name: d\ndriver: tgt\n");
	put_file(f, "docks.d/.hidden.yaml", "a: [\n");
	put_file(f, "docks.d/.yaml", "a: [\n");
	put_file(f, "docks.d/notes.txt", "a: [\n");
	put_file(f, "docks.d/x.yaml~", "a: [\n");
	conf = load_ok(f, "");
	assert_int_equal(conf->n_docks, 1);
	assert_string_equal(conf->docks[0].name, "d");
	conf_unload(conf);
}

static void test_pool_count(void **state)
{
	struct folder *f = *state;
	BUF_AUTO(b);

	put_file(f, "main.yaml", "");
	buf_str(&b, "pool:\n");
	for (unsigned i = 0; i < 1024; i++)
		buf_printf(&b, " p%u: {}\n", i);
	put_file(f, "docks.d/d.yaml", b.data);
	conf_unload(load_ok(f, ""));
	buf_str(&b, " q: {}\n");
	put_file(f, "docks.d/d.yaml", b.data);
	load_fails(f, EINVAL, "docks.d/d.yaml:1026:5: too many pools, expected at most 1024");
}

static void test_dock_count(void **state)
{
	struct folder *f = *state;
	struct conf *conf;
	char name[64];

	put_file(f, "main.yaml", "");
	for (unsigned i = 0; i < CONF_DOCKS_MAX; i++) {
		snprintf(name, sizeof(name), "docks.d/d%u.yaml", i);
		put_file(f, name, "");
	}
	conf = load_ok(f, "");
	assert_int_equal(conf->n_docks, CONF_DOCKS_MAX);
	for (size_t i = 1; i < conf->n_docks; i++)
		assert_true(strcmp(conf->docks[i - 1].name, conf->docks[i].name) < 0);
	conf_unload(conf);
	put_file(f, "docks.d/one_more.yml", "");
	load_fails(f, EINVAL, "docks.d: 1025 dock files, expected at most 1024");
}

static void test_capabilities_together(void **state)
{
	struct folder *f = *state;
	BUF_AUTO(all);

	put_file(f, "main.yaml", "");
	buf_str(&all, "pool: {p: {extras: {\n");
	for (unsigned i = 0; i < CAPABILITIES_BYTES_MAX / VALUE_BYTES_MAX + 1; i++) {
		buf_printf(&all, "k%u: ", i);
		add_many(&all, "v", VALUE_BYTES_MAX - 10);
		buf_str(&all, ",\n");
	}
	buf_str(&all, "}}}\n");
	put_file(f, "docks.d/d.yaml", all.data);
	load_fails(f, EINVAL, "docks.d/d.yaml:14:6: too many capabilities");
}

static void test_extras_bounds(void **state)
{
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	for (unsigned extra = 0; extra < 2; extra++) {
		BUF_AUTO(many);
		BUF_AUTO(lengthy);
		BUF_AUTO(list);
		BUF_AUTO(name);
		BUF_AUTO(warning);

		buf_str(&many, "pool: {p: {extras: {\n");
		for (unsigned i = 0; i < KEYS_PER_DIRECTORY_MAX + extra; i++)
			buf_printf(&many, "k%u: 1,\n", i);
		buf_str(&many, "}}}\n");
		put_file(f, "docks.d/d.yaml", many.data);
		if (extra)
			load_fails(f, EINVAL, "docks.d/d.yaml:258:7: too many capabilities");
		else
			conf_unload(load_ok(f, ""));

		buf_str(&lengthy, "pool: {p: {extras: {\nk: ");
		add_many(&lengthy, "v", VALUE_BYTES_MAX + extra);
		buf_str(&lengthy, "}}}\n");
		put_file(f, "docks.d/d.yaml", lengthy.data);
		if (extra)
			load_fails(f, EINVAL, "docks.d/d.yaml:2:4: bad value, expected one line of "
					      "at most 4096 bytes");
		else
			conf_unload(load_ok(f, ""));

		/* 2048 elements of one byte and their commas. */
		buf_str(&list, "pool: {p: {extras: {\nk: [");
		add_many(&list, "v,", VALUE_BYTES_MAX / 2 + extra);
		buf_str(&list, "]}}}\n");
		put_file(f, "docks.d/d.yaml", list.data);
		if (extra)
			load_fails(f, EINVAL, "docks.d/d.yaml:2:4: the list is too long");
		else
			conf_unload(load_ok(f, ""));

		/* a.kkk…: the dotted name counts. */
		buf_str(&name, "pool: {p: {extras: {a: {\n");
		add_many(&name, "k", NAME_BYTES_MAX - 2 + extra);
		buf_str(&name, ": 1}}}}\n");
		put_file(f, "docks.d/d.yaml", name.data);
		if (extra)
			buf_str(&warning, "docks.d/d.yaml:2:1: bad name of a capability ");
		add_many(&warning, "k", extra ? NAME_BYTES_MAX - 1 : 0);
		buf_str(&warning, extra ? ", ignored\n" : "");
		conf_unload(load_ok(f, warning.len ? warning.data : ""));
	}
}

/* ---- the docks folder ---- */

static void test_folder(void **state)
{
	struct folder *f = *state;
	struct conf *conf;
	char cwd[PATH_MAX];

	put_file(f, "main.yaml", "");
	put_file(f, "docks.d/b.yaml", "name: one\n");
	put_file(f, "docks.d/a.yml", "name: two\n");
	put_file(f, "c.text", "name: three\n");
	assert_int_equal(symlink("../c.text", path_of(f, "docks.d/c.yaml")), 0);
	conf = load_ok(f, "");
	assert_int_equal(conf->n_docks, 3);
	assert_string_equal(conf->docks[0].name, "one");
	assert_string_equal(conf->docks[1].name, "three");
	assert_string_equal(conf->docks[2].name, "two");
	assert_string_equal(conf->docks[1].driver, "c");
	conf_unload(conf);

	/* Named without a folder: the paths that are kept are absolute all the same. */
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(f->path), 0);
	assert_int_equal(conf_load("main.yaml", NULL, NULL, &conf, NULL), 0);
	assert_int_equal(chdir(cwd), 0);
	assert_string_equal(conf->file, path_of(f, "main.yaml"));
	assert_string_equal(conf->docks_dir, path_of(f, "docks.d"));
	conf_unload(conf);
}

static void test_linked_main(void **state)
{
	struct folder *f = *state;
	struct conf *conf;

	assert_int_equal(mkdir(path_of(f, "docks.d/store"), 0700), 0);
	put_file(f, "docks.d/store/real", "");
	assert_int_equal(symlink("docks.d/store/real", path_of(f, "main.yaml")), 0);
	conf = load_ok(f, "");
	assert_string_equal(conf->docks_dir, path_of(f, "docks.d"));
	conf_unload(conf);
	unlink(path_of(f, "docks.d/store/real"));
}

static void test_odd_entries(void **state)
{
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	assert_int_equal(mkfifo(path_of(f, "docks.d/d.yaml"), 0600), 0);
	load_fails(f, EINVAL, "docks.d/d.yaml: not a regular file");
	unlink(path_of(f, "docks.d/d.yaml"));
	assert_int_equal(symlink("/dev/null", path_of(f, "docks.d/d.yaml")), 0);
	load_fails(f, EINVAL, "docks.d/d.yaml: not a regular file");
	unlink(path_of(f, "docks.d/d.yaml"));
	assert_int_equal(symlink("nowhere", path_of(f, "docks.d/d.yaml")), 0);
	load_fails(f, ENOENT, "docks.d/d.yaml: No such file or directory");
	unlink(path_of(f, "docks.d/d.yaml"));
	assert_int_equal(mkdir(path_of(f, "docks.d/d.yaml"), 0700), 0);
	load_fails(f, EINVAL, "docks.d/d.yaml: not a regular file");
}

static void test_duplicate_docks(void **state)
{
	struct folder *f = *state;
	char expected[256];

	put_file(f, "main.yaml", "");
	put_file(f, "docks.d/a.yaml", "driver: tgt\nname: ssd\n");
	put_file(f, "docks.d/ssd.yaml", "driver: tgt\n");
	snprintf(expected, sizeof(expected),
		 "docks.d/ssd.yaml:1:1: a second dock named ssd, expected another name: the "
		 "first is at %s/docks.d/a.yaml:2:7",
		 f->path);
	load_fails(f, EINVAL, expected);
	put_file(f, "docks.d/ssd.yaml", "driver: tgt\nname: sse\n");
	conf_unload(load_ok(f, ""));
}

/* Files in the shape of OpenSDS's load as they are. */
static void test_opensds(void **state)
{
	static const struct {
		const char *name, *pool, *warnings;
		size_t pools;
		bool multiattach;
	} cases[] = {
		{"lvm", "vg001",
		 "docks.d/lvm.yaml:7:5: unknown key diskType, ignored\n"
		 "docks.d/lvm.yaml:8:5: unknown key AZ, ignored\n", 2, true},
		{"ceph", "rbd", "", 1, true},
		{"netapp", "ontap-pool", "", 1, true},
		{"cinder", "pool1", "", 1, false},
	};
	struct folder *f = *state;

	put_file(f, "main.yaml", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char source[PATH_MAX], target[64];
		struct conf *conf;

		/* Beside this file, as the compiler was told of it. */
		snprintf(source, sizeof(source), "%.*s/data/%s.yaml",
			 (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, cases[i].name);
		_cleanup_free_ char *real = realpath(source, NULL);
		assert_non_null(real);
		snprintf(target, sizeof(target), "docks.d/%s.yaml", cases[i].name);
		assert_int_equal(symlink(real, path_of(f, target)), 0);
		conf = load_ok(f, cases[i].warnings);
		assert_int_equal(conf->n_docks, 1);
		assert_string_equal(conf->docks[0].driver, cases[i].name);
		assert_int_equal(conf->docks[0].n_pools, cases[i].pools);
		assert_string_equal(conf->docks[0].pools[0].name, cases[i].pool);
		assert_int_equal(conf->docks[0].pools[0].multiattach, cases[i].multiattach);
		assert_true(conf->docks[0].pools[0].thin);
		conf_unload(conf);
		unlink(path_of(f, target));
	}
}

static void count_line(void *arg, const char *line)
{
	(void)line;
	++*(unsigned *)arg;
}

/* The files that are shipped load, and without a warning. */
static void test_examples(void **state)
{
	char path[PATH_MAX];
	struct conf *conf = NULL;
	struct error err = {0};
	unsigned warnings = 0;

	(void)state;
	snprintf(path, sizeof(path), "%.*s/../../examples/attachfs.yaml",
		 (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	if (conf_load(path, count_line, &warnings, &conf, &err))
		fail_msg("refused: %s", err.text);
	assert_int_equal(warnings, 0);
	assert_true(conf->n_docks >= 2);
	conf_unload(conf);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_new, folder_free)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_FOLDER(test_files),
		IN_FOLDER(test_defaults),
		IN_FOLDER(test_everything_set),
		IN_FOLDER(test_bad_main),
		IN_FOLDER(test_dock_keys),
		IN_FOLDER(test_pool_keys),
		IN_FOLDER(test_warnings),
		IN_FOLDER(test_name_length),
		IN_FOLDER(test_file_names),
		IN_FOLDER(test_pool_count),
		IN_FOLDER(test_dock_count),
		IN_FOLDER(test_extras_bounds),
		IN_FOLDER(test_folder),
		IN_FOLDER(test_linked_main),
		IN_FOLDER(test_odd_entries),
		IN_FOLDER(test_duplicate_docks),
		IN_FOLDER(test_capabilities_together),
		IN_FOLDER(test_opensds),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
