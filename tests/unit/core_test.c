/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state machine, every status against every operation; the test plays the worker itself. */
#include "../lib/fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

/* What an operation comes to: 0, an errno, or that it waits for the worker. */
#define WAITS 4000

enum status { NONE, RESERVED, ATTACHING, ATTACHED, DETACHING, FAILED, FENCING, FENCED, STATUSES };

static const char *const status_names[STATUSES] = {
	"",	       "reserved\n", "attaching\n", "attached\n",
	"detaching\n", "error\n",    "fencing\n",   "fenced\n"};

/* ---- the parties: volume v (multiattach), hosts h and i ---- */

static int setup_parties(void **state)
{
	fixture_setup(state);
	fixture_host(*state, "h");
	fixture_host(*state, "i");
	fixture_volume(*state, "v", true, "many", "1G\n");
	return 0;
}

/* Until so many calls are parked, waiting for the worker. */
static void await_waiting(struct fixture *f, unsigned n)
{
	int64_t end = monotonic_ms() + PATIENCE_MS;
	char line[64];

	snprintf(line, sizeof(line), "attachfs_waiting_requests %u\n", n);
	while (!strstr(fixture_read(f, "metrics"), line) && monotonic_ms() < end)
		sched_yield();
	fixture_expect_in(fixture_read(f, "metrics"), line);
}

static void settle(struct fixture *f, const char *host, int result)
{
	struct work work;

	assert_true(fixture_work(f, "v", host, &work));
	assert_int_equal(fixture_settle(f, &work, result, "the test says no"), 0);
}

/* Brings the attachment of volume v and this host into a status. */
static void bring(struct fixture *f, const char *host, enum status status)
{
	char dir[128], mode[160], fenced[160];

	snprintf(dir, sizeof(dir), "volumes/v/attachments/%s", host);
	snprintf(mode, sizeof(mode), "%s/mode", dir);
	if (status == NONE)
		return;
	assert_int_equal(fixture_mkdir(f, dir), 0);
	if (status == RESERVED)
		return;
	fixture_begin_write(f, mode, "rw\n");
	snprintf(mode, sizeof(mode), "%s/status", dir);
	fixture_await(f, mode, "attaching\n");
	if (status == ATTACHING)
		return;
	settle(f, host, status == FAILED ? -EIO : 0);
	if (status == DETACHING) {
		struct call *call = fixture_begin_rmdir(f, dir);

		fixture_await(f, mode, "detaching\n");
		assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	}
	if (status == FENCING || status == FENCED) {
		snprintf(fenced, sizeof(fenced), "%s/fenced", dir);
		fixture_begin_write(f, fenced, "1\n");
		fixture_await(f, mode, "fencing\n");
	}
	if (status == FENCED)
		settle(f, host, 0);
}

/* ---- attachments ---- */

enum op { MKDIR, RMDIR, RENAME, WRITE };

struct expectation {
	int result;
	enum status status;
};

#define SAME(result) {{0}, {result, RESERVED}, {result, ATTACHING}, {result, ATTACHED},        \
		      {result, DETACHING}, {result, FAILED}, {result, FENCING},               \
		      {result, FENCED}}
#define IF_FENCED(result) {result, FENCING}, {result, FENCED}
#define HERE	"volumes/v/attachments/h"

static const struct transition {
	enum op op;
	const char *path, *value;
	struct expectation expect[STATUSES];
} transitions[] = {
	{MKDIR, HERE, "", SAME(EEXIST)},
	{MKDIR, "volumes/v/attachments/i", "", SAME(0)},
	{WRITE, HERE "/mode", "rw\n", {{0}, {WAITS, ATTACHING}, {WAITS, ATTACHING}, {0, ATTACHED},
				       {EBUSY, DETACHING}, {WAITS, ATTACHING}, IF_FENCED(EPERM)}},
	{WRITE, HERE "/mode", "rw", {{0}, {WAITS, ATTACHING}, {WAITS, ATTACHING}, {0, ATTACHED},
				     {EBUSY, DETACHING}, {WAITS, ATTACHING}, IF_FENCED(EPERM)}},
	{WRITE, HERE "/mode", "\n", {{0}, {WAITS, ATTACHING}, {WAITS, ATTACHING}, {0, ATTACHED},
				     {EBUSY, DETACHING}, {WAITS, ATTACHING}, IF_FENCED(EPERM)}},
	{WRITE, HERE "/mode", "ro\n", {{0}, {WAITS, ATTACHING}, {EBUSY, ATTACHING},
				       {WAITS, ATTACHING}, {EBUSY, DETACHING},
				       {WAITS, ATTACHING}, IF_FENCED(EPERM)}},
	{WRITE, HERE "/mode", "RW\n", SAME(EINVAL)},
	{WRITE, HERE "/mode", "readonly\n", SAME(EINVAL)},
	{WRITE, HERE "/mode", "ro\nrw\n", SAME(EINVAL)},
	{RMDIR, HERE, "", {{0}, {0, NONE}, {WAITS, DETACHING}, {WAITS, DETACHING},
			   {WAITS, DETACHING}, {WAITS, DETACHING}, {WAITS, FENCING}, {0, NONE}}},
	{WRITE, HERE "/fenced", "1\n", {{0}, {0, FENCED}, {WAITS, FENCING}, {WAITS, FENCING},
					{WAITS, FENCING}, {WAITS, FENCING}, {WAITS, FENCING},
					{0, FENCED}}},
	{WRITE, HERE "/fenced", "0\n", {{0}, {0, RESERVED}, {0, ATTACHING}, {0, ATTACHED},
					{0, DETACHING}, {0, FAILED}, {EBUSY, FENCING},
					{0, RESERVED}}},
	{WRITE, HERE "/fenced", "2\n", SAME(EINVAL)},
	{RENAME, HERE, HERE, SAME(0)},
	{WRITE, HERE "/initiator", "iqn.2026-11.test:other\n",
	 {{0}, {0, RESERVED}, {EBUSY, ATTACHING}, {EBUSY, ATTACHED}, {EBUSY, DETACHING},
	  {0, FAILED}, IF_FENCED(EBUSY)}},
	{WRITE, HERE "/initiator", "root\n",
	 {{0}, {EINVAL, RESERVED}, {EBUSY, ATTACHING}, {EBUSY, ATTACHED}, {EBUSY, DETACHING},
	  {EINVAL, FAILED}, IF_FENCED(EBUSY)}},
	{WRITE, HERE "/ip", "192.0.2.1\n", SAME(0)},
	{WRITE, HERE "/ip", "192.0.2.256\n", SAME(EINVAL)},
	{WRITE, HERE "/mountpoint", "/mnt/data\n", SAME(0)},
	{WRITE, HERE "/status", "attached\n", SAME(EACCES)},
	{WRITE, HERE "/connection/auth_password", "mine\n", SAME(EACCES)},
	{RMDIR, "volumes/v", "", SAME(EBUSY)},
	{RENAME, "volumes/v", "volumes/w", SAME(0)},
	{RMDIR, "hosts/h", "", SAME(EBUSY)},
	{WRITE, "hosts/h/initiator", "iqn.2026-11.test:new\n", SAME(0)},
	{WRITE, "volumes/v/size", "1G\n", SAME(0)},
	{WRITE, "volumes/v/size", "1024M\n", SAME(0)},
	{WRITE, "volumes/v/size", "512M\n", SAME(EINVAL)},
	{WRITE, "volumes/v/size", "\n", SAME(EINVAL)},
	{WRITE, "volumes/v/size", "2G\n", SAME(WAITS)},
	{WRITE, "volumes/v/size", "100T\n", SAME(ENOSPC)},
	{WRITE, "volumes/v/multiattach", "false\n", SAME(EBUSY)},
	{WRITE, "volumes/v/multiattach", "yes\n", SAME(0)},
	{WRITE, "volumes/v/max_writers", "1\n", SAME(0)},
	{WRITE, "volumes/v/max_writers", "-1\n", SAME(EINVAL)},
	{WRITE, "volumes/v/protected", "1\n", SAME(0)},
	{WRITE, "volumes/v/pool", "one\n", SAME(EBUSY)},
	{WRITE, "volumes/v/availability_zone", "elsewhere\n", SAME(EBUSY)},
	{WRITE, "volumes/v/availability_zone", "default", SAME(0)}, /* what it reads already */
	{WRITE, "volumes/v/profile", "nowhere", SAME(EINVAL)},
	{WRITE, "volumes/v/description", "text\n", SAME(0)},
};

static struct call *begin(struct fixture *f, enum op op, const char *path, const char *value)
{
	switch (op) {
	case MKDIR:
		return fixture_begin_mkdir(f, path);
	case RMDIR:
		return fixture_begin_rmdir(f, path);
	case RENAME:
		return fixture_begin_rename(f, path, value);
	case WRITE:
		break;
	}
	return fixture_begin_write(f, path, value);
}

static void check_status(struct fixture *f, const struct transition *t, enum status status)
{
	const char *moved = t->op == RENAME ? "volumes/w/attachments/h/status" : NULL;
	const char *path = moved && fixture_exists(f, moved) ? moved : HERE "/status";

	if (status == NONE)
		assert_false(fixture_exists(f, HERE));
	else
		fixture_expect(f, path, status_names[status]);
}

static void try_transition(const struct transition *t, enum status s)
{
	void *state;
	struct fixture *f;
	int result;

	setup_parties(&state);
	f = state;
	bring(f, "h", s);
	if (fixture_work(f, "v", "h", &(struct work){0}) && s != ATTACHING && s != DETACHING &&
	    s != FENCING)
		fail_msg("%s is owed work", status_names[s]);
	/* Whoever waits in this status already would hide that the new call waits too. */
	core_stop_waiting(f->core);
	result = -fixture_wait(begin(f, t->op, t->path, t->value), PATIENCE_MS);
	if (result == ESHUTDOWN)
		result = WAITS;
	if (result != t->expect[s].result)
		fail_msg("%s \"%s\" while %s: expected %d, it is %d", t->path, t->value,
			 status_names[s], t->expect[s].result, result);
	check_status(f, t, t->expect[s].status);
	fixture_teardown(&state);
}

static void test_attachment_transitions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
		for (enum status s = RESERVED; s < STATUSES; s++)
			try_transition(&transitions[i], s);
}

/* ---- volumes ---- */

enum stage { NEW, CREATING, AVAILABLE, EXTENDING, GONE };
static const char *const volume_names[] = {"new\n", "creating\n", "available\n", "extending\n", ""};

static const struct {
	enum op op;
	const char *path, *value;
	struct {
		int result;
		enum stage status;
	} expect[GONE];
} volume_transitions[] = {
	{MKDIR, "volumes/u", "",
	 {{EEXIST, NEW}, {EEXIST, CREATING}, {EEXIST, AVAILABLE}, {EEXIST, EXTENDING}}},
	{RMDIR, "volumes/u", "", {{0, GONE}, {0, GONE}, {0, GONE}, {0, GONE}}},
	{WRITE, "volumes/u/size", "1G\n",
	 {{WAITS, CREATING}, {WAITS, CREATING}, {0, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/size", "2G\n",
	 {{WAITS, CREATING}, {EBUSY, CREATING}, {WAITS, EXTENDING}, {WAITS, EXTENDING}}},
	{WRITE, "volumes/u/size", "2048M\n",
	 {{WAITS, CREATING}, {EBUSY, CREATING}, {WAITS, EXTENDING}, {WAITS, EXTENDING}}},
	{WRITE, "volumes/u/size", "512M\n",
	 {{WAITS, CREATING}, {EBUSY, CREATING}, {EINVAL, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/size", "100T\n",
	 {{ENOSPC, NEW}, {EBUSY, CREATING}, {ENOSPC, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/size", "big\n",
	 {{EINVAL, NEW}, {EINVAL, CREATING}, {EINVAL, AVAILABLE}, {EINVAL, EXTENDING}}},
	{WRITE, "volumes/u/multiattach", "true\n",
	 {{0, NEW}, {0, CREATING}, {0, AVAILABLE}, {0, EXTENDING}}},
	{WRITE, "volumes/u/pool", "one\n",
	 {{0, NEW}, {EBUSY, CREATING}, {EBUSY, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/availability_zone", "elsewhere\n",
	 {{0, NEW}, {EBUSY, CREATING}, {EBUSY, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/availability_zone", "default\n",
	 {{0, NEW}, {0, CREATING}, {0, AVAILABLE}, {0, EXTENDING}}},
	{WRITE, "volumes/u/profile", "nowhere\n",
	 {{EINVAL, NEW}, {EBUSY, CREATING}, {EINVAL, AVAILABLE}, {EBUSY, EXTENDING}}},
	{WRITE, "volumes/u/metadata", "x\n",
	 {{EACCES, NEW}, {EACCES, CREATING}, {EACCES, AVAILABLE}, {EACCES, EXTENDING}}},
	{WRITE, "volumes/u/size_bytes", "1\n",
	 {{EACCES, NEW}, {EACCES, CREATING}, {EACCES, AVAILABLE}, {EACCES, EXTENDING}}},
	{MKDIR, "volumes/u/metadata/key", "",
	 {{0, NEW}, {0, CREATING}, {0, AVAILABLE}, {0, EXTENDING}}},
	{RENAME, "volumes/u", "volumes/v",
	 {{EEXIST, NEW}, {EEXIST, CREATING}, {EEXIST, AVAILABLE}, {EEXIST, EXTENDING}}},
	{RENAME, "volumes/u", "hosts/u",
	 {{EINVAL, NEW}, {EINVAL, CREATING}, {EINVAL, AVAILABLE}, {EINVAL, EXTENDING}}},
};

static void bring_volume(struct fixture *f, enum stage status)
{
	struct call *call;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	assert_int_equal(fixture_write(f, "volumes/u/pool", "mem:many\n"), 0);
	if (status == NEW)
		return;
	call = fixture_begin_write(f, "volumes/u/size", "1G\n");
	fixture_await(f, "volumes/u/status", "creating\n");
	if (status == CREATING)
		return;
	assert_true(fixture_work(f, "u", NULL, &work));
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	if (status != EXTENDING)
		return;
	fixture_begin_write(f, "volumes/u/size", "2G\n");
	fixture_await(f, "volumes/u/status", "extending\n");
}

static void test_volume_transitions(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(volume_transitions); i++)
		for (enum stage s = NEW; s < GONE; s++) {
			void *state;
			int result, expect = volume_transitions[i].expect[s].result;
			enum stage after = volume_transitions[i].expect[s].status;

			setup_parties(&state);
			bring_volume(state, s);
			core_stop_waiting(((struct fixture *)state)->core);
			result = -fixture_wait(begin(state, volume_transitions[i].op,
						     volume_transitions[i].path,
						     volume_transitions[i].value),
					       PATIENCE_MS);
			if (result == ESHUTDOWN)
				result = WAITS;
			if (result != expect)
				fail_msg("%s \"%s\" while %s: expected %d, it is %d",
					 volume_transitions[i].path, volume_transitions[i].value,
					 volume_names[s], expect, result);
			if (after == GONE)
				assert_false(fixture_exists(state, "volumes/u"));
			else
				fixture_expect(state, "volumes/u/status", volume_names[after]);
			fixture_teardown(&state);
		}
}

/* ---- a volume's status is that of its attachments ---- */

static const char *volume_of(enum status a, enum status b)
{
	static const struct {
		enum status status;
		const char *volume;
	} order[] = {{ATTACHED, "in-use\n"},	{ATTACHING, "attaching\n"},
		     {DETACHING, "detaching\n"}, {FENCING, "detaching\n"},
		     {RESERVED, "reserved\n"}, {FENCED, "reserved\n"},
		     {FAILED, "reserved\n"},	{NONE, "available\n"}};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i].status || b == order[i].status)
			return order[i].volume;
	return NULL;
}

static void test_volume_status(void **unused)
{
	(void)unused;
	for (enum status a = NONE; a < STATUSES; a++)
		for (enum status b = NONE; b < STATUSES; b++) {
			void *state;

			setup_parties(&state);
			bring(state, "h", a);
			bring(state, "i", b);
			fixture_expect(state, "volumes/v/status", volume_of(a, b));
			fixture_expect(state, "volumes/v/attach_status",
				       a == ATTACHED || b == ATTACHED ? "attached\n"
								      : "detached\n");
			fixture_teardown(&state);
		}
}

/* ---- outcomes ---- */

static void test_failed_provision(void **state)
{
	struct fixture *f = *state;
	struct call *call;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	assert_int_equal(fixture_write(f, "volumes/u/pool", "one"), 0);
	call = fixture_begin_write(f, "volumes/u/size", "3G");
	fixture_await(f, "docks/mem/pools/one/provisioned_capacity", "3221225472\n");
	fixture_expect(f, "volumes/u/pool", "one");
	assert_string_equal(fixture_list(f, "docks/mem/pools/one/volumes"), "u ");
	assert_true(fixture_work(f, "u", NULL, &work));
	assert_int_equal(work.type, WORK_PROVISION);
	assert_int_equal(fixture_settle(f, &work, -EIO, "the disk is on fire"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EIO);
	assert_string_equal(call->intent.err.text, "the disk is on fire");
	fixture_expect(f, "volumes/u/status", "new\n");
	fixture_expect(f, "volumes/u/last_error", "the disk is on fire\n");
	fixture_expect(f, "docks/mem/pools/one/provisioned_capacity", "0\n");
	assert_string_equal(fixture_list(f, "docks/mem/pools/one/volumes"), "");
	assert_string_equal(fixture_list(f, "docks/mem/pools/many/volumes"), "v ");
	fixture_expect(f, "volumes/u/size_bytes", "0\n");
	assert_false(fixture_work(f, "u", NULL, &work));
	fixture_expect_in(fixture_events(f), "\"event\":\"failed\"");
}

static void test_failed_grow(void **state)
{
	struct fixture *f = *state;
	struct call *call = fixture_begin_write(f, "volumes/v/size", "  3G ");
	struct work work;

	fixture_await(f, "docks/mem/pools/many/provisioned_capacity", "3221225472\n");
	fixture_expect(f, "volumes/v/size_bytes", "1073741824\n");
	assert_true(fixture_work(f, "v", NULL, &work));
	assert_int_equal(work.type, WORK_EXTEND);
	assert_int_equal(work.volume.size_bytes, 3ULL << 30);
	assert_int_equal(fixture_settle(f, &work, -ENOSPC, "full"), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -ENOSPC);
	fixture_expect(f, "volumes/v/size", "1G\n");
	fixture_expect(f, "volumes/v/size_bytes", "1073741824\n");
	fixture_expect(f, "volumes/v/status", "available\n");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "1073741824\n");
	call = fixture_begin_write(f, "volumes/v/size", "2G");
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	fixture_expect(f, "volumes/v/size", "2G");
	fixture_expect(f, "volumes/v/size_bytes", "2147483648\n");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "2147483648\n");
}

/* Peers answered "available" here, with a host attached. */
static void test_failed_attach_disturbs_nobody(void **state)
{
	struct fixture *f = *state;
	const char *user, *secret;

	bring(f, "h", ATTACHED);
	user = fixture_read(f, HERE "/connection/auth_username");
	secret = fixture_read(f, HERE "/connection/auth_password");
	bring(f, "i", FAILED);
	fixture_expect(f, "volumes/v/status", "in-use\n");
	fixture_expect(f, HERE "/status", "attached\n");
	fixture_expect(f, HERE "/effective_mode", "rw\n");
	fixture_expect(f, HERE "/connection/auth_username", user);
	fixture_expect(f, HERE "/connection/auth_password", secret);
	fixture_expect(f, "volumes/v/attachments/i/last_error", "the test says no\n");
	fixture_expect(f, "volumes/v/attachments/i/effective_mode", "");
	fixture_expect(f, "volumes/v/attachments/i/connection/auth_password", "");
	fixture_expect(f, "volumes/v/attachments/i/connection/target_iqn", "");
}

/* A backend that did more than it said must not find an old secret valid. */
static void test_every_attempt_has_its_own_secret(void **state)
{
	struct fixture *f = *state;
	struct work first, second;

	bring(f, "h", ATTACHING);
	assert_true(fixture_work(f, "v", "h", &first));
	assert_int_equal(fixture_settle(f, &first, -EIO, "no"), 0);
	fixture_begin_write(f, HERE "/mode", "rw\n");
	fixture_await(f, HERE "/status", "attaching\n");
	assert_true(fixture_work(f, "v", "h", &second));
	assert_string_not_equal(first.want.chap_user, second.want.chap_user);
	assert_string_not_equal(first.want.chap_secret, second.want.chap_secret);
	assert_int_equal(strlen(second.want.chap_secret), 32);
}

static void test_late_result_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct work attach, detach;
	struct call *call;

	bring(f, "h", ATTACHING);
	assert_true(fixture_work(f, "v", "h", &attach));
	call = fixture_begin_rmdir(f, HERE);
	fixture_await(f, HERE "/status", "detaching\n");
	assert_true(fixture_work(f, "v", "h", &detach));
	assert_int_equal(detach.type, WORK_DETACH);
	assert_true(detach.generation > attach.generation);
	assert_int_equal(fixture_settle(f, &attach, 0, NULL), 0);
	fixture_expect(f, HERE "/status", "detaching\n");
	fixture_expect(f, HERE "/effective_mode", "");
	assert_int_equal(fixture_settle(f, &attach, -EIO, "late"), 0);
	fixture_expect(f, HERE "/status", "detaching\n");
	fixture_expect(f, HERE "/last_error", "");
	assert_int_equal(fixture_wait(call, 0), UNANSWERED);
	assert_int_equal(fixture_unsettled(f), 1);
	assert_int_equal(fixture_settle(f, &detach, 0, NULL), 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
	assert_false(fixture_exists(f, HERE));
	/* A new one of the same name is none of the old one's business. */
	bring(f, "h", ATTACHING);
	assert_int_equal(fixture_settle(f, &detach, 0, NULL), 0);
	assert_int_equal(fixture_settle(f, &attach, -EIO, "late"), 0);
	fixture_expect(f, HERE "/status", "attaching\n");
}

/* Whoever asked for an attach must not be told that it has succeeded when it was detached. */
static void test_overtaken_attach_is_no_success(void **state)
{
	struct fixture *f = *state;
	struct call *attach, *detach;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	attach = fixture_begin_write(f, HERE "/mode", "rw\n");
	fixture_await(f, HERE "/status", "attaching\n");
	detach = fixture_begin_rmdir(f, HERE);
	fixture_await(f, HERE "/status", "detaching\n");
	fixture_settle_all(f, "v");
	assert_int_equal(fixture_wait(detach, PATIENCE_MS), 0);
	assert_int_not_equal(fixture_wait(attach, PATIENCE_MS), UNANSWERED);
	assert_int_not_equal(fixture_wait(attach, 0), 0);
}

/* The same for a volume: purged is not provisioned. */
static void test_overtaken_provision_is_no_success(void **state)
{
	struct fixture *f = *state;
	struct call *size;
	struct work work;

	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	size = fixture_begin_write(f, "volumes/u/size", "1G\n");
	fixture_await(f, "volumes/u/status", "creating\n");
	assert_true(fixture_work(f, "u", NULL, &work));
	assert_int_equal(fixture_rmdir(f, "volumes/u"), 0);
	work.type = WORK_PURGE;
	work.generation++;
	assert_int_equal(fixture_settle(f, &work, 0, NULL), 0);
	assert_int_equal(fixture_unsettled(f), 0);
	assert_int_not_equal(fixture_wait(size, PATIENCE_MS), UNANSWERED);
	assert_int_not_equal(fixture_wait(size, 0), 0);
}

/* A directory that was opened before the rmdir still names the volume's number. */
static void test_nothing_is_reserved_on_a_removed_volume(void **state)
{
	struct fixture *f = *state;
	struct ref attachments;

	assert_int_equal(fixture_ref(f, "volumes/v/attachments", &attachments), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
	assert_int_not_equal(fixture_wait(fixture_begin_make(f, attachments, "h"), PATIENCE_MS), 0);
	assert_string_equal(fixture_list(f, "attachments"), "");
	assert_string_equal(fixture_list(f, "hosts/h/attachments"), "");
}

/* Whatever a backend says, and however long: it is settled and explained. */
static void test_any_explanation_settles(void **state)
{
	static const char *const words[] = {"\xc3\xa4", "\xe2\x82\xac", "\"", "\x01", "\xff", "x"};
	struct fixture *f = *state;
	struct work work;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		BUF_AUTO(why);

		for (unsigned n = 0; n < 2000; n++)
			buf_str(&why, words[i]);
		fixture_begin_write(f, HERE "/mode", "rw\n");
		fixture_await(f, HERE "/status", "attaching\n");
		assert_true(fixture_work(f, "v", "h", &work));
		if (fixture_settle(f, &work, -EIO, why.data))
			fail_msg("2000 times \"%s\" cannot be settled", words[i]);
		fixture_expect(f, HERE "/status", "error\n");
	}
}

static void test_interrupt(void **state)
{
	struct fixture *f = *state;
	struct call *call, *other;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	call = fixture_begin_write(f, HERE "/mode", "rw\n");
	other = fixture_begin_write(f, HERE "/mode", "rw\n");
	await_waiting(f, 2);
	core_interrupt(f->core, call->intent.ticket);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EINTR);
	assert_int_equal(fixture_wait(other, 0), UNANSWERED);
	fixture_expect(f, HERE "/status", "attaching\n"); /* the intent stands */
	settle(f, "h", 0);
	assert_int_equal(fixture_wait(other, PATIENCE_MS), 0);
	fixture_expect(f, HERE "/status", "attached\n");
	core_interrupt(f->core, other->intent.ticket); /* too late: nothing */
	assert_int_equal(other->answers, 1);
}

static int was_interrupted(struct intent *intent)
{
	(void)intent;
	return -EINTR;
}

/* The interrupt came while the commit was under way. */
static void test_interrupted_before_it_waits(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	call = fixture_prepare_write(f, HERE "/mode", "rw\n");
	call->intent.interrupted = was_interrupted;
	core_submit(f->core, &call->intent);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -EINTR);
	fixture_expect(f, HERE "/status", "attaching\n");
}

static int was_poked(struct intent *intent)
{
	(void)intent;
	return -EAGAIN;
}

/* A signal that ends nothing does not end the waiting. */
static void test_harmless_signal(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	call = fixture_prepare_write(f, HERE "/mode", "rw\n");
	call->intent.interrupted = was_poked;
	core_submit(f->core, &call->intent);
	await_waiting(f, 1);
	core_interrupt(f->core, call->intent.ticket);
	assert_int_equal(fixture_wait(call, 50), UNANSWERED);
	settle(f, "h", 0);
	assert_int_equal(fixture_wait(call, PATIENCE_MS), 0);
}

static void test_reserve_asks_no_backend(void **state)
{
	struct fixture *f = *state;

	f->kicks = 0;
	assert_int_equal(fixture_mkdir(f, HERE), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/i"), 0);
	assert_int_equal(fixture_rmdir(f, HERE), 0);
	assert_int_equal(f->kicks, 0);
	assert_int_equal(fixture_unsettled(f), 0);
	fixture_expect(f, "volumes/v/status", "reserved\n");
}

static void test_shutdown_answers_everybody(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	assert_int_equal(fixture_mkdir(f, HERE), 0);
	call = fixture_begin_write(f, HERE "/mode", "rw\n");
	await_waiting(f, 1);
	core_stop_waiting(f->core);
	assert_int_equal(fixture_wait(call, 0), -ESHUTDOWN);
	call = fixture_begin_write(f, HERE "/mode", "rw\n");
	assert_int_equal(fixture_wait(call, PATIENCE_MS), -ESHUTDOWN);
}

#define WITH_PARTIES(test) cmocka_unit_test_setup_teardown(test, setup_parties, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attachment_transitions),
		cmocka_unit_test(test_volume_transitions),
		cmocka_unit_test(test_volume_status),
		WITH_PARTIES(test_failed_provision),
		WITH_PARTIES(test_failed_grow),
		WITH_PARTIES(test_failed_attach_disturbs_nobody),
		WITH_PARTIES(test_every_attempt_has_its_own_secret),
		WITH_PARTIES(test_late_result_is_ignored),
		WITH_PARTIES(test_overtaken_attach_is_no_success),
		WITH_PARTIES(test_overtaken_provision_is_no_success),
		WITH_PARTIES(test_nothing_is_reserved_on_a_removed_volume),
		WITH_PARTIES(test_any_explanation_settles),
		WITH_PARTIES(test_interrupt),
		WITH_PARTIES(test_interrupted_before_it_waits),
		WITH_PARTIES(test_harmless_signal),
		WITH_PARTIES(test_reserve_asks_no_backend),
		WITH_PARTIES(test_shutdown_answers_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
