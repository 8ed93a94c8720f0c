/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver to begin with: it compiles, refuses everything politely, and says what is expected. */
#include "attachfs/driver.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * How to make it a driver of attachfs:
 *	1. Copy this file to src/drivers/NAME.c and rename `template`.
 *	2. Declare `extern const struct driver NAME_driver;` in src/drivers/drivers.h and add
 *	   &NAME_driver to the list in src/drivers/drivers.c. There is no other place.
 *	3. Fill in the functions. include/attachfs/driver.h is the contract: above each member
 *	   stands what it has to do; src/drivers/memory.c does it in the simplest way.
 *	4. `make check-drivers`: the sweep runs over every driver of the list. Give it a dock in
 *	   tests/lib/bed.c if yours needs settings.
 *
 * What goes wrong most often, so the sweep looks for it:
 *	- an attach or a detach that other hosts notice: touch nothing but this host's access;
 *	- an export that is wider than one host, for instance by its address;
 *	- a detach that leaves a session, or lets the host in again: prove that it does not;
 *	- a call that fails when it was half done before: each call is repeated until it is 0.
 */

/* What the driver knows of one dock. Calls for different volumes come from several threads. */
struct backend {
	const struct dock_conf *dock; /* outlives the backend; read-only */
	pthread_mutex_t lock;	      /* of everything below */
	uint64_t epoch;
};

/* Keys of our own: a map in the dock's file, here `template: {endpoint: ADDRESS}`. */
static int template_check_config(const struct dock_conf *dock, struct error *err)
{
	const struct conf_node *map = NULL;
	const char *endpoint = NULL;
	int rc = conf_map(dock->root, "template", &map, err);

	if (!rc)
		rc = conf_string(map, "endpoint", &endpoint, err);
	if (!rc && endpoint && !*endpoint)
		rc = conf_fail(conf_get(map, "endpoint"), err, "endpoint: expected an address");
	return rc;
}

static int template_open(const struct dock_conf *dock, const char *state_dir,
			 struct backend **ret, struct error *err)
{
	struct backend *b = calloc(1, sizeof(*b));

	(void)state_dir; /* a folder below it may hold sockets and the like, mode 0700 */
	if (!b)
		return error_set(err, ENOMEM, "out of memory");
	b->dock = dock;
	pthread_mutex_init(&b->lock, NULL);
	*ret = b;
	return 0;
}

/* Hosts go on as if nothing had happened. */
static void template_close(struct backend *b)
{
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* Another number whenever the backend has lost its exports. Called about once a second. */
static int template_check(struct backend *b, uint64_t *ret_epoch, struct error *err)
{
	(void)err;
	pthread_mutex_lock(&b->lock);
	*ret_epoch = b->epoch;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

static int template_pool_usage(struct backend *b, const char *pool, struct pool_usage *ret,
			       struct error *err)
{
	for (size_t i = 0; i < b->dock->n_pools; i++) {
		if (!text_is(text_of(pool), b->dock->pools[i].name))
			continue;
		*ret = (struct pool_usage){
			.total = b->dock->pools[i].total_bytes,
			.free = b->dock->pools[i].total_bytes,
		};
		return 0;
	}
	return error_set(err, ENOENT, "pool %s is not in the configuration", pool);
}

/* One sentence that says what was refused and what to do. */
static int not_yet(const char *what, const struct backend_volume *volume, struct error *err)
{
	return error_set(err, EOPNOTSUPP, "cannot %s volume %s: the template driver does nothing "
			 "yet", what, volume->id);
}

/* Makes storage named volume->id; 0, too, if it is there with that size. */
static int template_provision(struct backend *b, const struct backend_volume *volume,
			      struct error *err)
{
	(void)b;
	return not_yet("provision", volume, err);
}

static int template_extend(struct backend *b, const struct backend_volume *volume,
			   struct error *err)
{
	(void)b;
	return not_yet("extend", volume, err);
}

/* 0, too, if it is gone. */
static int template_purge(struct backend *b, const struct backend_volume *volume,
			  struct error *err)
{
	(void)b;
	(void)volume;
	(void)err;
	return 0;
}

/* Set up everything first, admit the host last: until then nobody gets in. */
static int template_export(struct backend *b, const struct backend_volume *volume,
			   const struct backend_export *export_, struct backend_connection *ret,
			   struct error *err)
{
	(void)b;
	(void)export_;
	(void)ret;
	return not_yet("export", volume, err);
}

/* Look with the host's eyes; for iSCSI that is probe_look() of attachfs/probe.h. */
static int template_probe(struct backend *b, const struct backend_volume *volume,
			  const struct backend_export *export_,
			  const struct backend_connection *connection,
			  enum access_mode *ret_mode, struct probe **ret_left,
			  struct error *err)
{
	(void)b;
	(void)export_;
	(void)connection;
	(void)ret_mode;
	(void)ret_left;
	return not_yet("probe", volume, err);
}

/* Remove the access, end the sessions, see that none is left, see that a login is refused
 * (probe_refused()). What cannot be asked about is not gone: return an error then. */
static int template_unexport(struct backend *b, const struct backend_volume *volume,
			     const struct backend_export *export_, struct error *err)
{
	(void)b;
	(void)volume;
	(void)export_;
	(void)err;
	return 0; /* nothing was ever exported */
}

/* The same for both modes, and a refused login is not spared: probe_refused(). What does not
 * answer at all has refused nothing. */
static int template_fence(struct backend *b, const struct backend_volume *volume,
			  const struct backend_export *export_, struct error *err)
{
	(void)b;
	(void)volume;
	(void)export_;
	(void)err;
	return 0;
}

static int template_sessions(struct backend *b, const struct backend_volume *volume,
			     const struct backend_export *export_, session_fn *fn, void *arg,
			     struct error *err)
{
	(void)b;
	(void)volume;
	(void)export_;
	(void)fn;
	(void)arg;
	(void)err;
	return 0;
}

static int template_end_sessions(struct backend *b, const struct backend_volume *volume,
				 const struct backend_export *export_, struct error *err)
{
	(void)b;
	(void)volume;
	(void)export_;
	(void)err;
	return 0;
}

/* What the backend has, not what it was told: attachfs compares. No locks while `fn` runs. */
static int template_list_exports(struct backend *b, const char *volume_id, export_fn *fn,
				 void *arg, struct error *err)
{
	(void)b;
	(void)volume_id;
	(void)fn;
	(void)arg;
	(void)err;
	return 0;
}

/* Claim only what is true: placement and the read-only promise rely on it. */
extern const struct driver template_driver;
const struct driver template_driver = {
	.name = "template",
	.capabilities = DRIVER_MULTIATTACH | DRIVER_RO_ENFORCED,
	.check_config = template_check_config,
	.open = template_open,
	.close = template_close,
	.check = template_check,
	.pool_usage = template_pool_usage,
	.provision = template_provision,
	.extend = template_extend,
	.purge = template_purge,
	.export = template_export,
	.probe = template_probe,
	.unexport = template_unexport,
	.fence = template_fence,
	.sessions = template_sessions,
	.end_sessions = template_end_sessions,
	.list_exports = template_list_exports,
};
