/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/attacks/table: what is expected of each client. Its first lines say how it is written. */
#ifndef ATTACK_TABLE_H
#define ATTACK_TABLE_H
#include "cell.h"

/* What a client has to do about an attack. */
enum row_must { ROW_REFUSE, ROW_ACCEPT, ROW_EITHER };

struct row {
	char section[96];
	bool section_has_note; /* which says why a client is left out */
	char name[96];
	bool is_no_attack;
	enum row_must must;
	unsigned expected[CELL_CLIENTS]; /* the outcomes that may be, as bits: 1U << outcome */
	bool needs_vm[CELL_CLIENTS];
	bool is_harmless[CELL_CLIENTS]; /* to accept it, for a reason of this client's own */
	char why[512];
};

struct table {
	struct row *rows;
	size_t row_count;
};

/* False, and a message on stderr, when it cannot be read, names an attack that there is not, leaves
 * one out, lacks the reason for a client that falls, or expects nbd-attach to fall. What was read
 * is freed by table_free() either way. */
bool table_load(struct table *table, const char *path);
void table_free(struct table *table);
bool row_expects(const struct row *row, enum cell_client client, enum cell_outcome outcome);
/* As in the table: "refused", or "hangs/refused". */
const char *row_expected_text(
	const struct row *row, enum cell_client client, char *buf, size_t size);
const char *row_must_name(enum row_must must);
/* Is OUTCOME what this client should not come to? */
bool row_is_fall(const struct row *row, enum cell_client client, enum cell_outcome outcome);

#endif
