/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every driver must do: the same tests over each entry of drivers[]. */
#include "../lib/bed.h"

#include "attachfs/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOSTS 4

static const char *driver_name;

/* One host's attachment, as the test knows it. */
struct attached {
	struct backend_export e;
	struct backend_connection c;
	bool on;
};

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	if (!bed)
		return -1;
	bed_open(bed, driver_name, NULL);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	bed_close(*state);
	free(*state);
	return 0;
}

static void attach(struct bed *bed, const struct backend_volume *v, struct attached *a)
{
	enum access_mode seen = ACCESS_NONE;

	bed_ok(bed, bed->driver->export(bed->backend, v, &a->e, &a->c, &bed->err));
	bed_ok(bed, bed->driver->probe(bed->backend, v, &a->e, &a->c, &seen, NULL,
					 &bed->err));
	assert_int_equal(seen, a->e.mode);
	a->on = true;
}

static void detach(struct bed *bed, const struct backend_volume *v, struct attached *a)
{
	bed_ok(bed, bed->driver->unexport(bed->backend, v, &a->e, &bed->err));
	a->on = false;
}

static struct attached attached(unsigned host, enum access_mode mode)
{
	return (struct attached){.e = bed_export(host, mode)};
}

static int login_once(const struct host_login *login)
{
	struct host *h;
	int rc = host_open(login, &h);

	if (!rc)
		host_close(h);
	return rc;
}

/* Under its own name, and under each other's name with its own secret. */
static void check_logins(struct bed *bed, struct attached *all, size_t n)
{
	for (size_t i = 0; bed->real && i < n; i++) {
		struct host_login login = bed_login(&all[i].e, &all[i].c);

		if (!all[i].c.target_iqn[0])
			continue;
		if (all[i].on)
			assert_int_equal(login_once(&login), 0);
		for (size_t k = 0; k < n; k++) {
			if (k == i && all[i].on)
				continue;
			login.initiator = all[k].e.initiator;
			assert_int_not_equal(login_once(&login), 0);
		}
	}
}

struct expectation {
	const struct attached *all;
	size_t n, seen;
	const char *volume_id;
};

static int expect_export(void *arg, const char *volume_id, const struct backend_export *e)
{
	struct expectation *x = arg;

	assert_string_equal(volume_id, x->volume_id);
	assert_string_equal(e->chap_secret, "");
	for (size_t i = 0; i < x->n; i++) {
		if (strcmp(x->all[i].e.initiator, e->initiator))
			continue;
		assert_true(x->all[i].on);
		assert_int_equal(x->all[i].e.mode, e->mode);
		assert_string_equal(x->all[i].e.chap_user, e->chap_user);
		x->seen++;
		return 0;
	}
	fail_msg("unexpected export of %s", e->initiator);
	return 0;
}

static void check_list(struct bed *bed, const struct backend_volume *v,
		       const struct attached *all, size_t n)
{
	size_t on = 0;

	for (size_t i = 0; i < n; i++)
		on += all[i].on;
	for (int whole = 0; whole < 2; whole++) {
		struct expectation x = {all, n, 0, v->id};

		bed_ok(bed, bed->driver->list_exports(bed->backend, whole ? NULL : v->id,
						      expect_export, &x, &bed->err));
		assert_int_equal(x.seen, on);
	}
}

/* Attach 4 hosts in one order and detach them in every order; all in the same mode. */
static void run_order(struct bed *bed, const struct backend_volume *v, const unsigned *order,
		      enum access_mode mode)
{
	struct attached all[HOSTS];

	for (unsigned i = 0; i < HOSTS; i++)
		all[i] = attached(i, mode);
	for (unsigned i = 0; i < HOSTS; i++)
		attach(bed, v, &all[i]);
	check_list(bed, v, all, HOSTS);
	for (unsigned i = 0; i < HOSTS; i++) {
		detach(bed, v, &all[order[i]]);
		check_logins(bed, all, HOSTS);
		check_list(bed, v, all, HOSTS);
	}
}

static void each_order_of_detach(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(1);
	unsigned o[HOSTS];

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	for (unsigned n = 0; n < HOSTS * HOSTS * HOSTS * HOSTS; n++) {
		unsigned rest = n, used = 0;

		for (unsigned i = 0; i < HOSTS; i++) {
			o[i] = rest % HOSTS;
			used |= 1U << o[i];
			rest /= HOSTS;
		}
		if (used == (1U << HOSTS) - 1)
			run_order(bed, &v, o, n % 2 ? ACCESS_RW : ACCESS_RO);
	}
}

/* Hosts come and go at random; whoever is attached gets in, whoever is not does not. */
static void random_comings_and_goings(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(2);
	struct attached all[HOSTS] = {0};

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	srand(4711);
	for (unsigned i = 0; i < HOSTS; i++)
		all[i] = attached(i, i % 2 ? ACCESS_RO : ACCESS_RW);
	for (int step = 0; step < 60; step++) {
		struct attached *a = &all[rand() % HOSTS];

		if (a->on)
			detach(bed, &v, a);
		else
			attach(bed, &v, a);
		check_logins(bed, all, HOSTS);
		check_list(bed, &v, all, HOSTS);
	}
}

/* Someone else's attach and detach, in both modes, while a writer is at work. */
static void a_writer_notices_nothing(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(3);
	struct attached writer = attached(0, ACCESS_RW), reader = attached(1, ACCESS_RO);
	char before[HOST_IDENTITY], after[HOST_IDENTITY];
	struct host_writer *w;
	struct host *h;
	struct host_login login;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &writer);
	login = bed_login(&writer.e, &writer.c);
	assert_int_equal(host_open(&login, &h), 0);
	assert_int_equal(host_identity(h, before, sizeof(before)), 0);
	assert_int_equal(host_writer_start(&login, 7, 100, &w), 0);
	attach(bed, &v, &reader);
	for (unsigned i = 0; i < 50; i++) {
		struct attached guest = attached(2 + i, i % 2 ? ACCESS_RO : ACCESS_RW);
		unsigned long count = host_writer_count(w);

		attach(bed, &v, &guest);
		detach(bed, &v, &guest);
		assert_int_equal(host_writer_failure(w), 0);
		for (int k = 0; k < 2000 && host_writer_count(w) == count; k++)
			usleep(500);
		assert_true(host_writer_count(w) > count);
	}
	detach(bed, &v, &reader);
	assert_int_equal(host_alive(h), 0);
	assert_int_equal(host_identity(h, after, sizeof(after)), 0);
	assert_string_equal(before, after);
	assert_int_equal(host_writer_stop(w), 0);
	host_close(h);
}

static void a_detached_writer_is_stopped(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(4);
	struct attached victim = attached(0, ACCESS_RW), other = attached(1, ACCESS_RW);
	struct host_login login;
	struct host_writer *w;
	uint64_t sum;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &victim);
	attach(bed, &v, &other);
	login = bed_login(&victim.e, &victim.c);
	assert_int_equal(host_writer_start(&login, 0, 10, &w), 0);
	while (host_writer_count(w) < 20)
		usleep(1000);
	detach(bed, &v, &victim);
	sum = bed_checksum(bed, &v);
	assert_int_not_equal(host_writer_stop(w), 0);
	assert_true(sum == bed_checksum(bed, &v));
	assert_int_equal(login_once(&login), -EACCES);
	detach(bed, &v, &other);
}

/* ---- fences ---- */

static void fence(struct bed *bed, const struct backend_volume *v, struct attached *a)
{
	struct backend_export e = a->e;

	/* Of whatever mode it is told, it is out of both. */
	e.mode = e.mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
	bed_ok(bed, bed->driver->fence(bed->backend, v, &e, &bed->err));
	a->on = false;
}

/* Each of four hosts in either mode is fenced in turn, twice, and comes back with a new secret. */
static void fenced_hosts_are_out(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(12);
	struct attached all[HOSTS];

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	for (unsigned i = 0; i < HOSTS; i++) {
		all[i] = attached(i, i % 2 ? ACCESS_RO : ACCESS_RW);
		fence(bed, &v, &all[i]); /* which was never there */
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < HOSTS; i++)
			attach(bed, &v, &all[i]);
		for (unsigned i = 0; i < HOSTS; i++) {
			fence(bed, &v, &all[i]);
			check_logins(bed, all, HOSTS);
			check_list(bed, &v, all, HOSTS);
			fence(bed, &v, &all[i]);
			check_list(bed, &v, all, HOSTS);
		}
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		struct attached again = all[i];

		snprintf(again.e.chap_user, sizeof(again.e.chap_user), "again%u", i);
		snprintf(again.e.chap_secret, sizeof(again.e.chap_secret), "new-secret-of-%u", i);
		attach(bed, &v, &again);
		check_logins(bed, all, HOSTS); /* the old one is worth nothing */
		check_list(bed, &v, &again, 1);
		fence(bed, &v, &again);
	}
}

/* A host that has hung, or does not want to go: logs in as often as it can, and writes. */
struct stubborn {
	struct host_login login;
	uint64_t lba;
	atomic_bool stop;
	atomic_ulong logins, writes;
	pthread_t thread;
};

static void *come_back(void *arg)
{
	struct stubborn *s = arg;
	unsigned char block[HOST_BLOCK];
	struct host *h;

	while (!s->stop) {
		if (host_open(&s->login, &h)) {
			usleep(200);
			continue;
		}
		s->logins++;
		do
			memset(block, (int)++s->writes, sizeof(block));
		while (!s->stop && !host_write(h, s->lba, block, 1));
		host_drop(h);
	}
	return NULL;
}

static void start_stubborn(struct stubborn *s, const struct attached *a, uint64_t lba)
{
	s->login = bed_login(&a->e, &a->c);
	s->lba = lba;
	assert_int_equal(pthread_create(&s->thread, NULL, come_back, s), 0);
	while (s->writes < 20)
		usleep(1000);
}

static void stop_stubborn(struct stubborn *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
}

static void a_stubborn_writer_is_fenced(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(13);
	struct attached victim = attached(0, ACCESS_RW), other = attached(1, ACCESS_RW);
	struct host_writer *w;
	struct host_login login;
	unsigned char before[HOST_BLOCK], after[HOST_BLOCK];

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &other);
	login = bed_login(&other.e, &other.c);
	assert_int_equal(host_writer_start(&login, 9, 500, &w), 0);
	for (int i = 0; i < 10; i++) {
		struct stubborn s[3] = {0};
		unsigned long writes;

		attach(bed, &v, &victim);
		for (int k = 0; k < 3; k++)
			start_stubborn(&s[k], &victim, 0);
		fence(bed, &v, &victim);
		bed_read_block(bed, &v, 0, before);
		writes = host_writer_count(w);
		for (int k = 0; k < 2000 && host_writer_count(w) < writes + 5; k++)
			usleep(1000);
		assert_true(host_writer_count(w) >= writes + 5);
		bed_read_block(bed, &v, 0, after);
		for (int k = 0; k < 3; k++)
			stop_stubborn(&s[k]);
		assert_memory_equal(before, after, sizeof(before));
		check_list(bed, &v, &other, 1);
	}
	assert_int_equal(host_writer_stop(w), 0);
}

/* It has shown its name and secret, and sends the login's last message after the fence. */
static void an_unfinished_login_is_fenced(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(14);
	struct attached victim = attached(0, ACCESS_RW), other = attached(1, ACCESS_RO);
	struct host_login login;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &other);
	for (unsigned alone = 0; alone < 2; alone++) {
		for (unsigned stage = 1; stage <= 4; stage++) {
			struct host *h;

			attach(bed, &v, &victim);
			login = bed_login(&victim.e, &victim.c);
			assert_int_equal(host_open_until(&login, stage, &h), 0);
			fence(bed, &v, &victim);
			assert_int_not_equal(host_finish(h), 0);
			host_drop(h);
		}
		if (!alone)
			fence(bed, &v, &other);
	}
}

static void *knock(void *arg)
{
	struct stubborn *s = arg;
	struct host *h;

	while (!s->stop) {
		if (!host_open(&s->login, &h))
			host_close(h);
		s->logins++;
	}
	return NULL;
}

/* There is hardly a moment without a login under way, and none of them gets in. */
static void who_knocks_does_not_hold_up_others(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(15);
	struct attached host = attached(0, ACCESS_RW), other = attached(1, ACCESS_RW);
	struct backend_connection c; /* of their own: attaching writes to the host's */
	struct stubborn s[8] = {0};

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &host);
	attach(bed, &v, &other);
	c = host.c;
	for (int k = 0; k < 8; k++) {
		s[k].login = bed_login(k % 2 ? &other.e : &host.e, &c);
		if (k < 4)
			s[k].login.secret = "not-the-right-one";
		assert_int_equal(pthread_create(&s[k].thread, NULL, knock, &s[k]), 0);
	}
	for (int i = 0; i < 20; i++) {
		if (i % 2)
			detach(bed, &v, &host);
		else
			fence(bed, &v, &host);
		attach(bed, &v, &host);
	}
	for (int k = 0; k < 8; k++) {
		assert_true(s[k].logins > 0);
		stop_stubborn(&s[k]);
	}
}

static void a_reader_cannot_write(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(5);
	struct attached writer = attached(0, ACCESS_RW), reader = attached(1, ACCESS_RO);
	unsigned char block[HOST_BLOCK];
	struct host_login login;
	struct host *h;
	uint64_t sum;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &writer);
	attach(bed, &v, &reader);
	login = bed_login(&writer.e, &writer.c);
	assert_int_equal(host_open(&login, &h), 0);
	memset(block, 0x11, sizeof(block));
	assert_int_equal(host_write(h, 0, block, 1), 0);
	host_close(h);
	sum = bed_checksum(bed, &v);
	login = bed_login(&reader.e, &reader.c);
	assert_int_equal(host_open(&login, &h), 0);
	for (size_t i = 0; host_opcode_name(i); i++)
		if (host_opcode(h, i) != -EIO)
			fail_msg("%s was not refused", host_opcode_name(i));
	assert_true(sum == bed_checksum(bed, &v));
	memset(block, 0, sizeof(block));
	assert_int_equal(host_read(h, 0, block, 1), 0);
	assert_int_equal(block[17], 0x11);
	host_close(h);
	/* The rw target, which exists, is not the reader's to use. */
	login.target = writer.c.target_iqn;
	assert_int_equal(login_once(&login), -EACCES);
}

static void repeats_are_harmless(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(6);
	struct attached a = attached(0, ACCESS_RW), again = a;

	for (int i = 0; i < 2; i++)
		bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &a);
	attach(bed, &v, &again);
	assert_string_equal(a.c.target_iqn, again.c.target_iqn);
	assert_string_equal(a.c.target_portal, again.c.target_portal);
	check_list(bed, &v, &a, 1);
	for (int i = 0; i < 2; i++)
		detach(bed, &v, &a);
	check_list(bed, &v, &a, 1);
	for (int i = 0; i < 2; i++)
		bed_ok(bed, bed->driver->purge(bed->backend, &v, &bed->err));
}

static void a_mode_is_switched(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(7);
	struct attached a = attached(0, ACCESS_RW);
	struct host_login old;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &a);
	for (int i = 0; i < 4; i++) {
		struct backend_connection before = a.c;

		a.e.mode = a.e.mode == ACCESS_RW ? ACCESS_RO : ACCESS_RW;
		attach(bed, &v, &a);
		check_list(bed, &v, &a, 1);
		old = bed_login(&a.e, &before);
		if (bed->real)
			assert_int_not_equal(login_once(&old), 0);
	}
	detach(bed, &v, &a);
}

static void it_grows_online(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(8);
	struct attached rw = attached(0, ACCESS_RW), ro = attached(1, ACCESS_RO);
	struct host_login login;
	struct host_writer *w = NULL;
	struct host *h = NULL;
	uint64_t bytes = 0;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &rw);
	attach(bed, &v, &ro);
	login = bed_login(&rw.e, &rw.c);
	if (bed->real) {
		assert_int_equal(host_open(&login, &h), 0);
		assert_int_equal(host_writer_start(&login, 3, 1, &w), 0);
	}
	for (int i = 0; i < 40; i++) {
		v.size_bytes += i % 2 ? 0 : 1 << 20;
		bed_ok(bed, bed->driver->extend(bed->backend, &v, &bed->err));
	}
	attach(bed, &v, &rw);
	attach(bed, &v, &ro);
	if (bed->real) {
		assert_int_equal(host_capacity(h, &bytes), 0);
		assert_int_equal(bytes, v.size_bytes);
		assert_int_equal(host_writer_stop(w), 0);
		host_close(h);
	}
}

static int count_session(void *arg, const struct backend_session *s)
{
	assert_string_equal(s->initiator, bed_export(0, ACCESS_RW).initiator);
	/* Known since no earlier than this process, no later than now. */
	assert_true(s->since <= time_now() && s->since > time_now() - 600 * 1000000000LL);
	++*(int *)arg;
	return 0;
}

static void sessions_are_counted_and_ended(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(9);
	struct attached a = attached(0, ACCESS_RW), b = attached(1, ACCESS_RW);
	struct host_login login_a, login_b;
	struct host *ha, *hb;
	int n = 0;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &a);
	attach(bed, &v, &b);
	bed_ok(bed, bed->driver->sessions(bed->backend, &v, &a.e, count_session, &n, &bed->err));
	assert_int_equal(n, 0);
	login_a = bed_login(&a.e, &a.c);
	login_b = bed_login(&b.e, &b.c);
	assert_int_equal(host_open(&login_a, &ha), 0);
	assert_int_equal(host_open(&login_b, &hb), 0);
	bed_ok(bed, bed->driver->sessions(bed->backend, &v, &a.e, count_session, &n, &bed->err));
	assert_int_equal(n, 1);
	bed_ok(bed, bed->driver->end_sessions(bed->backend, &v, &a.e, &bed->err));
	assert_int_equal(host_alive(ha), -ECONNRESET);
	assert_int_equal(host_alive(hb), 0);
	assert_int_equal(login_once(&login_a), 0);
	host_drop(ha);
	host_close(hb);
}

/* What was seen is known before the session has ended; afterwards there is none. */
static void probe_apart(struct bed *bed, const struct backend_volume *v, struct attached *a, int want)
{
	struct probe *left = NULL;
	enum access_mode seen;
	int n = 0;

	assert_int_equal(bed->driver->probe(bed->backend, v, &a->e, &a->c, &seen, &left, &bed->err),
			 want);
	if (left)
		bed->driver->probe_end(left);
	bed_ok(bed, bed->driver->sessions(bed->backend, v, &a->e, count_session, &n, &bed->err));
	assert_int_equal(n, 0);
}

static void a_probe_leaves_no_session(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(11), larger = v;
	struct attached a = attached(0, ACCESS_RW);

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &a);
	for (int i = 0; i < 50; i++)
		probe_apart(bed, &v, &a, 0);
	larger.size_bytes *= 2;
	if (bed->real)
		probe_apart(bed, &larger, &a, -EIO);
	detach(bed, &v, &a);
}

static uint64_t epoch_of(struct bed *bed)
{
	uint64_t epoch = 0;
	int rc = -EAGAIN; /* a daemon that is just dying */

	for (int i = 0; i < 1000 && rc == -EAGAIN; i++, usleep(rc ? 1000 : 0))
		rc = bed->driver->check(bed->backend, &epoch, &bed->err);
	bed_ok(bed, rc);
	return epoch;
}

/* A backend that has lost everything says so, and takes the same exports again. */
static void a_restart_is_noticed(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(10);
	struct attached all[2] = {attached(0, ACCESS_RW), attached(1, ACCESS_RO)};
	struct backend_connection before;
	uint64_t epoch;
	FILE *file;

	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	attach(bed, &v, &all[0]);
	attach(bed, &v, &all[1]);
	epoch = epoch_of(bed);
	assert_true(epoch == epoch_of(bed));
	if (bed->real) {
		bed_kill_daemon(bed, 0);
	} else {
		file = fopen(bed->control, "we");
		assert_non_null(file);
		fputs("restart\n", file);
		fclose(file);
	}
	assert_true(epoch != epoch_of(bed));
	all[0].on = all[1].on = false;
	check_list(bed, &v, all, 2);
	before = all[0].c;
	attach(bed, &v, &all[0]);
	attach(bed, &v, &all[1]);
	assert_memory_equal(&before, &all[0].c, sizeof(before));
	check_logins(bed, all, 2);
}

/* attachfs is started again while the backend and its hosts go on. */
static void exports_are_adopted(void **state)
{
	struct bed *bed = *state;
	struct backend_volume v = bed_volume(11);
	struct attached all[3] = {attached(0, ACCESS_RW), attached(1, ACCESS_RO),
				  attached(2, ACCESS_RW)};
	struct host_writer *w;
	struct host_login login;

	if (!bed->real)
		skip();
	bed_ok(bed, bed->driver->provision(bed->backend, &v, &bed->err));
	for (int i = 0; i < 3; i++)
		attach(bed, &v, &all[i]);
	login = bed_login(&all[0].e, &all[0].c);
	assert_int_equal(host_writer_start(&login, 0, 200, &w), 0);
	for (int round = 0; round < 3; round++) {
		bed_reopen(bed);
		epoch_of(bed);
		check_list(bed, &v, all, 3);
		check_logins(bed, all, 3);
		attach(bed, &v, &all[1]);
		detach(bed, &v, &all[2]);
		check_logins(bed, all, 3);
		bed_reopen(bed);
		check_list(bed, &v, all, 3);
		attach(bed, &v, &all[2]);
	}
	assert_int_equal(host_writer_stop(w), 0);
	for (int i = 0; i < 3; i++) {
		detach(bed, &v, &all[i]);
		check_logins(bed, all, 3);
	}
}

struct lane {
	struct bed *bed;
	unsigned number;
	int rc;
	struct error err;
};

/* Volume after volume of its own; no assertions here, which must not run beside others. */
static void *drive_lane(void *arg)
{
	struct lane *lane = arg;
	const struct driver *d = lane->bed->driver;
	struct backend *b = lane->bed->backend;
	struct backend_volume v = bed_volume(100 + lane->number);
	enum access_mode seen;

	lane->rc = d->provision(b, &v, &lane->err);
	for (unsigned i = 0; i < 20 && !lane->rc; i++) {
		struct backend_export e[2] = {
			bed_export(lane->number * 100 + i, ACCESS_RW),
			bed_export(lane->number * 100 + i + 50, i % 2 ? ACCESS_RO : ACCESS_RW),
		};
		struct backend_connection c;

		for (int k = 0; k < 2 && !lane->rc; k++) {
			lane->rc = d->export(b, &v, &e[k], &c, &lane->err);
			if (!lane->rc)
				lane->rc = d->probe(b, &v, &e[k], &c, &seen, NULL, &lane->err);
		}
		for (int k = 0; k < 2 && !lane->rc; k++)
			lane->rc = d->unexport(b, &v, &e[k], &lane->err);
	}
	return NULL;
}

static int ignore_export(void *arg, const char *volume_id, const struct backend_export *e)
{
	(void)arg;
	(void)volume_id;
	(void)e;
	return 0;
}

/* As the contract allows: DOCK_WORKERS threads on different volumes, and check() beside them. */
static void volumes_go_in_parallel(void **state)
{
	struct bed *bed = *state;
	struct lane lanes[DOCK_WORKERS];
	pthread_t threads[DOCK_WORKERS];
	uint64_t epoch = epoch_of(bed);

	for (unsigned i = 0; i < DOCK_WORKERS; i++) {
		lanes[i] = (struct lane){.bed = bed, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, drive_lane, &lanes[i]), 0);
	}
	for (int i = 0; i < 20; i++) {
		assert_true(epoch == epoch_of(bed));
		bed_ok(bed, bed->driver->list_exports(bed->backend, NULL, ignore_export, NULL,
						      &bed->err));
		usleep(5000);
	}
	for (unsigned i = 0; i < DOCK_WORKERS; i++) {
		pthread_join(threads[i], NULL);
		if (lanes[i].rc)
			fail_msg("lane %u: %d %s", i, lanes[i].rc, lanes[i].err.text);
	}
}

static void usage_is_told(void **state)
{
	struct bed *bed = *state;
	struct pool_usage usage = {0};

	bed_ok(bed, bed->driver->pool_usage(bed->backend, "pool", &usage, &bed->err));
	assert_int_equal(usage.total, bed->pool.total_bytes);
	assert_true(usage.free <= usage.total && usage.allocated <= usage.total);
	assert_int_not_equal(
		bed->driver->pool_usage(bed->backend, "nowhere", &usage, &bed->err), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(each_order_of_detach),	  TEST(random_comings_and_goings),
		TEST(a_writer_notices_nothing),	  TEST(a_detached_writer_is_stopped),
		TEST(fenced_hosts_are_out),	  TEST(a_stubborn_writer_is_fenced),
		TEST(an_unfinished_login_is_fenced), TEST(a_reader_cannot_write),
		TEST(who_knocks_does_not_hold_up_others),
		TEST(repeats_are_harmless),
		TEST(a_mode_is_switched),	  TEST(it_grows_online),
		TEST(sessions_are_counted_and_ended), TEST(a_probe_leaves_no_session),
		TEST(a_restart_is_noticed),
		TEST(exports_are_adopted),	  TEST(volumes_go_in_parallel),
		TEST(usage_is_told),
	};
	int failed = 0;

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; drivers[i]; i++) {
		driver_name = drivers[i]->name;
		failed += cmocka_run_group_tests_name(driver_name, tests, NULL, NULL);
	}
	return failed;
}
