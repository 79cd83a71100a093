/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Versions, ciphers and groups: only what the kernel can carry on with. */
#include "tls/priority.h"
#include "tls/gnutls-library.h"
#include "tls/info.h"
#include "tls/library.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define PRIORITY_MAX 8192

const struct ktls_cipher *tls_ktls_cipher(gnutls_cipher_algorithm_t algorithm)
{
	const char *name = libgnutls.cipher_get_name(algorithm);

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

/* With others the server's key alone protects what is said, so that all that was recorded can be
 * read once it is stolen, or nothing authenticates the server. */
static bool has_forward_secrecy(gnutls_kx_algorithm_t kx)
{
	switch (kx) {
	case GNUTLS_KX_ECDHE_RSA:
	case GNUTLS_KX_ECDHE_ECDSA:
	case GNUTLS_KX_DHE_RSA:
	case GNUTLS_KX_ECDHE_PSK:
	case GNUTLS_KX_DHE_PSK: return true;
	default: return false;
	}
}

static bool is_weak_signature(gnutls_sign_algorithm_t sign)
{
	return !libgnutls.sign_is_secure2(sign, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS);
}

/* Whatever the user asked for: nothing below the floor, nothing that kTLS cannot carry, no key
 * exchange without forward secrecy, no MD5 or SHA-1, no TLS 1.2 without RFC 5746, and with a PSK
 * nothing but a PSK. */
static void append_limits(struct priority_text *priority, int min_version, bool psk)
{
	const gnutls_cipher_algorithm_t *cipher;
	const gnutls_kx_algorithm_t *kx;
	const gnutls_sign_algorithm_t *sign;

	for (cipher = libgnutls.cipher_list(); *cipher; cipher++)
		if (!tls_ktls_cipher(*cipher))
			append(priority, ":-%s", libgnutls.cipher_get_name(*cipher));
	for (kx = libgnutls.kx_list(); *kx; kx++)
		if (!has_forward_secrecy(*kx))
			append(priority, ":-%s", libgnutls.kx_get_name(*kx));
	for (sign = libgnutls.sign_list(); *sign; sign++)
		if (is_weak_signature(*sign))
			append(priority, ":-SIGN-%s", libgnutls.sign_get_name(*sign));
	append(priority, "%s", ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL");
	if (min_version >= TLS_VERSION_1_3)
		append(priority, "%s", ":-VERS-TLS1.2");
	if (psk)
		append(priority, "%s", ":-KX-ALL:+ECDHE-PSK:+DHE-PSK");
	append(priority, "%s", ":%SAFE_RENEGOTIATION");
}

/* --- what the user may not ask for */

/* From the weakest that is allowed to the strongest, with the words that stand for them. */
static const struct {
	const char *name;     /* of an option: %PROFILE_HIGH */
	const char *keywords; /* with a blank behind each */
} profiles[] = {
	{"MEDIUM", ""},
	{"SUITEB128", "SUITEB128 "},
	{"HIGH", "SECURE192 SECURE256 "},
	{"SUITEB192", "SUITEB192 "},
	{"ULTRA", ""},
	{"FUTURE", ""},
};
#define PROFILE_COUNT (sizeof(profiles) / sizeof(profiles[0]))

/* Options that take nothing away. All others are refused, those that are not yet known, too. */
static const char *const harmless[] = {"SAFE_RENEGOTIATION", "FORCE_SESSION_HASH", "FORCE_ETM",
	"NO_TICKETS", "NO_TICKETS_TLS12", "SERVER_PRECEDENCE", "DUMBFW", "FALLBACK_SCSV",
	"LATEST_RECORD_VERSION", "DISABLE_TLS13_COMPAT_MODE", "NO_SHUFFLE_EXTENSIONS",
	"NEW_PADDING", "STATELESS_COMPRESSION", "ALLOW_SMALL_RECORDS"};

static bool is_profile(size_t at, const char *word)
{
	char with_blank[40];

	if (strncmp(word, "%PROFILE_", 9) == 0)
		return strcmp(word + 9, profiles[at].name) == 0;
	snprintf(with_blank, sizeof(with_blank), "%.30s ", word);
	return strcasestr(profiles[at].keywords, with_blank) != NULL;
}

static const char *judge_option(const char *word)
{
	for (size_t i = 0; i < PROFILE_COUNT; i++)
		if (is_profile(i, word))
			return NULL;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(word + 1, harmless[i]) == 0)
			return NULL;
	if (strncmp(word, "%PROFILE_", 9) == 0)
		return "lowers the profile that certificates are held to, which is MEDIUM at least";
	return "takes away from what is verified or agreed on, or may do so";
}

static bool is_old_version(const char *name)
{
	gnutls_protocol_t version = libgnutls.protocol_get_id(name);

	return version != GNUTLS_VERSION_UNKNOWN && version != GNUTLS_TLS1_2 &&
		version != GNUTLS_TLS1_3;
}

/* What is added by name. Words for many, such as "+KX-ALL", are cut by append_limits(). */
static const char *judge_addition(const char *name)
{
	gnutls_kx_algorithm_t kx = libgnutls.kx_get_id(name);

	if (kx != GNUTLS_KX_UNKNOWN && !has_forward_secrecy(kx))
		return "is a key exchange without forward secrecy or without authentication";
	if (strncasecmp(name, "VERS-", 5) == 0 && is_old_version(name + 5))
		return "is a version that the kernel cannot carry, and that is broken";
	if (strncasecmp(name, "SIGN-", 5) == 0 && libgnutls.sign_get_id(name + 5) &&
		is_weak_signature(libgnutls.sign_get_id(name + 5)))
		return "is a signature that can be forged";
	if (strcasecmp(name, "GROUP-SECP192R1") == 0 || strcasecmp(name, "CURVE-SECP192R1") == 0)
		return "is a group of less than 112 bits";
	if (strncasecmp(name, "CTYPE-", 6) == 0 && !strcasestr(name, "X509") &&
		!strcasestr(name, "X.509") && strcasecmp(name, "CTYPE-ALL") != 0)
		return "is a kind of certificate that no authority signs";
	return NULL;
}

/* May raise, never lower. *PROFILE receives the strongest that it names, or MEDIUM. */
static int check_override(const char *override, const char **profile, struct error *err)
{
	char words[PRIORITY_MAX / 2 + 1], *rest = words, *word;
	size_t strongest = 0;

	snprintf(words, sizeof(words), "%s", override);
	while ((word = strsep(&rest, ":"))) {
		const char *why = NULL;

		word += strspn(word, " ");
		if (*word == '%')
			why = judge_option(word);
		else if (*word == '+')
			why = judge_addition(word + 1);
		else if (*word == '@')
			why = "stands for whatever this system's configuration says: write that "
			      "out";
		if (why)
			return error_set(err, ERROR_USAGE, EINVAL,
				"the priority string may raise what TLS has to be, never lower it: "
				"\"%s\" %s",
				word, why);
		for (size_t i = strongest + 1; i < PROFILE_COUNT; i++)
			if (is_profile(i, word))
				strongest = i;
	}
	*profile = profiles[strongest].name;
	return 0;
}

static int refuse_empty(
	gnutls_priority_t priority, const char *override, int min_version, struct error *err)
{
	const unsigned *list;

	if (libgnutls.priority_cipher_list(priority, &list) <= 0) {
		error_set(err, ERROR_USAGE, EINVAL,
			"the priority string \"%s\" allows no cipher that kernel TLS can carry",
			override);
		return error_hint(err, -EINVAL,
			"it can carry AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305");
	}
	if (libgnutls.priority_protocol_list(priority, &list) <= 0) {
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

/* By itself first, so that an error points into what the user wrote. */
static int append_override(struct priority_text *text, const char *override, struct error *err)
{
	gnutls_priority_t alone;
	const char *error_at = NULL, *profile = NULL;
	int rc;

	if (strlen(override) > PRIORITY_MAX / 2)
		return error_set(err, ERROR_USAGE, EINVAL, "the priority string is too long");
	rc = check_override(override, &profile, err);
	if (rc)
		return rc;
	rc = libgnutls.priority_init(&alone, override, &error_at);
	if (rc < 0)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the priority string \"%s\" is not understood%s%s%s", override,
			error_at && *error_at ? " at \"" : "", error_at ? error_at : "",
			error_at && *error_at ? "\"" : "");
	libgnutls.priority_deinit(alone);
	append(text, "%s", override);
	append(text, ":%%PROFILE_%s", profile); /* the last one counts */
	return 0;
}

/* GnuTLS reads as many parts as this and drops the others, which would be our limits. */
static int check_count(const struct priority_text *text, struct error *err)
{
	size_t count = 1;

	for (const char *p = text->text; (p = strchr(p, ':')); p++)
		count++;
	if (count <= GNUTLS_MAX_ALGORITHM_NUM && text->used + 1 < sizeof(text->text))
		return 0;
	return error_set(err, ERROR_USAGE, E2BIG,
		"the priority string has too many parts: %zu with ours, and GnuTLS reads %d", count,
		GNUTLS_MAX_ALGORITHM_NUM);
}

static int refuse_whole(const char *override, int rc, const char *error_at, struct error *err)
{
	if (!override)
		return error_set(err, ERROR_OTHER, EINVAL,
			"GnuTLS does not take our own priorities: %s (at \"%s\")",
			libgnutls.strerror(rc), error_at ? error_at : "");
	error_set(err, ERROR_USAGE, EINVAL,
		"the priority string \"%s\" leaves nothing that kernel TLS can carry", override);
	return error_hint(err, -EINVAL,
		"it can carry AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305 under TLS 1.3, and "
		"1.2 with --tls-min 1.2");
}

static int make(gnutls_priority_t *priority, const char *override, int min_version, bool psk,
	struct error *err)
{
	struct priority_text text = {.used = 0};
	const char *error_at = NULL;
	int rc = override ? append_override(&text, override, err) : 0;

	if (rc)
		return rc;
	if (!override)
		append_defaults(&text);
	append_limits(&text, min_version, psk);
	rc = check_count(&text, err);
	if (rc)
		return rc;
	rc = libgnutls.priority_init(priority, text.text, &error_at);
	/* with every cipher or version taken away, some versions refuse the string itself */
	if (rc < 0)
		return refuse_whole(override, rc, error_at, err);
	return refuse_empty(*priority, override ? override : text.text, min_version, err);
}

static bool is_taken(const char *string)
{
	gnutls_priority_t priority;

	if (libgnutls.priority_init(&priority, string, NULL) < 0)
		return false;
	libgnutls.priority_deinit(priority);
	return true;
}

/* Not even our own priorities are left something: said by the file that took it away. */
static int refuse_configuration(const char *file, int min_version, struct error *err)
{
	bool lacks_1_3 = !is_taken("NORMAL:-VERS-ALL:+VERS-TLS1.3"),
	     has_1_2 = is_taken("NORMAL:-VERS-ALL:+VERS-TLS1.2");

	if (min_version == TLS_VERSION_1_3 && lacks_1_3 && has_1_2) {
		error_set(err, ERROR_OTHER, EINVAL,
			"this system's GnuTLS configuration, %s, switches TLS 1.3 off", file);
		return error_hint(err, -EINVAL,
			"take what disables it out of there (disabled-version, or allowlist "
			"without enabled-version), or lower the floor with --tls-min 1.2");
	}
	error_set(err, ERROR_OTHER, EINVAL,
		"this system's GnuTLS configuration, %s, leaves nothing that kernel TLS can carry",
		file);
	return error_hint(err, -EINVAL,
		"let it have TLS 1.3, with AES-128-GCM, AES-256-GCM or CHACHA20-POLY1305: see "
		"disabled-version, tls-disabled-cipher and override-mode there");
}

int tls_priority_init(gnutls_priority_t *priority, const char *override, int min_version, bool psk,
	struct error *err)
{
	gnutls_priority_t ours = NULL;
	int rc = make(priority, override, min_version, psk, err), ours_rc = rc;
	const char *file = rc ? tls_system_configuration() : NULL;

	if (!file)
		return rc;
	if (override)
		ours_rc = make(&ours, NULL, min_version, psk, NULL);
	if (ours)
		libgnutls.priority_deinit(ours);
	return ours_rc ? refuse_configuration(file, min_version, err) : rc;
}

int tls_priority_check(struct error *err)
{
	gnutls_priority_t priority = NULL;
	int rc = tls_priority_init(&priority, NULL, TLS_VERSION_1_3, false, err);

	if (priority)
		libgnutls.priority_deinit(priority);
	return rc;
}
