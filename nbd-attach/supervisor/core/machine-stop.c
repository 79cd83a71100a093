/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How it ends. Told to, we take the device along if nobody uses it, and otherwise leave it to the
 * kernel rather than pull a disk from under a file system. */
#include "supervisor/core/machine-step.h"

/* what comes in while the device begins to fail has to be failed once more */
#define FAILED_LINGER_MS 3000

static void limit_outage(struct machine *machine, int64_t limit_ms)
{
	if (machine->config.dead_timeout_ms < 0 || machine->config.dead_timeout_ms > limit_ms)
		machine->config.dead_timeout_ms = limit_ms;
}

void machine_stop_limit_next_outage(struct machine *machine)
{
	if (machine->is_shutting_down)
		limit_outage(machine, MACHINE_SHUTDOWN_MS);
}

/* What waits for a server that is away would hold up the shutdown for the whole dead-timeout. */
void machine_stop_on_shutdown(struct step *step)
{
	struct machine *machine = step->machine;
	int64_t outage_ms =
		machine->outage_since_ms < 0 ? 0 : step->event->now_ms - machine->outage_since_ms;

	if (!machine->is_shutting_down)
		limit_outage(machine, outage_ms + MACHINE_SHUTDOWN_MS);
	machine->is_shutting_down = true;
}

static void leave(struct step *step)
{
	step_release_work(step);
	step_act(step, ACTION_LEAVE, 0);
	step->machine->phase = PHASE_LEFT;
}

static void detach(struct step *step, enum machine_action_type how)
{
	step->machine->stop = STOP_DETACHING;
	step_act(step, how, 0);
}

/* For the end of the outage, if it is one. */
static void wait_for_service(struct step *step)
{
	step->machine->stop = STOP_WAITING;
	machine_outage_ask(step);
}

static void decide(struct step *step)
{
	struct machine *machine = step->machine;

	if (machine_is_serving(machine))
		detach(step, ACTION_DETACH);
	else if ((machine->is_shutting_down || machine->config.is_isolated) &&
		machine->phase == PHASE_RUNNING)
		/* At shutdown somebody hangs in I/O, or the unmount would have come before this;
		 * only we can end that before the driver's time is over. And what is to start a
		 * successor may have to be read from this very disk first. */
		wait_for_service(step);
	else if (machine->is_shutting_down)
		/* It is of no use any more, but systemd would wait for its unit to disappear. */
		detach(step, ACTION_DETACH_FORCED);
	else
		leave(step);
}

void machine_stop_on_stop(struct step *step)
{
	if (step->machine->stop == STOP_NONE)
		decide(step);
}

void machine_stop_on_detached(struct step *step)
{
	if (step->machine->stop != STOP_DETACHING)
		return;
	if (step->event->detached == DETACHED_NOT) {
		leave(step);
		return;
	}
	/* somebody else's: there is nothing to leave */
	step_release_work(step);
	step->machine->phase = PHASE_LEFT;
}

static bool is_outage_over(const struct machine *machine, int64_t now_ms)
{
	return machine_is_serving(machine) ||
		(machine->phase == PHASE_FAILED &&
			now_ms >= machine->failed_since_ms + FAILED_LINGER_MS);
}

void machine_stop_advance(struct step *step)
{
	if (step->machine->stop == STOP_WAITING &&
		is_outage_over(step->machine, step->event->now_ms))
		decide(step);
}

int64_t machine_stop_deadline_ms(const struct machine *machine)
{
	return machine->stop == STOP_WAITING && machine->phase == PHASE_FAILED ?
		machine->failed_since_ms + FAILED_LINGER_MS :
		-1;
}

bool machine_is_over(const struct machine *machine)
{
	return machine->phase == PHASE_LEFT || machine->phase == PHASE_ENDED;
}
