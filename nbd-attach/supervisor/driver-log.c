/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/driver-log.h"
#include "base/clock.h"
#include <poll.h>

#define MUTED_MS 250

static unsigned find_news(struct driver_log *log)
{
	const struct kernel_log *now = &log->kmsg, *seen = &log->seen;
	unsigned news = (now->stuck != seen->stuck ? DRIVER_IS_STUCK : 0) |
		(now->receivers_ended != seen->receivers_ended ? DRIVER_ENDED_RECEIVER : 0) |
		(now->error_replies != seen->error_replies ? DRIVER_GOT_ERROR_REPLY : 0) |
		(now->io_failed && !seen->io_failed ? DRIVER_HAS_FAILED_IO : 0);

	log->seen = *now;
	return news;
}

static bool read_log(struct driver_log *log)
{
	bool is_for_us = kmsg_read(&log->kmsg);
	unsigned news = find_news(log);

	if (news)
		log->tell(log->owner, news);
	return is_for_us;
}

void driver_log_read(struct driver_log *log)
{
	(void)read_log(log);
}

/* The kernel has much to say that is not for us: then it is not listened to for a moment. */
static void on_readable(void *owner, short revents)
{
	struct driver_log *log = owner;

	if (read_log(log) || !revents) {
		loop_watch(&log->source, log->kmsg.fd, POLLIN);
		return;
	}
	loop_watch(&log->source, -1, 0);
	loop_call_at(&log->source, monotonic_now_ms() + MUTED_MS);
}

void driver_log_open(struct driver_log *log, struct loop *loop, int index, bool is_adopted,
	driver_log_function *tell, void *owner)
{
	if (is_adopted)
		kmsg_open_past(&log->kmsg, index);
	else
		kmsg_open(&log->kmsg, index);
	log->seen = (struct kernel_log){
		.stuck = log->kmsg.stuck, .receivers_ended = log->kmsg.receivers_ended};
	log->tell = tell;
	log->owner = owner;
	loop_add(loop, &log->source, LOOP_LOG, on_readable, log);
	loop_watch(&log->source, log->kmsg.fd, POLLIN);
	loop_call_at(&log->source, monotonic_now_ms()); /* the past may have news, too */
}

void driver_log_close(struct driver_log *log)
{
	loop_remove(&log->source);
	kmsg_close(&log->kmsg);
}
