/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nbd-attach with a negotiator that is taken over at the phase NBDA_PHASE: "resolving",
 * "connected", "tls" (agreed on) or "handover". It tries the deeds of the group, or the one, that
 * NBDA_DEED names, tells of each as of a stage (--verbose shows it), and goes on. Everything else
 * is the program's own code; functions of it are wrapped by the linker. What it is asked to do is
 * read before main(), since a negotiator has no environment.
 *
 * NBDA_DEED may also be "wait" (to be looked at from outside) or "lie" (about what was
 * negotiated). NBDA_FREE=1: it is not confined, to see that the deeds are such. NBDA_LACKS=landlock
 * or seccomp: the kernel has no such thing.
 * NBDA_DEED=landlock: main() tells the ABI of this kernel's Landlock, and ends. NBDA_ORDERS
 * names a file with phase and deed, for supervisors that stay: it is read anew by each
 * negotiator, which then fails with what has come of its deed. With `audit` it is the process of a
 * probe, "resolving" or "connected": the first one does the deeds, and its parent tells of them at
 * its end; each one does that for which it is killed. */
#include "deeds.h"
#include "child/negotiator.h"
#include "child/sandbox-files.h"
#include "base/text.h"
#include "nbd/nego.h"
#include "net/tcp-connect.h"
#include "tls/session.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/tls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHANNEL 3
#define WAIT_MS 20000
#define SAID_BYTES 8192

static char phase[16], deed[32], outcome[64];
static const char *orders; /* the file */
static bool is_free, has_acted;
static struct circumstances at = {.connection = -1};
/* By a probe's process, which has no message for it: memory of its parent's. NULL: no audit. */
static char *said;

static void read_word(const char *variable, char *word, size_t size)
{
	const char *text = getenv(variable);

	text_copy(word, size, text ? text : "");
}

/* CALL fails with ERROR_NUMBER, or only where its first argument is FIRST, which is not 0. */
static void lack(unsigned call, unsigned first, unsigned error_number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 0, first ? 1 : 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error_number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (geteuid() != 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		abort();
}

static void be_an_older_kernel(const char *lacks)
{
	if (strcmp(lacks, "landlock") == 0)
		lack(SYS_landlock_create_ruleset, 0, EOPNOTSUPP);
	if (strcmp(lacks, "seccomp") == 0)
		lack(SYS_seccomp, SECCOMP_SET_MODE_FILTER, EINVAL);
}

static __attribute__((constructor)) void share_memory(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "audit") != 0)
		return;
	said = mmap(NULL, SAID_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		abort();
}

static __attribute__((destructor)) void tell_what_was_said(void)
{
	if (said && getpid() == at.parent_pid)
		fputs(said, stderr);
}

static __attribute__((constructor)) void read_orders(void)
{
	const char *other = getenv("NBDA_OTHER"), *port = getenv("NBDA_PORT"),
		   *path = getenv("NBDA_SOCKET"), *service = getenv("NBDA_SERVICE");

	read_word("NBDA_PHASE", phase, sizeof(phase));
	read_word("NBDA_DEED", deed, sizeof(deed));
	is_free = getenv("NBDA_FREE");
	orders = getenv("NBDA_ORDERS") ? strdup(getenv("NBDA_ORDERS")) : NULL;
	at.parent_pid = getpid(); /* with `info`, and with --foreground */
	at.other_pid = other ? atoi(other) : 0;
	at.port = port ? (uint16_t)atoi(port) : 0;
	at.path = strdup(path ? path : "/nowhere");
	at.service = strdup(service ? service : "/nowhere");
	at.secret = getenv("NBDA_SECRET");
	if (getenv("NBDA_LACKS"))
		be_an_older_kernel(getenv("NBDA_LACKS"));
	if (strcmp(deed, "landlock") == 0) {
		printf("%d\n", files_landlock_abi());
		exit(0);
	}
}

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);

static void tell(const char *name, int rc)
{
	struct negotiation_message message = {.type = NEGOTIATION_MESSAGE_STAGE};
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	snprintf(outcome, sizeof(outcome), "deed %s: %s", name,
		rc == 0 ? "done" : strerrorname_np(-rc));
	if (said) {
		size_t length = strlen(said);

		snprintf(said + length, SAID_BYTES - length, "nbd-attach: %s\n", outcome);
		return;
	}
	memcpy(message.stage, outcome, sizeof(message.stage));
	__real_sendmsg(CHANNEL, &msg, MSG_NOSIGNAL);
}

static void act_on(const struct deed *list)
{
	for (const struct deed *one = list; one->name; one++)
		if (strcmp(deed, one->group) == 0 || strcmp(deed, one->name) == 0)
			tell(one->name, one->act(&at));
}

static void act(const char *now)
{
	if (strcmp(phase, now) != 0 || has_acted || (said && *said))
		return;
	has_acted = true;
	if (strcmp(deed, "wait") == 0) {
		tell("wait", 0);
		poll(NULL, 0, WAIT_MS);
	}
	act_on(deeds);
	act_on(socket_deeds);
}

/* --- where it is taken over */

int __real_tcp_connect(
	const struct tcp_connect_params *params, struct connection *connection, struct error *err);
int __wrap_tcp_connect(
	const struct tcp_connect_params *params, struct connection *connection, struct error *err);
int __wrap_tcp_connect(
	const struct tcp_connect_params *params, struct connection *connection, struct error *err)
{
	int rc;

	act("resolving");
	if (orders && *outcome)
		return error_retry(err, error_set(err, ERROR_UNREACHABLE, EIO, "%s", outcome));
	if (strcmp(deed, "wait") == 0)
		(void)!socket(AF_INET, SOCK_DGRAM, 0); /* a module that leaves something open */
	rc = __real_tcp_connect(params, connection, err);
	at.connection = connection->fd;
	return rc;
}

int __real_nego_greeting(struct nego *nego, struct error *err);
int __wrap_nego_greeting(struct nego *nego, struct error *err);
int __wrap_nego_greeting(struct nego *nego, struct error *err)
{
	act("connected");
	if (orders && *outcome)
		return error_retry(err, error_set(err, ERROR_UNREACHABLE, EIO, "%s", outcome));
	return __real_nego_greeting(nego, err);
}

int __real_nego_read_greeting(struct nego *nego, uint16_t *flags, struct error *err);
int __wrap_nego_read_greeting(struct nego *nego, uint16_t *flags, struct error *err);
int __wrap_nego_read_greeting(struct nego *nego, uint16_t *flags, struct error *err)
{
	act("connected");
	return __real_nego_read_greeting(nego, flags, err);
}

int __real_nego_info(
	struct nego *nego, const char *name, struct export_info *info, struct error *err);
int __wrap_nego_info(
	struct nego *nego, const char *name, struct export_info *info, struct error *err);
int __wrap_nego_info(
	struct nego *nego, const char *name, struct export_info *info, struct error *err)
{
	act("tls");
	return __real_nego_info(nego, name, info, err);
}

int __real_nego_go(
	struct nego *nego, const char *name, struct export_info *info, struct error *err);
int __wrap_nego_go(
	struct nego *nego, const char *name, struct export_info *info, struct error *err);
int __wrap_nego_go(struct nego *nego, const char *name, struct export_info *info, struct error *err)
{
	act("tls");
	return __real_nego_go(nego, name, info, err);
}

/* Its last word but one. A lie about what can be looked up; and about what cannot, which is
 * believed, so that it is seen to be this message that is looked at. */
static void lie(struct negotiation_result *result)
{
	result->tls.version = 67;
	result->tls.kernel_cipher = TLS_CIPHER_CHACHA20_POLY1305;
	text_copy(result->tls.cipher, sizeof(result->tls.cipher), "CHACHA20-POLY1305");
	text_copy(result->tls.group, sizeof(result->tls.group), "a lie");
	text_copy(result->tls.authentication, sizeof(result->tls.authentication), "trust me");
	text_copy(result->address, sizeof(result->address), "192.0.2.1:10809");
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct negotiation_message *message =
		fd == CHANNEL && msg->msg_iovlen == 1 ? msg->msg_iov->iov_base : NULL;

	if (message && message->type == NEGOTIATION_MESSAGE_RESULT) {
		act("handover");
		if (strcmp(deed, "lie") == 0)
			lie(&message->result);
	}
	return __real_sendmsg(fd, msg, flags);
}

/* --- one that is not confined */

static void read_new_orders(void)
{
	FILE *file = orders ? fopen(orders, "re") : NULL;

	*phase = *deed = *outcome = 0;
	if (file && fscanf(file, "%15s %31s", phase, deed) != 2)
		*phase = 0;
	if (file)
		fclose(file);
}

void __real_sandbox_enter_child(void);
void __wrap_sandbox_enter_child(void);
void __wrap_sandbox_enter_child(void)
{
	if (orders)
		read_new_orders();
	if (!is_free)
		__real_sandbox_enter_child();
}

int __real_sandbox_confine(const struct endpoint *endpoint, struct error *err);
int __wrap_sandbox_confine(const struct endpoint *endpoint, struct error *err);
int __wrap_sandbox_confine(const struct endpoint *endpoint, struct error *err)
{
	return is_free ? 0 : __real_sandbox_confine(endpoint, err);
}

int __real_sandbox_confine_to_talk(int connection, struct error *err);
int __wrap_sandbox_confine_to_talk(int connection, struct error *err);
int __wrap_sandbox_confine_to_talk(int connection, struct error *err)
{
	return is_free ? 0 : __real_sandbox_confine_to_talk(connection, err);
}
