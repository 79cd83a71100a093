/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NBDA_SUPERVISOR_OUTCOME
#define NBDA_SUPERVISOR_OUTCOME
#include <stdbool.h>
#include "base/error.h"

/* What the front end is told, once. */
struct supervisor_report {
	int rc; /* 0: ready */
	struct error error;
	char line[1024];      /* for people */
	char json[128 << 10]; /* the same for machines */
};

/* Delivers the outcome; false when nobody took it. */
typedef bool supervisor_report_function(const struct supervisor_report *report, void *data);

#endif
