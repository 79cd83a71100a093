/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/sandbox.h"
#include "child/child.h"
#include "child/sandbox-calls.h"
#include "child/sandbox-files.h"
#include "child/sandbox-shed.h"
#include <arpa/inet.h>
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
/* With the process's id, of at most 2^22, a user of its own. Above what systemd, container managers
 * and directory services hand out, and below 2^31. */
#define OWN_USER_BASE 2105540608U

static struct {
	bool knows_users;
	bool resolves, has_token;
	bool has_account; /* user nbd-attach */
	uid_t account_uid;
	gid_t account_gid;
	const struct calls_filter *connecting, *talking; /* NULL: nothing is ready */
} plan = {.account_uid = NOBODY, .account_gid = NOBODY};

static void look_up_account(void)
{
	const struct passwd *user;

	if (plan.knows_users || geteuid() != 0)
		return;
	plan.knows_users = true;
	user = getpwnam("nbd-attach");
	plan.has_account = user && user->pw_uid != 0;
	if (plan.has_account) {
		plan.account_uid = user->pw_uid;
		plan.account_gid = user->pw_gid;
	}
}

/* The zone of fe80::1%eth0 is looked up, and so counts as a name. */
static bool has_names(const struct endpoint *endpoint)
{
	unsigned char number[16];

	for (size_t i = 0; i < endpoint->host_count; i++)
		if (inet_pton(AF_INET, endpoint->hosts[i].name, number) != 1 &&
			inet_pton(AF_INET6, endpoint->hosts[i].name, number) != 1)
			return true;
	return false;
}

int sandbox_prepare(
	const struct endpoint *endpoint, const struct tls_credentials *creds, struct error *err)
{
	unsigned talk = CALLS_TALK | (creds ? CALLS_TLS : 0);

	look_up_account();
	plan.resolves = has_names(endpoint);
	plan.has_token = creds && tls_credentials_use_token(creds);
	if (plan.has_token)
		talk |= CALLS_TOKEN;
	plan.connecting = calls_find(talk | CALLS_CONNECT | (plan.resolves ? CALLS_RESOLVE : 0));
	plan.talking = calls_find(talk);
	return plan.connecting && plan.talking ?
		0 :
		error_set(err, ERROR_OTHER, EINVAL,
			"there is no list of system calls for this kind of negotiation: this is a "
			"bug");
}

void sandbox_no_core_dumps(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void sandbox_enter_child(void)
{
	sandbox_no_core_dumps();
	shed_inheritance();
	if (!plan.has_token) /* whose module may be configured by it */
		shed_environment();
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int become(uid_t uid, gid_t gid)
{
	return setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
			setresuid(uid, uid, uid) < 0 ?
		-errno :
		0;
}

static int leave_root(void)
{
	uid_t own = OWN_USER_BASE + (uid_t)getpid();
	gid_t group = plan.has_account ? plan.account_gid : own;
	int rc = -EINVAL;

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (!plan.has_token || !plan.has_account)
		rc = become(own, group);
	return rc == -EINVAL ? become(plan.account_uid, plan.account_gid) : rc;
}

static int drop_privileges(struct error *err)
{
	int rc = geteuid() == 0 ? leave_root() : 0;

	if (rc)
		return error_set(err, ERROR_PERMISSION, -rc,
			"the negotiator cannot become another user than root: %s", strerror(-rc));
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

int sandbox_confine(const struct endpoint *endpoint, struct error *err)
{
	struct files_needs files = {
		.endpoint = endpoint, .resolves = plan.resolves, .any_file = plan.has_token};
	int rc = plan.connecting && plan.talking ?
		0 :
		error_set(err, ERROR_OTHER, EINVAL,
			"there is nothing ready to confine the negotiator with");

	(void)!chdir("/");
	if (!rc)
		rc = drop_privileges(err);
	if (!rc)
		rc = shed_limits(plan.has_token, err);
	if (!rc)
		rc = files_restrict(&files, err);
	return rc ? rc : calls_restrict(plan.connecting, err);
}

/* What a resolver has left open would be open to all that comes later. */
static void close_others(int connection)
{
	for (int fd = CHILD_CHANNEL + 1; fd < SHED_DESCRIPTORS; fd++)
		if (fd != connection)
			close(fd);
}

int sandbox_confine_to_talk(int connection, struct error *err)
{
	if (!plan.has_token)
		close_others(connection);
	return calls_restrict(plan.talking, err);
}
