/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands. Each returns the exit status. */
#ifndef NBDA_CMD_COMMANDS
#define NBDA_CMD_COMMANDS
#include "options/options.h"

int command_attach(struct options *options);
int command_boot(struct options *options);
int command_detach(struct options *options);
int command_status(struct options *options);
int command_resize(struct options *options);
int command_reload(struct options *options);
int command_list(struct options *options);
int command_info(struct options *options);
int command_audit(struct options *options);
int command_doctor(struct options *options);

#endif
