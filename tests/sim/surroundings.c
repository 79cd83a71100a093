/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor has around it, beside the driver: its children, the service manager, its
 * control socket, the files in /run, and modules that it only asks. */
#include "sim.h"
#include "child/job.h"
#include "child/negotiation.h"
#include "child/probe.h"
#include "child/reaper.h"
#include "device/detach.h"
#include "device/queue.h"
#include "isolate/isolate.h"
#include "kernel/udev.h"
#include "modules/kernel-modules.h"
#include "net/sock-destroy.h"
#include "net/tcp-stats.h"
#include "nbd/nbd-protocol.h"
#include "output/log.h"
#include "supervisor/attachment.h"
#include "supervisor/control.h"
#include "supervisor/core/machine.h"
#include "supervisor/notify.h"
#include "tls/ktls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEGOTIATION_MS 30

/* --- children: each ends at its time, and what it has done is known then */

enum child_kind { CHILD_JOB, CHILD_PROBE, CHILD_DRAIN, CHILD_DETACH, CHILD_NEGOTIATION };

#define CHILDREN 64
static struct sim_child {
	bool is_used, is_done;
	enum child_kind kind;
	int rc, fd;
	unsigned generation;
	struct error err;
	job_function *function;
	char argument[64];
	/* CHILD_NEGOTIATION */
	struct negotiation_job job;
	struct export_geometry offer;
	int socket, host;
	int64_t deadline_ms;
	/* CHILD_DRAIN, CHILD_PROBE */
	int left, request;
	bool is_begun;
} children[CHILDREN];

bool sim_child_is_readable(int id)
{
	return children[id].is_done;
}

static void finish(int id, int rc)
{
	if (children[id].is_used && !children[id].is_done) {
		children[id].rc = rc;
		children[id].is_done = true;
	}
}

static int new_child(enum child_kind kind)
{
	for (int i = 0; i < CHILDREN; i++) {
		unsigned generation = children[i].generation + 1;

		if (children[i].is_used)
			continue;
		children[i] = (struct sim_child){.is_used = true,
			.kind = kind,
			.generation = generation,
			.socket = SIM_NONE};
		children[i].fd = sim_open(SIM_CHILD, i);
		return i;
	}
	sim_violation("too many children");
}

/* With what it has made and nobody took. */
static void forget(int id)
{
	struct sim_child *child = &children[id];

	if (child->kind == CHILD_DRAIN && !child->is_done)
		sim_freeze(false);
	child->is_used = false;
	if (child->socket == SIM_NONE)
		return;
	sim_sockets[child->socket].descriptors++;
	sim_drop_reference(child->socket);
}

void sim_children_die(void)
{
	for (int i = 0; i < CHILDREN; i++)
		if (children[i].is_used)
			forget(i);
}

static bool is_current(int id, int generation)
{
	return children[id].is_used && children[id].generation == (unsigned)generation;
}

/* The queue is empty when all is answered that was there before; then once more. */
static void step_drain(int id, int generation)
{
	if (!is_current(id, generation) || children[id].is_done)
		return;
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state == REQUEST_SENT) {
			sim_at(sim_now_ms + 1, step_drain, id, generation);
			return;
		}
	sim_freeze(false);
	if (--children[id].left > 0) {
		sim_freeze(true);
		sim_at(sim_now_ms + 1, step_drain, id, generation);
		return;
	}
	finish(id, 0);
}

int queue_drain_start(struct job *job, int index, struct error *err)
{
	int id = new_child(CHILD_DRAIN);

	(void)index;
	(void)err;
	job->child.pid = 1 + id;
	children[id].left = 2;
	sim_freeze(true);
	sim_at(sim_now_ms + sim_delay_ms(3, 30), step_drain, id, (int)children[id].generation);
	return 0;
}

/* A read of its own, over whatever link the driver takes. */
void sim_read_once(int request);

static bool begin_read(int id)
{
	for (int i = 0; i < SIM_REQUESTS; i++) {
		if (sim_requests[i].state != REQUEST_NONE)
			continue;
		children[id].request = i;
		sim_read_once(i);
		return true;
	}
	return false; /* its turn comes */
}

static void step_probe(int id, int generation)
{
	struct sim_child *child = &children[id];

	if (!is_current(id, generation) || child->is_done)
		return;
	if (!sim_driver.is_configured || sim_driver.has_failed)
		finish(id, -EIO);
	else if (child->is_begun && sim_requests[child->request].state == REQUEST_NONE)
		finish(id, sim_requests[child->request].has_failed ? -EIO : 0);
	else if (!child->is_begun)
		child->is_begun = begin_read(id);
	sim_at(sim_now_ms + 2, step_probe, id, generation);
}

int probe_start(struct job *job, const struct probe *probe, struct error *err)
{
	int id = new_child(CHILD_PROBE);

	(void)probe;
	(void)err;
	job->child.pid = 1 + id;
	sim_at(sim_now_ms + sim_delay_ms(5, 50), step_probe, id, (int)children[id].generation);
	return 0;
}

static void step_job(int id, int generation)
{
	bool was_in_child = sim_life.is_in_child;

	if (!is_current(id, generation) || children[id].is_done)
		return;
	sim_life.is_in_child = true;
	finish(id, children[id].function(children[id].argument, &children[id].err));
	sim_life.is_in_child = was_in_child;
}

int device_detach_job(const void *what, struct error *err)
{
	const struct device_detach *detach = what;

	if (!sim_driver.is_configured)
		return error_set(err, ERROR_BUSY, ENOTCONN, "not attached");
	if (sim_driver.is_foreign || strcmp(detach->backend, sim_driver.backend) != 0)
		return error_set(err, ERROR_BUSY, ESTALE, "it is somebody else's");
	if (detach->how != DETACH_FORCED && !sim_driver_is_idle())
		return error_set(err, ERROR_BUSY, EBUSY, "it is in use");
	sim_driver_disconnect();
	return 0;
}

int job_start(struct job *job, job_function *function, const void *argument, int timeout_ms,
	struct error *err)
{
	int id = new_child(function == device_detach_job ? CHILD_DETACH : CHILD_JOB);

	(void)err;
	(void)timeout_ms;
	sim_point();
	job->child.pid = 1 + id;
	children[id].function = function;
	/* what it points to is the caller's, and there until it returns */
	memcpy(children[id].argument, argument,
		function == device_detach_job ? sizeof(struct device_detach) : sizeof(int));
	sim_at(sim_now_ms + sim_delay_ms(5, 100), step_job, id, (int)children[id].generation);
	return 0;
}

bool job_is_running(const struct job *job)
{
	return job->child.pid > 0;
}

int job_poll_fd(const struct job *job)
{
	return job_is_running(job) ? children[job->child.pid - 1].fd : -1;
}

int64_t job_deadline_ms(const struct job *job)
{
	(void)job;
	return -1;
}

int job_step(struct job *job, struct error *err)
{
	int id = job->child.pid - 1, rc;

	sim_point();
	if (!children[id].is_done)
		return 1;
	rc = children[id].rc;
	if (rc && err)
		*err = children[id].err;
	job_abandon(job);
	return rc;
}

void job_abandon(struct job *job)
{
	if (job->child.pid <= 0)
		return;
	sim_close(job_poll_fd(job));
	forget(job->child.pid - 1);
	job->child.pid = 0;
}

void job_kill(struct job *job)
{
	job_abandon(job);
}

int job_run(job_function *function, const void *argument, int timeout_ms, struct error *err)
{
	sim_blocks("job_run()");
	(void)timeout_ms;
	return function(argument, err);
}

bool job_is_awaited(void)
{
	return true;
}

int probe_run(const struct probe *probe, int timeout_ms, struct error *err)
{
	struct job job = {0};
	int64_t until_ms = sim_now_ms + timeout_ms;
	int rc;

	sim_blocks("probe_run()");
	probe_start(&job, probe, err);
	while ((rc = job_step(&job, err)) == 1 && sim_now_ms < until_ms)
		sim_run_until(sim_now_ms + 10);
	if (rc == 1) {
		job_abandon(&job);
		rc = error_set(err, ERROR_SERVER, ETIMEDOUT, "the first read was not answered");
	}
	return rc;
}

void reaper_collect(void)
{
}

bool reaper_has_any(void)
{
	return false;
}

/* --- negotiations */

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
	error_set(&children[id].err, kind, -rc, "%s", text);
	children[id].err.retry = true;
	finish(id, rc);
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
	struct sim_child *child = &children[id];
	struct sim_host *host = &sim_hosts[child->host];
	bool waits = host->is_cut || host->is_hung || host->hangs_in_negotiation ||
		(sim_config.serves_one_connection && is_slot_taken(child->host));

	if (!is_current(id, generation) || child->is_done)
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
		finish(id, 0);
	}
}

int negotiation_start(
	struct negotiation *attempt, const struct negotiation_job *job, struct error *err)
{
	int id = new_child(CHILD_NEGOTIATION);

	(void)err;
	sim_point();
	*attempt = (struct negotiation){.job = *job};
	attempt->child.pid = 1 + id;
	attempt->child.deadline_ms = sim_now_ms + job->timeout_ms;
	children[id].job = *job;
	children[id].deadline_ms = attempt->child.deadline_ms;
	children[id].host = (int)(job->first_host % sim_config.host_count);
	children[id].left = (int)sim_config.host_count;
	sim_at(sim_now_ms + 1 + sim_delay_ms(NEGOTIATION_MS, 2000), step_negotiation, id,
		(int)children[id].generation);
	return 0;
}

bool negotiation_is_running(const struct negotiation *attempt)
{
	return attempt->child.pid > 0;
}

int negotiation_poll_fd(const struct negotiation *attempt)
{
	return negotiation_is_running(attempt) ? children[attempt->child.pid - 1].fd : -1;
}

int64_t negotiation_deadline_ms(const struct negotiation *attempt)
{
	return negotiation_is_running(attempt) ? attempt->child.deadline_ms : -1;
}

void negotiation_cancel(struct negotiation *attempt)
{
	if (attempt->child.pid <= 0)
		return;
	sim_close(children[attempt->child.pid - 1].fd);
	forget(attempt->child.pid - 1);
	attempt->child.pid = 0;
}

int negotiation_step(
	struct negotiation *attempt, struct negotiation_result *result, struct error *err)
{
	int id = attempt->child.pid - 1, rc, socket;

	sim_point();
	if (!children[id].is_done && sim_now_ms < attempt->child.deadline_ms)
		return 1;
	if (!children[id].is_done)
		end_negotiation(id, -ETIMEDOUT, ERROR_UNREACHABLE, "timed out");
	rc = children[id].rc;
	if (rc) {
		*err = children[id].err;
		negotiation_cancel(attempt);
		return rc;
	}
	memset(result, 0, sizeof(*result));
	result->export = children[id].offer;
	if (attempt->job.names)
		*attempt->job.names = (struct export_names){.name = "disk"};
	result->fd = -1;
	result->host_index = (uint32_t)children[id].host;
	socket = children[id].socket;
	if (attempt->job.kind == NEGOTIATION_ATTACH) {
		result->fd = sim_open(SIM_SOCKET, socket);
		snprintf(result->address, sizeof(result->address), "192.0.2.%d:10809",
			children[id].host);
		if (sim_config.tls) {
			result->tls.version = TLS_VERSION_1_3;
			result->tls.kernel_cipher = TLS_CIPHER_AES_GCM_128;
			snprintf(result->tls.cipher, sizeof(result->tls.cipher), "AES-128-GCM");
			snprintf(result->tls.authentication, sizeof(result->tls.authentication),
				"X.509");
		}
	}
	children[id].socket = SIM_NONE;
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

/* --- what sockets tell */

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

/* --- the service manager */

#define STORED 8
static struct {
	char name[STORED_FD_NAME_SIZE];
	enum sim_kind kind;
	int id;
} stored[STORED];
static size_t stored_count;

bool notify_can_store(void)
{
	return sim_config.has_manager;
}

void notify_forget_fd(const char *name)
{
	for (size_t i = 0; i < stored_count; i++) {
		if (strcmp(stored[i].name, name) != 0)
			continue;
		if (stored[i].kind == SIM_SOCKET)
			sim_drop_reference(stored[i].id);
		stored[i] = stored[--stored_count];
		return;
	}
}

int notify_store_fd(const char *name, int fd)
{
	int id;
	enum sim_kind kind = sim_kind_of(fd, &id);

	sim_point();
	for (size_t i = 0; i < stored_count; i++)
		if (stored[i].kind == kind && stored[i].id == id)
			return 0; /* as systemd does */
	if (stored_count == STORED)
		sim_violation("the service manager keeps too much");
	snprintf(stored[stored_count].name, STORED_FD_NAME_SIZE, "%s", name);
	stored[stored_count].kind = sim_kind_of(fd, &stored[stored_count].id);
	if (stored[stored_count].kind == SIM_SOCKET)
		sim_sockets[stored[stored_count].id].descriptors++;
	stored_count++;
	return 0;
}

void sim_manager_forget(void)
{
	while (stored_count)
		notify_forget_fd(stored[0].name);
}

size_t notify_take_fds(struct stored_fd *fds, size_t max)
{
	size_t count = 0;

	for (; count < stored_count && count < max; count++) {
		snprintf(fds[count].name, STORED_FD_NAME_SIZE, "%s", stored[count].name);
		fds[count].fd = sim_open(stored[count].kind, stored[count].id);
	}
	return count;
}

size_t notify_flush(void)
{
	return 0;
}

void notify_ready(const char *status)
{
	sim_note("ready: %s", status);
}

void notify_status(const char *status)
{
	sim_note("status: %s", status);
}

int64_t notify_watchdog_ms(void)
{
	return 0;
}

void notify_watchdog(void)
{
}

/* --- the control socket, and signals */

static struct control *served;
static int pending_signal;

void control_init(struct control *control)
{
	*control = (struct control){.fd = -1, .lock_fd = -1, .index = -1};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
}

int control_open(struct control *control, int index, struct error *err)
{
	(void)err;
	sim_point();
	control->fd = control->lock_fd = 0;
	control->index = index;
	return 0;
}

int control_lock_all(void)
{
	return -1;
}

void control_close_on_signals(int index)
{
	(void)index;
}

void control_close(struct control *control)
{
	served = NULL;
	control->fd = control->lock_fd = -1;
}

void control_serve(
	struct control *control, struct loop *loop, control_function *on_command, void *owner)
{
	(void)loop;
	served = control;
	control->on_command = on_command;
	control->owner = owner;
}

bool control_has_client(const struct control *control, size_t at)
{
	return control->clients[at].fd >= 0;
}

void control_reply(struct control *control, size_t at, json_object *answer)
{
	sim_note("a client is answered: %.100s", json_object_to_json_string(answer));
	control->clients[at].fd = -1;
	json_object_put(answer);
}

void sim_ask(const char *word)
{
	if (!served || !sim_life.is_running || served->clients[0].fd >= 0)
		return;
	served->clients[0].fd = 0;
	sim_life.is_in_loop = true;
	served->on_command(served->owner, 0, word);
	sim_life.is_in_loop = false;
}

void sim_signal(int number)
{
	pending_signal = number;
}

bool sim_signal_is_pending(void)
{
	return pending_signal != 0;
}

int sim_take_signal(void)
{
	int number = pending_signal;

	pending_signal = 0;
	return number;
}

/* --- files in /run */

struct sim_file sim_files[SIM_FILES];

int sim_file_find(const char *path, bool create)
{
	int room = SIM_NONE;

	for (int i = 0; i < SIM_FILES; i++) {
		if (sim_files[i].exists && strcmp(sim_files[i].path, path) == 0)
			return i;
		if (!sim_files[i].exists)
			room = i;
	}
	if (!create)
		return SIM_NONE;
	if (room == SIM_NONE)
		sim_violation("files in /run are not removed");
	snprintf(sim_files[room].path, sizeof(sim_files[room].path), "%s", path);
	sim_files[room].exists = true;
	sim_files[room].size = sim_files[room].at = 0;
	return room;
}

/* --- the machine's steps, for the notes */

static bool is_told_often(enum machine_event_type type)
{
	return type == EVENT_TICK || type == EVENT_IDLE || type == EVENT_SILENT ||
		type == EVENT_SAMPLED;
}

void __real_machine_step(struct machine *machine, const struct machine_event *event,
	struct machine_actions *actions);
void __wrap_machine_step(struct machine *machine, const struct machine_event *event,
	struct machine_actions *actions);
void __wrap_machine_step(
	struct machine *machine, const struct machine_event *event, struct machine_actions *actions)
{
	char text[160] = "";
	size_t len = 0;

	__real_machine_step(machine, event, actions);
	for (unsigned i = 0; i < actions->count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %u", i ? ", " : "",
			machine_action_name(actions->list[i].type), actions->list[i].link);
	if (actions->count || !is_told_often(event->type))
		sim_note("  %s %u %#x: %s", machine_event_name(event->type), event->link,
			event->facts, text);
}

/* --- what is only asked */

static bool is_isolated;

int isolate_enter(int index, struct error *err)
{
	(void)index;
	(void)err;
	is_isolated = true;
	return 0;
}

bool isolate_is_entered(void)
{
	return is_isolated;
}

bool isolate_ignores_signals(void)
{
	return false;
}

void isolate_leave_terminal(void)
{
}

bool udev_knows(int index, const char *backend)
{
	(void)index;
	(void)backend;
	return true;
}

int udev_announce(struct udev_wait *wait, int index, struct error *err)
{
	(void)wait;
	(void)index;
	(void)err;
	return 0;
}

int udev_wait_fd(const struct udev_wait *wait)
{
	(void)wait;
	return -1;
}

bool udev_has_noted(struct udev_wait *wait)
{
	(void)wait;
	return true;
}

void udev_wait_end(struct udev_wait *wait)
{
	(void)wait;
}

int kernel_load_nbd(struct error *err)
{
	(void)err;
	return 0;
}

int kernel_load_tls(struct error *err)
{
	(void)err;
	return 0;
}

int kernel_load_cipher(int kernel_cipher, struct error *err)
{
	(void)kernel_cipher;
	(void)err;
	return 0;
}

int queue_limit_requests(int index, uint32_t max_bytes, int timeout_ms, struct error *err)
{
	(void)index;
	(void)max_bytes;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_limit_requests()");
	return 0;
}

int queue_set_io_timeout(int index, int io_timeout_ms, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_io_timeout()");
	sim_driver.io_timeout_ms = io_timeout_ms;
	return 0;
}

bool queue_has_io_timeout(int index, int io_timeout_ms)
{
	(void)index;
	sim_blocks("queue_has_io_timeout()");
	return sim_driver.io_timeout_ms == io_timeout_ms;
}

int queue_set_scheduler_none(int index, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_scheduler_none()");
	return 0;
}

bool queue_has_scheduler_none(int index)
{
	(void)index;
	sim_blocks("queue_has_scheduler_none()");
	return true;
}

int queue_set_iostats(int index, int timeout_ms, struct error *err)
{
	(void)index;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_set_iostats()");
	return 0;
}

bool queue_has_iostats(int index)
{
	(void)index;
	sim_blocks("queue_has_iostats()");
	return true;
}

int queue_check_offer(int index, unsigned flags, int timeout_ms, struct error *err)
{
	(void)index;
	(void)flags;
	(void)timeout_ms;
	(void)err;
	sim_blocks("queue_check_offer()");
	return 0;
}

bool queue_has_stale_zeroes(int index, unsigned flags)
{
	(void)index;
	(void)flags;
	return false;
}

int tls_credentials_load(
	struct tls_credentials **creds, const struct tls_config *config, struct error *err)
{
	(void)creds;
	(void)config;
	return error_set(err, ERROR_OTHER, ENOSYS, "not here");
}

void log_open(bool foreground, bool root)
{
	(void)foreground;
	(void)root;
}

void log_message(int priority, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	sim_note("<%d> %s", priority, text);
}

void sim_surroundings_begin(void)
{
	for (int i = 0; i < SIM_FILES; i++)
		sim_files[i].exists = false;
	memset(children, 0, sizeof(children));
	stored_count = 0;
	served = NULL;
	pending_signal = 0;
	is_isolated = false;
}

/* What the command line makes. */
struct attachment *sim_new_attachment(void)
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));
	struct error err;

	device_policy_init(&attachment->policy);
	if (endpoint_parse(&attachment->endpoint,
		    sim_config.host_count > 1 ? "192.0.2.0,192.0.2.1" : "192.0.2.0", "disk", &err))
		sim_violation("%s", err.text);
	attachment->policy.connections = sim_config.link_count;
	attachment->policy.dead_timeout_sec = sim_config.dead_timeout_sec;
	attachment->policy.request_timeout_sec = sim_config.request_timeout_sec;
	attachment->policy.liveness_timeout_ms = sim_config.liveness_timeout_ms;
	attachment->policy.rekey_records = (uint64_t)sim_config.rekey_records;
	attachment->policy.auto_resize = sim_config.auto_resize;
	attachment->policy.root = sim_config.is_root;
	attachment->creds = sim_config.tls ? (const struct tls_credentials *)attachment : NULL;
	attachment->outage_since_ms = -1;
	is_isolated = false;
	return attachment;
}
