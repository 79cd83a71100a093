// SPDX-License-Identifier: GPL-2.0-or-later
/* manager [--watchdog MS] COMMAND [ARGUMENT...]: stands in for a service manager where none runs.
 * It has a NOTIFY_SOCKET, keeps the descriptors that the command gives it, and when the command
 * dies by a signal starts it again with them, as systemd does under Restart=on-abnormal and
 * FileDescriptorStoreMax=. Says on stdout "started PID", "ready", "status: TEXT", "stored NAME",
 * "forgot NAME", "watchdog". Ends when the command exits by itself, with its status; SIGTERM is
 * passed on, and then nothing is started again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORE_MAX 64
#define NAME_SIZE 256

struct stored {
	char name[NAME_SIZE];
	int fd;
};

static struct stored store[STORE_MAX];
static size_t stored_count;
static char notify_path[64];
static sigset_t handled;
/* how often the command is to say that it is alive; it is only listened to */
static const char *watchdog_ms;

static int open_notify_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(notify_path, sizeof(notify_path), "@nbd-attach-manager-%d", (int)getpid());
	memcpy(address.sun_path + 1, notify_path + 1, strlen(notify_path) - 1);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(notify_path))) <
			0)
		return -1;
	return fd;
}

static bool is_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
		sa.st_ino == sb.st_ino;
}

static void keep(const char *name, int fd)
{
	bool refused = stored_count == STORE_MAX;

	for (size_t i = 0; i < stored_count; i++)
		refused |= is_same_file(store[i].fd, fd);
	printf("%s %s\n", refused ? "full, or has it already:" : "stored", name);
	if (refused && close(fd) == 0)
		return;
	snprintf(store[stored_count].name, NAME_SIZE, "%s", *name ? name : "stored");
	store[stored_count++].fd = fd;
}

static void forget(const char *name)
{
	size_t left = 0;

	for (size_t i = 0; i < stored_count; i++)
		if (strcmp(store[i].name, name) == 0)
			close(store[i].fd);
		else
			store[left++] = store[i];
	stored_count = left;
	printf("forgot %s\n", name);
}

static void obey(char *message, const int *fds, size_t fd_count)
{
	bool storing = false, forgetting = false;
	const char *name = "";
	char *rest = NULL;

	for (char *line = strtok_r(message, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		storing |= strcmp(line, "FDSTORE=1") == 0;
		forgetting |= strcmp(line, "FDSTOREREMOVE=1") == 0;
		if (strncmp(line, "FDNAME=", 7) == 0)
			name = line + 7;
		else if (strcmp(line, "READY=1") == 0)
			puts("ready");
		else if (strcmp(line, "WATCHDOG=1") == 0)
			puts("watchdog");
		else if (strncmp(line, "STATUS=", 7) == 0)
			printf("status: %s\n", line + 7);
	}
	if (forgetting)
		forget(name);
	for (size_t i = 0; i < fd_count; i++)
		storing ? keep(name, fds[i]) : (void)close(fds[i]);
}

static void read_notices(int notify_fd)
{
	char message[4096],
		control[CMSG_SPACE(STORE_MAX * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr))));

	for (;;) {
		struct iovec iov = {message, sizeof(message) - 1};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(notify_fd, &msg, MSG_CMSG_CLOEXEC);
		struct cmsghdr *cmsg = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

		if (n < 0)
			return;
		message[n] = 0;
		obey(message, cmsg ? (int *)CMSG_DATA(cmsg) : NULL,
			cmsg ? (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0);
	}
}

/* In the child: the stored descriptors from 3 on, first moved out of the way of each other. */
static void pass_store(void)
{
	char names[STORE_MAX * NAME_SIZE] = "", number[16];
	size_t len = 0;

	for (size_t i = 0; i < stored_count; i++)
		store[i].fd = fcntl(store[i].fd, F_DUPFD_CLOEXEC, 3 + STORE_MAX);
	for (size_t i = 0; i < stored_count; i++) {
		dup2(store[i].fd, 3 + (int)i);
		len += (size_t)snprintf(
			names + len, sizeof(names) - len, "%s%s", i ? ":" : "", store[i].name);
	}
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%zu", stored_count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid) {
		printf("started %d\n", (int)pid);
		return pid;
	}
	sigprocmask(SIG_UNBLOCK, &handled, NULL);
	setenv("NOTIFY_SOCKET", notify_path, 1);
	if (stored_count)
		pass_store();
	if (watchdog_ms) {
		char number[32];

		snprintf(number, sizeof(number), "%s000", watchdog_ms);
		setenv("WATCHDOG_USEC", number, 1);
		snprintf(number, sizeof(number), "%d", (int)getpid());
		setenv("WATCHDOG_PID", number, 1);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "manager: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int manage(char **argv, int notify_fd, int signal_fd)
{
	struct pollfd fds[] = {
		{.fd = notify_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	bool stopping = false;
	pid_t pid = start(argv);
	int status;

	while (poll(fds, 2, -1) >= 0) {
		/* Also what the dead one said last, before another is started. */
		read_notices(notify_fd);
		if (!fds[1].revents || read(signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD) {
			stopping = true;
			kill(pid, (int)info.ssi_signo);
		} else if (waitpid(pid, &status, WNOHANG) == pid) {
			read_notices(notify_fd);
			if (!WIFSIGNALED(status))
				return WEXITSTATUS(status);
			printf("died by signal %d\n", WTERMSIG(status));
			if (stopping)
				return 128 + WTERMSIG(status);
			poll(NULL, 0, 100);
			pid = start(argv);
		}
	}
	return 1;
}

int main(int argc, char **argv)
{
	int notify_fd = open_notify_socket(), signal_fd;

	if (argc > 3 && strcmp(argv[1], "--watchdog") == 0) {
		watchdog_ms = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2 || notify_fd < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGTERM);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal_fd = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
	return signal_fd < 0 ? 1 : manage(argv + 1, notify_fd, signal_fd);
}
