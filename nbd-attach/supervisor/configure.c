/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/configure.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/run-files.h"
#include "device/queue.h"
#include "kernel/block-attr.h"
#include "modules/kernel-faults.h"
#include "nbd/nbd-protocol.h"
#include "output/show.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Without NBD_INFO_BLOCK_SIZE a client must not send more than 32 MiB at once (NBD specification,
 * "Block size constraints"). */
#define DEFAULT_MAX_BYTES (32U << 20)
#define GOING_CHECK_MS 10
#define GOING_TRIES 500
/* the driver's largest, with room for 31 partitions each (its default) */
#define INDEX_TRIED_MAX 32767

int configure_choose_geometry(struct attachment *attachment, struct error *err)
{
	int rc = export_info_choose_block_size(&attachment->export,
		attachment->policy.block_size_bytes, &attachment->block_size_bytes, err);

	if (!rc)
		rc = export_info_check_attachable(
			&attachment->export, attachment->block_size_bytes, err);
	attachment->flags = attachment->export.flags;
	if (attachment->policy.read_only)
		attachment->flags |= NBD_TFLAG_READ_ONLY;
	return rc;
}

/* The driver knows nothing of the server's maximum, so the queue keeps it. A former attachment's
 * limit may still stand there. */
static int limit_requests(const struct attachment *attachment, int index, struct error *err)
{
	return queue_limit_requests(index,
		attachment->export.has_block_size ? attachment->export.block_max_bytes :
						    DEFAULT_MAX_BYTES,
		attachment->policy.connect_timeout_ms, err);
}

/* What a new device needs before anybody may use it. */
static int set_queue(const struct attachment *attachment, int index, struct error *err)
{
	int timeout_ms = attachment->policy.connect_timeout_ms,
	    rc = limit_requests(attachment, index, err);

	if (!rc)
		rc = queue_set_scheduler_none(index, timeout_ms, err);
	return rc ? rc : queue_set_iostats(index, timeout_ms, err);
}

/* A limit that nothing can set any more (kernel fact limits-outlive) goes with the device itself:
 * configured for nothing, and removed with that. */
static int renew_device(struct attachment *attachment, int index, struct error *err)
{
	int fds[2], until_ms = attachment->policy.connect_timeout_ms, rc;
	struct nbd_genl_connect params = {
		.index = index,
		.block_size_bytes = 512,
		.server_flags = NBD_TFLAG_HAS_FLAGS,
		.backend_identifier = "",
		.fds = fds,
		.fd_count = 1,
		.remove_after = true,
	};

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set(err, ERROR_OTHER, errno, "socketpair: %s", strerror(errno));
	rc = nbd_genl_connect(&attachment->genl, &params, &params.index, err);
	if (!rc)
		rc = nbd_genl_disconnect(&attachment->genl, index, err);
	close(fds[0]);
	close(fds[1]);
	for (; !rc && block_exists(index) && until_ms > 0; until_ms -= GOING_CHECK_MS)
		poll(NULL, 0, GOING_CHECK_MS);
	if (!rc && block_exists(index)) /* somebody holds it open */
		rc = queue_check_offer(
			index, attachment->flags, attachment->policy.connect_timeout_ms, err);
	return rc;
}

/* The driver gives one number for whatever it does not like. */
static int explain_refusal(int rc, struct error *err)
{
	struct utsname kernel;

	if (rc != -EINVAL || uname(&kernel) < 0 || !kernel_is_red_hats(kernel.release))
		return rc;
	return error_hint(err, rc,
		"this is Red Hat's kernel (%s), whose nbd driver is known to refuse TCP and take "
		"Unix sockets only (dmesg | tail has its own words): boot another, as kernel-ml or "
		"kernel-lt of ELRepo",
		kernel.release);
}

static int connect_device(struct attachment *attachment, int index, bool renewed, struct error *err)
{
	int fds[LINKS_MAX];
	struct nbd_genl_connect params = {
		.index = index,
		.size_bytes = attachment->export.size_bytes,
		.block_size_bytes = attachment->block_size_bytes,
		.server_flags = attachment->flags,
		.dead_conn_timeout_sec = attachment_dead_conn_timeout_sec(attachment),
		.backend_identifier = attachment->backend,
		.fds = fds,
		.fd_count = attachment->link_count,
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < attachment->link_count; i++) {
		fds[i] = attachment->links[i].fd;
		rc = link_prepare(&attachment->links[i], err);
	}
	if (!rc)
		rc = nbd_genl_connect(&attachment->genl, &params, &attachment->index, err);
	/* The driver forgets an index some time after its device has gone from sysfs. */
	for (int left = GOING_TRIES; rc == -EINVAL && renewed && left > 0; left--) {
		poll(NULL, 0, GOING_CHECK_MS);
		rc = nbd_genl_connect(&attachment->genl, &params, &attachment->index, err);
	}
	return *attachment->endpoint.socket_path ? rc : explain_refusal(rc, err);
}

static int connect_single(struct attachment *attachment, int index, bool renewed, struct error *err)
{
	_cleanup_fd_ int all = control_lock_all();
	int rc = configure_check_single(attachment, index, err);

	(void)all;
	return rc ? rc : connect_device(attachment, index, renewed, err);
}

static int configure_index(struct attachment *attachment, int index, struct error *err)
{
	int timeout_ms = attachment->policy.connect_timeout_ms, rc = 0;
	bool renewed = queue_has_stale_zeroes(index, attachment->flags);

	if (renewed)
		rc = renew_device(attachment, index, err);
	/* before udev's first look at the device can send a large request */
	if (!rc && block_exists(index))
		rc = set_queue(attachment, index, err);
	(void)block_io_read(index, &attachment->io_before); /* of no device yet: 0 */
	attachment->io_known = true;
	if (!rc)
		rc = connect_single(attachment, index, renewed, err);
	if (rc)
		return rc;
	attachment->configured = true;
	for (size_t i = 0; i < attachment->link_count; i++)
		attachment->links[i].carries = true; /* CONNECT takes each of them */
	attachment->since_ms = boot_now_ms();
	rc = queue_set_io_timeout(
		attachment->index, attachment_io_timeout_ms(attachment), timeout_ms, err);
	if (!rc)
		rc = set_queue(attachment, attachment->index, err);
	return rc ? rc : queue_check_offer(attachment->index, attachment->flags, timeout_ms, err);
}

/* For "auto": the lowest device that nobody uses, and its lock first, so that no other supervisor
 * takes it for its own. */
static int configure_any(struct attachment *attachment, struct control *control, struct error *err)
{
	for (int index = 0; index <= INDEX_TRIED_MAX; index++) {
		int rc;

		if (block_is_configured(index) || queue_has_stale_zeroes(index, attachment->flags))
			continue;
		rc = control_open(control, index, err);
		if (rc == -EBUSY)
			continue;
		if (!rc) {
			control_close_on_signals(index);
			/* of a former attachment: udev's rules take it for this one's readiness */
			run_file_remove(index, "state");
			rc = configure_index(attachment, index, err);
		}
		if (rc != -EBUSY || attachment->configured || attachment->duplicate)
			return rc;
		control_close(control); /* somebody was faster: the next one */
	}
	return error_set(err, ERROR_BUSY, EBUSY, "every nbd device is in use");
}

/* Two that write to one disk destroy it: each keeps what it has read. One who reads beside a writer
 * sees stale data, and nothing worse. */
int configure_check_single(struct attachment *attachment, int index, struct error *err)
{
	bool writes = !(attachment->flags & NBD_TFLAG_READ_ONLY);
	_cleanup_free_ int *indices = NULL;
	size_t count = 0;

	if (attachment->policy.shared || block_list_devices(&indices, &count) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t read_only = 0;
		char backend[128];

		if (indices[i] == index || !block_is_configured(indices[i]) ||
			block_attr_read(indices[i], "backend", backend, sizeof(backend)) < 0 ||
			strcmp(backend, attachment->backend) != 0 ||
			block_attr_read_u64(indices[i], "ro", &read_only) < 0)
			continue;
		if (writes && !read_only) {
			attachment->duplicate = true;
			error_set(err, ERROR_BUSY, EBUSY,
				"/dev/nbd%d is attached to the same export, for writing: two "
				"writers destroy what is on it",
				indices[i]);
			return error_hint(err, -EBUSY,
				"use /dev/nbd%d; or attach this one with --read-only; or with "
				"--shared, if what is on it is made for several writers",
				indices[i]);
		}
		if (writes || !read_only)
			show_note("/dev/nbd%d is attached to the same export%s: the one that only "
				  "reads may see stale data",
				indices[i], writes ? ", read-only" : ", for writing");
	}
	return 0;
}

int configure_device(
	struct attachment *attachment, int index, struct control *control, struct error *err)
{
	return index < 0 ? configure_any(attachment, control, err) :
			   configure_index(attachment, index, err);
}
