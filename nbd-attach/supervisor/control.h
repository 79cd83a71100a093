/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /run/nbd-attach/nbdN.sock (SOCK_SEQPACKET, root only): a client sends one command, perhaps with
 * a descriptor, gets one JSON text, and the connection ends. nbdN.lock beside it is locked for as
 * long as a supervisor lives, however it ends. */
#ifndef NBDA_SUPERVISOR_CONTROL
#define NBDA_SUPERVISOR_CONTROL
#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "supervisor/loop.h"

#define CONTROL_CLIENTS_MAX 8
#define CONTROL_COMMAND_SIZE 16

/* Client AT sent COMMAND: control_reply() answers, now or later. NULL: it has hung up. */
typedef void control_function(void *owner, size_t at, const char *command);

struct control {
	int fd, lock_fd;
	int index; /* whose lock it holds; -1: none */
	struct control_client {
		int fd;          /* -1: free */
		int received_fd; /* came with its command; -1: none */
		struct control *control;
		struct loop_source source;
	} clients[CONTROL_CLIENTS_MAX];
	struct loop_source listening;
	control_function *on_command;
	void *owner;
};

/* The supervisor's side. Nothing here blocks; control_open() may wait some ms for a
 * check. */
void control_init(struct control *control);
/* Be the one supervisor of INDEX and listen: -EBUSY (ERROR_BUSY) when another one is. */
int control_open(struct control *control, int index, struct error *err);
/* Between reading what all devices are attached to, and attaching one more: nobody else does
 * that until the descriptor is closed, unless it takes that one seconds. -1: there is no such
 * folder. */
int control_lock_all(void);
/* A process that ends by SIGTERM, SIGINT or SIGHUP before it handles them takes its files along: a
 * lock without an owner would make udev's rules take a disk for one that is not ready. For the
 * control of INDEX, the last one that it is called for. */
void control_close_on_signals(int index);
/* No longer; descriptors are closed and the files removed. */
void control_close(struct control *control);
/* The files of a supervisor that was killed, INDEX being detached without it; those of one that
 * lives stay. */
void control_forget(int index);
/* Tell OWNER what clients ask for. Too many of them are turned away. */
void control_serve(
	struct control *control, struct loop *loop, control_function *on_command, void *owner);
/* Is it still there to be answered? */
bool control_has_client(const struct control *control, size_t at);
/* The descriptor that came with its command, still control's; -1: none. */
int control_received_fd(const struct control *control, size_t at);
/* Answer and hang up. ANSWER is freed. */
void control_reply(struct control *control, size_t at, json_object *answer);

/* The other side: the answer to COMMAND, or NULL when nobody answers within TIMEOUT_MS. */
json_object *control_command(int index, const char *command, int timeout_ms);
/* The same, and FD goes along. */
json_object *control_command_fd(int index, const char *command, int fd, int timeout_ms);
json_object *control_ask(int index);
/* What an answer without "ok" says went wrong, as an error of our own. */
int control_refusal(json_object *answer, struct error *err);
/* Does a supervisor live for this device? */
bool control_exists(int index);

#endif
