/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/state-file.h"
#include "base/run-files.h"
#include "base/clock.h"
#include "base/json-get.h"
#include "base/cleanup.h"
#include "tls/ktls.h"
#include "output/report.h"
#include "output/status-io.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FORMAT_VERSION 1
#define STATE_MAX_BYTES (256 << 10)
#define MODE_FAILED S_ISVTX
/* since the time of its last change, by CLOCK_MONOTONIC, as all timers count, the driver's too: a
 * night's sleep of the machine is no outage */
#define MODE_OUTAGE S_IXUSR

static json_object *address_json(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	bool is_in6 = address->ss_family == AF_INET6;
	json_object *object;
	char text[INET6_ADDRSTRLEN];

	if (address->ss_family == AF_UNSPEC ||
		!inet_ntop(address->ss_family,
			is_in6 ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, text,
			sizeof(text)))
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "address", json_object_new_string(text));
	json_object_object_add(
		object, "port", json_object_new_int(ntohs(is_in6 ? in6->sin6_port : in->sin_port)));
	if (is_in6)
		json_object_object_add(object, "scope", json_object_new_int64(in6->sin6_scope_id));
	return object;
}

static json_object *base_json(const struct link_base *base)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "sent_bytes", json_object_new_uint64(base->sent_bytes));
	json_object_object_add(
		object, "received_bytes", json_object_new_uint64(base->received_bytes));
	json_object_object_add(object, "transmitted", json_object_new_uint64(base->transmitted));
	json_object_object_add(object, "received", json_object_new_uint64(base->received));
	json_object_object_add(object, "completed", json_object_new_uint64(base->completed));
	return object;
}

static json_object *link_json(const struct link *link)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "address", json_object_new_string(link->address));
	json_object_object_add(object, "host", json_object_new_int64(link->host_index));
	json_object_object_add(object, "since_boot_ms", json_object_new_int64(link->since_ms));
	if (!link->is_tls_unknown)
		json_object_object_add(object, "tls", report_tls_json(&link->tls));
	json_object_object_add(object, "carries", json_object_new_boolean(link->carries));
	if (!link->carries)
		json_object_object_add(object, "base", base_json(&link->base));
	json_object_object_add(object, "local", address_json(&link->local));
	json_object_object_add(object, "peer", address_json(&link->peer));
	return object;
}

static json_object *export_json(
	const struct export_names *names, const struct export_geometry *export)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_object_new_string(names->name));
	json_object_object_add(object, "description", json_object_new_string(names->description));
	json_object_object_add(object, "size", json_object_new_uint64(export->size_bytes));
	json_object_object_add(object, "flags", json_object_new_int(export->flags));
	if (export->has_block_size) {
		json_object_object_add(
			object, "block_min", json_object_new_int64(export->block_min_bytes));
		json_object_object_add(object, "block_preferred",
			json_object_new_int64(export->block_preferred_bytes));
		json_object_object_add(
			object, "block_max", json_object_new_int64(export->block_max_bytes));
	}
	return object;
}

static json_object *state_json(const struct attachment *attachment)
{
	json_object *object = json_object_new_object(), *links = json_object_new_array();

	json_object_object_add(object, "version", json_object_new_int(FORMAT_VERSION));
	json_object_object_add(object, "backend", json_object_new_string(attachment->backend));
	json_object_object_add(
		object, "since_boot_ms", json_object_new_int64(attachment->since_ms));
	json_object_object_add(object, "export",
		attachment->export_known ? export_json(&attachment->names, &attachment->export) :
					   NULL);
	json_object_object_add(
		object, "block_size", json_object_new_int64(attachment->block_size_bytes));
	json_object_object_add(object, "flags", json_object_new_int(attachment->flags));
	if (attachment->io_known)
		json_object_object_add(object, "io_before", status_io_json(&attachment->io_before));
	for (size_t i = 0; i < attachment->link_count; i++)
		json_object_array_add(links, link_json(&attachment->links[i]));
	json_object_object_add(object, "links", links);
	if (attachment->failed)
		json_object_object_add(object, "failed", json_object_new_boolean(true));
	return object;
}

/* What must not be lost is said by the file's mode and time: that takes no room, so where /run is
 * full it is said of the former content. */
static void note_life(const struct attachment *attachment, const char *path)
{
	bool outage = attachment->outage_since_ms >= 0;
	int64_t since_ms = attachment->outage_since_ms;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
		{.tv_sec = since_ms / 1000, .tv_nsec = since_ms % 1000 * 1000000}};

	if (outage && utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	(void)!chmod(
		path, 0600 | (outage ? MODE_OUTAGE : 0) | (attachment->failed ? MODE_FAILED : 0));
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	errno = ENOSPC; /* when it has taken a part of it */
	if (write(fd, text, len) != (ssize_t)len) {
		rc = -errno;
		(void)!ftruncate(fd, 0);
	}
	return close(fd) < 0 && !rc ? -errno : rc;
}

/* The file at PATH is to be as that at NEW_PATH, of which RC tells how its writing went. */
static int put_in_place(
	const struct attachment *attachment, const char *new_path, const char *path, int rc)
{
	if (rc && access(path, F_OK) == 0) {
		unlink(new_path);
		return rc;
	}
	note_life(attachment, new_path);
	if (rename(new_path, path) < 0 && !rc) {
		rc = -errno;
		unlink(new_path);
	}
	return rc;
}

int state_save(const struct attachment *attachment, struct error *err)
{
	json_object *object = state_json(attachment);
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	char path[RUN_PATH_SIZE], new_path[RUN_PATH_SIZE];
	int rc;

	run_file_path(path, attachment->index, "state");
	run_file_path(new_path, attachment->index, "state.new");
	rc = put_in_place(attachment, new_path, path, write_file(new_path, text));
	note_life(attachment, path);
	json_object_put(object);
	if (!rc)
		return 0;
	error_set(err, ERROR_OTHER, -rc, "the state of /dev/nbd%d cannot be written to %s: %s",
		attachment->index, path, strerror(-rc));
	return error_hint(err, rc,
		"make room there: until it is written, which is tried again and again, a "
		"supervisor that follows does not know the device's links");
}

static void load_address(json_object *object, struct sockaddr_storage *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	char text[INET6_ADDRSTRLEN];

	memset(address, 0, sizeof(*address));
	json_get_string(object, "address", text, sizeof(text));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)json_get_number_or_0(object, "port"));
	} else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)json_get_number_or_0(object, "port"));
		in6->sin6_scope_id = (uint32_t)json_get_number_or_0(object, "scope");
	}
}

static int load_tls(json_object *object, struct tls_info *tls)
{
	const struct ktls_cipher *cipher;
	char version[8];

	if (!object)
		return 0;
	json_get_string(object, "version", version, sizeof(version));
	tls->version = tls_version_parse(version);
	json_get_string(object, "cipher", tls->cipher, sizeof(tls->cipher));
	cipher = ktls_cipher_find_by_name(tls->cipher);
	tls->kernel_cipher = cipher ? cipher->kernel_cipher : 0;
	json_get_string(object, "group", tls->group, sizeof(tls->group));
	json_get_string(object, "authentication", tls->authentication, sizeof(tls->authentication));
	json_get_string(object, "peer_name", tls->peer_name, sizeof(tls->peer_name));
	json_get_string(object, "peer_issuer", tls->peer_issuer, sizeof(tls->peer_issuer));
	tls->peer_not_after = json_get_number_or_0(object, "peer_not_after_unix_sec");
	json_get_string(object, "peer_pin", tls->peer_pin, sizeof(tls->peer_pin));
	tls->chain.until = json_get_number_or_0(object, "chain_until_unix_sec");
	tls->chain.warn_from = json_get_number_or_0(object, "chain_warn_from_unix_sec");
	tls->own.until = json_get_number_or_0(object, "own_until_unix_sec");
	tls->own.warn_from = json_get_number_or_0(object, "own_warn_from_unix_sec");
	tls->revocation.until = json_get_number_or_0(object, "revocation_until_unix_sec");
	tls->revocation.warn_from = json_get_number_or_0(object, "revocation_warn_from_unix_sec");
	return tls->version && tls->kernel_cipher ? 0 : -EINVAL;
}

/* What was sent before the new supervisor came was sent, too. */
static int load_base(json_object *object, struct link_base *base)
{
	if (!object)
		return -EINVAL;
	base->sent_bytes = (uint64_t)json_get_number_or_0(object, "sent_bytes");
	base->received_bytes = (uint64_t)json_get_number_or_0(object, "received_bytes");
	base->transmitted = (uint64_t)json_get_number_or_0(object, "transmitted");
	base->received = (uint64_t)json_get_number_or_0(object, "received");
	base->completed = (uint64_t)json_get_number_or_0(object, "completed");
	return 0;
}

/* Older ones have it by the wall clock, as that was then. */
static int64_t load_since(json_object *object)
{
	int64_t since_ms, since_sec, now_ms = boot_now_ms(), now_sec = time(NULL);

	if (json_get_number(object, "since_boot_ms", &since_ms))
		return since_ms <= now_ms ? since_ms : -1;
	if (!json_get_number(object, "since", &since_sec) || since_sec > now_sec ||
		now_sec - since_sec > now_ms / 1000)
		return -1;
	return now_ms - (now_sec - since_sec) * 1000;
}

static int load_links(struct attachment *attachment, json_object *array)
{
	size_t count =
		json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
	int rc = count >= 1 && count <= LINKS_MAX ? 0 : -EINVAL;

	for (size_t i = 0; !rc && i < count; i++) {
		json_object *object = json_object_array_get_idx(array, i);
		struct link *link = &attachment->links[i];

		*link = (struct link){.fd = -1, .since_ms = load_since(object)};
		json_get_string(object, "address", link->address, sizeof(link->address));
		link->host_index = (uint32_t)json_get_number_or_0(object, "host");
		if (link->host_index >= ENDPOINT_HOSTS_MAX)
			link->host_index = 0;
		load_address(json_get(object, "local"), &link->local);
		load_address(json_get(object, "peer"), &link->peer);
		link->is_tls_unknown = !json_object_object_get_ex(object, "tls", NULL);
		rc = load_tls(json_get(object, "tls"), &link->tls);
		link->proven = link->tls.version == 0;
		/* older ones do not say, and nearly all did */
		link->carries = !json_get(object, "carries") || json_get_true(object, "carries");
		if (!rc && !link->carries)
			rc = load_base(json_get(object, "base"), &link->base);
	}
	attachment->link_count = rc ? 0 : count;
	return rc;
}

static int load_export(struct attachment *attachment, json_object *object)
{
	struct export_geometry *export = &attachment->export;
	struct export_names *names = &attachment->names;

	if (!object)
		return 0; /* it was not known to the one who wrote this either */
	memset(export, 0, sizeof(*export));
	memset(names, 0, sizeof(*names));
	json_get_string(object, "name", names->name, sizeof(names->name));
	json_get_string(object, "description", names->description, sizeof(names->description));
	export->has_size = true;
	export->size_bytes = (uint64_t)json_get_number_or_0(object, "size");
	export->flags = (uint16_t)json_get_number_or_0(object, "flags");
	export->has_block_size = json_get(object, "block_max") != NULL;
	export->block_min_bytes = (uint32_t)json_get_number_or_0(object, "block_min");
	export->block_preferred_bytes = (uint32_t)json_get_number_or_0(object, "block_preferred");
	export->block_max_bytes = (uint32_t)json_get_number_or_0(object, "block_max");
	attachment->export_known = true;
	return export->size_bytes ? 0 : -EINVAL;
}

/* Only root can write there; what is checked is that the file is whole and of this attachment. */
static json_object *read_file(int index, struct stat *st)
{
	_cleanup_free_ char *text = malloc(STATE_MAX_BYTES);
	_cleanup_fd_ int fd = -1;
	char path[64];
	ssize_t n;

	run_file_path(path, index, "state");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (!text || fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode) ||
		st->st_uid != geteuid())
		return NULL;
	n = read(fd, text, STATE_MAX_BYTES - 1);
	if (n <= 0)
		return NULL;
	text[n] = 0;
	return json_tokener_parse(text);
}

static void load_life(struct attachment *attachment, const struct stat *st, bool failed)
{
	int64_t since_ms = st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;

	attachment->failed = st->st_mode & MODE_FAILED || failed;
	if (st->st_mode & MODE_OUTAGE && since_ms <= monotonic_now_ms())
		attachment->outage_since_ms = since_ms;
}

int state_load(struct attachment *attachment, int index, const char *backend)
{
	struct stat st;
	json_object *object = read_file(index, &st);
	char of_backend[BACKEND_ID_SIZE];
	int rc;

	if (!object)
		return -ENOENT;
	json_get_string(object, "backend", of_backend, sizeof(of_backend));
	if (json_get_number_or_0(object, "version") != FORMAT_VERSION ||
		strcmp(of_backend, backend) != 0) {
		json_object_put(object);
		return -ESTALE;
	}
	rc = load_export(attachment, json_get(object, "export"));
	if (!rc)
		rc = load_links(attachment, json_get(object, "links"));
	if (!rc) {
		attachment->since_ms = load_since(object);
		attachment->block_size_bytes = (uint32_t)json_get_number_or_0(object, "block_size");
		attachment->flags = (uint16_t)json_get_number_or_0(object, "flags");
		attachment->io_known =
			status_io_parse(json_get(object, "io_before"), &attachment->io_before);
		load_life(attachment, &st, json_get_true(object, "failed"));
	}
	json_object_put(object);
	if (rc) {
		attachment->export_known = false;
		memset(&attachment->export, 0, sizeof(attachment->export));
		memset(&attachment->names, 0, sizeof(attachment->names));
	}
	return rc;
}

int state_read_backend(int index, char backend[BACKEND_ID_SIZE])
{
	struct stat st;
	json_object *object = read_file(index, &st);

	json_get_string(object, "backend", backend, BACKEND_ID_SIZE);
	json_object_put(object);
	return *backend ? 0 : -ENOENT;
}
