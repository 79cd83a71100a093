/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For how long a server holds a connection that says nothing: many of these keep other clients out,
 * and need no credentials. */
#include "audit/probe.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* Less is no sign that it would have gone on for all the time. */
#define WATCHED_ENOUGH(idle_ms) ((idle_ms)*9 / 10)

static void watch(struct probe_run *run, const char *when)
{
	struct attacker *attacker = &run->attacker;
	int64_t began_ms = monotonic_now_ms(), watched_ms;
	uint8_t bytes[1024];
	ssize_t n = 1;

	attacker->phase = ATTACKER_LOST;
	attacker->transport.deadline_ms = attacker->deadline_ms;
	/* what it says before it hangs up, an alert perhaps, is of no interest */
	while (n > 0 && transport_wait(&attacker->transport, POLLIN, &attacker->err) == 0) {
		n = recv(attacker->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			n = 1;
	}
	watched_ms = monotonic_now_ms() - began_ms;
	if (n <= 0)
		verdict_pass(&run->verdict, "silent %s, it hung up after %.1f s", when,
			(double)watched_ms / 1000);
	else if (watched_ms < WATCHED_ENOUGH(run->job->idle_ms))
		verdict_not_tried(&run->verdict,
			"it greeted only when another connection was over, and could be watched "
			"for %.1f s",
			(double)watched_ms / 1000);
	else
		verdict_fail(&run->verdict, "silent %s, it held the connection for %.1f s and more",
			when, (double)watched_ms / 1000);
}

void probe_idle_greeting(struct probe_run *run)
{
	watch(run, "after the greeting");
}

void probe_idle_option(struct probe_run *run)
{
	/* the beginning of an option */
	static const uint8_t half[] = {'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T'};

	attacker_send_honest_flags(&run->attacker);
	attacker_send(&run->attacker, half, sizeof(half));
	watch(run, "in an option");
}

void probe_idle_tls(struct probe_run *run)
{
	/* a record of 512 bytes, of which the first two come */
	static const uint8_t half[] = {22, 3, 1, 2, 0, 1, 0};
	struct attacker *attacker = &run->attacker;
	int rc = attacker_send_honest_flags(attacker);

	if (!rc)
		rc = attacker_starttls(attacker);
	if (!rc)
		rc = attacker_send(attacker, half, sizeof(half));
	if (rc)
		verdict_not_tried(&run->verdict, "%s", attacker->err.text);
	else
		watch(run, "in the TLS handshake");
}
