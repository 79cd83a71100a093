/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/config.h"
#include "tls/credential-file.h"
#include "config/nbd-uri.h"
#include "base/text.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int make_absolute(char *path, size_t size, struct error *err)
{
	char folder[PATH_MAX], whole[2 * PATH_MAX];
	const char *rest = path;

	if (!*path || *path == '/' || credential_is_token(path))
		return 0;
	while (strncmp(rest, "./", 2) == 0)
		rest += 2 + strspn(rest + 2, "/");
	if (!getcwd(folder, sizeof(folder)))
		return error_set(err, ERROR_USAGE, errno,
			"\"%s\" is a relative name, and this folder has no whole path: %s", path,
			strerror(errno));
	snprintf(whole, sizeof(whole), "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, rest);
	if (text_copy(path, size, whole))
		return 0;
	error_set(err, ERROR_USAGE, ENAMETOOLONG,
		"\"%s\" is a relative name, and its whole path is longer than %zu bytes", path,
		size - 1);
	return error_hint(err, -ENAMETOOLONG, "put it where the path is shorter");
}

/* They are used for as long as the device lives, and not where the command was given: a supervisor
 * in the background is in /, and reload is called from anywhere. */
static int make_paths_absolute(struct config *config, struct error *err)
{
	struct tls_config *tls = &config->tls;
	char *const files[] = {
		tls->ca_file, tls->cert_file, tls->key_file, tls->certificates_dir, tls->psk_file};
	int rc = make_absolute(
		config->endpoint.socket_path, sizeof(config->endpoint.socket_path), err);

	for (size_t i = 0; !rc && i < sizeof(files) / sizeof(files[0]); i++)
		rc = make_absolute(files[i], TLS_TEXT_SIZE, err);
	return rc;
}

int config_merge(struct config *config, const struct settings *const layers[], struct error *err)
{
	struct settings sum;
	int rc;

	settings_init(&sum);
	sum.tls = config->tls;
	for (; *layers; layers++)
		settings_merge(&sum, *layers);
	config->tls = sum.tls;
	config->policy = sum.policy;
	rc = make_paths_absolute(config, err);
	if (!rc && settings_given(&sum, "port"))
		rc = endpoint_set_port(&config->endpoint, sum.port, err);
	return rc;
}

int config_from_arguments(
	struct config *config, const struct options *options, int at, struct error *err)
{
	const struct settings *const layers[] = {&options->settings, NULL};
	const char *first = options->arguments[at],
		   *second = at + 1 < options->argument_count ? options->arguments[at + 1] : NULL;
	int rc;

	*config = (struct config){0};
	if (nbd_uri_is_one(first)) {
		if (second)
			return error_set(err, ERROR_USAGE, EINVAL,
				"an NBD URI names the export itself: \"%s\" is one argument too "
				"many",
				second);
		rc = nbd_uri_parse(&config->endpoint, &config->tls, first, err);
	} else {
		rc = endpoint_parse(&config->endpoint, first, second, err);
	}
	return rc ? rc : config_merge(config, layers, err);
}

int config_check_attachable(const struct config *config, struct error *err)
{
	if (!config->tls.wanted || !*config->endpoint.socket_path)
		return 0;
	error_set(err, ERROR_USAGE, EINVAL,
		"the kernel's TLS is for TCP only: a device over a unix socket cannot have TLS");
	return error_hint(err, -EINVAL,
		"leave TLS out (the socket's permissions guard it), or connect over TCP");
}

/* Each of these would work now, and not when the disk is away. */
static int check_root(const struct config *config, struct error *err)
{
	const char *path = config->endpoint.socket_path;

	if (!config->policy.root)
		return 0;
	if (*path && strncmp(path, "/run/", 5) != 0) {
		error_set(err, ERROR_USAGE, EINVAL,
			"--root: the socket %s may be on a disk, and a reconnect must need none",
			path);
		return error_hint(err, -EINVAL, "let the server have its socket in /run");
	}
	if (credential_is_token(config->tls.key_file) ||
		credential_is_token(config->tls.cert_file)) {
		error_set(err, ERROR_USAGE, EINVAL,
			"--root: a token's library and state are on a disk, and a reconnect must "
			"need none");
		return error_hint(err, -EINVAL,
			"give certificate and key as files: they are read once, and kept in "
			"memory");
	}
	return 0;
}

int config_check_device(const struct config *config, struct error *err)
{
	int rc = config_check_attachable(config, err);

	return rc ? rc : check_root(config, err);
}

static int check_tls_type(const struct tls_config *tls, struct error *err)
{
	if (tls->type == TLS_TYPE_PSK && !*tls->psk_file)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the URI asks for a pre-shared key (tls-type=psk) and names none: add "
			"--tls-psk FILE");
	if (tls->type == TLS_TYPE_X509 && *tls->psk_file)
		return error_set(err, ERROR_USAGE, EINVAL,
			"the URI asks for certificates (tls-type=x509), --tls-psk for a pre-shared "
			"key: choose one");
	return 0;
}

static int check_tls(const struct config *config, struct error *err)
{
	const struct tls_config *tls = &config->tls;
	int rc = check_tls_type(tls, err);

	if (rc)
		return rc;
	if (!config->endpoint.host_count && !*tls->hostname && !*tls->psk_file && !*tls->pin)
		return error_set(err, ERROR_USAGE, EINVAL,
			"a unix socket has no host name to verify: say which to expect with "
			"--tls-hostname");
	if (*tls->psk_file &&
		(*tls->ca_file || *tls->cert_file || *tls->key_file || *tls->certificates_dir ||
			*tls->pin))
		return error_set(err, ERROR_USAGE, EINVAL,
			"--tls-psk cannot be combined with certificates or --tls-pin: choose one");
	if (*tls->username && !*tls->psk_file)
		return error_set(err, ERROR_USAGE, EINVAL,
			"--tls-username says whose key in a --tls-psk file: give that file too");
	if (credential_is_token(tls->key_file) && !*tls->cert_file)
		return error_set(err, ERROR_USAGE, EINVAL,
			"--tls-key pkcs11:... needs the certificate too: add --tls-cert");
	return 0;
}

int config_load_credentials(
	const struct config *config, struct tls_credentials **creds, struct error *err)
{
	int rc;

	*creds = NULL;
	if (!config->tls.wanted)
		return 0;
	rc = check_tls(config, err);
	return rc ? rc : tls_credentials_load(creds, &config->tls, err);
}
