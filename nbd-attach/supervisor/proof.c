/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/proof.h"
#include "kernel/block-attr.h"
#include "output/log.h"
#include <errno.h>
#include <string.h>

/* A Unix socket counts nothing; but what the device gets done is done over it, if no other is known
 * to serve. */
bool proof_has_moved(
	const struct attachment *attachment, const struct machine *machine, unsigned at)
{
	const struct link *link = &attachment->links[at];

	if (link_is_tcp(link))
		return link_has_moved(link);
	for (unsigned i = 0; i < machine->link_count; i++)
		if (i != at && machine_link_is_up(&machine->links[i]) &&
			machine->links[i].state != LINK_UNPROVEN)
			return false;
	return block_completed_count(attachment->index) > link->base.completed;
}

static unsigned sample_link(struct proof *proof, unsigned at)
{
	struct link *link = &proof->attachment->links[at];
	unsigned facts = (link_is_tcp(link) ? FACT_COUNTED : 0) |
		(link_was_used(link) ? FACT_USED : 0) |
		(proof_has_moved(proof->attachment, &proof->engine->machine, at) ? FACT_MOVED : 0);
	struct error err;

	if (link_prove(link, &err) == -EPROTO) {
		condition_note(proof->condition, LOG_CRIT, "", &err);
		facts |= FACT_IN_CLEAR;
	}
	return facts;
}

static void on_probe(void *owner, short revents)
{
	struct proof *proof = owner;
	const struct machine *machine = &proof->engine->machine;
	unsigned at = machine->work == WORK_PROVE ? machine->work_link : 0;
	int rc = job_step(&proof->probe, NULL);

	(void)revents;
	if (rc == 1)
		return;
	loop_watch(&proof->source, -1, 0);
	/* A failure that came from the server is an answer. Any other moved nothing. */
	if (rc < 0 && machine->work == WORK_PROVE)
		log_message(LOG_WARNING, "/dev/nbd%d: a read of the first block fails: %s",
			proof->attachment->index, strerror(-rc));
	engine_tell(proof->engine,
		&(struct machine_event){.type = EVENT_PROBED,
			.link = at,
			.facts = sample_link(proof, at) | (rc == 0 ? FACT_DONE : 0) |
				(proof->losses == machine->losses ? FACT_RECENT : 0)});
}

void proof_init(struct proof *proof, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct loop *loop)
{
	*proof = (struct proof){.attachment = attachment, .engine = engine, .condition = condition};
	loop_add(loop, &proof->source, LOOP_CHILD, on_probe, proof);
}

void proof_probe(struct proof *proof)
{
	struct probe probe = attachment_probe(proof->attachment);
	struct error err;

	/* One that hangs from a former link will be done by this one as well as a new one would. Of
	 * several links it may hang on one while another serves, which the log or the sockets tell.
	 * Without either such a device counts as away: SIM_WORLD="link_count=2 has_log=0
	 * has_manager=0 has_sock_diag=0" make sim. */
	if (job_is_running(&proof->probe))
		return;
	proof->losses = proof->engine->machine.losses;
	if (probe_start(&proof->probe, &probe, &err))
		condition_note(proof->condition, LOG_ERR, "cannot prove the new link: ", &err);
	loop_watch(&proof->source, job_poll_fd(&proof->probe), POLLIN);
}

void proof_sample(struct proof *proof, unsigned at)
{
	engine_tell_outcome(proof->engine,
		&(struct machine_event){
			.type = EVENT_SAMPLED, .link = at, .facts = sample_link(proof, at)});
}

void proof_offer_again(struct proof *proof, unsigned at)
{
	struct attachment *attachment = proof->attachment;
	struct nbd_genl_reconfigure params = {.index = attachment->index,
		.backend_identifier = attachment->backend,
		.fd = attachment->links[at].fd};

	if (nbd_genl_reconfigure(&attachment->genl, &params, NULL) == -ENOTCONN)
		engine_outcome(proof->engine, EVENT_GONE, 0);
}

void proof_close(struct proof *proof)
{
	loop_remove(&proof->source);
	job_abandon(&proof->probe);
}
