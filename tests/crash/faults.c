/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library to preload into attachfs, which makes its calls fail, or forget, on command. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * FAULT_NOSYNC=1: the state is never synced, as with MDB_NOSYNC.
 *
 * FAULT_HANG=FILE: while there is that file the disk does not come back from a sync; whoever
 * waits for it makes FILE.met.
 *
 * FAULT_CONTROL=FILE: a page that the test has mapped too. The countdown-th call of kind `call`
 * from then on, and the `times` - 1 after it, fail with `error`. `seen` counts all calls, `hits`
 * those that were made to fail. With FAULT_TRACE=1 standard error tells which. What is below is in the library's own place in the order of
 * symbols, so it concerns calls of attachfs and its libraries, not those of libc itself.
 */
enum call {
	CALL_NONE,
	CALL_MEMORY,
	CALL_PWRITE,
	CALL_FDATASYNC,
	CALL_FSYNC,
	CALL_FTRUNCATE,
	CALL_FALLOCATE,
	CALL_OPEN,
	CALL_UNLINK,
	CALL_MKDIR,
	CALL_STAT,
	CALL_MMAP,
	CALL_THREAD,
	CALL_FORK,
	CALL_SOCKET,
	CALL_CONNECT,
	CALL_SEND,
	CALL_RECV,
	CALLS
};

struct control {
	_Atomic uint32_t call, error;
	_Atomic int64_t countdown, times;
	_Atomic uint64_t hits, seen[CALLS];
};

static struct control *control;
static bool trace;

static void __attribute__((constructor)) map_control(void)
{
	const char *path = getenv("FAULT_CONTROL");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	page = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		control = page;
	close(fd);
	trace = getenv("FAULT_TRACE");
}

/* addr2line -e build/attachfs makes lines of it. */
static void say_where(void)
{
	void *frames[24];

	control->call = CALL_NONE; /* it may need memory itself */
	backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
}

static bool fails(enum call call)
{
	int64_t n;

	if (!control)
		return false;
	atomic_fetch_add(&control->seen[call], 1);
	if (control->call != call)
		return false;
	n = atomic_fetch_sub(&control->countdown, 1);
	if (n > 1 || n <= 1 - control->times)
		return false;
	atomic_fetch_add(&control->hits, 1);
	if (trace)
		say_where();
	errno = (int)control->error;
	return true;
}

/* The next library's function of that name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	return REAL(mdb_env_open)(env, path, flags | (getenv("FAULT_NOSYNC") ? MDB_NOSYNC : 0),
				  mode);
}

/* ---- memory: dlsym() may need some itself; with ASan it must be ASan's ---- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__interceptor_malloc(size_t n) __attribute__((weak));
extern void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
extern void *__interceptor_realloc(void *p, size_t n) __attribute__((weak));

void *malloc(size_t n)
{
	if (fails(CALL_MEMORY))
		return NULL;
	return __interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	if (fails(CALL_MEMORY))
		return NULL;
	return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	if (fails(CALL_MEMORY))
		return NULL;
	return __interceptor_realloc ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

/* ---- files ---- */

#define FAIL_OR(call, failed, name, ...) (fails(call) ? (failed) : REAL(name)(__VA_ARGS__))

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return FAIL_OR(CALL_PWRITE, -1, pwrite, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct stat st;

	/* LMDB writes runs of pages so; what goes to the kernel's FUSE does not fail. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return REAL(writev)(fd, iov, n);
	return FAIL_OR(CALL_PWRITE, -1, writev, fd, iov, n);
}

static void hang(void)
{
	const char *path = getenv("FAULT_HANG");
	char met[4096];

	if (!path || access(path, F_OK))
		return;
	snprintf(met, sizeof(met), "%s.met", path);
	close((int)syscall(SYS_openat, AT_FDCWD, met, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	while (!access(path, F_OK))
		usleep(1000);
}

int fdatasync(int fd)
{
	hang();
	return FAIL_OR(CALL_FDATASYNC, -1, fdatasync, fd);
}

int fsync(int fd)
{
	return FAIL_OR(CALL_FSYNC, -1, fsync, fd);
}

int ftruncate(int fd, off_t n)
{
	return FAIL_OR(CALL_FTRUNCATE, -1, ftruncate, fd, n);
}

int ftruncate64(int fd, off64_t n)
{
	return FAIL_OR(CALL_FTRUNCATE, -1, ftruncate64, fd, n);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	return FAIL_OR(CALL_FALLOCATE, -1, fallocate64, fd, mode, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	return FAIL_OR(CALL_FALLOCATE, errno, posix_fallocate64, fd, at, n);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return FAIL_OR(CALL_OPEN, -1, open, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return FAIL_OR(CALL_OPEN, -1, open64, path, flags, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return FAIL_OR(CALL_OPEN, NULL, fopen64, path, mode);
}

DIR *opendir(const char *path)
{
	return FAIL_OR(CALL_OPEN, NULL, opendir, path);
}

DIR *fdopendir(int fd)
{
	return FAIL_OR(CALL_OPEN, NULL, fdopendir, fd);
}

/* openat2, pidfd_open, pidfd_getfd and the like */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (!real)
		real = REAL(syscall);
	if (number != SYS_mmap && number != SYS_openat && fails(CALL_OPEN))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int unlinkat(int folder, const char *name, int flags)
{
	return FAIL_OR(CALL_UNLINK, -1, unlinkat, folder, name, flags);
}

int mkdir(const char *path, mode_t mode)
{
	return FAIL_OR(CALL_MKDIR, -1, mkdir, path, mode);
}

int stat64(const char *path, struct stat64 *st)
{
	return FAIL_OR(CALL_STAT, -1, stat64, path, st);
}

int fstatvfs64(int fd, struct statvfs64 *st)
{
	return FAIL_OR(CALL_STAT, -1, fstatvfs64, fd, st);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return FAIL_OR(CALL_MMAP, MAP_FAILED, mmap, at, n, prot, flags, fd, offset);
}

/* ---- threads, processes, sockets ---- */

int pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return FAIL_OR(CALL_THREAD, errno, pthread_create, ret, attr, fn, arg);
}

pid_t fork(void)
{
	return FAIL_OR(CALL_FORK, -1, fork);
}

int pipe2(int fds[2], int flags)
{
	return FAIL_OR(CALL_FORK, -1, pipe2, fds, flags);
}

int socket(int domain, int type, int protocol)
{
	return FAIL_OR(CALL_SOCKET, -1, socket, domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t n)
{
	return FAIL_OR(CALL_CONNECT, -1, connect, fd, address, n);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	return FAIL_OR(CALL_SEND, -1, send, fd, p, n, flags);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	return FAIL_OR(CALL_RECV, -1, recv, fd, p, n, flags);
}
