/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/credential-file.h"
#include "base/cleanup.h"
#include "base/closed-path.h"
#include "base/text.h"
#include "base/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#define FILE_MAX_BYTES (4 << 20)
#define FIRST_BYTES (64 << 10)
#define LINKS_MAX 40 /* as the kernel follows */

static void wipe(gnutls_datum_t *data)
{
	if (data->data) {
		explicit_bzero(data->data, data->size);
		free(data->data);
	}
	*data = (gnutls_datum_t){0};
}

static const struct credential_file *find(const struct credential_files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->files[i].path, path) == 0)
			return &files->files[i];
	return NULL;
}

static struct credential_file *add(
	struct credential_files *files, const char *path, struct error *err)
{
	struct credential_file file = {.path = NULL};

	if (files->count < CREDENTIAL_FILES_MAX)
		file.path = strdup(path);
	if (!file.path) {
		error_set(err, ERROR_OTHER, ENOMEM, "out of memory, or too many files");
		return NULL;
	}
	files->files[files->count] = file;
	return &files->files[files->count++];
}

/* realloc() would leave a copy of a key behind. */
static bool grow(gnutls_datum_t *data, size_t room)
{
	unsigned char *larger = malloc(room + 1);

	if (!larger)
		return false;
	if (data->size)
		memcpy(larger, data->data, data->size);
	if (data->data) {
		explicit_bzero(data->data, data->size);
		free(data->data);
	}
	data->data = larger;
	return true;
}

/* No stdio, whose buffer would keep a copy, too. The size is not asked for: it may be a pipe. */
static int read_all(int fd, gnutls_datum_t *data)
{
	size_t room = 0;
	ssize_t n = 1;

	while (n > 0 && data->size < FILE_MAX_BYTES) {
		if (data->size == room) {
			room = room ? 2 * room : FIRST_BYTES;
			if (!grow(data, room))
				return -ENOMEM;
		}
		n = read(fd, data->data + data->size, room - data->size);
		if (n > 0)
			data->size += (unsigned)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		return -errno;
	if (data->size >= FILE_MAX_BYTES)
		return -EFBIG;
	data->data[data->size] = 0;
	return data->size ? 0 : -ENODATA;
}

bool credential_is_token(const char *name)
{
	return strncmp(name, "pkcs11:", 7) == 0;
}

/* What has a name in /proc is of a process. It comes by links: /dev/stdin, /dev/fd. */
static bool is_in_proc(const char *path)
{
	char at[PATH_MAX], folder[PATH_MAX], to[PATH_MAX];
	struct statfs fs;
	ssize_t len = 0;

	if (!text_copy(at, sizeof(at), path))
		return false;
	for (int links = 0; links < LINKS_MAX && len >= 0; links++) {
		text_copy(folder, sizeof(folder), at);
		dirname(folder);
		if (statfs(folder, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
			return true;
		len = readlink(at, to, sizeof(to) - 1);
		if (len < 0)
			break;
		to[len] = 0;
		if (snprintf(at, sizeof(at), "%s%s%s", *to == '/' ? "" : folder,
			    *to == '/' ? "" : "/", to) >= (int)sizeof(at))
			break;
	}
	return false;
}

bool credential_file_is_read_once(const char *path)
{
	struct stat st;

	return is_in_proc(path) ||
		(stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

static int not_read(int errno_value, const char *what, const char *path, struct error *err)
{
	int rc = error_set(err, ERROR_USAGE, errno_value, "cannot read the %s file %s: %s", what,
		path, strerror(errno_value));

	return closed_path_hint(err, rc, path);
}

static int read_new(struct credential_files *files, const char *path, const char *what,
	gnutls_datum_t *data, struct error *err)
{
	_cleanup_fd_ int fd = files->is_closed ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	struct credential_file *file;
	int rc;

	if (fd < 0)
		return not_read(files->is_closed ? ENOENT : errno, what, path, err);
	file = add(files, path, err);
	if (!file)
		return -ENOMEM;
	if (fstat(fd, &file->st) < 0 || S_ISDIR(file->st.st_mode))
		return error_set(err, ERROR_USAGE, EISDIR,
			"cannot read the %s file %s: it is a directory", what, path);
	file->is_read_once = !S_ISREG(file->st.st_mode) || is_in_proc(path);
	rc = read_all(fd, &file->data);
	if (rc == -EFBIG || rc == -ENODATA)
		return error_set(err, ERROR_USAGE, EINVAL, "the %s file %s is %s", what, path,
			rc == -EFBIG ? "too large" : "empty");
	if (rc)
		return not_read(-rc, what, path, err);
	*data = file->data;
	return 0;
}

int credential_files_read(struct credential_files *files, const char *path, const char *what,
	gnutls_datum_t *data, struct error *err)
{
	const struct credential_file *known = find(files, path);

	if (!known || !known->data.size)
		return read_new(files, path, what, data, err);
	*data = known->data;
	return 0;
}

bool credential_files_has(const struct credential_files *files, const char *path)
{
	return files->is_closed ? find(files, path) != NULL : access(path, F_OK) == 0;
}

int credential_files_note_directory(
	struct credential_files *files, const char *path, struct error *err)
{
	struct credential_file *file;

	if (files->is_closed)
		return 0;
	file = add(files, path, err);
	if (!file)
		return -ENOMEM;
	if (stat(path, &file->st) < 0)
		memset(&file->st, 0, sizeof(file->st));
	return 0;
}

bool credential_file_is_open(const char *path)
{
	_cleanup_free_ char *folder = realpath(path, NULL);
	struct stat st;

	/* A pipe has no folder, and belongs to the process that made it. */
	if (!folder || stat(folder, &st) < 0 || !S_ISREG(st.st_mode) ||
		!(st.st_mode & (S_IROTH | S_IWOTH)))
		return false;
	while (strcmp(folder, "/") != 0) {
		dirname(folder);
		if (stat(folder, &st) < 0 || !(st.st_mode & S_IXOTH))
			return false;
	}
	return true;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* What is out of reach says nothing: a supervisor under --root has no disk to look at. */
bool credential_files_have_changed(const struct credential_files *files)
{
	struct stat st;

	for (size_t i = 0; !files->is_closed && i < files->count; i++) {
		const struct credential_file *file = &files->files[i];

		if (!file->is_read_once && stat(file->path, &st) == 0 && !is_same(&st, &file->st))
			return true;
	}
	return false;
}

void credential_files_forget(struct credential_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		if (!files->files[i].is_read_once)
			wipe(&files->files[i].data);
}

int credential_files_keep(struct credential_files *files, const struct credential_files *former)
{
	struct error ignored;

	for (size_t i = 0; i < former->count; i++) {
		const struct credential_file *from = &former->files[i];
		struct credential_file *file;

		if (!from->is_read_once)
			continue;
		file = add(files, from->path, &ignored);
		if (!file || !grow(&file->data, from->data.size))
			return -ENOMEM;
		file->st = from->st;
		file->is_read_once = true;
		memcpy(file->data.data, from->data.data, from->data.size + 1);
		file->data.size = from->data.size;
	}
	return 0;
}

void credential_files_free(struct credential_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		wipe(&files->files[i].data);
		free(files->files[i].path);
	}
	*files = (struct credential_files){0};
}

/* Each: length of the path, of the content, how it was found, path, content. For a process of the
 * same program only. */
#define HEADER_SIZE (8 + sizeof(struct stat))

int credential_files_encode(const struct credential_files *files, gnutls_datum_t *bytes)
{
	size_t size = 0;
	unsigned char *at;

	for (size_t i = 0; i < files->count; i++)
		size += HEADER_SIZE + strlen(files->files[i].path) + files->files[i].data.size;
	at = malloc(size + 1);
	*bytes = (gnutls_datum_t){at, (unsigned)size};
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++) {
		const struct credential_file *file = &files->files[i];
		size_t len = strlen(file->path);

		wire_put_u32(at, (uint32_t)len);
		wire_put_u32(at + 4, file->data.size);
		memcpy(at + 8, &file->st, sizeof(file->st));
		memcpy(at + HEADER_SIZE, file->path, len);
		if (file->data.size)
			memcpy(at + HEADER_SIZE + len, file->data.data, file->data.size);
		at += HEADER_SIZE + len + file->data.size;
	}
	return 0;
}

static int decode_one(struct credential_files *files, struct wire_reader *reader)
{
	uint32_t path_size = wire_read_u32(reader), data_size = wire_read_u32(reader);
	const void *st = wire_read_bytes(reader, sizeof(struct stat)),
		   *path = wire_read_bytes(reader, path_size),
		   *data = wire_read_bytes(reader, data_size);
	struct credential_file *file = &files->files[files->count];

	if (reader->failed || !path_size || memchr(path, 0, path_size) ||
		data_size >= FILE_MAX_BYTES || files->count == CREDENTIAL_FILES_MAX)
		return -EINVAL;
	*file = (struct credential_file){.path = strndup(path, path_size)};
	files->count++;
	memcpy(&file->st, st, sizeof(file->st));
	if (!file->path || !grow(&file->data, data_size))
		return -ENOMEM;
	memcpy(file->data.data, data, data_size);
	file->data.size = data_size;
	file->data.data[data_size] = 0;
	return 0;
}

int credential_files_decode(struct credential_files *files, const void *bytes, size_t size)
{
	struct wire_reader reader;
	int rc = 0;

	*files = (struct credential_files){.is_closed = true};
	wire_reader_init(&reader, bytes, size);
	while (!rc && reader.left)
		rc = decode_one(files, &reader);
	if (rc)
		credential_files_free(files);
	return rc;
}
