/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor is told from outside: over its control socket, and by signals. */
#include "sim.h"
#include "supervisor/control.h"

static struct control *served;
static int pending_signal;

void control_init(struct control *control)
{
	*control = (struct control){.fd = -1, .lock_fd = -1, .index = -1};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
}

int control_open(struct control *control, int index, struct error *err)
{
	(void)err;
	sim_point();
	control->fd = control->lock_fd = 0;
	control->index = index;
	return 0;
}

int control_lock_all(void)
{
	return -1;
}

void control_close_on_signals(int index)
{
	(void)index;
}

void control_close(struct control *control)
{
	served = NULL;
	control->fd = control->lock_fd = -1;
}

void control_serve(
	struct control *control, struct loop *loop, control_function *on_command, void *owner)
{
	(void)loop;
	served = control;
	control->on_command = on_command;
	control->owner = owner;
}

int control_received_fd(const struct control *control, size_t at)
{
	(void)control;
	(void)at;
	return -1;
}

bool control_has_client(const struct control *control, size_t at)
{
	return control->clients[at].fd >= 0;
}

void control_reply(struct control *control, size_t at, json_object *answer)
{
	sim_note("a client is answered: %.100s", json_object_to_json_string(answer));
	control->clients[at].fd = -1;
	json_object_put(answer);
}

void sim_ask(const char *word)
{
	if (!served || !sim_life.is_running || served->clients[0].fd >= 0)
		return;
	served->clients[0].fd = 0;
	sim_life.is_in_loop = true;
	served->on_command(served->owner, 0, word);
	sim_life.is_in_loop = false;
}

void sim_signal(int number)
{
	pending_signal = number;
}

bool sim_signal_is_pending(void)
{
	return pending_signal != 0;
}

int sim_take_signal(void)
{
	int number = pending_signal;

	pending_signal = 0;
	return number;
}

void sim_control_begin(void)
{
	served = NULL;
	pending_signal = 0;
}
