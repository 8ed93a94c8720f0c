/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of an intent: applied, committed, then answered or left waiting. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>

#include "attachfs/kill.h"

/* The only object that nobody makes: the root of the tree. */
static int make_root(struct change *c, void *arg)
{
	union any root = {.o = {.number = ROOT_OBJECT, .kind = KIND_ROOT, .name = ""}};
	uint8_t key[8];
	struct text record;

	(void)arg;
	if (!tx_get(c->tx, TABLE_OBJECTS, number_key(key, ROOT_OBJECT), &record))
		return 0;
	root.o.inode = (struct inode_state){.mode = root_kind.directory_mode,
					    .uid = c->intent->caller.uid,
					    .gid = c->intent->caller.gid,
					    .atime = c->now,
					    .mtime = c->now};
	root.o.created = c->now;
	return change_save(c, &root);
}

int core_open(struct store *store, const struct conf *conf, struct core **ret, struct error *err)
{
	struct core *core;
	int rc = core_check_records(store, err);

	if (rc)
		return rc;
	core = calloc(1, sizeof(*core));
	if (!core)
		return error_set(err, ENOMEM, "out of memory");
	core->store = store;
	core->attach_timeout_ms = conf->attach_timeout_ms;
	core->detach_timeout_ms = conf->detach_timeout_ms;
	pthread_rwlock_init(&core->hooks_lock, NULL);
	rc = observed_open(&core->observed);
	if (!rc)
		rc = waiters_start(core);
	if (rc)
		error_set(err, -rc, "cannot start: %s", strerror(-rc));
	else
		rc = core_run(core, make_root, NULL, err);
	if (rc) {
		core_close(core);
		return rc;
	}
	*ret = core;
	return 0;
}

int core_look(struct store *store, struct core **ret)
{
	struct core *core = calloc(1, sizeof(*core));

	if (!core)
		return -ENOMEM;
	core->store = store;
	pthread_rwlock_init(&core->hooks_lock, NULL);
	if (observed_open(&core->observed)) {
		core_close(core);
		return -ENOMEM;
	}
	*ret = core;
	return 0;
}

void core_close(struct core *core)
{
	if (!core)
		return;
	core_stop_waiting(core);
	observed_close(core->observed);
	pthread_rwlock_destroy(&core->hooks_lock);
	free(core);
}

void core_set_hooks(struct core *core, const struct core_hooks *hooks)
{
	pthread_rwlock_wrlock(&core->hooks_lock);
	core->hooks = *hooks;
	pthread_rwlock_unlock(&core->hooks_lock);
}

void core_tell(struct core *core, const struct note *notes, size_t n)
{
	pthread_rwlock_rdlock(&core->hooks_lock);
	if (n && core->hooks.changed)
		core->hooks.changed(core->hooks.arg, notes, n);
	pthread_rwlock_unlock(&core->hooks_lock);
}

bool core_kick(struct core *core, uint64_t dock, uint64_t volume, enum kick what)
{
	bool there;

	pthread_rwlock_rdlock(&core->hooks_lock);
	there = core->hooks.kick;
	if (there)
		core->hooks.kick(core->hooks.kick_arg, dock, volume, what);
	pthread_rwlock_unlock(&core->hooks_lock);
	return there;
}

void core_kick_all(struct core *core, struct kicked *kicks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		core_kick(core, kicks[i].dock, kicks[i].volume, KICK_WORK);
	free(kicks);
}

bool core_is_worked(struct core *core)
{
	bool there;

	pthread_rwlock_rdlock(&core->hooks_lock);
	there = core->hooks.kick;
	pthread_rwlock_unlock(&core->hooks_lock);
	return there;
}

struct store *core_store(struct core *core)
{
	return core->store;
}

static int intent_apply(struct tx *tx, struct mutation *m)
{
	struct intent *i = intent_of(m);
	int rc = change_run(i, tx, apply_intent);

	/* Without a wait it is answered as soon as it is committed; and what a rename makes of a
	 * draft may be more than the attachment. */
	m->lazy = m->lazy && i->wait_object && i->op != INTENT_RENAME;
	KILL_POINT(intent_applied);
	return rc;
}

/* The object that a refusal is about: the one itself, or the one it was not made in. */
static uint64_t refused_object(struct change *c, const struct intent *i)
{
	uint64_t number;

	if ((i->op == INTENT_REMOVE || i->op == INTENT_RENAME) &&
	    !object_find(c->tx, i->subject, text_of(i->name), &number))
		return number;
	return i->subject.object;
}

/* "mkdir x: why" in last_error (where there is one) and in the audit log. */
static int note_refusal(struct change *c, struct intent *i)
{
	uint64_t number = refused_object(c, i);
	struct object_head head;
	union any object;
	int rc = object_get_head(c->tx, number, &head);

	if (rc)
		return rc;
	rc = change_event(c, "refused",
			  i->op == INTENT_SET || i->op == INTENT_REFUSE ||
					  (i->op == INTENT_PUT && !i->name[0])
				  ? i->subject
				  : SELF(number),
			  i->err.text);
	/* A dock's or a pool's last_error tells of its backend, not of its visitors. */
	if (rc || i->op == INTENT_INODE || head.kind == KIND_ROOT || head.kind == KIND_DOCK ||
	    head.kind == KIND_POOL || head.kind == KIND_KEY || head.kind == KIND_ELIGIBLE)
		return rc;
	rc = change_load(c, number, head.kind, &object);
	if (rc)
		return rc;
	change_set_error(c, &object, text_of(i->err.text));
	return change_store(c, &object);
}

static void intent_refused(struct tx *tx, struct mutation *m)
{
	struct intent *i = intent_of(m);

	if (!i->err.code)
		error_set(&i->err, -m->result, "%s",
			  m->result == -ENOSPC ? store_full_text(tx->store)
					       : strerror(-m->result));
	i->n_notes = 0;
	change_run(i, tx, note_refusal);
}

/* Answering may free the intent, so what comes after it is taken out first. */
static void intent_done(struct mutation *m)
{
	struct intent *i = intent_of(m);
	struct core *core = i->core;
	struct note *notes = i->notes;
	size_t n = i->n_notes;
	struct kicked *kicks = i->kicks;
	size_t n_kicks = m->result ? 0 : i->n_kicks;

	KILL_POINT(intent_committed);
	i->notes = NULL;
	i->n_notes = 0;
	i->kicks = NULL;
	i->n_kicks = 0;
	if (!m->result && i->wait_object)
		waiters_add(core, i);
	else
		i->answer(i, m->result);
	KILL_POINT(intent_answered);
	core_kick_all(core, kicks, n_kicks);
	core_tell(core, notes, n);
	free(notes);
}

void core_submit(struct core *core, struct intent *intent)
{
	intent->core = core;
	intent->mutation = (struct mutation){
		.apply = intent_apply, .refused = intent_refused, .done = intent_done};
	if (!ask_first(core, intent))
		store_submit(core->store, &intent->mutation);
}

static int nothing(struct change *c, void *arg)
{
	(void)c, (void)arg;
	return 0;
}

void core_flush(struct core *core)
{
	core_run(core, nothing, NULL, NULL);
}
