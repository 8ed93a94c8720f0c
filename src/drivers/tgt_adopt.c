/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading what a running tgtd has: its targets, their hosts and the order of their accounts. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Two listings are combined. "show lld" has every target's number and name and is made of
 * nothing else. "show target" has the rest, but crashes tgtd while accounts have a hole
 * (healed first), and repeats a text that a logged-in host chose, its alias, which may contain
 * whole lines. So the headers of the second listing must be exactly the targets of the first,
 * in the order of their numbers, and within a target the last section of a kind is the true
 * one: the sessions with their aliases come before.
 */
struct listed {
	int tid;
	struct text name;
};

struct listing {
	struct listed *targets;
	size_t n;
};

static int by_tid(const void *a, const void *b)
{
	int x = ((const struct listed *)a)->tid, y = ((const struct listed *)b)->tid;

	return (x > y) - (x < y);
}

static bool next_line(struct text *rest, struct text *ret)
{
	const char *end;

	if (!rest->n)
		return false;
	end = memchr(rest->p, '\n', rest->n);
	*ret = (struct text){rest->p, end ? (size_t)(end - rest->p) : rest->n};
	rest->p += ret->n + (end != NULL);
	rest->n -= ret->n + (end != NULL);
	return true;
}

/* "Target TID: NAME" */
static bool parse_header(struct text line, struct listed *ret)
{
	char number[12];
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
	uint64_t tid;

	if (!colon || !text_starts(line, "Target ") || colon + 2 > line.p + line.n)
		return false;
	text_copy(number, sizeof(number), (struct text){line.p + 7, (size_t)(colon - line.p - 7)});
	if (text_to_u64(text_of(number), &tid) || tid > INT32_MAX)
		return false;
	*ret = (struct listed){(int)tid, {colon + 2, line.n - (size_t)(colon + 2 - line.p)}};
	return true;
}

static size_t count_lines(struct text t)
{
	size_t n = 1;

	for (size_t i = 0; i < t.n; i++)
		n += t.p[i] == '\n';
	return n;
}

/* Names point into `text`. */
static int read_listing(struct tgt_call *call, struct buf *text, struct listing *l)
{
	int rc = tgt_show(call, TGT_LLD, -1, text);
	struct text rest = buf_as_text(text), line;

	if (rc)
		return rc;
	l->targets = calloc(count_lines(rest), sizeof(*l->targets));
	if (!l->targets)
		return error_set(call->err, ENOMEM, "out of memory");
	while (next_line(&rest, &line))
		l->n += parse_header(text_trim(line), &l->targets[l->n]);
	qsort(l->targets, l->n, sizeof(*l->targets), by_tid);
	return 0;
}

/* PREFIX:UUID.rw or .ro */
static bool parse_name(const struct backend *b, struct text name, char *ret_id,
		       enum access_mode *ret_mode)
{
	size_t prefix = strlen(b->conf.prefix);

	if (name.n != prefix + 1 + UUID_TEXT_SIZE - 1 + 3 || !text_starts(name, b->conf.prefix) ||
	    name.p[prefix] != ':')
		return false;
	if (text_ends(name, ".ro"))
		*ret_mode = ACCESS_RO;
	else if (text_ends(name, ".rw"))
		*ret_mode = ACCESS_RW;
	else
		return false;
	text_copy(ret_id, UUID_TEXT_SIZE, (struct text){name.p + prefix + 1, UUID_TEXT_SIZE - 1});
	return true;
}

static bool is_ours(const struct backend *b, const struct listed *target)
{
	char id[UUID_TEXT_SIZE];
	enum access_mode mode;

	return parse_name(b, target->name, id, &mode);
}

static int heal(struct tgt_call *call, const struct listing *l, char *guard, size_t size)
{
	_cleanup_free_ int *tids = calloc(l->n + 1, sizeof(*tids));
	size_t n = 0;

	if (!tids)
		return error_set(call->err, ENOMEM, "out of memory");
	for (size_t i = 0; i < l->n; i++)
		if (is_ours(call->b, &l->targets[i]))
			tids[n++] = l->targets[i].tid;
	return call->b->conf.chap ? tgt_guard_heal(call, tids, n, guard, size) : 0;
}

/* A target's part of the second listing: what follows the last line of that name. */
static struct text last_section(struct text body, const char *name)
{
	struct text line, found = {body.p + body.n, 0};

	while (next_line(&body, &line))
		if (text_is(text_trim(line), name))
			found = body;
	return found;
}

static int put_slots(struct tgt_target *t, struct text body)
{
	struct text rest = last_section(body, "Account information:"), line;

	for (size_t i = 0; i < t->n_slots; i++)
		free(t->slot[i]);
	t->n_slots = 0;
	while (next_line(&rest, &line) && !text_is(text_trim(line), "ACL information:")) {
		struct text user = text_trim(line);
		char **slot = realloc(t->slot, (t->n_slots + 1) * sizeof(*slot));

		if (!slot)
			return -ENOMEM;
		t->slot = slot;
		slot[t->n_slots] = strndup(user.p, user.n);
		if (!slot[t->n_slots])
			return -ENOMEM;
		t->n_slots++;
	}
	return 0;
}

/* A host is a name that is bound, or an account, or a note: what was cut short is found again. */
static int put_hosts(struct backend *b, struct tgt_target *t, struct text body)
{
	struct text rest = last_section(body, "ACL information:"), line;
	char name[TGT_NOTE_SIZE];
	int rc = 0;

	for (size_t i = 0; i < t->n_slots && !rc; i++) {
		const char *at = strchr(t->slot[i], '@');

		rc = at ? tgt_host_add(b, t, at + 1, t->slot[i]) : 0;
	}
	while (!rc && next_line(&rest, &line)) {
		char *user, *initiator;

		if (!text_copy(name, sizeof(name), text_trim(line)) || !name[0])
			continue;
		if (tgt_note_parse(name, &user, &initiator))
			rc = tgt_host_add(b, t, initiator, user);
		else if (!tgt_host_find(t, name))
			rc = tgt_host_add(b, t, name, "");
	}
	return rc;
}

/* The entry is marked as not ready, so that its LUN's attributes are set once more. */
static int put_target(struct tgt_call *call, const struct listed *target, struct text body)
{
	char id[UUID_TEXT_SIZE];
	enum access_mode mode;
	struct tgt_target *t;
	int rc;

	if (!parse_name(call->b, target->name, id, &mode))
		return 0;
	t = tgt_table_peek(call->b, id, mode);
	if (t) {
		rc = put_slots(t, body);
		t->doubtful = rc;
		return rc;
	}
	t = tgt_table_add(call->b, id, mode, call->shard, call->incarnation);
	if (!t)
		return -ENOMEM;
	t->tid = target->tid;
	rc = put_slots(t, body);
	return rc ? rc : put_hosts(call->b, t, body);
}

/* Where line `target` is, from `rest` on; the text before it into `before`. */
static bool find_header(struct text *rest, const struct listed *target, struct text *before)
{
	struct text line;

	*before = *rest;
	while (next_line(rest, &line)) {
		struct listed header;

		if (!parse_header(line, &header))
			continue;
		before->n = (size_t)(line.p - before->p);
		return target && header.tid == target->tid && text_equal(header.name, target->name);
	}
	return !target;
}

static int put_all(struct tgt_call *call, const struct listing *l, struct text text)
{
	struct text body;
	bool fits = find_header(&text, l->n ? &l->targets[0] : NULL, &body);

	for (size_t i = 0; i < l->n && fits; i++) {
		int rc;

		fits = find_header(&text, i + 1 < l->n ? &l->targets[i + 1] : NULL, &body);
		rc = fits ? put_target(call, &l->targets[i], body) : 0;
		if (rc)
			return error_set(call->err, -rc, "out of memory");
	}
	if (!fits)
		return error_set(call->err, EAGAIN, "tgtd's two lists of targets differ: one was "
				 "changed meanwhile, or a host's alias holds whole lines");
	return 0;
}

/* The healing is over: what it did not need goes. */
static int trim(struct tgt_call *call, const struct listing *l, const char *guard)
{
	bool bound = false;
	int rc = 0;

	for (size_t i = 0; i < l->n && !rc; i++) {
		char id[UUID_TEXT_SIZE];
		enum access_mode mode;
		struct tgt_target *t;

		if (!parse_name(call->b, l->targets[i].name, id, &mode))
			continue;
		t = tgt_table_peek(call->b, id, mode);
		rc = t ? tgt_guard_trim(call, t) : 0;
		bound |= !t || tgt_guard_bound(t, guard);
	}
	return rc || bound ? rc : tgt_guard_drop(call, guard);
}

static bool any_ours(const struct backend *b, const struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (is_ours(b, &l->targets[i]))
			return true;
	return false;
}

static int adopt_once(struct tgt_call *call)
{
	struct listing l = {0};
	char guard[64];
	BUF_AUTO(names);
	BUF_AUTO(all);
	int rc = read_listing(call, &names, &l);

	/* A stranger's holes cannot be healed; so nothing is shown that need not be. */
	if (!rc && any_ours(call->b, &l)) {
		rc = heal(call, &l, guard, sizeof(guard));
		if (!rc)
			rc = tgt_show(call, TGT_TARGET, -1, &all);
		if (!rc)
			rc = put_all(call, &l, buf_as_text(&all));
		if (!rc && call->b->conf.chap)
			rc = trim(call, &l, guard);
	}
	free(l.targets);
	return rc;
}

int tgt_adopt(struct tgt_call *call)
{
	int rc = -EAGAIN;

	pthread_mutex_lock(&call->shard->slots);
	for (int attempt = 0; attempt < 3 && rc == -EAGAIN; attempt++)
		rc = adopt_once(call);
	pthread_mutex_unlock(&call->shard->slots);
	return rc;
}

int tgt_adopt_tid(struct tgt_call *call, struct tgt_target *t)
{
	char name[ISCSI_NAME_MAX + 1];
	struct listing l = {0};
	BUF_AUTO(names);
	int rc = read_listing(call, &names, &l), found = -1;

	tgt_target_name(call->b, t->id, t->mode, name, sizeof(name));
	for (size_t i = 0; i < l.n; i++)
		if (text_is(l.targets[i].name, name))
			found = l.targets[i].tid;
	free(l.targets);
	if (rc)
		return rc;
	t->tid = found >= 0 ? found : tgt_draw_tid();
	return found >= 0;
}

int tgt_adopt_tids(struct tgt_call *call, int **ret, size_t *ret_n)
{
	struct listing l = {0};
	BUF_AUTO(names);
	int rc = read_listing(call, &names, &l);
	int *tids = rc ? NULL : calloc(l.n + 1, sizeof(*tids));

	for (size_t i = 0; tids && i < l.n; i++)
		tids[i] = l.targets[i].tid;
	free(l.targets);
	if (!rc && !tids)
		rc = error_set(call->err, ENOMEM, "out of memory");
	if (rc)
		return rc;
	*ret = tids;
	*ret_n = l.n;
	return 0;
}
