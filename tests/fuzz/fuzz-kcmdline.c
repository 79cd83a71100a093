/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's command line, the server and the root-path of DHCP, and nbdtab, with lines of "--"
 * between: what is attached at boot, and what a shell of the initramfs is told to eval. */
#include "cmd/boot-plan.h"
#include "cmd/commands.h"
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CMDLINE, DHCP_SERVER, DHCP_ROOT_PATH, NBDTAB, PART_COUNT };

static struct fuzz_file tab_file, cmdline_file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_file_open(&tab_file);
	fuzz_file_open(&cmdline_file);
	return setenv("NBD_ATTACH_TAB", tab_file.path, 1);
}

static bool is_same_disk(const struct endpoint *a, const struct endpoint *b)
{
	if (a->host_count != b->host_count || strcmp(a->export_name, b->export_name) != 0)
		return false;
	for (size_t i = 0; i < a->host_count; i++)
		if (strcasecmp(a->hosts[i].name, b->hosts[i].name) != 0)
			return false;
	return true;
}

/* A device that nbdtab has with TLS does not come without, unless nbdtab has that disk without,
 * too. */
static void check_tls(const struct boot_plan_entry *job, const struct nbdtab_options *tab)
{
	const struct nbdtab_entry *entry = nbdtab_find(&tab->nbdtab, job->index);

	if (!entry || entry->bad || !nbdtab_line_wants_tls(nbdtab_line(tab, entry)))
		return;
	for (size_t i = 0; i < tab->nbdtab.entry_count; i++)
		if (!tab->nbdtab.entries[i].bad && !nbdtab_line_wants_tls(&tab->lines[i]) &&
			is_same_disk(&tab->lines[i].endpoint, &job->config.endpoint))
			return;
	FUZZ_CHECK(job->config.tls.wanted);
}

static void check_plan(const struct boot_plan *plan)
{
	struct nbdtab_options tab;
	struct error err;

	for (size_t i = 0; i < plan->plan->error_count; i++)
		fuzz_check_shown(plan->plan->errors[i].text, sizeof(plan->plan->errors[i].text));
	FUZZ_CHECK(plan->count <= BOOT_PLAN_MAX);
	FUZZ_CHECK(nbdtab_options_load(&tab, &err) == 0);
	for (size_t i = 0; i < plan->count; i++) {
		const struct boot_plan_entry *job = &plan->jobs[i];

		for (size_t j = 0; j < i; j++)
			FUZZ_CHECK(plan->jobs[j].index != job->index);
		FUZZ_CHECK(job->config.policy.root);
		FUZZ_CHECK(job->config.endpoint.host_count || *job->config.endpoint.socket_path);
		check_tls(job, &tab);
	}
	nbdtab_options_free(&tab);
}

static void make_plan(char *const parts[PART_COUNT])
{
	struct kcmdline_input input = {.cmdline = parts[CMDLINE],
		.size = strlen(parts[CMDLINE]),
		.dhcp_server = *parts[DHCP_SERVER] ? parts[DHCP_SERVER] : NULL,
		.dhcp_root_path = *parts[DHCP_ROOT_PATH] ? parts[DHCP_ROOT_PATH] : NULL};
	static struct settings defaults;
	struct boot_plan plan;
	struct error err;
	int rc;

	settings_init(&defaults);
	fuzz_soil_error(&err);
	rc = boot_plan_make(&plan, &input, &defaults, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	else
		check_plan(&plan);
	boot_plan_free(&plan);
}

/* NAME='VALUE' in each line, where a shell that evals it sees a text and nothing else. */
static void check_assignments(const char *at)
{
	while (*at) {
		size_t name = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

		FUZZ_CHECK(name > 0 && at[name] == '=' && at[name + 1] == '\'');
		at += name + 2;
		for (; *at != '\'' || strncmp(at, "'\\''", 4) == 0; at += *at == '\'' ? 4 : 1)
			FUZZ_CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
		FUZZ_CHECK(at[1] == '\n');
		at += 2;
	}
}

static void print_plan(char *const parts[PART_COUNT])
{
	static struct options options;
	FILE *former = stdout;
	char *text = NULL;
	size_t size = 0;

	options_init(&options);
	options.plan = true;
	options.cmdline_file = cmdline_file.path;
	options.dhcp_server = parts[DHCP_SERVER];
	options.dhcp_root_path = parts[DHCP_ROOT_PATH];
	stdout = open_memstream(&text, &size);
	FUZZ_CHECK(stdout);
	command_boot(&options);
	fclose(stdout);
	stdout = former;
	check_assignments(text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *parts[PART_COUNT];

	fuzz_split(data, size, parts, PART_COUNT);
	fuzz_file_put(&cmdline_file, parts[CMDLINE], strlen(parts[CMDLINE]));
	fuzz_file_put(&tab_file, parts[NBDTAB], strlen(parts[NBDTAB]));
	make_plan(parts);
	print_plan(parts);
	for (size_t i = 0; i < PART_COUNT; i++)
		free(parts[i]);
	return 0;
}
