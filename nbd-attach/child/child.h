/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process of ours with a channel to it: started, listened to, kept to a deadline, killed or left
 * alone. Nothing here waits for it, since it may hang in the kernel, and nothing that it sends is
 * trusted, since it may have been taken over. */
#ifndef NBDA_CHILD_CHILD
#define NBDA_CHILD_CHILD
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* All zero: none runs. */
struct child {
	pid_t pid; /* 0: none, and the rest says nothing */
	int pidfd;
	int channel;         /* SOCK_SEQPACKET; -1: closed, and only its end is awaited */
	int64_t deadline_ms; /* monotonic; -1: none */
};

struct child_options {
	bool keeps_stdio; /* else it is /dev/null: somebody may be waiting for ours to be closed */
	bool dies_with_parent;
	int timeout_ms; /* -1: none */
};

/* In the child, the channel has this number, and there is no other descriptor but 0 to 2. */
#define CHILD_CHANNEL 3

/* Runs in the child, which ends when it returns: by _exit(), so that what stands in the buffers of
 * stdio stays the parent's to write. Signals are not blocked, and no handler of the parent's is
 * left. */
typedef void child_function(int channel, const void *argument);

/* 0 or -errno; -EAGAIN: too many hang already, or the system has no room for another. */
int child_start(struct child *child, const struct child_options *options, child_function *function,
	const void *argument, struct error *err);
bool child_is_running(const struct child *child);
/* Readable when it has said something, and once the channel is closed, when it has ended; -1: none
 * runs. */
int child_poll_fd(const struct child *child);
int64_t child_deadline_ms(const struct child *child);
bool child_is_overdue(const struct child *child);

/* The first SIZE bytes of the next datagram, which stays where it is. 1; 0: there is none yet;
 * -EPIPE: there will be none (an empty one counts as the end). */
int child_peek(const struct child *child, void *buf, size_t size);
/* Take the next datagram, of exactly SIZE bytes. As child_peek(), or -EPROTO: it is of another
 * size, or comes with descriptors that were not asked for. *FD (NULL: none is) receives one, the
 * caller's and without linger, or -1. */
int child_receive(const struct child *child, void *buf, size_t size, int *fd);
/* Listen no more: only its end is awaited. */
void child_close_channel(struct child *child);
/* Has it ended? Then it is reaped, *STATUS is as of wait(), and none runs any more. */
bool child_has_ended(struct child *child, int *status);

/* Kill it, and go on awaiting its end, for TIMEOUT_MS more. */
void child_kill_and_await(struct child *child, int timeout_ms);
/* Forget it: whatever it does in the kernel just now is the last. It is reaped later. */
void child_kill(struct child *child);
/* Forget it: it ends by itself when it can. */
void child_abandon(struct child *child);

#endif
