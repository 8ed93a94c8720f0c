/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What earlier processes of ours, killed in the midst of something, have left in a daemon. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct accounts {
	const char *user;
	bool bound;
};

static int look_for_account(void *arg, struct tgt_target *t)
{
	struct accounts *a = arg;

	for (size_t i = 0; i < t->n_slots && !a->bound; i++)
		a->bound = !strcmp(t->slot[i], a->user);
	return a->bound;
}

/* Is it an account of an attachment: half a UUID, then ".GENERATION@INITIATOR"? */
static bool is_of_attachment(const char *user)
{
	unsigned generation;
	int at = 0;

	return strspn(user, "0123456789abcdef-") == 18 &&
	       sscanf(user + 18, ".%u@%n", &generation, &at) == 1 && at;
}

/* An account that no target has, made and not bound or else unbound and not deleted. */
static int delete_if_lost(struct tgt_call *call, const char *user)
{
	struct tgt_request delete = {.mode = TGT_ACCOUNT, .op = TGT_DELETE};
	struct accounts a = {.user = user};
	int rc;

	if (!is_of_attachment(user))
		return 0;
	pthread_mutex_lock(&call->shard->slots);
	tgt_table_each(call->shard, look_for_account, &a);
	pthread_mutex_unlock(&call->shard->slots);
	if (a.bound)
		return 0;
	log_info("dock %s: account %s of tgtd belongs to no target and is deleted",
		 call->b->dock->name, user);
	rc = tgt_do(call, &delete, "user=%s", user);
	return rc == -ENOENT ? 0 : rc;
}

int tgt_accounts_tidy(struct tgt_call *call)
{
	char *line, *rest = NULL;
	BUF_AUTO(reply);
	int rc = tgt_show(call, TGT_ACCOUNT, -1, &reply);

	if (rc || !reply.len)
		return rc;
	for (line = strtok_r(reply.data, " \n", &rest); line && !rc;
	     line = strtok_r(NULL, " \n", &rest))
		rc = delete_if_lost(call, line);
	return rc;
}
