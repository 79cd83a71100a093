/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "attachment.h"
#include "cleanup.h"
#include "kernel-modules.h"
#include "ktls.h"
#include "nbd-protocol.h"
#include "report.h"
#include "sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Without NBD_INFO_BLOCK_SIZE a client must not send more than 32 MiB at once (NBD specification, "Block size constraints"). */
#define DEFAULT_MAX_BYTES (32U << 20)
#define SENSIBLE_MAX_KIB 1280U /* the block layer's own default */

static int negotiate_link(struct attachment *attachment, struct link *link, struct export_info *export, struct error *err)
{
	struct attempt_job job = {
		.kind = ATTEMPT_ATTACH,
		.target = &attachment->target,
		.tls = attachment->creds,
		.timeout_ms = attachment->options.connect_timeout_ms,
		.verbose = attachment->options.verbose,
	};
	struct attempt_result *result = calloc(1, sizeof(*result)); /* several export names: large */
	int rc = result ? attempt_run(&job, result, err) : error_set(err, ERROR_OTHER, ENOMEM, "out of memory");

	if (!rc) {
		*link = (struct link){.fd = result->fd, .tls = result->tls, .proven = result->tls.version == 0};
		memcpy(link->address, result->address, sizeof(link->address));
		*export = result->export;
	}
	free(result);
	return rc;
}

static int refuse_connections(struct attachment *attachment, struct error *err)
{
	error_set(err, ERROR_SERVER, EOPNOTSUPP, "--connections %u: the server does not allow several connections to this export (no NBD_FLAG_CAN_MULTI_CONN)",
		attachment->options.connections);
	return error_hint(err, -EOPNOTSUPP, "leave --connections out: one connection works with every server");
}

static int negotiate(struct attachment *attachment, struct error *err)
{
	struct export_info export;
	int rc = negotiate_link(attachment, &attachment->links[0], &attachment->export, err);

	if (rc)
		return rc;
	attachment->link_count = 1;
	if (attachment->options.connections > 1 && !(attachment->export.flags & NBD_TFLAG_CAN_MULTI_CONN))
		return refuse_connections(attachment, err);
	while (attachment->link_count < attachment->options.connections) {
		rc = negotiate_link(attachment, &attachment->links[attachment->link_count], &export, err);
		if (rc)
			return rc;
		attachment->link_count++;
		rc = export_info_compare(&attachment->export, &export, err);
		if (rc) {
			error_prefix(err, "connection %zu got another offer than the first", attachment->link_count);
			return rc;
		}
	}
	return 0;
}

static int choose_geometry(struct attachment *attachment, struct error *err)
{
	int rc = export_info_choose_block_size(&attachment->export, attachment->options.block_size_bytes, &attachment->block_size_bytes, err);

	if (!rc)
		rc = export_info_check_attachable(&attachment->export, attachment->block_size_bytes, err);
	attachment->flags = attachment->export.flags;
	if (attachment->options.read_only)
		attachment->flags |= NBD_TFLAG_READ_ONLY;
	return rc;
}

/* The driver knows nothing of the server's maximum, so the queue keeps it. A former attachment's limit may still stand there. */
static int limit_request_size(const struct attachment *attachment, int index, struct error *err)
{
	uint32_t max_bytes = attachment->export.has_block_size ? attachment->export.block_max_bytes : DEFAULT_MAX_BYTES;
	uint64_t max_kib = max_bytes / 1024, now_kib = 0;
	char text[24];

	if (max_kib > SENSIBLE_MAX_KIB)
		max_kib = SENSIBLE_MAX_KIB;
	if (max_kib < 4) {
		error_set(err, ERROR_SERVER, EINVAL, "the server takes at most %u bytes at once, less than a page", max_bytes);
		return error_hint(err, -EINVAL, "raise the server's maximum block size to at least 4096");
	}
	snprintf(text, sizeof(text), "%" PRIu64, max_kib);
	sysfs_write(index, "queue/max_sectors_kb", text); /* what it came to is what counts */
	if (sysfs_read_u64(index, "queue/max_sectors_kb", &now_kib) < 0 || now_kib > max_kib)
		return error_set(err, ERROR_KERNEL, EIO, "/sys/block/nbd%d/queue/max_sectors_kb cannot be set to the server's maximum of %s KiB (it is %" PRIu64 ")",
			index, text, now_kib);
	return 0;
}

static void remember_baseline(struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++) {
		struct link *link = &attachment->links[i];
		struct tcp_stats stats;

		if (link->tls.version && tcp_stats_get(link->fd, &stats) == 0)
			link->base_sent_bytes = stats.sent_bytes;
		if (link->tls.version)
			ktls_record_numbers(link->fd, &link->base_transmitted, &link->base_received);
	}
}

static int configure(struct attachment *attachment, int index, struct error *err)
{
	int fds[CONNECTIONS_MAX];
	struct nbd_genl_connect params = {
		.index = index,
		.size_bytes = attachment->export.size_bytes,
		.block_size_bytes = attachment->block_size_bytes,
		.server_flags = attachment->flags,
		.backend_identifier = attachment->backend,
		.fds = fds,
		.fd_count = attachment->link_count,
	};
	int rc = backend_id_format(&attachment->target, attachment->backend);

	if (rc)
		return error_set(err, ERROR_OTHER, -rc, "GnuTLS cannot hash");
	for (size_t i = 0; i < attachment->link_count; i++) {
		int flags = fcntl(attachment->links[i].fd, F_GETFL);

		fds[i] = attachment->links[i].fd;
		/* The driver's threads block on purpose; a non-blocking socket would give them EAGAIN. */
		if (flags < 0 || fcntl(fds[i], F_SETFL, flags & ~O_NONBLOCK) < 0)
			return error_set(err, ERROR_OTHER, errno, "fcntl: %s", strerror(errno));
	}
	if (index >= 0 && sysfs_device_exists(index)) /* before udev's first look at the device can send a large request */
		rc = limit_request_size(attachment, index, err);
	remember_baseline(attachment);
	if (!rc)
		rc = nbd_genl_connect(&attachment->genl, &params, &attachment->index, err);
	if (rc)
		return rc;
	attachment->configured = true;
	attachment->since = time(NULL);
	return limit_request_size(attachment, attachment->index, err);
}

/* One direct read; opening the device is also what makes the kernel look for partitions. */
static int read_first_block(const struct attachment *attachment, struct error *err)
{
	_cleanup_free_ void *block = NULL;
	_cleanup_fd_ int fd = -1;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/dev/nbd%d", attachment->index);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_KERNEL, errno, "cannot open %s: %s", path, strerror(errno));
	if (posix_memalign(&block, 4096, 4096))
		return error_set(err, ERROR_OTHER, ENOMEM, "out of memory");
	n = pread(fd, block, attachment->block_size_bytes, 0);
	if (n == (ssize_t)attachment->block_size_bytes)
		return 0;
	error_set(err, ERROR_SERVER, n < 0 ? errno : EIO, "the first read through %s failed: %s", path, n < 0 ? strerror(errno) : "short read");
	return error_hint(err, n < 0 ? -errno : -EIO, "the kernel log says more: dmesg | tail");
}

/* The driver maps CPUs to connections, so a read from each CPU uses each link that has a CPU at all. */
static int read_on_every_cpu(const struct attachment *attachment, struct error *err)
{
	cpu_set_t all, one;
	int rc = 0;

	if (attachment->link_count < 2 || sched_getaffinity(0, sizeof(all), &all) < 0)
		return read_first_block(attachment, err);
	for (int cpu = 0; rc == 0 && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		rc = read_first_block(attachment, err);
	}
	sched_setaffinity(0, sizeof(all), &all);
	return rc;
}

int attachment_prove_link(struct link *link, struct error *err)
{
	uint64_t transmitted, received;
	struct tcp_stats stats;
	int rc;

	if (link->proven || link->dead)
		return 0;
	rc = ktls_record_numbers(link->fd, &transmitted, &received);
	if (rc || tcp_stats_get(link->fd, &stats) < 0)
		return error_set(err, ERROR_KERNEL, EIO, "the kernel does not tell the link's record numbers");
	link->proven = transmitted > link->base_transmitted && received > link->base_received;
	if (link->proven || stats.sent_bytes <= link->base_sent_bytes || transmitted > link->base_transmitted)
		return 0;
	shutdown(link->fd, SHUT_RDWR);
	link->dead = true;
	error_set(err, ERROR_KERNEL, EPROTO, "the kernel sent data on a TLS link without encrypting it: the link to %s was shut", link->address);
	return error_hint(err, -EPROTO, "do not use this kernel's nbd driver with TLS, and report this");
}

bool attachment_is_proven(const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++)
		if (!attachment->links[i].proven && !attachment->links[i].dead)
			return false;
	return true;
}

static int prove(struct attachment *attachment, struct error *err)
{
	bool any = false;
	int rc = read_on_every_cpu(attachment, err);

	for (size_t i = 0; rc == 0 && i < attachment->link_count; i++) {
		rc = attachment_prove_link(&attachment->links[i], err);
		any = any || attachment->links[i].proven;
	}
	if (!rc && !any)
		rc = error_set(err, ERROR_KERNEL, EPROTO, "a read through /dev/nbd%d moved no TLS record: encryption is not proven", attachment->index);
	return rc;
}

static int load_modules(const struct attachment *attachment, struct error *err)
{
	int rc = kernel_load_nbd(err);

	if (!rc && attachment->creds) {
		rc = kernel_load_tls(err);
		/* Which cipher it will be the handshake decides. One that is missing matters only if it is that one, and is named then. */
		for (size_t i = 0; !rc && ktls_cipher_at(i); i++)
			kernel_load_cipher(ktls_cipher_at(i)->kernel_cipher, NULL);
	}
	return rc;
}

int attachment_open(struct attachment *attachment, int index, struct error *err)
{
	struct error ignored;
	int rc = load_modules(attachment, err);

	attachment->index = -1;
	if (!rc)
		rc = nbd_genl_open(&attachment->genl, err);
	if (!rc && index >= 0 && sysfs_device_configured(index)) {
		rc = error_set(err, ERROR_BUSY, EBUSY, "/dev/nbd%d is attached already", index);
		error_hint(err, rc, "see to what: nbd-attach status; or let \"auto\" choose a free device");
	}
	if (!rc)
		rc = negotiate(attachment, err);
	if (!rc)
		rc = choose_geometry(attachment, err);
	if (!rc)
		rc = configure(attachment, index, err);
	if (!rc)
		rc = prove(attachment, err);
	if (rc) {
		if (attachment->configured)
			nbd_genl_disconnect(&attachment->genl, attachment->index, &ignored);
		attachment_close(attachment);
	}
	return rc;
}

void attachment_describe(const struct attachment *attachment, char *buf, size_t size)
{
	const struct tls_info *tls = &attachment->links[0].tls;
	char size_text[32], target[300], how[160];

	report_format_size(attachment->export.size_bytes, size_text, sizeof(size_text));
	target_format(&attachment->target, target, sizeof(target));
	if (tls->version)
		snprintf(how, sizeof(how), "TLS 1.%d %s by the kernel, server verified by %s", tls->version - 10, tls->cipher, tls->authentication);
	else
		snprintf(how, sizeof(how), "not encrypted");
	snprintf(buf, size, "/dev/nbd%d is attached to %s: %s%s, %s", attachment->index, target, size_text,
		attachment->flags & NBD_TFLAG_READ_ONLY ? " read-only" : "", how);
}

void attachment_close(struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++)
		if (attachment->links[i].fd >= 0)
			close(attachment->links[i].fd);
	attachment->link_count = 0;
	nbd_genl_close(&attachment->genl);
}
