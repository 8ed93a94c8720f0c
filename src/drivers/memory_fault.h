/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delays, failures and sessions that a test injects into the memory driver through a file. */
#ifndef ATTACHFS_DRIVERS_MEMORY_FAULT_H
#define ATTACHFS_DRIVERS_MEMORY_FAULT_H

#include "attachfs/driver.h"

#include <pthread.h>
#include <sys/stat.h>

/*
 * The control file of a memory dock (`memory: {control: PATH}`). It is read again whenever it
 * has changed; a missing file injects nothing. One rule a line, # begins a comment:
 *
 *	CALL delay MILLISECONDS		the call sleeps first; a changed file ends the sleep
 *	CALL fail ERRNO [once]		the call fails, EIO by its name or number
 *	probe wrong			it sees the other mode and fails
 *	fence wrong			the host's login is not refused, so it fails
 *	sessions INITIATOR [ADDRESS]	this host has a live session on each of its exports, since
 *					the file's last change
 *	restart				the epoch changes and every export is forgotten
 *
 * CALL is a member of struct driver (export, unexport, fence, probe, provision, extend, purge,
 * sessions, end_sessions, list_exports, check, pool_usage) or `*`. `once` and `restart` hold
 * once for each time that the file changes. Replace the file by rename for an atomic change.
 * At most 64 rules hold.
 */
struct memory_rule {
	char word[4][ISCSI_NAME_MAX + 1];
	bool spent; /* its `once` is used up */
};

struct memory_faults {
	pthread_mutex_t lock; /* of everything below */
	const char *path;     /* NULL: no faults ever */
	struct timespec mtime;
	off_t size;
	ino_t inode;
	unsigned version; /* 1 and up: grows whenever the file has changed */
	bool restart;	  /* to be taken by memory_fault_restart() */
	struct memory_rule *rules;
	size_t n_rules;
};

void memory_faults_init(struct memory_faults *f, const char *path);
void memory_faults_free(struct memory_faults *f);

/* Sleeps and fails as the file says for `call`; 0 if it lets the call pass. */
int memory_fault(struct memory_faults *f, const char *call, struct error *err);

/* Does `CALL wrong` hold? */
bool memory_fault_wrong(struct memory_faults *f, const char *call);

/* True once for each change of the file that contains `restart`. */
bool memory_fault_restart(struct memory_faults *f);

/* The file that the last call saw: another number, another content. Never 0. */
unsigned memory_fault_version(struct memory_faults *f);

/* The injected sessions of `initiator`, as in struct driver. */
int memory_fault_sessions(struct memory_faults *f, const char *initiator, session_fn *fn,
			  void *arg);

#endif
