/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/attachment.h"
#include "child/job.h"
#include "kernel/block-attr.h"
#include "modules/kernel-modules.h"
#include "nbd/nbd-protocol.h"
#include "output/report.h"
#include "tls/ktls.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The supervisor decides when to give up, since it can tell a device's users; the driver's own
 * limit is for when none is there. */
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

struct probe attachment_probe(const struct attachment *attachment)
{
	return (struct probe){
		attachment->index, attachment->block_size_bytes, attachment->link_count > 1};
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

static int load_modules(const void *argument, struct error *err)
{
	const struct attachment *attachment = argument;
	int rc = kernel_load_nbd(err);

	if (!rc && attachment->creds) {
		rc = kernel_load_tls(err);
		/* Which cipher it will be the handshake decides. One that is missing matters only
		 * if it is that one, and is named then. Once the root is away, modprobe is, too. */
		for (size_t i = 0; !rc && ktls_cipher_at(i); i++)
			kernel_load_cipher(
				ktls_cipher_at(i)->kernel_cipher, attachment->policy.root, NULL);
	}
	return rc;
}

/* By a process of its own: libkmod brings 0.5 MiB that could not be given back. */
int attachment_load_modules(const struct attachment *attachment, struct error *err)
{
	if (kernel_is_ready(attachment->creds, attachment->policy.root))
		return 0;
	return job_run(load_modules, attachment, -1, err);
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
		snprintf(how, sizeof(how), "%s",
			attachment->links[0].is_tls_unknown ? "whether encrypted is unknown" :
							      "not encrypted");
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
