/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory driver's control file: read again when it has changed, bounded, forgiving. */
#include "memory_fault.h"

#include "attachfs/cleanup.h"

#include "drivers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RULES_MAX 64

/* A sleeping call looks at the file this often. */
#define SLICE_US 20000

void memory_faults_init(struct memory_faults *f, const char *path)
{
	*f = (struct memory_faults){.path = path, .version = 1};
	pthread_mutex_init(&f->lock, NULL);
}

void memory_faults_free(struct memory_faults *f)
{
	free(f->rules);
	pthread_mutex_destroy(&f->lock);
}

/* False for an empty line or a comment. */
static bool parse_rule(char *line, struct memory_rule *rule)
{
	memset(rule, 0, sizeof(*rule));
	line[strcspn(line, "#")] = '\0';
	return sscanf(line, "%223s %223s %223s %223s", rule->word[0], rule->word[1],
		      rule->word[2], rule->word[3]) > 0;
}

static void read_rules(struct memory_faults *f)
{
	FILE *file = fopen(f->path, "re");
	char line[1024];

	f->n_rules = 0;
	if (!f->rules)
		f->rules = calloc(RULES_MAX, sizeof(*f->rules));
	while (file && f->rules && f->n_rules < RULES_MAX && fgets(line, sizeof(line), file))
		f->n_rules += parse_rule(line, &f->rules[f->n_rules]);
	if (file)
		fclose(file);
	for (size_t i = 0; i < f->n_rules; i++)
		f->restart |= !strcmp(f->rules[i].word[0], "restart");
}

/* Reads the file again if it is another one than before. Called with the lock held. */
static void refresh(struct memory_faults *f)
{
	struct stat st = {0};

	if (!f->path || stat(f->path, &st))
		st = (struct stat){0};
	if (st.st_ino == f->inode && st.st_size == f->size &&
	    st.st_mtim.tv_sec == f->mtime.tv_sec && st.st_mtim.tv_nsec == f->mtime.tv_nsec)
		return;
	f->version++;
	f->inode = st.st_ino;
	f->size = st.st_size;
	f->mtime = st.st_mtim;
	if (f->inode)
		read_rules(f);
	else
		f->n_rules = 0;
}

/* The first rule `CALL verb` that is not spent, or NULL. Called with the lock held. */
static struct memory_rule *find_rule(struct memory_faults *f, const char *call, const char *verb)
{
	for (size_t i = 0; i < f->n_rules; i++) {
		struct memory_rule *rule = &f->rules[i];
		bool any = !strcmp(rule->word[0], "*");

		if (!rule->spent && (any || !strcmp(rule->word[0], call)) &&
		    !strcmp(rule->word[1], verb))
			return rule;
	}
	return NULL;
}

static int errno_of(const char *name)
{
	static const struct {
		const char *name;
		int code;
	} names[] = {
		{"EIO", EIO},		{"EBUSY", EBUSY},
		{"ENOSPC", ENOSPC},	{"ETIMEDOUT", ETIMEDOUT},
		{"EAGAIN", EAGAIN},	{"ECONNREFUSED", ECONNREFUSED},
		{"EACCES", EACCES},	{"EPERM", EPERM},
		{"ENOMEM", ENOMEM},	{"EOPNOTSUPP", EOPNOTSUPP},
		{"EINVAL", EINVAL},	{"ENOENT", ENOENT},
	};
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].code;
	return !text_to_u64(text_of(name), &number) && number && number < 4096 ? (int)number
									       : EIO;
}

/* How long the call has to sleep by the file as it is now; a changed file changes that. */
static void sleep_as_told(struct memory_faults *f, const char *call)
{
	int64_t start = monotonic_ms();

	for (;;) {
		struct memory_rule *rule;
		uint64_t ms = 0;

		pthread_mutex_lock(&f->lock);
		refresh(f);
		rule = find_rule(f, call, "delay");
		if (rule)
			text_to_u64(text_of(rule->word[2]), &ms);
		pthread_mutex_unlock(&f->lock);
		if (monotonic_ms() - start >= (int64_t)ms)
			return;
		clock_sleep_us(ms < SLICE_US / 1000 ? (unsigned)ms * 1000 : SLICE_US);
	}
}

int memory_fault(struct memory_faults *f, const char *call, struct error *err)
{
	struct memory_rule *rule;
	int code = 0;

	if (!f->path)
		return 0;
	sleep_as_told(f, call);
	pthread_mutex_lock(&f->lock);
	rule = find_rule(f, call, "fail");
	if (rule) {
		code = errno_of(rule->word[2]);
		rule->spent = !strcmp(rule->word[3], "once");
	}
	pthread_mutex_unlock(&f->lock);
	return code ? error_set(err, code, "%s: injected failure: %s", call, strerror(code)) : 0;
}

bool memory_fault_wrong(struct memory_faults *f, const char *call)
{
	bool wrong;

	pthread_mutex_lock(&f->lock);
	refresh(f);
	wrong = find_rule(f, call, "wrong");
	pthread_mutex_unlock(&f->lock);
	return wrong;
}

bool memory_fault_restart(struct memory_faults *f)
{
	bool restart;

	pthread_mutex_lock(&f->lock);
	refresh(f);
	restart = f->restart;
	f->restart = false;
	pthread_mutex_unlock(&f->lock);
	return restart;
}

unsigned memory_fault_version(struct memory_faults *f)
{
	unsigned version;

	pthread_mutex_lock(&f->lock);
	version = f->version;
	pthread_mutex_unlock(&f->lock);
	return version;
}

int memory_fault_sessions(struct memory_faults *f, const char *initiator, session_fn *fn,
			  void *arg)
{
	struct backend_session found[RULES_MAX];
	size_t n = 0;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	refresh(f);
	for (size_t i = 0; i < f->n_rules; i++) {
		struct memory_rule *rule = &f->rules[i];

		if (strcmp(rule->word[0], "sessions") || strcmp(rule->word[1], initiator))
			continue;
		text_copy(found[n].initiator, sizeof(found[n].initiator), text_of(initiator));
		text_copy(found[n].address, sizeof(found[n].address), text_of(rule->word[2]));
		found[n].since = (int64_t)f->mtime.tv_sec * 1000000000 + f->mtime.tv_nsec;
		n++;
	}
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < n && !rc; i++)
		rc = fn(arg, &found[i]);
	return rc;
}
