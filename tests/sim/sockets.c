/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What connections tell of themselves, by a descriptor or by an address. */
#include "net/sock-destroy.h"
#include "net/tcp-stats.h"
#include "sim.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct sim_socket *socket_of(int fd)
{
	int id;

	return sim_kind_of(fd, &id) == SIM_SOCKET ? &sim_sockets[id] : NULL;
}

int tcp_stats_get(int fd, struct tcp_stats *stats)
{
	const struct sim_socket *s = socket_of(fd);

	memset(stats, 0, sizeof(*stats));
	if (!s || sim_config.is_unix)
		return -EOPNOTSUPP;
	stats->sent_bytes = s->sent_bytes;
	stats->received_bytes = s->received_bytes;
	stats->established = !s->is_reset && !s->is_shut;
	/* within a tick of the kernel the order is not known (kernel fact unseen-requests) */
	stats->answered =
		s->last_received_ms + 4 >= s->last_sent_ms && s->unacknowledged_since_ms < 0;
	stats->lost_ms =
		s->unacknowledged_since_ms < 0 ? 0 : (int)(sim_now_ms - s->unacknowledged_since_ms);
	return 0;
}

int __wrap_ktls_record_numbers(int fd, uint64_t *transmitted, uint64_t *received);
int __wrap_ktls_record_numbers(int fd, uint64_t *transmitted, uint64_t *received)
{
	const struct sim_socket *s = socket_of(fd);

	if (!s || !s->has_tls)
		return -ENOTCONN;
	*transmitted = s->sent_records;
	*received = s->received_records;
	return 0;
}

static int socket_at(const struct sockaddr_storage *local)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)local;
	int id = ntohs(in->sin_port) - 10000;

	return local->ss_family != AF_INET || id < 0 || id >= SIM_SOCKETS ? SIM_NONE : id;
}

int sock_find(const struct sockaddr_storage *local, const struct sockaddr_storage *peer)
{
	int id = socket_at(local);

	(void)peer;
	if (!sim_config.has_sock_diag || id == SIM_NONE)
		return -EOPNOTSUPP;
	return sim_sockets[id].is_used && !sim_sockets[id].is_reset && !sim_sockets[id].is_shut ?
		0 :
		-ENOENT;
}

int sock_addresses(int fd, struct sockaddr_storage *local, struct sockaddr_storage *peer)
{
	socklen_t len = sizeof(*local);

	memset(local, 0, sizeof(*local));
	memset(peer, 0, sizeof(*peer));
	return sim_config.is_unix || getsockname(fd, (struct sockaddr *)local, &len) < 0 ||
			getpeername(fd, (struct sockaddr *)peer, &len) < 0 ?
		-ENOTCONN :
		0;
}

int sock_destroy(const struct sockaddr_storage *local, const struct sockaddr_storage *peer,
	struct error *err)
{
	int rc = sock_find(local, peer);

	if (rc == -EOPNOTSUPP)
		return error_set(err, ERROR_KERNEL, EOPNOTSUPP, "cannot");
	if (rc)
		return rc;
	sim_check_shut(socket_at(local));
	sim_shut(socket_at(local));
	return 0;
}
