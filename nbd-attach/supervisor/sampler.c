/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/sampler.h"
#include "base/clock.h"
#include "isolate/isolate.h"
#include "device/queue.h"
#include "output/log.h"
#include "kernel/block-attr.h"
#include <errno.h>
#include <stdio.h>

#define RECEIVER_LOST_MS 1000 /* as a rule its link hangs up at once */
#define OUTAGE_SETTLED_MS 500 /* what was answered before it began is done */
#define OUTAGE_SAMPLE_MS 4000 /* so exactly is its beginning known */
#define QUEUE_CHECK_MS 60000
#define TLS_RECORD_MAX (5 + 16384 + 256) /* RFC 8446, 5.2 */

/* Bytes, records, and what is owed. A Unix socket does not tell what it has carried. */
static int sample_link(
	const struct sampler *sampler, unsigned at, struct sampling_input *sample, int *lost_ms)
{
	const struct attachment *attachment = sampler->attachment;
	const struct link *link = &attachment->links[at];
	struct link_sample now;
	int rc = link_sample(link, &now);

	if (rc < 0)
		return rc;
	if (!link_is_tcp(link))
		now.received_bytes = block_completed_count(attachment->index);
	*sample = (struct sampling_input){
		.sent_bytes = now.sent_bytes,
		.received_bytes = now.received_bytes,
		.records = now.transmitted > now.received ? now.transmitted : now.received,
		.record_limit = link_record_limit(link, attachment->policy.rekey_records),
		.owed = now.owed,
	};
	*lost_ms = now.lost_ms;
	return 0;
}

static void tell_silence(struct sampler *sampler, unsigned at, bool silent)
{
	const struct attachment *attachment = sampler->attachment;
	const struct link *link = &attachment->links[at];

	if (silent && sampler->engine->machine.links[at].silence == SILENCE_SLOW &&
		!sampler->silence_told[at]) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: still waiting for %s, which answers a new connection: a "
			"request takes long",
			attachment->index, link->address);
		sampler->silence_told[at] = true;
	}
	if (!silent && sampler->silence_told[at])
		log_message(LOG_NOTICE, "/dev/nbd%d: %s has answered", attachment->index,
			link->address);
	sampler->silence_told[at] = sampler->silence_told[at] && silent;
}

static void note_moved(struct sampler *sampler, unsigned at)
{
	const struct link *link = &sampler->attachment->links[at];

	engine_tell(sampler->engine,
		&(struct machine_event){.type = EVENT_MOVED,
			.link = at,
			.facts = link_is_tcp(link) ? FACT_COUNTED : 0});
}

/* What the verdict means for a link that carries what it should. */
static void judge_silence(struct sampler *sampler, unsigned at, unsigned verdict)
{
	const struct attachment *attachment = sampler->attachment;
	const struct link *link = &attachment->links[at];
	const struct machine_link *state = &sampler->engine->machine.links[at];

	tell_silence(sampler, at, verdict & SAMPLING_SILENT);
	if (verdict & SAMPLING_OVERTIME) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: %s has not answered a request within --request-timeout %lld "
			"s: closing this connection",
			attachment->index, link->address,
			(long long)attachment->policy.request_timeout_sec);
		engine_event(sampler->engine, EVENT_BROKEN, at);
	} else if (verdict & SAMPLING_SILENT) {
		if (state->silence == SILENCE_NONE)
			log_message(LOG_WARNING,
				"/dev/nbd%d: %s has not answered for %d s and requests wait: "
				"asking it over another connection",
				attachment->index, link->address,
				attachment->policy.liveness_timeout_ms / 1000);
		engine_event(sampler->engine, EVENT_SILENT, at);
	} else if (state->silence != SILENCE_NONE) {
		engine_event(sampler->engine, EVENT_ANSWERED, at);
		/* A Unix socket has no counters of its own (link_has_moved()); what was answered is
		 * answered by it, if it is the only one. */
		if (!link_is_tcp(link) && attachment->link_count == 1 &&
			state->state == LINK_UNPROVEN)
			note_moved(sampler, at);
	}
}

/* The silence is on our side: answers have come, and the driver takes none of them. An incomplete
 * TLS record waits for its rest, more than one does not. VERDICT: of this sample; twice in a row
 * the same is left. */
static bool is_left_unread(struct sampler *sampler, unsigned at, unsigned verdict)
{
	const struct link *link = &sampler->attachment->links[at];
	int unread_bytes, before = sampler->unread_bytes[at];

	sampler->unread_bytes[at] = 0;
	if (!(verdict & SAMPLING_SILENT))
		return false;
	unread_bytes = link_unread_bytes(link);
	if (unread_bytes <= (link->tls.version ? TLS_RECORD_MAX : 0))
		return false;
	sampler->unread_bytes[at] = unread_bytes;
	return unread_bytes == before;
}

/* Is it of no use any more, whatever it owes? Says why. A receiver that has met a reply which it
 * does not know ends, and then may wait for a sender that waits for room, while the server waits
 * for somebody to read: nothing moves any more, and nobody hangs up. */
static bool is_broken(struct sampler *sampler, unsigned at, unsigned verdict, int lost_ms)
{
	const struct attachment *attachment = sampler->attachment;
	struct link *link = &sampler->attachment->links[at];
	struct error err;

	if (lost_ms >= attachment->policy.liveness_timeout_ms) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: the path to %s is dead: nothing was acknowledged for %d s; "
			"closing this connection",
			attachment->index, link->address, lost_ms / 1000);
		return true;
	}
	if (receivers_have_lost(sampler->receivers, at, verdict & SAMPLING_SILENT) ||
		is_left_unread(sampler, at, verdict)) {
		log_message(LOG_WARNING,
			"/dev/nbd%d: the driver reads no more from %s: closing this connection",
			attachment->index, link->address);
		return true;
	}
	if (link_prove(link, &err) != -EPROTO)
		return false;
	condition_note(sampler->condition, LOG_CRIT, "", &err);
	return true;
}

/* Returns whether it owes something. */
static bool sample_and_judge(struct sampler *sampler, unsigned at)
{
	const struct machine_link *state = &sampler->engine->machine.links[at];
	struct sampling_input sample;
	unsigned verdict;
	int lost_ms = 0;

	if (!machine_link_is_up(state) || sample_link(sampler, at, &sample, &lost_ms) < 0)
		return false;
	verdict = sampling_link(&sampler->sampling, at, &sample, monotonic_now_ms());
	if (is_broken(sampler, at, verdict, lost_ms)) {
		engine_event(sampler->engine, EVENT_BROKEN, at);
		return sample.owed;
	}
	if (verdict & SAMPLING_REKEY_NOW)
		engine_event(sampler->engine, EVENT_REKEY_NOW, at);
	else if (verdict & SAMPLING_REKEY)
		engine_event(sampler->engine, EVENT_REKEY, at);
	judge_silence(sampler, at, verdict);
	if (state->state == LINK_UNPROVEN && link_has_moved(&sampler->attachment->links[at]))
		note_moved(sampler, at);
	return sample.owed;
}

/* --- what somebody else has set of the queue: a rule of the distribution's, or a hand, at any
 * time. Checked in a process of its own, since reading an attribute there waits for a process
 * that writes one, and that one for what is in flight (kernel fact queue-read-waits). Put right by
 * udev's rule, or by nobody. */

#define NO_IOSTATS 1
#define HAS_SCHEDULER 2

static int check_queue(const void *argument, struct error *err)
{
	int index = *(const int *)argument;

	(void)err;
	return -((queue_has_iostats(index) ? 0 : NO_IOSTATS) |
		(queue_has_scheduler_none(index) ? 0 : HAS_SCHEDULER));
}

static void start_queue_check(struct sampler *sampler)
{
	int64_t now_ms = monotonic_now_ms();

	if (isolate_is_entered() || job_is_running(&sampler->queue_check) ||
		now_ms < sampler->queue_check_at_ms)
		return;
	sampler->queue_check_at_ms = now_ms + QUEUE_CHECK_MS;
	(void)job_start(&sampler->queue_check, check_queue, &sampler->attachment->index, -1, NULL);
	loop_watch(&sampler->checking, job_poll_fd(&sampler->queue_check), POLLIN);
}

static void on_queue_checked(void *owner, short revents)
{
	struct sampler *sampler = owner;
	int rc = job_step(&sampler->queue_check, NULL), index = sampler->attachment->index;
	bool no_iostats = rc < 0 && -rc & NO_IOSTATS, scheduler = rc < 0 && -rc & HAS_SCHEDULER;

	(void)revents;
	if (rc > 0)
		return;
	loop_watch(&sampler->checking, -1, 0);
	if (-rc > (NO_IOSTATS | HAS_SCHEDULER)) /* it came to nothing */
		return;
	if (no_iostats && !sampler->iostats_told)
		log_message(LOG_WARNING,
			"/dev/nbd%d: somebody has set queue/iostats to 0: that a request waits is "
			"now told by TCP alone",
			index);
	if (scheduler && !sampler->scheduler_told)
		log_message(LOG_WARNING,
			"/dev/nbd%d: somebody has set an I/O scheduler: requests that signals "
			"interrupt may be sent in pieces that do not "
			"belong together; set it back: echo none > "
			"/sys/block/nbd%d/queue/scheduler",
			index, index);
	sampler->iostats_told = no_iostats;
	sampler->scheduler_told = scheduler;
}

static void sample_links(struct sampler *sampler)
{
	struct attachment *attachment = sampler->attachment;
	const struct machine *machine = &sampler->engine->machine;
	bool owed = false;

	sampling_begin(&sampler->sampling, block_in_flight(attachment->index), monotonic_now_ms());
	for (unsigned i = 0; i < attachment->link_count; i++)
		owed = sample_and_judge(sampler, i) || owed;
	/* Asked again at the last moment: what is sent before the link is shut waits for its
	 * timer. */
	if (!sampler->sampling.in_flight && !owed && machine_awaits_idle(machine) &&
		!block_in_flight(attachment->index))
		engine_event(sampler->engine, EVENT_IDLE, 0);
}

/* Without the kernel's log a driver that fails what waits is not told from one that serves. */
static bool is_failing_seen(const struct sampler *sampler)
{
	return sampler->receivers->log->kmsg.fd >= 0;
}

/* A link that nobody knows to serve may do so, and then cease to: the outage begins then. */
static void sample_outage(struct sampler *sampler)
{
	const struct machine *machine = &sampler->engine->machine;
	uint64_t completed;

	if (machine_is_serving(machine) || machine->phase != PHASE_RUNNING)
		return;
	if (monotonic_now_ms() < sampler->outage_settles_ms) {
		loop_call_by(&sampler->due, sampler->outage_settles_ms);
		return;
	}
	completed = block_completed_count(sampler->attachment->index);
	if (sampler->knows_completed && completed != sampler->completed) {
		engine_tell(sampler->engine,
			&(struct machine_event){.type = EVENT_SERVED,
				.facts = is_failing_seen(sampler) ? FACT_DONE : 0});
		/* This outage needs no time to settle. */
		loop_call_at(&sampler->due, monotonic_now_ms() + OUTAGE_SAMPLE_MS);
	}
	sampler->completed = completed;
	sampler->knows_completed = true;
	loop_call_by(&sampler->due, monotonic_now_ms() + OUTAGE_SAMPLE_MS);
}

static void on_due(void *owner, short revents)
{
	struct sampler *sampler = owner;
	const struct machine *machine = &sampler->engine->machine;

	(void)revents;
	driver_log_read(sampler->receivers->log);
	if (!engine_owns_device(sampler->engine, sampler->attachment))
		return;
	sample_outage(sampler);
	sample_links(sampler);
	start_queue_check(sampler);
	loop_call_by(&sampler->due,
		sampling_finish(
			&sampler->sampling, monotonic_now_ms(), machine_awaits_idle(machine)));
}

void sampler_init(struct sampler *sampler, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct receivers *receivers, struct loop *loop)
{
	const struct device_policy *policy = &attachment->policy;
	int64_t request_ms = policy->request_timeout_sec == POLICY_INFINITE_SEC ?
		-1 :
		policy->request_timeout_sec * 1000;

	*sampler = (struct sampler){.attachment = attachment,
		.engine = engine,
		.condition = condition,
		.receivers = receivers};
	sampling_init(&sampler->sampling, policy->liveness_timeout_ms, request_ms,
		(unsigned)attachment->link_count, monotonic_now_ms());
	loop_add(loop, &sampler->due, LOOP_TIME, on_due, sampler);
	loop_add(loop, &sampler->checking, LOOP_CHILD, on_queue_checked, sampler);
	loop_call_at(&sampler->due, monotonic_now_ms());
}

void sampler_sample_by(struct sampler *sampler, int64_t at_ms)
{
	loop_call_by(&sampler->due, at_ms);
}

void sampler_note_outage(struct sampler *sampler)
{
	sampler->knows_completed = false;
	sampler->outage_settles_ms = monotonic_now_ms() + OUTAGE_SETTLED_MS;
	sampler_sample_by(sampler, sampler->outage_settles_ms);
}

void sampler_sample_link(const struct sampler *sampler, unsigned at)
{
	const struct sampled_link *before = &sampler->sampling.links[at];
	struct sampling_input now;
	int lost_ms;
	bool has_moved = !machine_link_is_up(&sampler->engine->machine.links[at]) ?
		sampler->knows_completed && is_failing_seen(sampler) &&
			block_completed_count(sampler->attachment->index) != sampler->completed :
		before->known && sample_link(sampler, at, &now, &lost_ms) == 0 &&
			now.received_bytes != before->last.received_bytes;

	engine_tell_outcome(sampler->engine,
		&(struct machine_event){
			.type = EVENT_SAMPLED, .link = at, .facts = has_moved ? FACT_MOVED : 0});
}

void sampler_forget(struct sampler *sampler, unsigned at)
{
	sampling_forget(&sampler->sampling, at, monotonic_now_ms());
}

void sampler_note_stuck(struct sampler *sampler)
{
	sampling_stuck(&sampler->sampling, monotonic_now_ms());
	if (!sampler->sampling.active)
		sampler_sample_by(sampler, monotonic_now_ms());
}

void sampler_note_receiver(struct sampler *sampler)
{
	sampler_sample_by(sampler, monotonic_now_ms() + RECEIVER_LOST_MS);
}

void sampler_close(struct sampler *sampler)
{
	loop_remove(&sampler->due);
	loop_remove(&sampler->checking);
	job_abandon(&sampler->queue_check);
}
