// SPDX-License-Identifier: GPL-2.0-or-later
/* attacks list | serve CERTIFICATES NAME [options] | run TABLE [options] | vm TABLE
 *
 * list   the names of all attacks
 * serve  one of them, until SIGTERM; prints its port (127.0.0.1), at its end whether it happened
 *          --port N  --disk FILE (of 1 MiB)  --delay-us N (of what comes behind a read's reply)
 * run    each client against each attack of the table; TAP, a line a row
 *          --certs DIR  --work DIR (empty, for everybody)  --build DIR  --nbd-client PROGRAM
 *          --only TEXT (in the name)  --clients NAME,...  --jobs N
 *          --limit-ms N (a client that still runs then hangs)  --tries N (until it is as expected)
 *          --results FILE: section, name, must, four outcomes and why, separated by tabs
 *          --show: what each client was run as, and what it said last
 * vm     the cells that need a virtual machine: client, what is expected and name, separated by
 *        tabs */
#include "attack-table.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
#define HANGS_AFTER_MS 2000

static const struct option options[] = {
	{"certs", required_argument, NULL, 'c'},
	{"work", required_argument, NULL, 'w'},
	{"build", required_argument, NULL, 'b'},
	{"nbd-client", required_argument, NULL, 'n'},
	{"only", required_argument, NULL, 'o'},
	{"clients", required_argument, NULL, 'l'},
	{"jobs", required_argument, NULL, 'j'},
	{"results", required_argument, NULL, 'r'},
	{"limit-ms", required_argument, NULL, 'm'},
	{"tries", required_argument, NULL, 't'},
	{"port", required_argument, NULL, 'p'},
	{"disk", required_argument, NULL, 'd'},
	{"delay-us", required_argument, NULL, 'u'},
	{"show", no_argument, NULL, 's'},
	{NULL, 0, NULL, 0},
};

struct run {
	struct cell_setup setup;
	struct table table;
	const char *only, *clients, *results;
	long jobs, limit_ms, tries;
	bool show;
	atomic_uint *next; /* shared by the workers, as the next */
	struct cell *cells;
};

static bool is_wanted(const struct run *run, size_t row, int client)
{
	const struct row *wanted = &run->table.rows[row];

	if (wanted->is_no_attack || wanted->needs_vm[client] ||
		row_expects(wanted, (enum cell_client)client, CELL_NOT_APPLICABLE) ||
		(client == CELL_NBD_CLIENT && !run->setup.nbd_client))
		return false;
	return (!run->only || strstr(wanted->name, run->only)) &&
		(!run->clients || strstr(run->clients, cell_client_names[client]));
}

static bool is_as_expected(const struct run *run, size_t row, int client)
{
	return row_expects(&run->table.rows[row], (enum cell_client)client,
		run->cells[row * CELL_CLIENTS + (size_t)client].outcome);
}

static void work_on(const struct run *run, size_t row, int client)
{
	struct cell *cell = &run->cells[row * CELL_CLIENTS + (size_t)client];
	bool hangs = row_expects(&run->table.rows[row], (enum cell_client)client, CELL_HANGS);
	struct attack attack;

	if (!is_wanted(run, row, client) || !attack_find(run->table.rows[row].name, &attack))
		return;
	cell->limit_ms = hangs ? HANGS_AFTER_MS : (int)run->limit_ms;
	for (long n = 0; n < run->tries; n++) {
		cell_run(&run->setup, &attack, (enum cell_client)client, cell);
		if (is_as_expected(run, row, client))
			return;
	}
}

static void work(const struct run *run)
{
	for (;;) {
		unsigned i = atomic_fetch_add(run->next, 1);

		if (i / CELL_CLIENTS >= run->table.row_count)
			return;
		work_on(run, i / CELL_CLIENTS, (int)(i % CELL_CLIENTS));
	}
}

static bool work_in_parallel(const struct run *run)
{
	pid_t pids[JOBS_MAX];
	bool good = true;

	for (long i = 0; i < run->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			work(run);
			_exit(0);
		}
	}
	for (long i = 0; i < run->jobs; i++) {
		int status = 1;

		waitpid(pids[i], &status, 0);
		good &= status == 0;
	}
	return good;
}

static void report_cell(const struct run *run, size_t index, int client)
{
	const struct cell *cell = &run->cells[index * CELL_CLIENTS + (size_t)client];
	char expected[64];

	printf("# %s: %s, expected %s, after %d ms\n", cell_client_names[client],
		cell_outcome_name(cell->outcome),
		row_expected_text(&run->table.rows[index], (enum cell_client)client, expected,
			sizeof(expected)),
		cell->elapsed_ms);
	if (cell->outcome == CELL_FAULTY)
		printf("#   %s\n", cell->fault);
	printf("#   command: %s\n#   said: %s\n", cell->command, cell->said);
}

static bool report_row(const struct run *run, size_t index)
{
	bool good = true, any = false;

	for (int i = 0; i < CELL_CLIENTS; i++) {
		any |= is_wanted(run, index, i);
		good &= !is_wanted(run, index, i) || is_as_expected(run, index, i);
	}
	if (!any)
		return true;
	printf("%sok - attacks: %s\n", good ? "" : "not ", run->table.rows[index].name);
	for (int i = 0; i < CELL_CLIENTS; i++)
		if (is_wanted(run, index, i) && (run->show || !is_as_expected(run, index, i)))
			report_cell(run, index, i);
	return good;
}

/* "vm" stands for what is run elsewhere. */
static void write_outcome(const struct run *run, size_t index, int client, FILE *file)
{
	const struct row *row = &run->table.rows[index];
	const struct cell *cell = &run->cells[index * CELL_CLIENTS + (size_t)client];

	if (row->needs_vm[client])
		fprintf(file, "\tvm");
	else
		fprintf(file, "\t%s%s",
			cell_outcome_name(is_wanted(run, index, client) ? cell->outcome :
									  CELL_NOT_APPLICABLE),
			row->is_harmless[client] ? "~" : "");
}

static bool write_results(const struct run *run)
{
	_cleanup_file_ FILE *file = run->results ? fopen(run->results, "we") : NULL;

	if (!run->results)
		return true;
	for (size_t i = 0; file && i < run->table.row_count; i++) {
		const struct row *row = &run->table.rows[i];

		if (row->is_no_attack)
			continue;
		fprintf(file, "%s\t%s\t%s", row->section, row->name, row_must_name(row->must));
		for (int n = 0; n < CELL_CLIENTS; n++)
			write_outcome(run, i, n, file);
		fprintf(file, "\t%s\n", row->why);
	}
	return file && fflush(file) == 0;
}

static void *share(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

static bool parse(int argc, char **argv, struct run *run)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c': run->setup.certs = optarg; break;
		case 'w': run->setup.work = optarg; break;
		case 'b': run->setup.build = optarg; break;
		case 'n': run->setup.nbd_client = optarg; break;
		case 'o': run->only = optarg; break;
		case 'l': run->clients = optarg; break;
		case 'j': run->jobs = strtol(optarg, NULL, 10); break;
		case 'r': run->results = optarg; break;
		case 'm': run->limit_ms = strtol(optarg, NULL, 10); break;
		case 't': run->tries = strtol(optarg, NULL, 10); break;
		case 's': run->show = true; break;
		default: return false;
		}
	}
	return optind + 1 == argc && run->setup.certs && run->setup.work && run->setup.build &&
		run->jobs > 0 && run->jobs <= JOBS_MAX;
}

static int run_table(struct run *run, const char *path)
{
	int failures = 0;

	if (!table_load(&run->table, path))
		return 2;
	run->next = share(sizeof(*run->next));
	run->cells = share(run->table.row_count * CELL_CLIENTS * sizeof(*run->cells));
	if (!run->next || !run->cells || !work_in_parallel(run))
		return 2;
	for (size_t i = 0; i < run->table.row_count; i++)
		failures += !report_row(run, i);
	return !write_results(run) ? 2 : failures ? 1 : 0;
}

static int command_run(int argc, char **argv)
{
	/* A machine that is busy with something else can make any client late. */
	struct run run = {.jobs = 8, .limit_ms = 15000, .tries = 3};
	int rc = parse(argc, argv, &run) ? run_table(&run, argv[optind]) : 2;

	table_free(&run.table);
	return rc;
}

static int command_list(void)
{
	struct attack attack;

	for (size_t i = 0; attack_get(i, &attack); i++)
		puts(attack.name);
	return 0;
}

static uint8_t *open_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t *disk = fd < 0 ? MAP_FAILED :
				 mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (disk != MAP_FAILED)
		return disk;
	fprintf(stderr, "%s: %m\n", path);
	exit(1);
}

static bool parse_serve(int argc, char **argv, struct attack *attack, uint16_t *port)
{
	int c;

	optind = 3;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p': *port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'd': attack->peer.disk = open_disk(optarg); break;
		case 'u': attack->peer.extra_delay_us = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return false;
		}
	}
	return true;
}

static int command_serve(int argc, char **argv)
{
	struct attack_server server;
	struct attack attack;
	uint16_t port = 0;
	sigset_t signals;
	int number;

	if (!attack_find(argv[2], &attack)) {
		fprintf(stderr, "attacks: no attack \"%s\"; `attacks list` has them\n", argv[2]);
		return 2;
	}
	if (!parse_serve(argc, argv, &attack, &port))
		return 2;
	if (!attack_server_start(&server, &attack, argv[1], port))
		return 1;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	printf("%u\n", server.port);
	sigwait(&signals, &number);
	puts(attack_happened(&attack, &server) ? "the attack happened" :
						 "the attack did not happen");
	attack_server_stop(&server);
	return 0;
}

static int command_vm(const char *path)
{
	struct table table;
	char expected[64];
	bool good = table_load(&table, path);

	for (size_t i = 0; good && i < table.row_count; i++)
		for (int n = 0; n < CELL_CLIENTS; n++)
			if (table.rows[i].needs_vm[n])
				printf("%s\t%s\t%s\n", cell_client_names[n],
					row_expected_text(&table.rows[i], (enum cell_client)n,
						expected, sizeof(expected)),
					table.rows[i].name);
	table_free(&table);
	return good ? 0 : 2;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return command_list();
	if (argc >= 4 && strcmp(argv[1], "serve") == 0)
		return command_serve(argc - 1, argv + 1);
	if (argc >= 3 && strcmp(argv[1], "run") == 0)
		return command_run(argc - 1, argv + 1);
	if (argc == 3 && strcmp(argv[1], "vm") == 0)
		return command_vm(argv[2]);
	fprintf(stderr,
		"usage: attacks list | serve CERTIFICATES NAME ... | run TABLE ... | vm TABLE\n");
	return 2;
}
