/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/sandbox-shed.h"
#include "base/cleanup.h"
#include "isolate/isolate.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An honest handshake takes 12 MiB, a list of exports that is as long as it may be 40. */
#define DATA_BYTES (64UL << 20)
#define ADDRESS_SPACE_BYTES (256UL << 20) /* with the program, and shared libraries */
#define CPU_SEC 30

static void reset_signals(void)
{
	struct sigaction act = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < 32; sig++)
		sigaction(sig, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
}

/* <linux/sched/types.h> cannot be included beside <sched.h>. */
struct deadline_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* An isolated supervisor's real-time priority is there for the memory that the kernel keeps for
 * such processes (kernel fact swap-reserve), and a process that has it can stop the machine. With
 * a deadline there is the memory, and half of one CPU at most. */
static int take_deadline(void)
{
	const struct deadline_attr attr = {.size = sizeof(attr),
		.policy = 6 /* SCHED_DEADLINE */,
		.runtime_ns = 50000000,
		.deadline_ns = 100000000,
		.period_ns = 100000000};

	return syscall(SYS_sched_setattr, 0, &attr, 0U) < 0 ? -errno : 0;
}

static void reset_priority(void)
{
	const struct sched_param none = {0};
	int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;

	if (policy != SCHED_IDLE && policy != SCHED_BATCH &&
		(!isolate_is_entered() || take_deadline() < 0))
		sched_setscheduler(0, SCHED_OTHER, &none);
	if (getpriority(PRIO_PROCESS, 0) < 0)
		setpriority(PRIO_PROCESS, 0, 0);
	syscall(SYS_ioprio_set, 1 /* a process */, 0, 0);
}

static void reset_oom_score(void)
{
	_cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && *text == '-')
		(void)!pwrite(fd, "0", 1, 0);
}

void shed_inheritance(void)
{
	reset_signals();
	setsid();
	umask(077);
	reset_priority();
	reset_oom_score();
}

static bool is_kept(const char *variable)
{
	static const char *const kept[] = {"RES_OPTIONS=", "LOCALDOMAIN=", "TZ="};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strncmp(variable, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

void shed_environment(void)
{
	size_t left = 0;

	for (size_t i = 0; environ && environ[i]; i++)
		if (is_kept(environ[i]))
			environ[left++] = environ[i];
		else
			explicit_bzero(environ[i], strlen(environ[i]));
	if (environ)
		environ[left] = NULL;
}

int shed_limits(bool has_token, struct error *err)
{
	const struct {
		int resource;
		rlim_t value;
		bool is_lifted; /* for a token's module */
	} limits[] = {
		{RLIMIT_NPROC, 0, has_token},
		{RLIMIT_FSIZE, 0, has_token},
		{RLIMIT_NOFILE, SHED_DESCRIPTORS, has_token},
		{RLIMIT_CORE, 0, false},
		{RLIMIT_MSGQUEUE, 0, false},
		{RLIMIT_RTPRIO, 0, false},
		{RLIMIT_NICE, 0, false},
		{RLIMIT_CPU, CPU_SEC, false},
#ifndef __SANITIZE_ADDRESS__ /* which has terabytes */
		{RLIMIT_DATA, DATA_BYTES, false},
		{RLIMIT_AS, ADDRESS_SPACE_BYTES, has_token},
#endif
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit = {limits[i].value, limits[i].value}, now;

		if (limits[i].is_lifted)
			continue;
		/* what is lower already stays, since only root may raise it */
		if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) == 0 &&
			now.rlim_max < limit.rlim_max)
			limit.rlim_cur = limit.rlim_max = now.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
			return error_set(err, ERROR_PERMISSION, errno,
				"the negotiator's use of memory, CPU, files and processes cannot "
				"be limited: %s",
				strerror(errno));
	}
	return 0;
}
