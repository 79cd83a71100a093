/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls about descriptors and times of the simulated world, by the linker's --wrap. Those
 * about files are in files.c. */
#include "sim.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include "supervisor/loop.h"

#define HUNG_UP (POLLRDHUP | POLLHUP)

bool sim_is_readable(int fd)
{
	int id;

	switch (sim_kind_of(fd, &id)) {
	case SIM_LISTENER: return sim_driver.notices || sim_driver.are_notices_lost;
	case SIM_LOG: return sim_log_is_readable();
	case SIM_CHILD: return sim_child_is_readable(id);
	case SIM_SIGNALS: return sim_signal_is_pending();
	default: return false;
	}
}

static unsigned look(struct pollfd *fds, unsigned count)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < count; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		if (sim_kind_of(fds[i].fd, NULL) == SIM_CLOSED)
			sim_violation("a descriptor that is closed is waited for: %d", fds[i].fd);
		if (fds[i].events & POLLIN && sim_is_readable(fds[i].fd))
			fds[i].revents |= POLLIN;
		if (fds[i].events & POLLRDHUP && sim_is_hung_up(fds[i].fd))
			fds[i].revents |= HUNG_UP;
		ready += fds[i].revents != 0;
	}
	return ready;
}

#define ROUNDS_AT_ONCE 10000

/* The loop's: time goes on here, and nearly nowhere else. */
int loop_poll(struct pollfd *fds, unsigned count, int timeout_ms)
{
	static int64_t last_ms;
	static unsigned rounds;
	int64_t until_ms = timeout_ms < 0 ? INT64_MAX : sim_now_ms + timeout_ms;

	sim_life.is_in_loop = false;
	rounds = sim_now_ms == last_ms ? rounds + 1 : 0;
	last_ms = sim_now_ms;
	if (rounds > ROUNDS_AT_ONCE)
		sim_violation("the loop is busy");
	sim_point();
	/* the machine has others to run */
	if (sim_chance(3))
		sim_run_until(sim_now_ms + sim_delay_ms(2, 60));
	while (!look(fds, count) && sim_now_ms < until_ms) {
		int64_t next_ms = sim_next_ms();

		if (next_ms == INT64_MAX && until_ms == INT64_MAX)
			sim_violation("nothing will ever happen");
		sim_run_until(next_ms < until_ms ? next_ms : until_ms);
		sim_point();
	}
	sim_life.is_in_loop = true;
	return 0;
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (timeout_ms)
		sim_blocks("poll()");
	if (timeout_ms > 0)
		sim_run_until(sim_now_ms + timeout_ms);
	return (int)look(fds, (unsigned)count);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	if (fd < SIM_FD_BASE)
		return __real_close(fd);
	sim_point();
	sim_close(fd);
	return 0;
}

int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
	int id;

	(void)how;
	sim_point();
	if (sim_kind_of(fd, &id) == SIM_SOCKET && !sim_sockets[id].is_shut) {
		sim_check_shut(id);
		sim_shut(id);
	}
	return 0;
}

int __wrap_socketpair(int domain, int type, int protocol, int pair[2]);
int __wrap_socketpair(int domain, int type, int protocol, int pair[2])
{
	(void)domain;
	(void)type;
	(void)protocol;
	for (int i = 0; i < 2; i++) {
		int socket = sim_connect(SIM_NONE);

		sim_sockets[socket].is_pair = true;
		pair[i] = sim_open(SIM_PAIR, socket);
	}
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	int id;

	if (request != FIONREAD || sim_kind_of(fd, &id) != SIM_SOCKET)
		return -1;
	va_start(args, request);
	*va_arg(args, int *) = sim_sockets[id].unread * 16;
	va_end(args);
	return 0;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	int id;
	enum sim_kind kind = sim_kind_of(fd, &id);

	if (kind == SIM_CLOSED)
		return -1;
	return command == F_DUPFD_CLOEXEC ? sim_open(kind, id) : 0;
}

ssize_t __real_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	if (fd < SIM_FD_BASE)
		return __real_recv(fd, buf, size, flags);
	errno = EAGAIN;
	return -1;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return 0;
}

static int name_socket(int fd, struct sockaddr *address, int port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	int id;

	if (sim_kind_of(fd, &id) != SIM_SOCKET)
		return -1;
	address->sa_family = sim_config.is_unix ? AF_UNIX : AF_INET;
	if (!sim_config.is_unix) {
		in->sin_port = htons((uint16_t)(port ? port : 10000 + id));
		in->sin_addr.s_addr = htonl(0xc0000200U + (unsigned)sim_sockets[id].host);
	}
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	(void)len;
	return name_socket(fd, address, 0);
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	(void)len;
	return name_socket(fd, address, 10809);
}

/* --- time */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = sim_now_ms / 1000;
	now->tv_nsec = sim_now_ms % 1000 * 1000000;
	return 0;
}

time_t __wrap_time(time_t *now);
time_t __wrap_time(time_t *now)
{
	if (now)
		*now = sim_now_ms / 1000;
	return sim_now_ms / 1000;
}

ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < size; i++)
		((unsigned char *)buf)[i] = (unsigned char)sim_draw();
	return (ssize_t)size;
}

int __wrap_uname(struct utsname *name);
int __wrap_uname(struct utsname *name)
{
	snprintf(name->release, sizeof(name->release),
		sim_config.waits_for_size ? "6.12.0" : "6.1.0");
	return 0;
}

/* --- signals */

int __wrap_signalfd(int fd, const sigset_t *set, int flags);
int __wrap_signalfd(int fd, const sigset_t *set, int flags)
{
	(void)fd;
	(void)set;
	(void)flags;
	return sim_open(SIM_SIGNALS, 0);
}

int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *former);
int __wrap_sigprocmask(int how, const sigset_t *set, sigset_t *former)
{
	(void)how;
	(void)set;
	(void)former;
	return 0;
}

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return 0;
}
