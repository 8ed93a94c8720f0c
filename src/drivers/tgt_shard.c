/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemons of one dock: found, started, lost. */
#include "tgt.h"

#include "attachfs/cleanup.h"
#include "attachfs/log.h"

#include "tgt_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int make_socket_dir(struct backend *b, const char *state_dir, struct error *err)
{
	char dir[sizeof(b->socket_base) - 2];
	struct stat st;
	int n = snprintf(dir, sizeof(dir), "%s/tgt.%s", state_dir, b->dock->name);

	if (n < 0 || (size_t)n >= sizeof(dir))
		return error_set(err, ENAMETOOLONG, "%s/tgt.%s is too long for a socket's path: "
				 "at most %zu bytes; choose a shorter state folder", state_dir,
				 b->dock->name, sizeof(dir) - 1);
	if ((mkdir(dir, 0700) && errno != EEXIST) || lstat(dir, &st))
		return error_set(err, errno, "%s: %m", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return error_set(err, EPERM, "%s must be a folder of uid %u with mode 0700", dir,
				 geteuid());
	snprintf(b->socket_base, sizeof(b->socket_base), "%s/s", dir);
	return 0;
}

static void init_shard(struct backend *b, int index)
{
	struct tgt_shard *s = &b->shards[index];
	const struct tgt_conf *c = &b->conf;
	const char *colon = strrchr(c->address, ':');
	int n = colon && (strchr(c->address, ':') == colon || c->address[0] == '[')
			? (int)(colon - c->address)
			: (int)strlen(c->address);

	s->backend = b;
	s->index = index;
	pthread_mutex_init(&s->slots, NULL);
	snprintf(s->portal, sizeof(s->portal), "%.*s:%u", n, c->address,
		 c->port + (unsigned)index);
	snprintf(s->socket, sizeof(s->socket), "%s.%u", b->socket_base,
		 c->control_port + (unsigned)index);
}

int tgt_shards_init(struct backend *b, const char *state_dir, struct error *err)
{
	int rc = b->conf.spawn ? make_socket_dir(b, state_dir, err) : 0;

	if (!b->conf.spawn)
		text_copy(b->socket_base, sizeof(b->socket_base), TEXT("/var/run/tgtd/socket"));
	b->n_shards = b->conf.spawn ? TGT_DAEMONS_MAX : 1;
	for (int i = 0; i < b->n_shards; i++)
		init_shard(b, i);
	return rc;
}

static void bind_call(struct tgt_call *call, struct backend *b, struct tgt_shard *shard,
		      struct error *err)
{
	*call = (struct tgt_call){.b = b, .shard = shard, .err = err};
	memcpy(call->link.socket, shard->socket, sizeof(call->link.socket));
	call->link.deadline = monotonic_ms() + TGT_ANSWER_MS;
	pthread_mutex_lock(&b->lock);
	call->link.pid = shard->daemon.pid;
	call->incarnation = shard->incarnation;
	pthread_mutex_unlock(&b->lock);
}

/* Another daemon (or none) serves the shard from now on; is it `known` what it has? */
static void set_daemon(struct backend *b, struct tgt_shard *s, const struct tgt_daemon *daemon,
		       bool known)
{
	bool lost;

	pthread_mutex_lock(&s->slots);
	pthread_mutex_lock(&b->lock);
	lost = s->n_targets > 0;
	s->daemon = *daemon;
	s->incarnation++;
	s->n_targets = 0;
	s->n_guards = 0;
	if (lost || !s->known)
		b->epoch = (b->epoch ^ s->incarnation ^ (uint64_t)s->index << 32) *
			   1099511628211ULL;
	s->known = known;
	pthread_mutex_unlock(&b->lock);
	pthread_mutex_unlock(&s->slots);
	if (lost)
		log_warning("dock %s: tgtd at %s is gone with its exports", b->dock->name,
			    s->socket);
}

static int start(struct backend *b, struct tgt_shard *s, struct error *err)
{
	struct tgt_spawn spawn = {
		.program = b->conf.program,
		.socket_base = b->socket_base,
		.control_port = b->conf.control_port + (unsigned)s->index,
		.portal = s->portal,
	};
	struct tgt_link link = {.deadline = monotonic_ms() + TGT_ANSWER_MS};
	struct tgt_daemon daemon;
	int rc;

	memcpy(link.socket, s->socket, sizeof(link.socket));
	rc = tgt_daemon_start(&spawn, &link, &daemon, err);
	if (rc)
		return rc;
	log_info("dock %s: started tgtd, process %d, on %s", b->dock->name, daemon.pid, s->portal);
	set_daemon(b, s, &daemon, true);
	return 0;
}

/* Found running: what it has becomes known. */
static int adopt(struct backend *b, struct tgt_shard *s, const struct tgt_daemon *daemon,
		 struct error *err)
{
	struct tgt_call call;
	int rc;

	set_daemon(b, s, daemon, false);
	if (b->conf.chap && !tgt_pair_loaded(daemon->pid))
		log_warning("dock %s: tgtd, process %d, does not pair names with secrets: it was started "
			    "without attachfs-pair.so", b->dock->name, daemon->pid);
	bind_call(&call, b, s, err);
	rc = tgt_mgmt_bury(&call.link, err);
	if (!rc)
		rc = tgt_adopt(&call);
	if (!rc && tgt_release(&call))
		log_warning("dock %s: %s", b->dock->name, err ? err->text : "");
	pthread_mutex_lock(&b->lock);
	s->known = !rc;
	if (rc)
		s->daemon.pid = 0; /* the next look tries again */
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int refresh(struct backend *b, struct tgt_shard *s, bool may_start, struct error *err)
{
	static const struct tgt_daemon nobody;
	struct tgt_link link = {.deadline = monotonic_ms() + TGT_ANSWER_MS};
	struct tgt_daemon found;
	int rc;

	memcpy(link.socket, s->socket, sizeof(link.socket));
	/* Twice a second, so without bothering it; whether it answers shows when it is asked. */
	if (tgt_daemon_alive(&s->daemon) && tgt_daemon_reachable(&link))
		return 0;
	rc = tgt_daemon_find(&link, &found, err);
	if (!rc && found.pid == s->daemon.pid && found.started == s->daemon.started)
		return 0;
	if (!rc)
		return adopt(b, s, &found, err);
	if (rc != -ECONNREFUSED)
		return rc;
	/* Its sessions live as long as the process, reachable or not. */
	if (tgt_daemon_alive(&s->daemon) || tgt_daemon_locked(&link))
		return error_set(err, ECONNREFUSED, "a tgtd runs but does not answer at %s",
				 s->socket);
	if (s->daemon.pid || !s->known)
		set_daemon(b, s, &nobody, true);
	return may_start && b->conf.spawn ? start(b, s, err) : rc;
}

int tgt_shard_refresh(struct backend *b, struct tgt_shard *s, bool may_start, struct error *err)
{
	int rc;

	pthread_mutex_lock(&b->life);
	rc = refresh(b, s, may_start, err);
	pthread_mutex_unlock(&b->life);
	return rc;
}

int tgt_shard_use(struct tgt_call *call, struct backend *b, struct tgt_shard *s, bool may_start,
		  struct error *err)
{
	int rc;

	bind_call(call, b, s, err);
	if (call->link.pid)
		return 0;
	rc = tgt_shard_refresh(b, s, may_start, err);
	if (!rc)
		bind_call(call, b, s, err);
	return rc;
}

int tgt_shards_known(struct backend *b, int wanted, struct error *err)
{
	for (int i = 0; i < b->n_shards; i++) {
		bool known;
		int rc;

		if (wanted >= 0 && wanted < b->n_shards && wanted != i)
			continue;
		pthread_mutex_lock(&b->lock);
		known = b->shards[i].known;
		pthread_mutex_unlock(&b->lock);
		if (known)
			continue;
		rc = tgt_shard_refresh(b, &b->shards[i], false, err);
		if (rc && !b->shards[i].known)
			return rc;
	}
	return 0;
}

int tgt_shard_choose(struct backend *b, int wanted, struct tgt_shard **ret, struct error *err)
{
	int n = -1;

	pthread_mutex_lock(&b->lock);
	if (wanted >= 0 && wanted < b->n_shards)
		n = wanted;
	for (int i = 0; i < b->n_shards && n < 0; i++)
		if (!b->conf.spawn || b->shards[i].n_targets < TGT_TARGETS_PER_DAEMON)
			n = i;
	pthread_mutex_unlock(&b->lock);
	if (n < 0)
		return error_set(err, ENOSPC, "all %d target daemons have %d targets", b->n_shards,
				 TGT_TARGETS_PER_DAEMON);
	*ret = &b->shards[n];
	return 0;
}
