/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of an offer for a device of which no offer is known: adopted without a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "fake-root.h"
#include "nbd/nbd-protocol.h"
#include "supervisor/spare.h"

#define SIZE_BYTES (1 << 20)

static struct attachment attachment;
static struct engine engine;
static struct condition condition;
static struct growth growth;
static struct spare spare;
static struct loop loop;

static void carry_out(void *self, const struct machine_action *action)
{
	(void)self;
	(void)action;
}

static void settled(void *self)
{
	(void)self;
}

static void begin(void)
{
	struct machine_config config = {.dead_timeout_ms = -1};
	struct engine_owner owner = {carry_out, settled, NULL};

	assert_int_equal(fake_root_make(), 0);
	fake_root_put("/sys/block/nbd7/backend", "ours\n");
	fake_root_put("/sys/block/nbd7/pid", "1\n");
	attachment = (struct attachment){.index = 7,
		.backend = "ours",
		.link_count = 1,
		.export = {.has_size = true, .size_bytes = SIZE_BYTES}};
	strcpy(attachment.endpoint.socket_path, "/nobody/listens/here");
	attachment.policy.connect_timeout_ms = 1000;
	loop_init(&loop);
	machine_init(&engine.machine, &config, 1);
	engine_init(&engine, &owner, &loop);
	condition_init(&condition, &attachment, &engine.machine, NULL);
	growth.attachment = &attachment;
	growth.engine = &engine;
	spare_init(&spare, &attachment, &engine, &condition, &growth, &loop);
}

/* A negotiator that has ended with this in place of the one that was started. */
static void offer(const char *description, uint64_t size_bytes)
{
	struct negotiation *negotiation = &spare.negotiation;
	siginfo_t info;

	engine.machine.work = WORK_NEGOTIATE;
	spare_negotiate(&spare, 0, false);
	assert_true(negotiation_is_running(negotiation));
	assert_non_null(negotiation->job.names);
	strcpy(negotiation->job.names->description, description);
	negotiation_cancel(negotiation);
	negotiation->child = (struct child){.pid = fork(),
		.pidfd = -1,
		.channel = -1,
		.deadline_ms = monotonic_now_ms() + 1000};
	if (negotiation->child.pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)negotiation->child.pid, &info, WEXITED | WNOWAIT), 0);
	negotiation->state = NEGOTIATION_HAS_SPOKEN;
	negotiation->result = (struct negotiation_result){.export = {.has_size = true,
								  .size_bytes = size_bytes,
								  .flags = NBD_TFLAG_HAS_FLAGS},
		.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	spare.child.call(spare.child.owner, 0);
}

static void an_offer_that_is_refused_names_nothing(void **state)
{
	(void)state;
	begin();
	offer("somebody else's", SIZE_BYTES / 2);
	assert_int_equal(spare.link.fd, -1);
	assert_false(attachment.export_known);
	assert_string_equal(attachment.names.description, "");
	offer("ours", SIZE_BYTES);
	assert_true(spare.link.fd >= 0);
	assert_true(attachment.export_known);
	assert_string_equal(attachment.names.description, "ours");
	spare_drop(&spare);
	fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_offer_that_is_refused_names_nothing),
	};

	return cmocka_run_group_tests_name("spare", tests, NULL, NULL);
}
