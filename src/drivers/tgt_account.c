/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CHAP accounts of targets, arranged so that one host's leaving never shuts out another. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/*
 * tgtd 1.0.85 keeps a target's accounts in an array. Binding fills its first free place, unbinding
 * leaves a hole, and both the login and "show target" look only at as many places as there are
 * accounts. So with a hole in the array the account in its last place cannot log in, and showing
 * the target crashes tgtd. A target without any account asks nobody for a secret.
 *
 * Hence targets hold guards: accounts whose random secret nobody knows. Invariants:
 *	- there is no hole, except within a change, under shard.slots;
 *	- while there is one the account in the last place is a guard, which nobody misses.
 * A host's account is bound in the place of a guard that is not the last, else behind the last;
 * one that is unbound has its place taken by a guard. An account that is bound to nothing any
 * more is deleted.
 * Guards belong to the daemon and are shared by its targets: GUARD0, GUARD1, ...
 */
#define GUARD "attachfs-guard-"

bool tgt_is_guard(const char *user)
{
	return text_starts(text_of(user), GUARD);
}

void tgt_account_begin(struct tgt_call *call, const char *user, const char *secret,
		       struct tgt_sent *sent)
{
	struct tgt_request request = {.mode = TGT_ACCOUNT, .op = TGT_NEW};

	tgt_begin(call, sent, request, "user=%s,password=%s", user, secret);
}

int tgt_account_end(struct tgt_call *call, struct tgt_sent *sent)
{
	int rc = tgt_end(call, sent);

	return rc == -EEXIST ? 0 : rc;
}

static int change_binding(struct tgt_call *call, enum tgt_op op, int tid, const char *user)
{
	struct tgt_request request = {.mode = TGT_ACCOUNT, .op = op, .tid = tid};

	return tgt_do(call, &request, "user=%s", user);
}

static int random_secret(char *out, size_t size)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes) && 2 * i + 2 < size; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

/* Makes guard number `n` exist in the daemon. Called with shard.slots held. */
static int make_guard(struct tgt_call *call, unsigned n, char *out, size_t size)
{
	struct tgt_shard *s = call->shard;
	struct tgt_sent sent;
	char secret[33];
	int rc;

	snprintf(out, size, GUARD "%u", n);
	if (n < s->n_guards)
		return 0;
	rc = random_secret(secret, sizeof(secret));
	if (rc)
		return error_set(call->err, -rc, "no random numbers");
	tgt_account_begin(call, out, secret, &sent);
	explicit_bzero(secret, sizeof(secret));
	rc = tgt_account_end(call, &sent);
	if (!rc)
		s->n_guards = n + 1;
	return rc;
}

static int find_slot(const struct tgt_target *t, const char *user)
{
	for (size_t i = 0; i < t->n_slots; i++)
		if (!strcmp(t->slot[i], user))
			return (int)i;
	return -1;
}

static int set_slot(struct tgt_target *t, size_t i, const char *user)
{
	char *copy = strdup(user);

	if (!copy)
		return -ENOMEM;
	free(t->slot[i]);
	t->slot[i] = copy;
	return 0;
}

static int append_slot(struct tgt_target *t, const char *user)
{
	char **slot = realloc(t->slot, (t->n_slots + 1) * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	t->slot = slot;
	slot[t->n_slots] = strdup(user);
	if (!slot[t->n_slots])
		return -ENOMEM;
	t->n_slots++;
	return 0;
}

/* The lowest guard that this target has not. */
static int spare_guard(struct tgt_call *call, struct tgt_target *t, char *out, size_t size)
{
	for (unsigned n = 0;; n++) {
		int rc = make_guard(call, n, out, size);

		if (rc || find_slot(t, out) < 0)
			return rc;
	}
}

/* Whatever goes wrong in the middle of a change leaves the order of accounts unknown. */
static int doubt(struct tgt_target *t, int rc)
{
	if (rc)
		t->doubtful = true;
	return rc;
}

static int bind_last(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	int rc = change_binding(call, TGT_BIND, t->tid, user);

	if (!rc || rc == -EEXIST)
		rc = append_slot(t, user);
	return doubt(t, rc);
}

static int ensure_last_guard(struct tgt_call *call, struct tgt_target *t)
{
	char guard[64];
	int rc;

	if (t->n_slots && tgt_is_guard(t->slot[t->n_slots - 1]))
		return 0;
	rc = spare_guard(call, t, guard, sizeof(guard));
	return rc ? rc : bind_last(call, t, guard);
}

/* `user` takes the place of the account in slot `i`, which is not that of the last guard. */
static int replace(struct tgt_call *call, struct tgt_target *t, size_t i, const char *user)
{
	int rc = ensure_last_guard(call, t);

	if (rc)
		return rc;
	rc = change_binding(call, TGT_UNBIND, t->tid, t->slot[i]);
	if (!rc || rc == -ENOENT)
		rc = change_binding(call, TGT_BIND, t->tid, user);
	if (!rc)
		rc = set_slot(t, i, user);
	return doubt(t, rc);
}

static int admit(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	if (find_slot(t, user) >= 0)
		return 0;
	for (size_t i = 0; i + 1 < t->n_slots; i++)
		if (tgt_is_guard(t->slot[i]))
			return replace(call, t, i, user);
	return bind_last(call, t, user);
}

int tgt_account_admit(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	int rc;

	pthread_mutex_lock(&call->shard->slots);
	rc = admit(call, t, user);
	pthread_mutex_unlock(&call->shard->slots);
	return rc;
}

static int expel(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	int i = find_slot(t, user), rc;
	char guard[64];

	if (i < 0)
		return 0;
	rc = ensure_last_guard(call, t);
	if (!rc)
		rc = spare_guard(call, t, guard, sizeof(guard));
	return rc ? rc : replace(call, t, (size_t)i, guard);
}

/* Is the account bound to the volume's other target, too? Deleting it would unbind it there
 * and leave a hole. */
static bool other_has(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	enum access_mode mode = t->mode == ACCESS_RO ? ACCESS_RW : ACCESS_RO;
	struct tgt_target *other = tgt_table_find(call->b, t->id, mode);

	return other && other->shard == t->shard && find_slot(other, user) >= 0;
}

static int delete_account(struct tgt_call *call, const char *user)
{
	struct tgt_request delete = {.mode = TGT_ACCOUNT, .op = TGT_DELETE};
	int rc = tgt_do(call, &delete, "user=%s", user);

	return rc == -ENOENT ? 0 : rc;
}

int tgt_account_expel(struct tgt_call *call, struct tgt_target *t, const char *user)
{
	bool elsewhere;
	int rc;

	pthread_mutex_lock(&call->shard->slots);
	rc = expel(call, t, user);
	elsewhere = other_has(call, t, user);
	pthread_mutex_unlock(&call->shard->slots);
	return rc || elsewhere ? rc : delete_account(call, user);
}

int tgt_accounts_delete(struct tgt_call *call, struct tgt_target *t)
{
	int rc = 0;

	pthread_mutex_lock(&call->shard->slots);
	for (size_t i = 0; i < t->n_slots && !rc; i++)
		if (!tgt_is_guard(t->slot[i]) && !other_has(call, t, t->slot[i]))
			rc = delete_account(call, t->slot[i]);
	pthread_mutex_unlock(&call->shard->slots);
	return rc;
}

/* Numbers of guards that the daemon has: what an earlier process made is found again. */
static int count_guards(struct tgt_call *call)
{
	BUF_AUTO(reply);
	int rc = tgt_show(call, TGT_ACCOUNT, -1, &reply);
	unsigned n;

	if (rc)
		return rc;
	for (const char *p = reply.data; p && (p = strstr(p, GUARD)); p++)
		if (sscanf(p, GUARD "%u", &n) == 1 && n >= call->shard->n_guards && n < 1000000)
			call->shard->n_guards = n + 1;
	return 0;
}

/* A new guard fills the hole of a target that has one, and becomes the last of the others. */
int tgt_guard_heal(struct tgt_call *call, const int *tids, size_t n, char *guard, size_t size)
{
	int rc = count_guards(call);

	if (!rc)
		rc = make_guard(call, call->shard->n_guards, guard, size);
	for (size_t i = 0; i < n && !rc; i++) {
		rc = change_binding(call, TGT_BIND, tids[i], guard);
		if (rc == -ENXIO)
			rc = 0; /* the target has gone meanwhile */
	}
	return rc;
}

int tgt_guard_trim(struct tgt_call *call, struct tgt_target *t)
{
	int rc = 0;

	while (!rc && t->n_slots > 1 && tgt_is_guard(t->slot[t->n_slots - 1]) &&
	       tgt_is_guard(t->slot[t->n_slots - 2])) {
		rc = change_binding(call, TGT_UNBIND, t->tid, t->slot[t->n_slots - 1]);
		if (!rc)
			free(t->slot[--t->n_slots]);
	}
	return rc == -ENXIO ? 0 : doubt(t, rc); /* it has gone meanwhile */
}

bool tgt_guard_bound(const struct tgt_target *t, const char *guard)
{
	return find_slot(t, guard) >= 0;
}

int tgt_guard_drop(struct tgt_call *call, const char *guard)
{
	int rc = delete_account(call, guard);

	if (!rc)
		call->shard->n_guards--;
	return rc;
}
