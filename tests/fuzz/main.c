/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of libFuzzer: each file that is named is an input, once. For builds without clang, and
 * for what counts lines. */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static int play(const char *path)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = NULL;
	size_t size = 0;
	long end;

	if (file && fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) >= 0) {
		rewind(file);
		data = malloc((size_t)end ? (size_t)end : 1);
		size = data ? fread(data, 1, (size_t)end, file) : 0;
	}
	if (!data || ferror(file)) {
		perror(path);
		return 1;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int rc = 0;

	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		rc |= play(argv[i]);
	return rc;
}
