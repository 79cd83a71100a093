/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /run/nbd-attach/nbdN.state, what a former supervisor wrote. The first byte is the file's mode and
 * time. What is believed is written again and believed again. */
#include "base/run-files.h"
#include "fuzz.h"
#include "supervisor/state-file.h"
#include "tls/ktls.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKEND "00112233445566778899aabbccddeeff"
#define INDEX 7

/* In place of the folder in /run, which is root's: the file, and the new one beside it. */
static struct fuzz_file state_file, new_file;

static const struct fuzz_file *find_file(const char *path)
{
	static const char name[] = RUN_DIRECTORY "/nbd7.state";

	if (strncmp(path, name, sizeof(name) - 1) != 0)
		return NULL;
	return path[sizeof(name) - 1] ? &new_file : &state_file;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);
int __real_utimensat(int dir, const char *path, const struct timespec times[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags);

int __wrap_open(const char *path, int flags, ...)
{
	const struct fuzz_file *file = find_file(path);
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (!file)
		return __real_open(path, flags, mode);
	FUZZ_CHECK(flags & O_NOFOLLOW);
	return __real_open(file->path, flags & ~(O_NOFOLLOW | O_CREAT));
}

int __wrap_rename(const char *from, const char *to)
{
	struct fuzz_file file = new_file;

	FUZZ_CHECK(find_file(from) == &new_file && find_file(to) == &state_file);
	new_file = state_file;
	state_file = file;
	return 0;
}

int __wrap_unlink(const char *path)
{
	(void)path;
	return 0;
}

int __wrap_chmod(const char *path, mode_t mode)
{
	return __real_chmod(find_file(path)->path, mode);
}

int __wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	return __real_utimensat(dir, find_file(path)->path, times, flags & ~AT_SYMLINK_NOFOLLOW);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_file_open(&state_file);
	fuzz_file_open(&new_file);
	return 0;
}

static void check(const struct attachment *attachment)
{
	FUZZ_CHECK(attachment->link_count >= 1 && attachment->link_count <= LINKS_MAX);
	for (size_t i = 0; i < attachment->link_count; i++) {
		const struct link *link = &attachment->links[i];

		FUZZ_CHECK(link->fd == -1 && link->host_index < ENDPOINT_HOSTS_MAX);
		FUZZ_CHECK(memchr(link->address, 0, sizeof(link->address)));
		/* No TLS is believed whose keys nobody could count the records of. */
		FUZZ_CHECK(!link->tls.version == !link->tls.kernel_cipher);
		FUZZ_CHECK(!link->tls.version ||
			strcmp(link->tls.cipher, ktls_cipher_find(link->tls.kernel_cipher)->name) ==
				0);
		FUZZ_CHECK(link->proven == !link->tls.version);
	}
	FUZZ_CHECK(!attachment->export_known || attachment->export.size_bytes);
}

static bool is_same(const struct attachment *a, const struct attachment *b)
{
	return a->link_count == b->link_count && a->export_known == b->export_known &&
		(!a->export_known || export_info_compare(&a->export, &b->export, NULL) == 0) &&
		a->block_size_bytes == b->block_size_bytes && a->flags == b->flags &&
		a->since_ms == b->since_ms && a->failed == b->failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const mode_t modes[] = {0600, 0700, 01600, 01700};
	static struct attachment attachment, again;
	struct fuzz_input input = {data, size};
	uint8_t life = fuzz_u8(&input);
	char backend[BACKEND_ID_SIZE];

	fuzz_file_put(&state_file, input.at, input.left);
	fchmod(state_file.fd, modes[life & 3]);
	attachment = again = (struct attachment){.index = INDEX, .outage_since_ms = -1};
	if (state_read_backend(INDEX, backend) == 0)
		FUZZ_CHECK(strlen(backend) < sizeof(backend));
	if (state_load(&attachment, INDEX, BACKEND))
		return 0;
	check(&attachment);
	FUZZ_CHECK(attachment.failed || !(life & 2));
	strcpy(attachment.backend, BACKEND);
	state_save(&attachment, NULL);
	FUZZ_CHECK(state_load(&again, INDEX, BACKEND) == 0);
	FUZZ_CHECK(is_same(&attachment, &again));
	return 0;
}
