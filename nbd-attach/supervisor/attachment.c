/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/attachment.h"
#include "base/run-files.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/cleanup.h"
#include "modules/kernel-modules.h"
#include "supervisor/core/backoff.h"
#include "tls/ktls.h"
#include "nbd/nbd-protocol.h"
#include "child/probe.h"
#include "device/queue.h"
#include "output/report.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Without NBD_INFO_BLOCK_SIZE a client must not send more than 32 MiB at once (NBD specification,
 * "Block size constraints"). */
#define DEFAULT_MAX_BYTES (32U << 20)

/* The supervisor decides when to give up, since it can tell a device's users; the driver's own
 * limit is for when none is there. */
#define GOING_CHECK_MS 10
#define GOING_TRIES 500
/* the driver's largest, with room for 31 partitions each (its default) */
#define INDEX_TRIED_MAX 32767
#define DRIVER_EXTRA_SEC 60
/* it counts in jiffies, in a long */
#define DRIVER_INFINITE_SEC (sizeof(long) == 8 ? 10UL * 365 * 86400 : 24UL * 86400)
#define IO_TIMEOUT_SINGLE_MS 1000
#define IO_TIMEOUT_LATE_MS 250
#define IO_TIMEOUT_SEVERAL_MS 180000

bool attachment_is_ours(struct attachment *attachment)
{
	if (block_backend_is(attachment->index, attachment->backend))
		return true;
	attachment->taken = attachment->taken || block_is_configured(attachment->index);
	return false;
}

struct negotiation_job attachment_job(
	const struct attachment *attachment, enum negotiation_kind kind, bool short_timeout)
{
	return (struct negotiation_job){
		.kind = kind,
		.endpoint = &attachment->endpoint,
		.tls = attachment->creds,
		.timeout_ms = attachment->policy.connect_timeout_ms,
		.liveness_timeout_ms = attachment->policy.liveness_timeout_ms,
		.short_timeout = short_timeout,
		.known = attachment->known,
		.verbose = attachment->verbose,
	};
}

void attachment_remember_address(struct attachment *attachment, const struct link *link)
{
	if (link->peer.ss_family == AF_UNSPEC || link->host_index >= ENDPOINT_HOSTS_MAX)
		return;
	attachment->known[link->host_index].address = link->peer;
	attachment->known[link->host_index].length = link->peer.ss_family == AF_INET ?
		sizeof(struct sockaddr_in) :
		sizeof(struct sockaddr_in6);
}

void attachment_take_link(
	struct attachment *attachment, struct link *link, struct negotiation_result *result)
{
	link_init(link, result);
	attachment_remember_address(attachment, link);
}

static int negotiate_link(struct attachment *attachment, size_t at, size_t first_host,
	struct export_geometry *export, struct error *err)
{
	struct negotiation_job job = attachment_job(attachment, NEGOTIATION_ATTACH, false);
	struct link *link = &attachment->links[at];
	struct negotiation_result result;
	int rc;

	job.first_host = first_host;
	job.only_first_host = at > 0;
	job.names = at == 0 ? &attachment->names : NULL;
	rc = negotiation_run(&job, &result, err);
	if (rc)
		return rc;
	attachment_take_link(attachment, link, &result);
	*export = result.export;
	return 0;
}

/* Nothing at boot can look up what went wrong an hour ago: each new reason is said at once, a
 * former one again after a while. */
#define BOOT_REASONS 4
#define BOOT_REPEAT_MS 30000

struct waiting {
	struct {
		char text[sizeof(((struct error *)0)->text)];
		int64_t said_ms;
	} reasons[BOOT_REASONS];
	size_t next;
	char server[80];
};

static void name_server(const struct endpoint *endpoint, char *buf, size_t size)
{
	const struct endpoint_host *host = &endpoint->hosts[0];

	if (!endpoint->host_count)
		snprintf(buf, size, "%s", endpoint->socket_path);
	else
		snprintf(buf, size, strchr(host->name, ':') ? "[%s]:%u%s" : "%s:%u%s", host->name,
			host->port, endpoint->host_count > 1 ? " and others" : "");
}

static void say_waiting(struct waiting *waiting, const struct attachment *attachment, int index,
	const struct error *err)
{
	int64_t now_ms = monotonic_now_ms();
	size_t i;

	for (i = 0; i < BOOT_REASONS; i++)
		if (strcmp(waiting->reasons[i].text, err->text) == 0)
			break;
	if (i < BOOT_REASONS &&
		(!attachment->policy.at_boot ||
			now_ms - waiting->reasons[i].said_ms < BOOT_REPEAT_MS))
		return;
	if (i == BOOT_REASONS)
		i = waiting->next++ % BOOT_REASONS;
	memcpy(waiting->reasons[i].text, err->text, sizeof(err->text));
	waiting->reasons[i].said_ms = now_ms;
	if (!attachment->policy.at_boot)
		fprintf(stderr, "nbd-attach: waiting for the server: %s\n", err->text);
	else
		fprintf(stderr, "nbd-attach: nbd%d: waiting for %s: %s\n", index, waiting->server,
			err->text);
}

/* May another attempt do better? At boot somebody may fix the server, its certificate or its clock
 * meanwhile. */
static bool is_retryable(const struct attachment *attachment, const struct error *err)
{
	return attachment->policy.at_boot ? !error_kind_is_lasting(err->kind) : err->retry;
}

/* Negotiate the first link, again and again for --wait while a later attempt may do better. */
static int negotiate_first(struct attachment *attachment, int index, struct error *err)
{
	int64_t start_ms = monotonic_now_ms(), wait_ms = attachment->policy.wait_sec * 1000;
	size_t host_count = attachment->endpoint.host_count;
	struct waiting waiting = {0};
	int rc;

	name_server(&attachment->endpoint, waiting.server, sizeof(waiting.server));
	for (size_t first = 0;; first++) {
		int64_t elapsed_ms;

		rc = negotiate_link(attachment, 0, first, &attachment->export, err);
		/* connected to and of no use: it is the next one's turn */
		if (rc && first + 1 < host_count) {
			fprintf(stderr, "nbd-attach: %s; trying the next host\n", err->text);
			continue;
		}
		elapsed_ms = monotonic_now_ms() - start_ms;
		if (!rc || !is_retryable(attachment, err) ||
			(wait_ms >= 0 && elapsed_ms >= wait_ms))
			return rc;
		say_waiting(&waiting, attachment, index, err);
		poll(NULL, 0, (int)backoff_delay_ms(elapsed_ms, random_for_jitter()));
	}
}

static int refuse_connections(struct attachment *attachment, struct error *err)
{
	error_set(err, ERROR_SERVER, EOPNOTSUPP,
		"--connections %u: the server does not allow several connections to this export "
		"(no NBD_FLAG_CAN_MULTI_CONN)",
		attachment->policy.connections);
	return error_hint(err, -EOPNOTSUPP,
		"leave --connections out: one connection works with every server");
}

static int negotiate(struct attachment *attachment, int index, struct error *err)
{
	struct export_geometry export;
	int rc = negotiate_first(attachment, index, err);

	if (rc)
		return rc;
	attachment->link_count = 1;
	attachment->export_known = true;
	if (attachment->policy.connections > 1 &&
		!(attachment->export.flags & NBD_TFLAG_CAN_MULTI_CONN))
		return refuse_connections(attachment, err);
	while (attachment->link_count < attachment->policy.connections) {
		rc = negotiate_link(attachment, attachment->link_count,
			attachment->links[0].host_index, &export, err);
		if (rc)
			return rc;
		attachment->link_count++;
		rc = export_info_compare(&attachment->export, &export, err);
		if (rc) {
			error_prefix(err, "connection %zu got another offer than the first",
				attachment->link_count);
			return rc;
		}
	}
	return 0;
}

static int choose_geometry(struct attachment *attachment, struct error *err)
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

uint64_t attachment_dead_conn_timeout_sec(const struct attachment *attachment)
{
	int64_t sec = attachment->policy.dead_timeout_sec;

	return sec == POLICY_INFINITE_SEC ||
			(uint64_t)sec > DRIVER_INFINITE_SEC - DRIVER_EXTRA_SEC ?
		DRIVER_INFINITE_SEC :
		(uint64_t)sec + DRIVER_EXTRA_SEC;
}

/* With one connection the driver's timer closes no link: it sends the request again if its link has
 * been replaced. With several it closes the link, so there it must not be short
 * (kernel fact stuck-request). The block layer's timers run out on whole seconds of its own clock:
 * a bit less than N seconds keeps one that was begun late from being N + 1. */
int attachment_io_timeout_ms(const struct attachment *attachment)
{
	int override_ms = attachment->policy.io_timeout_ms;

	if (attachment->link_count > 1)
		return override_ms ? override_ms : IO_TIMEOUT_SEVERAL_MS;
	override_ms = override_ms ? override_ms : IO_TIMEOUT_SINGLE_MS;
	/* a fraction was meant as it stands */
	return override_ms % 1000 ? override_ms : override_ms - IO_TIMEOUT_LATE_MS;
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
	return rc;
}

static int connect_single(struct attachment *attachment, int index, bool renewed, struct error *err)
{
	_cleanup_fd_ int all = control_lock_all();
	int rc = attachment_check_single(attachment, index, err);

	(void)all;
	return rc ? rc : connect_device(attachment, index, renewed, err);
}

static int configure(struct attachment *attachment, int index, struct error *err)
{
	int timeout_ms = attachment->policy.connect_timeout_ms, rc = 0;
	bool renewed = queue_has_stale_zeroes(index, attachment->flags);

	if (renewed)
		rc = renew_device(attachment, index, err);
	/* before udev's first look at the device can send a large request */
	if (!rc && block_exists(index))
		rc = set_queue(attachment, index, err);
	if (!rc)
		rc = connect_single(attachment, index, renewed, err);
	if (rc)
		return rc;
	attachment->configured = true;
	for (size_t i = 0; i < attachment->link_count; i++)
		attachment->links[i].carries = true; /* CONNECT takes each of them */
	attachment->since = time(NULL);
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
			rc = configure(attachment, index, err);
		}
		if (rc != -EBUSY || attachment->configured || attachment->duplicate)
			return rc;
		control_close(control); /* somebody was faster: the next one */
	}
	return error_set(err, ERROR_BUSY, EBUSY, "every nbd device is in use");
}

/* Two that write to one disk destroy it: each keeps what it has read. One who reads beside a writer
 * sees stale data, and nothing worse. */
int attachment_check_single(struct attachment *attachment, int index, struct error *err)
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
			fprintf(stderr,
				"nbd-attach: /dev/nbd%d is attached to the same export%s: the "
				"one that only reads may see stale data\n",
				indices[i], writes ? ", read-only" : ", for writing");
	}
	return 0;
}

struct probe attachment_probe(const struct attachment *attachment)
{
	return (struct probe){
		attachment->index, attachment->block_size_bytes, attachment->link_count > 1};
}

/* The read also makes the kernel look for partitions, as any first opening of the device does. */
static int prove(struct attachment *attachment, struct error *err)
{
	struct probe probe = attachment_probe(attachment);
	bool any = false;
	int rc = probe_run(&probe, attachment->policy.connect_timeout_ms, err);

	for (size_t i = 0; rc == 0 && i < attachment->link_count; i++) {
		rc = link_prove(&attachment->links[i], err);
		any = any || attachment->links[i].proven;
	}
	if (!rc && !any)
		rc = error_set(err, ERROR_KERNEL, EPROTO,
			"a read through /dev/nbd%d moved no TLS record: encryption is not proven",
			attachment->index);
	return rc;
}

int attachment_check_offer(const struct attachment *attachment, const struct export_geometry *offer,
	bool *grown, struct error *err)
{
	struct export_geometry before = attachment->export_known ? attachment->export : *offer;

	before.size_bytes = attachment->export.size_bytes;
	*grown = offer->has_size && before.has_size && offer->size_bytes > before.size_bytes;
	if (*grown)
		before.size_bytes = offer->size_bytes;
	return export_info_compare(&before, offer, err);
}

int attachment_load_modules(const struct attachment *attachment, struct error *err)
{
	int rc = kernel_load_nbd(err);

	if (!rc && attachment->creds) {
		rc = kernel_load_tls(err);
		/* Which cipher it will be the handshake decides. One that is missing matters only
		 * if it is that one, and is named then. */
		for (size_t i = 0; !rc && ktls_cipher_at(i); i++)
			kernel_load_cipher(ktls_cipher_at(i)->kernel_cipher, NULL);
	}
	return rc;
}

int attachment_open(
	struct attachment *attachment, int index, struct control *control, struct error *err)
{
	struct error ignored;
	int rc = attachment_load_modules(attachment, err);

	attachment->index = -1;
	if (!rc)
		rc = nbd_genl_open(&attachment->genl, err);
	/* without the lock: it was so when we came */
	if (!rc && index >= 0 && (control->lock_fd < 0 || block_is_configured(index))) {
		rc = error_set(err, ERROR_BUSY, EBUSY, "/dev/nbd%d is attached already", index);
		error_hint(err, rc,
			"see to what: nbd-attach status; or let \"auto\" choose a free device");
	}
	if (!rc)
		rc = negotiate(attachment, index, err);
	if (!rc)
		rc = choose_geometry(attachment, err);
	if (!rc && backend_id_format(&attachment->endpoint, attachment->backend) < 0)
		rc = error_set(err, ERROR_OTHER, EIO, "GnuTLS cannot hash");
	if (!rc)
		rc = index < 0 ? configure_any(attachment, control, err) :
				 configure(attachment, index, err);
	if (!rc)
		rc = prove(attachment, err);
	if (rc) {
		if (attachment->configured)
			nbd_genl_disconnect_own(&attachment->genl, attachment->index,
				attachment->backend, &ignored);
		attachment->configured = false; /* it may be somebody else's any moment */
		attachment_close(attachment);
	}
	return rc;
}

/* What waits for a link is woken by this socket and sent over it, which fails since the other end
 * is shut for reading; and there is no time left to wait for another. The other end stays open:
 * were it closed, the driver might hear that first, and what waits would not be woken at all. What
 * waits for its timer follows when that runs out (kernel fact request-never-fails). */
int attachment_fail_io(struct attachment *attachment, int *peer_fd, struct error *err)
{
	struct nbd_genl_reconfigure params = {.index = attachment->index,
		.backend_identifier = attachment->backend,
		.set_dead_conn_timeout = true};
	int pair[2], rc;

	*peer_fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_OTHER, errno, "socketpair: %s", strerror(errno));
	shutdown(pair[1], SHUT_RD);
	params.fd = pair[0];
	rc = nbd_genl_reconfigure(&attachment->genl, &params, err);
	close(pair[0]);
	*peer_fd = pair[1];
	return rc;
}

void attachment_describe(const struct attachment *attachment, char *buf, size_t size)
{
	const struct tls_info *tls = &attachment->links[0].tls;
	char size_text[32], uri[300], how[160];

	report_format_size(attachment->export.size_bytes, size_text, sizeof(size_text));
	endpoint_format(&attachment->endpoint, attachment->creds, uri, sizeof(uri));
	if (tls->version)
		snprintf(how, sizeof(how), "TLS %s %s by the kernel, server verified by %s",
			tls_version_name(tls->version), tls->cipher, tls->authentication);
	else
		snprintf(how, sizeof(how), "not encrypted");
	snprintf(buf, size, "/dev/nbd%d %s %s: %s%s, %s", attachment->index,
		attachment->adopted ? "was adopted; it is attached to" : "is attached to", uri,
		size_text, attachment->flags & NBD_TFLAG_READ_ONLY ? " read-only" : "", how);
}

void attachment_close(struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++)
		link_close(&attachment->links[i]);
	attachment->link_count = 0;
	nbd_genl_close(&attachment->genl);
}
