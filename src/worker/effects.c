/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Effects: each kind of work as calls of the driver, and its outcome told to core. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attachfs/buf.h"
#include "attachfs/clock.h"
#include "attachfs/kill.h"
#include "worker.h"

/* Not an answer but none yet: the same call will be made again. */
static bool is_passing(int rc)
{
	return rc == -ETIMEDOUT || rc == -EAGAIN;
}

static int first_session(void *arg, const struct backend_session *session)
{
	*(struct backend_session *)arg = *session;
	return 1;
}

/* A target lists a session a little longer than its host has it: "logout && rmdir" must work. */
#define LINGER_MS 250

/* 1 if there is one that stays. */
static int find_session(struct dock_worker *d, const struct work *w,
			const struct backend_export *export_, struct backend_session *ret,
			struct error *err)
{
	int64_t end = monotonic_ms() + LINGER_MS;
	int rc;

	while ((rc = d->driver->sessions(d->backend, &w->volume, export_, first_session, ret,
					 err)) == 1 && monotonic_ms() < end)
		usleep(5000);
	return rc;
}

/* -EBUSY, naming the session, while the host is logged in to this export. */
static int check_sessions(struct dock_worker *d, const struct work *w,
			  const struct backend_export *export_, struct error *err)
{
	struct backend_session session;
	BUF_AUTO(since);
	int rc = find_session(d, w, export_, &session, err);

	if (rc != 1)
		return rc;
	if (session.since) {
		buf_str(&since, " since ");
		value_time.format(&session.since, &since);
	}
	return error_set(err, EBUSY, "initiator %s has a live session from %s%s: log it out first",
			 session.initiator,
			 session.address[0] ? session.address : "an unknown address",
			 since.data ?: "");
}

static struct backend_export other_mode(const struct backend_export *export_)
{
	struct backend_export other = *export_;

	other.mode = export_->mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
	return other;
}

/* The backend has done what was to be done, or refused it. */
static int settle(struct dock_worker *d, const struct work *w, int result,
		  const struct backend_connection *connection, enum access_mode seen,
		  const struct error *err)
{
	KILL_POINT(work_done);
	return core_settle(d->core, w, result, connection, seen, err);
}

static void end_probe(struct dock_worker *d, struct probe **left)
{
	if (*left)
		d->driver->probe_end(*left);
	*left = NULL;
}

/* Export and probe; an export that fails its probe is withdrawn, for ever so long. */
static int export_and_probe(struct dock_worker *d, const struct work *w,
			    struct backend_connection *connection, enum access_mode *seen,
			    struct probe **left, struct error *err)
{
	struct error ignored;
	int rc = d->driver->export(d->backend, &w->volume, &w->want, connection, err);

	KILL_POINT(work_exported);
	if (!rc)
		rc = d->driver->probe(d->backend, &w->volume, &w->want, connection, seen, left,
				      err);
	if (rc)
		end_probe(d, left);
	if (rc && !is_passing(rc) &&
	    d->driver->unexport(d->backend, &w->volume, &w->want, &ignored))
		dock_kick(d, w->volume_number, KICK_COMPARE);
	return rc;
}

static int attach(struct dock_worker *d, const struct work *w, struct error *err)
{
	struct backend_export other = other_mode(&w->want);
	struct backend_connection connection = {0};
	enum access_mode seen = ACCESS_NONE;
	struct probe *left = NULL;
	int rc = 0;

	if (w->sessions_forbid)
		rc = check_sessions(d, w, &other, err);
	if (!rc && w->switches) {
		rc = d->driver->unexport(d->backend, &w->volume, &other, err);
		KILL_POINT(work_unexported);
		if (rc) /* what is there is still the old mode: tried again until it is not */
			return rc;
	}
	if (!rc)
		rc = export_and_probe(d, w, &connection, &seen, &left, err);
	if (is_passing(rc))
		return rc;
	rc = settle(d, w, rc, &connection, seen, err);
	end_probe(d, &left); /* the disk took longer than that, and nobody waits for it */
	return rc;
}

/* Both modes: an interrupted switch may have left either. */
static int detach(struct dock_worker *d, const struct work *w, struct error *err)
{
	struct backend_export other = other_mode(&w->want);
	int rc = 0;

	if (w->sessions_forbid)
		rc = check_sessions(d, w, &w->want, err) ?: check_sessions(d, w, &other, err);
	if (rc == -EBUSY) {
		rc = settle(d, w, rc, NULL, ACCESS_NONE, err);
		dock_kick(d, w->volume_number, KICK_COMPARE); /* a switch may be half done */
		return rc;
	}
	if (!rc)
		rc = d->driver->unexport(d->backend, &w->volume, &w->want, err);
	KILL_POINT(work_unexported);
	if (!rc)
		rc = d->driver->unexport(d->backend, &w->volume, &other, err);
	return rc ? rc : settle(d, w, 0, NULL, ACCESS_NONE, NULL);
}

/* Whatever has not been proved is tried again, and told as such. */
static int fence(struct dock_worker *d, const struct work *w, struct error *err)
{
	int rc = d->driver->fence(d->backend, &w->volume, &w->want, err);

	return rc ? rc : settle(d, w, 0, NULL, ACCESS_NONE, NULL);
}

/* The bytes are worth trying for until they are gone. */
static int purge(struct dock_worker *d, const struct work *w, struct error *err)
{
	int rc = d->driver->purge(d->backend, &w->volume, err);

	return rc ? rc : settle(d, w, 0, NULL, ACCESS_NONE, NULL);
}

static int provision(struct dock_worker *d, const struct work *w, struct error *err)
{
	int rc = w->type == WORK_EXTEND ? d->driver->extend(d->backend, &w->volume, err)
					: d->driver->provision(d->backend, &w->volume, err);

	return is_passing(rc) ? rc : settle(d, w, rc, NULL, ACCESS_NONE, err);
}

/* -errno: it is still to be done. */
static int run_work(struct dock_worker *d, const struct work *w)
{
	struct error err = {0};
	int rc = 0;

	KILL_POINT(work_taken);
	switch (w->type) {
	case WORK_PROVISION:
	case WORK_EXTEND:
		rc = provision(d, w, &err);
		break;
	case WORK_PURGE:
		rc = purge(d, w, &err);
		break;
	case WORK_ATTACH:
		rc = attach(d, w, &err);
		break;
	case WORK_DETACH:
		rc = detach(d, w, &err);
		break;
	case WORK_FENCE:
		rc = fence(d, w, &err);
		break;
	}
	if (rc && err.code)
		core_postpone(d->core, w, &err);
	if (rc && !is_passing(rc))
		core_answer(d->core, w, rc, &err);
	return rc;
}

/* Works are collected first: doing them changes what they are collected from. */
struct work_list {
	struct work *works;
	size_t n, size;
};

static int collect(void *arg, const struct work *w)
{
	struct work_list *list = arg;

	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 1;
		struct work *works = reallocarray(list->works, size, sizeof(*works));

		if (!works)
			return -ENOMEM;
		list->works = works;
		list->size = size;
	}
	list->works[list->n] = *w;
	list->works[list->n].volume.pool = NULL; /* it moves with the array */
	list->n++;
	return 0;
}

typedef int collect_fn(struct core *core, uint64_t volume, work_fn *fn, void *arg);

static int for_each_work(struct dock_worker *d, uint64_t volume, collect_fn *from,
			 int (*fn)(struct dock_worker *d, const struct work *w))
{
	struct work_list list = {0};
	int rc = from(d->core, volume, collect, &list);

	for (size_t i = 0; i < list.n; i++) {
		int one;

		list.works[i].volume.pool = list.works[i].pool;
		one = fn(d, &list.works[i]);
		rc = rc ? rc : one;
	}
	free(list.works);
	return rc;
}

static int add_session(void *arg, const struct backend_session *session)
{
	buf_printf(arg, "%s %s ", session->initiator,
		   session->address[0] ? session->address : "-");
	if (session->since)
		value_time.format(&session->since, arg);
	else
		buf_str(arg, "-");
	buf_str(arg, "\n");
	return 0;
}

static int list_sessions(struct dock_worker *d, const struct work *w, struct buf *lines)
{
	struct backend_session session;
	struct error err = {0};
	int rc = 1;

	if (core_sessions_matter(d->core, w->volume_number, w->object))
		rc = find_session(d, w, &w->want, &session, &err);
	if (rc == 1)
		rc = d->driver->sessions(d->backend, &w->volume, &w->want, add_session, lines, &err);
	return rc ? rc : buf_error(lines);
}

static int tell_sessions(struct dock_worker *d, const struct work *w)
{
	BUF_AUTO(lines);
	int rc;

	if (!core_sessions_wanted(d->core, w->volume_number, w->object))
		return 0;
	rc = list_sessions(d, w, &lines);
	if (rc == -EAGAIN) { /* the daemon was restarted meanwhile, or something like that */
		buf_reset(&lines);
		rc = list_sessions(d, w, &lines);
	}
	core_sessions_set(d->core, w->object, rc, buf_as_text(&lines));
	return rc;
}

unsigned run_job(struct dock_worker *d, uint64_t volume, unsigned kicks)
{
	struct error err = {0};
	unsigned again = 0;

	if (kicks & KICK_COMPARE && compare_volume(d, volume, &err))
		again |= KICK_COMPARE;
	if (kicks & (KICK_WORK | KICK_COMPARE) && for_each_work(d, volume, core_works, run_work))
		again |= KICK_WORK;
	if (kicks & KICK_SESSIONS) {
		uint64_t begun = core_sessions_begin(d->core);

		int rc = for_each_work(d, volume, core_exports, tell_sessions);

		core_sessions_end(d->core, volume, begun, rc);
	}
	return again;
}
