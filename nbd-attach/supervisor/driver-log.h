/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the driver says in the kernel's log, read as it comes and told to the one who asked for it.
 * Where the log cannot be read nothing is ever told. */
#ifndef NBDA_SUPERVISOR_DRIVER_LOG
#define NBDA_SUPERVISOR_DRIVER_LOG
#include "kernel/kmsg.h"
#include "supervisor/loop.h"

enum driver_news {
	DRIVER_IS_STUCK = 1 << 0,        /* a request waits for long */
	DRIVER_ENDED_RECEIVER = 1 << 1,  /* of some link */
	DRIVER_GOT_ERROR_REPLY = 1 << 2, /* the server's */
	DRIVER_HAS_FAILED_IO = 1 << 3,   /* by itself; what was lost stays lost */
};

typedef void driver_log_function(void *owner, unsigned news);

struct driver_log {
	struct kernel_log kmsg; /* its counts may be read after driver_log_read() */
	struct loop_source source;
	struct kernel_log seen; /* as it was told */
	driver_log_function *tell;
	void *owner;
};

/* From now on; IS_ADOPTED: from when the device was configured. */
void driver_log_open(struct driver_log *log, struct loop *loop, int index, bool is_adopted,
	driver_log_function *tell, void *owner);
/* Read what is there by now. Never waits. */
void driver_log_read(struct driver_log *log);
void driver_log_close(struct driver_log *log);

#endif
