/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the configuration again when somebody asks for it, in a thread of its own. */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "attachfs/log.h"
#include "worker.h"

struct reloader {
	struct worker *worker;
	char *file;
	pthread_t thread;
	sem_t asked;
	atomic_bool stopping;
};

static void warn(void *arg, const char *line)
{
	(void)arg;
	log_warning("%s", line);
}

/* What is open already stays as it was opened. */
static void warn_of_fixed(const struct worker *w, const struct conf *conf)
{
	if (strcmp(w->state, conf->state))
		log_warning("%s: state: %s will be used when attachfs is started again",
			    conf->file, conf->state);
	if (w->map_size != conf->map_size)
		log_warning("%s: mapSize will be used when attachfs is started again", conf->file);
}

static int load(const struct reloader *r, struct conf **ret, struct error *err)
{
	int rc = conf_load(r->file, warn, NULL, ret, err);

	if (rc)
		return rc;
	rc = worker_check_conf(*ret, err);
	if (rc)
		conf_unload(*ret);
	return rc;
}

static void reload(struct reloader *r)
{
	struct error err = {0};
	struct conf *conf;
	int rc = load(r, &conf, &err);

	if (rc) {
		log_error("the configuration stays as it was: %s", err.text);
		core_conf_refused(r->worker->core, &err);
		return;
	}
	warn_of_fixed(r->worker, conf);
	rc = worker_apply(r->worker, conf, &err);
	if (rc)
		log_error("%s", err.text);
	else
		log_info("%s is in force", conf->file);
	conf_unload(conf);
}

/* Asking several times while it is being read reads it once more. */
static void *reloader_main(void *arg)
{
	struct reloader *r = arg;

	for (;;) {
		while (sem_wait(&r->asked))
			;
		while (!sem_trywait(&r->asked))
			;
		if (r->stopping)
			return NULL;
		reload(r);
	}
}

int reloader_open(struct worker *w, const struct conf *conf, struct reloader **ret,
		  struct error *err)
{
	struct reloader *r = calloc(1, sizeof(*r));
	int rc = ENOMEM;

	if (r && (r->file = strdup(conf->file))) {
		r->worker = w;
		sem_init(&r->asked, 0, 0);
		rc = pthread_create(&r->thread, NULL, reloader_main, r);
	}
	if (rc) {
		free(r ? r->file : NULL);
		free(r);
		return error_set(err, rc, "cannot start a thread");
	}
	*ret = r;
	return 0;
}

void reloader_wake(struct reloader *r)
{
	int before = errno;

	sem_post(&r->asked);
	errno = before;
}

void reloader_close(struct reloader *r)
{
	if (!r)
		return;
	r->stopping = true;
	sem_post(&r->asked);
	pthread_join(r->thread, NULL);
	sem_destroy(&r->asked);
	free(r->file);
	free(r);
}
