/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's nbd driver, the block layer above it, and who uses the device. It rests on the
 * kernel facts slot-taken, link-dead-notice, status-configured, io-timeout-resends, all-links-dead,
 * size-freezes-queue, early-notice, request-never-fails, unseen-requests, receiver-outlives-link,
 * receiver-end-logged, revived-device, reconfigure-unfrozen and queue-read-waits. */
#include "sim.h"
#include "kernel/block-attr.h"
#include "kernel/kmsg.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK_AGAIN_MS 1000
#define READ_MAX_MS 250 /* of one answer */

struct sim_driver sim_driver;
struct sim_request sim_requests[SIM_REQUESTS];
static uint64_t cookies, versions;
static bool is_frozen;

static void dispatch(int request);

/* --- receivers */

static void free_slot(int at, int generation)
{
	struct sim_slot *slot = &sim_driver.slots[at];

	(void)generation;
	if (!slot->is_dying)
		return;
	slot->is_dying = false;
	slot->is_dead = true;
	sim_note("slot %d is free", at);
	if (sim_is_nothing_sent())
		return;
}

/* The notice comes first, then the socket is shut, and then the slot is free
 * (kernel fact early-notice). */
static void mark_dead(int at)
{
	struct sim_slot *slot = &sim_driver.slots[at];
	bool all = true;

	if (slot->is_dead || slot->is_dying || slot->socket == SIM_NONE)
		return;
	slot->is_dying = true;
	if (sim_chance(sim_config.notice_loss_percent))
		sim_driver.are_notices_lost = true;
	else
		sim_driver.notices++;
	if (!sim_sockets[slot->socket].is_pair)
		sim_shut(slot->socket);
	sim_at(sim_now_ms +
			(sim_chance(sim_config.slow_driver_percent) ? sim_below(800) :
								      sim_below(3)),
		free_slot, at, 0);
	for (unsigned i = 0; i < sim_driver.slot_count; i++)
		all = all && (sim_driver.slots[i].is_dead || sim_driver.slots[i].is_dying);
	sim_driver.outages += all;
}

static void log_receiver_end(int at, int generation)
{
	(void)at;
	(void)generation;
	sim_driver.receivers_ended++;
}

/* It has read what there was. It says so in the log, and marks whatever socket the slot has
 * dead. */
static void end_receiver(int at, int generation)
{
	struct sim_slot *slot = &sim_driver.slots[at];

	if (!slot->has_receiver || slot->generation != (unsigned)generation)
		return;
	slot->has_receiver = false;
	sim_note("the receiver of slot %d ends", at);
	sim_at(sim_now_ms, log_receiver_end, at, 0);
	mark_dead(at);
}

/* Behind what it has to read it finds the link's end. */
static void read_on(int at, int generation)
{
	const struct sim_slot *slot = &sim_driver.slots[at];

	if (slot->has_receiver && slot->generation == (unsigned)generation &&
		sim_sockets[slot->receives_from].unread)
		sim_at(sim_now_ms + 1 + sim_below(10), read_on, at, generation);
	else
		end_receiver(at, generation);
}

static void begin_receiver(int at)
{
	struct sim_slot *slot = &sim_driver.slots[at];

	slot->has_receiver = true;
	slot->receives_from = slot->socket;
	slot->generation++;
}

void sim_driver_see(int socket)
{
	struct sim_socket *s = &sim_sockets[socket];

	for (unsigned i = 0; i < sim_driver.slot_count; i++) {
		struct sim_slot *slot = &sim_driver.slots[i];

		if (!slot->has_receiver || slot->receives_from != socket ||
			(!s->is_reset && !s->is_shut))
			continue;
		sim_at(sim_now_ms + sim_delay_ms(1, 100), read_on, (int)i, (int)slot->generation);
	}
}

/* --- requests */

bool sim_is_nothing_sent(void)
{
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state == REQUEST_SENT)
			return false;
	return true;
}

unsigned sim_driver_sent_count(void)
{
	unsigned count = 0;

	for (int i = 0; i < SIM_REQUESTS; i++)
		count += sim_requests[i].state == REQUEST_SENT;
	return count;
}

bool sim_driver_is_idle(void)
{
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state != REQUEST_NONE)
			return false;
	return true;
}

static void end_request(struct sim_request *r)
{
	r->state = REQUEST_NONE;
	sim_driver.completed++;
	sim_driver.completed_flushes += r->command == SIM_FLUSH;
}

static void complete(int request)
{
	struct sim_request *r = &sim_requests[request];

	if (r->command == SIM_WRITE && r->version > sim_acknowledged[r->block])
		sim_acknowledged[r->block] = r->version;
	end_request(r);
	sim_driver.served++;
}

static void fail_request(int request, const char *why)
{
	sim_check_failed_request(request, why);
	sim_requests[request].has_failed = true;
	end_request(&sim_requests[request]);
}

/* "shutting down sockets": what waits fails, and what comes (kernel fact revived-device). */
static void fail_all(const char *why)
{
	sim_note("the driver fails I/O: %s", why);
	sim_driver.has_failed = true;
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state != REQUEST_NONE)
			fail_request(i, why);
}

static void stop_waiting(int request, int cookie)
{
	struct sim_request *r = &sim_requests[request];

	if (r->state != REQUEST_WAITING || (int)r->cookie != cookie)
		return;
	if (sim_now_ms < r->waiting_since_ms + sim_driver.dead_timeout_ms) {
		sim_at(r->waiting_since_ms + sim_driver.dead_timeout_ms, stop_waiting, request,
			cookie);
		return;
	}
	sim_driver.log_io_failed = true;
	fail_all("it has waited for a link for too long");
}

static void wait_for_link(int request)
{
	struct sim_request *r = &sim_requests[request];

	r->state = REQUEST_WAITING;
	r->cookie = ++cookies & 0x7fffffff;
	r->waiting_since_ms = sim_now_ms;
	if (sim_driver.has_failed && sim_driver.dead_timeout_ms > 0) {
		fail_request(request, "the device has failed");
		return;
	}
	sim_at(sim_now_ms + sim_driver.dead_timeout_ms, stop_waiting, request, (int)r->cookie);
}

static void run_timer(int request, int cookie)
{
	struct sim_request *r = &sim_requests[request];
	struct sim_slot *slot;

	if (r->state != REQUEST_SENT || (int)r->cookie != cookie)
		return;
	slot = &sim_driver.slots[r->slot];
	if (slot->socket == r->socket && !slot->is_dead && !slot->is_dying) {
		if (sim_driver.slot_count == 1) {
			sim_driver.stuck++;
			sim_at(sim_now_ms + STUCK_AGAIN_MS + sim_below(1000), run_timer, request,
				cookie);
			return;
		}
		sim_note("the driver closes slot %d for a request that takes long", r->slot);
		mark_dead(r->slot);
	}
	dispatch(request);
}

static bool is_sendable(int at)
{
	const struct sim_slot *slot = &sim_driver.slots[at];

	return slot->socket != SIM_NONE && !slot->is_dead && !slot->is_dying;
}

static int choose_slot(void)
{
	unsigned first = sim_below(sim_driver.slot_count);

	for (unsigned i = 0; i < sim_driver.slot_count; i++)
		if (is_sendable((int)((first + i) % sim_driver.slot_count)))
			return (int)((first + i) % sim_driver.slot_count);
	return SIM_NONE;
}

static void send_request(int request, int at)
{
	struct sim_request *r = &sim_requests[request];
	struct sim_slot *slot = &sim_driver.slots[at];
	struct sim_socket *s = &sim_sockets[slot->socket];

	r->state = REQUEST_SENT;
	r->slot = at;
	r->socket = slot->socket;
	r->cookie = ++cookies & 0x7fffffff;
	s->sent_bytes += r->command == SIM_WRITE ? 28 + 4096 : 28;
	s->sent_records += s->has_tls && !s->sends_in_clear;
	s->last_sent_ms = r->sent_ms = sim_now_ms;
	if (sim_config.tls && s->sends_in_clear)
		sim_check_sent_in_clear(slot->socket), sim_weather_note_bad(sim_now_ms + 10000);
	if (sim_path_is_dead(slot->socket) && s->unacknowledged_since_ms < 0)
		s->unacknowledged_since_ms = sim_now_ms;
	sim_server_take(slot->socket, request, r->cookie);
	sim_at(sim_now_ms + sim_driver.io_timeout_ms + sim_below(250), run_timer, request,
		(int)r->cookie);
}

static void dispatch(int request)
{
	int at;

	if (is_frozen) { /* behind the queue, for as long as that takes */
		sim_requests[request].state = REQUEST_WAITING;
		sim_requests[request].cookie = ++cookies & 0x7fffffff;
		return;
	}
	while ((at = choose_slot()) != SIM_NONE) {
		const struct sim_socket *s = &sim_sockets[sim_driver.slots[at].socket];

		if (!s->is_pair && !s->is_reset && !s->is_shut) {
			send_request(request, at);
			return;
		}
		/* sending fails; the receiver may still be reading
		 * (kernel fact receiver-outlives-link) */
		mark_dead(at);
	}
	wait_for_link(request);
}

static void wake_all(void)
{
	for (int i = 0; i < SIM_REQUESTS; i++)
		if (sim_requests[i].state == REQUEST_WAITING)
			dispatch(i);
}

void sim_freeze(bool on)
{
	is_frozen = on;
	if (!on)
		wake_all();
}

static void take_answer(int request, int slot_at, uint64_t cookie, int error)
{
	struct sim_request *r = &sim_requests[request];

	if (r->state != REQUEST_SENT || r->cookie != cookie) {
		/* "Unexpected reply": the receiver ends (kernel fact receiver-end-logged) */
		sim_note("slot %d gets a strange reply", slot_at);
		end_receiver(slot_at, (int)sim_driver.slots[slot_at].generation);
		return;
	}
	if (!error) {
		complete(request);
		return;
	}
	sim_driver.error_replies++;
	sim_driver.last_error = error;
	r->has_failed = true;
	end_request(r); /* it fails, and that is the server's word */
	sim_driver.served++;
}

static struct {
	bool is_used;
	int socket, request, error;
	int serial;
	uint64_t cookie;
} answers[4096];

static void read_answer(int at, int unused)
{
	int socket = answers[at].socket;

	(void)unused;
	answers[at].is_used = false;
	if (!sim_sockets[socket].is_used || sim_sockets[socket].serial != answers[at].serial)
		return;
	sim_sockets[socket].unread -= sim_sockets[socket].unread > 0;
	for (unsigned i = 0; i < sim_driver.slot_count; i++)
		if (sim_driver.slots[i].has_receiver &&
			sim_driver.slots[i].receives_from == socket) {
			take_answer(
				answers[at].request, (int)i, answers[at].cookie, answers[at].error);
			return;
		}
}

/* They are read one after the other: large ones, decrypted slowly, are a backlog that a link's end
 * leaves behind (kernel fact receiver-outlives-link). */
void sim_answer(int socket, int request, uint64_t cookie, bool is_error)
{
	struct sim_socket *s = &sim_sockets[socket];
	int at = 0;

	while (at < 4096 && answers[at].is_used)
		at++;
	if (at == 4096)
		sim_violation("too many answers");
	answers[at].is_used = true;
	answers[at].socket = socket;
	answers[at].request = request;
	answers[at].cookie = cookie;
	answers[at].serial = sim_sockets[socket].serial;
	answers[at].error = is_error ? ESHUTDOWN : 0;
	s->read_at_ms = (s->read_at_ms > sim_now_ms ? s->read_at_ms : sim_now_ms) +
		sim_delay_ms(0, sim_chance(3) ? READ_MAX_MS : 15);
	sim_at(s->read_at_ms, read_answer, at, 0);
}

void sim_use_device(int a, int b)
{
	int request = (int)sim_below(SIM_REQUESTS), block = (int)sim_below(SIM_BLOCKS);
	struct sim_request *r = &sim_requests[request];
	bool is_written = false;

	(void)a;
	(void)b;
	if (sim_weather_is_over && sim_chance(2))
		return; /* its users end */
	sim_at(sim_now_ms + 1 + (sim_weather_is_busy() ? sim_below(5) : sim_delay_ms(60, 2000)),
		sim_use_device, 0, 0);
	if (!sim_driver.is_configured || sim_driver.is_foreign || r->state != REQUEST_NONE)
		return;
	for (int i = 0; i < SIM_REQUESTS; i++)
		is_written = is_written ||
			(sim_requests[i].state != REQUEST_NONE &&
				sim_requests[i].command == SIM_WRITE &&
				sim_requests[i].block == block);
	*r = (struct sim_request){.command = sim_chance(10) ? SIM_FLUSH :
			is_written || sim_chance(40)        ? SIM_READ :
							      SIM_WRITE,
		.block = block,
		.begun_ms = sim_now_ms};
	r->version = r->command == SIM_WRITE ? ++versions : sim_acknowledged[block];
	if (sim_driver.has_failed && !sim_driver.may_serve_wrong) {
		r->state = REQUEST_WAITING;
		fail_request(request, "the device has failed");
		return;
	}
	dispatch(request);
}

void sim_read_once(int request)
{
	int block = (int)sim_below(SIM_BLOCKS);

	sim_requests[request] = (struct sim_request){.command = SIM_READ,
		.block = block,
		.version = sim_acknowledged[block],
		.begun_ms = sim_now_ms};
	if (sim_driver.is_configured && !sim_driver.has_failed)
		dispatch(request);
}

/* --- commands (netlink.c) */

static bool is_ours(const char *backend)
{
	return sim_driver.is_configured && !sim_driver.is_foreign &&
		strcmp(sim_driver.backend, backend) == 0;
}

static void give(int at, int socket)
{
	struct sim_slot *slot = &sim_driver.slots[at];

	if (slot->socket != SIM_NONE) {
		sim_sockets[slot->socket].driver_references--;
		sim_sockets[slot->socket].descriptors++; /* dropped at once */
		sim_drop_reference(slot->socket);
	}
	sim_sockets[socket].driver_references++;
	slot->socket = socket;
	slot->is_dead = slot->is_dying = false;
	if (slot->has_receiver && sim_sockets[slot->receives_from].is_used &&
		sim_sockets[slot->receives_from].unread)
		sim_violation("slot %d is given a socket while its receiver is in the middle of an "
			      "answer",
			at);
	begin_receiver(at);
}

int sim_driver_connect(const struct sim_message *message)
{
	if (sim_driver.is_configured)
		return -EBUSY;
	sim_driver = (struct sim_driver){.is_configured = true,
		.slot_count = message->fd_count,
		.dead_timeout_ms = (int64_t)message->dead_timeout_sec * 1000,
		.io_timeout_ms = 30000,
		.size_bytes = message->size_bytes,
		.outages = sim_driver.outages};
	snprintf(sim_driver.backend, sizeof(sim_driver.backend), "%s", message->backend);
	for (unsigned i = 0; i < message->fd_count; i++) {
		int socket;

		if (sim_kind_of(message->fds[i], &socket) != SIM_SOCKET)
			sim_violation("CONNECT gets what is no connection");
		sim_driver.slots[i].socket = SIM_NONE;
		sim_check_socket_given(socket);
		give((int)i, socket);
	}
	sim_note("CONNECT with %u sockets", message->fd_count);
	return 0;
}

/* Into a dead slot, or nowhere, and it does not say (kernel fact slot-taken). */
static void take_socket(int fd)
{
	int socket;

	if (sim_kind_of(fd, &socket) == SIM_CLOSED)
		sim_violation("RECONFIGURE with a closed descriptor %d", fd);
	if (!sim_sockets[socket].is_pair)
		sim_check_socket_given(socket);
	for (unsigned i = 0; i < sim_driver.slot_count; i++) {
		if (!sim_driver.slots[i].is_dead)
			continue;
		sim_note("slot %u takes connection %d", i, socket);
		sim_weather_note_hand_over();
		if (!sim_sockets[socket].is_pair && sim_driver.has_failed)
			sim_violation("a device that has failed is given a connection again");
		give((int)i, socket);
		wake_all();
		return;
	}
	sim_note("connection %d is dropped", socket);
	sim_weather_note_hand_over();
}

/* It waits for what is in flight (kernel fact size-freezes-queue), which may be for ever. */
static void take_size(uint64_t size_bytes)
{
	if (sim_config.waits_for_size && !sim_config.is_root)
		for (int i = 0; i < SIM_REQUESTS; i++)
			if (sim_requests[i].state == REQUEST_SENT &&
				sim_now_ms - sim_requests[i].sent_ms > 1000)
				sim_blocks("a new size waits for an old request");
	sim_driver.size_bytes = size_bytes;
}

/* A device without an identifier takes what it is told by anybody
 * (kernel fact identifier-compared). */
int sim_driver_reconfigure(const struct sim_message *message)
{
	bool asks_for_something = message->fd_count || message->size_bytes ||
		message->has_dead_timeout || message->has_flags || message->has_timeout;

	if (!sim_driver.is_configured ||
		(!sim_driver.is_foreign && strcmp(message->backend, sim_driver.backend) != 0))
		return -EINVAL;
	if (sim_driver.is_foreign && asks_for_something)
		sim_violation("another's device is reconfigured");
	if (message->size_bytes)
		take_size(message->size_bytes);
	if (message->has_dead_timeout)
		sim_driver.dead_timeout_ms = (int64_t)message->dead_timeout_sec * 1000;
	if (message->has_dead_timeout && message->dead_timeout_sec == 0) {
		if (!message->fd_count || sim_kind_of(message->fds[0], NULL) != SIM_PAIR)
			sim_violation(
				"a dead-connection timeout of 0 for a device that is to serve");
		fail_all("the supervisor gives it up");
		return 0;
	}
	if (message->fd_count)
		take_socket(message->fds[0]);
	return 0;
}

void sim_driver_disconnect(void)
{
	if (sim_driver.is_foreign)
		sim_violation("another's device is disconnected");
	if (!sim_driver.is_configured)
		return;
	sim_note("DISCONNECT");
	for (int i = 0; i < SIM_REQUESTS; i++)
		sim_requests[i].state = REQUEST_NONE;
	sim_driver.is_configured = false;
	sim_driver.log_disconnect = true;
	for (unsigned i = 0; i < sim_driver.slot_count; i++) {
		int socket = sim_driver.slots[i].socket;

		sim_driver.slots[i].has_receiver = false;
		if (socket == SIM_NONE)
			continue;
		sim_driver.slots[i].socket = SIM_NONE;
		if (!sim_sockets[socket].is_shut && !sim_sockets[socket].is_pair)
			sim_shut(socket);
		sim_sockets[socket].driver_references--;
		sim_sockets[socket].descriptors++;
		sim_drop_reference(socket);
	}
	sim_driver.slot_count = 0;
}

void sim_driver_foreign_takes_over(void)
{
	sim_driver_disconnect();
	sim_note("the device is somebody else's now");
	sim_driver.is_configured = sim_driver.is_foreign = true;
	*sim_driver.backend = 0;
}

/* --- what /sys shows */

bool block_is_configured(int index)
{
	return index == SIM_INDEX && sim_driver.is_configured;
}

bool block_exists(int index)
{
	return index == SIM_INDEX;
}

bool block_backend_is(int index, const char *backend)
{
	sim_point();
	return index == SIM_INDEX && is_ours(backend);
}

uint64_t block_in_flight_count(int index)
{
	uint64_t count = 0;

	(void)index;
	for (int i = 0; i < SIM_REQUESTS; i++)
		count += sim_requests[i].state == REQUEST_SENT &&
			sim_requests[i].command != SIM_FLUSH;
	return count;
}

bool block_in_flight(int index)
{
	return block_in_flight_count(index) > 0;
}

uint64_t block_answered_count(int index)
{
	(void)index;
	return sim_driver.completed - sim_driver.completed_flushes;
}

uint64_t block_completed_count(int index)
{
	(void)index;
	return sim_driver.completed;
}

bool block_has_attr(int index, const char *name)
{
	unsigned at;

	(void)index;
	return sscanf(name, "mq/%u", &at) == 1 && at < sim_driver.slot_count;
}

int block_attr_read_u64(int index, const char *attribute, uint64_t *value)
{
	(void)index;
	if (strncmp(attribute, "queue/", 6) == 0)
		sim_blocks(attribute);
	if (strcmp(attribute, "size") == 0)
		*value = sim_driver.size_bytes / 512;
	else if (strcmp(attribute, "queue/logical_block_size") == 0)
		*value = 512;
	else
		*value = 0;
	return 0;
}

int block_attr_read(int index, const char *attribute, char *buf, size_t size)
{
	(void)index;
	if (strncmp(attribute, "queue/", 6) == 0)
		sim_blocks(attribute);
	if (strcmp(attribute, "backend") == 0) {
		snprintf(buf, size, "%s", sim_driver.backend);
		return 0;
	}
	return -ENOENT;
}

int block_list_devices(int **indices, size_t *count)
{
	*indices = NULL;
	*count = 0;
	return 0;
}

/* --- the kernel's log */

static void count(struct kernel_log *log)
{
	log->error_replies = sim_driver.error_replies;
	log->stuck = sim_driver.stuck;
	log->receivers_ended = sim_driver.receivers_ended;
	log->last_error = sim_driver.last_error;
	log->io_failed = sim_driver.log_io_failed;
	log->disconnect = sim_driver.log_disconnect;
}

/* Counts are from now on: what was before is taken off at each reading. */
static struct kernel_log before;

int kmsg_open(struct kernel_log *log, int index)
{
	*log = (struct kernel_log){.fd = -1, .index = index};
	if (!sim_config.has_log)
		return -EPERM;
	before = (struct kernel_log){0};
	count(&before);
	before.io_failed = false;
	log->fd = sim_open(SIM_LOG, 0);
	return 0;
}

int kmsg_open_past(struct kernel_log *log, int index)
{
	int rc = kmsg_open(log, index);

	log->io_failed = log->fd >= 0 && sim_driver.log_io_failed;
	return rc;
}

static struct kernel_log last_read;

bool sim_log_is_readable(void)
{
	struct kernel_log now = last_read;

	count(&now);
	return memcmp(&now, &last_read, sizeof(now)) != 0;
}

bool kmsg_read(struct kernel_log *log)
{
	struct kernel_log now = *log;
	bool is_new;

	sim_point();
	if (log->fd < 0)
		return false;
	count(&last_read);
	count(&now);
	now.error_replies -= before.error_replies;
	now.stuck -= before.stuck;
	now.receivers_ended -= before.receivers_ended;
	is_new = now.error_replies != log->error_replies || now.stuck != log->stuck ||
		now.receivers_ended != log->receivers_ended || now.io_failed != log->io_failed;
	*log = now;
	return is_new;
}

void kmsg_close(struct kernel_log *log)
{
	if (log->fd >= 0)
		sim_close(log->fd);
	log->fd = -1;
}

void sim_driver_begin(void)
{
	sim_driver = (struct sim_driver){0};
	memset(sim_requests, 0, sizeof(sim_requests));
	is_frozen = false;
}
