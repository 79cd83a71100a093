/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What makes bytes of strangers fit to be shown, and what reads the kernel's escapes. */
#include "base/text.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	size_t room = fuzz_u8(&input);
	char *out = malloc(room ? room : 1), *again = malloc(room ? room : 1), *text;

	FUZZ_CHECK(out && again);
	text_sanitise(out, room, input.at, input.left);
	if (room) {
		fuzz_check_shown(out, room);
		FUZZ_CHECK(text_is_utf8(out, strlen(out)));
		text_sanitise(again, room, out, strlen(out));
		FUZZ_CHECK(strcmp(out, again) == 0);
	}
	text = fuzz_text(input.at, input.left);
	FUZZ_CHECK(text_copy(again, room, text) == (strlen(text) < room));
	room = strlen(text);
	text_unescape_octal(text);
	FUZZ_CHECK(strlen(text) <= room);
	free(text);
	free(again);
	free(out);
	return 0;
}
