/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions, ciphers and groups: only what the kernel can carry on with. */
#include "tls/priority.h"
#include "tls/info.h"
#include "tls/library.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define PRIORITY_MAX 2048

const struct ktls_cipher *tls_ktls_cipher(gnutls_cipher_algorithm_t algorithm)
{
	const char *name = gnutls_cipher_get_name(algorithm);

	return name ? ktls_cipher_find_by_name(name) : NULL;
}

static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & HWCAP_AES;
#else
	return false;
#endif
}

struct priority_text {
	char text[PRIORITY_MAX];
	size_t used;
};

static void append(struct priority_text *priority, const char *fmt, const char *argument)
{
	int n = snprintf(priority->text + priority->used, sizeof(priority->text) - priority->used,
		fmt, argument);

	priority->used += n > 0 ? (size_t)n : 0;
	if (priority->used >= sizeof(priority->text))
		priority->used = sizeof(priority->text) - 1;
}

static void append_defaults(struct priority_text *priority)
{
	const char *group = tls_hybrid_group();

	append(priority, "%s", "NORMAL:%PROFILE_MEDIUM:-CIPHER-ALL");
	append(priority, "%s",
		cpu_has_aes() ? ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305" :
				":+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM");
	/* forward secrecy under 1.2 too */
	append(priority, "%s", ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:+DHE-RSA");
	if (group) {
		append(priority, ":-GROUP-ALL:+GROUP-%s", group);
		append(priority, "%s",
			":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1:+GROUP-"
			"FFDHE3072:+GROUP-FFDHE4096");
	}
}

/* Whatever the user asked for: nothing below the floor, nothing that kTLS cannot carry, and with a
 * PSK nothing but a PSK. */
static void append_limits(struct priority_text *priority, int min_version, bool psk)
{
	const gnutls_cipher_algorithm_t *cipher;

	for (cipher = gnutls_cipher_list(); *cipher; cipher++)
		if (!tls_ktls_cipher(*cipher))
			append(priority, ":-%s", gnutls_cipher_get_name(*cipher));
	append(priority, "%s", ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL");
	if (min_version >= TLS_VERSION_1_3)
		append(priority, "%s", ":-VERS-TLS1.2");
	if (psk)
		append(priority, "%s", ":-KX-ALL:+ECDHE-PSK:+DHE-PSK");
}

static int refuse_empty(
	gnutls_priority_t priority, const char *override, int min_version, struct error *err)
{
	const unsigned *list;

	if (gnutls_priority_cipher_list(priority, &list) <= 0) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the priority string \"%s\" allows no cipher that kernel TLS can carry",
			override);
		return error_hint(err, -EINVAL,
			"it can carry AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305");
	}
	if (gnutls_priority_protocol_list(priority, &list) <= 0) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the priority string \"%s\" allows no TLS version from %s up", override,
			tls_version_name(min_version));
		return error_hint(err, -EINVAL,
			min_version == TLS_VERSION_1_3 ?
				"name VERS-TLS1.3, or lower the floor with --tls-min 1.2" :
				"name VERS-TLS1.2 or VERS-TLS1.3");
	}
	return 0;
}

int tls_priority_init(gnutls_priority_t *priority, const char *override, int min_version, bool psk,
	struct error *err)
{
	struct priority_text text = {.used = 0};
	const char *error_at = NULL;
	int rc;

	if (override && strlen(override) > PRIORITY_MAX / 2)
		return error_set(err, ERROR_USAGE, EINVAL, "the priority string is too long");
	if (override) { /* by itself first, so that an error points into what the user wrote */
		rc = gnutls_priority_init(priority, override, &error_at);
		if (rc < 0)
			return error_set(err, ERROR_USAGE, EINVAL,
				"the priority string \"%s\" is not understood%s%s%s", override,
				error_at && *error_at ? " at \"" : "", error_at ? error_at : "",
				error_at && *error_at ? "\"" : "");
		gnutls_priority_deinit(*priority);
		*priority = NULL;
		append(&text, "%s", override);
		append(&text, "%s", ":%PROFILE_MEDIUM");
	} else {
		append_defaults(&text);
	}
	append_limits(&text, min_version, psk);
	rc = gnutls_priority_init(priority, text.text, &error_at);
	/* with every cipher or version taken away, some versions refuse the string itself */
	if (rc < 0 && override) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the priority string \"%s\" leaves nothing that kernel TLS can carry",
			override);
		return error_hint(err, -EINVAL,
			"it can carry AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305 under TLS "
			"1.3, and 1.2 with --tls-min 1.2");
	}
	if (rc < 0)
		return error_set(err, ERROR_OTHER, EINVAL,
			"GnuTLS does not take our own priorities: %s (at \"%s\")",
			gnutls_strerror(rc), error_at);
	return refuse_empty(*priority, override ? override : text.text, min_version, err);
}
