/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --tls-priority may raise what TLS has to be, never lower it. What a profile does to a certificate
 * is in tests/server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "tls/info.h"
#include "tls/library.h"
#include "tls/priority.h"

static gnutls_priority_t made;

static int make(const char *override, int min_version, struct error *err)
{
	if (made)
		gnutls_priority_deinit(made);
	made = NULL;
	return tls_priority_init(&made, override, min_version, false, err);
}

static void what_lowers_is_refused_by_name(void **state)
{
	static const struct {
		const char *override, *word, *why;
	} table[] = {
		{"NORMAL:%PROFILE_LOW", "%PROFILE_LOW", "MEDIUM at least"},
		{"NORMAL:%PROFILE_LEGACY", "%PROFILE_LEGACY", "MEDIUM at least"},
		{"NORMAL:%PROFILE_VERY_WEAK:%PROFILE_HIGH", "%PROFILE_VERY_WEAK",
			"MEDIUM at least"},
		{"NORMAL:%VERIFY_ALLOW_BROKEN", "%VERIFY_ALLOW_BROKEN", "takes away"},
		{"NORMAL:%VERIFY_ALLOW_SIGN_RSA_MD5", "%VERIFY_ALLOW_SIGN_RSA_MD5", "takes away"},
		{"NORMAL:%VERIFY_ALLOW_SIGN_WITH_SHA1", "%VERIFY_ALLOW_SIGN_WITH_SHA1",
			"takes away"},
		{"NORMAL:%VERIFY_DISABLE_CRL_CHECKS", "%VERIFY_DISABLE_CRL_CHECKS", "takes away"},
		{"NORMAL:%DEBUG_ALLOW_KEY_USAGE_VIOLATIONS", "%DEBUG_ALLOW_KEY_USAGE_VIOLATIONS",
			"takes away"},
		{"NORMAL:%COMPAT", "%COMPAT", "takes away"},
		{"NORMAL:%UNSAFE_RENEGOTIATION", "%UNSAFE_RENEGOTIATION", "takes away"},
		{"NORMAL:%PARTIAL_RENEGOTIATION", "%PARTIAL_RENEGOTIATION", "takes away"},
		{"NORMAL:%DISABLE_SAFE_RENEGOTIATION", "%DISABLE_SAFE_RENEGOTIATION", "takes away"},
		{"NORMAL:%NO_SESSION_HASH", "%NO_SESSION_HASH", "takes away"},
		{"NORMAL:%NO_EXTENSIONS", "%NO_EXTENSIONS", "takes away"},
		{"NORMAL: %NO_SESSION_HASH", "%NO_SESSION_HASH", "takes away"},
		{"NORMAL:%SOMETHING_TO_COME", "%SOMETHING_TO_COME", "takes away"},
		{"NORMAL:+RSA", "+RSA", "forward secrecy"},
		{"NORMAL:+rsa", "+rsa", "forward secrecy"},
		{"NORMAL:+PSK", "+PSK", "forward secrecy"},
		{"NORMAL:+RSA-PSK", "+RSA-PSK", "forward secrecy"},
		{"NORMAL:+ANON-ECDH", "+ANON-ECDH", "authentication"},
		{"NORMAL:+ANON-DH", "+ANON-DH", "authentication"},
		{"NORMAL:+VERS-TLS1.1", "+VERS-TLS1.1", "broken"},
		{"NORMAL:+VERS-SSL3.0", "+VERS-SSL3.0", "broken"},
		{"NORMAL:+SIGN-RSA-SHA1", "+SIGN-RSA-SHA1", "forged"},
		{"NORMAL:+SIGN-RSA-MD5", "+SIGN-RSA-MD5", "forged"},
		{"NORMAL:+GROUP-SECP192R1", "+GROUP-SECP192R1", "112 bits"},
		{"NORMAL:+CTYPE-SRV-RAWPK", "+CTYPE-SRV-RAWPK", "no authority"},
		{"@SYSTEM", "@SYSTEM", "write that out"},
		{"@KEYWORD,NORMAL", "@KEYWORD,NORMAL", "write that out"},
	};
	char quoted[64];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct error err = {0};

		if (make(table[i].override, TLS_VERSION_1_2, &err) == 0)
			fail_msg("%s is taken", table[i].override);
		snprintf(quoted, sizeof(quoted), "\"%s\"", table[i].word);
		if (err.kind != ERROR_USAGE || !strstr(err.text, "never lower") ||
			!strstr(err.text, quoted) || !strstr(err.text, table[i].why))
			fail_msg("%s: %s", table[i].override, err.text);
	}
}

static void what_raises_is_taken(void **state)
{
	static const char *const overrides[] = {
		"NORMAL",
		"NORMAL:%PROFILE_MEDIUM",
		"NORMAL:%PROFILE_HIGH",
		"NORMAL:%PROFILE_ULTRA",
		"SECURE256",
		"SECURE192:%SAFE_RENEGOTIATION",
		"SUITEB128",
		"PFS",
		"NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305",
		"NORMAL:-CIPHER-ALL:+AES-256-GCM:%SERVER_PRECEDENCE",
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP384R1",
		"NORMAL:-KX-ALL:+ECDHE-RSA:+ECDHE-ECDSA",
		"NORMAL:-SIGN-ALL:+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SECP256R1-SHA256",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		struct error err = {0};

		if (make(overrides[i], TLS_VERSION_1_2, &err))
			fail_msg("%s: %s %s", overrides[i], err.text, err.hint);
	}
}

/* What comes with words that stand for many. */
static void nothing_weak_is_left(void **state)
{
	static const char *const overrides[] = {NULL, "NORMAL", "LEGACY", "PERFORMANCE",
		"NORMAL:+KX-ALL:+SIGN-ALL:+VERS-ALL:+CIPHER-ALL:+GROUP-ALL",
		"NONE:+VERS-ALL:+KX-ALL:"
		"+CIPHER-ALL:+MAC-ALL:+SIGN-ALL:+GROUP-ALL:+CTYPE-X509:+COMP-NULL"};

	(void)state;
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		const unsigned *list;
		struct error err = {0};

		if (make(overrides[i], TLS_VERSION_1_2, &err))
			fail_msg("%s: %s %s", overrides[i], err.text, err.hint);
		for (int at = 0; at < gnutls_priority_kx_list(made, &list); at++)
			assert_true(list[at] == GNUTLS_KX_ECDHE_RSA ||
				list[at] == GNUTLS_KX_ECDHE_ECDSA || list[at] == GNUTLS_KX_DHE_RSA);
		for (int at = 0; at < gnutls_priority_sign_list(made, &list); at++)
			assert_true(gnutls_sign_is_secure2(
				list[at], GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS));
		for (int at = 0; at < gnutls_priority_protocol_list(made, &list); at++)
			assert_true(list[at] == GNUTLS_TLS1_2 || list[at] == GNUTLS_TLS1_3);
		for (int at = 0; at < gnutls_priority_cipher_list(made, &list); at++)
			assert_non_null(tls_ktls_cipher(list[at]));
	}
}

/* GnuTLS reads the first 128 parts of a string and drops the others, which are our limits. */
static void nothing_is_cut_off(void **state)
{
	char text[4096];
	struct error err = {0};

	(void)state;
	for (int parts = 1; parts < 200; parts++) {
		size_t used = (size_t)snprintf(text, sizeof(text), "NORMAL");
		const unsigned *list;

		for (int i = 0; i < parts; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, ":+ECDHE-RSA");
		snprintf(text + used, sizeof(text) - used, ":+KX-ALL:+CIPHER-ALL");
		if (make(text, TLS_VERSION_1_3, &err)) {
			assert_non_null(strstr(err.text, "too many parts"));
			assert_true(parts > 20);
			continue;
		}
		for (int at = 0; at < gnutls_priority_kx_list(made, &list); at++)
			assert_true(list[at] != GNUTLS_KX_RSA && list[at] != GNUTLS_KX_ANON_DH);
		for (int at = 0; at < gnutls_priority_cipher_list(made, &list); at++)
			assert_non_null(tls_ktls_cipher(list[at]));
		assert_int_equal(gnutls_priority_protocol_list(made, &list), 1);
	}
}

static int end(void **state)
{
	(void)state;
	if (made)
		gnutls_priority_deinit(made);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_lowers_is_refused_by_name),
		cmocka_unit_test(what_raises_is_taken),
		cmocka_unit_test(nothing_weak_is_left),
		cmocka_unit_test(nothing_is_cut_off),
	};

	if (tls_library_load(NULL))
		return 1;
	return cmocka_run_group_tests_name("priority", tests, NULL, end);
}
