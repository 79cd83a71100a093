/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child of a supervisor: it ends at its time, and what it has done is known then. children.c has
 * those that are jobs, negotiations.c the others. */
#ifndef NBDA_SIM_CHILD
#define NBDA_SIM_CHILD
#include "child/job.h"
#include "child/negotiation.h"
#include "sim.h"

enum child_kind { CHILD_JOB, CHILD_PROBE, CHILD_DRAIN, CHILD_DETACH, CHILD_NEGOTIATION };

struct sim_child {
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
};

/* By the number that its process has, less one. */
struct sim_child *sim_child(int id);
int sim_child_new(enum child_kind kind);
/* Whom an event is for may be another one by then. */
bool sim_child_is_current(int id, int generation);
void sim_child_finish(int id, int rc);
/* With what it has made and nobody took. */
void sim_child_forget(int id);

#endif
