// SPDX-License-Identifier: GPL-2.0-or-later
/* Process model: the test forks the peer (and the man in the middle), then runs negotiation_run(),
 * which forks the negotiator. All processes but the test have one thread and die with their
 * parent. */
#include "trial.h"
#include "child/reaper.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define REAP_TRIES 400 /* of 5 ms: one that was killed is gone in much less */

/* How the last child that somebody else waited for ended: negotiation_run() reaps the negotiator
 * and does not tell what it cost. Our definition comes before the C library's for the whole
 * program. */
static int last_status;
static long last_maxrss_kib;

pid_t waitpid(pid_t pid, int *status, int options)
{
	struct rusage usage;
	int own_status = 0;
	pid_t got = wait4(pid, &own_status, options, &usage);

	if (got > 0) {
		last_status = own_status;
		last_maxrss_kib = usage.ru_maxrss;
	}
	if (status)
		*status = own_status;
	return got;
}

struct peer_shared *trial_shared_new(void)
{
	void *shared = mmap(NULL, sizeof(struct peer_shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

int trial_listen_at(uint16_t wanted, uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(wanted)};
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);
	int on = 1;

	if (fd >= 0 && wanted)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 8) < 0 ||
		getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	*port = ntohs(sin.sin_port);
	return steal_fd(&fd);
}

int trial_listen(uint16_t *port)
{
	return trial_listen_at(0, port);
}

int trial_connect(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -1;
	return steal_fd(&fd);
}

/* Fork a process that accepts one connection after the other. BACKEND_PORT is for the man in the
 * middle. */
static pid_t start_acceptor(
	int listen_fd, const struct trial *trial, uint16_t backend_port, struct peer_shared *shared)
{
	pid_t parent = getpid(), pid = fork();
	int on = 1;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	while (getppid() == parent) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0)
			break;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (backend_port) {
			int server_fd = trial_connect(backend_port);

			if (server_fd >= 0)
				mitm_run(fd, server_fd, trial->mitm, shared);
			close(server_fd);
		} else
			peer_serve(fd, &trial->peer, shared);
		close(fd);
	}
	_exit(0);
}

/* Kill and reap; did it die of something else before? */
static bool stop(pid_t pid)
{
	int status = 0;

	if (pid <= 0)
		return false;
	kill(pid, SIGKILL);
	if (wait4(pid, &status, 0, NULL) != pid)
		return false;
	return WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0;
}

static void count_export(const struct export_info *info, void *data)
{
	struct outcome *outcome = data;

	outcome->listed++;
	outcome->last_listed = *info;
}

static void attempt(const struct trial *trial, uint16_t port, struct outcome *outcome)
{
	struct endpoint endpoint = {
		.hosts = {{"127.0.0.1", port}}, .host_count = 1, .export_name = TRIAL_EXPORT};
	struct negotiation_job job = {
		.kind = trial->kind,
		.endpoint = &endpoint,
		.tls = trial->tls ? trial->credentials : NULL,
		.timeout_ms = trial->timeout_ms,
		.skip_ktls = true,
		.keeps_credentials = trial->keeps_credentials,
		.names = trial->kind == NEGOTIATION_LIST || trial->without_names ? NULL :
										   &outcome->names,
		.on_export = count_export,
		.on_export_data = outcome,
	};
	int64_t start_ms = monotonic_now_ms();

	last_status = 0;
	last_maxrss_kib = 0;
	outcome->result.fd = -1;
	outcome->rc = negotiation_run(&job, &outcome->result, &outcome->err);
	outcome->elapsed_ms = monotonic_now_ms() - start_ms;
	for (int i = 0; i < REAP_TRIES && reaper_has_any(); i++) {
		reaper_collect();
		poll(NULL, 0, 5);
	}
	outcome->child_status = last_status;
	outcome->child_maxrss_kib = last_maxrss_kib;
	if (outcome->rc == 0 && outcome->result.fd >= 0)
		close(outcome->result.fd);
}

void trial_run(const struct trial *trial, struct peer_shared *shared, struct outcome *outcome)
{
	/* The server behind a man in the middle hears that one, too; what counts is what the client
	 * said. */
	static struct peer_shared behind;
	_cleanup_fd_ int server_fd = -1, mitm_fd = -1;
	pid_t server = -1, mitm = -1;
	uint16_t port = trial->backend_port;

	memset(shared, 0, sizeof(*shared));
	memset(outcome, 0, sizeof(*outcome));
	if (!port) {
		server_fd = trial_listen(&port);
		server = start_acceptor(server_fd, trial, 0, trial->mitm ? &behind : shared);
	}
	if (trial->mitm) {
		uint16_t backend_port = port;

		mitm_fd = trial_listen(&port);
		mitm = start_acceptor(mitm_fd, trial, backend_port, shared);
	}
	attempt(trial, port, outcome);
	outcome->peer_crashed = stop(mitm);
	outcome->peer_crashed |= stop(server);
	outcome->name_in_clear = memmem(shared->heard, shared->heard_size, TRIAL_EXPORT,
					 strlen(TRIAL_EXPORT)) != NULL;
}

static bool is_clean(const char *text)
{
	char sanitised[2 * sizeof(((struct error *)0)->text)];

	text_sanitise(sanitised, sizeof(sanitised), text, strlen(text));
	return strcmp(sanitised, text) == 0;
}

const char *trial_fault(const struct trial *trial, const struct outcome *outcome)
{
	if (WIFSIGNALED(outcome->child_status) && WTERMSIG(outcome->child_status) != SIGKILL)
		return "the negotiator died of a signal";
	if (WIFEXITED(outcome->child_status) && WEXITSTATUS(outcome->child_status) == 86)
		return "a sanitizer stopped the negotiator";
	if (outcome->peer_crashed)
		return "the test's own peer crashed";
	if (outcome->elapsed_ms > trial->timeout_ms + TRIAL_MARGIN_MS)
		return "the deadline was missed";
	if (outcome->child_maxrss_kib > TRIAL_MEMORY_KIB)
		return "the negotiator used too much memory";
	if (outcome->rc == 0)
		return outcome->result.fd < 0 && trial->kind == NEGOTIATION_ATTACH ?
			"success without a socket" :
			NULL;
	if (outcome->rc > 0)
		return "attempt_run() returned a positive number";
	if (outcome->err.kind != ERROR_TLS && outcome->err.kind != ERROR_UNREACHABLE &&
		outcome->err.kind != ERROR_SERVER)
		return "a kind of error that no server can cause";
	if (!*outcome->err.text)
		return "a failure without a sentence";
	if (!is_clean(outcome->err.text) || !is_clean(outcome->err.hint))
		return "text that was not sanitised";
	if (trial->tls && outcome->name_in_clear)
		return "the export's name crossed in clear";
	return NULL;
}

bool trial_matches(const char *pattern, const struct error *err)
{
	char text[sizeof(err->text) + sizeof(err->hint) + 4];
	regex_t regex;
	bool matches;

	snprintf(text, sizeof(text), "%s | %s", err->text, err->hint);
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB | REG_ICASE) != 0)
		return false;
	matches = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return matches;
}
