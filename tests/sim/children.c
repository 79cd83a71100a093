/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The children of a supervisor, and those of them that are jobs. */
#include "child.h"
#include "child/probe.h"
#include "child/reaper.h"
#include "device/detach.h"
#include "device/queue.h"
#include <errno.h>
#include <string.h>

#define CHILDREN 64

static struct sim_child children[CHILDREN];

struct sim_child *sim_child(int id)
{
	return &children[id];
}

void sim_children_begin(void)
{
	memset(children, 0, sizeof(children));
}

bool sim_child_is_readable(int id)
{
	return children[id].is_done;
}

void sim_child_finish(int id, int rc)
{
	if (children[id].is_used && !children[id].is_done) {
		children[id].rc = rc;
		children[id].is_done = true;
	}
}

int sim_child_new(enum child_kind kind)
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

void sim_child_forget(int id)
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
			sim_child_forget(i);
}

bool sim_child_is_current(int id, int generation)
{
	return children[id].is_used && children[id].generation == (unsigned)generation;
}

/* The queue is empty when all is answered that was there before; then once more. */
static void step_drain(int id, int generation)
{
	if (!sim_child_is_current(id, generation) || children[id].is_done)
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
	sim_child_finish(id, 0);
}

int queue_drain_start(struct job *job, int index, struct error *err)
{
	int id = sim_child_new(CHILD_DRAIN);

	(void)index;
	(void)err;
	job->child.pid = 1 + id;
	children[id].left = 2;
	sim_freeze(true);
	sim_at(sim_now_ms + sim_delay_ms(3, 30), step_drain, id, (int)children[id].generation);
	return 0;
}

/* A read of its own, over whatever link the driver takes. */
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

	if (!sim_child_is_current(id, generation) || child->is_done)
		return;
	if (!sim_driver.is_configured || sim_driver.has_failed)
		sim_child_finish(id, -EIO);
	else if (child->is_begun && sim_requests[child->request].state == REQUEST_NONE)
		sim_child_finish(id, sim_requests[child->request].has_failed ? -EIO : 0);
	else if (!child->is_begun)
		child->is_begun = begin_read(id);
	sim_at(sim_now_ms + 2, step_probe, id, generation);
}

int probe_start(struct job *job, const struct probe *probe, struct error *err)
{
	int id = sim_child_new(CHILD_PROBE);

	(void)probe;
	(void)err;
	job->child.pid = 1 + id;
	sim_at(sim_now_ms + sim_delay_ms(5, 50), step_probe, id, (int)children[id].generation);
	return 0;
}

static void step_job(int id, int generation)
{
	bool was_in_child = sim_life.is_in_child;

	if (!sim_child_is_current(id, generation) || children[id].is_done)
		return;
	sim_life.is_in_child = true;
	sim_child_finish(id, children[id].function(children[id].argument, &children[id].err));
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
	int id = sim_child_new(function == device_detach_job ? CHILD_DETACH : CHILD_JOB);

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
	sim_child_forget(job->child.pid - 1);
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
