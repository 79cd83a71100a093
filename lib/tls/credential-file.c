/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tls/credential-file.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (4 << 20)
#define FIRST_BYTES (64 << 10)

static void wipe(gnutls_datum_t *data)
{
	if (data->data) {
		explicit_bzero(data->data, data->size);
		free(data->data);
	}
	*data = (gnutls_datum_t){0};
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

int credential_files_read(struct credential_files *files, const char *path, const char *what,
	gnutls_datum_t *data, struct error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct credential_file *file;
	int rc;

	if (fd < 0)
		return error_set(err, ERROR_USAGE, errno, "cannot read the %s file %s: %s", what,
			path, strerror(errno));
	file = add(files, path, err);
	if (!file)
		return -ENOMEM;
	if (fstat(fd, &file->st) < 0 || S_ISDIR(file->st.st_mode))
		return error_set(err, ERROR_USAGE, EISDIR,
			"cannot read the %s file %s: it is a directory", what, path);
	rc = read_all(fd, &file->data);
	if (rc == -EFBIG || rc == -ENODATA)
		return error_set(err, ERROR_USAGE, EINVAL, "the %s file %s is %s", what, path,
			rc == -EFBIG ? "too large" : "empty");
	if (rc)
		return error_set(err, ERROR_USAGE, -rc, "cannot read the %s file %s: %s", what,
			path, strerror(-rc));
	*data = file->data;
	return 0;
}

int credential_files_note_directory(
	struct credential_files *files, const char *path, struct error *err)
{
	struct credential_file *file;

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

	for (size_t i = 0; i < files->count; i++) {
		const struct credential_file *file = &files->files[i];

		if ((S_ISREG(file->st.st_mode) || S_ISDIR(file->st.st_mode)) &&
			stat(file->path, &st) == 0 && !is_same(&st, &file->st))
			return true;
	}
	return false;
}

void credential_files_forget(struct credential_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		wipe(&files->files[i].data);
}

void credential_files_free(struct credential_files *files)
{
	credential_files_forget(files);
	for (size_t i = 0; i < files->count; i++)
		free(files->files[i].path);
	*files = (struct credential_files){0};
}
