/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "deeds.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEED(name) static int name(const struct circumstances *at)
#define NEW_FILE "/tmp/nbd-attach-compromised"

static int result(long rc)
{
	return rc < 0 ? -errno : 0;
}

static int result_fd(int fd)
{
	int rc = result(fd);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* --- processes. A child that there is after all does nothing. */

static int born(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return result(pid);
}

DEED(do_fork)
{
	(void)at;
	return born(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

#ifdef SYS_fork
DEED(do_old_fork)
{
	(void)at;
	return born(syscall(SYS_fork));
}
#endif

DEED(do_clone3)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	(void)at;
	return born(syscall(SYS_clone3, &args, sizeof(args)));
}

DEED(do_user_namespace)
{
	(void)at;
	return born(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0));
}

static int do_nothing(void *argument)
{
	(void)argument;
	return 0;
}

DEED(do_thread)
{
	static char stack[16384] __attribute__((aligned(16)));

	(void)at;
	return result(clone(do_nothing, stack + sizeof(stack),
		CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, NULL));
}

DEED(do_exec)
{
	char *argv[] = {(char *)"true", NULL}, *envp[] = {NULL};

	(void)at;
	return result(execve("/bin/true", argv, envp));
}

DEED(do_exec_of_descriptor)
{
	char *argv[] = {(char *)"true", NULL}, *envp[] = {NULL};

	(void)at;
	return result(syscall(SYS_execveat, 3, "", argv, envp, 0x1000 /* AT_EMPTY_PATH */));
}

DEED(do_ptrace)
{
	int rc = result(ptrace(PTRACE_SEIZE, at->other_pid, 0, 0));

	if (!rc)
		ptrace(PTRACE_DETACH, at->other_pid, 0, 0);
	return rc;
}

DEED(do_read_memory)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {&byte, 1};
	int rc = result(process_vm_readv(at->other_pid, &here, 1, &there, 1, 0));

	return rc == -EFAULT ? 0 : rc; /* it has nothing just there */
}

DEED(do_take_descriptor)
{
	(void)at;
	return result(syscall(SYS_pidfd_getfd, 3, 0, 0));
}

DEED(do_unshare)
{
	(void)at;
	return result(unshare(CLONE_NEWUSER));
}

DEED(do_mount)
{
	(void)at;
	return result(mount("none", "/nowhere", "tmpfs", 0, NULL));
}

DEED(do_bpf)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	(void)at;
	return result_fd((int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

DEED(do_perf)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr)};

	(void)at;
	return result_fd((int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

DEED(do_io_uring)
{
	char params[120] = {0};

	(void)at;
	return result_fd((int)syscall(SYS_io_uring_setup, 1, params));
}

DEED(do_userfaultfd)
{
	(void)at;
	return result_fd((int)syscall(SYS_userfaultfd, 1 /* user mode only */));
}

DEED(do_key)
{
	(void)at;
	return result(syscall(SYS_add_key, "user", "nbd-attach-compromised", "x", 1, -1));
}

/* --- other processes */

DEED(do_signal)
{
	return result(kill(at->other_pid, SIGURG));
}

DEED(do_signal_parent)
{
	return result(kill(at->parent_pid, SIGURG));
}

DEED(do_signal_all)
{
	(void)at;
	return result(kill(-1, 0));
}

DEED(do_signal_thread)
{
	return result(syscall(SYS_tgkill, at->other_pid, at->other_pid, SIGURG));
}

DEED(do_queue_signal)
{
	return result(sigqueue(at->other_pid, SIGURG, (union sigval){0}));
}

DEED(do_pidfd)
{
	return result_fd((int)syscall(SYS_pidfd_open, at->other_pid, 0));
}

DEED(do_signal_by_owner)
{
	return result(fcntl(3, F_SETOWN, at->other_pid));
}

DEED(do_nice_other)
{
	return result(setpriority(PRIO_PROCESS, (id_t)at->other_pid, 19));
}

DEED(do_pin_other)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	return result(sched_setaffinity(at->other_pid, sizeof(all), &all));
}

DEED(do_limit_other)
{
	struct rlimit limit = {16, 16};

	return result(prlimit(at->other_pid, RLIMIT_NOFILE, &limit, NULL));
}

/* --- itself */

DEED(do_root)
{
	(void)at;
	return result(setuid(0));
}

DEED(do_dumpable)
{
	(void)at;
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

DEED(do_real_time)
{
	const struct sched_param urgent = {.sched_priority = 1};

	(void)at;
	return result(sched_setscheduler(0, SCHED_RR, &urgent));
}

DEED(do_be_nice)
{
	(void)at;
	return result(setpriority(PRIO_PROCESS, 0, -1));
}

DEED(do_raise_limits)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	(void)at;
	return result(setrlimit(RLIMIT_DATA, &limit));
}

DEED(do_600_mib)
{
	size_t size = 600UL << 20;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)at;
	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, size);
	return 0;
}

DEED(do_100_mib_by_brk)
{
	void *before = sbrk(0);

	(void)at;
	if (sbrk(100 << 20) == (void *)-1)
		return -errno;
	return result(brk(before));
}

DEED(do_shared_memory)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)at;
	return memory == MAP_FAILED ? -errno : result(munmap(memory, 4096));
}

DEED(do_new_code)
{
	void *code = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)at;
	return code == MAP_FAILED ? -errno : result(munmap(code, 4096));
}

DEED(do_data_as_code)
{
	static char data[8192] __attribute__((aligned(4096)));
	int rc = result(mprotect(data, 4096, PROT_READ | PROT_EXEC));

	(void)at;
	mprotect(data, 4096, PROT_READ | PROT_WRITE);
	return rc;
}

/* 0: there is something of our starter's. */
DEED(do_environment)
{
	return getenv("NBDA_SECRET") || (at->secret && *at->secret) ? 0 : -ENOENT;
}

/* --- files and terminals */

DEED(do_read_accounts)
{
	(void)at;
	return result_fd(open("/etc/passwd", O_RDONLY));
}

DEED(do_read_hosts)
{
	(void)at;
	return result_fd(open("/etc/hosts", O_RDONLY));
}

DEED(do_read_process)
{
	(void)at;
	return result_fd(open("/proc/self/maps", O_RDONLY));
}

DEED(do_list_root)
{
	(void)at;
	return result_fd(open("/", O_RDONLY | O_DIRECTORY));
}

DEED(do_stat)
{
	struct stat st;

	(void)at;
	return result(stat("/etc/passwd", &st));
}

DEED(do_make_file)
{
	int fd = open(NEW_FILE, O_WRONLY | O_CREAT, 0600);

	(void)at;
	if (fd >= 0)
		unlink(NEW_FILE);
	return result_fd(fd);
}

DEED(do_make_directory)
{
	int rc = result(mkdir(NEW_FILE, 0700));

	(void)at;
	if (!rc)
		rmdir(NEW_FILE);
	return rc;
}

DEED(do_make_link)
{
	int rc = result(symlink("/", NEW_FILE));

	(void)at;
	if (!rc)
		unlink(NEW_FILE);
	return rc;
}

DEED(do_change_mode)
{
	(void)at;
	return result(chmod("/nowhere", 0777)) == -ENOENT ? 0 : -errno;
}

DEED(do_memory_file)
{
	(void)at;
	return result_fd(memfd_create("x", 0));
}

/* 0: there is a byte in one of the first three, or room for one that goes somewhere. */
DEED(do_read_stdin)
{
	char byte;

	(void)at;
	return read(0, &byte, 1) > 0 ? 0 : -ENODATA;
}

DEED(do_terminal)
{
	(void)at;
	return result_fd(open("/dev/tty", O_RDWR));
}

DEED(do_type)
{
	char key = '\n';

	(void)at;
	for (int fd = 0; fd <= 2; fd++)
		if (ioctl(fd, TIOCSTI, &key) == 0)
			return 0;
	return -errno;
}

DEED(do_oom_score)
{
	(void)at;
	return result_fd(open("/proc/self/oom_score_adj", O_WRONLY));
}

/* --- sockets */

static int have_socket(int family, int type, int protocol)
{
	return result_fd(socket(family, type | SOCK_CLOEXEC, protocol));
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
}

static int use_tcp(int (*use)(int fd, const struct sockaddr *address, socklen_t len), uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(use(fd, (struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_tcp)
{
	(void)at;
	return have_socket(AF_INET, SOCK_STREAM, 0);
}

DEED(do_tcp_other_port)
{
	return use_tcp(connect, at->port);
}

/* A connection without connect(). */
DEED(do_fast_open)
{
	struct sockaddr_in address = loopback(at->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
			(struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_tcp_bind)
{
	(void)at;
	return use_tcp(bind, 0);
}

static int call_listen(int fd, const struct sockaddr *address, socklen_t len)
{
	(void)address;
	(void)len;
	return listen(fd, 1);
}

DEED(do_tcp_listen)
{
	(void)at;
	return use_tcp(call_listen, 0);
}

DEED(do_accept)
{
	int rc;

	(void)at;
	rc = result(accept4(3, NULL, NULL, 0));
	return rc == -EPERM || rc == -ENOSYS ? rc : 0; /* reached: the channel is no listener */
}

DEED(do_udp)
{
	(void)at;
	return have_socket(AF_INET, SOCK_DGRAM, 0);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = result(fd);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (!rc)
		rc = result(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_unix)
{
	return connect_unix(at->path);
}

DEED(do_service)
{
	return connect_unix(at->service);
}

static int use_udp(bool binds, uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = result(fd);

	if (!rc)
		rc = result(binds ? bind(fd, (struct sockaddr *)&address, sizeof(address)) :
				    sendto(fd, "x", 1, 0, (struct sockaddr *)&address,
					    sizeof(address)));
	if (fd >= 0)
		close(fd);
	return rc;
}

DEED(do_udp_other_port)
{
	return use_udp(false, at->port);
}

DEED(do_udp_bind)
{
	return use_udp(true, at->port);
}

DEED(do_unix_packets)
{
	(void)at;
	return have_socket(AF_UNIX, SOCK_SEQPACKET, 0);
}

DEED(do_socketpair)
{
	int pair[2];

	(void)at;
	return result(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

DEED(do_raw)
{
	(void)at;
	return have_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

DEED(do_ping)
{
	(void)at;
	return have_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
}

DEED(do_mptcp)
{
	(void)at;
	return have_socket(AF_INET, SOCK_STREAM, 262);
}

DEED(do_packet)
{
	(void)at;
	return have_socket(AF_PACKET, SOCK_RAW, 0);
}

DEED(do_vsock)
{
	(void)at;
	return have_socket(AF_VSOCK, SOCK_STREAM, 0);
}

DEED(do_crypto)
{
	(void)at;
	return have_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

DEED(do_routes)
{
	(void)at;
	return have_socket(AF_NETLINK, SOCK_RAW, 0);
}

DEED(do_generic_netlink)
{
	(void)at;
	return have_socket(AF_NETLINK, SOCK_RAW, 16);
}

DEED(do_sock_diag)
{
	(void)at;
	return have_socket(AF_NETLINK, SOCK_RAW, 4);
}

/* What would stay with a socket that is handed over. */
DEED(do_filter_packets)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog program = {1, &pass};

	return result(setsockopt(at->connection < 0 ? 3 : at->connection, SOL_SOCKET,
		SO_ATTACH_FILTER, &program, sizeof(program)));
}

DEED(do_kernel_tls)
{
	return result(setsockopt(at->connection, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls") - 1));
}

DEED(do_40_descriptors)
{
	int fds[40], count = 0, rc = 0;

	(void)at;
	for (; !rc && count < 40; count++) {
		fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		rc = result(fds[count]);
	}
	while (count--)
		if (fds[count] >= 0)
			close(fds[count]);
	return rc;
}

/* --- what processes share */

DEED(do_system_v_memory)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600), rc = result(id);

	(void)at;
	if (!rc)
		shmctl(id, IPC_RMID, NULL);
	return rc;
}

DEED(do_system_v_messages)
{
	int id = msgget(IPC_PRIVATE, 0600), rc = result(id);

	(void)at;
	if (!rc)
		msgctl(id, IPC_RMID, NULL);
	return rc;
}

DEED(do_message_queue)
{
	mqd_t queue = mq_open("/nbd-attach-compromised", O_RDWR | O_CREAT, 0600, NULL);
	int rc = result(queue);

	(void)at;
	if (!rc)
		mq_unlink("/nbd-attach-compromised");
	return rc;
}

const struct deed deeds[] = {
	{"killed", "fork", do_fork},
#ifdef SYS_fork
	{"killed", "fork-as-of-old", do_old_fork},
#endif
	{"killed", "clone3", do_clone3},
	{"killed", "thread", do_thread},
	{"killed", "user-namespace", do_user_namespace},
	{"killed", "unshare", do_unshare},
	{"killed", "exec", do_exec},
	{"killed", "exec-of-descriptor", do_exec_of_descriptor},
	{"killed", "ptrace", do_ptrace},
	{"killed", "read-memory", do_read_memory},
	{"killed", "take-descriptor", do_take_descriptor},
	{"killed", "mount", do_mount},
	{"killed", "bpf", do_bpf},
	{"killed", "perf", do_perf},
	{"killed", "io-uring", do_io_uring},
	{"killed", "userfaultfd", do_userfaultfd},
	{"killed", "key", do_key},
	{"others", "signal", do_signal},
	{"others", "signal-parent", do_signal_parent},
	{"others", "signal-all", do_signal_all},
	{"others", "signal-thread", do_signal_thread},
	{"others", "queue-signal", do_queue_signal},
	{"others", "signal-by-owner", do_signal_by_owner},
	{"others", "pidfd", do_pidfd},
	{"others", "nice-other", do_nice_other},
	{"others", "pin-other", do_pin_other},
	{"others", "limit-other", do_limit_other},
	{"others", "system-v-memory", do_system_v_memory},
	{"others", "system-v-messages", do_system_v_messages},
	{"others", "message-queue", do_message_queue},
	{"self", "root", do_root},
	{"self", "dumpable", do_dumpable},
	{"self", "real-time", do_real_time},
	{"self", "nice", do_be_nice},
	{"self", "oom-score", do_oom_score},
	{"self", "raise-limits", do_raise_limits},
	{"self", "600-mib", do_600_mib},
	{"self", "100-mib-by-brk", do_100_mib_by_brk},
	{"self", "shared-memory", do_shared_memory},
	{"self", "new-code", do_new_code},
	{"self", "data-as-code", do_data_as_code},
	{"self", "environment", do_environment},
	{"files", "read-accounts", do_read_accounts},
	{"files", "read-hosts", do_read_hosts},
	{"files", "read-process", do_read_process},
	{"files", "list-root", do_list_root},
	{"files", "stat", do_stat},
	{"files", "make-file", do_make_file},
	{"files", "make-directory", do_make_directory},
	{"files", "make-link", do_make_link},
	{"files", "change-mode", do_change_mode},
	{"files", "memory-file", do_memory_file},
	{"files", "read-stdin", do_read_stdin},
	{"files", "terminal", do_terminal},
	{"files", "type", do_type},
	{"sockets", "tcp", do_tcp},
	{"sockets", "tcp-other-port", do_tcp_other_port},
	{"sockets", "fast-open", do_fast_open},
	{"sockets", "tcp-bind", do_tcp_bind},
	{"sockets", "tcp-listen", do_tcp_listen},
	{"sockets", "accept", do_accept},
	{"sockets", "udp", do_udp},
	{"sockets", "udp-other-port", do_udp_other_port},
	{"sockets", "udp-bind", do_udp_bind},
	{"sockets", "unix", do_unix},
	{"sockets", "unix-packets", do_unix_packets},
	{"sockets", "socketpair", do_socketpair},
	{"sockets", "raw", do_raw},
	{"sockets", "ping", do_ping},
	{"sockets", "mptcp", do_mptcp},
	{"sockets", "packet", do_packet},
	{"sockets", "vsock", do_vsock},
	{"sockets", "crypto", do_crypto},
	{"sockets", "routes", do_routes},
	{"sockets", "generic-netlink", do_generic_netlink},
	{"sockets", "sock-diag", do_sock_diag},
	{"sockets", "filter-packets", do_filter_packets},
	{"sockets", "40-descriptors", do_40_descriptors},
	{"services", "service", do_service},
	{"tls", "kernel-tls", do_kernel_tls},
	{NULL, NULL, NULL},
};
