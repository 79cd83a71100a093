/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"
#include "base/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint8_t fuzz_u8(struct fuzz_input *input)
{
	if (!input->left)
		return 0;
	input->left--;
	return *input->at++;
}

uint16_t fuzz_u16(struct fuzz_input *input)
{
	uint16_t high = fuzz_u8(input);

	return (uint16_t)(high << 8 | fuzz_u8(input));
}

uint32_t fuzz_u32(struct fuzz_input *input)
{
	uint32_t high = fuzz_u16(input);

	return high << 16 | fuzz_u16(input);
}

void fuzz_bytes(struct fuzz_input *input, void *out, size_t size)
{
	size_t there = size < input->left ? size : input->left;

	if (there)
		memcpy(out, input->at, there);
	memset((uint8_t *)out + there, 'a', size - there);
	input->at += there;
	input->left -= there;
}

char *fuzz_text(const void *bytes, size_t size)
{
	size_t len = strnlen(bytes, size);
	char *text = malloc(len + 1);

	FUZZ_CHECK(text);
	memcpy(text, bytes, len);
	text[len] = 0;
	return text;
}

void fuzz_split(const uint8_t *data, size_t size, char **parts, size_t count)
{
	static const char mark[] = "\n--\n";
	const char *at = (const char *)data, *end = at + size, *next;

	for (size_t i = 0; i < count; i++) {
		next = i + 1 < count && at ?
			memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1) :
			NULL;
		parts[i] =
			at ? fuzz_text(at, (size_t)((next ? next : end) - at)) : fuzz_text("", 0);
		at = next ? next + sizeof(mark) - 1 : NULL;
	}
}

/* The targets' own stderr is of no interest, and libFuzzer closes it. */
static int report_fd = STDERR_FILENO;

static __attribute__((constructor)) void keep_stderr(void)
{
	report_fd = dup(STDERR_FILENO);
}

void fuzz_fail(const char *rule, const char *file, int line)
{
	dprintf(report_fd, "%s:%d: does not hold: %s\n", file, line, rule);
	abort();
}

/* C0, DEL and C1 are known here, too: the rest is what text_sanitise() would leave as it is. */
static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i], next = i + 1 < len ? text[i + 1] : 0;

		if (c < ' ' || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f))
			return true;
	}
	return false;
}

static void check_line(const char *text, size_t len)
{
	char *again = malloc(len + 1);

	FUZZ_CHECK(again);
	text_sanitise(again, len + 1, text, len);
	if (has_control(text, len) || strlen(again) != len || memcmp(again, text, len) != 0) {
		dprintf(report_fd, "not to be shown: \"%.*s\"\n", (int)len, text);
		abort();
	}
	free(again);
}

void fuzz_check_shown(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	FUZZ_CHECK(len < size);
	check_line(text, len);
}

void fuzz_check_lines(const char *text, size_t len)
{
	const char *end = text + len, *next;

	for (; text < end; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		check_line(text, (size_t)(next - text));
	}
}

#define SOIL 0x5a

void fuzz_soil_error(struct error *err)
{
	memset(err, SOIL, sizeof(*err));
}

void fuzz_check_error(int rc, const struct error *err)
{
	unsigned char retry;

	FUZZ_CHECK(rc < 0);
	FUZZ_CHECK(err->kind >= ERROR_OTHER && err->kind <= ERROR_LAST);
	memcpy(&retry, &err->retry, sizeof(retry));
	FUZZ_CHECK(retry <= 1);
	FUZZ_CHECK(*err->text);
	fuzz_check_shown(err->text, sizeof(err->text));
	fuzz_check_shown(err->hint, sizeof(err->hint));
}

void fuzz_file_open(struct fuzz_file *file)
{
	file->fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_CHECK(file->fd >= 0);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

void fuzz_file_put(const struct fuzz_file *file, const void *bytes, size_t size)
{
	FUZZ_CHECK(ftruncate(file->fd, 0) == 0);
	FUZZ_CHECK(pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
}
