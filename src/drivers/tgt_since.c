/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Since when sessions have been there: tgtd does not tell, so new ones are looked for. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/clock.h"

#include <string.h>

/*
 * A session is known from when attachfs has first seen it: this much after the login, or, if it
 * is older than this process, when that adopted its daemon. tgtd numbers sessions upwards,
 * so a number does not come again between two looks.
 */
#define WATCH_MS 2000

struct tgt_seen {
	unsigned sid;
	int64_t since;
};

static int by_sid(const void *a, const void *b)
{
	unsigned x = ((const struct tgt_seen *)a)->sid, y = ((const struct tgt_seen *)b)->sid;

	return (x > y) - (x < y);
}

static struct tgt_seen *find_seen(const struct tgt_seen *list, size_t n, unsigned sid)
{
	const struct tgt_seen key = {.sid = sid};

	return n ? bsearch(&key, list, n, sizeof(*list), by_sid) : NULL;
}

void tgt_sessions_forget(struct tgt_shard *s)
{
	free(s->seen);
	s->seen = NULL;
	s->n_seen = 0;
}

/* backend.lock is held. */
static void forget_other_daemon(struct tgt_shard *s, uint64_t incarnation)
{
	if (s->seen_incarnation == incarnation)
		return;
	tgt_sessions_forget(s);
	s->seen_incarnation = incarnation;
}

/*
 * The new list holds what is there now, with the times of what was there before, and what somebody
 * else has seen since the listing began.
 */
static void replace_seen(struct tgt_shard *s, const struct buf *sids, int64_t began)
{
	size_t n = sids->len / sizeof(unsigned), listed = n;
	struct tgt_seen *seen = calloc(n + s->n_seen + 1, sizeof(*seen));
	int64_t now = time_now();

	if (!seen)
		return; /* the next look will do */
	for (size_t i = 0; i < n; i++) {
		memcpy(&seen[i].sid, sids->data + i * sizeof(unsigned), sizeof(unsigned));
		seen[i].since = now;
	}
	qsort(seen, n, sizeof(*seen), by_sid);
	for (size_t i = 0; i < s->n_seen; i++) {
		struct tgt_seen *same = find_seen(seen, listed, s->seen[i].sid);

		if (same)
			same->since = s->seen[i].since;
		else if (s->seen[i].since >= began)
			seen[n++] = s->seen[i];
	}
	qsort(seen, n, sizeof(*seen), by_sid);
	free(s->seen);
	s->seen = seen;
	s->n_seen = n;
}

static void look(struct tgt_call *call)
{
	struct tgt_shard *s = call->shard;
	int64_t began = time_now();
	BUF_AUTO(sids);

	if (tgt_session_numbers(call, &sids))
		return;
	pthread_mutex_lock(&call->b->lock);
	forget_other_daemon(s, call->incarnation);
	replace_seen(s, &sids, began);
	pthread_mutex_unlock(&call->b->lock);
}

void tgt_sessions_watch(struct backend *b, struct tgt_shard *s)
{
	struct error ignored = {0};
	int64_t now = monotonic_ms();
	struct tgt_call call;

	if (now < s->seen_due || tgt_shard_use(&call, b, s, false, &ignored))
		return;
	s->seen_due = now + WATCH_MS;
	look(&call);
}

int64_t tgt_session_since(struct tgt_call *call, unsigned sid)
{
	struct tgt_shard *s = call->shard;
	struct tgt_seen *seen, *more;
	int64_t since = time_now();

	pthread_mutex_lock(&call->b->lock);
	forget_other_daemon(s, call->incarnation);
	seen = find_seen(s->seen, s->n_seen, sid);
	if (seen) {
		since = seen->since;
	} else if ((more = reallocarray(s->seen, s->n_seen + 1, sizeof(*more)))) {
		s->seen = more;
		s->seen[s->n_seen++] = (struct tgt_seen){sid, since};
		qsort(s->seen, s->n_seen, sizeof(*s->seen), by_sid);
	}
	pthread_mutex_unlock(&call->b->lock);
	return since;
}
