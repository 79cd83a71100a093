/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/sandbox.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static uid_t become_uid = NOBODY;
static gid_t become_gid = NOBODY;

void sandbox_prepare(void)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam("nbd-attach") : NULL;

	if (user && user->pw_uid != 0) {
		become_uid = user->pw_uid;
		become_gid = user->pw_gid;
	}
}

void sandbox_no_core_dumps(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void sandbox_enter_child(void)
{
	struct sigaction act = {.sa_handler = SIG_DFL};

	for (int sig = 1; sig < 32; sig++)
		sigaction(sig, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	sandbox_no_core_dumps();
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

int sandbox_drop_privileges(struct error *err)
{
	if (geteuid() == 0) {
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (setgroups(0, NULL) < 0 || setresgid(become_gid, become_gid, become_gid) < 0 ||
			setresuid(become_uid, become_uid, become_uid) < 0)
			return error_set(err, ERROR_PERMISSION, errno,
				"the negotiator cannot become user %u: %s", (unsigned)become_uid,
				strerror(errno));
	}
	if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_PERMISSION, errno,
			"the negotiator cannot give up its privileges: %s", strerror(errno));
	/* Changing user makes a process dumpable only by root, but also forgets the signal that it
	 * dies by when its parent does. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (geteuid() == 0 || setuid(0) == 0)
		return error_set(err, ERROR_PERMISSION, EPERM, "the negotiator still has root");
	return 0;
}
