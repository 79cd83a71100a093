/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/attach.h"
#include "config/device-name.h"
#include "cmd/commands.h"
#include "isolate/isolate.h"
#include "device/detach.h"
#include "output/report.h"
#include "child/sandbox.h"
#include "supervisor/supervisor.h"
#include "kernel/block-attr.h"
#include "options/nbdtab-options.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int say(const struct supervisor_report *report, bool json)
{
	if (report->rc)
		return report_error(&report->error);
	puts(json ? report->json : report->line);
	return report_finish(0);
}

static bool report_here(const struct supervisor_report *report, void *data)
{
	const bool *json = data;

	say(report, *json);
	return true;
}

/* With stderr until here, so that --verbose and libraries reach whoever waits;
 * isolate_leave_terminal() takes it away. */
static bool report_to_pipe(const struct supervisor_report *report, void *data)
{
	const char *at = (const char *)report;
	size_t left = sizeof(*report);
	int *fd = data;
	ssize_t n;

	while (left > 0 && (n = write(*fd, at, left)) > 0) {
		at += n;
		left -= (size_t)n;
	}
	isolate_leave_terminal();
	close(*fd);
	return left == 0;
}

static void become_background(void)
{
	setsid();
	if (chdir("/") < 0)
		_exit(ERROR_OTHER);
	signal(SIGPIPE, SIG_IGN);
}

static int await_report(int fd, pid_t pid, bool json)
{
	struct supervisor_report *report = calloc(1, sizeof(*report));
	struct error err = {.kind = ERROR_OTHER};
	size_t used = 0;
	int status = 0;
	ssize_t n = 1;

	while (report && used < sizeof(*report) &&
		((n = read(fd, (char *)report + used, sizeof(*report) - used)) > 0 ||
			errno == EINTR))
		used += n > 0 ? (size_t)n : 0;
	if (report && used == sizeof(*report)) {
		status = say(report, json);
		free(report);
		return status;
	}
	free(report);
	waitpid(pid, &status, 0);
	error_set(&err, ERROR_OTHER, EIO,
		"the supervisor ended without an answer (%s %d): this is a bug",
		WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return report_error(&err);
}

static int fork_supervisor(struct attachment *attachment, int index, bool json)
{
	struct error err;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || fflush(NULL) < 0 || (pid = fork()) < 0) {
		error_set(&err, ERROR_OTHER, errno, "cannot start the supervisor: %s",
			strerror(errno));
		return report_error(&err);
	}
	/* With room for all of it: a front end that is stopped (Ctrl-Z) must not keep the
	 * supervisor, whose device is in use by then. */
	fcntl(fds[1], F_SETPIPE_SZ, 2 * (int)sizeof(struct supervisor_report));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* until it is ready: Ctrl-C ends both */
		close(fds[0]);
		become_background();
		_exit(supervisor_run(attachment, index, report_to_pipe, &fds[1], false));
	}
	close(fds[1]);
	return await_report(fds[0], pid, json);
}

static bool is_token(const char *name)
{
	return strncmp(name, "pkcs11:", 7) == 0;
}

/* Each of these would work now, and not when the disk is away. */
static int check_root(
	const struct options *options, const struct endpoint *endpoint, struct error *err)
{
	const struct tls_config *tls = &options->tls_config;

	if (!options->policy.root)
		return 0;
	if (*endpoint->socket_path && strncmp(endpoint->socket_path, "/run/", 5) != 0) {
		error_set(err, ERROR_USAGE, EINVAL,
			"--root: the socket %s may be on a disk, and a reconnect must need none",
			endpoint->socket_path);
		return error_hint(err, -EINVAL, "let the server have its socket in /run");
	}
	if (is_token(tls->key_file) || is_token(tls->cert_file)) {
		error_set(err, ERROR_USAGE, EINVAL,
			"--root: a token's library and state are on a disk, and a reconnect must "
			"need none");
		return error_hint(err, -EINVAL,
			"give certificate and key as files: they are read once, and kept in "
			"memory");
	}
	return 0;
}

int attach_run(int index, const struct config *config, const struct options *options)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	struct tls_credentials *creds = NULL;
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	bool json = options->json;
	int rc = attachment ? config_check_attachable(config, &err) : -ENOMEM, status;

	if (!rc)
		rc = check_root(options, &config->endpoint, &err);
	if (!rc)
		rc = options_credentials(options, config, &creds, &err);
	if (!rc)
		rc = device_check_permission("attaching", &err);
	if (rc) {
		status = report_error(&err);
	} else {
		sandbox_prepare();
		attachment->endpoint = config->endpoint;
		attachment->policy = options->policy;
		attachment->verbose = options->verbose;
		attachment->creds = creds;
		attachment->outage_since_ms = -1;
		if (options->foreground)
			status = supervisor_run(attachment, index, report_here, &json, true);
		else
			status = fork_supervisor(attachment, index, json);
	}
	tls_credentials_free(creds);
	free(attachment);
	return status;
}

/* The device alone: the rest is in nbdtab. */
static int from_tab(struct nbdtab_options *tab, int index, struct options *options,
	struct config *config, struct error *err)
{
	if (index >= 0)
		return nbdtab_options_lookup(tab, index, options, config, err);
	error_set(err, ERROR_USAGE, EINVAL,
		"\"auto\" needs a server: only the lines of named devices can be looked up in "
		"nbdtab");
	return error_hint(err, -EINVAL, "nbd-attach auto HOST [EXPORT]");
}

int command_attach(struct options *options)
{
	struct config *config = calloc(1, sizeof(*config));
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	struct nbdtab_options tab = {0};
	int index = -1, rc = config ? device_name_parse(options->words[0], &index, &err) : -ENOMEM,
	    status;

	if (!rc)
		rc = options->word_count > 1 ? options_target(options, 1, config, &err) :
					       from_tab(&tab, index, options, config, &err);
	status = rc ? report_error(&err) : attach_run(index, config, options);
	nbdtab_options_free(&tab);
	free(config);
	return status;
}
