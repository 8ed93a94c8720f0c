/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Part of each tgtd that attachfs starts: no host logs in under the name of another one. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * tgtd lets initiators in to a target by their names, and accounts by their secrets, but it does
 * not ask whether the two belong together. So any host of a target could log in under the name of
 * another one with its own secret, and go on when its own name is taken away.
 *
 * This library is preloaded into tgtd. An account's name ends with "@" and the name of the
 * initiator that it is for. What a connection sends is read along here until tgtd has accepted its
 * login. It is told that its login failed, and to tgtd it is at its end, as soon as it
 *	- names two initiators, or an account of another one than it has named before;
 *	- sends anything but login requests, or a greater one than tgtd takes.
 * Accounts without "@" were not made by attachfs and are let pass.
 *
 * Keys are looked for at every byte of a request, not only where one may begin: so whatever tgtd
 * takes for a name or an account, which it looks for within one request, is seen here too.
 *
 * tgtd accepts, reads and writes connections in one thread; what others read is no connection.
 */

#define HEADER	    48
#define REQUEST_MAX 8192 /* tgtd's own limit of what follows the header */
#define NAME_SIZE   256
/* As many descriptors as attachfs lets tgtd have. */
#define DESCRIPTORS 1048576

enum { LOGIN_REQUEST = 0x03, LOGIN_RESPONSE = 0x23, OPCODE = 0x3f };

/* A connection that is not logged in yet. */
struct login {
	bool refused;
	size_t have; /* bytes of the request that is being received */
	unsigned char request[HEADER + REQUEST_MAX];
	char name[NAME_SIZE]; /* the initiator's; empty: not named yet */
};

static struct login *logins[DESCRIPTORS];
static ssize_t (*next_read)(int, void *, size_t);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_accept)(int, struct sockaddr *, socklen_t *);

static void __attribute__((constructor)) find_next(void)
{
	*(void **)&next_read = dlsym(RTLD_NEXT, "read");
	*(void **)&next_write = dlsym(RTLD_NEXT, "write");
	*(void **)&next_accept = dlsym(RTLD_NEXT, "accept");
	if (!next_read || !next_write || !next_accept)
		abort();
}

static struct login *login_of(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? logins[fd] : NULL;
}

static void forget(int fd)
{
	free(logins[fd]);
	logins[fd] = NULL;
}

/* ---- what a request says ---- */

struct piece {
	const char *p;
	size_t n;
};

/* The value of the next "KEY=" in `rest`, up to the NUL or the end; cuts `rest` behind the key. */
static bool next_value(struct piece *rest, const char *key, struct piece *ret)
{
	const char *at = memmem(rest->p, rest->n, key, strlen(key));

	if (!at)
		return false;
	at += strlen(key);
	rest->n -= (size_t)(at - rest->p);
	rest->p = at;
	*ret = (struct piece){at, strnlen(at, rest->n)};
	return true;
}

static bool is_name(const struct login *l, struct piece value)
{
	return strlen(l->name) == value.n && !memcmp(l->name, value.p, value.n);
}

static bool names_one_initiator(struct login *l, struct piece data)
{
	struct piece value;

	while (next_value(&data, "InitiatorName=", &value)) {
		if (!value.n || value.n >= sizeof(l->name))
			return false;
		if (!l->name[0])
			memcpy(l->name, value.p, value.n);
		if (!is_name(l, value))
			return false;
	}
	return true;
}

static bool accounts_are_its_own(const struct login *l, struct piece data)
{
	struct piece value;

	while (next_value(&data, "CHAP_N=", &value)) {
		const char *at = memchr(value.p, '@', value.n);

		if (at && !is_name(l, (struct piece){at + 1, value.n - (size_t)(at + 1 - value.p)}))
			return false;
	}
	return true;
}

/* How long the request will be, as its header says; 0: it must not be. */
static size_t length_of(const unsigned char *header)
{
	size_t ahs = 4U * header[4];
	size_t data = (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
	size_t all = HEADER + ahs + ((data + 3) & ~(size_t)3);

	return (header[0] & OPCODE) == LOGIN_REQUEST && all <= HEADER + REQUEST_MAX ? all : 0;
}

static bool may_go_on(struct login *l)
{
	const unsigned char *header = l->request;
	size_t data = (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
	struct piece keys = {(const char *)header + HEADER + 4U * header[4], data};

	return names_one_initiator(l, keys) && accounts_are_its_own(l, keys);
}

/* Takes in what was received; false if that must not reach tgtd. */
static bool follow(struct login *l, const unsigned char *p, size_t n)
{
	while (n) {
		size_t all = l->have < HEADER ? HEADER : length_of(l->request);
		size_t take = all - l->have < n ? all - l->have : n;

		memcpy(l->request + l->have, p, take);
		l->have += take;
		p += take;
		n -= take;
		if (l->have == HEADER && !length_of(l->request))
			return false;
		if (l->have < HEADER || l->have < length_of(l->request))
			continue;
		if (!may_go_on(l))
			return false;
		l->have = 0;
	}
	return true;
}

/* What tgtd says when a secret is wrong: status class 2, detail 1, to this session and task. */
static void answer_no(int fd, const unsigned char *request)
{
	unsigned char no[HEADER] = {LOGIN_RESPONSE, [36] = 2, [37] = 1};

	memcpy(no + 8, request + 8, 6);
	memcpy(no + 16, request + 16, 4);
	if (next_write(fd, no, sizeof(no)) < 0)
		return; /* it sees no answer, then */
}

/* Does tgtd answer that the login is complete: a transition to the full feature phase? */
static bool completes(const unsigned char *response, size_t n)
{
	return n >= HEADER && (response[0] & OPCODE) == LOGIN_RESPONSE &&
	       (response[1] & 0x83) == 0x83 && response[36] == 0;
}

/* ---- what tgtd calls ---- */

ssize_t read(int fd, void *buf, size_t n);
ssize_t write(int fd, const void *buf, size_t n);
int accept(int fd, struct sockaddr *address, socklen_t *size);

ssize_t read(int fd, void *buf, size_t n)
{
	struct login *l = login_of(fd);
	ssize_t got = l && l->refused ? 0 : next_read(fd, buf, n);

	if (!l || got <= 0 || follow(l, buf, (size_t)got))
		return got;
	answer_no(fd, l->request);
	l->refused = true;
	return 0;
}

ssize_t write(int fd, const void *buf, size_t n)
{
	if (login_of(fd) && completes(buf, n))
		forget(fd);
	return next_write(fd, buf, n);
}

/* tgtd's management has local sockets; they are not meant. */
int accept(int fd, struct sockaddr *address, socklen_t *size)
{
	int domain = AF_UNIX, got = next_accept(fd, address, size);
	socklen_t domain_size = sizeof(domain);

	if (got < 0)
		return got;
	if (got < DESCRIPTORS)
		forget(got);
	if (!getsockopt(got, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) && domain == AF_UNIX)
		return got;
	if (got < DESCRIPTORS)
		logins[got] = calloc(1, sizeof(**logins));
	if (login_of(got))
		return got;
	close(got);
	errno = ECONNABORTED;
	return -1;
}
