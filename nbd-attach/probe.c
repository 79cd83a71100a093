/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe.h"
#include "cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int read_once(int fd, uint32_t block_size_bytes)
{
	_cleanup_free_ void *block = NULL;
	ssize_t n;

	if (posix_memalign(&block, 4096, 4096))
		return -ENOMEM;
	n = pread(fd, block, block_size_bytes, 0);
	return n == (ssize_t)block_size_bytes ? 0 : n < 0 ? -errno : -EIO;
}

static int read_on_every_cpu(int fd, uint32_t block_size_bytes)
{
	cpu_set_t all, one;
	int rc = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return read_once(fd, block_size_bytes);
	for (int cpu = 0; rc == 0 && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		rc = read_once(fd, block_size_bytes);
	}
	return rc;
}

static _Noreturn void probe_main(int channel, int index, uint32_t block_size_bytes, bool every_cpu)
{
	char path[32];
	int fd, rc;

	/* The supervisor's sockets are not ours to keep open for as long as we hang. */
	dup2(channel, 3);
	syscall(SYS_close_range, 4U, ~0U, 0U);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	snprintf(path, sizeof(path), "/dev/nbd%d", index);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	rc = fd < 0 ? -errno : every_cpu ? read_on_every_cpu(fd, block_size_bytes) : read_once(fd, block_size_bytes);
	if (fd >= 0)
		close(fd); /* before anybody hears that we are done: an open device cannot be detached */
	_exit(write(3, &rc, sizeof(rc)) != sizeof(rc));
}

int probe_start(struct probe *probe, int index, uint32_t block_size_bytes, bool every_cpu, struct error *err)
{
	int fds[2];
	pid_t pid;

	probe->poll_fd = -1;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_set(err, ERROR_OTHER, errno, "pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* Twice, so that nobody has to wait for one that hangs. */
		pid = fork();
		if (pid == 0)
			probe_main(fds[1], index, block_size_bytes, every_cpu);
		_exit(pid < 0);
	}
	close(fds[1]);
	if (pid < 0 || waitpid(pid, NULL, 0) < 0) {
		close(fds[0]);
		return error_set(err, ERROR_OTHER, errno, "fork: %s", strerror(errno));
	}
	probe->poll_fd = fds[0];
	return 0;
}

int probe_step(struct probe *probe)
{
	int rc = -EIO;
	ssize_t n = read(probe->poll_fd, &rc, sizeof(rc));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	probe_abandon(probe);
	return n == sizeof(rc) && rc <= 0 ? rc : -EIO;
}

void probe_abandon(struct probe *probe)
{
	if (probe->poll_fd >= 0)
		close(probe->poll_fd);
	probe->poll_fd = -1;
}

int probe_run(int index, uint32_t block_size_bytes, bool every_cpu, int timeout_ms, struct error *err)
{
	struct probe probe;
	int rc = probe_start(&probe, index, block_size_bytes, every_cpu, err);
	struct pollfd pfd = {.fd = probe.poll_fd, .events = POLLIN};

	if (rc)
		return rc;
	if (poll(&pfd, 1, timeout_ms) <= 0) {
		probe_abandon(&probe);
		error_set(err, ERROR_SERVER, ETIMEDOUT, "the first read through /dev/nbd%d was not answered within %d s", index, timeout_ms / 1000);
		return error_hint(err, -ETIMEDOUT, "the server answered while we connected and hangs now: look at its log");
	}
	rc = probe_step(&probe);
	if (rc >= 0)
		return rc;
	error_set(err, ERROR_SERVER, -rc, "the first read through /dev/nbd%d failed: %s", index, strerror(-rc));
	return error_hint(err, rc, "the kernel log says more: dmesg | tail");
}
