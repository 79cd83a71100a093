/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/link.h"
#include "base/clock.h"
#include "tls/ktls.h"
#include "net/tcp-stats.h"
#include "modules/kernel-faults.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Of records that hold no more than the driver reads at once (kernel fact whole-record-only). It is
 * not the negotiator's to set: a hostile one would, on a kernel that does it wrong, too. */
static void spare_a_copy(const struct link *link)
{
	struct kernel_version kernel = kernel_version_running();

	if (link->tls.version == TLS_VERSION_1_3 && kernel_is_mended(&kernel, "CVE-2026-74611"))
		ktls_expect_no_padding(link->fd);
}

void link_init(struct link *link, struct negotiation_result *result)
{
	socklen_t len = sizeof(link->local);

	*link = (struct link){.fd = result->fd,
		.tls = result->tls,
		.proven = result->tls.version == 0,
		.since_ms = boot_now_ms(),
		.host_index = result->host_index,
		.size_bytes = result->export.size_bytes};
	result->fd = -1;
	memcpy(link->address, result->address, sizeof(link->address));
	if (getsockname(link->fd, (struct sockaddr *)&link->local, &len) < 0 ||
		(link->local.ss_family != AF_INET && link->local.ss_family != AF_INET6))
		link->local.ss_family = AF_UNSPEC;
	len = sizeof(link->peer);
	if (!link_is_tcp(link) || getpeername(link->fd, (struct sockaddr *)&link->peer, &len) < 0)
		link->peer.ss_family = AF_UNSPEC;
	spare_a_copy(link);
}

bool link_is_tcp(const struct link *link)
{
	return link->local.ss_family != AF_UNSPEC;
}

int link_unread_bytes(const struct link *link)
{
	int unread_bytes = 0;

	return link->fd < 0 || ioctl(link->fd, FIONREAD, &unread_bytes) < 0 ? 0 : unread_bytes;
}

int link_sample(const struct link *link, struct link_sample *sample)
{
	struct tcp_stats stats;

	memset(sample, 0, sizeof(*sample));
	if (link->fd < 0)
		return -EBADF;
	if (tcp_stats_get(link->fd, &stats) == 0) {
		sample->sent_bytes = stats.sent_bytes;
		sample->received_bytes = stats.received_bytes;
		sample->owed = !stats.answered;
		sample->lost_ms = stats.lost_ms;
	}
	return link->tls.version ?
		ktls_record_numbers(link->fd, &sample->transmitted, &sample->received) :
		0;
}

int link_prepare(struct link *link, struct error *err)
{
	int flags = fcntl(link->fd, F_GETFL);
	struct link_sample sample;

	/* The driver's threads block on purpose; a non-blocking socket would give them EAGAIN. */
	if (flags < 0 || fcntl(link->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return error_set(err, ERROR_OTHER, errno, "fcntl: %s", strerror(errno));
	if (link_sample(link, &sample) < 0)
		return error_set(err, ERROR_KERNEL, EIO,
			"the kernel does not tell the link's record numbers");
	link->base.sent_bytes = sample.sent_bytes;
	link->base.received_bytes = sample.received_bytes;
	link->base.transmitted = sample.transmitted;
	link->base.received = sample.received;
	return 0;
}

static bool has_encrypted(const struct link *link, const struct link_sample *now)
{
	return now->transmitted > link->base.transmitted && now->received > link->base.received;
}

bool link_has_moved(const struct link *link)
{
	struct link_sample now;

	if (link_sample(link, &now) < 0)
		return false;
	if (link->tls.version)
		return has_encrypted(link, &now);
	return now.sent_bytes > link->base.sent_bytes &&
		now.received_bytes > link->base.received_bytes;
}

int link_prove(struct link *link, struct error *err)
{
	struct link_sample now;

	if (link->proven || link->fd < 0)
		return 0;
	if (link_sample(link, &now) < 0)
		return error_set(err, ERROR_KERNEL, EIO,
			"the kernel does not tell the link's record numbers");
	link->proven = has_encrypted(link, &now);
	if (link->proven || now.sent_bytes <= link->base.sent_bytes ||
		now.transmitted > link->base.transmitted)
		return 0;
	link_shut(link);
	error_set(err, ERROR_KERNEL, EPROTO,
		"the kernel sent data on a TLS link without encrypting it: the link to %s was shut",
		link->address);
	return error_hint(
		err, -EPROTO, "do not use this kernel's nbd driver with TLS, and report this");
}

bool link_was_used(const struct link *link)
{
	struct link_sample now;

	return !link_is_tcp(link) || link_sample(link, &now) < 0 ||
		now.sent_bytes > link->base.sent_bytes;
}

bool link_is_up(const struct link *link)
{
	struct pollfd pfd = {.fd = link->fd, .events = POLLRDHUP};

	return link->fd >= 0 && poll(&pfd, 1, 0) >= 0 &&
		!(pfd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

uint64_t link_record_limit(const struct link *link, uint64_t override)
{
	const struct ktls_cipher *cipher =
		link->tls.version ? ktls_cipher_find(link->tls.kernel_cipher) : NULL;

	if (!cipher)
		return 0;
	return override && (!cipher->record_limit || override < cipher->record_limit) ?
		override :
		cipher->record_limit;
}

void link_shut(const struct link *link)
{
	shutdown(link->fd, SHUT_RDWR);
}

void link_close(struct link *link)
{
	static const struct linger none = {0};

	if (link->fd >= 0) {
		/* Also one that a former supervisor left, or that the negotiator's process had its
		 * hands on. */
		setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(link->fd);
	}
	link->fd = -1;
}
