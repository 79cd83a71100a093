// SPDX-License-Identifier: GPL-2.0-or-later
#include "attack-table.h"
#include "base/cleanup.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const must_names[] = {"refuse", "accept", "either"};

const char *row_must_name(enum row_must must)
{
	return must_names[must];
}

bool row_is_fall(const struct row *row, enum cell_client client, enum cell_outcome outcome)
{
	switch (outcome) {
	case CELL_NOT_APPLICABLE: return false;
	case CELL_REFUSED: return row->must == ROW_ACCEPT;
	case CELL_ACCEPTED: return row->must == ROW_REFUSE && !row->is_harmless[client];
	default: return true;
	}
}

static char *trim(char *text)
{
	size_t size;

	while (isspace((unsigned char)*text))
		text++;
	size = strlen(text);
	while (size > 0 && isspace((unsigned char)text[size - 1]))
		text[--size] = 0;
	return text;
}

bool row_expects(const struct row *row, enum cell_client client, enum cell_outcome outcome)
{
	return row->expected[client] & 1U << outcome;
}

const char *row_expected_text(
	const struct row *row, enum cell_client client, char *buf, size_t size)
{
	size_t at = 0;

	*buf = 0;
	for (int i = 0; i < CELL_OUTCOMES && at < size; i++)
		if (row_expects(row, client, (enum cell_outcome)i))
			at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? "/" : "",
				cell_outcome_name((enum cell_outcome)i));
	return buf;
}

static bool parse_must(const char *name, enum row_must *must)
{
	for (int i = ROW_REFUSE; i <= ROW_EITHER; i++)
		if (strcmp(must_names[i], name) == 0) {
			*must = (enum row_must)i;
			return true;
		}
	return false;
}

/* [vm:]OUTCOME[/OUTCOME][~] */
static bool parse_cell(char *text, struct row *row, int client)
{
	char *saved = NULL, *tilde = strchr(text, '~');
	enum cell_outcome outcome;

	row->needs_vm[client] = strncmp(text, "vm:", 3) == 0;
	text += row->needs_vm[client] ? 3 : 0;
	row->is_harmless[client] = tilde != NULL;
	if (tilde)
		*tilde = 0;
	for (text = strtok_r(text, "/", &saved); text; text = strtok_r(NULL, "/", &saved)) {
		if (!cell_outcome_parse(text, &outcome))
			return false;
		row->expected[client] |= 1U << outcome;
	}
	return row->expected[client] != 0;
}

/* One cell for all clients, or one for each. */
static bool parse_cells(char *text, struct row *row)
{
	char *saved = NULL, *cell = strtok_r(text, " \t", &saved);
	int count = 0;

	for (; cell && count < CELL_CLIENTS; cell = strtok_r(NULL, " \t", &saved))
		if (!parse_cell(cell, row, count++))
			return false;
	for (int i = 1; count == 1 && i < CELL_CLIENTS; i++) {
		row->expected[i] = row->expected[0];
		row->needs_vm[i] = row->needs_vm[0];
	}
	return !cell && (count == 1 || count == CELL_CLIENTS);
}

/* NAME | MUST | CELLS | WHY, or NAME | no attack */
static bool parse_row(struct row *row, char *line)
{
	char *name = trim(strsep(&line, "|")), *must = line ? trim(strsep(&line, "|")) : "";
	char *cells = line ? strsep(&line, "|") : "";

	snprintf(row->name, sizeof(row->name), "%s", name);
	snprintf(row->why, sizeof(row->why), "%s", line ? trim(line) : "");
	if (strlen(row->name) < strlen(name) || (line && strlen(row->why) < strlen(trim(line))))
		return false;
	row->is_no_attack = strcmp(must, "no attack") == 0;
	return row->is_no_attack || (parse_must(must, &row->must) && parse_cells(cells, row));
}

static bool read_rows(struct table *table, FILE *file)
{
	char section[sizeof(((struct row *)0)->section)] = "";
	bool has_note = false;
	char line[1024];

	for (int number = 1; fgets(line, sizeof(line), file); number++) {
		char *text = trim(line);
		struct row *row;

		has_note |= *text == ':';
		if (!*text || *text == '#' || *text == ':')
			continue;
		if (strncmp(text, "== ", 3) == 0) {
			snprintf(section, sizeof(section), "%s", text + 3);
			has_note = false;
			continue;
		}
		table->rows = reallocarray(table->rows, table->row_count + 1, sizeof(*table->rows));
		row = &table->rows[table->row_count++];
		memset(row, 0, sizeof(*row));
		memcpy(row->section, section, sizeof(section));
		row->section_has_note = has_note;
		if (!parse_row(row, text)) {
			fprintf(stderr, "line %d of the table cannot be read\n", number);
			return false;
		}
	}
	return true;
}

static const struct row *find_row(const struct table *table, const char *name)
{
	for (size_t i = 0; i < table->row_count; i++)
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}

static bool may_fall(const struct row *row, enum cell_client client)
{
	for (int i = 0; i < CELL_OUTCOMES; i++)
		if (row_expects(row, client, (enum cell_outcome)i) &&
			row_is_fall(row, client, (enum cell_outcome)i))
			return true;
	return false;
}

static bool wants_reason(const struct row *row, enum cell_client client)
{
	return row->is_harmless[client] || may_fall(row, client) ||
		(row_expects(row, client, CELL_NOT_APPLICABLE) && !row->section_has_note);
}

static bool check_row(const struct table *table, const struct row *row)
{
	const char *problem = NULL;
	struct attack attack;

	if (find_row(table, row->name) != row)
		problem = "is there twice";
	else if (!attack_find(row->name, &attack))
		problem = "is no attack that there is";
	if (!problem && !row->is_no_attack && may_fall(row, CELL_NBD_ATTACH))
		problem = "has nbd-attach fall";
	for (int i = 0; !row->is_no_attack && i < CELL_CLIENTS; i++)
		if (!*row->why && wants_reason(row, (enum cell_client)i))
			problem = "does not say why a client falls, or is left out";
	if (problem)
		fprintf(stderr, "\"%s\" %s\n", row->name, problem);
	return !problem;
}

bool table_load(struct table *table, const char *path)
{
	_cleanup_file_ FILE *file = fopen(path, "re");
	struct attack attack;
	bool good;

	*table = (struct table){0};
	if (!file) {
		fprintf(stderr, "%s: %m\n", path);
		return false;
	}
	good = read_rows(table, file);
	for (size_t i = 0; i < table->row_count; i++)
		good &= check_row(table, &table->rows[i]);
	for (size_t i = 0; attack_get(i, &attack); i++)
		if (!find_row(table, attack.name)) {
			fprintf(stderr, "\"%s\" is not in the table\n", attack.name);
			good = false;
		}
	return good;
}

void table_free(struct table *table)
{
	free(table->rows);
	*table = (struct table){0};
}
