/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start-up: what a killed attachfs left is finished, and backends are made to agree. */
#include "../lib/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/worker/worker.h"

#define H	"volumes/v/attachments/h"
#define IQN(host) "iqn.2026-11.test:" host

extern char **environ;

/* ---- the process that is killed: this program again, with a folder and a scene ---- */

static void begin_provision(struct fixture *f)
{
	fixture_faults(f, "provision delay 60000\n");
	assert_int_equal(fixture_mkdir(f, "volumes/u"), 0);
	fixture_begin_write(f, "volumes/u/size", "1G\n");
	fixture_await(f, "volumes/u/status", "creating\n");
}

static void begin_extend(struct fixture *f)
{
	fixture_faults(f, "extend delay 60000\n");
	fixture_begin_write(f, "volumes/v/size", "2G\n");
	fixture_await(f, "volumes/v/status", "extending\n");
}

static void begin_attach(struct fixture *f)
{
	fixture_faults(f, "export delay 60000\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_begin_write(f, H "/mode", "ro\n");
	fixture_await(f, H "/status", "attaching\n");
}

static void begin_probe(struct fixture *f)
{
	fixture_faults(f, "probe delay 60000\n");
	assert_int_equal(fixture_mkdir(f, H), 0);
	fixture_begin_write(f, H "/mode", "ro\n");
	fixture_await_exports(f, "ro " IQN("h") "\n");
}

static void begin_switch(struct fixture *f)
{
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), 0);
	fixture_faults(f, "export delay 60000\n");
	fixture_begin_write(f, H "/mode", "ro\n");
	fixture_await(f, H "/status", "attaching\n");
}

static void begin_detach(struct fixture *f)
{
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), 0);
	fixture_faults(f, "unexport delay 60000\n");
	fixture_begin_rmdir(f, H);
	fixture_await(f, H "/status", "detaching\n");
}

static void begin_purge(struct fixture *f)
{
	fixture_faults(f, "purge delay 60000\n");
	assert_int_equal(fixture_rmdir(f, "volumes/v"), 0);
}

static void begin_nothing(struct fixture *f)
{
	assert_int_equal(fixture_mkdir(f, H), 0);
	assert_int_equal(fixture_write(f, H "/mode", "rw\n"), 0);
	assert_int_equal(fixture_mkdir(f, "volumes/v/attachments/reserved"), 0);
}

/* ---- what the next process must make of it ---- */

static void is_attached(struct fixture *f, const char *mode)
{
	char exports[128], line[8];

	snprintf(exports, sizeof(exports), "%s " IQN("h") "\n", mode);
	snprintf(line, sizeof(line), "%s\n", mode);
	fixture_await(f, H "/status", "attached\n");
	fixture_expect(f, H "/effective_mode", line);
	fixture_await_exports(f, exports);
}

static void is_attached_ro(struct fixture *f)
{
	is_attached(f, "ro");
}

static void is_attached_rw(struct fixture *f)
{
	is_attached(f, "rw");
	fixture_expect(f, "volumes/v/attachments/reserved/status", "reserved\n");
}

static void is_provisioned(struct fixture *f)
{
	fixture_await(f, "volumes/u/status", "available\n");
	fixture_expect(f, "volumes/u/size_bytes", "1073741824\n");
}

static void is_extended(struct fixture *f)
{
	fixture_await(f, "volumes/v/size_bytes", "2147483648\n");
	fixture_expect(f, "docks/mem/pools/many/provisioned_capacity", "2147483648\n");
}

static void is_detached(struct fixture *f)
{
	fixture_await_gone(f, H);
	fixture_await_exports(f, "");
	fixture_expect(f, "volumes/v/status", "available\n");
	assert_string_equal(fixture_list(f, "hosts/h/attachments"), "");
}

static void is_purged(struct fixture *f)
{
	assert_false(fixture_exists(f, "volumes/v"));
	fixture_await(f, "docks/mem/pools/many/provisioned_capacity", "0\n");
}

static const struct scene {
	void (*begin)(struct fixture *f);
	void (*check)(struct fixture *f);
} scenes[] = {
	{begin_provision, is_provisioned}, {begin_extend, is_extended},
	{begin_attach, is_attached_ro},	   {begin_probe, is_attached_ro},
	{begin_switch, is_attached_ro},	   {begin_detach, is_detached},
	{begin_purge, is_purged},	   {begin_nothing, is_attached_rw},
};

/* In a group of its own, so that a failed assertion ends it like one here. */
static const char *victim_dir;
static unsigned victim_scene;

static void play_victim(void **state)
{
	static struct fixture f;

	(void)state;
	fixture_adopt(&f, victim_dir);
	fixture_start(&f, true);
	fixture_host(&f, "h");
	fixture_volume(&f, "v", true, "many", "1G\n");
	scenes[victim_scene].begin(&f);
	_exit(0); /* as a SIGKILL: nothing is closed */
}

static void kill_in_scene(struct fixture *f, unsigned scene)
{
	char number[16], name[] = "recover_test";
	char *argv[] = {name, f->dir, number, NULL};
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%u", scene);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_killed_in_the_midst(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct fixture f;

		fixture_init(&f);
		fixture_default_dock(&f);
		kill_in_scene(&f, i);
		fixture_faults(&f, "");
		fixture_start(&f, true);
		scenes[i].check(&f);
		fixture_await_settled(&f);
		fixture_free(&f);
	}
}

/* ---- ended in good order ---- */

/* The memory driver has forgotten everything when it is opened again. */
static void test_exports_are_applied_at_start(void **state)
{
	struct fixture *f = *state;
	const char *generation = fixture_read(f, H "/generation");
	const char *secret = fixture_read(f, H "/connection/auth_password");

	fixture_stop(f);
	fixture_start(f, true);
	fixture_await_exports(f, "rw " IQN("h") "\n");
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, H "/generation", generation);
	fixture_expect(f, H "/connection/auth_password", secret);
}

static void test_restarted_backend_gets_its_exports_back(void **state)
{
	struct fixture *f = *state;

	fixture_faults(f, "restart\nexport delay 60000\n");
	fixture_await_exports(f, "");
	fixture_faults(f, "");
	fixture_await_exports(f, "rw " IQN("h") "\n");
	fixture_expect(f, H "/status", "attached\n");
	fixture_expect(f, "docks/mem/status", "available\n");
}

static void put_export(struct fixture *f, const char *volume_id, const char *initiator)
{
	struct dock_worker *d = fixture_dock_worker(f);
	struct backend_volume volume = {.pool = "many", .size_bytes = 1 << 30};
	struct backend_export e = {.mode = ACCESS_RW, .chap_user = "stranger"};
	struct backend_connection connection;
	struct error err;

	text_copy(volume.id, sizeof(volume.id), text_trim(text_of(volume_id)));
	text_copy(e.initiator, sizeof(e.initiator), text_of(initiator));
	assert_int_equal(d->driver->export(d->backend, &volume, &e, &connection, &err), 0);
}

/* Exports that nobody asked for are found when the backend is back after an absence. */
static void test_strangers_are_removed(void **state)
{
	struct fixture *f = *state;

	put_export(f, "00000000-0000-4000-8000-000000000000", "iqn.2026-11.test:ghost");
	put_export(f, fixture_read(f, "volumes/v/id"), "iqn.2026-11.test:intruder");
	fixture_volume(f, "w", false, NULL, "1G\n");
	put_export(f, fixture_read(f, "volumes/w/id"), IQN("h"));
	fixture_faults(f, "check fail ECONNREFUSED\n");
	fixture_await(f, "docks/mem/status", "unavailable\n");
	fixture_expect_in(fixture_read(f, "docks/mem/last_error"), "check");
	fixture_expect(f, "docks/mem/pools/many/status", "unavailable\n");
	fixture_faults(f, "");
	fixture_await(f, "docks/mem/status", "available\n");
	fixture_await_exports(f, "rw " IQN("h") "\n");
	fixture_expect(f, H "/status", "attached\n");
}

static int copy_user(void *arg, const char *volume_id, const struct backend_export *e)
{
	(void)volume_id;
	buf_str(arg, e->chap_user);
	return 0;
}

static bool exported_to_user(struct fixture *f, const char *user)
{
	struct dock_worker *d = fixture_dock_worker(f);
	struct error err;
	BUF_AUTO(users);

	assert_int_equal(d->driver->list_exports(d->backend, NULL, copy_user, &users, &err), 0);
	return text_equal(buf_as_text(&users), text_trim(text_of(user)));
}

/* The same initiator with a secret of an earlier generation is a stranger too. */
static void test_old_secret_is_a_stranger(void **state)
{
	struct fixture *f = *state;
	const char *user = fixture_read(f, H "/connection/auth_username");
	int64_t end = monotonic_ms() + PATIENCE_MS;

	put_export(f, fixture_read(f, "volumes/v/id"), IQN("h"));
	assert_false(exported_to_user(f, user));
	fixture_faults(f, "check fail ECONNREFUSED\n");
	fixture_await(f, "docks/mem/status", "unavailable\n");
	fixture_faults(f, "");
	fixture_await(f, "docks/mem/status", "available\n");
	while (!exported_to_user(f, user) && monotonic_ms() < end)
		sched_yield();
	assert_true(exported_to_user(f, user));
}

/* What has failed for now when attachfs ends is tried again when it starts. */
static void test_resting_work_is_taken_up(void **state)
{
	struct fixture *f = *state;
	struct call *call;

	fixture_faults(f, "unexport fail EAGAIN\n");
	call = fixture_begin_rmdir(f, H);
	fixture_await(f, H "/last_error",
		      "unexport: injected failure: Resource temporarily unavailable\n");
	core_stop_waiting(f->core);
	assert_int_equal(fixture_wait(call, 0), -ESHUTDOWN);
	worker_close(f->worker);
	f->worker = NULL;
	fixture_stop(f);
	fixture_faults(f, "");
	fixture_start(f, true);
	fixture_await_gone(f, H);
	fixture_await_exports(f, "");
}

/* Ids and numbers are never used twice, not even by the next process. */
static void test_numbers_go_on(void **state)
{
	struct fixture *f = *state;
	struct ref before, after;

	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	assert_int_equal(fixture_ref(f, "volumes/w", &before), 0);
	assert_int_equal(fixture_rmdir(f, "volumes/w"), 0);
	fixture_stop(f);
	fixture_start(f, true);
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	assert_int_equal(fixture_ref(f, "volumes/w", &after), 0);
	assert_true(after.object > before.object);
}

/* A pool that the configuration has dropped keeps its volumes and gets no new ones. */
static void test_dropped_pool_stays_with_its_volumes(void **state)
{
	struct fixture *f = *state;

	fixture_stop(f);
	fixture_dock(f, "mem", "  one: {totalCapacity: 100}\n");
	fixture_start(f, true);
	fixture_expect(f, "docks/mem/pools/many/status", "unavailable\n");
	fixture_expect(f, "docks/mem/pools/one/status", "available\n");
	fixture_expect(f, H "/status", "attached\n");
	assert_int_equal(fixture_mkdir(f, "volumes/w"), 0);
	assert_int_equal(fixture_write(f, "volumes/w/pool", "many\n"), 0);
	assert_int_equal(fixture_write(f, "volumes/w/size", "1G\n"), -ENODEV);
	fixture_expect_in(fixture_read(f, "volumes/w/last_error"), "mem:many: it is unavailable");
}

#define ATTACHED(test) cmocka_unit_test_setup_teardown(test, fixture_setup_attached, fixture_teardown)

static int run_victim(char **argv)
{
	const struct CMUnitTest victim[] = {cmocka_unit_test(play_victim)};

	victim_dir = argv[1];
	victim_scene = (unsigned)(argv[2][0] - '0');
	return cmocka_run_group_tests(victim, NULL, NULL) ?: 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_in_the_midst),
		ATTACHED(test_exports_are_applied_at_start),
		ATTACHED(test_restarted_backend_gets_its_exports_back),
		ATTACHED(test_strangers_are_removed),
		ATTACHED(test_old_secret_is_a_stranger),
		ATTACHED(test_resting_work_is_taken_up),
		ATTACHED(test_numbers_go_on),
		ATTACHED(test_dropped_pool_stays_with_its_volumes),
	};

	if (argc == 3)
		return run_victim(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
