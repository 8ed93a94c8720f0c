/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a configuration file: a regular file of bounded size, or a link to one. */
#include "attachfs/cleanup.h"
#include "attachfs/conf.h"
#include "attachfs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *path, int code, struct error *err)
{
	return error_set(err, code, "%s: %s", path, strerror(code));
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
static int open_regular(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fail(path, errno, err);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s: not a regular file, expected a YAML file",
				 path);
	*ret = steal_fd(&fd);
	return 0;
}

/* Up to `size` bytes; the size that stat tells may be wrong by the time of reading. */
static int read_all(int fd, char *data, size_t size, size_t *ret)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	*ret = done;
	return 0;
}

int conf_parse_file(const char *path, struct conf_node **ret, struct error *err)
{
	/* One byte more than allowed, so that a longer file is seen to be longer. */
	const size_t size = CONF_FILE_BYTES_MAX + 1;
	_cleanup_free_ char *data = NULL;
	_cleanup_close_ int fd = -1;
	size_t n = 0;
	int error;

	error = open_regular(path, &fd, err);
	if (error)
		return error;
	data = malloc(size);
	if (!data)
		return fail(path, ENOMEM, err);
	error = read_all(fd, data, size, &n);
	if (error)
		return fail(path, -error, err);
	return conf_parse_text(path, (struct text){data, n}, ret, err);
}
