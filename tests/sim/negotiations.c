/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes of a supervisor's negotiations. */
#include "child.h"
#include "nbd/nbd-protocol.h"
#include "tls/ktls.h"
#include <errno.h>
#include <linux/tls.h>
#include <stdio.h>
#include <string.h>

#define NEGOTIATION_MS 30

static bool is_slot_taken(int host)
{
	for (int i = 0; i < SIM_SOCKETS; i++)
		if (sim_sockets[i].is_used && sim_sockets[i].host == host &&
			!sim_sockets[i].is_closed_there)
			return true;
	return false;
}

static void end_negotiation(int id, int rc, enum error_kind kind, const char *text)
{
	struct sim_child *child = sim_child(id);

	error_set(&child->err, kind, -rc, "%s", text);
	child->err.retry = true;
	sim_child_finish(id, rc);
}

/* Another export of that name: smaller, or not to be written to. */
static void fill_offer(struct export_geometry *export, const struct sim_host *host)
{
	bool is_smaller = host->is_other && host->epoch % 2;

	*export = (struct export_geometry){.has_size = true,
		.size_bytes = is_smaller ? 1 << 20 : sim_export_bytes,
		.flags = NBD_TFLAG_HAS_FLAGS | NBD_TFLAG_SEND_FLUSH | NBD_TFLAG_CAN_MULTI_CONN |
			(host->is_other && !is_smaller ? NBD_TFLAG_READ_ONLY : 0)};
}

static void step_negotiation(int id, int generation)
{
	struct sim_child *child = sim_child(id);
	struct sim_host *host = &sim_hosts[child->host];
	bool waits = host->is_cut || host->is_hung || host->hangs_in_negotiation ||
		(sim_config.serves_one_connection && is_slot_taken(child->host));

	if (!sim_child_is_current(id, generation) || child->is_done)
		return;
	if (sim_now_ms >= child->deadline_ms) {
		end_negotiation(id, -ETIMEDOUT, ERROR_UNREACHABLE, "timed out");
	} else if (!waits && !host->is_up) {
		if (!child->job.only_first_host && sim_config.host_count > 1 && child->left-- > 0) {
			child->host = (child->host + 1) % (int)sim_config.host_count;
			sim_at(sim_now_ms + 1, step_negotiation, id, generation);
			return;
		}
		end_negotiation(id, -ECONNREFUSED, ERROR_UNREACHABLE, "connection refused");
	} else if (waits) {
		sim_at(sim_now_ms + 50, step_negotiation, id, generation);
	} else {
		if (child->job.kind == NEGOTIATION_ATTACH)
			child->socket = sim_connect(child->host);
		fill_offer(&child->offer, host);
		sim_child_finish(id, 0);
	}
}

int negotiation_start(
	struct negotiation *attempt, const struct negotiation_job *job, struct error *err)
{
	int id = sim_child_new(CHILD_NEGOTIATION);
	struct sim_child *child = sim_child(id);

	(void)err;
	sim_point();
	*attempt = (struct negotiation){.job = *job};
	attempt->child.pid = 1 + id;
	attempt->child.deadline_ms = sim_now_ms + job->timeout_ms;
	child->job = *job;
	child->deadline_ms = attempt->child.deadline_ms;
	child->host = (int)(job->first_host % sim_config.host_count);
	child->left = (int)sim_config.host_count;
	sim_at(sim_now_ms + 1 + sim_delay_ms(NEGOTIATION_MS, 2000), step_negotiation, id,
		(int)child->generation);
	return 0;
}

bool negotiation_is_running(const struct negotiation *attempt)
{
	return attempt->child.pid > 0;
}

int negotiation_poll_fd(const struct negotiation *attempt)
{
	return negotiation_is_running(attempt) ? sim_child(attempt->child.pid - 1)->fd : -1;
}

int64_t negotiation_deadline_ms(const struct negotiation *attempt)
{
	return negotiation_is_running(attempt) ? attempt->child.deadline_ms : -1;
}

void negotiation_cancel(struct negotiation *attempt)
{
	if (attempt->child.pid <= 0)
		return;
	sim_close(sim_child(attempt->child.pid - 1)->fd);
	sim_child_forget(attempt->child.pid - 1);
	attempt->child.pid = 0;
}

int negotiation_step(
	struct negotiation *attempt, struct negotiation_result *result, struct error *err)
{
	int id = attempt->child.pid - 1, rc, socket;
	struct sim_child *child = sim_child(id);

	sim_point();
	if (!child->is_done && sim_now_ms < attempt->child.deadline_ms)
		return 1;
	if (!child->is_done)
		end_negotiation(id, -ETIMEDOUT, ERROR_UNREACHABLE, "timed out");
	rc = child->rc;
	if (rc) {
		*err = child->err;
		negotiation_cancel(attempt);
		return rc;
	}
	memset(result, 0, sizeof(*result));
	result->export = child->offer;
	if (attempt->job.names)
		*attempt->job.names = (struct export_names){.name = "disk"};
	result->fd = -1;
	result->host_index = (uint32_t)child->host;
	socket = child->socket;
	if (attempt->job.kind == NEGOTIATION_ATTACH) {
		result->fd = sim_open(SIM_SOCKET, socket);
		snprintf(result->address, sizeof(result->address), "192.0.2.%d:10809", child->host);
		if (sim_config.tls) {
			result->tls.version = TLS_VERSION_1_3;
			result->tls.kernel_cipher = TLS_CIPHER_AES_GCM_128;
			snprintf(result->tls.cipher, sizeof(result->tls.cipher), "AES-128-GCM");
			snprintf(result->tls.authentication, sizeof(result->tls.authentication),
				"X.509");
		}
	}
	child->socket = SIM_NONE;
	negotiation_cancel(attempt);
	return 0;
}

int negotiation_run(
	const struct negotiation_job *job, struct negotiation_result *result, struct error *err)
{
	struct negotiation attempt;
	int rc;

	sim_blocks("negotiation_run()");
	negotiation_start(&attempt, job, err);
	while ((rc = negotiation_step(&attempt, result, err)) == 1)
		sim_run_until(sim_now_ms + 10);
	return rc;
}
