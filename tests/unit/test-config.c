/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One merge for all sources, and what cannot be together in its result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "config/nbd-uri.h"
#include "options/config.h"

static struct settings nbdtab, command_line;
static struct error err;

static const struct settings *const layers[] = {&nbdtab, &command_line, NULL};

static void begin(void)
{
	settings_init(&nbdtab);
	settings_init(&command_line);
	memset(&err, 0, sizeof(err));
}

static void set(struct settings *settings, const char *name, const char *value)
{
	if (settings_set(settings, name, value, &err))
		fail_msg("--%s %s: %s", name, value ? value : "", err.text);
}

static struct config merge(const char *uri)
{
	struct config config = {0};

	assert_int_equal(nbd_uri_parse(&config.endpoint, &config.tls, uri, &err), 0);
	assert_int_equal(config_merge(&config, layers, &err), 0);
	return config;
}

static void assert_same(
	const struct config *a, const struct config *b, const char *name, const char *what)
{
	if (memcmp(&a->endpoint, &b->endpoint, sizeof(a->endpoint)) ||
		memcmp(&a->tls, &b->tls, sizeof(a->tls)) ||
		memcmp(&a->policy, &b->policy, sizeof(a->policy)))
		fail_msg("--%s: %s", name, what);
}

/* Each setting with a value of nbdtab and one of the command line. */
static const struct {
	const char *name, *nbdtab, *command_line;
} table[] = {
	{"tls-ca", "/line", "/command"},
	{"tls-certificates", "/line", "/command"},
	{"tls-cert", "/line", "/command"},
	{"tls-key", "/line", "/command"},
	{"tls-psk", "/line", "/command"},
	{"tls-username", "line", "command"},
	{"tls-hostname", "line", "command"},
	{"tls-pin", "sha256:00", "sha256:01"},
	{"tls-min", "1.2", "1.3"},
	{"tls-priority", "NORMAL", "SECURE"},
	{"port", "1", "2"},
	{"connect-timeout", "1", "2"},
	{"connections", "2", "1"}, /* the default, but given */
	{"timeout", "1", "30"},
	{"request-timeout", "1", "infinity"},
	{"dead-timeout", "infinity", "600"},
	{"io-timeout", "1", "2"},
	{"wait", "infinity", "0"},
	{"rekey-records", "1000", "1001"},
	{"block-size", "512", "4096"},
};

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static void the_command_line_goes_before_nbdtab(void **state)
{
	struct config none, line, command, both;

	(void)state;
	begin();
	none = merge("nbds://host:7/x");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const char *name = table[i].name;

		begin();
		set(&nbdtab, name, table[i].nbdtab);
		line = merge("nbds://host:7/x");
		set(&command_line, name, table[i].command_line);
		both = merge("nbds://host:7/x");
		begin();
		set(&command_line, name, table[i].command_line);
		command = merge("nbds://host:7/x");
		assert_same(&both, &command, name, "the command line is not what holds");
		if (memcmp(&line, &none, sizeof(line)) == 0 ||
			memcmp(&line, &both, sizeof(line)) == 0)
			fail_msg("--%s of nbdtab is lost", name);
	}
}

/* One of them leaves the others alone, whichever source they are of. */
static void each_setting_is_merged_by_itself(void **state)
{
	struct config all, mixed;

	(void)state;
	begin();
	for (size_t i = 0; i < TABLE_COUNT; i++)
		set(&command_line, table[i].name, table[i].command_line);
	all = merge("nbds://host:7/x");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		begin();
		for (size_t j = 0; j < TABLE_COUNT; j++) {
			set(&nbdtab, table[j].name,
				i == j ? table[j].command_line : table[j].nbdtab);
			if (i != j)
				set(&command_line, table[j].name, table[j].command_line);
		}
		mixed = merge("nbds://host:7/x");
		assert_same(&mixed, &all, table[i].name, "it came with another");
	}
}

static void a_uri_is_the_weakest(void **state)
{
	static const char uri[] = "nbds://al@host:7/x?tls-psk-file=/uri&tls-hostname=uri";
	struct config config;

	(void)state;
	begin();
	config = merge(uri);
	assert_string_equal(config.tls.username, "al");
	assert_string_equal(config.tls.psk_file, "/uri");
	assert_string_equal(config.tls.hostname, "uri");
	assert_int_equal(config.endpoint.hosts[0].port, 7);
	set(&nbdtab, "tls-psk", "/line");
	set(&nbdtab, "port", "1");
	set(&command_line, "tls-hostname", "command");
	config = merge(uri);
	assert_string_equal(config.tls.username, "al");
	assert_string_equal(config.tls.psk_file, "/line");
	assert_string_equal(config.tls.hostname, "command");
	assert_int_equal(config.endpoint.hosts[0].port, 1);
	assert_string_equal(config.endpoint.export_name, "x");
}

/* Nothing takes back what another source asks for: TLS least of all. */
static void flags_add_up(void **state)
{
	struct config config;

	(void)state;
	begin();
	set(&nbdtab, "read-only", NULL);
	set(&command_line, "shared", NULL);
	config = merge("nbd://host/x");
	assert_true(config.policy.read_only && config.policy.shared);
	assert_false(config.tls.wanted);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		begin();
		set(&nbdtab, table[i].name, table[i].nbdtab);
		set(&command_line, "port", "9");
		assert_int_equal(
			merge("nbd://host/x").tls.wanted, strncmp(table[i].name, "tls", 3) == 0);
	}
	begin();
	set(&command_line, "tls", NULL);
	assert_true(merge("nbd://host/x").tls.wanted);
	begin();
	assert_true(merge("nbds://host/x").tls.wanted);
}

/* A supervisor in the background is in /, and reload in another folder: the names that were given
 * here are of the files of here for both. */
static void relative_names_are_of_where_they_were_given(void **state)
{
	static const struct {
		const char *name, *given, *whole;
	} names[] = {
		{"tls-ca", "ca.pem", "/tmp/ca.pem"},
		{"tls-certificates", "./pki", "/tmp/pki"},
		{"tls-cert", ".//./c", "/tmp/c"},
		{"tls-key", "../k", "/tmp/../k"},
		{"tls-psk", ".hidden", "/tmp/.hidden"},
		{"tls-key", "pkcs11:object=k", "pkcs11:object=k"},
		{"tls-cert", "pkcs11:object=c", "pkcs11:object=c"},
		{"tls-cert", "/c", "/c"},
		{"tls-username", "al", "al"},
		{"tls-hostname", "name", "name"},
	};
	struct config config, whole;
	char *here = getcwd(NULL, 0);

	(void)state;
	assert_int_equal(chdir("/tmp"), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin();
		set(&nbdtab, names[i].name, names[i].given);
		config = merge("nbds://host/x");
		begin();
		set(&nbdtab, names[i].name, names[i].whole);
		whole = merge("nbds://host/x");
		assert_same(&config, &whole, names[i].name, names[i].given);
	}
	begin();
	config = merge("nbds://host/x?tls-certificates=pki");
	assert_string_equal(config.tls.certificates_dir, "/tmp/pki");
	config = merge("nbds://host/x?tls-psk-file=psk");
	assert_string_equal(config.tls.psk_file, "/tmp/psk");
	config = merge("nbd+unix:///x?socket=s");
	assert_string_equal(config.endpoint.socket_path, "/tmp/s");
	assert_int_equal(chdir("/"), 0);
	config = merge("nbd+unix:///x?socket=run/s");
	assert_string_equal(config.endpoint.socket_path, "/run/s");
	assert_int_equal(chdir(here), 0);
	free(here);
}

static void a_relative_name_without_a_whole_path_is_refused(void **state)
{
	char *here = getcwd(NULL, 0), folder[] = "/tmp/test-config.XXXXXX", uri[160];
	struct config config = {0};

	(void)state;
	begin();
	snprintf(uri, sizeof(uri), "nbd+unix:///x?socket=%0100d", 1);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(nbd_uri_parse(&config.endpoint, &config.tls, uri, &err), 0);
	assert_int_equal(config_merge(&config, layers, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "longer than 107 bytes"));
	assert_int_equal(rmdir(folder), 0);
	set(&command_line, "tls-ca", "ca.pem");
	config = (struct config){0};
	assert_int_equal(config_merge(&config, layers, &err), -ENOENT);
	assert_non_null(strstr(err.text, "\"ca.pem\" is a relative name, and this folder"));
	assert_int_equal(chdir(here), 0);
	free(here);
}

static void what_nobody_says_is_the_default(void **state)
{
	struct device_policy policy;
	struct config config;

	(void)state;
	begin();
	nbdtab.policy.connections = 7; /* not given: left aside */
	config = merge("nbd://host/x");
	device_policy_init(&policy);
	assert_memory_equal(&config.policy, &policy, sizeof(policy));
}

static void what_is_forgotten_was_not_given(void **state)
{
	(void)state;
	begin();
	set(&nbdtab, "port", "1");
	assert_true(settings_given(&nbdtab, "port"));
	settings_forget(&nbdtab, "port");
	assert_false(settings_given(&nbdtab, "port"));
	assert_int_equal(merge("nbd://host:7/x").endpoint.hosts[0].port, 7);
}

static void only_settings_can_be_set(void **state)
{
	static const char *const others[] = {"foreground", "help", "json", "verbose", "force",
		"cmdline", "dhcp-server", "quiet", ""};

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(settings_set(&nbdtab, others[i], NULL, &err), -2);
		assert_string_equal(err.text, "");
		assert_false(settings_given(&nbdtab, others[i]));
	}
}

/* --- what cannot be together */

struct conflict {
	const char *uri;
	const char *options[4]; /* name, value, name, value */
	const char *says;
};

static struct config conflicting(const struct conflict *conflict)
{
	begin();
	for (size_t i = 0; i < 4 && conflict->options[i]; i += 2)
		set(i ? &nbdtab : &command_line, conflict->options[i],
			*conflict->options[i + 1] ? conflict->options[i + 1] : NULL);
	return merge(conflict->uri);
}

static void check_conflict(const struct conflict *conflict, int rc)
{
	if (!conflict->says) {
		if (rc)
			fail_msg("%s: %s", conflict->uri, err.text);
		return;
	}
	if (!rc || err.kind != ERROR_USAGE || !strstr(err.text, conflict->says))
		fail_msg("%s: %d, '%s' lacks '%s'", conflict->uri, rc, err.text, conflict->says);
}

static void what_a_device_cannot_be(void **state)
{
	static const struct conflict conflicts[] = {
		{"nbds+unix:///x?socket=/run/s", {NULL}, "TLS is for TCP only"},
		{"nbd+unix:///x?socket=/run/s", {"tls-min", "1.2"}, "TLS is for TCP only"},
		{"nbd+unix:///x?socket=/run/s", {"root", ""}, NULL},
		{"nbd+unix:///x?socket=/srv/s", {NULL}, NULL},
		{"nbd+unix:///x?socket=/srv/s", {"root", ""}, "the socket /srv/s may be on a disk"},
		{"nbds://h/x", {"tls-key", "pkcs11:a", "tls-cert", "/c"}, NULL},
		{"nbds://h/x", {"tls-key", "pkcs11:a", "root", ""}, "a token's library"},
		{"nbds://h/x", {"root", "", "tls-cert", "pkcs11:a"}, "a token's library"},
		{"nbds://h/x", {"root", "", "tls-cert", "/c"}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
		struct config config = conflicting(&conflicts[i]);

		check_conflict(&conflicts[i], config_check_device(&config, &err));
	}
}

static void what_tls_cannot_be(void **state)
{
	static const struct conflict conflicts[] = {
		{"nbds://h/x?tls-type=psk", {NULL}, "(tls-type=psk) and names none"},
		{"nbds://h/x?tls-type=x509", {"tls-psk", "/p"}, "(tls-type=x509), --tls-psk"},
		{"nbds+unix:///x?socket=/run/s", {NULL}, "no host name to verify"},
		{"nbds://h/x", {"tls-psk", "/p", "tls-ca", "/c"}, "--tls-psk cannot be combined"},
		{"nbds://h/x", {"tls-psk", "/p", "tls-pin", "x"}, "--tls-psk cannot be combined"},
		{"nbds://h/x", {"tls-cert", "/c", "tls-psk", "/p"}, "--tls-psk cannot be combined"},
		{"nbds://h/x", {"tls-key", "/k", "tls-psk", "/p"}, "--tls-psk cannot be combined"},
		{"nbds://h/x?tls-certificates=/c", {"tls-psk", "/p"},
			"--tls-psk cannot be combined"},
		{"nbds://al@h/x", {NULL}, "--tls-username says whose key"},
		{"nbds://h/x", {"tls-username", "al"}, "--tls-username says whose key"},
		{"nbds://h/x", {"tls-key", "pkcs11:a"}, "needs the certificate too"},
		/* without TLS there is nothing to load */
		{"nbd://h/x", {"port", "1"}, NULL},
	};
	struct tls_credentials *creds = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
		struct config config = conflicting(&conflicts[i]);

		check_conflict(&conflicts[i], config_load_credentials(&config, &creds, &err));
		assert_null(creds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_command_line_goes_before_nbdtab),
		cmocka_unit_test(each_setting_is_merged_by_itself),
		cmocka_unit_test(a_uri_is_the_weakest),
		cmocka_unit_test(flags_add_up),
		cmocka_unit_test(relative_names_are_of_where_they_were_given),
		cmocka_unit_test(a_relative_name_without_a_whole_path_is_refused),
		cmocka_unit_test(what_nobody_says_is_the_default),
		cmocka_unit_test(what_is_forgotten_was_not_given),
		cmocka_unit_test(only_settings_can_be_set),
		cmocka_unit_test(what_a_device_cannot_be),
		cmocka_unit_test(what_tls_cannot_be),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
