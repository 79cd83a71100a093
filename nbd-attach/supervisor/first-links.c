/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/first-links.h"
#include "base/clock.h"
#include "base/random.h"
#include "nbd/nbd-protocol.h"
#include "output/show.h"
#include "supervisor/core/backoff.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

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
		show_note("waiting for the server: %s", err->text);
	else
		show_note("nbd%d: waiting for %s: %s", index, waiting->server, err->text);
}

/* May another attempt do better? At boot somebody may fix the server, its certificate or its clock
 * meanwhile. */
static bool is_retryable(const struct attachment *attachment, const struct error *err)
{
	return attachment->policy.at_boot ? !error_kind_is_lasting(err->kind) : err->retry;
}

/* Negotiate the first link, again and again for --wait while a later attempt may do better. */
static int negotiate_one(struct attachment *attachment, int index, struct error *err)
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
			show_note("%s; trying the next host", err->text);
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

int first_links_negotiate(struct attachment *attachment, int index, struct error *err)
{
	struct export_geometry export;
	int rc = negotiate_one(attachment, index, err);

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
