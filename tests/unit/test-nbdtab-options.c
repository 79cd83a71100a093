/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "options/nbdtab-options.h"

static char path[64];

static void write_tab(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void load(struct nbdtab_options *tab, const char *text)
{
	struct error err = {0};

	write_tab(text);
	assert_int_equal(nbdtab_options_load(tab, &err), 0);
}

/* What comes of a line alone. */
static void configure(const struct nbdtab_line *line, struct config *config)
{
	const struct settings *const layers[] = {&line->settings, NULL};
	struct error err;

	*config = (struct config){.endpoint = line->endpoint, .tls = line->uri_tls};
	assert_int_equal(config_merge(config, layers, &err), 0);
}

/* What comes of nbd0's line. */
static void apply(struct nbdtab_options *tab, const char *text, struct config *config)
{
	load(tab, text);
	assert_int_equal(tab->nbdtab.diagnostic_count, 0);
	configure(&tab->lines[0], config);
}

static void names_of_nbd_client(void **state)
{
	struct config config;
	struct nbdtab_options tab;

	(void)state;
	apply(&tab,
		"nbd0 srv exp "
		"bs=4096,cacertfile=/ca,certfile=/cert,keyfile=/"
		"key,conns=4,persist,port=10810,priority=NORMAL,"
		"timeout=7,tlshostname=name,dead-timeout=99\n",
		&config);
	assert_int_equal(config.policy.block_size_bytes, 4096);
	assert_string_equal(config.tls.ca_file, "/ca");
	assert_string_equal(config.tls.cert_file, "/cert");
	assert_string_equal(config.tls.key_file, "/key");
	assert_string_equal(config.tls.priority, "NORMAL");
	assert_string_equal(config.tls.hostname, "name");
	assert_int_equal(config.policy.connections, 4);
	assert_int_equal(config.policy.liveness_timeout_ms, 7000);
	assert_int_equal(config.policy.dead_timeout_sec, 99);
	assert_true(config.tls.wanted);
	assert_int_equal(config.endpoint.hosts[0].port, 10810);
	assert_string_equal(config.endpoint.export_name, "exp");
	assert_false(config.policy.root);
	nbdtab_options_free(&tab);
}

static void swap_and_root_mean_root(void **state)
{
	struct config config;
	struct nbdtab_options tab;

	(void)state;
	apply(&tab, "nbd0 srv exp swap\n", &config);
	assert_true(config.policy.root);
	assert_true(tab.lines[0].swap);
	assert_false(tab.lines[0].root);
	assert_int_equal(config.policy.dead_timeout_sec, POLICY_INFINITE_SEC);
	nbdtab_options_free(&tab);
	apply(&tab, "nbd0 srv exp dead-timeout=99,swap\n", &config);
	assert_int_equal(config.policy.dead_timeout_sec, 99);
	nbdtab_options_free(&tab);
	apply(&tab, "nbd0 srv exp _root,_noauto,nofail\n", &config);
	assert_true(config.policy.root);
	assert_true(tab.lines[0].root && tab.lines[0].noauto && tab.lines[0].nofail);
	assert_false(tab.lines[0].swap);
	nbdtab_options_free(&tab);
}

static void our_names_with_and_without_underscore(void **state)
{
	static const char *const lines[] = {
		"nbd0 srv exp "
		"psk-file=/"
		"psk,psk-identity=alice,tls-min=1.2,dead-timeout=infinity,wait=60,readonly,"
		"connections=2,export=a%2Cb%20c\n",
		"nbd0 srv exp "
		"_psk-file=/"
		"psk,_psk-identity=alice,_tls-min=1.2,_dead-timeout=infinity,_wait=60,_readonly,_"
		"connections=2,_export=a%2Cb%20c\n",
		"nbd0 srv exp "
		"tls-psk=/"
		"psk,tls-username=alice,_tls-min=1.2,dead-timeout=infinity,wait=60,read-only,conns="
		"2,_export=a%2cb%20c\n",
	};
	struct config config;
	struct nbdtab_options tab;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		apply(&tab, lines[i], &config);
		assert_string_equal(config.tls.psk_file, "/psk");
		assert_string_equal(config.tls.username, "alice");
		assert_int_equal(config.tls.min_version, TLS_VERSION_1_2);
		assert_int_equal(config.policy.dead_timeout_sec, POLICY_INFINITE_SEC);
		assert_int_equal(config.policy.wait_sec, 60);
		assert_true(config.policy.read_only && config.tls.wanted);
		assert_int_equal(config.policy.connections, 2);
		assert_string_equal(config.endpoint.export_name, "a,b c");
		nbdtab_options_free(&tab);
	}
}

static void zero_means_none_as_for_nbd_client(void **state)
{
	struct config config;
	struct nbdtab_options tab;

	(void)state;
	apply(&tab, "nbd0 srv exp timeout=0,dead-timeout=0\n", &config);
	assert_int_equal(config.policy.liveness_timeout_ms, 30000);
	assert_int_equal(config.policy.dead_timeout_sec, 600);
	nbdtab_options_free(&tab);
}

static void servers(void **state)
{
	static const struct {
		const char *line, *uri;
	} table[] = {
		{"nbd0 srv exp\n", "nbd://srv/exp"},
		{"nbd0 srv -\n", "nbd://srv/-"},
		{"nbd0 srv exp export=\n", "nbd://srv/"},
		{"nbd0 srv exp tls\n", "nbds://srv/exp"},
		{"nbd0 srv:10810 exp\n", "nbd://srv:10810/exp"},
		{"nbd0 [2001:db8::7]:10810 exp\n", "nbd://[2001:db8::7]:10810/exp"},
		{"nbd0 a,b exp port=10810\n", "nbd://a,b:10810/exp"},
		{"nbd0 nbds://srv/a%20b\n", "nbds://srv/a%20b"},
		{"nbd0 nbds://srv/x - port=1\n", "nbds://srv:1/x"},
		{"nbd0 nbd://srv/x cacertfile=/ca\n", "nbds://srv/x"},
		{"nbd0 /run/nbd.sock exp unix\n", "nbd+unix:///exp?socket=/run/nbd.sock"},
	};
	struct config config;
	struct nbdtab_options tab;
	char uri[300];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		apply(&tab, table[i].line, &config);
		endpoint_format(&config.endpoint, config.tls.wanted, uri, sizeof(uri));
		assert_string_equal(uri, table[i].uri);
		nbdtab_options_free(&tab);
	}
}

struct diagnostic {
	const char *line;
	unsigned column;
	bool bad;
	const char *says;
};

static void diagnostics(void **state)
{
	static const struct diagnostic table[] = {
		{"nbd0 h e wat", 10, false, "unknown option 'wat' is ignored"},
		{"nbd0 h e bs=512,wat=1", 17, false, "unknown option 'wat' is ignored"},
		{"nbd0 h e json", 10, false, "unknown option 'json'"},
		{"nbd0 h e foreground", 10, false, "unknown option"},
		{"nbd0 h e cmdline=/x", 10, false, "unknown option"},
		{"nbd0 h e no_optgo", 10, false, "no_optgo is ignored"},
		{"nbd0 h e tlss", 10, true, "looks as if TLS"},
		{"nbd0 h e _tls_ca=/x", 10, true, "looks as if TLS"},
		{"nbd0 h e tlls", 10, true, "looks as if TLS"},
		{"nbd0 h e ls", 10, true, "looks as if TLS"},
		{"nbd0 h e _caertfile=/x", 10, true, "looks as if TLS"},
		{"nbd0 h e kefile=/x", 10, true, "looks as if TLS"},
		{"nbd0 h e t", 10, false, "unknown option"},
		{"nbd0 h e cert=/x", 10, true, "looks as if TLS"},
		{"nbd0 h e sdp", 10, true, "sdp is not supported"},
		{"nbd0 h e preinit", 10, true, "preinit is not supported"},
		{"nbd0 h e swap=1", 10, true, "swap takes no value"},
		{"nbd0 h e tls=yes", 10, true, "tls takes no value"},
		{"nbd0 h e bs", 10, true, "block-size needs a value"},
		{"nbd0 h e bs=", 10, true, "--block-size"},
		{"nbd0 h e bs=100", 10, true, "512, 1024"},
		{"nbd0 h e port=0", 10, true, "1 to 65535"},
		{"nbd0 h e tls-min=1.1", 10, true, "1.2 or 1.3"},
		{"nbd0 h e cacertfile=ca.pem", 10, true, "relative name"},
		{"nbd0 h e tls-certificates=pki", 10, true, "relative name"},
		{"nbd0 h e cacertfile=", 10, true, "is empty"},
		{"nbd0 h e export", 10, true, "export needs a value"},
		{"nbd0 h e export=%zz", 6, true, "broken %XX"},
		{"nbd0 h e export=%00", 6, true, "broken %XX"},
		{"nbd0 h e export=%4", 6, true, "broken %XX"},
		{"nbd0 -h e", 6, true, "is not a host name"},
		{"nbd0 a,,b e", 6, true, "empty part"},
		{"nbd0 a,b:10810 e port=7", 0, false, NULL},
		{"nbd0 a:1,a:2 e port=7", 6, true, "given twice"},
		{"nbd0 /run/x e", 6, true, "is not a host name"},
		{"nbd0 host e unix", 6, true, "path of a socket"},
		{"nbd0 /run/x e", 6, true, "add the option unix"},
		{"nbd0 /run/x e unix,tls", 6, true, "for TCP only"},
		{"nbd0 nbds://h/e export=x", 6, true, "names the export"},
		{"nbd0 nbds://h/e?tls-psk-file=x", 6, true, "relative name"},
		{"nbd0 nbd+unix:///e?socket=x", 6, true, "relative name"},
		{"nbd0 nbds://h/e?tls-verify-peer=0", 6, true, "turns verification off"},
		{"nbd0 h e _netdev,_whatever=1", 0, false, NULL},
		{"nbd0 h e keyfile=pkcs11:object=k,certfile=/c", 0, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct nbdtab_options tab;

		load(&tab, table[i].line);
		assert_int_equal(tab.nbdtab.entry_count, 1);
		if (tab.nbdtab.diagnostic_count != (table[i].says != NULL))
			fail_msg("%s: %zu diagnostics", table[i].line, tab.nbdtab.diagnostic_count);
		if (table[i].says && !strstr(tab.nbdtab.diagnostics[0].text, table[i].says))
			fail_msg("%s: \"%s\" lacks \"%s\"", table[i].line,
				tab.nbdtab.diagnostics[0].text, table[i].says);
		if (table[i].says && tab.nbdtab.diagnostics[0].column != table[i].column)
			fail_msg("%s: column %u", table[i].line, tab.nbdtab.diagnostics[0].column);
		assert_int_equal(tab.nbdtab.entries[0].bad, table[i].bad);
		nbdtab_options_free(&tab);
	}
}

static void command_line_goes_before_the_line(void **state)
{
	struct settings command_line;
	struct config config;
	struct error err = {0};

	(void)state;
	write_tab("nbd0 srv exp port=1,bs=4096,timeout=5,cacertfile=/line\n");
	settings_init(&command_line);
	assert_int_equal(settings_set(&command_line, "port", "2", &err), 0);
	assert_int_equal(settings_set(&command_line, "tls-ca", "/command", &err), 0);
	assert_int_equal(settings_set(&command_line, "block-size", "512", &err), 0);
	assert_int_equal(nbdtab_options_lookup(0, &command_line, &config, &err), 0);
	assert_int_equal(config.endpoint.hosts[0].port, 2);
	assert_int_equal(config.policy.block_size_bytes, 512);
	assert_int_equal(config.policy.liveness_timeout_ms, 5000);
	assert_string_equal(config.tls.ca_file, "/command");
}

static void lookups_that_fail_say_why(void **state)
{
	struct settings command_line;
	struct config config;
	struct error err = {0};

	(void)state;
	settings_init(&command_line);
	write_tab("nbd1 a b\nnbd7 a b\nnbd3 a\n");
	assert_int_equal(nbdtab_options_lookup(0, &command_line, &config, &err), -2);
	assert_non_null(strstr(err.text, "has no line for /dev/nbd0"));
	assert_non_null(strstr(err.hint, "/dev/nbd1, /dev/nbd7"));
	assert_true(nbdtab_options_lookup(3, &command_line, &config, &err) < 0);
	assert_non_null(strstr(
		err.text, ":3:6: the line of /dev/nbd3 cannot be used: the export is missing"));
	unlink(path);
	err = (struct error){0};
	assert_int_equal(nbdtab_options_lookup(0, &command_line, &config, &err), -2);
	assert_non_null(strstr(err.text, "cannot be read: No such file"));
	setenv("NBD_ATTACH_TAB", "/tmp", 1);
	assert_true(nbdtab_options_lookup(0, &command_line, &config, &err) < 0);
	assert_non_null(strstr(err.text, "is not a file"));
	setenv("NBD_ATTACH_TAB", path, 1);
}

static void only_what_is_about_tls(void **state)
{
	struct settings settings;
	struct nbdtab_options tab;

	(void)state;
	load(&tab, "nbd0 srv exp port=1,bs=4096,cacertfile=/ca,psk-identity=x,root\n");
	settings_init(&settings);
	settings_merge_tls(&settings, &tab.lines[0].settings);
	assert_string_equal(settings.tls.ca_file, "/ca");
	assert_string_equal(settings.tls.username, "x");
	assert_true(settings.tls.wanted);
	assert_false(settings_given(&settings, "port"));
	assert_int_equal(settings.policy.block_size_bytes, 0);
	assert_false(settings.policy.root);
	nbdtab_options_free(&tab);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % limit;
}

/* A line that is not bad has a server that can be attached to, and its options can be applied. */
static void random_lines(void **state)
{
	static const char *const words[] = {"nbd0 ", "nbd1 ", "h", ",", ",", "=", " ", " e ", "tls",
		"bs=512", "keyfile=/k", "unix", "/run/s", "nbds://h/e", "export=", "%41", "%", "_",
		"port=7", "port=", "infinity", "wait=", "swap", "root", "noauto", "\n", "\n",
		"psk-file=/p", "#", "[::1]:7", "wat", "certificates=x"};
	static char text[2048];

	(void)state;
	random_state = 20261121;
	for (int round = 0; round < 10000; round++) {
		size_t used = 0;
		struct nbdtab_options tab;

		text[0] = 0;
		while (used + 40 < sizeof(text) && random_below(50))
			used += (size_t)sprintf(text + used, "%s",
				words[random_below(sizeof(words) / sizeof(words[0]))]);
		load(&tab, text);
		for (size_t i = 0; i < tab.nbdtab.entry_count; i++) {
			const struct nbdtab_line *line = &tab.lines[i];
			const struct endpoint *endpoint = &line->endpoint;
			bool tls = nbdtab_line_wants_tls(line);
			struct config config;

			if (tab.nbdtab.entries[i].bad)
				continue;
			configure(line, &config);
			assert_true(endpoint->host_count || *endpoint->socket_path == '/');
			assert_int_equal(config.tls.wanted, tls);
			assert_false(tls && *endpoint->socket_path);
			assert_false(line->root && !config.policy.root);
		}
		nbdtab_options_free(&tab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_nbd_client),
		cmocka_unit_test(swap_and_root_mean_root),
		cmocka_unit_test(our_names_with_and_without_underscore),
		cmocka_unit_test(zero_means_none_as_for_nbd_client),
		cmocka_unit_test(servers),
		cmocka_unit_test(diagnostics),
		cmocka_unit_test(command_line_goes_before_the_line),
		cmocka_unit_test(lookups_that_fail_say_why),
		cmocka_unit_test(only_what_is_about_tls),
		cmocka_unit_test(random_lines),
	};
	int rc;

	snprintf(path, sizeof(path), "/tmp/test-tab.%d", (int)getpid());
	setenv("NBD_ATTACH_TAB", path, 1);
	rc = cmocka_run_group_tests_name("tab", tests, NULL, NULL);
	unlink(path);
	return rc;
}
