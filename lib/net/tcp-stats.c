/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own header: glibc's struct tcp_info ends before the byte counts, and the two cannot
 * be included together. */
#include "net/tcp-stats.h"
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define STATE_ESTABLISHED 1

int tcp_stats_get(int fd, struct tcp_stats *stats)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -errno;
	stats->sent_bytes = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	stats->received_bytes = info.tcpi_bytes_received;
	stats->established = info.tcpi_state == STATE_ESTABLISHED;
	/* One retransmission, or one probe of a closed window, may be lost alone. */
	stats->lost_ms = (info.tcpi_unacked && info.tcpi_retransmits > 1) || info.tcpi_probes > 1 ?
		(int)info.tcpi_last_ack_recv :
		0;
	/* Both are "so many ms ago". */
	stats->answered = !info.tcpi_unacked && !info.tcpi_notsent_bytes &&
		info.tcpi_last_data_sent >= info.tcpi_last_data_recv;
	return 0;
}
