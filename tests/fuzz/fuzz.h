/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets share. A target is a fuzz-NAME.c with LLVMFuzzerTestOneInput(): it gives
 * bytes of a fuzzer, or of a seed (seeds/NAME/), to the program's own code and holds what comes out
 * against rules. A rule that is broken ends the process, as a sanitizer's report does. */
#ifndef NBDA_TESTS_FUZZ
#define NBDA_TESTS_FUZZ
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional; called once before. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Bytes that a target takes its own choices from; what is not there any more reads as 0. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input);
uint32_t fuzz_u32(struct fuzz_input *input);
/* SIZE bytes to OUT, the missing ones 'a': so a large length costs a fuzzer no input. */
void fuzz_bytes(struct fuzz_input *input, void *out, size_t size);
/* A text of its own, exactly as long as it is, so that ASan sees a read behind it; a NUL in it is
 * its end. Free it. */
char *fuzz_text(const void *bytes, size_t size);
/* Cut at lines that are "--" alone into COUNT parts, which are to be freed; the missing ones are
 * empty. The last one has the rest. */
void fuzz_split(const uint8_t *data, size_t size, char **parts, size_t count);

/* The rules. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_fail(const char *rule, const char *file, int line);
/* TEXT, in SIZE bytes, may go to a terminal and a log: one line, ended, UTF-8 without control
 * characters. */
void fuzz_check_shown(const char *text, size_t size);
/* The same, of several lines. */
void fuzz_check_lines(const char *text, size_t len);
/* A failure says what failed in a sentence. RC is of a function that returns 0 or -errno. */
void fuzz_check_error(int rc, const struct error *err);
/* Before a call that may fill it: what is left in it then was never written. */
void fuzz_soil_error(struct error *err);

/* A file in memory, for what reads one by its path, and its path. */
struct fuzz_file {
	int fd;
	char path[32];
};

void fuzz_file_open(struct fuzz_file *file);
void fuzz_file_put(const struct fuzz_file *file, const void *bytes, size_t size);

#endif
