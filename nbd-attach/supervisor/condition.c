/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/condition.h"
#include "base/clock.h"
#include "output/log.h"
#include <stdio.h>
#include <string.h>

const char *condition_state(const struct machine *machine)
{
	if (machine->phase == PHASE_FAILED)
		return "failed";
	if (machine_is_serving(machine))
		return "alive";
	return machine->is_refused ? "stopped" : "reconnecting";
}

void condition_init(struct condition *condition, const struct attachment *attachment,
	const struct machine *machine, struct manager *manager)
{
	*condition = (struct condition){
		.attachment = attachment, .machine = machine, .manager = manager, .lost_at_ms = -1};
}

void condition_begin(struct condition *condition)
{
	const struct machine *machine = condition->machine;

	condition->state = condition_state(machine);
	condition->since_ms = boot_now_ms();
	if (machine->outage_since_ms >= 0)
		condition->since_ms -= monotonic_now_ms() - machine->outage_since_ms;
}

static void tell_failed(const struct condition *condition)
{
	if (condition->machine->is_shutting_down)
		log_message(LOG_CRIT,
			"/dev/nbd%d: the machine shuts down and the server is away: I/O fails from "
			"now on, and what was not written is lost (%s)",
			condition->attachment->index, condition->reason);
	else
		log_message(LOG_CRIT,
			"/dev/nbd%d: the server was away for longer than --dead-timeout %lld s: "
			"I/O fails from now on, and what was not written is lost (%s)",
			condition->attachment->index,
			(long long)condition->attachment->policy.dead_timeout_sec,
			condition->reason);
}

static bool is_any_lost(const struct machine *machine)
{
	for (unsigned i = 0; i < machine->link_count; i++)
		if (!machine_link_is_up(&machine->links[i]))
			return true;
	return false;
}

void condition_tell(struct condition *condition)
{
	const char *state = condition_state(condition->machine);
	char line[900];

	if (!is_any_lost(condition->machine))
		condition->lost_at_ms = -1;
	if (condition->state == state)
		return;
	condition->state = state;
	condition->since_ms = boot_now_ms();
	if (condition->machine->phase == PHASE_FAILED)
		tell_failed(condition);
	if (strcmp(state, "alive") == 0)
		attachment_describe(condition->attachment, line, sizeof(line));
	else
		snprintf(line, sizeof(line), "/dev/nbd%d: %s%s%s", condition->attachment->index,
			state, *condition->reason ? ": " : "", condition->reason);
	manager_status(condition->manager, line);
}

void condition_set_reason(struct condition *condition, const char *reason)
{
	snprintf(condition->reason, sizeof(condition->reason), "%s", reason);
}

void condition_note(
	struct condition *condition, int priority, const char *what, const struct error *err)
{
	if (strcmp(condition->reason, err->text) != 0)
		log_message(priority, "/dev/nbd%d: %s%s%s%s", condition->attachment->index, what,
			err->text, *err->hint ? "; " : "", err->hint);
	condition_set_reason(condition, err->text);
}

bool condition_lost(struct condition *condition, unsigned at)
{
	if (condition->lost_at_ms >= 0)
		return false;
	condition->lost_at_ms = monotonic_now_ms();
	memcpy(condition->lost_address, condition->attachment->links[at].address,
		sizeof(condition->lost_address));
	return true;
}

void condition_tell_lost(const struct condition *condition)
{
	if (condition->lost_at_ms >= 0)
		log_message(LOG_WARNING, "/dev/nbd%d: the connection to %s is lost; reconnecting",
			condition->attachment->index, condition->lost_address);
}

void condition_proven(struct condition *condition, unsigned at, bool is_renewal)
{
	const struct attachment *attachment = condition->attachment;
	int64_t now_ms = monotonic_now_ms(),
		ms = condition->lost_at_ms < 0 ? 0 : now_ms - condition->lost_at_ms;

	if (is_renewal)
		log_message(LOG_INFO, "/dev/nbd%d: the link to %s was renewed", attachment->index,
			attachment->links[at].address);
	else
		log_message(LOG_NOTICE, "/dev/nbd%d: reconnected to %s after %lld.%lld s",
			attachment->index, attachment->links[at].address, (long long)(ms / 1000),
			(long long)(ms % 1000 / 100));
	/* there may be more to bring back */
	condition->lost_at_ms = is_any_lost(condition->machine) ? now_ms : -1;
	*condition->reason = 0;
}
