/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No message of a negotiator is believed: wrong sizes, unknown types, texts, names, and results
 * that are not what was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake-negotiator.h"

static void send_its_message(int channel, const void *argument)
{
	const struct fake *fake = argument;

	send(channel, &fake->message, fake->size, 0);
}

static int send_and_step(struct fake *fake, size_t size)
{
	int rc;

	fake->size = size;
	fake_start(fake, send_its_message, 5000);
	fake_drive(fake, &rc);
	assert_false(negotiation_is_running(&fake->negotiation));
	return rc;
}

static void a_message_of_the_wrong_size_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, 8) < 0);
	assert_non_null(strstr(fake->err.text, "wrong size"));
}

static void an_unknown_message_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = 77;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_non_null(strstr(fake->err.text, "unknown type 77"));
}

static void an_error_without_a_text_gets_one(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_ERROR;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_string_equal(fake->err.text, "the negotiator failed without a reason");
}

static void text_from_the_negotiator_is_cut_and_cleaned(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_ERROR;
	fake->message.error.kind = (enum error_kind)99;
	memset(fake->message.error.text, '\x1b', sizeof(fake->message.error.text));
	memset(fake->message.error.hint, 'h', sizeof(fake->message.error.hint));
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_null(strchr(fake->err.text, '\x1b'));
	assert_true(strnlen(fake->err.hint, sizeof(fake->err.hint)) < sizeof(fake->err.hint));
	assert_int_equal(fake->err.kind, ERROR_OTHER);
}

static void a_result_without_the_tls_that_was_asked_for_is_refused(void **state)
{
	struct tls_credentials *creds = fake_credentials(0, "");
	struct fake *fake = *state;

	fake->negotiation.job.tls = creds;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
	tls_credentials_free(creds);
}

static void a_host_that_was_not_among_those_given_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 2;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

static void each_of_the_hosts_given_is_taken(void **state)
{
	struct fake *fake = *state;

	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
	assert_int_equal(fake->result.host_index, 1);
}

static void a_unix_socket_is_host_0(void **state)
{
	struct fake *fake = *state;

	fake->endpoint.host_count = 0;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_int_equal(send_and_step(fake, sizeof(fake->message)), 0);
}

static void a_unix_socket_is_no_other_host(void **state)
{
	struct fake *fake = *state;

	fake->endpoint.host_count = 0;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->message.result.host_index = 1;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
}

/* --- names */

struct names_fake {
	struct fake fake;
	struct negotiation_names_message names;
	unsigned count;
};

static void send_names_and_result(int channel, const void *argument)
{
	const struct names_fake *fake = argument;

	for (unsigned i = 0; i < fake->count; i++)
		send(channel, &fake->names, sizeof(fake->names), 0);
	send(channel, &fake->fake.message, sizeof(fake->fake.message), 0);
}

/* COUNT messages with names, and the result. */
static int negotiate_names(struct names_fake *fake, struct export_names *names, unsigned count)
{
	int rc;

	memset(fake, 0, sizeof(*fake));
	memset(names, 0, sizeof(*names));
	fake->fake.negotiation.result.fd = -1;
	fake->fake.negotiation.job.kind = NEGOTIATION_INFO;
	fake->fake.negotiation.job.endpoint = &fake->fake.endpoint;
	fake->fake.negotiation.job.names = names;
	strcpy(fake->fake.endpoint.export_name, "mine");
	fake->fake.message.type = NEGOTIATION_MESSAGE_RESULT;
	fake->names.type = NEGOTIATION_MESSAGE_NAMES;
	memset(&fake->names.names, '\x1b', sizeof(fake->names.names));
	fake->count = count;
	fake_start(&fake->fake, send_names_and_result, 5000);
	fake_drive(&fake->fake, &rc);
	return rc;
}

static void names_come_before_the_result(void **state)
{
	struct names_fake *fake = calloc(1, sizeof(*fake));
	struct export_names *names = calloc(1, sizeof(*names));

	(void)state;
	assert_int_equal(negotiate_names(fake, names, 1), 0);
	assert_string_equal(names->name, "mine"); /* whatever it says */
	assert_true(*names->description && !strchr(names->description, '\x1b'));
	assert_true(*names->canonical_name && !strchr(names->canonical_name, '\x1b'));
	assert_true(negotiate_names(fake, names, 0) < 0);
	assert_non_null(strstr(fake->fake.err.text, "does not hold together"));
	assert_true(negotiate_names(fake, names, 2) < 0);
	assert_non_null(strstr(fake->fake.err.text, "more than was asked for"));
	free(fake);
	free(names);
}

static void a_result_without_its_socket_is_refused(void **state)
{
	struct fake *fake = *state;

	fake->negotiation.job.kind = NEGOTIATION_ATTACH;
	fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	assert_true(send_and_step(fake, sizeof(fake->message)) < 0);
	assert_int_equal(fake->err.kind, ERROR_TLS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_message_of_the_wrong_size_is_refused, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			an_unknown_message_is_refused, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			text_from_the_negotiator_is_cut_and_cleaned, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			an_error_without_a_text_gets_one, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			a_result_without_the_tls_that_was_asked_for_is_refused, fake_setup,
			fake_teardown),
		cmocka_unit_test_setup_teardown(a_host_that_was_not_among_those_given_is_refused,
			fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			each_of_the_hosts_given_is_taken, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(a_unix_socket_is_host_0, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(
			a_unix_socket_is_no_other_host, fake_setup, fake_teardown),
		cmocka_unit_test(names_come_before_the_result),
		cmocka_unit_test_setup_teardown(
			a_result_without_its_socket_is_refused, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
