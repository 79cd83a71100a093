/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said when a server ends TLS: the cause that its alert names, and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tls/info.h"
#include "tls/library.h"
#include "tls/refusal.h"

/* RFC 8446, 6 */
enum {
	BAD_RECORD_MAC = 20,
	HANDSHAKE_FAILURE = 40,
	BAD_CERTIFICATE = 42,
	UNSUPPORTED_CERTIFICATE = 43,
	CERTIFICATE_REVOKED = 44,
	CERTIFICATE_EXPIRED = 45,
	ILLEGAL_PARAMETER = 47,
	UNKNOWN_CA = 48,
	ACCESS_DENIED = 49,
	DECRYPT_ERROR = 51,
	PROTOCOL_VERSION = 70,
	INSUFFICIENT_SECURITY = 71,
	INTERNAL_ERROR = 80,
	MISSING_EXTENSION = 109,
	UNRECOGNIZED_NAME = 112,
	UNKNOWN_PSK_IDENTITY = 115,
	CERTIFICATE_REQUIRED = 116,
};

static const struct tls_offer authority = {.min_version = TLS_VERSION_1_3, .hostname = "a.example"},
			      authority_1_2 = {.min_version = TLS_VERSION_1_2, .hostname = ""},
			      asked = {.min_version = TLS_VERSION_1_3,
				      .was_asked = true,
				      .hostname = ""},
			      certificate = {.min_version = TLS_VERSION_1_3,
				      .was_asked = true,
				      .has_client_cert = true,
				      .hostname = ""},
			      psk = {.min_version = TLS_VERSION_1_3, .psk = true, .hostname = ""},
			      limited = {.min_version = TLS_VERSION_1_3,
				      .hostname = "",
				      .system_configuration = "/etc/gnutls/config"},
			      priority = {.min_version = TLS_VERSION_1_3,
				      .has_priority = true,
				      .hostname = ""};

static void each_alert_has_its_cause(void **state)
{
	static const struct {
		const struct tls_offer *offer;
		int alert;
		const char *said, *other; /* in the text or the hint; NULL: nothing to hint at */
	} table[] = {
		{&authority, HANDSHAKE_FAILURE, "want a PSK (--tls-psk), TLS 1.2", "certificates"},
		{&authority, HANDSHAKE_FAILURE, "another cipher?", "--tls-priority"},
		{&authority_1_2, HANDSHAKE_FAILURE, "want a PSK (--tls-psk) or another cipher?",
			"--tls-min"},
		{&priority, INSUFFICIENT_SECURITY, "--tls-priority leaves out", "another cipher"},
		{&psk, HANDSHAKE_FAILURE, "certificates and not a PSK (--tls-ca)", "--tls-psk"},
		{&psk, MISSING_EXTENSION, "certificates and not a PSK", "--tls-psk"},
		{&authority, PROTOCOL_VERSION, "--tls-min 1.2 lowers", "PSK"},
		{&limited, HANDSHAKE_FAILURE,
			"another cipher or what is switched off here by /etc/gnutls/config?",
			"priority"},
		{&authority_1_2, PROTOCOL_VERSION, "too old for TLS 1.2", "--tls-min"},
		{&asked, PROTOCOL_VERSION, "--tls-min 1.2", "client certificate"},
		{&asked, INTERNAL_ERROR, "failed in the server", "client certificate"},
		{&asked, HANDSHAKE_FAILURE, "wants a client certificate and none was given", "PSK"},
		{&asked, CERTIFICATE_REQUIRED, "--tls-cert", "PSK"},
		{&authority, CERTIFICATE_REQUIRED, "none was given", "PSK"},
		{&certificate, CERTIFICATE_REQUIRED, "none of the authorities", "none was given"},
		{&certificate, CERTIFICATE_EXPIRED, "renew the client certificate", "authority"},
		{&certificate, CERTIFICATE_REVOKED, "list of revoked", "in date"},
		{&certificate, UNKNOWN_CA, "does not trust the authority", "in date"},
		{&certificate, UNSUPPORTED_CERTIFICATE, "tls_www_client", "in date"},
		{&certificate, ACCESS_DENIED, "does not let it in", "in date"},
		{&certificate, BAD_CERTIFICATE, "authority, and in date?", "PSK"},
		{&authority, UNKNOWN_CA, NULL, NULL},
		{&psk, UNKNOWN_PSK_IDENTITY, "--tls-username", "another key"},
		{&psk, DECRYPT_ERROR, "another key for this user", "--tls-username"},
		{&psk, BAD_RECORD_MAC, "another key for this user", "--tls-username"},
		{&psk, ILLEGAL_PARAMETER, "another key for this user", "--tls-username"},
		{&authority, DECRYPT_ERROR, NULL, NULL},
		{&authority, INTERNAL_ERROR, "failed in the server", "PSK"},
		{&authority, UNRECOGNIZED_NAME, "\"a.example\": --tls-hostname", "PSK"},
		{&authority, 255, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct error err = {0};
		char whole[sizeof(err.text) + sizeof(err.hint) + 2];

		assert_int_equal(
			tls_refused_by_alert(table[i].offer, table[i].alert, &err), -EACCES);
		assert_int_equal(err.kind, ERROR_TLS);
		assert_false(err.retry);
		snprintf(whole, sizeof(whole), "%s\n%s", err.text, err.hint);
		if (table[i].said ? !strstr(whole, table[i].said) : *err.hint)
			fail_msg("line %zu, alert %d: %s", i, table[i].alert, whole);
		if (table[i].other && strstr(whole, table[i].other))
			fail_msg("line %zu, alert %d: %s", i, table[i].alert, whole);
	}
}

static void silence_is_guessed_at(void **state)
{
	static const struct {
		const struct tls_offer *offer;
		const char *said;
		bool retry;
	} table[] = {
		{&authority, "does it want a PSK (--tls-psk), TLS 1.2 (--tls-min 1.2) or another",
			true},
		{&psk, "does it take a PSK at all?", true},
		{&asked, "give yours with --tls-cert", false},
		{&certificate, "is it of the authority that the server trusts", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct error err = {0};

		assert_int_equal(
			tls_refused_in_silence(table[i].offer, "here", "closed", &err), -EACCES);
		assert_int_equal(err.kind, ERROR_TLS);
		assert_int_equal(err.retry, table[i].retry);
		if (!strstr(err.hint, table[i].said))
			fail_msg("line %zu: %s", i, err.hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_alert_has_its_cause),
		cmocka_unit_test(silence_is_guessed_at),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("refusal", tests, NULL, NULL);
}
