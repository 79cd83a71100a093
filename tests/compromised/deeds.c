/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "deeds.h"
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
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
#include <sys/wait.h>

#define NEW_FILE "/tmp/nbd-attach-compromised"

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
	{NULL, NULL, NULL},
};
