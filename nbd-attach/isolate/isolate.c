/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A reconnect is done by forked children, of what is in memory already: program, libraries,
 * credentials, trust and addresses. So no page of the parent may leave the memory (mlockall), and
 * what a child reads of the parent's pages is there for it, too. What it writes to it gets as a
 * copy of its own, which it locks when it starts. */
#include "isolate/isolate.h"
#include "isolate/private-root.h"
#include "base/cleanup.h"
#include "output/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER /* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif
#ifndef SOCKFS_MAGIC
#define SOCKFS_MAGIC 0x534F434B
#endif

/* What a reconnect uses of them is some dozens of KiB. */
#define STACK_BYTES (256 << 10)
#define HEAP_BYTES (1 << 20)

static bool entered, ignores_signals, may_lock_more;

bool isolate_is_entered(void)
{
	return entered;
}

bool isolate_ignores_signals(void)
{
	return ignores_signals;
}

void isolate_leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static int failed(const char *what, struct error *err)
{
	int saved = errno;

	error_set(err, saved == EPERM || saved == EACCES ? ERROR_PERMISSION : ERROR_OTHER, saved,
		"--root: cannot %s: %s", what, strerror(saved));
	return error_hint(err, -saved,
		"it needs CAP_IPC_LOCK and CAP_SYS_RESOURCE (in a systemd unit also "
		"LimitMEMLOCK=infinity)");
}

static bool is_initrd(void)
{
	struct statfs fs;

	return statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

static bool is_on_disk(int fd)
{
	static const long diskless[] = {RAMFS_MAGIC, TMPFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC,
		DEVPTS_SUPER_MAGIC, PIPEFS_MAGIC, SOCKFS_MAGIC, ANON_INODE_FS_MAGIC, NSFS_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(diskless) / sizeof(diskless[0]); i++)
		if (fs.f_type == diskless[i])
			return false;
	return true;
}

/* Whatever our starter left open: it would keep a file system busy that somebody wants to unmount.
 * None is of any use to us. */
static void close_disk_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != dirfd(dir) && is_on_disk(fd))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static int tell_kernel(struct error *err)
{
	_cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		return failed("be exempt from being killed for want of memory", err);
	/* Memory that we ask for must not wait for data to be written to our own device. */
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 && errno != EINVAL)
		return failed("tell the kernel that write-back depends on this process", err);
	return 0;
}

/* When all memory waits to be written to a device that is away, what is free is a reserve, and
 * real-time processes may take of it. This was seen to make the difference under swap: without it
 * fork() alone took minutes. */
static void be_urgent(void)
{
	const struct sched_param urgent = {.sched_priority = 1};

	if (sched_setscheduler(0, SCHED_RR, &urgent) < 0)
		log_message(LOG_WARNING,
			"--root: no real-time priority (%s): under swap, a reconnect may want for "
			"memory",
			strerror(errno));
}

/* Used once, so that mlockall() finds it. */
static __attribute__((noinline)) void use_stack(void)
{
	volatile char room[STACK_BYTES];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 0;
}

static int use_heap(void)
{
	void *room;

	/* What was freed stays ours, and large pieces come from the same place. */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_MMAP_MAX, 0);
	room = malloc(HEAP_BYTES);
	if (!room)
		return -ENOMEM;
	explicit_bzero(room, HEAP_BYTES);
	free(room);
	return 0;
}

static int lock_memory(struct error *err)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	use_stack();
	if (use_heap() < 0)
		return failed("have memory", err);
	/* The negotiator has no CAP_IPC_LOCK any more when it needs more memory: then the limit
	 * counts. */
	may_lock_more = setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
	return mlockall(MCL_CURRENT | MCL_FUTURE) < 0 ? failed("lock its memory", err) : 0;
}

static void survive_initrd(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		signal(signals[i], SIG_IGN);
		sigaddset(&set, signals[i]);
	}
	/* One that is blocked is kept, ignored or not. */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ignores_signals = true;
	/* glibc's name for argv[0], not a copy of it. */
	if (*program_invocation_name)
		*program_invocation_name = '@';
}

int isolate_enter(int index, struct error *err)
{
	bool initrd = is_initrd();
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "nbd%d.root", index);
	rc = private_root_enter(name, err);
	if (!rc)
		rc = tell_kernel(err);
	if (!rc)
		rc = lock_memory(err);
	if (rc)
		return rc;
	be_urgent();
	entered = true;
	close_disk_files();
	signal(SIGPIPE, SIG_IGN);
	/* No C library function goes and looks for /etc/localtime. */
	setenv("TZ", "UTC0", 1);
	if (initrd)
		survive_initrd();
	return 0;
}

void isolate_enter_child(void)
{
	/* What the parent has, it has for us, too: no page of that is away. Of what we write to we
	 * get copies, and to make them all at once (without MCL_ONFAULT) would cost most when
	 * memory is scarce. */
	if (entered)
		mlockall(may_lock_more ? MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT :
					 MCL_CURRENT | MCL_ONFAULT);
}
