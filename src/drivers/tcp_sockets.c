/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP connections over sock_diag(7), and pidfd_getfd(2) to end one. */
#include "tcp_sockets.h"

#include "attachfs/cleanup.h"
#include "attachfs/text.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* States of the kernel's enum: all but TIME_WAIT (6), CLOSE (7) and LISTEN (10). */
#define STATES (0xfffU & ~(1U << 6 | 1U << 7 | 1U << 10))

/* A daemon with more connections is not one of ours. */
#define SOCKETS_MAX 65536

void tcp_sockets_free(struct tcp_sockets *s)
{
	free(s->list);
	*s = (struct tcp_sockets){0};
}

static int by_received(const void *a, const void *b)
{
	const struct tcp_socket *x = a, *y = b;

	return (x->received > y->received) - (x->received < y->received);
}

void tcp_sockets_sort_by_bytes(struct tcp_sockets *s)
{
	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), by_received);
}

bool tcp_sockets_has(const struct tcp_sockets *s, uint32_t inode)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].inode == inode)
			return true;
	return false;
}

static int request_dump(int fd, unsigned char family, unsigned port)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 diag;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.diag = {
			.sdiag_family = family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_ext = 1 << (INET_DIAG_INFO - 1),
			.idiag_states = STATES,
			.id.idiag_sport = htons((uint16_t)port),
		},
	};

	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* The tcp_info attribute may be shorter than ours on an older kernel. */
static uint64_t received_bytes(const struct nlmsghdr *header, const struct inet_diag_msg *m)
{
	struct tcp_info info = {0};
	struct rtattr *attribute = (struct rtattr *)(m + 1);
	int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == INET_DIAG_INFO)
			memcpy(&info, RTA_DATA(attribute),
			       RTA_PAYLOAD(attribute) < sizeof(info) ? RTA_PAYLOAD(attribute)
								     : sizeof(info));
	return info.tcpi_bytes_received;
}

static int add_socket(const struct nlmsghdr *header, struct tcp_sockets *s)
{
	const struct inet_diag_msg *m = NLMSG_DATA(header);
	struct tcp_socket *list;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || !m->idiag_inode)
		return 0;
	if (s->n >= SOCKETS_MAX)
		return -E2BIG;
	list = realloc(s->list, (s->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->list = list;
	list[s->n] = (struct tcp_socket){
		.inode = m->idiag_inode,
		.received = received_bytes(header, m),
	};
	inet_ntop(m->idiag_family, m->id.idiag_dst, list[s->n].address,
		  sizeof(list[s->n].address));
	s->n++;
	return 0;
}

/* 1 at the end of the dump. */
static int read_part(char *data, size_t n, struct tcp_sockets *s)
{
	unsigned left = (unsigned)n;

	for (struct nlmsghdr *h = (struct nlmsghdr *)data; NLMSG_OK(h, left);
	     h = NLMSG_NEXT(h, left)) {
		int rc;

		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		rc = add_socket(h, s);
		if (rc)
			return rc;
	}
	return 0;
}

static int dump(int fd, unsigned char family, unsigned port, struct tcp_sockets *s)
{
	_Alignas(struct nlmsghdr) char data[32768];
	int rc = request_dump(fd, family, port);

	while (!rc) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		rc = n < 0 ? -errno : read_part(data, (size_t)n, s);
	}
	return rc < 0 ? rc : 0;
}

/* The same port at several addresses is dumped once: the second time finds its sockets there. */
static bool seen_before(const struct tcp_port *ports, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (ports[k].number == ports[i].number && ports[k].v6 == ports[i].v6)
			return true;
	return false;
}

int tcp_sockets_list(const struct tcp_port *ports, size_t n_ports, struct tcp_sockets *ret,
		     struct error *err)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	static const struct timeval patience = {2, 0};
	int rc = fd < 0 ? -errno : 0;

	if (!rc && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		rc = -errno;
	for (size_t i = 0; i < n_ports && !rc; i++) {
		if (seen_before(ports, i))
			continue;
		rc = dump(fd, ports[i].v6 ? AF_INET6 : AF_INET, ports[i].number, ret);
	}
	if (rc)
		return error_set(err, -rc, "cannot list TCP connections: %s", strerror(-rc));
	return 0;
}

int process_sockets_count(pid_t pid)
{
	char path[64], link[16];
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		ssize_t got = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link));

		n += got > 0 && text_starts((struct text){link, (size_t)got}, "socket:");
	}
	closedir(dir);
	return n;
}

/* The socket's inode if that is what the descriptor's link names, else 0. */
static uint32_t socket_inode(int folder, const char *name)
{
	char link[64] = "";
	unsigned inode = 0;

	if (readlinkat(folder, name, link, sizeof(link) - 1) > 0)
		sscanf(link, "socket:[%u]", &inode);
	return inode;
}

/* A copy of the process's descriptor; its number may have been given to another file meanwhile. */
static int copy_descriptor(int process, const char *name, uint32_t inode)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = (int)syscall(SYS_pidfd_getfd, process, (int)strtol(name, NULL, 10), 0);
	if (fd < 0)
		return errno == EBADF ? -1 : -errno;
	return !fstat(fd, &st) && st.st_ino == inode ? steal_fd(&fd) : -1;
}

static int take_each(int process, DIR *dir, const struct tcp_sockets *s, struct tcp_copies *ret)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) && ret->n < s->n) {
		uint32_t inode = socket_inode(dirfd(dir), entry->d_name);
		int fd;

		if (!inode || !tcp_sockets_has(s, inode))
			continue;
		fd = copy_descriptor(process, entry->d_name, inode);
		if (fd < -1)
			return fd;
		if (fd >= 0)
			ret->fds[ret->n++] = fd;
	}
	return 0;
}

int tcp_sockets_copy(pid_t pid, const struct tcp_sockets *s, struct tcp_copies *ret,
		     struct error *err)
{
	_cleanup_close_ int process = (int)syscall(SYS_pidfd_open, pid, 0);
	char path[64];
	DIR *dir;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = process < 0 ? NULL : opendir(path);
	*ret = (struct tcp_copies){.fds = calloc(s->n + 1, sizeof(int))};
	rc = !dir ? -errno : !ret->fds ? -ENOMEM : take_each(process, dir, s, ret);
	if (dir)
		closedir(dir);
	if (rc) {
		tcp_copies_free(ret);
		return error_set(err, -rc, "cannot reach the connections of process %d: %s", pid,
				 strerror(-rc));
	}
	return 0;
}

void tcp_copies_free(struct tcp_copies *c)
{
	for (size_t i = 0; i < c->n; i++)
		close(c->fds[i]);
	free(c->fds);
	*c = (struct tcp_copies){0};
}

void tcp_copies_hold(const struct tcp_copies *c, bool hold)
{
	int low_water = hold ? 1 << 30 : 1; /* the kernel takes what the buffer allows */

	for (size_t i = 0; i < c->n; i++)
		setsockopt(c->fds[i], SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof(low_water));
}

int tcp_socket_shut(pid_t pid, uint32_t inode, struct error *err)
{
	struct tcp_socket one = {.inode = inode};
	struct tcp_copies copies;
	int rc = tcp_sockets_copy(pid, &(struct tcp_sockets){&one, 1}, &copies, err);

	if (rc)
		return rc;
	if (copies.n)
		shutdown(copies.fds[0], SHUT_RDWR);
	tcp_copies_free(&copies);
	return 0;
}
