/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "cmd/boot-plan.h"
#include "cmd/commands.h"

static char folder[64], tab_path[96], cmdline_path[96], output_path[96];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static const char *dhcp_server, *dhcp_root_path;

static void make_jobs(struct boot_plan *jobs, const char *tab, const char *cmdline,
	const struct settings *defaults)
{
	struct kcmdline_input input = {.cmdline = cmdline,
		.size = strlen(cmdline),
		.dhcp_server = dhcp_server,
		.dhcp_root_path = dhcp_root_path};
	struct settings none;
	struct error err = {0};

	if (tab)
		write_file(tab_path, tab);
	else
		unlink(tab_path);
	settings_init(&none);
	assert_int_equal(boot_plan_make(jobs, &input, defaults ? defaults : &none, &err), 0);
}

/* "nbd0 URI ca=FILE ...; ..." */
static const char *render(const struct boot_plan *jobs)
{
	static char buf[4096];
	size_t used = 0;
	char uri[600];

	buf[0] = 0;
	for (size_t i = 0; i < jobs->count; i++) {
		const struct boot_plan_entry *job = &jobs->jobs[i];
		const char *ca = job->config.tls.ca_file, *psk = job->config.tls.psk_file;

		endpoint_format(&job->config.endpoint, job->config.tls.wanted, uri, sizeof(uri));
		used += (size_t)snprintf(buf + used, sizeof(buf) - used, "%snbd%d %s%s%s%s%s",
			i ? "; " : "", job->index, uri, *ca ? " ca=" : "", ca, *psk ? " psk=" : "",
			psk);
		assert_true(job->config.policy.root && job->config.policy.at_boot);
	}
	return buf;
}

struct together {
	const char *tab, *cmdline, *expect;
	bool refused;
};

static void check_together(const struct together *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct boot_plan jobs;

		make_jobs(&jobs, table[i].tab, table[i].cmdline, NULL);
		if (strcmp(render(&jobs), table[i].expect) != 0 || jobs.refused != table[i].refused)
			fail_msg("%s with %s\n  gave   %s%s\n  wanted %s", table[i].cmdline,
				table[i].tab ? table[i].tab : "no nbdtab", render(&jobs),
				jobs.refused ? " (refused)" : "", table[i].expect);
		assert_true(jobs.refused || !jobs.plan->needs_dhcp);
		boot_plan_free(&jobs);
	}
}

static void command_line_and_nbdtab(void **state)
{
	static const struct together table[] = {
		{NULL, "quiet", "", false},
		{NULL, "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv/exp", false},
		/* root lines, and only these */
		{"nbd0 srv exp root\nnbd1 srv two\nnbd2 srv three swap\n", "root=UUID=1",
			"nbd0 nbd://srv/exp", false},
		{"nbd0 srv exp root\nnbd1 srv two _root,cacertfile=/ca\n", "",
			"nbd0 nbd://srv/exp; nbd1 nbds://srv/two ca=/ca", false},
		/* same device, host and export; same host and export; neither */
		{"nbd1 srv exp cacertfile=/one\nnbd0 srv exp cacertfile=/zero\n",
			"nbdroot=srv,exp,nbd0", "nbd0 nbds://srv/exp ca=/zero", false},
		{"nbd1 srv exp cacertfile=/one\nnbd2 srv exp cacertfile=/two\n",
			"nbdroot=srv,exp,nbd0", "nbd0 nbds://srv/exp ca=/one", false},
		{"nbd0 other exp\n", "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv/exp", false},
		/* another server in the place of one that nbdtab wants verified */
		{"nbd0 other exp cacertfile=/one\n", "nbdroot=srv,exp,nbd0", "", true},
		{"nbd0 other exp cacertfile=/one,tlls\n", "nbdroot=srv,exp,nbd0", "", true},
		{"nbd0 other exp cacertfile=/one\n", "root=nbds://srv/exp", "nbd0 nbds://srv/exp",
			false},
		{"nbd0 other exp cacertfile=/one\n", "nbdroot=srv,exp,nbd1", "nbd1 nbd://srv/exp",
			false},
		{"nbd0 SRV exp cacertfile=/one\n", "nbdroot=srv,exp,nbd0",
			"nbd0 nbds://srv/exp ca=/one", false},
		{"nbd0 srv exp cacertfile=/one\n", "root=nbds://srv/exp",
			"nbd0 nbds://srv/exp ca=/one", false},
		{"nbd0 nbds://srv/exp?tls-psk-file=/psk\n", "nbdroot=srv,exp,nbd0",
			"nbd0 nbds://srv/exp psk=/psk", false},
		/* a host that is known by TLS is never spoken to without */
		{"nbd5 srv other cacertfile=/one,bs=4096\n", "nbdroot=srv,exp,nbd0",
			"nbd0 nbds://srv/exp ca=/one", false},
		{"nbd5 srv:10810 other tls\n", "root=nbd://srv/exp", "nbd0 nbds://srv/exp", false},
		{"nbd5 a,srv other tls\n", "rd.nbd.attach=nbd3=nbd://srv/exp",
			"nbd3 nbds://srv/exp", false},
		/* nbdtab says so of this very disk */
		{"nbd5 srv other tls\nnbd0 srv exp\n", "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv/exp",
			false},
		/* but another disk's authority does not go before the system's */
		{"nbd5 srv other cacertfile=/one\n", "root=nbds://srv/exp", "nbd0 nbds://srv/exp",
			false},
		/* a line that cannot be read may be the one that asks for TLS */
		{"nbd5 srv other tlls\n", "root=nbd://srv/exp", "", true},
		{"nbd5 srv other bs=1\n", "root=nbds://srv/exp", "nbd0 nbds://srv/exp", false},
		{"nbd5 elsewhere other tlls\n", "root=nbd://srv/exp", "nbd0 nbd://srv/exp", false},
		{"ndb0 srv exp cacertfile=/one\n", "nbdroot=srv,exp,nbd0", "", true},
		{"ndb0 elsewhere exp cacertfile=/one\n", "nbdroot=srv,exp,nbd0",
			"nbd0 nbd://srv/exp", false},
		/* a port that the command line does not tell is the line's */
		{"nbd0 srv exp port=10810\n", "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv:10810/exp",
			false},
		{"nbd0 srv exp port=10810,tls\n", "nbdroot=srv:10811/exp root=/dev/nbd0",
			"nbd0 nbds://srv:10811/exp", false},
		{"nbd0 srv exp port=10810\n", "root=nbd://srv/exp", "nbd0 nbd://srv/exp", false},
		/* the command line goes before the line of its device, and a disk is attached
		 * once */
		{"nbd0 other x root\n", "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv/exp", false},
		{"nbd1 srv exp root\n", "nbdroot=srv,exp,nbd0", "nbd0 nbd://srv/exp", false},
		/* root=/dev/nbd0 and no word of the server */
		{"nbd0 srv exp cacertfile=/ca\nnbd1 srv two\n", "root=/dev/nbd0p1",
			"nbd0 nbds://srv/exp ca=/ca", false},
		{"nbd0 srv exp root\n", "nbdroot=dhcp root=/dev/nbd0", "nbd0 nbd://srv/exp", false},
		/* bad lines that were to be attached */
		{"nbd0 srv exp root,bs=1\n", "", "", true},
		{"nbd0 srv exp bs=1\n", "root=/dev/nbd0", "", true},
		{"nbd0 srv exp bs=1\nnbd1 srv two root\n", "", "nbd1 nbd://srv/two", false},
		/* a word that is not understood is none for nbdtab to fill */
		{"nbd0 srv exp\n", "nbdroot=srv:0/x root=/dev/nbd0", "", true},
		/* dracut's NBDOPTS */
		{NULL, "root=nbd:srv:exp:::cacertfile=/ca,-persist,-swap,nonsense",
			"nbd0 nbds://srv/exp ca=/ca", false},
		{"nbd0 srv exp cacertfile=/line\n", "root=nbd:srv:exp:::cacertfile=/ca",
			"nbd0 nbds://srv/exp ca=/ca", false},
		{NULL, "root=nbd:srv:exp:::tlsca=/ca", "", true},
		{"nbd0 x y\n", "root=nbd:srv:exp:::bs=1", "", true},
	};

	(void)state;
	check_together(table, sizeof(table) / sizeof(table[0]));
}

/* A network may have a root path for other machines. */
static void nbdtab_before_dhcp(void **state)
{
	static const struct together table[] = {
		{"nbd0 srv exp cacertfile=/ca\n", "root=/dev/nbd0", "nbd0 nbds://srv/exp ca=/ca",
			false},
		{"nbd0 srv exp\n", "root=/dev/nbd0p1 ip=dhcp", "nbd0 nbd://srv/exp", false},
		{"nbd1 srv exp\n", "root=/dev/nbd0", "nbd0 nbd://192.0.2.1/other", false},
		{NULL, "root=/dev/nbd0", "nbd0 nbd://192.0.2.1/other", false},
		/* unless DHCP is what was asked for */
		{"nbd0 srv exp\n", "root=/dev/nbd0 nbdroot=dhcp", "nbd0 nbd://192.0.2.1/other",
			false},
		/* but not in the place of one that is to be verified */
		{"nbd0 srv exp cacertfile=/ca\n", "root=/dev/nbd0 nbdroot=dhcp",
			"nbd0 nbds://srv/exp ca=/ca", true},
	};

	(void)state;
	dhcp_server = "192.0.2.1";
	dhcp_root_path = "nbd:192.0.2.1:other";
	check_together(table, sizeof(table) / sizeof(table[0]));
	dhcp_server = dhcp_root_path = NULL;
}

/* What the first to answer says, and a table with the root over TLS: what is attached must be what
 * the table says, however the root-path is written. */
static void hostile_root_paths(void **state)
{
	static const char tab[] = "nbd0 srv root root,cacertfile=/ca,tls-pin=sha256:aa\n"
				  "nbd1 srv data cacertfile=/ca\nnbd2 clear data\n",
			  line[] = "nbd0 nbds://srv/root ca=/ca";
	static const char *const paths[] = {
		/* another server */
		"evil,root,nbd0",
		"evil:/root",
		"evil/root",
		"evil:10809/root",
		"evil:root",
		"nbdroot=evil,root,nbd0",
		"nbd:evil:root",
		"nbd:evil:10809",
		"nbd://evil/root",
		"nbds://evil/root",
		"nbds://srv,evil/root",
		"nbds://srv:666/root",
		"nbd:[2001:db8::666]:root",
		"NBDS://evil/root",
		"nbd+unix:///root?socket=/run/x",
		"srv.,root,nbd0",
		"evil,666",
		"192.0.2.66",
		/* another export, another device, a disk of which nbdtab wants nothing */
		"srv,data,nbd0",
		"srv,root,nbd5",
		"srv,data,nbd1",
		"clear,data,nbd2",
		"nbd:srv:data",
		"nbds://srv/data",
		"nbds://srv/root%2F",
		/* the same one, verified in another way */
		"nbds://srv/root?tls-certificates=/run/evil",
		"nbds://srv/root?tls-hostname=evil",
		"nbds://srv/root?tls-psk-file=/etc/hostname",
		"nbds://evil@srv/root",
		"nbds://srv/root?tls-type=psk",
		"nbds://srv/root?tls-verify-peer=0",
		"nbd:srv:root:::cacertfile=/run/evil",
		"nbd:srv:root:::tls-min=1.2",
		"nbd:srv:root:::tls-pin=sha256:bb",
		"nbd:srv:root:::_tls-pin=sha256:bb",
		"nbd:srv:root:::priority=NORMAL:%VERIFY_ALLOW_BROKEN",
		"nbd:srv:root:::tlls",
		"nbd:srv:root:::--tlshostname=evil",
		"nbd:srv:root:::bs=512,psk-file=/etc/passwd",
		"nbd:srv:root:::certificates=/run/evil",
		"nbd:srv:root:::keyfile=/run/evil",
		/* nothing at all */
		"'; reboot; '",
		"$(reboot)",
		"nbd:",
		"nbds://",
		",,nbd0",
		"a\nb",
		"\x1b[2J",
	};
	static const char *const cmdlines[] = {"root=/dev/nbd0 nbdroot=dhcp", "nbdroot=dhcp"};

	(void)state;
	dhcp_server = "192.0.2.66";
	for (size_t i = 0; i < 2 * sizeof(paths) / sizeof(paths[0]); i++) {
		struct boot_plan jobs;

		dhcp_root_path = paths[i / 2];
		make_jobs(&jobs, tab, cmdlines[i % 2], NULL);
		if (strcmp(render(&jobs), line) != 0)
			fail_msg(
				"%s with %s gave %s", cmdlines[i % 2], paths[i / 2], render(&jobs));
		assert_string_equal(jobs.jobs[0].config.tls.pin, "sha256:aa");
		assert_int_equal(jobs.jobs[0].config.tls.min_version, 0);
		assert_string_equal(jobs.plan->root_device, "/dev/nbd0");
		boot_plan_free(&jobs);
	}
	dhcp_server = dhcp_root_path = NULL;
}

static void what_dhcp_may_say(void **state)
{
	static const char tls[] = "nbd0 srv root root,cacertfile=/ca,timeout=9\n",
			  data[] = "nbd1 srv data cacertfile=/ca\nnbd2 clear data\n";
	static const struct {
		const char *tab, *cmdline, *path, *expect;
		bool refused;
	} table[] = {
		/* the very disk; with other options, which nbdtab's go before */
		{tls, "root=dhcp", "nbd:srv:root", "nbd0 nbds://srv/root ca=/ca", false},
		{tls, "nbdroot=dhcp", "srv,root,nbd0", "nbd0 nbds://srv/root ca=/ca", false},
		{tls, "nbdroot=dhcp", "nbds://SRV/root", "nbd0 nbds://SRV/root ca=/ca", false},
		{tls, "root=dhcp", "nbd:srv:root:::timeout=77,bs=1024",
			"nbd0 nbds://srv/root ca=/ca", false},
		/* nothing over TLS is the root: the network says what it is */
		{data, "root=dhcp", "nbd:other:root", "nbd0 nbd://other/root", false},
		{data, "root=dhcp", "nbds://other/root", "nbd0 nbds://other/root", false},
		{data, "nbdroot=dhcp", "clear,data,nbd2", "nbd2 nbd://clear/data", false},
		{NULL, "root=dhcp", "nbd:other:root", "nbd0 nbd://other/root", false},
		/* but never how it is verified, nor in the place of one that is verified */
		{data, "root=dhcp", "nbd:other:root:::cacertfile=/x", "", true},
		{NULL, "root=dhcp", "nbds://other/root?tls-psk-file=/x", "", true},
		{data, "nbdroot=dhcp", "nbds://other/root,nbd1", "nbd0 nbds://other/root%2Cnbd1",
			false},
		{data, "nbdroot=dhcp", "other,root,nbd1", "", true},
		/* only the server's name is DHCP's */
		{tls, "nbdroot=dhcp,root,nbd0", "srv", "nbd0 nbds://srv/root ca=/ca", false},
		{"nbd1 srv other root,tls\n", "nbdroot=dhcp,root,nbd0", NULL,
			"nbd1 nbds://srv/other", true},
		{"nbd0 192.0.2.66 root root,tls\n", "nbdroot=dhcp,root,nbd0", NULL,
			"nbd0 nbds://192.0.2.66/root", false},
		{"nbd0 192.0.2.7 root root,tls\n", "nbdroot=dhcp,root,nbd0", NULL,
			"nbd0 nbds://192.0.2.7/root", false},
		{"nbd0 192.0.2.7 root root,tls\n", "nbdroot=dhcp,root,nbd0", "192.0.2.7",
			"nbd0 nbds://192.0.2.7/root", false},
		/* one that cannot be read may be such a line */
		{"nbd0 srv root root,tlls\n", "root=dhcp", "nbd:other:root", "", true},
		{"nbd0 srv root root,tlls\n", "nbdroot=dhcp", "other,root,nbd5", "", true},
		{"nbd0 srv root tlls,root\n", "nbdroot=dhcp", "other,root,nbd5", "", true},
		{"nbd0x srv root root,tls\n", "nbdroot=dhcp", "other,root,nbd5", "", true},
	};

	(void)state;
	dhcp_server = "192.0.2.66";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct boot_plan jobs;

		dhcp_root_path = table[i].path;
		make_jobs(&jobs, table[i].tab, table[i].cmdline, NULL);
		if (strcmp(render(&jobs), table[i].expect) != 0 || jobs.refused != table[i].refused)
			fail_msg("row %zu, %s, gave %s%s", i, table[i].path, render(&jobs),
				jobs.refused ? " (refused)" : "");
		if (table[i].path && strstr(table[i].path, "timeout=77")) {
			assert_int_equal(jobs.jobs[0].config.policy.liveness_timeout_ms, 9000);
			assert_int_equal(jobs.jobs[0].config.policy.block_size_bytes, 1024);
		}
		boot_plan_free(&jobs);
	}
	dhcp_server = dhcp_root_path = NULL;
}

/* A disk that nbdtab knows does not fail because DHCP says so, also where its line says nothing of
 * that; of another one all is DHCP's. */
static void how_long_io_waits_is_not_dhcps(void **state)
{
	static const struct {
		const char *tab;
		bool is_known;
	} table[] = {
		{"nbd0 srv root root,cacertfile=/ca\n", true},
		{"nbd0 srv root root\n", true},
		{"nbd0 srv data root\n", false},
		{NULL, false},
	};

	(void)state;
	dhcp_root_path = "nbd:srv:root:::request-timeout=2,dead-timeout=3";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct device_policy *policy;
		struct boot_plan jobs;

		make_jobs(&jobs, table[i].tab, "root=dhcp", NULL);
		policy = &jobs.jobs[0].config.policy;
		assert_false(jobs.refused);
		assert_int_equal(
			policy->request_timeout_sec, table[i].is_known ? POLICY_INFINITE_SEC : 2);
		assert_int_equal(
			policy->dead_timeout_sec, table[i].is_known ? POLICY_INFINITE_SEC : 3);
		boot_plan_free(&jobs);
	}
	dhcp_root_path = NULL;
}

/* A mount option can name another device. */
static void how_the_root_is_mounted_is_not_dhcps(void **state)
{
	static const struct {
		const char *tab, *fstype, *mountopts;
	} table[] = {
		{"nbd0 srv root root,cacertfile=/ca\n", "", ""},
		{"nbd0 srv root root\n", "ext4", "journal_path=/dev/sda"},
		{NULL, "ext4", "journal_path=/dev/sda"},
	};

	(void)state;
	dhcp_root_path = "nbd:srv:root:ext4:journal_path=/dev/sda";
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct boot_plan jobs;

		make_jobs(&jobs, table[i].tab, "root=dhcp", NULL);
		assert_false(jobs.refused);
		assert_int_equal(jobs.count, 1);
		assert_string_equal(jobs.plan->fstype, table[i].fstype);
		assert_string_equal(jobs.plan->mountopts, table[i].mountopts);
		boot_plan_free(&jobs);
	}
	dhcp_root_path = NULL;
}

static void waits_for_ever_unless_told(void **state)
{
	struct boot_plan jobs;
	struct settings defaults;
	struct error err;

	(void)state;
	make_jobs(&jobs, "nbd0 a b root\nnbd1 a c root,wait=5,dead-timeout=7\n", "", NULL);
	assert_int_equal(jobs.jobs[0].config.policy.wait_sec, POLICY_INFINITE_SEC);
	assert_int_equal(jobs.jobs[0].config.policy.dead_timeout_sec, POLICY_INFINITE_SEC);
	assert_int_equal(jobs.jobs[1].config.policy.wait_sec, 5);
	assert_int_equal(jobs.jobs[1].config.policy.dead_timeout_sec, 7);
	boot_plan_free(&jobs);
	settings_init(&defaults);
	assert_int_equal(settings_set(&defaults, "wait", "9", &err), 0);
	assert_int_equal(settings_set(&defaults, "tls-ca", "/default", &err), 0);
	make_jobs(&jobs, "nbd0 a b root\nnbd1 a c root,wait=5,cacertfile=/line\n", "", &defaults);
	assert_int_equal(jobs.jobs[0].config.policy.wait_sec, 9);
	assert_int_equal(jobs.jobs[1].config.policy.wait_sec, 5);
	assert_string_equal(render(&jobs), "nbd0 nbds://a/b ca=/default; nbd1 nbds://a/c ca=/line");
	boot_plan_free(&jobs);
}

/* With --port 7 --tls-hostname own of boot itself. */
static void what_goes_before_what(void **state)
{
	static const struct {
		const char *tab, *cmdline, *uri, *hostname;
		unsigned block_size_bytes;
	} table[] = {
		{NULL, "nbdroot=srv,exp,nbd0", "nbds://srv:7/exp", "own", 0},
		{"nbd0 srv exp root\n", "", "nbds://srv:7/exp", "own", 0},
		/* boot's before the URI's credentials, a port beside the server before boot's */
		{NULL, "root=nbds://srv:8/exp?tls-hostname=uri", "nbds://srv:8/exp", "own", 0},
		{NULL, "root=nbds://srv/exp", "nbds://srv/exp", "own", 0},
		{NULL, "nbdroot=srv:8/exp root=/dev/nbd0", "nbds://srv:8/exp", "own", 0},
		/* nbdtab's before boot's, NBDOPTS before nbdtab's, but for a port */
		{"nbd0 srv exp root,port=9,tlshostname=line,bs=512\n", "", "nbds://srv:9/exp",
			"line", 512},
		{"nbd0 srv exp port=9,tlshostname=line,bs=512\n", "root=nbd:srv:exp",
			"nbds://srv:9/exp", "line", 512},
		{"nbd0 srv exp port=9,tlshostname=line,bs=512\n",
			"root=nbd:srv:exp:::port=6,tlshostname=opts,bs=1024", "nbds://srv:9/exp",
			"opts", 1024},
		{NULL, "root=nbd:srv:exp:::port=6,tlshostname=opts", "nbds://srv:6/exp", "opts", 0},
		/* a line that names no port does not stand against one */
		{"nbd0 srv exp tlshostname=line\n", "root=nbd:srv:exp:::port=6", "nbds://srv:6/exp",
			"line", 0},
		{"nbd0 srv exp tlshostname=line\n", "root=nbd:srv:exp", "nbds://srv:7/exp", "line",
			0},
		/* of another disk's line only what is about TLS */
		{"nbd1 srv two port=9,tlshostname=line,bs=512\n", "root=nbd:srv:exp",
			"nbds://srv:7/exp", "line", 0},
	};
	struct settings own;
	struct error err;
	char uri[600];

	(void)state;
	settings_init(&own);
	assert_int_equal(settings_set(&own, "port", "7", &err), 0);
	assert_int_equal(settings_set(&own, "tls-hostname", "own", &err), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct config *config;
		struct boot_plan jobs;

		make_jobs(&jobs, table[i].tab, table[i].cmdline, &own);
		assert_int_equal(jobs.count, 1);
		config = &jobs.jobs[0].config;
		endpoint_format(&config->endpoint, config->tls.wanted, uri, sizeof(uri));
		if (strcmp(uri, table[i].uri) || strcmp(config->tls.hostname, table[i].hostname) ||
			config->policy.block_size_bytes != table[i].block_size_bytes)
			fail_msg("%s with %s gave %s, %s, %u", table[i].cmdline,
				table[i].tab ? table[i].tab : "no nbdtab", uri,
				config->tls.hostname, config->policy.block_size_bytes);
		boot_plan_free(&jobs);
	}
}

/* What the command prints with --plan or --files, and its exit status. */
static int run_boot(const char *tab, const char *cmdline, bool plan, char *out, size_t size)
{
	struct options options;
	int saved = dup(1), status;
	FILE *file;
	size_t n;

	write_file(tab_path, tab);
	write_file(cmdline_path, cmdline);
	options_init(&options);
	options.plan = plan;
	options.files = !plan;
	options.cmdline_file = cmdline_path;
	fflush(stdout);
	assert_non_null(freopen(output_path, "w", stdout));
	status = command_boot(&options);
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	file = fopen(output_path, "r");
	n = fread(out, 1, size - 1, file);
	out[n] = 0;
	fclose(file);
	return status;
}

static void plan_is_printed_for_shells(void **state)
{
	char out[4096];

	(void)state;
	assert_int_equal(run_boot("nbd3 x y root\n", "root=nbd:srv:exp:ext4:ro,noatime", true, out,
				 sizeof(out)),
		0);
	assert_string_equal(out,
		"NBD_DEVICES='nbd0 "
		"nbd3'\nNBD_ROOT='/dev/"
		"nbd0'\nNBD_FSTYPE='ext4'\nNBD_MOUNTOPTS='ro,noatime'\nNBD_NEEDS_DHCP=''\n");
	assert_int_equal(run_boot("", "nbdroot=dhcp root=/dev/nbd2p1", true, out, sizeof(out)), 0);
	assert_string_equal(out,
		"NBD_DEVICES='nbd2'\nNBD_ROOT='/dev/"
		"nbd2p1'\nNBD_FSTYPE=''\nNBD_MOUNTOPTS=''\nNBD_NEEDS_DHCP='yes'\n");
	assert_int_equal(run_boot("", "quiet", true, out, sizeof(out)), 0);
	assert_string_equal(out,
		"NBD_DEVICES=''\nNBD_ROOT=''\nNBD_FSTYPE=''\nNBD_MOUNTOPTS=''\nNBD_NEEDS_DHCP=''"
		"\n");
	assert_int_equal(
		run_boot("", "rd.nbd.attach=nonsense nbdroot=a,b,nbd1", true, out, sizeof(out)), 2);
	assert_non_null(strstr(out, "NBD_DEVICES='nbd1'\n"));
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % limit;
}

/* A shell gets exactly the bytes, and does nothing else. */
static void plan_is_safe_to_evaluate(void **state)
{
	static const char hostile[] = "'\"\\$`;&|<>(){}*?!#~ \t\n%=abc-\x01\x7f\xff";
	char cmdline[256], value[200], out[4096], script[8192], got[512];
	const char *mark = "/tmp/test-boot.hacked";

	(void)state;
	unlink(mark);
	random_state = 20261121;
	for (int round = 0; round < 60; round++) {
		size_t used = 0, n;
		FILE *shell;

		if (round == 0)
			used = (size_t)sprintf(value, "';touch %s;'", mark);
		while (used < 40 && round)
			value[used++] = hostile[random_below(sizeof(hostile) - 1)];
		value[used] = 0;
		for (char *p = value; *p; p++)
			if (*p == '"' || *p == ':' || *p == '\n')
				*p = '\'';
		snprintf(cmdline, sizeof(cmdline), "root=\"nbd:srv:exp:ext4:%s\"", value);
		assert_int_equal(run_boot("", cmdline, true, out, sizeof(out)), 2);
		write_file(output_path, out);
		snprintf(script, sizeof(script),
			"eval \"$(cat %s)\"; printf '%%s|%%s' \"$NBD_FSTYPE\" \"$NBD_MOUNTOPTS\"",
			output_path);
		write_file(cmdline_path, script);
		snprintf(script, sizeof(script), "sh %s", cmdline_path);
		shell = popen(script, "r");
		n = fread(got, 1, sizeof(got) - 1, shell);
		got[n] = 0;
		assert_int_equal(pclose(shell), 0);
		assert_string_equal(got, "|"); /* no shell after ours may quote it less well */
		assert_int_not_equal(access(mark, F_OK), 0);
	}
}

static void files_for_an_initramfs(void **state)
{
	char tab[1024], expect[1024], out[4096];

	(void)state;
	snprintf(tab, sizeof(tab), "%s/pki", folder);
	mkdir(tab, 0700);
	for (const char *const *name = (const char *const[]){"pki/ca-cert.pem",
		     "pki/client-key.pem", "pki/other.pem", "ca.pem", "key.pem", "psk", NULL};
		*name; name++) {
		snprintf(tab, sizeof(tab), "%s/%s", folder, *name);
		write_file(tab, "x");
	}
	snprintf(tab, sizeof(tab),
		"nbd0 a b root,cacertfile=%s/ca.pem,keyfile=%s/key.pem\nnbd1 a c "
		"root,certificates=%s/pki\nnbd2 a d psk-file=%s/psk\n"
		"nbd3 nbds://a/e?tls-psk-file=%s/psk root\nnbd4 h f root\n",
		folder, folder, folder, folder, folder);
	snprintf(expect, sizeof(expect),
		"%s\n%s/ca.pem\n%s/key.pem\n%s/pki/ca-cert.pem\n%s/pki/client-key.pem\n%s/psk\n",
		tab_path, folder, folder, folder, folder, folder);
	assert_int_equal(run_boot(tab, "", false, out, sizeof(out)), 0);
	assert_string_equal(out, expect);
	/* what is missing is told */
	assert_int_equal(run_boot("nbd0 a b root,cacertfile=/nonexistent/ca.pem\n", "", false, out,
				 sizeof(out)),
		2);
	snprintf(expect, sizeof(expect), "%s\n", tab_path);
	assert_string_equal(out, expect);
	/* the system's authorities, where none is named */
	if (access("/etc/ssl/certs/ca-certificates.crt", F_OK) == 0) {
		assert_int_equal(run_boot("nbd0 a b root,tls\n", "", false, out, sizeof(out)), 0);
		assert_non_null(strstr(out, "\n/etc/ssl/certs/ca-certificates.crt\n"));
		assert_int_equal(
			run_boot("nbd0 a b root,tls-pin=sha256:00\n", "", false, out, sizeof(out)),
			0);
		assert_null(strstr(out, "ca-certificates.crt"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_line_and_nbdtab),
		cmocka_unit_test(nbdtab_before_dhcp),
		cmocka_unit_test(hostile_root_paths),
		cmocka_unit_test(what_dhcp_may_say),
		cmocka_unit_test(how_long_io_waits_is_not_dhcps),
		cmocka_unit_test(how_the_root_is_mounted_is_not_dhcps),
		cmocka_unit_test(waits_for_ever_unless_told),
		cmocka_unit_test(what_goes_before_what),
		cmocka_unit_test(plan_is_printed_for_shells),
		cmocka_unit_test(plan_is_safe_to_evaluate),
		cmocka_unit_test(files_for_an_initramfs),
	};
	char command[128];
	int rc;

	snprintf(folder, sizeof(folder), "/tmp/test-boot.%d", (int)getpid());
	mkdir(folder, 0700);
	snprintf(tab_path, sizeof(tab_path), "%s/nbdtab", folder);
	snprintf(cmdline_path, sizeof(cmdline_path), "%s/cmdline", folder);
	snprintf(output_path, sizeof(output_path), "%s/output", folder);
	setenv("NBD_ATTACH_TAB", tab_path, 1);
	rc = cmocka_run_group_tests_name("boot", tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) ? 1 : rc;
}
