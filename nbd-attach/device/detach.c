/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/detach.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "device/openers.h"
#include "kernel/nbd-genl.h"
#include "kernel/block-attr.h"
#include "child/job.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define GONE_TIMEOUT_MS 30000
#define CLOSED_TIMEOUT_MS 2000 /* udev and its helpers open a device for a moment */
#define USERS_TIMEOUT_MS 12000 /* more than the search for them waits by itself */
#define AWAY_TIMEOUT_MS 2000
#define SILENT_TIMEOUT_MS 8000 /* of a server that answers no request at all */
/* of one that is said to be alive: a large cache on slow disks takes its time */
#define FLUSH_TIMEOUT_MS 30000

/* Who configured the device. While it is open these cannot change
 * (kernel fact open-device-stays). */
struct identity {
	char pid[16];
	char backend[256];
};

enum stage { STAGE_USERS, STAGE_OPEN, STAGE_WRITE_BACK, STAGE_FLUSH };
enum decision { UNDECIDED, COMMITTED, ABANDONED };

/* What the process that may hang, and the one that waits for it, know of each other. */
struct progress {
	atomic_int stage;    /* enum stage */
	atomic_int decision; /* enum decision: made once, by whichever is first */
	char warning[256];
};

struct detachment {
	struct device_detach what;
	struct progress *progress;
	struct nbd_genl genl;
	struct identity identity;
	int fd; /* claimed */
};

int device_check_permission(const char *what, struct error *err)
{
	if (geteuid() == 0)
		return 0;
	error_set(err, ERROR_PERMISSION, EPERM, "%s a device needs root", what);
	return error_hint(err, -EPERM, "run it with sudo");
}

static void read_identity(int index, struct identity *identity)
{
	memset(identity, 0, sizeof(*identity));
	if (block_attr_read(index, "pid", identity->pid, sizeof(identity->pid)) < 0)
		*identity->pid = 0;
	if (block_attr_read(index, "backend", identity->backend, sizeof(identity->backend)) < 0)
		*identity->backend = 0;
}

static bool is_still(int index, const struct identity *identity)
{
	struct identity now;

	read_identity(index, &now);
	return *now.pid && strcmp(now.pid, identity->pid) == 0 &&
		strcmp(now.backend, identity->backend) == 0;
}

/* Gone, and perhaps attached anew by somebody: that one is not waited for. */
static bool wait_gone(int index, const struct identity *identity, int timeout_ms)
{
	int64_t deadline_ms = monotonic_now_ms() + timeout_ms;

	while (is_still(index, identity)) {
		if (monotonic_now_ms() >= deadline_ms)
			return false;
		poll(NULL, 0, 10);
	}
	return true;
}

static int not_attached(int index, struct error *err)
{
	error_set(err, ERROR_BUSY, ENOTCONN, "/dev/nbd%d is not attached", index);
	return error_hint(err, -ENOTCONN, "see what is: nbd-attach status");
}

static int not_ours(int index, struct error *err)
{
	error_set(err, ERROR_BUSY, ESTALE, "/dev/nbd%d is somebody else's now, and is left alone",
		index);
	return error_hint(err, -ESTALE,
		"the program that attached it has to detach it; or name it by hand: nbd-attach "
		"detach /dev/nbd%d",
		index);
}

static int begin(struct detachment *detachment, struct error *err)
{
	int index = detachment->what.index, rc = nbd_genl_open(&detachment->genl, err);

	if (rc == -ENOENT)
		return error_set(err, ERROR_BUSY, ENOTCONN,
			"/dev/nbd%d is not attached: the nbd driver is not even loaded", index);
	if (rc)
		return rc;
	read_identity(index, &detachment->identity);
	if (!*detachment->identity.pid)
		return not_attached(index, err);
	return detachment->what.backend &&
			strcmp(detachment->identity.backend, detachment->what.backend) != 0 ?
		not_ours(index, err) :
		0;
}

/* Nobody can mount it from here on. When it is another's meanwhile, it is not touched. */
static int claim(struct detachment *detachment, struct error *err)
{
	int64_t deadline_ms = monotonic_now_ms() + CLOSED_TIMEOUT_MS;
	int index = detachment->what.index;
	char path[32];

	atomic_store(&detachment->progress->stage, STAGE_OPEN);
	snprintf(path, sizeof(path), "/dev/nbd%d", index);
	while ((detachment->fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC)) < 0 && errno == EBUSY &&
		monotonic_now_ms() < deadline_ms)
		poll(NULL, 0, 50);
	if (detachment->fd >= 0)
		return is_still(index, &detachment->identity) ? 0 : not_ours(index, err);
	if (errno != EBUSY)
		return error_set(err, errno == EACCES ? ERROR_PERMISSION : ERROR_OTHER, errno,
			"cannot claim %s: %s", path, strerror(errno));
	error_set(err, ERROR_BUSY, EBUSY, "%s is claimed by a user that no list shows", path);
	return error_hint(err, -EBUSY,
		"it may be mounted in a container (fuser -vm %s), or be a disk of DRBD (drbdadm "
		"status)",
		path);
}

/* What raw writers left to the kernel. With a server that is away this does not end while there is
 * anything. */
static int write_back(struct detachment *detachment, struct error *err)
{
	bool reachable = detachment->what.how != DETACH_UNREACHABLE;
	char *warning = detachment->progress->warning;

	atomic_store(&detachment->progress->stage, STAGE_WRITE_BACK);
	if (sync_file_range(detachment->fd, 0, 0,
		    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER) < 0) {
		int rc = -errno;

		snprintf(warning, sizeof(detachment->progress->warning),
			"writes had failed before: what is on the server's disk is not all that "
			"was written (%s)",
			strerror(-rc));
		if (!reachable)
			return 0;
		error_set(err, ERROR_OTHER, -rc,
			"what was written to /dev/nbd%d cannot be brought to the server: %s",
			detachment->what.index, strerror(-rc));
		return error_hint(err, rc,
			"with --force it is detached all the same, and these writes are lost");
	}
	if (!reachable) {
		snprintf(warning, sizeof(detachment->progress->warning),
			"the server is away and could not be told to flush its cache: if it "
			"crashed, its last writes may be lost");
		return 0;
	}
	atomic_store(&detachment->progress->stage, STAGE_FLUSH);
	if (fdatasync(detachment->fd) < 0)
		snprintf(warning, sizeof(detachment->progress->warning),
			"the server could not be told to flush its cache (%s); if it crashes now, "
			"its last writes may be lost",
			strerror(errno));
	return 0;
}

/* The last moment to think otherwise. A signal must not part what comes now: the driver would keep
 * the order to disconnect. */
static int commit(struct detachment *detachment, struct error *err)
{
	int undecided = UNDECIDED;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (!is_still(detachment->what.index, &detachment->identity))
		return not_ours(detachment->what.index, err);
	if (!job_is_awaited() ||
		!atomic_compare_exchange_strong(
			&detachment->progress->decision, &undecided, COMMITTED))
		return error_set(err, ERROR_OTHER, ECANCELED, "nobody waits for it any more");
	return 0;
}

static int disconnect(struct detachment *detachment, int timeout_ms, struct error *err)
{
	int index = detachment->what.index, rc = nbd_genl_disconnect(&detachment->genl, index, err);

	if (detachment->fd >= 0)
		close(steal_fd(&detachment->fd)); /* the kernel lets go of the device only now */
	if (rc)
		return rc;
	if (wait_gone(index, &detachment->identity, timeout_ms) ||
		detachment->what.how == DETACH_FORCED)
		return 0;
	error_set(err, ERROR_BUSY, EBUSY,
		"/dev/nbd%d was disconnected, but somebody still holds it open", index);
	return error_hint(err, -EBUSY, "it is free again when the last one closes it");
}

static const char *backend_of(const struct detachment *detachment)
{
	return *detachment->identity.backend ? detachment->identity.backend : NULL;
}

/* Somebody has it open: take the order back, and say who it is. */
static int take_back(struct detachment *detachment, struct error *err)
{
	int index = detachment->what.index,
	    rc = nbd_genl_disconnect_on_close(
		    &detachment->genl, index, backend_of(detachment), false);

	if (!is_still(index, &detachment->identity))
		return 0; /* closed just now */
	if (rc) {
		error_set(err, ERROR_KERNEL, -rc,
			"the driver will disconnect /dev/nbd%d when it is closed: %s", index,
			strerror(-rc));
		return rc;
	}
	rc = block_check_unused(index, err);
	if (!rc)
		rc = device_check_openers(index, false, err);
	if (rc)
		return rc;
	error_set(err, ERROR_BUSY, EBUSY,
		"/dev/nbd%d is open in the kernel, by a user that no list shows", index);
	return error_hint(err, -EBUSY,
		"end what uses it (losetup -l, targetcli ls, fuser -v /dev/nbd%d), or detach with "
		"--force",
		index);
}

/* DISCONNECT asks neither whose the device is nor who has it open. The driver's own disconnecting
 * at the last close does both, in one step: a process that has it open, by whatever name and in
 * whatever namespace, is not disturbed. */
static int disconnect_by_close(struct detachment *detachment, struct error *err)
{
	int rc = nbd_genl_disconnect_on_close(
		&detachment->genl, detachment->what.index, backend_of(detachment), true);

	/* One that ioctl() configured, or that was disconnected before. It is open here, and so
	 * still the one that was checked. */
	if (rc == -EINVAL)
		return disconnect(detachment, GONE_TIMEOUT_MS, err);
	if (rc)
		return error_set(err, ERROR_KERNEL, -rc,
			"the nbd driver refused to disconnect /dev/nbd%d: %s",
			detachment->what.index, strerror(-rc));
	close(steal_fd(&detachment->fd));
	return wait_gone(detachment->what.index, &detachment->identity, CLOSED_TIMEOUT_MS) ?
		0 :
		take_back(detachment, err);
}

static int detach_steps(struct detachment *detachment, struct error *err)
{
	bool forced = detachment->what.how == DETACH_FORCED,
	     away = detachment->what.how == DETACH_UNREACHABLE;
	int rc = begin(detachment, err);

	if (!rc && !forced)
		rc = device_check_users(detachment->what.index, away, err);
	if (!rc && !forced)
		rc = claim(detachment, err);
	if (!rc && !forced)
		rc = write_back(detachment, err);
	if (!rc)
		rc = commit(detachment, err);
	if (rc)
		return rc;
	if (forced)
		return disconnect(detachment, 1000, err);
	/* A supervisor's check of a server that is away ends only by this. It loses nothing. */
	if (away && device_check_openers(detachment->what.index, false, NULL) &&
		!device_check_openers(detachment->what.index, true, NULL))
		return disconnect(detachment, GONE_TIMEOUT_MS, err);
	return disconnect_by_close(detachment, err);
}

static int run_detachment(const void *argument, struct error *err)
{
	struct detachment detachment = *(const struct detachment *)argument;
	int rc = detach_steps(&detachment, err);

	if (detachment.fd >= 0)
		close(detachment.fd);
	nbd_genl_close(&detachment.genl);
	return rc;
}

int device_detach_job(const void *what, struct error *err)
{
	struct progress progress = {0};
	struct detachment detachment = {
		.what = *(const struct device_detach *)what, .progress = &progress, .fd = -1};

	return run_detachment(&detachment, err);
}

static int stage_timeout_ms(const struct device_detach *what, int stage)
{
	if (stage == STAGE_USERS)
		return USERS_TIMEOUT_MS;
	if (what->how == DETACH_UNREACHABLE)
		return AWAY_TIMEOUT_MS;
	return stage == STAGE_FLUSH && what->how == DETACH_IF_UNUSED ? FLUSH_TIMEOUT_MS :
								       SILENT_TIMEOUT_MS;
}

static int took_too_long(
	const struct device_detach *what, int stage, bool committed, struct error *err)
{
	int index = what->index, sec = stage_timeout_ms(what, stage) / 1000;

	if (committed) {
		error_set(err, ERROR_BUSY, ETIMEDOUT,
			"the driver was told to disconnect /dev/nbd%d, and has not come to its end",
			index);
		return error_hint(err, -ETIMEDOUT,
			"a link that takes no data can hold that up: end the server's connections, "
			"and see: dmesg | tail");
	}
	if (stage == STAGE_USERS) {
		error_set(err, ERROR_BUSY, ETIMEDOUT,
			"who uses /dev/nbd%d could not be told within %d s; it stays attached",
			index, sec);
		return error_hint(err, -ETIMEDOUT,
			"something else hangs: see the processes in state D (ps -eo "
			"pid,stat,comm)");
	}
	if (what->how == DETACH_UNREACHABLE) {
		error_set(err, ERROR_BUSY, ETIMEDOUT,
			"the server of /dev/nbd%d is away, and data waits to be written to it",
			index);
		return error_hint(err, -ETIMEDOUT,
			"wait until it is back (nbd-attach status), or detach with --force and "
			"lose this data");
	}
	error_set(err, ERROR_BUSY, ETIMEDOUT,
		"the server of /dev/nbd%d has not %s for %d s; it stays attached", index,
		stage == STAGE_FLUSH        ? "answered a flush of its cache" :
			stage == STAGE_OPEN ? "answered a read" :
					      "taken any of the data that waits to be written",
		sec);
	return error_hint(err, -ETIMEDOUT,
		"wait until it answers (nbd-attach status), or detach with --force and lose what "
		"it has not written");
}

/* Wait as long as anything moves. */
static int await(struct job *job, const struct detachment *detachment, struct error *err)
{
	struct pollfd pfd = {.fd = job_poll_fd(job), .events = POLLIN};
	uint64_t completed = block_completed_count(detachment->what.index);
	int64_t moved_ms = monotonic_now_ms();
	int stage = STAGE_USERS, undecided = UNDECIDED;

	for (;;) {
		bool committed = atomic_load(&detachment->progress->decision) == COMMITTED;
		int stage_now = atomic_load(&detachment->progress->stage);
		uint64_t completed_now = block_completed_count(detachment->what.index);

		if (poll(&pfd, 1, 50) > 0)
			return job_step(job, err);
		if (stage_now != stage || completed_now != completed)
			moved_ms = monotonic_now_ms();
		stage = stage_now;
		completed = completed_now;
		if (monotonic_now_ms() - moved_ms <
			(committed ? GONE_TIMEOUT_MS + 2 * CLOSED_TIMEOUT_MS :
				     stage_timeout_ms(&detachment->what, stage)))
			continue;
		if (!committed &&
			!atomic_compare_exchange_strong(
				&detachment->progress->decision, &undecided, ABANDONED)) {
			undecided = UNDECIDED;
			continue; /* it has just decided */
		}
		job_abandon(job);
		return took_too_long(&detachment->what, stage, committed, err);
	}
}

int device_detach(
	const struct device_detach *what, char *warning, size_t warning_size, struct error *err)
{
	struct detachment detachment = {.what = *what, .fd = -1};
	struct job job;
	int rc;

	detachment.progress = mmap(NULL, sizeof(*detachment.progress), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (detachment.progress == MAP_FAILED)
		return error_set(err, ERROR_OTHER, errno, "mmap: %s", strerror(errno));
	rc = job_start(&job, run_detachment, &detachment, -1, err);
	if (!rc)
		rc = await(&job, &detachment, err);
	if (!rc && warning)
		snprintf(warning, warning_size, "%s", detachment.progress->warning);
	munmap(detachment.progress, sizeof(*detachment.progress));
	return rc;
}
