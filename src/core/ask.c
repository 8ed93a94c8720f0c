/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking before a change: a live session refuses it, and then nothing at all has changed. */
#include <errno.h>

#include "attachfs/clock.h"
#include "core.h"

/* For so long an answer counts: what was asked is not asked again by the worker. */
#define ASK_FRESH_MS 1000

/* Whoever asks waits under a number that no object has. */
#define ASK_OF(volume) ((volume) | 1ULL << 62)

/* ---- what is to be asked ---- */

struct question {
	uint64_t scope;	     /* an attachment, or a volume: all of its attachments */
	uint64_t generation; /* of the attachment, once the change is made */
	uint64_t volume, dock;
};

static int find_attached(void *arg, uint64_t number, struct text name)
{
	union any a;
	int rc = object_get_kind(arg, number, KIND_ATTACHMENT, &a);

	(void)name;
	return rc ? rc : a.attachment.status == ATTACHMENT_ATTACHED;
}

static bool ask_volume(struct tx *tx, uint64_t number, struct question *ret)
{
	ret->scope = ret->volume = number;
	return object_children(tx, (struct ref){number, VOLUME_ATTACHMENTS}, 0, find_attached,
			       tx) == 1;
}

static bool ask_attachment(struct tx *tx, uint64_t number, struct question *ret)
{
	union any a;

	if (object_get_kind(tx, number, KIND_ATTACHMENT, &a) ||
	    a.attachment.status != ATTACHMENT_ATTACHED)
		return false;
	ret->scope = number;
	ret->generation = a.attachment.generation + 1;
	ret->volume = a.o.parent;
	return true;
}

/* The caller is about to remove all of it, and this is a part. */
static bool ask_whole(struct core *core, struct tx *tx, uint64_t whole, struct question *ret)
{
	struct object_head head;

	if (!whole || object_get_head(tx, whole, &head))
		return false;
	if (head.kind == KIND_ATTACHMENT)
		return ask_attachment(tx, whole, ret);
	return head.kind == KIND_VOLUME && !observed_asked(core, whole, 0, ASK_FRESH_MS) &&
	       ask_volume(tx, whole, ret);
}

static bool ask_remove(struct core *core, struct tx *tx, const struct intent *i,
		       struct question *ret)
{
	uint64_t number;

	if (ask_whole(core, tx, i->whole, ret))
		return true;
	return i->subject.node == VOLUME_ATTACHMENTS &&
	       !object_find(tx, i->subject, text_of(i->name), &number) &&
	       ask_attachment(tx, number, ret);
}

/* Only the switch to the other mode. */
static bool ask_set(struct tx *tx, const struct intent *i, struct question *ret)
{
	struct text value = text_trim(i->value);
	uint64_t mode = ACCESS_RW;
	union any a;

	if (i->subject.node != ATTACHMENT_MODE || i->name[0] ||
	    object_get_kind(tx, i->subject.object, KIND_ATTACHMENT, &a) ||
	    (value.n && value_mode.parse(value, &mode)))
		return false;
	return mode != a.attachment.mode && ask_attachment(tx, i->subject.object, ret);
}

static bool find_question(struct core *core, const struct intent *i, struct question *ret)
{
	union any volume, pool;
	struct tx tx;
	bool found;

	if ((i->op != INTENT_REMOVE && i->op != INTENT_SET && i->op != INTENT_PUT) ||
	    store_read_begin(core->store, &tx))
		return false;
	found = (i->op == INTENT_REMOVE ? ask_remove(core, &tx, i, ret) : ask_set(&tx, i, ret)) &&
		!object_get_kind(&tx, ret->volume, KIND_VOLUME, &volume) &&
		!object_get_kind(&tx, volume.volume.pool, KIND_POOL, &pool);
	store_read_end(&tx);
	if (found)
		ret->dock = pool.o.parent;
	return found;
}

/* ---- what comes of it ---- */

/* "INITIATOR ADDRESS SINCE", as `sessions` shows the first one. */
static void explain(struct error *err, struct text line)
{
	struct text word[3] = {TEXT_NONE, TEXT_NONE, TEXT_NONE};
	bool known;

	for (unsigned i = 0; i < 3 && line.n; i++) {
		size_t n = 0;

		while (n < line.n && line.p[n] != ' ' && line.p[n] != '\n')
			n++;
		word[i] = (struct text){line.p, n};
		line.p += n < line.n ? n + 1 : n;
		line.n -= n < line.n ? n + 1 : n;
	}
	known = word[2].n && !text_is(word[2], "-");
	error_set(err, EBUSY, "initiator %.*s has a live session from %.*s%s%.*s: log it out first",
		  TEXT_ARG(word[0]), TEXT_ARG(text_is(word[1], "-") ? TEXT("an unknown address") : word[1]),
		  known ? " since " : "", known ? (int)word[2].n : 0, known ? word[2].p : "");
}

struct look {
	struct core *core;
	struct error *err;
};

static int look_for_session(void *arg, uint64_t attachment, struct text name)
{
	struct look *l = arg;
	BUF_AUTO(sessions);

	(void)name;
	observed_sessions(l->core, attachment, &sessions);
	if (!sessions.len)
		return 0;
	explain(l->err, buf_as_text(&sessions));
	return 1;
}

static bool has_session(struct core *core, const struct intent *i, struct error *err)
{
	struct look l = {core, err};
	uint64_t volume = i->wait_object & ~ASK_OF(0);
	struct tx tx;
	int rc;

	if (i->scope != volume)
		return look_for_session(&l, i->scope, TEXT_NONE);
	if (store_read_begin(core->store, &tx))
		return false;
	rc = object_children(&tx, (struct ref){volume, VOLUME_ATTACHMENTS}, 0, look_for_session,
			     &l);
	store_read_end(&tx);
	return rc == 1;
}

/*
 * Without an answer the change is made all the same: it is what the caller wants, and the worker
 * looks at the sessions again before it does anything.
 */
static void resume(struct intent *i, int result)
{
	struct core *core = i->core;

	i->resume = NULL;
	i->waited_ms = (unsigned)(monotonic_ms() - (i->deadline - i->wait_ms));
	if (result == -ESHUTDOWN) {
		i->answer(i, result);
		return;
	}
	if (!result && has_session(core, i, &i->err)) {
		if (i->op == INTENT_REMOVE)
			i->subject = SELF(i->scope);
		i->op = INTENT_REFUSE;
	} else if (!result) {
		observed_set_asked(core, i->scope, i->scope_generation);
	}
	i->wait_object = 0;
	if (result) /* those whose time is up are not kept waiting by the disk of another */
		store_queue(core->store, &i->mutation);
	else
		store_submit(core->store, &i->mutation);
}

bool ask_first(struct core *core, struct intent *i)
{
	struct question q = {0};

	if (!core_is_worked(core) || waiters_stopping(core) || !find_question(core, i, &q))
		return false;
	i->resume = resume;
	i->scope = q.scope;
	i->scope_generation = q.generation;
	i->wait_object = ASK_OF(q.volume);
	i->wait_generation = ++core->asked;
	i->wait_ms = (i->op == INTENT_REMOVE ? core->detach_timeout_ms
					     : core->attach_timeout_ms) / 2;
	waiters_add(core, i);
	core_kick(core, q.dock, q.volume, KICK_SESSIONS);
	return true;
}

bool ask_is_fresh(struct core *core, const struct attachment *a)
{
	return observed_asked(core, a->o.number, a->generation, ASK_FRESH_MS);
}

/* ---- the worker's side ---- */

uint64_t core_sessions_begin(struct core *core)
{
	return core->asked;
}

bool core_sessions_matter(struct core *core, uint64_t volume, uint64_t attachment)
{
	return waiters_want(core, ASK_OF(volume), volume, attachment);
}

bool core_sessions_wanted(struct core *core, uint64_t volume, uint64_t attachment)
{
	return core_sessions_matter(core, volume, attachment) ||
	       waiters_want(core, QUERY_OF(attachment), 0, 0);
}

void core_sessions_end(struct core *core, uint64_t volume, uint64_t begun, int result)
{
	waiters_told(core, ASK_OF(volume), begun, result < 0 ? result : 0);
}
