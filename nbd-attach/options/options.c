/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/options.h"
#include "options/option-entry.h"
#include "base/text.h"
#include "config/limits.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_SECONDS_MAX (10UL * 365 * 86400)
/* Longer than the 40 s that GnuTLS has for a handshake by itself. */
#define AUDIT_IDLE_MS 45000
/* A negotiation is some dozens of records: a limit below that would be reached before the first
 * byte of data. */
#define REKEY_RECORDS_MIN 1000

#define AT(field) offsetof(struct options, field), sizeof(((struct options *)0)->field)
#define SETTING(field) AT(settings.field)

const struct option_entry option_entries[] = {
	{"tls", 0, KIND_FLAG, NULL, FOR_SERVER, SETTING(tls.wanted),
		"speak TLS or nothing; the server is always verified"},
	{"tls-ca", 0, KIND_STRING, "FILE", FOR_SERVER, SETTING(tls.ca_file),
		"trust these authorities instead of the system's"},
	{"tls-certificates", 0, KIND_STRING, "DIR", FOR_SERVER, SETTING(tls.certificates_dir),
		"ca-cert.pem, ca-crl.pem, client-cert.pem, client-key.pem"},
	{"tls-cert", 0, KIND_STRING, "FILE", FOR_SERVER, SETTING(tls.cert_file),
		"our certificate, for servers that ask for one"},
	{"tls-key", 0, KIND_STRING, "FILE|URL", FOR_SERVER, SETTING(tls.key_file),
		"its private key: a file or a pkcs11: URL"},
	{"tls-psk", 0, KIND_STRING, "FILE", FOR_SERVER, SETTING(tls.psk_file),
		"a pre-shared key (psktool's file) instead of certificates"},
	{"tls-username", 0, KIND_STRING, "NAME", FOR_SERVER, SETTING(tls.username),
		"whose key in that file"},
	{"tls-hostname", 0, KIND_STRING, "NAME", FOR_SERVER, SETTING(tls.hostname),
		"the name to expect in the server's certificate"},
	{"tls-pin", 0, KIND_STRING, "sha256:HEX", FOR_SERVER, SETTING(tls.pin),
		"the server's public key; stands in for an authority"},
	{"tls-min", 0, KIND_TLS_MIN, "1.2|1.3", FOR_SERVER, SETTING(tls.min_version),
		"lowest TLS version (default 1.3)"},
	{"tls-priority", 0, KIND_STRING, "STRING", FOR_SERVER, SETTING(tls.priority),
		"GnuTLS priorities instead of ours"},
	{"port", 'p', KIND_PORT, "N", FOR_SERVER, SETTING(port), "TCP port (default 10809)"},
	{"connect-timeout", 0, KIND_SECONDS, "SEC", FOR_SERVER, SETTING(policy.connect_timeout_ms),
		"for the whole negotiation (default 20)"},
	{"connections", 'C', KIND_COUNT, "N", FOR_DEVICE, SETTING(policy.connections),
		"TCP connections, if the server offers several (default 1)"},
	{"timeout", 0, KIND_SECONDS, "SEC", FOR_DEVICE, SETTING(policy.liveness_timeout_ms),
		"a server silent for so long with requests waiting is asked over another "
		"connection (default 30)"},
	{"request-timeout", 0, KIND_LONG_SECONDS, "SEC|infinity", FOR_DEVICE,
		SETTING(policy.request_timeout_sec),
		"close a connection with a request that takes longer: see the manual (default "
		"infinity)"},
	{"dead-timeout", 0, KIND_LONG_SECONDS, "SEC|infinity", FOR_DEVICE,
		SETTING(policy.dead_timeout_sec),
		"how long I/O waits for the server to come back (default 600)"},
	{"io-timeout", 0, KIND_SECONDS, "SEC", FOR_DEVICE, SETTING(policy.io_timeout_ms),
		"the driver's timer for each request (default 1; several connections: 180)"},
	{"wait", 0, KIND_LONG_SECONDS, "SEC|infinity", FOR_DEVICE, SETTING(policy.wait_sec),
		"keep trying for the first connection (default: one try)"},
	{"rekey-records", 0, KIND_RECORDS, "N", FOR_DEVICE, SETTING(policy.rekey_records),
		"renew a TLS link before it has carried N records (default: 2^24 with AES-GCM)"},
	{"auto-resize", 0, KIND_FLAG, NULL, FOR_DEVICE, SETTING(policy.auto_resize),
		"grow the device when the server comes back with a larger disk"},
	{"block-size", 'b', KIND_BYTES, "BYTES", FOR_DEVICE, SETTING(policy.block_size_bytes),
		"logical block size (default: the server's minimum, at least 512)"},
	{"read-only", 'r', KIND_FLAG, NULL, FOR_DEVICE, SETTING(policy.read_only),
		"attach read-only"},
	{"shared", 0, KIND_FLAG, NULL, FOR_DEVICE, SETTING(policy.shared),
		"attach it although another device here writes to the same export"},
	{"root", 0, KIND_FLAG, NULL, FOR_DEVICE, SETTING(policy.root),
		"it holds the root file system or swap: need nothing from any disk"},
	{"foreground", 0, KIND_FLAG, NULL, FOR_ATTACH, AT(foreground),
		"stay: be the supervisor (for systemd, Type=notify)"},
	{"plan", 0, KIND_FLAG, NULL, FOR_BOOT, AT(plan),
		"attach nothing; print what would be, for a shell"},
	{"files", 0, KIND_FLAG, NULL, FOR_BOOT, AT(files),
		"attach nothing; print the files that an initramfs needs"},
	{"cmdline", 0, KIND_WORD, "FILE", FOR_BOOT, AT(cmdline_file),
		"the kernel's command line (default /proc/cmdline)"},
	{"dhcp-server", 0, KIND_TEXT, "HOST", FOR_BOOT, AT(dhcp_server),
		"the server that DHCP told"},
	{"dhcp-root-path", 0, KIND_TEXT, "PATH", FOR_BOOT, AT(dhcp_root_path),
		"the root-path that DHCP told"},
	{"force", 'f', KIND_FLAG, NULL, FOR_DETACH, AT(force),
		"detach even if it is in use: users get I/O errors"},
	{"own", 0, KIND_FLAG, NULL, FOR_DETACH, AT(own),
		"only if it is attached as nbd-attach or nbdtab has it; another's is left alone"},
	{"watch", 'w', KIND_FLAG, NULL, FOR_STATUS, AT(watch), "show it anew each second"},
	{"quiet", 'q', KIND_FLAG, NULL, FOR_STATUS, AT(quiet),
		"print nothing: the exit status says how the device is"},
	{"is-root", 0, KIND_FLAG, NULL, FOR_STATUS, AT(is_root),
		"print nothing: exit status 0 if its supervisor needs no disk (--root), else 1"},
	{"idle-time", 0, KIND_SECONDS, "SEC", FOR_AUDIT, AT(idle_ms),
		"for how long an idle connection is watched (default 45)"},
	{"json", 'j', KIND_FLAG, NULL, FOR_ALL & ~(FOR_BOOT | FOR_HELP), AT(json),
		"answer in JSON"},
	{"verbose", 'v', KIND_FLAG, NULL, FOR_ALL, AT(verbose),
		"tell on stderr what is being done"},
	{"help", 'h', KIND_FLAG, NULL, FOR_ALL, AT(help), "this help"},
	{"version", 0, KIND_FLAG, NULL, FOR_ALL, AT(version), "the program's version"},
};

#define ENTRY_COUNT (sizeof(option_entries) / sizeof(option_entries[0]))
_Static_assert(ENTRY_COUNT <= OPTIONS_MAX, "settings.given has a bit for each");
_Static_assert(offsetof(struct options, settings) == 0, "an offset is good for both");

const size_t option_entry_count = ENTRY_COUNT;

static bool is_setting(const struct option_entry *entry)
{
	return entry->offset < sizeof(struct settings);
}

static uint64_t bit_of(const struct option_entry *entry)
{
	return 1ULL << (entry - option_entries);
}

const struct option_entry *option_find(int letter, const char *name, size_t length)
{
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		const struct option_entry *entry = &option_entries[i];

		if ((letter && entry->letter == letter) ||
			(name && strlen(entry->name) == length &&
				strncmp(entry->name, name, length) == 0))
			return entry;
	}
	return NULL;
}

bool option_is_given(const struct settings *settings, const struct option_entry *entry)
{
	return is_setting(entry) && settings->given & bit_of(entry);
}

bool option_is_about_tls(const struct option_entry *entry)
{
	return strncmp(entry->name, "tls", 3) == 0;
}

static int bad_value(
	const struct option_entry *entry, const char *value, const char *wanted, struct error *err)
{
	return error_set(err, ERROR_USAGE, EINVAL, "--%s %s: %s", entry->name, value, wanted);
}

static bool parse_number(const char *text, unsigned long max, unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoul(text, &end, 10);
	return errno == 0 && *end == 0 && *number <= max;
}

static int store_ms(
	const struct option_entry *entry, int *field, const char *value, struct error *err)
{
	char *end;
	double sec = strtod(value, &end);

	if (end == value || *end || !isfinite(sec) || sec < 0.001 || sec > 86400)
		return bad_value(entry, value, "seconds, from 0.001 to 86400, are wanted", err);
	*field = (int)(sec * 1000);
	return 0;
}

static int store_long_seconds(
	const struct option_entry *entry, int64_t *field, const char *value, struct error *err)
{
	unsigned long number;

	if (strcmp(value, "infinity") == 0) {
		*field = POLICY_INFINITE_SEC;
		return 0;
	}
	if (!parse_number(value, LONG_SECONDS_MAX, &number))
		return bad_value(entry, value,
			"whole seconds up to ten years, or infinity, are wanted", err);
	*field = (int64_t)number;
	return 0;
}

static int store_number(
	const struct option_entry *entry, void *field, const char *value, struct error *err)
{
	unsigned long number;

	switch (entry->kind) {
	case KIND_PORT:
		if (!parse_number(value, 65535, &number) || number == 0)
			return bad_value(entry, value, "a port is a number from 1 to 65535", err);
		*(uint16_t *)field = (uint16_t)number;
		return 0;
	case KIND_COUNT:
		if (!parse_number(value, LINKS_MAX, &number) || number == 0)
			return bad_value(entry, value, "a number from 1 to 64 is wanted", err);
		*(unsigned *)field = (unsigned)number;
		return 0;
	case KIND_BYTES:
		if (!parse_number(value, (unsigned long)sysconf(_SC_PAGESIZE), &number) ||
			number < 512 || (number & (number - 1)))
			return bad_value(entry, value,
				"the kernel takes 512, 1024, 2048 or 4096 bytes, and more only "
				"where its pages are larger",
				err);
		*(uint32_t *)field = (uint32_t)number;
		return 0;
	case KIND_LONG_SECONDS: return store_long_seconds(entry, field, value, err);
	case KIND_RECORDS:
		if (!parse_number(value, 1UL << 24, &number) || number < REKEY_RECORDS_MIN)
			return bad_value(entry, value,
				"a number from 1000 to 16777216 (2^24, the limit of AES-GCM) is "
				"wanted",
				err);
		*(uint64_t *)field = number;
		return 0;
	default: return store_ms(entry, field, value, err);
	}
}

static int is_empty(const struct option_entry *entry, struct error *err)
{
	return bad_value(entry, "\"\"", "it is empty", err);
}

static int store_string(
	const struct option_entry *entry, char *field, const char *value, struct error *err)
{
	if (!*value)
		return is_empty(entry, err);
	if (!text_copy(field, entry->size, value))
		return error_set(err, ERROR_USAGE, ENAMETOOLONG,
			"--%s: its value is longer than %zu bytes", entry->name, entry->size - 1);
	return 0;
}

static int store_value(
	const struct option_entry *entry, void *field, const char *value, struct error *err)
{
	switch (entry->kind) {
	case KIND_FLAG: *(bool *)field = true; return 0;
	case KIND_STRING: return store_string(entry, field, value, err);
	case KIND_WORD:
		if (!*value)
			return is_empty(entry, err);
		*(const char **)field = value;
		return 0;
	case KIND_TEXT: /* scripts pass on what DHCP told them, which may be nothing */
		*(const char **)field = value;
		return 0;
	case KIND_TLS_MIN:
		*(enum tls_version *)field = tls_version_parse(value);
		if (!*(enum tls_version *)field)
			return bad_value(entry, value,
				"1.2 or 1.3 is wanted; the kernel carries nothing older", err);
		return 0;
	default: return store_number(entry, field, value, err);
	}
}

int option_store(
	void *options, const struct option_entry *entry, const char *value, struct error *err)
{
	struct settings *settings = options;

	if (is_setting(entry))
		settings->given |= bit_of(entry);
	if (option_is_about_tls(entry))
		settings->tls.wanted = true;
	return store_value(entry, (char *)options + entry->offset, value, err);
}

void settings_init(struct settings *settings)
{
	*settings = (struct settings){0};
	device_policy_init(&settings->policy);
}

void options_init(struct options *options)
{
	*options = (struct options){.idle_ms = AUDIT_IDLE_MS};
	settings_init(&options->settings);
}

static const struct option_entry *find_setting(const char *name)
{
	const struct option_entry *entry = option_find(0, name, strlen(name));

	return entry && is_setting(entry) ? entry : NULL;
}

bool settings_given(const struct settings *settings, const char *name)
{
	const struct option_entry *entry = find_setting(name);

	return entry && option_is_given(settings, entry);
}

void settings_forget(struct settings *settings, const char *name)
{
	const struct option_entry *entry = find_setting(name);

	if (entry)
		settings->given &= ~bit_of(entry);
}

static void merge(struct settings *settings, const struct settings *over, bool tls_only)
{
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		const struct option_entry *entry = &option_entries[i];

		if (!(over->given & bit_of(entry)) || (tls_only && !option_is_about_tls(entry)))
			continue;
		settings->given |= bit_of(entry);
		memcpy((char *)settings + entry->offset, (const char *)over + entry->offset,
			entry->size);
		settings->tls.wanted = settings->tls.wanted || option_is_about_tls(entry);
	}
}

void settings_merge(struct settings *settings, const struct settings *over)
{
	merge(settings, over, false);
}

void settings_merge_tls(struct settings *settings, const struct settings *over)
{
	merge(settings, over, true);
}

int options_check_limits(const struct device_policy *policy, struct error *err)
{
	if (policy->request_timeout_sec == 0)
		return error_set(err, ERROR_USAGE, EINVAL,
			"--request-timeout 0: every request takes longer");
	if (policy->dead_timeout_sec == 0)
		return error_set(err, ERROR_USAGE, EINVAL,
			"--dead-timeout 0: at least one second is needed to renew a link");
	return 0;
}

int settings_set(struct settings *settings, const char *name, const char *value, struct error *err)
{
	const struct option_entry *entry = find_setting(name);
	int rc;

	if (!entry)
		return -ENOENT;
	if (entry->kind == KIND_FLAG && value)
		return error_set(err, ERROR_USAGE, EINVAL, "%s takes no value", name);
	if (entry->kind != KIND_FLAG && !value)
		return error_set(err, ERROR_USAGE, EINVAL, "%s needs a value", name);
	rc = option_store(settings, entry, value, err);
	return rc ? rc : options_check_limits(&settings->policy, err);
}
