/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/control.h"
#include "base/run-files.h"
#include "base/cleanup.h"
#include "base/json-get.h"
#include "base/passed-fd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES (128 << 10)
#define CHECK_TRIES 2000 /* a ms each, and a check takes some us */
/* a supervisor never blocks, but a busy machine may make it wait for its turn */
#define ANSWER_TIMEOUT_MS 5000

static struct sockaddr_un control_address(int index)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	run_file_path(address.sun_path, index, "sock");
	return address;
}

static int open_lock(int index, int flags)
{
	char path[RUN_PATH_SIZE];

	run_file_path(path, index, "lock");
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void control_init(struct control *control)
{
	*control = (struct control){.fd = -1, .lock_fd = -1, .index = -1};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = control->clients[i].received_fd = -1;
}

enum lock_outcome { LOCK_TAKEN, LOCK_HELD, LOCK_AGAIN };

/* A supervisor's lock excludes all others, a check's (control_exists()) only those: if it
 * can be shared, there is a check alone, or the end of a supervisor that removes its file. */
static enum lock_outcome try_lock(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fstat(fd, &st) == 0 && st.st_nlink > 0 ? LOCK_TAKEN : LOCK_AGAIN;
	return flock(fd, LOCK_SH | LOCK_NB) == 0 ? LOCK_AGAIN : LOCK_HELD;
}

static int lock(struct control *control, int index, struct error *err)
{
	if (mkdir(RUN_DIRECTORY, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_OTHER, errno, "cannot make " RUN_DIRECTORY ": %s",
			strerror(errno));
	for (int left = CHECK_TRIES; left > 0; left--) {
		_cleanup_fd_ int fd = open_lock(index, O_RDWR | O_CREAT);
		enum lock_outcome outcome;

		if (fd < 0)
			return error_set(err, ERROR_OTHER, errno,
				"cannot open " RUN_DIRECTORY "/nbd%d.lock: %s", index,
				strerror(errno));
		outcome = try_lock(fd);
		if (outcome == LOCK_TAKEN) {
			control->lock_fd = steal_fd(&fd);
			control->index = index;
			return 0;
		}
		if (outcome == LOCK_HELD)
			break;
		/* what we share would hold up others for as long as we wait */
		close(steal_fd(&fd));
		poll(NULL, 0, 1);
	}
	return error_attached(err, index);
}

int control_open(struct control *control, int index, struct error *err)
{
	struct sockaddr_un address = control_address(index);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int rc = lock(control, index, err);

	if (rc)
		return rc;
	unlink(address.sun_path); /* a supervisor that was killed leaves its own */
	mask = umask(0177);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc < 0 || listen(fd, 16) < 0)
		return error_set(err, ERROR_OTHER, errno, "cannot listen on %s: %s",
			address.sun_path, strerror(errno));
	control->fd = steal_fd(&fd);
	return 0;
}

int control_lock_all(void)
{
	int fd = open(RUN_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int left = CHECK_TRIES; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && left > 0;
		left--)
		poll(NULL, 0, 1);
	return fd;
}

static char files_to_remove[2][RUN_PATH_SIZE];
static pid_t files_owner;

static void remove_files(int signal_number)
{
	if (getpid() == files_owner) { /* a child may not have got to its own handling yet */
		unlink(files_to_remove[0]);
		unlink(files_to_remove[1]);
	}
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void control_close_on_signals(int index)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction action = {.sa_handler = remove_files, .sa_flags = SA_RESTART}, former;

	files_owner = getpid();
	run_file_path(files_to_remove[0], index, "lock");
	run_file_path(files_to_remove[1], index, "sock");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &former) == 0 && former.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
}

static void close_client(struct control_client *client)
{
	loop_watch(&client->source, -1, 0);
	if (client->fd >= 0)
		close(client->fd);
	if (client->received_fd >= 0)
		close(client->received_fd);
	client->fd = client->received_fd = -1;
}

void control_close(struct control *control)
{
	loop_remove(&control->listening);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		close_client(&control->clients[i]);
		loop_remove(&control->clients[i].source);
	}
	if (control->fd >= 0) {
		run_file_remove(control->index, "sock");
		close(control->fd);
	}
	if (control->lock_fd >= 0) {
		run_file_remove(control->index, "lock");
		close(control->lock_fd);
	}
	control->fd = control->lock_fd = control->index = -1;
}

void control_forget(int index)
{
	struct control theirs;

	control_init(&theirs);
	theirs.index = index;
	/* a state file may be there without it */
	theirs.lock_fd = open_lock(index, O_RDWR | O_CREAT);
	if (theirs.lock_fd >= 0 && flock(theirs.lock_fd, LOCK_EX | LOCK_NB) < 0)
		close(steal_fd(&theirs.lock_fd));
	if (theirs.lock_fd < 0)
		return;
	/* With the lock: of somebody who attaches it anew meanwhile nothing is removed. */
	run_file_remove(index, "state");
	run_file_remove(index, "sock");
	control_close(&theirs);
}

static void on_connection(void *owner, short revents)
{
	struct control *control = owner;
	int room = ANSWER_MAX_BYTES,
	    fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	size_t at = 0;

	(void)revents;
	if (fd < 0)
		return;
	while (at < CONTROL_CLIENTS_MAX && control->clients[at].fd >= 0)
		at++;
	if (at == CONTROL_CLIENTS_MAX) {
		close(fd);
		return;
	}
	/* One send into a buffer that holds it all: a client that does not read costs nothing. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	control->clients[at].fd = fd;
	loop_watch(&control->clients[at].source, fd, POLLIN);
}

/* One descriptor at the most: there is no room for others, and the kernel closes them. */
static ssize_t receive_command(struct control_client *client, char *command, size_t size)
{
	struct iovec iov = {command, size};
	struct passed_fd room;
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;
	int fd;

	passed_fd_expect(&msg, &room);
	n = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	fd = n >= 0 ? passed_fd_take(&msg) : -1;
	if (fd < 0)
		return n;
	if (client->received_fd >= 0)
		close(client->received_fd);
	client->received_fd = fd;
	return n;
}

static void on_client(void *owner, short revents)
{
	struct control_client *client = owner;
	struct control *control = client->control;
	char command[CONTROL_COMMAND_SIZE];
	ssize_t n = receive_command(client, command, sizeof(command) - 1);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		close_client(client);
	else
		command[n] = 0;
	control->on_command(
		control->owner, (size_t)(client - control->clients), n > 0 ? command : NULL);
}

void control_serve(
	struct control *control, struct loop *loop, control_function *on_command, void *owner)
{
	control->on_command = on_command;
	control->owner = owner;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		control->clients[i].control = control;
		loop_add(loop, &control->clients[i].source, LOOP_CLIENT, on_client,
			&control->clients[i]);
	}
	loop_add(loop, &control->listening, LOOP_CLIENT, on_connection, control);
	loop_watch(&control->listening, control->fd, POLLIN);
}

int control_received_fd(const struct control *control, size_t at)
{
	return control->clients[at].received_fd;
}

bool control_has_client(const struct control *control, size_t at)
{
	return control->clients[at].fd >= 0;
}

void control_reply(struct control *control, size_t at, json_object *answer)
{
	const char *text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);

	send(control->clients[at].fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	json_object_put(answer);
	close_client(&control->clients[at]);
}

bool control_exists(int index)
{
	_cleanup_fd_ int fd = open_lock(index, O_RDWR);

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool send_command(int fd, const char *command, int attached_fd)
{
	struct iovec iov = {(void *)command, strlen(command)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct passed_fd room;

	passed_fd_add(&msg, &room, attached_fd);
	return sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

json_object *control_command(int index, const char *command, int timeout_ms)
{
	return control_command_fd(index, command, -1, timeout_ms);
}

json_object *control_command_fd(int index, const char *command, int attached_fd, int timeout_ms)
{
	struct sockaddr_un address = control_address(index);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_free_ char *answer = malloc(ANSWER_MAX_BYTES);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (fd < 0 || !answer || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		!send_command(fd, command, attached_fd))
		return NULL;
	if (poll(&pfd, 1, timeout_ms) <= 0)
		return NULL;
	n = recv(fd, answer, ANSWER_MAX_BYTES - 1, MSG_DONTWAIT);
	answer[n > 0 ? n : 0] = 0;
	return n > 0 ? json_tokener_parse(answer) : NULL;
}

json_object *control_ask(int index)
{
	return control_command(index, "status", ANSWER_TIMEOUT_MS);
}

int control_refusal(json_object *answer, struct error *err)
{
	struct text text = json_get_text(answer, "error"), hint = json_get_text(answer, "hint");
	int64_t status;

	if (!json_get_number(answer, "exit_status", &status) || status <= ERROR_NONE ||
		status > ERROR_LAST)
		status = ERROR_OTHER;
	error_set(err, (enum error_kind)status, EIO, "%s",
		*text.s ? text.s : "the supervisor refused, and does not say why");
	return error_hint(err, -EIO, "%s", hint.s);
}
