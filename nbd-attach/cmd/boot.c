/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `nbd-attach boot`: what the kernel's command line and the root lines of nbdtab ask for, each by a
 * process of its own that tries until its device is there. What nbdtab says of a server holds for
 * what the command line says of it, too: the command line is public and short, so credentials stand
 * in nbdtab, and a host that nbdtab knows by TLS is never spoken to without. */
#include "cmd/attach.h"
#include "base/clock.h"
#include "config/kcmdline.h"
#include "cmd/boot-plan.h"
#include "base/cleanup.h"
#include "cmd/commands.h"
#include "supervisor/control.h"
#include "output/report.h"
#include "output/show.h"
#include "kernel/block-attr.h"
#include "options/nbdtab-options.h"
#include "supervisor/adopt.h"
#include "tls/library.h"
#include "supervisor/core/backoff.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CMDLINE_SIZE_MAX (64 << 10)

/* --- --plan */

static int print_assignment(const char *name, const char *value)
{
	return show_assignment(name, value) ? 0 : ERROR_USAGE;
}

static int print_plan(const struct boot_plan *jobs)
{
	char devices[BOOT_PLAN_MAX * 16] = "", *end = devices;
	int status = 0;

	for (size_t i = 0; i < jobs->count; i++)
		end += sprintf(end, "%snbd%d", i ? " " : "", jobs->jobs[i].index);
	if (jobs->plan->needs_dhcp && jobs->plan->root_index >= 0)
		sprintf(end, "%snbd%d", jobs->count ? " " : "", jobs->plan->root_index);
	status |= print_assignment("NBD_DEVICES", devices);
	status |= print_assignment("NBD_ROOT", jobs->plan->root_device);
	status |= print_assignment("NBD_FSTYPE", jobs->plan->fstype);
	status |= print_assignment("NBD_MOUNTOPTS", jobs->plan->mountopts);
	status |= print_assignment("NBD_NEEDS_DHCP", jobs->plan->needs_dhcp ? "yes" : "");
	return status;
}

/* --- --files */

static int print_file(const char *path, bool must_exist)
{
	if (access(path, F_OK) == 0) {
		return show_path(path) ? 0 : ERROR_USAGE;
	}
	if (!must_exist)
		return 0;
	show_note("%s is missing: %s", path, strerror(errno));
	return ERROR_USAGE;
}

static int print_credential(const char *path)
{
	if (!*path)
		return 0;
	if (strncmp(path, "pkcs11:", 7) != 0)
		return print_file(path, true);
	show_note("a key in a token (pkcs11:) cannot be carried into an initramfs");
	return ERROR_USAGE;
}

static int print_directory(const char *directory)
{
	static const struct {
		const char *name;
		bool must_exist;
	} files[] = {{"ca-cert.pem", true}, {"ca-crl.pem", false}, {"client-cert.pem", false},
		{"client-key.pem", false}};
	char path[600];
	int status = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%.500s/%s", directory, files[i].name);
		status |= print_file(path, files[i].must_exist);
	}
	for (int i = 0; i < TLS_NUMBERED_MAX; i++) {
		snprintf(path, sizeof(path), "%.500s/client-cert-%d.pem", directory, i);
		status |= print_file(path, false);
		snprintf(path, sizeof(path), "%.500s/client-key-%d.pem", directory, i);
		status |= print_file(path, false);
	}
	return status;
}

static int print_system_trust(void)
{
	const char *bundle;

	for (size_t i = 0; (bundle = tls_system_bundle(i)); i++)
		if (access(bundle, F_OK) == 0)
			return print_file(bundle, true);
	show_note("no bundle of the system's trusted authorities is found; install "
		  "ca-certificates, or name one with tls-ca");
	return ERROR_USAGE;
}

static int print_credentials(const struct boot_plan_entry *job)
{
	const struct tls_config *tls = &job->config.tls;
	int status = 0;

	if (!tls->wanted)
		return 0;
	status |= print_credential(tls->ca_file);
	status |= print_credential(tls->cert_file);
	status |= print_credential(tls->key_file);
	status |= print_credential(tls->psk_file);
	if (*tls->certificates_dir)
		status |= print_directory(tls->certificates_dir);
	if (!*tls->ca_file && !*tls->certificates_dir && !*tls->psk_file && !*tls->pin)
		status |= print_system_trust();
	return status;
}

static int print_files(const struct boot_plan *jobs)
{
	int status = jobs->has_tab ? print_file(jobs->tab.path, true) : 0;

	for (size_t i = 0; i < jobs->count; i++)
		status |= print_credentials(&jobs->jobs[i]);
	return status ? ERROR_USAGE : 0;
}

/* --- attaching */

static bool is_done(const struct boot_plan_entry *job)
{
	return adopt_is_ours(&job->config.endpoint, job->index) && control_exists(job->index);
}

/* In a process of its own. */
static int attach_job(const struct boot_plan_entry *job, const struct options *options)
{
	int64_t start_ms = monotonic_now_ms(), wait_ms = job->config.policy.wait_sec * 1000;
	struct tls_credentials *creds = NULL;
	struct error err;
	int status;

	if (is_done(job)) {
		show_line(stdout, "/dev/nbd%d is attached already", job->index);
		return 0;
	}
	if (!job->config.tls.wanted && job->config.endpoint.host_count)
		show_note("nbd%d: not encrypted: anybody on the way to %s can read and change "
			  "this disk",
			job->index, job->config.endpoint.hosts[0].name);
	/* what no attempt will cure */
	if (config_load_credentials(&job->config, &creds, &err))
		return report_error(&err);
	tls_credentials_free(creds);
	for (;;) {
		status = attach_run(job->index, &job->config, options);
		if (!status || error_kind_is_lasting((enum error_kind)status) ||
			(wait_ms >= 0 && monotonic_now_ms() - start_ms >= wait_ms))
			return status;
		/* What failed is behind the negotiation, which has pauses that grow to this. */
		show_note("nbd%d: trying again in %d s", job->index, BACKOFF_MAX_MS / 1000);
		poll(NULL, 0, BACKOFF_MAX_MS);
	}
}

static pid_t start_job(const struct boot_plan_entry *job, const struct options *options)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent)
		_exit(ERROR_OTHER);
	_exit(report_finish(attach_job(job, options)));
}

static int attach_all(const struct boot_plan *jobs, const struct options *options)
{
	pid_t pids[BOOT_PLAN_MAX];
	int status = 0, one;

	for (size_t i = 0; i < jobs->count; i++) {
		pids[i] = start_job(&jobs->jobs[i], options);
		if (pids[i] < 0)
			show_note("nbd%d: cannot start a process: %s", jobs->jobs[i].index,
				strerror(errno));
	}
	for (size_t i = 0; i < jobs->count; i++) {
		one = 0;
		while (pids[i] > 0 && waitpid(pids[i], &one, 0) < 0 && errno == EINTR)
			;
		one = pids[i] > 0 && WIFEXITED(one) ? WEXITSTATUS(one) : ERROR_OTHER;
		status = status ? status : one;
	}
	if (jobs->plan->needs_dhcp) {
		show_note("the kernel's command line leaves the root's server to DHCP, which told "
			  "none that counts (--dhcp-server, --dhcp-root-path)");
		status = status ? status : ERROR_USAGE;
	}
	return status;
}

/* --- */

/* The file may be one of /proc, whose size is not told. */
static int read_cmdline(const char *path, char *text, size_t *size, struct error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	*size = 0;
	while (fd >= 0 && n > 0 && *size < CMDLINE_SIZE_MAX) {
		n = read(fd, text + *size, CMDLINE_SIZE_MAX - *size);
		*size += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || n < 0)
		return error_set(err, ERROR_USAGE, errno,
			"the kernel's command line, %s, cannot be read: %s", path, strerror(errno));
	return 0;
}

static int load(struct boot_plan *jobs, const struct options *options, struct error *err)
{
	_cleanup_free_ char *text = malloc(CMDLINE_SIZE_MAX);
	struct kcmdline_input input = {.cmdline = text,
		.dhcp_server = options->dhcp_server,
		.dhcp_root_path = options->dhcp_root_path};
	int rc = text ? 0 : error_set(err, ERROR_OTHER, ENOMEM, "out of memory");

	/* Which files an image needs is not the business of the kernel that happens to run while it
	 * is built. */
	if (!rc && (!options->files || options->cmdline_file))
		rc = read_cmdline(options->cmdline_file ? options->cmdline_file : "/proc/cmdline",
			text, &input.size, err);
	return rc ? rc : boot_plan_make(jobs, &input, &options->settings, err);
}

int command_boot(struct options *options)
{
	_cleanup_free_ struct boot_plan *jobs = calloc(1, sizeof(*jobs));
	struct error err = {.kind = ERROR_OTHER, .text = "out of memory"};
	int status;

	if (options->plan && options->files) {
		error_set(&err, ERROR_USAGE, EINVAL, "--plan and --files: choose one");
		return report_error(&err);
	}
	if (!jobs || load(jobs, options, &err)) {
		status = report_error(&err);
	} else {
		if (options->plan)
			status = print_plan(jobs);
		else if (options->files)
			status = print_files(jobs);
		else
			status = attach_all(jobs, options);
		status = status ? status : jobs->refused ? ERROR_USAGE : 0;
		status = report_finish(status);
	}
	if (jobs)
		boot_plan_free(jobs);
	return status;
}
