/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/attach.h"
#include "child/inherited-fds.h"
#include "config/device-name.h"
#include "cmd/commands.h"
#include "isolate/isolate.h"
#include "device/detach.h"
#include "output/report.h"
#include "output/show.h"
#include "child/sandbox.h"
#include "supervisor/supervisor.h"
#include "kernel/block-attr.h"
#include "options/nbdtab-options.h"
#include "options/retype.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int say(const struct supervisor_report *report, const struct options *options)
{
	struct error err = report->error;
	json_object *object;

	if (report->rc) {
		retype_hint(&err, options, 1);
		return report_error(&err);
	}
	object = options->json ? json_tokener_parse(report->json) : NULL;
	if (object)
		return report_print_json(object);
	show_line(stdout, "%s", report->line);
	return report_finish(0);
}

/* A terminal, or a file that takes both. */
static bool is_one_output(void)
{
	struct stat out, err;

	return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
		out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

struct foreground {
	const struct options *options;
	bool logs_here; /* on stderr, the same line first */
};

static bool report_here(const struct supervisor_report *report, void *data)
{
	const struct foreground *foreground = data;

	if (report->rc || foreground->options->json || !foreground->logs_here || !is_one_output())
		say(report, foreground->options);
	return true;
}

/* With stderr until here, so that --verbose and libraries reach the process that waits;
 * isolate_leave_terminal() takes it away. */
static bool report_to_pipe(const struct supervisor_report *report, void *data)
{
	const char *at = (const char *)report;
	size_t left = offsetof(struct supervisor_report, json) + strlen(report->json) + 1;
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
	inherited_fds_close();
	if (chdir("/") < 0)
		_exit(ERROR_OTHER);
	signal(SIGPIPE, SIG_IGN);
}

/* What is behind its last text does not come: most of its 130 KB are not used. */
static bool is_whole(const struct supervisor_report *report, size_t used)
{
	size_t text = offsetof(struct supervisor_report, json);

	return used > text && memchr(report->json, 0, used - text);
}

static int await_report(int fd, pid_t pid, const struct options *options)
{
	struct supervisor_report *report = calloc(1, sizeof(*report));
	struct error err = {.kind = ERROR_OTHER};
	size_t used = 0;
	int status = 0;
	ssize_t n = 1;

	while (report && !is_whole(report, used) && used < sizeof(*report) &&
		((n = read(fd, (char *)report + used, sizeof(*report) - used)) > 0 ||
			(n < 0 && errno == EINTR)))
		used += n > 0 ? (size_t)n : 0;
	if (report && is_whole(report, used)) {
		status = say(report, options);
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

static int fork_supervisor(struct attachment *attachment, int index, const struct options *options)
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
	return await_report(fds[0], pid, options);
}

int attach_run(int index, const struct config *config, const struct options *options)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	struct foreground foreground = {options, !config->policy.root};
	struct tls_credentials *creds = NULL;
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	int rc = attachment ? config_check_device(config, &err) : -ENOMEM, status;

	if (!rc)
		rc = config_load_credentials(config, &creds, &err);
	report_warnings(creds);
	if (!rc)
		rc = device_check_permission("attaching", &err);
	if (!rc)
		rc = sandbox_prepare(&config->endpoint, creds, &err);
	if (rc) {
		status = report_error(&err);
	} else {
		attachment->endpoint = config->endpoint;
		attachment->policy = config->policy;
		attachment->verbose = options->verbose;
		attachment->creds = creds;
		attachment->outage_since_ms = -1;
		if (options->foreground)
			status = supervisor_run(attachment, index, report_here, &foreground, true);
		else
			status = fork_supervisor(attachment, index, options);
	}
	tls_credentials_free(creds);
	free(attachment);
	return status;
}

/* The device alone: the rest is in nbdtab. */
static int from_tab(
	int index, const struct options *options, struct config *config, struct error *err)
{
	if (index >= 0)
		return nbdtab_options_lookup(index, &options->settings, config, err);
	error_set(err, ERROR_USAGE, EINVAL,
		"\"auto\" needs a server: only the lines of named devices can be looked up in "
		"nbdtab");
	return error_hint(err, -EINVAL, "nbd-attach auto HOST [EXPORT]");
}

int command_attach(struct options *options)
{
	struct config *config = calloc(1, sizeof(*config));
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	int index = -1,
	    rc = config ? device_name_parse(options->arguments[0], &index, &err) : -ENOMEM, status;

	if (!rc)
		rc = options->argument_count > 1 ? config_from_arguments(config, options, 1, &err) :
						   from_tab(index, options, config, &err);
	status = rc ? report_error(&err) : attach_run(index, config, options);
	free(config);
	return status;
}
