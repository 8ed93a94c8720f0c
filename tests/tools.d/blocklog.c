/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk that keeps a diary: serves one file to put a loop device on, and logs writes and flushes. */
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * blocklog IMAGE LOG MOUNTPOINT
 *
 * MOUNTPOINT/disk is the content of IMAGE. The log begins with a page whose first 8 bytes
 * count the records that follow it, so that whoever maps it can tell at any moment what has
 * been asked of the disk so far. A record is 24 bytes (type: 1 write, 2 flush; length; offset;
 * its number) and, of a write, the data. Requests are served one at a time: a record is in the
 * log and counted before the request that it tells of is answered.
 *
 * What a disk with a volatile cache may have lost at a power failure after record N is: any
 * part of the writes that no flush among the first N records follows.
 */
#define DISK	    "/disk"
#define HEADER_SIZE 4096

enum { RECORD_WRITE = 1, RECORD_FLUSH = 2 };

struct record {
	uint32_t type, length;
	uint64_t offset, number;
};

static int image_fd = -1, log_fd = -1;
static _Atomic uint64_t *count;

static int write_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int note(uint32_t type, const void *data, size_t n, uint64_t offset)
{
	struct record r = {type, (uint32_t)n, offset, *count};
	int rc = write_all(log_fd, &r, sizeof(r));

	if (!rc)
		rc = write_all(log_fd, data, n);
	if (!rc)
		atomic_fetch_add(count, 1);
	return rc;
}

static int disk_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0700;
		st->st_nlink = 2;
		return 0;
	}
	if (strcmp(path, DISK))
		return -ENOENT;
	return fstat(image_fd, st) ? -errno : 0;
}

static int disk_open(const char *path, struct fuse_file_info *fi)
{
	if (strcmp(path, DISK))
		return -ENOENT;
	fi->direct_io = 1; /* no cache between the loop device and the log */
	return 0;
}

static int disk_read(const char *path, char *out, size_t n, off_t offset,
		     struct fuse_file_info *fi)
{
	ssize_t done = pread(image_fd, out, n, offset);

	(void)path, (void)fi;
	return done < 0 ? -errno : (int)done;
}

static int disk_write(const char *path, const char *data, size_t n, off_t offset,
		      struct fuse_file_info *fi)
{
	ssize_t done = pwrite(image_fd, data, n, offset);
	int rc = done < 0 ? -errno : note(RECORD_WRITE, data, (size_t)done, (uint64_t)offset);

	(void)path, (void)fi;
	return rc ? rc : (int)done;
}

static int disk_fsync(const char *path, int only_data, struct fuse_file_info *fi)
{
	(void)path, (void)only_data, (void)fi;
	return note(RECORD_FLUSH, NULL, 0, 0);
}

static const struct fuse_operations ops = {
	.getattr = disk_getattr,
	.open = disk_open,
	.read = disk_read,
	.write = disk_write,
	.fsync = disk_fsync,
};

static int open_log(const char *path)
{
	void *page;

	log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log_fd < 0 || ftruncate(log_fd, HEADER_SIZE) ||
	    lseek(log_fd, HEADER_SIZE, SEEK_SET) < 0)
		return -errno;
	page = mmap(NULL, HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	count = page;
	return 0;
}

int main(int argc, char **argv)
{
	char *args[] = {argv[0], "-f", "-s", "-o", "fsname=blocklog", argv[argc - 1], NULL};

	if (argc != 4) {
		fprintf(stderr, "usage: blocklog IMAGE LOG MOUNTPOINT\n");
		return 1;
	}
	image_fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (image_fd < 0 || open_log(argv[2])) {
		fprintf(stderr, "blocklog: %s\n", strerror(errno));
		return 1;
	}
	return fuse_main(6, args, &ops, NULL);
}
