/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Run by make: writes the filters of child/sandbox-calls.h as a C source, so that no process that
 * attaches has to make them, which takes longer than a handshake.
 *
 * What glibc's modules call was seen with strace, on Debian 12 and 13: files, dns (also over TCP),
 * myhostname, mdns4_minimal, resolve, and nscd; with files and dns on i386, too. */
#include "child/sandbox-calls.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#define TLS_TX 1
#define TLS_RX 2
#define TLS_TX_MAX_PAYLOAD_LEN 5

/* The newest call of Linux 5.16; what has a higher number, older kernels do not know either. */
#define NEWEST_KNOWN __NR_futex_waitv

#define ARGUMENTS_MAX 3

/* An int, whatever stands in the register's upper half. */
#define IS(index, value)                                                                           \
	{                                                                                          \
		index, SCMP_CMP_MASKED_EQ, 0xffffffffU, (uint32_t)(value)                          \
	}
/* Of the bits of MASK exactly VALUE. */
#define HAS(index, mask, value)                                                                    \
	{                                                                                          \
		index, SCMP_CMP_MASKED_EQ, (uint32_t)(mask), (uint32_t)(value)                     \
	}
#define IS_NULL(index)                                                                             \
	{                                                                                          \
		index, SCMP_CMP_EQ, 0, 0                                                           \
	}

struct rule {
	int call;
	unsigned purposes; /* one of these is enough */
	struct scmp_arg_cmp arguments[ARGUMENTS_MAX];
	unsigned argument_count;
};

#define ALWAYS CALLS_TALK
#define FILES (CALLS_RESOLVE | CALLS_TOKEN)
#define ALLOW(name, purposes)                                                                      \
	{                                                                                          \
		SCMP_SYS(name), purposes, {{0}}, 0                                                 \
	}
#define ALLOW_IF(name, purposes, count, ...)                                                       \
	{                                                                                          \
		SCMP_SYS(name), purposes, {__VA_ARGS__}, count                                     \
	}

#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define ALLOW_SOCKET(purposes, family, type, protocol)                                             \
	ALLOW_IF(socket, purposes, 3, IS(0, family), HAS(1, ~SOCKET_FLAGS, type), IS(2, protocol))
#define ALLOW_OPTION(purposes, level, name)                                                        \
	ALLOW_IF(setsockopt, purposes, 2, IS(1, level), IS(2, name))
#define ALLOW_SOCKETCALL(number, purposes)                                                         \
	{                                                                                          \
		SCMP_SYS(socketcall), purposes, {{0, SCMP_CMP_EQ, number, 0}}, 1                   \
	}
/* A token's module also locks. */
#define ALLOW_FCNTL(name)                                                                          \
	ALLOW_IF(name, FILES, 1, IS(1, F_GETFD)), ALLOW_IF(name, FILES, 1, IS(1, F_SETFD)),        \
		ALLOW_IF(name, FILES, 1, IS(1, F_GETFL)),                                          \
		ALLOW_IF(name, FILES, 1, IS(1, F_SETFL)),                                          \
		ALLOW_IF(name, CALLS_TOKEN, 1, IS(1, F_GETLK)),                                    \
		ALLOW_IF(name, CALLS_TOKEN, 1, IS(1, F_SETLK)),                                    \
		ALLOW_IF(name, CALLS_TOKEN, 1, IS(1, F_SETLKW))
#define TO_WRITE (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)

static const struct rule allowed[] = {
	/* memory: never writable and executable at once; what is executable comes with a module */
	ALLOW(brk, ALWAYS),
	ALLOW(munmap, ALWAYS),
	ALLOW(mremap, ALWAYS),
	ALLOW(madvise, ALWAYS),
	ALLOW_IF(mmap, ALWAYS, 2, HAS(2, PROT_EXEC, 0), HAS(3, MAP_TYPE, MAP_PRIVATE)),
	ALLOW_IF(mmap, FILES, 2, HAS(2, PROT_WRITE, 0), HAS(3, MAP_TYPE, MAP_PRIVATE)),
	/* nscd's tables */
	ALLOW_IF(mmap, FILES, 2, IS(2, PROT_READ), HAS(3, MAP_TYPE | MAP_ANONYMOUS, MAP_SHARED)),
	ALLOW_IF(mprotect, ALWAYS, 1, HAS(2, PROT_EXEC, 0)),

	/* what it has, and itself */
	ALLOW(read, ALWAYS),
	ALLOW(readv, ALWAYS),
	ALLOW(recvfrom, ALWAYS),
	ALLOW(recvmsg, ALWAYS),
	ALLOW(write, ALWAYS),
	ALLOW(writev, ALWAYS),
	/* MSG_FASTOPEN connects, and not every kernel's Landlock knows */
	ALLOW_IF(sendto, ALWAYS, 1, HAS(3, MSG_FASTOPEN, 0)),
	ALLOW_IF(sendmsg, ALWAYS, 1, HAS(2, MSG_FASTOPEN, 0)),
	ALLOW(poll, ALWAYS),
	ALLOW(ppoll, ALWAYS),
	ALLOW(close, ALWAYS),
	ALLOW(getpid, ALWAYS),
	ALLOW(gettid, ALWAYS),
	ALLOW(getuid, ALWAYS),
	ALLOW(geteuid, ALWAYS),
	ALLOW(getgid, ALWAYS),
	ALLOW(getegid, ALWAYS),
	ALLOW(futex, ALWAYS),
	ALLOW(set_robust_list, ALWAYS),
	ALLOW(rseq, ALWAYS),
	ALLOW(sched_yield, ALWAYS),
	ALLOW(getrandom, ALWAYS),
	ALLOW(clock_gettime, ALWAYS),
	ALLOW(clock_nanosleep, ALWAYS),
	ALLOW(nanosleep, ALWAYS),
	ALLOW(gettimeofday, ALWAYS),
	ALLOW(time, ALWAYS),
	ALLOW(rt_sigaction, ALWAYS),
	ALLOW(rt_sigprocmask, ALWAYS),
	ALLOW(rt_sigreturn, ALWAYS),
	ALLOW(sigaltstack, ALWAYS),
	ALLOW(restart_syscall, ALWAYS),
	ALLOW(exit, ALWAYS),
	ALLOW(exit_group, ALWAYS),

	/* what 32-bit machines call them */
	ALLOW_IF(mmap2, ALWAYS, 2, HAS(2, PROT_EXEC, 0), HAS(3, MAP_TYPE, MAP_PRIVATE)),
	ALLOW_IF(mmap2, FILES, 2, HAS(2, PROT_WRITE, 0), HAS(3, MAP_TYPE, MAP_PRIVATE)),
	ALLOW_IF(mmap2, FILES, 2, IS(2, PROT_READ), HAS(3, MAP_TYPE | MAP_ANONYMOUS, MAP_SHARED)),
	ALLOW(recv, ALWAYS),
	ALLOW_IF(send, ALWAYS, 1, HAS(3, MSG_FASTOPEN, 0)),
	ALLOW(ppoll_time64, ALWAYS),
	ALLOW(futex_time64, ALWAYS),
	ALLOW(clock_gettime64, ALWAYS),
	ALLOW(clock_nanosleep_time64, ALWAYS),
	ALLOW(getuid32, ALWAYS),
	ALLOW(geteuid32, ALWAYS),
	ALLOW(getgid32, ALWAYS),
	ALLOW(getegid32, ALWAYS),
	ALLOW(sigreturn, ALWAYS),
	ALLOW(fstat64, FILES),
	ALLOW(stat64, FILES),
	ALLOW(lstat64, FILES),
	ALLOW(fstatat64, FILES),
	ALLOW(_llseek, FILES),
	ALLOW(recvmmsg_time64, CALLS_RESOLVE),
	ALLOW_FCNTL(fcntl64),
	ALLOW(ftruncate64, CALLS_TOKEN),

	/* and glibc's only way to sockets on 32-bit x86, whose arguments are in memory: there which
	 * kinds of socket, options and flags is not restricted */
	ALLOW_SOCKETCALL(SYS_RECV, ALWAYS),
	ALLOW_SOCKETCALL(SYS_RECVFROM, ALWAYS),
	ALLOW_SOCKETCALL(SYS_RECVMSG, ALWAYS),
	ALLOW_SOCKETCALL(SYS_SEND, ALWAYS),
	ALLOW_SOCKETCALL(SYS_SENDTO, ALWAYS),
	ALLOW_SOCKETCALL(SYS_SENDMSG, ALWAYS),
	ALLOW_SOCKETCALL(SYS_SOCKET, CALLS_CONNECT),
	ALLOW_SOCKETCALL(SYS_CONNECT, CALLS_CONNECT | CALLS_TOKEN),
	ALLOW_SOCKETCALL(SYS_SETSOCKOPT, CALLS_CONNECT | CALLS_TLS),
	ALLOW_SOCKETCALL(SYS_GETSOCKOPT, CALLS_CONNECT | FILES),
	ALLOW_SOCKETCALL(SYS_BIND, CALLS_RESOLVE),
	ALLOW_SOCKETCALL(SYS_GETSOCKNAME, FILES),
	ALLOW_SOCKETCALL(SYS_GETPEERNAME, FILES),
	ALLOW_SOCKETCALL(SYS_SENDMMSG, CALLS_RESOLVE),
	ALLOW_SOCKETCALL(SYS_RECVMMSG, CALLS_RESOLVE),

	/* kernel TLS */
	ALLOW_OPTION(CALLS_TLS, IPPROTO_TCP, TCP_ULP),
	ALLOW_OPTION(CALLS_TLS, SOL_TLS, TLS_TX),
	ALLOW_OPTION(CALLS_TLS, SOL_TLS, TLS_RX),
	ALLOW_OPTION(CALLS_TLS, SOL_TLS, TLS_TX_MAX_PAYLOAD_LEN),

	/* the connection; and the filter that takes this away again */
	ALLOW_IF(getsockopt, CALLS_CONNECT | FILES, 1, IS(1, SOL_SOCKET)),
	ALLOW_SOCKET(CALLS_CONNECT, AF_INET, SOCK_STREAM, 0),
	ALLOW_SOCKET(CALLS_CONNECT, AF_INET, SOCK_STREAM, IPPROTO_TCP),
	ALLOW_SOCKET(CALLS_CONNECT, AF_INET6, SOCK_STREAM, 0),
	ALLOW_SOCKET(CALLS_CONNECT, AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	ALLOW(connect, CALLS_CONNECT | CALLS_TOKEN),
	ALLOW_OPTION(CALLS_CONNECT, IPPROTO_TCP, TCP_NODELAY),
	ALLOW_OPTION(CALLS_CONNECT, IPPROTO_TCP, TCP_KEEPIDLE),
	ALLOW_OPTION(CALLS_CONNECT, IPPROTO_TCP, TCP_KEEPINTVL),
	ALLOW_OPTION(CALLS_CONNECT, IPPROTO_TCP, TCP_KEEPCNT),
	ALLOW_OPTION(CALLS_CONNECT, SOL_SOCKET, SO_KEEPALIVE),
	ALLOW_OPTION(CALLS_CONNECT, SOL_SOCKET, SO_LINGER),
	ALLOW_IF(seccomp, CALLS_CONNECT, 2, IS(0, SECCOMP_SET_MODE_FILTER),
		IS(1, SECCOMP_FILTER_FLAG_TSYNC)),

	/* names: DNS, services on this machine, this machine's own addresses */
	ALLOW_SOCKET(CALLS_RESOLVE, AF_INET, SOCK_DGRAM, 0),
	ALLOW_SOCKET(CALLS_RESOLVE, AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	ALLOW_SOCKET(CALLS_RESOLVE, AF_INET6, SOCK_DGRAM, 0),
	ALLOW_SOCKET(CALLS_RESOLVE, AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	ALLOW_SOCKET(FILES, AF_UNIX, SOCK_STREAM, 0),
	ALLOW_SOCKET(CALLS_RESOLVE, AF_UNIX, SOCK_DGRAM, 0), /* if_nametoindex() */
	ALLOW_SOCKET(CALLS_RESOLVE, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	ALLOW_SOCKET(CALLS_RESOLVE, AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE),
	ALLOW(bind, CALLS_RESOLVE),
	ALLOW(getsockname, FILES | CALLS_CONNECT),
	ALLOW(getpeername, FILES),
	ALLOW_IF(sendmmsg, CALLS_RESOLVE, 1, HAS(3, MSG_FASTOPEN, 0)),
	ALLOW(recvmmsg, CALLS_RESOLVE),
	ALLOW_OPTION(CALLS_RESOLVE, IPPROTO_IP, IP_RECVERR),
	ALLOW_OPTION(CALLS_RESOLVE, IPPROTO_IP, IP_MTU_DISCOVER),
	ALLOW_OPTION(CALLS_RESOLVE, IPPROTO_IPV6, IPV6_RECVERR),
	ALLOW_OPTION(CALLS_RESOLVE, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	ALLOW_OPTION(FILES, SOL_SOCKET, SO_RCVBUF),
	ALLOW_OPTION(FILES, SOL_SOCKET, SO_SNDBUF),
	ALLOW_OPTION(FILES, SOL_SOCKET, SO_RCVTIMEO),
	ALLOW_OPTION(FILES, SOL_SOCKET, SO_SNDTIMEO),
	ALLOW_OPTION(FILES, SOL_SOCKET, SO_PASSCRED),
	ALLOW_IF(setsockopt, CALLS_RESOLVE, 1, IS(1, SOL_NETLINK)),
	ALLOW_IF(getsockopt, CALLS_RESOLVE, 1, IS(1, SOL_NETLINK)),
	ALLOW_IF(ioctl, CALLS_RESOLVE, 1, IS(1, FIONREAD)),
	ALLOW_IF(ioctl, CALLS_RESOLVE, 1, IS(1, SIOCGIFNAME)),
	ALLOW_IF(ioctl, CALLS_RESOLVE, 1, IS(1, SIOCGIFINDEX)),
	ALLOW_FCNTL(fcntl),

	/* files, to be read; which ones is for sandbox-files.h to say */
	ALLOW_IF(openat, CALLS_RESOLVE, 1, HAS(2, TO_WRITE, O_RDONLY)),
	ALLOW_IF(open, CALLS_RESOLVE, 1, HAS(1, TO_WRITE, O_RDONLY)),
	ALLOW(fstat, FILES),
	ALLOW(stat, FILES),
	ALLOW(lstat, FILES),
	ALLOW(newfstatat, FILES),
	ALLOW(statx, FILES),
	ALLOW(access, FILES),
	ALLOW(faccessat, FILES),
	ALLOW(readlink, FILES),
	ALLOW(readlinkat, FILES),
	ALLOW(lseek, FILES),
	ALLOW(pread64, FILES),
	ALLOW(getdents64, FILES),
	ALLOW(uname, FILES),
	ALLOW(sysinfo, FILES),
	ALLOW(sched_getaffinity, FILES),
	ALLOW_IF(prlimit64, FILES, 2, IS(0, 0), IS_NULL(2)),

	/* a token's module */
	ALLOW(openat, CALLS_TOKEN),
	ALLOW(open, CALLS_TOKEN),
	ALLOW(pwrite64, CALLS_TOKEN),
	ALLOW(ftruncate, CALLS_TOKEN),
	ALLOW(fsync, CALLS_TOKEN),
	ALLOW(fdatasync, CALLS_TOKEN),
	ALLOW(flock, CALLS_TOKEN),
	ALLOW(mkdir, CALLS_TOKEN),
	ALLOW(rename, CALLS_TOKEN),
	ALLOW(unlink, CALLS_TOKEN),
	ALLOW(umask, CALLS_TOKEN),
	ALLOW(eventfd2, CALLS_TOKEN),
	ALLOW(pipe2, CALLS_TOKEN),
	ALLOW_IF(clone, CALLS_TOKEN, 1, HAS(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM)),
	ALLOW_IF(ioctl, CALLS_TOKEN, 1, IS(1, FIONREAD)),
};

/* PURPOSES which it takes; 0: none does. */
struct refusal {
	int call;
	unsigned purposes;
};

static const struct refusal killed[] = {
	{SCMP_SYS(fork), 0},
	{SCMP_SYS(vfork), 0},
	{SCMP_SYS(clone), CALLS_TOKEN},
	{SCMP_SYS(clone3), CALLS_TOKEN},
	{SCMP_SYS(execve), 0},
	{SCMP_SYS(execveat), 0},
	{SCMP_SYS(ptrace), 0},
	{SCMP_SYS(process_vm_readv), 0},
	{SCMP_SYS(process_vm_writev), 0},
	{SCMP_SYS(pidfd_getfd), 0},
	{SCMP_SYS(unshare), 0},
	{SCMP_SYS(setns), 0},
	{SCMP_SYS(mount), 0},
	{SCMP_SYS(umount2), 0},
	{SCMP_SYS(pivot_root), 0},
	{SCMP_SYS(chroot), 0},
	{SCMP_SYS(open_tree), 0},
	{SCMP_SYS(fsopen), 0},
	{SCMP_SYS(open_by_handle_at), 0},
	{SCMP_SYS(init_module), 0},
	{SCMP_SYS(finit_module), 0},
	{SCMP_SYS(kexec_load), 0},
	{SCMP_SYS(kexec_file_load), 0},
	{SCMP_SYS(bpf), 0},
	{SCMP_SYS(perf_event_open), 0},
	{SCMP_SYS(userfaultfd), 0},
	{SCMP_SYS(io_uring_setup), 0},
	{SCMP_SYS(add_key), 0},
	{SCMP_SYS(request_key), 0},
	{SCMP_SYS(keyctl), 0},
};

static const struct refusal not_there[] = {
	{SCMP_SYS(openat2), 0},
	{SCMP_SYS(faccessat2), 0},
	{SCMP_SYS(close_range), 0},
	{SCMP_SYS(epoll_pwait2), 0},
	{SCMP_SYS(futex_waitv), 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A call that this machine's architecture does not have is passed over. */
static int add_rules(scmp_filter_ctx context, unsigned purposes)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < COUNT(allowed); i++)
		if (allowed[i].purposes & purposes)
			rc = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, allowed[i].call,
				allowed[i].argument_count, allowed[i].arguments);
	for (size_t i = 0; !rc && i < COUNT(killed); i++)
		if (!(killed[i].purposes & purposes))
			rc = seccomp_rule_add(context, SCMP_ACT_KILL_PROCESS, killed[i].call, 0);
	for (size_t i = 0; !rc && i < COUNT(not_there); i++)
		rc = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), not_there[i].call, 0);
	/* its flags are in memory, which no filter sees; of clone() they are in a register */
	if (!rc && purposes & CALLS_TOKEN)
		rc = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

/* In front of what libseccomp makes, which knows no "higher than". */
static const struct sock_filter newer_calls[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_KNOWN, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
};

static void write_instructions(const struct sock_filter *code, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("\t{0x%x, %u, %u, 0x%x},\n", code[i].code, code[i].jt, code[i].jf,
			code[i].k);
}

/* libseccomp before 2.6 writes a filter to descriptors only. */
static int write_code(scmp_filter_ctx context, unsigned purposes)
{
	struct sock_filter code[BPF_MAXINSNS];
	int fd = memfd_create("filter", MFD_CLOEXEC), rc;
	ssize_t size;

	if (fd < 0)
		return -errno;
	rc = seccomp_export_bpf(context, fd);
	size = rc ? 0 : pread(fd, code, sizeof(code), 0);
	close(fd);
	if (rc)
		return rc;
	if (size <= 0 || (size_t)size % sizeof(code[0]) ||
		(size_t)size > sizeof(code) - sizeof(newer_calls))
		return -EIO;
	printf("static const struct sock_filter code_%u[] = {\n", purposes);
	write_instructions(newer_calls, COUNT(newer_calls));
	write_instructions(code, (size_t)size / sizeof(code[0]));
	printf("};\n\n");
	return 0;
}

static int write_filter(unsigned purposes)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = context ?
		seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) :
		-ENOMEM;

	/* As a tree: the kernel asks a new filter for each call that there is, and a chain of them
	 * takes it five times as long. */
	if (!rc)
		rc = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!rc)
		rc = add_rules(context, purposes);
	if (!rc)
		rc = write_code(context, purposes);
	seccomp_release(context);
	return rc;
}

static const unsigned wanted[] = {CALLS_COMBINATIONS};

int main(void)
{
	int rc = 0;

	printf("/* Written by nbd-attach/generate/sandbox-filters.c. */\n"
	       "#include \"child/sandbox-calls.h\"\n\n");
	for (size_t i = 0; !rc && i < COUNT(wanted); i++)
		rc = write_filter(wanted[i]);
	printf("const struct calls_filter calls_filters[CALLS_FILTER_COUNT] = {\n");
	for (size_t i = 0; i < COUNT(wanted); i++)
		printf("\t{%u, code_%u, sizeof(code_%u) / sizeof(code_%u[0])},\n", wanted[i],
			wanted[i], wanted[i], wanted[i]);
	printf("};\n");
	if (rc)
		fprintf(stderr, "libseccomp cannot make a filter: %s\n", strerror(-rc));
	return rc || fflush(stdout) ? 1 : 0;
}
