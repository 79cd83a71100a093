/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/adopt.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "nbd/nbd-protocol.h"
#include "kernel/kmsg.h"
#include "device/queue.h"
#include "net/sock-destroy.h"
#include "supervisor/state-file.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include "child/job.h"
#include "net/tcp-stats.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_MS 1000
/* longer than the kernel's log is silent about more error replies (kmsg.h) */
#define ERRORS_MS 6000
#define ERRORS_PAUSE_MS 1000
#define FAIL_LINGER_MS 300
#define QUEUE_READ_MS 1000

bool adopt_is_ours(const struct endpoint *endpoint, int index)
{
	char ours[BACKEND_ID_SIZE];

	backend_id_format(endpoint, ours);
	return index >= 0 && block_backend_is(index, ours);
}

/* Reading what is below queue/ may wait, with a server that hangs, and only we could bring that
 * back (kernel fact queue-read-waits). */
static int read_block_size(const void *argument, struct error *err)
{
	uint64_t size = 0;

	(void)err;
	return block_attr_read_u64(*(const int *)argument, "queue/logical_block_size", &size) ==
				0 &&
			size <= INT_MAX ?
		-(int)size :
		0;
}

struct io_timeout_question {
	int index, io_timeout_ms;
};

static int compare_io_timeout(const void *argument, struct error *err)
{
	const struct io_timeout_question *question = argument;

	(void)err;
	return queue_has_io_timeout(question->index, question->io_timeout_ms) ? 0 : -EEXIST;
}

/* Without a state file: what the kernel shows. The export itself is known with the next offer. */
static int read_kernel(struct attachment *attachment, int index, struct error *err)
{
	uint64_t sectors = 0, read_only = 0;
	char queue[32];
	int block_size = attachment->block_size_bytes ?
		(int)attachment->block_size_bytes :
		-job_run(read_block_size, &index, QUEUE_READ_MS, NULL);

	if (block_attr_read_u64(index, "size", &sectors) < 0 || block_size < 512 ||
		block_attr_read_u64(index, "ro", &read_only) < 0)
		return error_set(err, ERROR_KERNEL, EIO,
			"/sys/block/nbd%d does not tell the device's size", index);
	/* What the kernel says goes before the file. */
	attachment->export.has_size = true;
	attachment->export.size_bytes = sectors * 512;
	attachment->block_size_bytes = (uint32_t)block_size;
	if (read_only)
		attachment->flags |= NBD_TFLAG_READ_ONLY;
	if (attachment->link_count)
		return 0;
	/* The driver has a hardware queue for each connection. */
	do {
		attachment->links[attachment->link_count++] =
			(struct link){.fd = -1, .is_tls_unknown = true, .since_ms = -1};
		snprintf(queue, sizeof(queue), "mq/%zu", attachment->link_count);
	} while (attachment->link_count < LINKS_MAX && block_has_attr(index, queue));
	return 0;
}

/* The manager may have kept the one before, which is dead: its supervisor was killed between the
 * hand-over of another and telling so. That other one is where the state file says, unless it can
 * be seen not to be there. */
static bool is_former(const struct link *link, int fd)
{
	struct sockaddr_storage local, peer;

	if (link->local.ss_family == AF_UNSPEC ||
		(sock_addresses(fd, &local, &peer) == 0 &&
			memcmp(&local, &link->local, sizeof(local)) == 0))
		return false;
	return sock_find(&link->local, &link->peer) != -ENOENT;
}

static void take_link(struct attachment *attachment, const char *number, int fd)
{
	unsigned long at = strtoul(number, NULL, 10);
	struct link_base base;
	struct tcp_stats stats;
	struct link *link;

	if (at >= attachment->link_count || attachment->links[at].fd >= 0 ||
		is_former(&attachment->links[at], fd)) {
		close(fd);
		return;
	}
	link = &attachment->links[at];
	link->fd = fd;
	base = link->base;
	/* What the former supervisor proved, we see anew. */
	link->proven = link->tls.version == 0;
	if (tcp_stats_get(fd, &stats) < 0 || link_prepare(link, NULL) < 0)
		link_close(link);
	if (!link->carries)
		link->base = base;
}

static int open_netlink(
	struct attachment *attachment, struct stored_fd *fds, size_t fd_count, struct error *err)
{
	for (size_t i = 0; i < fd_count; i++) {
		if (strcmp(fds[i].name, "netlink") != 0)
			continue;
		if (nbd_genl_adopt(&attachment->genl, fds[i].fd, NULL) == 0) {
			fds[i].fd = -1;
			return 0;
		}
	}
	return nbd_genl_open(&attachment->genl, err);
}

static int tell_driver(struct attachment *attachment, struct error *err)
{
	struct nbd_genl_reconfigure params = {
		.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = -1,
		.set_dead_conn_timeout = true,
		.dead_conn_timeout_sec = attachment_dead_conn_timeout_sec(attachment),
	};
	struct io_timeout_question question = {
		attachment->index, attachment_io_timeout_ms(attachment)};

	/* Somebody who was to detach it may have been killed half way: it must not go with the next
	 * umount (kernel fact disconnect-on-close). */
	if (block_backend_is(attachment->index, attachment->backend))
		(void)nbd_genl_disconnect_on_close(
			&attachment->genl, attachment->index, attachment->backend, false);
	/* Setting it would wait for what is in flight (queue.h), and that may be waiting for us. */
	if (job_run(compare_io_timeout, &question, QUEUE_READ_MS, NULL) == -EEXIST)
		log_message(LOG_WARNING,
			"/dev/nbd%d keeps its former --io-timeout until it is detached",
			attachment->index);
	return nbd_genl_reconfigure(&attachment->genl, &params, err);
}

/* What was asked for and cannot be had without detaching. */
static int compare_options(const struct attachment *attachment, struct error *err)
{
	const struct device_policy *policy = &attachment->policy;

	if (policy->read_only && !(attachment->flags & NBD_TFLAG_READ_ONLY)) {
		error_set(err, ERROR_BUSY, EBUSY,
			"/dev/nbd%d is attached for writing, and --read-only is asked for",
			attachment->index);
		return error_hint(err, -EBUSY,
			"detach it first, or leave --read-only out to adopt it as it is");
	}
	if (policy->connections != attachment->link_count && attachment->export_known)
		log_message(LOG_WARNING,
			"/dev/nbd%d keeps its %zu connections until it is detached, not "
			"--connections %u",
			attachment->index, attachment->link_count, policy->connections);
	if (policy->block_size_bytes && policy->block_size_bytes != attachment->block_size_bytes)
		log_message(LOG_WARNING,
			"/dev/nbd%d keeps its block size of %u bytes until it is detached",
			attachment->index, attachment->block_size_bytes);
	return 0;
}

/* Writes are lost, and its users go by that: it must not come back to life under them. */
static int refuse_failed(struct attachment *attachment, struct error *err)
{
	_cleanup_fd_ int peer_fd = -1;
	int index = attachment->index;

	/* The supervisor that marked it may not have come to this. */
	if (attachment_fail_io(attachment, &peer_fd, err) == 0)
		poll(NULL, 0, FAIL_LINGER_MS);
	error_set(err, ERROR_BUSY, EIO,
		"/dev/nbd%d has failed for good: its server was away for longer than "
		"--dead-timeout, and I/O was lost",
		index);
	return error_hint(err, -EIO,
		"unmount what is on it, then: nbd-attach detach /dev/nbd%d; and attach it anew",
		index);
}

/* The driver says so in its log when it begins to fail I/O by itself; what was marked before may be
 * lost. */
static bool log_says_failed(int index)
{
	struct kernel_log log;

	kmsg_open_past(&log, index);
	kmsg_close(&log);
	return log.io_failed;
}

static bool is_any_link_alive(const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++) {
		const struct link *link = &attachment->links[i];

		if (link->fd >= 0 ? link_is_up(link) : sock_find(&link->local, &link->peer) == 0)
			return true;
	}
	return false;
}

/* An error that the server sends, as one that ends does, looks like those of a device that has
 * failed, unless the log tells. These go on. */
static int read_device(const struct attachment *attachment, struct kernel_log *log)
{
	struct probe probe = attachment_probe(attachment);
	int64_t until_ms = monotonic_now_ms() + ERRORS_MS;
	int rc;

	while ((rc = probe_run(&probe, PROBE_MS, NULL)) == -EIO) {
		kmsg_read(log);
		if (log->error_replies || log->io_failed || monotonic_now_ms() >= until_ms)
			break;
		poll(NULL, 0, ERRORS_PAUSE_MS);
	}
	return rc;
}

/* No link is known to live. Is one alive all the same (then a read is answered), is there an outage
 * (it waits), or has the driver given up already (it fails at once)? */
static int ask_device(struct attachment *attachment, struct error *err)
{
	struct kernel_log log;
	int rc;

	if (is_any_link_alive(attachment))
		return 0;
	kmsg_open(&log, attachment->index);
	rc = read_device(attachment, &log);
	kmsg_close(&log);
	/* An error that the server sends is an answer, too; not one for another request, which a
	 * link that is dead may have brought before. */
	attachment->answers = rc == 0 || (rc == -EIO && log.error_replies > 0 && !log.io_failed);
	return rc == -EIO && !attachment->answers ? refuse_failed(attachment, err) : 0;
}

/* A link in clear that is to be one with TLS (supervisor.c) is replaced, and shut if that fails:
 * what it takes of the kernel is made sure of before. Only then, since under a root whose server is
 * away nothing can be loaded. */
static int prepare_tls(const struct attachment *attachment, struct error *err)
{
	bool in_clear = false, unknown = false;
	int rc;

	for (size_t i = 0; i < attachment->link_count; i++) {
		in_clear = in_clear || !attachment->links[i].tls.version;
		unknown = unknown || attachment->links[i].is_tls_unknown;
	}
	if (!attachment->creds || !in_clear)
		return 0;
	rc = attachment_load_modules(attachment, err);
	if (rc)
		error_prefix(err, "/dev/nbd%d is not adopted and goes on %s", attachment->index,
			unknown ? "as it is" : "in clear");
	return rc;
}

int adopt_device(struct attachment *attachment, int index, struct stored_fd *fds, size_t fd_count,
	struct error *err)
{
	int rc = open_netlink(attachment, fds, fd_count, err);

	attachment->index = index;
	attachment->adopted = attachment->configured = true;
	attachment->since_ms = -1;
	backend_id_format(&attachment->endpoint, attachment->backend);
	if (!rc) {
		state_load(attachment, index, attachment->backend);
		/* For when names cannot be resolved any more. */
		for (size_t i = 0; i < attachment->link_count; i++)
			attachment_remember_address(attachment, &attachment->links[i]);
		rc = attachment->failed || log_says_failed(index) ?
			refuse_failed(attachment, err) :
			read_kernel(attachment, index, err);
	}
	if (!rc)
		rc = compare_options(attachment, err);
	if (!rc)
		rc = prepare_tls(attachment, err);
	for (size_t i = 0; i < fd_count; i++) {
		if (!rc && fds[i].fd >= 0 && strncmp(fds[i].name, "link-", 5) == 0)
			take_link(attachment, fds[i].name + 5, fds[i].fd);
		else if (fds[i].fd >= 0)
			close(fds[i].fd);
	}
	if (!rc)
		rc = ask_device(attachment, err);
	return rc ? rc : tell_driver(attachment, err);
}
