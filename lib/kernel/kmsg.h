/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's log, for what the driver tells nobody else: that the server answered a request with
 * an error, that a request waits for long, that it has ceased to read from a link, and that it
 * fails the device's I/O by itself. Of the first two the kernel limits how often it says so (10
 * times in 5 s): the counts are "at least so many". */
#ifndef NBDA_KERNEL_KMSG
#define NBDA_KERNEL_KMSG
#include <stdbool.h>
#include <stdint.h>

struct kernel_log {
	/* -1: cannot be read, and nothing is counted. Readable at whatever the kernel says: read it
	 * when there is a reason to */
	int fd;
	int index;
	uint64_t records; /* read, of whatever */
	uint64_t error_replies, stuck, receivers_ended;
	bool disconnect; /* somebody's DISCONNECT since the device was configured */
	/* the driver shut down the sockets without one: I/O fails from then on, until the device is
	 * configured anew */
	bool io_failed;
	/* of the last error reply, as it came from the server; NBD's numbers are Linux's errno */
	int last_error;
};

/* Count from now on what concerns /dev/nbdINDEX. -errno when the log cannot be read, which is fatal
 * to nothing: LOG can be used all the same. */
int kmsg_open(struct kernel_log *log, int index);
/* The same, but what it has said since the device was configured is read, as far as the kernel
 * still has it: of an adopted device. */
int kmsg_open_past(struct kernel_log *log, int index);
/* Read all that is there, without waiting. Was any of it a reason to sample the device? */
bool kmsg_read(struct kernel_log *log);
void kmsg_close(struct kernel_log *log);

enum kmsg_event {
	KMSG_OTHER,
	KMSG_ERROR_REPLY,
	KMSG_STUCK,
	KMSG_RECEIVER_ENDED,
	KMSG_CONFIGURED,
	KMSG_DISCONNECT,
	KMSG_SHUT_DOWN,
};
/* One record as /dev/kmsg gives it (a string). ERROR is set for an error reply only. */
enum kmsg_event kmsg_parse(const char *record, int index, int *error);

#endif
