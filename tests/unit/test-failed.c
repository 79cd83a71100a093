/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often the I/O of a failed device is failed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netlink/socket.h>
#include <string.h>
#include "base/clock.h"
#include "fake-root.h"
#include "supervisor/failed.h"

static void carry_out(void *self, const struct machine_action *action)
{
	(void)self;
	(void)action;
}

static void settled(void *self)
{
	(void)self;
}

static void io_is_failed_again_each_second_at_first(void **state)
{
	static struct attachment attachment;
	static struct engine engine;
	static struct condition condition;
	struct engine_owner owner = {carry_out, settled, NULL};
	struct failed failed;
	struct loop loop;

	(void)state;
	assert_int_equal(fake_root_make(), 0);
	attachment.genl.sock = nl_socket_alloc(); /* not connected: each message fails */
	attachment.index = 7;
	strcpy(attachment.backend, "ours");
	fake_root_put("/sys/block/nbd7/backend", "ours\n");
	fake_root_put("/sys/block/nbd7/pid", "1\n");
	loop_init(&loop);
	engine_init(&engine, &owner, &loop);
	condition_init(&condition, &attachment, &engine.machine, NULL);
	failed_init(&failed, &attachment, &engine, &condition, &loop);
	failed_begin(&failed);
	failed.again.call(failed.again.owner, 0);
	assert_true(failed.count == 1);
	assert_in_range(failed.again.at_ms - monotonic_now_ms(), 0, 1000);
	nl_socket_free(attachment.genl.sock);
	fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_is_failed_again_each_second_at_first),
	};

	return cmocka_run_group_tests_name("failed", tests, NULL, NULL);
}
