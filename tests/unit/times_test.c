/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mtime of every file changes when, and only when, what it shows does. */
#include "../lib/fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/core/core.h"

#define V "volumes/v"
#define H V "/attachments/h"
#define I V "/attachments/i"

/* A file as it was seen. */
struct seen {
	struct ref ref;
	char path[256];
	char *value;
	int64_t mtime;
};

struct picture {
	struct fixture *f;
	struct view *view;
	const char *path; /* of the directory that is being listed */
	struct seen *seen;
	size_t n, size;
	unsigned changed; /* since the picture before */
};

static void see(struct picture *p, const char *path, struct ref ref, int64_t mtime)
{
	BUF_AUTO(value);
	struct seen *s;

	if (p->n == p->size) {
		p->size = p->size ? 2 * p->size : 256;
		p->seen = realloc(p->seen, p->size * sizeof(*p->seen));
		assert_non_null(p->seen);
	}
	s = &p->seen[p->n++];
	*s = (struct seen){.ref = ref, .mtime = mtime};
	snprintf(s->path, sizeof(s->path), "%s", path);
	assert_int_equal(core_read(p->view, ref, &value), 0);
	s->value = strdup(value.data ?: "");
	assert_non_null(s->value);
}

static int look(void *arg, const char *name, struct ref ref, uint64_t cookie)
{
	struct picture *p = arg;
	const char *parent = p->path;
	struct node_stat st;
	char path[256];

	(void)cookie;
	snprintf(path, sizeof(path), "%s/%s", parent, name);
	assert_int_equal(core_stat(p->view, ref, &st), 0);
	p->path = path;
	if (st.type == NODE_IS_DIR)
		assert_int_equal(core_list(p->view, ref, 0, look, p), 0);
	else if (st.type == NODE_IS_FILE && !st.is_volatile)
		see(p, path, ref, st.inode.mtime);
	p->path = parent;
	return 0;
}

static struct picture take(struct fixture *f)
{
	struct picture p = {.f = f, .path = ""};
	struct tx tx;
	struct view view = {.core = f->core, .tx = &tx};

	assert_int_equal(store_read_begin(f->store, &tx), 0);
	p.view = &view;
	assert_int_equal(core_list(&view, SELF(ROOT_OBJECT), 0, look, &p), 0);
	store_read_end(&tx);
	return p;
}

static void drop(struct picture *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->seen[i].value);
	free(p->seen);
	*p = (struct picture){0};
}

static const struct seen *find(const struct picture *p, struct ref ref)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->seen[i].ref.object == ref.object && p->seen[i].ref.node == ref.node)
			return &p->seen[i];
	return NULL;
}

static unsigned compare(const struct picture *before, const struct picture *now, const char *what)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < now->n; i++) {
		const struct seen *is = &now->seen[i], *was = find(before, is->ref);
		bool same = was && !strcmp(was->value, is->value);

		if (!was || same == (was->mtime == is->mtime))
			continue;
		print_error("%s: %s has %s mtime and %s value: %s, %s\n", what, is->path,
			    same ? "a new" : "the same", same ? "the same" : "a new", was->value,
			    is->value);
		wrong++;
	}
	return wrong;
}

/* Times are shown in milliseconds, so no two steps are to be of the same one. */
static void next_millisecond(void)
{
	int64_t now = time_now() / 1000000;

	while (time_now() / 1000000 == now)
		;
}

/* Something has been done: what has it changed? */
static void step(struct picture *last, const char *what)
{
	struct picture now;

	now = take(last->f);
	assert_int_equal(compare(last, &now, what), 0);
	drop(last);
	*last = now;
	next_millisecond();
}

#define STEP(call) (assert_int_equal(call, 0), step(&p, #call))
#define REFUSED(code, call) (assert_int_equal(call, -(code)), step(&p, #call))

static struct picture begin(struct fixture *f)
{
	next_millisecond();
	return take(f);
}

static void settle(struct fixture *f, const char *host, int result)
{
	struct work work;

	assert_true(fixture_work(f, "v", host, &work));
	assert_int_equal(fixture_settle(f, &work, result, result ? "it failed" : NULL), 0);
}

/* A write that begins work, and what comes of that. */
#define WORKED(host, result, path, value)                                                      \
	do {                                                                                   \
		fixture_begin_write(f, path, value);                                           \
		core_flush(f->core);                                                           \
		step(&p, path " begins");                                                      \
		settle(f, host, result);                                                       \
		step(&p, path " ends with " #result);                                          \
	} while (0)

static void test_hosts_and_profiles(void **state)
{
	struct fixture *f = *state;
	struct picture p;

	fixture_host(f, "h");
	assert_int_equal(fixture_mkdir(f, "profiles/p"), 0);
	p = begin(f);
	STEP(fixture_write(f, "hosts/h/ip", "192.0.2.1\n"));
	STEP(fixture_write(f, "hosts/h/ip", "192.0.2.1\n"));
	STEP(fixture_write(f, "hosts/h/ip", "192.0.2.1"));
	REFUSED(EINVAL, fixture_write(f, "hosts/h/ip", "nowhere"));
	STEP(fixture_write(f, "hosts/h/description", "text"));
	STEP(fixture_write(f, "hosts/h/fenced", "1"));
	STEP(fixture_write(f, "hosts/h/fenced", "0"));
	STEP(fixture_write(f, "profiles/p/storage_type", "file"));
	STEP(fixture_mkdir(f, "profiles/p/extra_specs/k"));
	STEP(fixture_write(f, "profiles/p/extra_specs/k", "x"));
	STEP(fixture_rename(f, "profiles/p/extra_specs/k", "profiles/p/extra_specs/l"));
	STEP(fixture_rmdir(f, "profiles/p/extra_specs/l"));
	STEP(fixture_mkdir(f, "hosts/.d"));
	STEP(fixture_write(f, "hosts/.d/initiator", "iqn.2026-11.test:d"));
	STEP(fixture_rename(f, "hosts/.d", "hosts/d"));
	drop(&p);
}

static void test_volumes(void **state)
{
	struct fixture *f = *state;
	struct picture p = begin(f);

	STEP(fixture_mkdir(f, V));
	STEP(fixture_write(f, V "/description", "one\n"));
	REFUSED(EINVAL, fixture_write(f, V "/size", "tiny"));
	STEP(fixture_write(f, V "/max_writers", "2"));
	STEP(fixture_write(f, V "/max_writers", ""));
	WORKED(NULL, -EIO, V "/size", "1G");
	WORKED(NULL, 0, V "/size", "1G\n");
	WORKED(NULL, -EIO, V "/size", "2G");
	WORKED(NULL, 0, V "/size", "2G");
	STEP(fixture_write(f, V "/protected", "1"));
	REFUSED(EPERM, fixture_rmdir(f, V));
	STEP(fixture_write(f, V "/protected", "0"));
	WORKED(NULL, -EIO, V "/multiattach", "true"); /* which moves it */
	WORKED(NULL, 0, V "/multiattach", "true");
	STEP(fixture_rename(f, V, "volumes/w"));
	STEP(fixture_mkdir(f, "volumes/.x"));
	STEP(fixture_write(f, "volumes/.x/description", "text"));
	STEP(fixture_rename(f, "volumes/.x", "volumes/x"));
	drop(&p);
}

static void test_keys_and_owners(void **state)
{
	static const struct inode_state other = {.mode = 0700, .uid = 12, .gid = 34, .mtime = 99};
	struct fixture *f = *state;
	struct picture p;

	fixture_volume(f, "v", true, "many", "1G");
	assert_int_equal(fixture_mkdir(f, H), 0);
	p = begin(f);
	STEP(fixture_mkdir(f, V "/metadata/k"));
	STEP(fixture_write(f, V "/metadata/k", "x\n"));
	STEP(fixture_write(f, V "/metadata/k", "x"));
	STEP(fixture_write(f, V "/metadata/k", "y"));
	STEP(fixture_rename(f, V "/metadata/k", V "/metadata/l"));
	STEP(fixture_rmdir(f, V "/metadata/l"));
	STEP(fixture_mkdir(f, H "/metadata/k"));
	STEP(fixture_write(f, H "/metadata/k", "x"));
	STEP(fixture_rmdir(f, H "/metadata/k"));
	STEP(fixture_inode(f, V, INODE_MODE, &other));
	STEP(fixture_inode(f, V, INODE_UID, &other));
	STEP(fixture_inode(f, V, INODE_GID, &other));
	STEP(fixture_inode(f, V "/description", INODE_UID | INODE_GID, &other));
	/* What touch(1) says holds until the value changes. */
	assert_int_equal(fixture_inode(f, V "/info.json", INODE_MTIME, &other), 0);
	drop(&p);
	p = begin(f);
	STEP(fixture_write(f, V "/description", "text"));
	drop(&p);
}

static void test_attachments(void **state)
{
	static const struct inode_state other = {.uid = 12};
	struct fixture *f = *state;
	struct picture p;

	fixture_host(f, "h");
	fixture_volume(f, "v", true, "many", "1G");
	p = begin(f);
	STEP(fixture_inode(f, V, INODE_UID, &other));
	STEP(fixture_mkdir(f, H)); /* info.json had a time of its own until now */
	STEP(fixture_write(f, "hosts/h/ip", "192.0.2.1"));
	STEP(fixture_write(f, "hosts/h/initiator", "iqn.2026-11.TEST:other"));
	STEP(fixture_write(f, H "/ip", "192.0.2.2"));
	STEP(fixture_write(f, "hosts/h/ip", "192.0.2.3"));
	STEP(fixture_write(f, H "/ip", ""));
	STEP(fixture_write(f, H "/mountpoint", "/mnt"));
	WORKED("h", -EIO, H "/mode", "rw");
	WORKED("h", 0, H "/mode", "ro");
	STEP(fixture_write(f, "hosts/h/initiator", "iqn.2026-11.test:third"));
	WORKED("h", -EBUSY, H "/mode", "rw");
	WORKED("h", 0, H "/mode", "rw");
	REFUSED(EINVAL, fixture_write(f, H "/mode", "maybe"));
	STEP(fixture_mkdir(f, I));
	REFUSED(EDESTADDRREQ, fixture_write(f, I "/mode", "rw"));
	STEP(fixture_write(f, I "/initiator", "iqn.2026-11.test:i"));
	WORKED("i", 0, I "/mode", "ro");
	fixture_begin_rmdir(f, I);
	core_flush(f->core);
	step(&p, "rmdir begins");
	settle(f, "i", 0);
	step(&p, "rmdir ends");
	WORKED("h", 0, H "/fenced", "1");
	STEP(fixture_write(f, H "/fenced", "0"));
	STEP(fixture_rename(f, H, I));
	STEP(fixture_rmdir(f, I));
	drop(&p);
}

static void test_docks(void **state)
{
	struct fixture *f = *state;
	struct error why = {0};
	struct picture p = begin(f);
	uint64_t dock;

	assert_int_equal(core_dock_number(f->core, "mem", &dock), 0);
	error_set(&why, EIO, "it is down");
	STEP(core_dock_status(f->core, dock, DOCK_UNAVAILABLE, &why));
	STEP(core_dock_status(f->core, dock, DOCK_UNAVAILABLE, &why));
	STEP(core_dock_status(f->core, dock, DOCK_AVAILABLE, NULL));
	fixture_volume(f, "v", true, "many", "1G");
	step(&p, "a volume in a pool");
	drop(&p);
}

/* What is not multi-attach goes to "a". */
static int setup_two_pools(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fixture_init(f);
	fixture_dock(f, "mem", "  a: {totalCapacity: 100, multiAttach: false}\n"
			       "  m: {totalCapacity: 100, multiAttach: true}\n");
	fixture_start(f, false);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hosts_and_profiles, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_volumes, setup_two_pools, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_keys_and_owners, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_attachments, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_docks, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
