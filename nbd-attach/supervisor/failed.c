/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/failed.h"
#include "base/clock.h"
#include "output/log.h"
#include <unistd.h>

#define SOON_MS 1000
/* A device that has failed sends no notice when somebody detaches it. */
#define CHECK_MS 5000
#define AGAIN_COUNT 10

static void close_peer(struct failed *failed)
{
	if (failed->peer_fd >= 0)
		close(failed->peer_fd);
	failed->peer_fd = -1;
}

void failed_fail_io(struct failed *failed)
{
	int index = failed->attachment->index, peer_fd;
	struct error err;

	loop_call_at(&failed->again, monotonic_now_ms() + SOON_MS);
	if (attachment_fail_io(failed->attachment, &peer_fd, &err))
		log_message(LOG_CRIT, "/dev/nbd%d: cannot end the wait of its I/O: %s", index,
			err.text);
	if (peer_fd < 0)
		return;
	close_peer(failed);
	failed->peer_fd = peer_fd;
}

/* One may have been too early for the driver, as any hand-over, and have missed what waits. */
static void on_again(void *owner, short revents)
{
	struct failed *failed = owner;

	(void)revents;
	if (!engine_owns_device(failed->engine, failed->attachment))
		return;
	loop_call_at(&failed->again, monotonic_now_ms() + CHECK_MS);
	if (failed->count++ < AGAIN_COUNT)
		failed_fail_io(failed); /* and soon once more */
}

void failed_init(struct failed *failed, struct attachment *attachment, struct engine *engine,
	struct condition *condition, struct loop *loop)
{
	*failed = (struct failed){
		.attachment = attachment, .engine = engine, .condition = condition, .peer_fd = -1};
	loop_add(loop, &failed->again, LOOP_TIME, on_again, failed);
}

void failed_begin(struct failed *failed)
{
	if (!*failed->condition->reason)
		condition_set_reason(failed->condition, "the server did not come back");
	loop_call_at(&failed->again, monotonic_now_ms() + SOON_MS);
}

void failed_close(struct failed *failed)
{
	loop_remove(&failed->again);
	close_peer(failed);
}
