/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/sandbox-files.h"
#include "base/cleanup.h"
#include "base/text.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DNS_PORT 53

/* Linux 6.1's header ends with ABI 2. */
#define RIGHTS_FIRST 13 /* ABI 1 */
#define RIGHT_REFER (1ULL << 13)
#define RIGHT_TRUNCATE (1ULL << 14)     /* ABI 3, Linux 6.2 */
#define RIGHT_IOCTL_DEV (1ULL << 15)    /* ABI 5, Linux 6.10 */
#define RIGHT_RESOLVE_UNIX (1ULL << 16) /* ABI 9, Linux 7.1: connect to a Unix socket's path */
#define NET_BIND_TCP (1ULL << 0)        /* ABI 4, Linux 6.7 */
#define NET_CONNECT_TCP (1ULL << 1)
#define NET_BIND_UDP (1ULL << 2)               /* ABI 10, Linux 7.2 */
#define NET_SEND_UDP (1ULL << 3)               /* and connect() */
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6, Linux 6.12 */
#define SCOPE_SIGNAL (1ULL << 1)
#define RULE_NET_PORT 2
#define RESTRICT_ALL_THREADS (1U << 3) /* ABI 8, Linux 7.0 */

struct ruleset {
	uint64_t files, net, scoped;
};

struct port_rule {
	uint64_t allowed, port;
};

/* What glibc reads to resolve a name, with the modules that nsswitch.conf may name; an isolated
 * process (isolate/) has copies of some, and sees no more. resolv.conf may be a link to
 * anywhere. */
static const char *const configuration[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf",
	"/etc/host.conf", "/etc/gai.conf", "/etc/mdns.allow", "/etc/ld.so.cache",
	"/proc/sys/net/ipv6/conf/all/disable_ipv6", "/var/lib/sss/mc"};
/* And whom it asks: nscd, systemd-resolved, Avahi, sssd, nslcd, winbindd. */
static const char *const services[] = {"/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon",
	"/var/lib/sss/pipes", "/run/nslcd", "/run/samba/winbindd"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int files_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static struct ruleset handled(int abi, bool any_file)
{
	struct ruleset ruleset = {.files = (1ULL << RIGHTS_FIRST) - 1};

	if (abi >= 2)
		ruleset.files |= RIGHT_REFER;
	if (abi >= 3)
		ruleset.files |= RIGHT_TRUNCATE;
	if (abi >= 4)
		ruleset.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 5)
		ruleset.files |= RIGHT_IOCTL_DEV;
	if (abi >= 6)
		ruleset.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	if (abi >= 9)
		ruleset.files |= RIGHT_RESOLVE_UNIX;
	if (abi >= 10)
		ruleset.net |= NET_BIND_UDP | NET_SEND_UDP;
	if (any_file)
		ruleset.files = 0;
	return ruleset;
}

/* What is not there needs no permission. */
static int allow_path(int ruleset_fd, const char *path, uint64_t rights)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
	struct stat st;

	if (fd < 0 || !rights)
		return 0;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		rule.allowed_access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) <
			0 ?
		-errno :
		0;
}

/* glibc's modules are where glibc is, and what they are linked with there or below /usr. */
static int allow_libraries(int ruleset_fd, uint64_t rights)
{
	char path[256] = "/usr";
	Dl_info libc;
	char *slash;
	int rc;

	if (!dladdr((void *)getaddrinfo, &libc) || *libc.dli_fname != '/' ||
		!text_copy(path + 4, sizeof(path) - 4, libc.dli_fname))
		return 0;
	slash = strrchr(path, '/');
	if (slash <= path + 4)
		return 0;
	*slash = 0;
	rc = allow_path(ruleset_fd, path + 4, rights);
	return rc ? rc : allow_path(ruleset_fd, path, rights);
}

static int allow_files(int ruleset_fd, uint64_t handled_rights)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	int rc = 0;

	for (size_t i = 0; !rc && i < COUNT(services); i++)
		rc = allow_path(ruleset_fd, services[i], handled_rights & RIGHT_RESOLVE_UNIX);
	for (size_t i = 0; !rc && i < COUNT(configuration); i++)
		rc = allow_path(ruleset_fd, configuration[i], rights);
	return rc ? rc : allow_libraries(ruleset_fd, rights);
}

static int allow_port(int ruleset_fd, uint64_t rights, uint16_t port)
{
	struct port_rule rule = {.allowed = rights, .port = port};

	return !rights                                                                   ? 0 :
		syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0U) < 0 ? -errno :
											   0;
}

/* A long answer of a name server comes over TCP. To sort addresses, glibc connects UDP sockets to
 * the server's port, from any. */
static int allow_ports(int ruleset_fd, const struct files_needs *needs, uint64_t handled_rights)
{
	uint64_t rights = handled_rights & (NET_CONNECT_TCP | NET_SEND_UDP);
	int rc = 0;

	if (needs->resolves)
		rc = allow_port(ruleset_fd, rights, DNS_PORT);
	if (!rc && needs->resolves)
		rc = allow_port(ruleset_fd, handled_rights & NET_BIND_UDP, 0);
	for (size_t i = 0; !rc && i < needs->endpoint->host_count; i++)
		rc = allow_port(ruleset_fd, rights, needs->endpoint->hosts[i].port);
	return rc;
}

int files_restrict(const struct files_needs *needs, struct error *err)
{
	int abi = files_landlock_abi(), rc = 0;
	struct ruleset ruleset = handled(abi, needs->any_file);
	_cleanup_fd_ int fd = -1;

	if (!abi || (!ruleset.files && !ruleset.net && !ruleset.scoped))
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0U);
	if (fd < 0)
		rc = -errno;
	if (!rc && ruleset.files && needs->resolves)
		rc = allow_files(fd, ruleset.files);
	if (!rc && ruleset.net)
		rc = allow_ports(fd, needs, ruleset.net);
	if (!rc &&
		syscall(SYS_landlock_restrict_self, fd, abi >= 8 ? RESTRICT_ALL_THREADS : 0U) < 0)
		rc = -errno;
	return rc ?
		error_set(err, ERROR_PERMISSION, -rc,
			"the negotiator cannot be kept from files and ports: %s", strerror(-rc)) :
		0;
}
