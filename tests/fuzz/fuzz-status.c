/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON that came over a supervisor's socket, as `status` shows it. */
#include "fuzz.h"
#include "output/status-text.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json = fuzz_text(data, size), *text = NULL;
	json_object *status = json_tokener_parse(json);
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	FUZZ_CHECK(out);
	status_text_print(out, status, 1700000000, true);
	status_text_exit_status(status);
	fclose(out);
	fuzz_check_lines(text, len);
	free(text);
	json_object_put(status);
	free(json);
	return 0;
}
