/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's counters as JSON: in the status, where they are the attachment's, and in the state
 * file. */
#ifndef NBDA_OUTPUT_STATUS_IO
#define NBDA_OUTPUT_STATUS_IO
#include <json.h>
#include <stdbool.h>
#include <stdint.h>
#include "kernel/block-io.h"

json_object *status_io_json(const struct block_io *io);
/* False when there is none: NULL, or of another type. What is missing counts as 0. */
bool status_io_parse(json_object *object, struct block_io *io);
/* To each device of an array, as `status` has it, what happened since the array FORMER: key
 * "io_interval". Nothing where either has no counters, or the device was attached anew. */
void status_io_add_intervals(json_object *devices, json_object *former);

#endif
