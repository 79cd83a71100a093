// SPDX-License-Identifier: GPL-2.0-or-later
#include "cell.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define OUTPUT_BYTES 8192
#define STALL_TIMEOUT_SEC 1
#define TIMEOUT_SEC 10

const char *const cell_client_names[CELL_CLIENTS] = {
	"nbd-attach", "nbdinfo", "qemu-img", "nbd-client"};
static const char *const outcome_names[CELL_OUTCOMES] = {
	"-", "refused", "accepted", "hangs", "crashes", "escapes", "in-clear", "faulty"};

const char *cell_outcome_name(enum cell_outcome outcome)
{
	return outcome_names[outcome];
}

bool cell_outcome_parse(const char *name, enum cell_outcome *outcome)
{
	for (int i = 0; i < CELL_OUTCOMES; i++)
		if (strcmp(outcome_names[i], name) == 0) {
			*outcome = (enum cell_outcome)i;
			return true;
		}
	return false;
}

struct place {
	const struct cell_setup *setup;
	const struct attack *attack;
	const char *host;
	char certs[512];
	unsigned port;
};

static void command_nbd_attach(const struct place *place, char *out, size_t size)
{
	const struct attack *attack = place->attack;
	const char *build = place->setup->build;
	char program[300], tls[560];

	snprintf(tls, sizeof(tls),
		attack->no_authority ? "--tls" :
			attack->psk  ? "--tls-psk %s/keys.psk --tls-username alice" :
				       "--tls-certificates %s",
		place->certs);
	snprintf(program, sizeof(program),
		attack->ask == ASK_LIST ? "%s/nbd-attach list" : "%s/tests/negotiate", build);
	snprintf(out, size, "%s --port %u %s%s --connect-timeout %d %s%s", program, place->port,
		place->host, attack->ask == ASK_LIST ? "" : " " TRIAL_EXPORT,
		attack->stalls ? STALL_TIMEOUT_SEC : TIMEOUT_SEC, tls,
		attack->tls12 ? " --tls-min 1.2" : "");
}

static void command_nbdinfo(const struct place *place, char *out, size_t size)
{
	static const char *const options[] = {
		[ASK_READ] = "", [ASK_LIST] = "--list ", [ASK_MAP] = "--map "};
	char tls[560] = "";

	if (!place->attack->no_authority)
		snprintf(tls, sizeof(tls),
			place->attack->psk ? "?tls-psk-file=%s/keys.psk" : "?tls-certificates=%s",
			place->certs);
	/* nbdinfo ignores whether its read succeeds: where the attack is about that, nbdcopy of the
	 * same library takes its place. */
	if (attack_is_about_reading(place->attack))
		snprintf(out, size,
			"nbdcopy --connections=1 --synchronous nbds://%s:%u/" TRIAL_EXPORT
			"%s null:",
			place->host, place->port, tls);
	else
		snprintf(out, size, "nbdinfo %snbds://%s%s:%u/" TRIAL_EXPORT "%s",
			options[place->attack->ask], place->attack->psk ? "alice@" : "",
			place->host, place->port, tls);
}

static void command_qemu(const struct place *place, char *out, size_t size)
{
	char tls[560], opts[256];

	snprintf(tls, sizeof(tls), "--object tls-creds-%s,id=tls,endpoint=client,dir=%s",
		place->attack->psk ? "psk,username=alice" : "x509", place->certs);
	snprintf(opts, sizeof(opts),
		"driver=nbd,server.type=inet,server.host=%s,server.port=%u,export=" TRIAL_EXPORT
		",tls-creds=tls",
		place->host, place->port);
	if (place->attack->ask == ASK_LIST)
		snprintf(out, size, "qemu-nbd --list %s --tls-creds tls -b %s -p %u", tls,
			place->host, place->port);
	else if (place->attack->ask == ASK_MAP)
		snprintf(out, size, "qemu-img map %s --image-opts %s", tls, opts);
	else
		snprintf(out, size,
			"qemu-img dd -O raw bs=512 count=1 %s --image-opts if=%s of=%s/out.%d", tls,
			opts, place->setup->work, (int)getpid());
}

static void command_nbd_client(const struct place *place, char *out, size_t size)
{
	char tls[560] = "", own[1100] = "";

	if (!place->attack->no_authority)
		snprintf(tls, sizeof(tls), " -cacertfile %s/ca-cert.pem", place->certs);
	if (place->attack->peer.wants_certificate)
		snprintf(own, sizeof(own),
			" -certfile %s/client-cert.pem -keyfile %s/client-key.pem", place->certs,
			place->certs);
	snprintf(out, size, "%s %s %s %u %s -enable-tls -tlshostname %s%s%s",
		place->setup->nbd_client,
		place->attack->ask == ASK_LIST ? "-l" : "-N " TRIAL_EXPORT, place->host,
		place->port, place->attack->ask == ASK_LIST ? "" : "/dev/nbd0", place->host, tls,
		own);
}

static void make_command(const struct place *place, enum cell_client client, char *out, size_t size)
{
	static void (*const make[])(const struct place *place, char *out, size_t size) = {
		[CELL_NBD_ATTACH] = command_nbd_attach,
		[CELL_NBDINFO] = command_nbdinfo,
		[CELL_QEMU] = command_qemu,
		[CELL_NBD_CLIENT] = command_nbd_client,
	};

	make[client](place, out, size);
}

/* Without privileges: nbd-client would attach a device of this machine. */
static void become_nobody(void)
{
	if (geteuid() == 0 &&
		(setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(126);
}

static void keep_variable(const char *name, char *buf, size_t size)
{
	const char *value = getenv(name);

	snprintf(buf, size, "%s=%s", name, value ? value : "");
}

static _Noreturn void execute(const struct cell_setup *setup, char *command, bool as_nobody, int fd)
{
	char *arguments[40] = {NULL}, *saved = NULL, home[560], asan[560], ubsan[560];
	char *environment[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", home, asan, ubsan, NULL};
	size_t count = 0;

	snprintf(home, sizeof(home), "HOME=%s", setup->work);
	keep_variable("ASAN_OPTIONS", asan, sizeof(asan));
	keep_variable("UBSAN_OPTIONS", ubsan, sizeof(ubsan));
	for (char *argument = strtok_r(command, " ", &saved); argument && count < 39;
		argument = strtok_r(NULL, " ", &saved))
		arguments[count++] = argument;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (as_nobody)
		become_nobody();
	execvpe(arguments[0], arguments, environment);
	_exit(127);
}

/* All that it prints is read, and the first OUTPUT_BYTES kept in OUTPUT. False: it still runs. */
static bool wait_for_end(pid_t pid, int fd, int limit_ms, char *output, int *status)
{
	int64_t deadline_ms = monotonic_now_ms() + limit_ms;
	size_t size = 0;
	bool open = true;

	for (;;) {
		struct pollfd poller = {.fd = open ? fd : -1, .events = POLLIN};
		char text[4096];
		ssize_t n;

		if (waitpid(pid, status, WNOHANG) == pid)
			break;
		if (monotonic_now_ms() >= deadline_ms)
			return false;
		if (poll(&poller, 1, open ? 10 : 5) <= 0)
			continue;
		n = read(fd, text, sizeof(text));
		open = n > 0;
		for (ssize_t i = 0; i < n && size + 1 < OUTPUT_BYTES; i++)
			output[size++] = text[i] ? text[i] : '?';
	}
	/* What it said last. A descendant may hold the pipe open. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (size + 1 < OUTPUT_BYTES) {
		ssize_t n = read(fd, output + size, OUTPUT_BYTES - 1 - size);

		size += n > 0 ? (size_t)n : 0;
	}
	output[size] = 0;
	return true;
}

static void keep_end(char *output, char *said, size_t size)
{
	size_t length = strlen(output), start = length < size ? 0 : length - size + 1;

	for (size_t i = start; i < length; i++)
		if (output[i] == '\n')
			output[i] = i + 1 < length ? '|' : ' ';
	text_sanitise(said, size, output + start, length - start);
}

/* A refusal for another reason would hide that the attack is not refused. */
static bool gives_reason(const struct attack *attack, const char *output)
{
	regex_t regex;
	bool matches;

	if (!attack->says)
		return true;
	if (regcomp(&regex, attack->says, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	matches = regexec(&regex, output, 0, NULL, 0) == 0 ||
		(attack->stalls && strstr(output, "timed out"));
	regfree(&regex);
	return matches;
}

static enum cell_outcome judge_nbd_attach(const struct attack *attack, int code, const char *output)
{
	if (code == 0)
		return CELL_ACCEPTED;
	if (code != ERROR_TLS && code != ERROR_UNREACHABLE && code != ERROR_SERVER)
		return CELL_FAULTY;
	return gives_reason(attack, output) ? CELL_REFUSED : CELL_FAULTY;
}

static enum cell_outcome judge_exit(
	enum cell_client client, const struct attack *attack, int status, const char *output)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	/* SIGPIPE: it wrote to a connection that had ended, and does not catch it. */
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGPIPE ? CELL_REFUSED : CELL_CRASHES;
	if (code == 126 || code == 127)
		return CELL_FAULTY;
	if (strchr(output, '\x1b'))
		return CELL_ESCAPES;
	if (client == CELL_NBD_ATTACH)
		return judge_nbd_attach(attack, code, output);
	/* The negotiation is over and it asks for its device; there is none where this is run. */
	if (client == CELL_NBD_CLIENT && attack->ask != ASK_LIST)
		return strstr(output, "nbd netlink family") ? CELL_ACCEPTED : CELL_REFUSED;
	return code == 0 ? CELL_ACCEPTED : CELL_REFUSED;
}

static enum cell_outcome run_once(
	const struct place *place, enum cell_client client, struct cell *cell)
{
	char command[sizeof(cell->command)], output[OUTPUT_BYTES] = "";
	enum cell_outcome outcome = CELL_HANGS;
	int64_t start_ms = monotonic_now_ms();
	int fds[2], status = 0;
	pid_t pid;

	make_command(place, client, cell->command, sizeof(cell->command));
	memcpy(command, cell->command, sizeof(command));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return CELL_FAULTY;
	pid = fork();
	if (pid == 0)
		execute(place->setup, command, client != CELL_NBD_ATTACH, fds[1]);
	close(fds[1]);
	if (wait_for_end(pid, fds[0], cell->limit_ms, output, &status))
		outcome = judge_exit(client, place->attack, status, output);
	else {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	cell->elapsed_ms = (int)(monotonic_now_ms() - start_ms);
	text_copy(cell->fault, sizeof(cell->fault),
		"no attack explains how it ended, or what it said");
	keep_end(output, cell->said, sizeof(cell->said));
	return outcome;
}

static bool sent_name_in_clear(const struct attack *attack, const struct attack_server *server)
{
	const struct peer_shared *heard = attack->on_path ? server->path_shared : server->shared;

	return memmem(heard->heard, heard->heard_size, TRIAL_EXPORT, strlen(TRIAL_EXPORT)) != NULL;
}

static void set_place(struct place *place, const struct cell_setup *setup,
	const struct attack *attack, unsigned port)
{
	place->setup = setup;
	place->attack = attack;
	place->host = attack->host ? attack->host : "localhost";
	place->port = port;
	snprintf(place->certs, sizeof(place->certs), "%s%s%s", setup->certs,
		attack->client_certs ? "/" : "", attack->client_certs ? attack->client_certs : "");
}

/* An honest connection, of which the server's part is kept. */
static bool make_tape(const struct place *place, enum cell_client client,
	const struct attack_server *server, struct cell *cell)
{
	if (run_once(place, client, cell) != CELL_ACCEPTED)
		return false;
	for (int i = 0; i < 200 && !server->tape->is_recorded; i++)
		usleep(10000);
	return server->tape->is_recorded;
}

/* The server's process may be late to record what the client has seen already. */
static bool has_happened(const struct attack *attack, const struct attack_server *server)
{
	for (int i = 0; i < 100 && !attack_happened(attack, server); i++)
		usleep(10000);
	return attack_happened(attack, server);
}

void cell_run(const struct cell_setup *setup, const struct attack *attack, enum cell_client client,
	struct cell *cell)
{
	struct attack_server server;
	struct place place;
	char out[560];

	cell->outcome = CELL_FAULTY;
	if (!attack_server_start(&server, attack, setup->certs, 0)) {
		text_copy(cell->fault, sizeof(cell->fault), "the server does not start");
		return;
	}
	set_place(&place, setup, attack, server.port);
	if (attack->tape && !make_tape(&place, client, &server, cell))
		text_copy(cell->fault, sizeof(cell->fault), "there is nothing to play back");
	else {
		cell->outcome = run_once(&place, client, cell);
		if (sent_name_in_clear(attack, &server))
			cell->outcome = CELL_IN_CLEAR;
		else if (!has_happened(attack, &server)) {
			cell->outcome = CELL_FAULTY;
			text_copy(cell->fault, sizeof(cell->fault), "the attack did not happen");
		}
	}
	attack_server_stop(&server);
	snprintf(out, sizeof(out), "%s/out.%d", setup->work, (int)getpid());
	unlink(out);
}
