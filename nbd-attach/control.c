/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control.h"
#include "cleanup.h"
#include "ktls.h"
#include "nbd-protocol.h"
#include "report.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX_BYTES (128 << 10)

static struct sockaddr_un control_address(int index)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), CONTROL_DIRECTORY "/nbd%d.sock", index);
	return address;
}

int control_listen(int index, int *out, struct error *err)
{
	struct sockaddr_un address = control_address(index);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int rc;

	if (mkdir(CONTROL_DIRECTORY, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_OTHER, errno, "cannot make " CONTROL_DIRECTORY ": %s", strerror(errno));
	unlink(address.sun_path); /* a supervisor that was killed leaves its own */
	mask = umask(0177);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc < 0 || listen(fd, 16) < 0)
		return error_set(err, ERROR_OTHER, errno, "cannot listen on %s: %s", address.sun_path, strerror(errno));
	*out = steal_fd(&fd);
	return 0;
}

void control_remove(int index)
{
	struct sockaddr_un address = control_address(index);

	unlink(address.sun_path);
}

static json_object *link_status(const struct link *link)
{
	json_object *object = json_object_new_object();
	uint64_t transmitted, received;
	struct tcp_stats stats;
	const struct ktls_cipher *cipher = ktls_cipher_find(link->tls.kernel_cipher);

	json_object_object_add(object, "address", json_object_new_string(link->address));
	json_object_object_add(object, "state", json_object_new_string(link->dead ? "dead" : "alive"));
	json_object_object_add(object, "tls", report_tls_json(&link->tls));
	if (tcp_stats_get(link->fd, &stats) == 0) {
		json_object_object_add(object, "sent_bytes", json_object_new_uint64(stats.sent_bytes));
		json_object_object_add(object, "received_bytes", json_object_new_uint64(stats.received_bytes));
	}
	if (!link->tls.version)
		return object;
	json_object_object_add(object, "encryption_proven", json_object_new_boolean(link->proven));
	if (!link->dead && ktls_record_numbers(link->fd, &transmitted, &received) == 0) {
		json_object_object_add(object, "records_sent", json_object_new_uint64(transmitted));
		json_object_object_add(object, "records_received", json_object_new_uint64(received));
	}
	if (cipher && cipher->record_limit && link->tls.version == TLS_VERSION_1_3)
		json_object_object_add(object, "record_limit", json_object_new_uint64(cipher->record_limit));
	return object;
}

static const char *state_of(const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++)
		if (!attachment->links[i].dead)
			return "alive";
	return "failed";
}

json_object *control_status(const struct attachment *attachment)
{
	json_object *object = json_object_new_object(), *links = json_object_new_array();
	char text[512];

	snprintf(text, sizeof(text), "/dev/nbd%d", attachment->index);
	json_object_object_add(object, "device", json_object_new_string(text));
	json_object_object_add(object, "state", json_object_new_string(state_of(attachment)));
	target_format(&attachment->target, text, sizeof(text));
	json_object_object_add(object, "uri", json_object_new_string(text));
	json_object_object_add(object, "export", report_export_json(&attachment->export));
	json_object_object_add(object, "size_bytes", json_object_new_uint64(attachment->export.size_bytes));
	json_object_object_add(object, "block_size_bytes", json_object_new_uint64(attachment->block_size_bytes));
	json_object_object_add(object, "read_only", json_object_new_boolean(attachment->flags & NBD_TFLAG_READ_ONLY));
	json_object_object_add(object, "backend", json_object_new_string(attachment->backend));
	json_object_object_add(object, "supervisor_pid", json_object_new_int64(getpid()));
	json_object_object_add(object, "since_unix_sec", json_object_new_int64(attachment->since));
	for (size_t i = 0; i < attachment->link_count; i++)
		json_object_array_add(links, link_status(&attachment->links[i]));
	json_object_object_add(object, "links", links);
	return object;
}

void control_answer(int fd, const struct attachment *attachment)
{
	_cleanup_fd_ int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int room = ANSWER_MAX_BYTES;
	json_object *status;
	const char *text;

	if (client < 0)
		return;
	/* One send into a buffer that holds it all: a client that does not read costs nothing. */
	setsockopt(client, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	status = control_status(attachment);
	text = json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN);
	send(client, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	json_object_put(status);
}

bool control_exists(int index)
{
	struct sockaddr_un address = control_address(index);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

json_object *control_ask(int index)
{
	struct sockaddr_un address = control_address(index);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_free_ char *answer = malloc(ANSWER_MAX_BYTES);
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t used = 0;
	ssize_t n;

	if (fd < 0 || !answer || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return NULL;
	while (used < ANSWER_MAX_BYTES - 1 && poll(&pfd, 1, 1000) > 0) {
		n = recv(fd, answer + used, ANSWER_MAX_BYTES - 1 - used, 0);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	answer[used] = 0;
	return used ? json_tokener_parse(answer) : NULL;
}
