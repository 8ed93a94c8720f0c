/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries the library that pairs names with secrets, and knows a tgtd that has it. */
#include "tgt_pair.h"

#include "attachfs/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the file in memory, and of the one that is installed for a tgtd that others start. */
#define NAME "attachfs-pair"

/* The Makefile says where the assembler finds it. */
__asm__(".section .rodata\n"
	".globl attachfs_pair_begin, attachfs_pair_end\n"
	"attachfs_pair_begin: .incbin \"attachfs-pair.so\"\n"
	"attachfs_pair_end:\n"
	".previous\n");

extern const char attachfs_pair_begin[], attachfs_pair_end[];

int tgt_pair_open(struct error *err)
{
	_cleanup_close_ int fd = memfd_create(NAME, MFD_CLOEXEC);
	const char *p = attachfs_pair_begin;

	while (fd >= 0 && p < attachfs_pair_end) {
		ssize_t n = write(fd, p, (size_t)(attachfs_pair_end - p));

		if (n <= 0)
			return error_set(err, EIO, "a file in memory: %m");
		p += n;
	}
	return fd < 0 ? error_set(err, errno, "a file in memory: %m") : steal_fd(&fd);
}

bool tgt_pair_loaded(pid_t pid)
{
	char path[64], line[512];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = strstr(line, NAME);
	if (maps)
		fclose(maps);
	return found;
}
