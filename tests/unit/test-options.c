/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "options/config.h"

#define WORDS_MAX 8

static int parse(
	struct options *options, unsigned mask, struct error *err, const char *const *words)
{
	char *argv[WORDS_MAX + 2] = {(char *)"nbd-attach"};
	int argc = 1;

	while (words[argc - 1]) {
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	memset(err, 0, sizeof(*err));
	return options_parse(options, argc, argv, mask, "attach", err);
}

#define PARSE(mask, ...) parse(&options, mask, &err, (const char *const[]){__VA_ARGS__, NULL})

static void arguments_and_options_mix(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_ATTACH, "nbd0", "--tls", "host", "-p", "123", "export"), 0);
	assert_int_equal(options.argument_count, 3);
	assert_string_equal(options.arguments[2], "export");
	assert_int_equal(options.settings.port, 123);
	assert_true(options.settings.tls.wanted);
}

static void defaults_are_the_documented_ones(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_ATTACH, "nbd0"), 0);
	assert_int_equal(options.settings.policy.connections, 1);
	assert_int_equal(options.settings.policy.connect_timeout_ms, 20000);
	assert_false(options.settings.tls.wanted);
}

static void any_tls_option_means_tls(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "--tls-ca", "ca.pem"), 0);
	assert_true(options.settings.tls.wanted);
	assert_int_equal(PARSE(FOR_INFO, "--tls-min", "1.2"), 0);
	assert_true(options.settings.tls.wanted);
	assert_int_equal(options.settings.tls.min_version, TLS_VERSION_1_2);
}

static void values_are_copied(void **state)
{
	char value[] = "/ca.pem";
	struct options options;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "--tls-ca", value), 0);
	memset(value, 'x', sizeof(value) - 1);
	assert_string_equal(options.settings.tls.ca_file, "/ca.pem");
}

/* Not cut: the rest of a path or a key's name would be another one. */
static void a_value_that_does_not_fit_is_refused(void **state)
{
	char value[TLS_TEXT_SIZE + 1] = "";
	struct options options;
	struct error err;

	(void)state;
	memset(value, 'x', TLS_TEXT_SIZE - 1);
	assert_int_equal(PARSE(FOR_INFO, "--tls-ca", value), 0);
	assert_string_equal(options.settings.tls.ca_file, value);
	value[TLS_TEXT_SIZE - 1] = 'x';
	assert_true(PARSE(FOR_INFO, "--tls-ca", value) < 0);
	assert_int_equal(err.kind, ERROR_USAGE);
	assert_non_null(strstr(err.text, "--tls-ca: its value is longer than 1023 bytes"));
}

struct bad {
	const char *words[3];
	const char *says;
};

static void bad_values_are_named(void **state)
{
	static const struct bad table[] = {
		{{"--port", "0"}, "1 to 65535"},
		{{"--port", "65536"}, "1 to 65535"},
		{{"--port", "-1"}, "1 to 65535"},
		{{"--port", "12x"}, "1 to 65535"},
		{{"--port", ""}, "1 to 65535"},
		{{"--connections", "0"}, "1 to 64"},
		{{"--connections", "65"}, "1 to 64"},
		{{"--block-size", "511"}, "512"},
		{{"--block-size", "1536"}, "512"},
		{{"--block-size", "8192"}, "512"},
		{{"--tls-min", "1.1"}, "1.2 or 1.3"},
		{{"--tls-ca", ""}, "empty"},
		{{"--connect-timeout", "0"}, "seconds"},
		{{"--connect-timeout", "nan"}, "seconds"},
		{{"--connect-timeout", "1e9"}, "seconds"},
		{{"--port"}, "needs a value"},
		{{"--no-such"}, "--no-such"},
		{{"--force"}, "no meaning"},
	};
	struct options options;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_true(parse(&options, FOR_ATTACH, &err, table[i].words) < 0);
		assert_int_equal(err.kind, ERROR_USAGE);
		if (!strstr(err.text, table[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", table[i].words[0], err.text,
				table[i].says);
	}
}

static void too_many_arguments_are_refused(void **state)
{
	struct options options;
	struct error err;

	(void)state;
	assert_true(PARSE(FOR_ATTACH, "a", "b", "c", "d", "e") < 0);
	assert_non_null(strstr(err.text, "\"e\""));
}

static void a_uri_takes_no_export_beside_it(void **state)
{
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_ATTACH, "nbd0", "nbds://host/a", "b"), 0);
	assert_true(config_from_arguments(&config, &options, 1, &err) < 0);
	assert_int_equal(err.kind, ERROR_USAGE);
}

static void the_command_line_goes_before_the_uri(void **state)
{
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "nbd://host:1/x", "--port", "2", "--tls"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 0, &err), 0);
	assert_int_equal(config.endpoint.hosts[0].port, 2);
	assert_true(config.tls.wanted);
}

static void the_port_option_is_for_each_host(void **state)
{
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_ATTACH, "nbd0", "a,b:1", "x", "--port", "2"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 1, &err), 0);
	assert_int_equal(config.endpoint.host_count, 2);
	assert_int_equal(config.endpoint.hosts[0].port, 2);
	assert_int_equal(config.endpoint.hosts[1].port, 2);
	assert_int_equal(PARSE(FOR_ATTACH, "nbd0", "a:1,a:3", "x", "--port", "2"), 0);
	assert_true(config_from_arguments(&config, &options, 1, &err) < 0);
	assert_int_equal(err.kind, ERROR_USAGE);
}

static void plain_targets_need_no_credentials(void **state)
{
	struct tls_credentials *creds = NULL;
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "host"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 0, &err), 0);
	assert_int_equal(config_load_credentials(&config, &creds, &err), 0);
	assert_null(creds);
}

static void a_unix_socket_under_tls_needs_a_name(void **state)
{
	struct tls_credentials *creds = NULL;
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "nbds+unix:///?socket=/run/x"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 0, &err), 0);
	assert_true(config_load_credentials(&config, &creds, &err) < 0);
	assert_non_null(strstr(err.text, "--tls-hostname"));
}

static void a_uri_that_asks_for_a_psk_gets_one_or_nothing(void **state)
{
	struct tls_credentials *creds = NULL;
	struct options options;
	struct config config;
	struct error err;

	(void)state;
	assert_int_equal(PARSE(FOR_INFO, "nbds://host/?tls-type=psk"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 0, &err), 0);
	assert_true(config_load_credentials(&config, &creds, &err) < 0);
	assert_non_null(strstr(err.text, "--tls-psk"));
	assert_int_equal(PARSE(FOR_INFO, "nbds://host/?tls-type=x509", "--tls-psk", "keys.psk"), 0);
	assert_int_equal(config_from_arguments(&config, &options, 0, &err), 0);
	assert_true(config_load_credentials(&config, &creds, &err) < 0);
	assert_non_null(strstr(err.text, "tls-type=x509"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_and_options_mix),
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(any_tls_option_means_tls),
		cmocka_unit_test(values_are_copied),
		cmocka_unit_test(a_value_that_does_not_fit_is_refused),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(too_many_arguments_are_refused),
		cmocka_unit_test(a_uri_takes_no_export_beside_it),
		cmocka_unit_test(the_command_line_goes_before_the_uri),
		cmocka_unit_test(the_port_option_is_for_each_host),
		cmocka_unit_test(plain_targets_need_no_credentials),
		cmocka_unit_test(a_unix_socket_under_tls_needs_a_name),
		cmocka_unit_test(a_uri_that_asks_for_a_psk_gets_one_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
