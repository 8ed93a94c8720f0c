/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every bound on what a user, a configuration file or a backend can make attachfs hold. */
#ifndef ATTACHFS_LIMITS_H
#define ATTACHFS_LIMITS_H

/* Names of objects and keys: [A-Za-z0-9][A-Za-z0-9._-]{0,62}. */
#define NAME_BYTES_MAX 63
/* An attribute's value, its newline included. */
#define VALUE_BYTES_MAX 4096

/* Attachments of one volume, and keys in one free-form directory: ENOSPC beyond. */
#define ATTACHMENTS_PER_VOLUME_MAX 1024
#define KEYS_PER_DIRECTORY_MAX	   256
/* A pool's capabilities together, names and values. */
#define CAPABILITIES_BYTES_MAX (48 * 1024)

/* Temporary files beside attributes: bytes of one, how many in one directory, and all of them. */
#define TEMP_BYTES_MAX		(64 * 1024)
#define TEMP_NAME_MAX		255
#define TEMPS_PER_DIRECTORY_MAX 64
#define TEMPS_MAX		4096
#define TEMPS_BYTES_MAX		(16ULL << 20)
/* Attributes whose names are hidden after unlink(), and for how long. */
#define HIDDEN_MAX 16384
#define HIDDEN_MS  5000
/* New objects that do not show everything to their makers, and for how long. */
#define VEILS_MAX 4096
#define VEIL_MS	  5000

/* RFC 7143 section 4.2.7.1: an iSCSI name has at most 223 bytes. */
#define ISCSI_NAME_MAX 223
/* Section 6.1: a value has at most 255, and libiscsi and open-iscsi take no longer CHAP names. */
#define CHAP_USER_MAX 255

/* Sizes of volumes: a whole number of 512-byte blocks, at least 1 MiB, at most 1 PiB. */
#define VOLUME_BYTES_MIN (1ULL << 20)
#define VOLUME_BYTES_MAX (1ULL << 50)
#define VOLUME_BLOCK	 512

/* Configuration files (design section 5). */
#define CONF_FILE_BYTES_MAX (256 * 1024)
#define CONF_DEPTH_MAX	    32
#define CONF_NODES_MAX	    65536
#define CONF_DOCKS_MAX	    1024

/* One line of the audit log, and the whole, which is also no more than so much of the state: past
 * that its older half goes. */
#define EVENT_BYTES_MAX	 4096
#define EVENTS_BYTES_MAX (64ULL << 20)
#define EVENTS_PART	 16
/* What is kept of the state, that part of it but no more than so much, for changes that free room
 * or keep hosts out. */
#define RESERVE_PART	  8
#define RESERVE_BYTES_MAX (16ULL << 20)

/* Threads that work for one dock at the same time. */
#define DOCK_WORKERS 8

/* Targets of one spawned tgtd: its login time grows with their square. */
#define TGT_TARGETS_PER_DAEMON 250
#define TGT_DAEMONS_MAX	       64

#endif
