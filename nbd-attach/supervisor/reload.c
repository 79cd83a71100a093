/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/reload.h"
#include "tls/credential-file.h"
#include "base/cleanup.h"
#include "base/json-get.h"
#include "output/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#define TEXT(field) #field, offsetof(struct tls_config, field)

static const struct {
	const char *key;
	size_t offset; /* of an array of TLS_TEXT_SIZE */
} texts[] = {
	{TEXT(ca_file)},
	{TEXT(cert_file)},
	{TEXT(key_file)},
	{TEXT(certificates_dir)},
	{TEXT(psk_file)},
	{TEXT(username)},
	{TEXT(hostname)},
	{TEXT(pin)},
	{TEXT(priority)},
};
#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

json_object *reload_files(const struct attachment *attachment)
{
	json_object *answer = json_object_new_object(), *object = NULL;
	const struct tls_config *config;

	if (attachment->creds) {
		config = tls_credentials_config(attachment->creds);
		object = json_object_new_object();
		for (size_t i = 0; i < TEXT_COUNT; i++)
			json_object_object_add(object, texts[i].key,
				json_object_new_string((const char *)config + texts[i].offset));
		json_object_object_add(
			object, "min_version", json_object_new_int((int)config->min_version));
		json_object_object_add(object, "type", json_object_new_int((int)config->type));
	}
	json_object_object_add(answer, "tls", object);
	return answer;
}

bool reload_parse_files(json_object *answer, struct tls_config *config)
{
	json_object *object = json_get(answer, "tls");
	int64_t number;

	*config = (struct tls_config){.wanted = true};
	for (size_t i = 0; i < TEXT_COUNT; i++)
		json_get_string(
			object, texts[i].key, (char *)config + texts[i].offset, TLS_TEXT_SIZE);
	config->type = (enum tls_type)json_get_number_or_0(object, "type");
	if (!json_get_number(object, "min_version", &number))
		return false;
	config->min_version = (enum tls_version)number;
	return true;
}

int reload_seal(const void *bytes, size_t size)
{
	_cleanup_fd_ int fd = memfd_create("credentials", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, (const char *)bytes + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : steal_fd(&fd);
}

/* To load such a key is to load a library, and to wait for what it does. */
static bool is_in_token(const struct tls_config *config)
{
	return credential_is_token(config->key_file) || credential_is_token(config->cert_file);
}

/* Nothing but such a file: any other might make its reader wait, or change under it. */
static int reload_load(const struct attachment *attachment, int fd, struct tls_credentials **creds,
	struct error *err)
{
	const struct tls_config *config;
	struct stat st;
	void *bytes;
	int rc, seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (!attachment->creds)
		return error_set(err, ERROR_USAGE, EINVAL, "the device is attached without TLS");
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || st.st_size <= 0 ||
		st.st_size > RELOAD_MAX_BYTES)
		return error_set(err, ERROR_USAGE, EINVAL, "these are no packed credentials");
	config = tls_credentials_config(attachment->creds);
	if (is_in_token(config) && attachment->policy.root)
		return error_set(err, ERROR_USAGE, EINVAL,
			"with --root a key in a token (pkcs11:) cannot be loaded anew");
	if (is_in_token(config)) /* the next negotiator loads it, from the files */
		return 0;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_set(err, ERROR_OTHER, errno, "mmap: %s", strerror(errno));
	rc = tls_credentials_unpack(
		creds, config, bytes, (size_t)st.st_size, !attachment->policy.root, err);
	munmap(bytes, (size_t)st.st_size);
	return rc;
}

static json_object *reload_refusal(const struct error *err)
{
	json_object *answer = json_object_new_object();

	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "error", json_object_new_string(err->text));
	json_object_object_add(answer, "hint", json_object_new_string(err->hint));
	json_object_object_add(answer, "exit_status", json_object_new_int((int)err->kind));
	return answer;
}

/* A negotiator that runs has the former ones, in its own memory. */
json_object *reload_take(struct attachment *attachment, int fd)
{
	struct tls_credentials *creds = NULL;
	json_object *answer;
	struct error err;

	if (reload_load(attachment, fd, &creds, &err))
		return reload_refusal(&err);
	if (creds)
		tls_credentials_replace(attachment->creds, creds);
	log_message(LOG_NOTICE,
		"/dev/nbd%d: keys and certificates were reloaded; the next connection takes them",
		attachment->index);
	answer = json_object_new_object();
	json_object_object_add(answer, "ok", json_object_new_boolean(true));
	return answer;
}
