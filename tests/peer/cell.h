/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One cell of the table of attacks: one client, a whole program, against one attack. */
#ifndef CELL_H
#define CELL_H
#include "attack.h"

enum cell_client { CELL_NBD_ATTACH, CELL_NBDINFO, CELL_QEMU, CELL_NBD_CLIENT, CELL_CLIENTS };

enum cell_outcome {
	CELL_NOT_APPLICABLE,
	CELL_REFUSED,  /* it ended with an error */
	CELL_ACCEPTED, /* it got what it asked for, or went as far as it can without a kernel */
	CELL_HANGS,    /* it waits, or reads, without end */
	CELL_CRASHES,
	CELL_ESCAPES,  /* what it shows has the server's control characters */
	CELL_IN_CLEAR, /* the export's name went over the wire without encryption */
	CELL_FAULTY,   /* the test itself failed, or the refusal gives another reason */
	CELL_OUTCOMES
};

struct cell_setup {
	const char *certs;
	const char *work;       /* an empty folder that user nobody can write to */
	const char *build;      /* has nbd-attach and tests/negotiate */
	const char *nbd_client; /* NULL: there is none */
};

struct cell {
	int limit_ms; /* a client that still runs then hangs */
	enum cell_outcome outcome;
	int elapsed_ms;
	/* what was run, and the end of what it printed in one line */
	char command[640], said[512];
	char fault[64]; /* of CELL_FAULTY */
};

extern const char *const cell_client_names[CELL_CLIENTS];
const char *cell_outcome_name(enum cell_outcome outcome);
/* False: there is no outcome of that name. */
bool cell_outcome_parse(const char *name, enum cell_outcome *outcome);
void cell_run(const struct cell_setup *setup, const struct attack *attack, enum cell_client client,
	struct cell *cell);

#endif
