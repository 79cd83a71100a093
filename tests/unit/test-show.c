/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one gate for what people see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "output/log.h"
#include "output/report.h"
#include "output/show.h"
#include "output/status-text.h"

#define HOSTILE "a\x1b[2J\x1b]0;owned\a\r\nok\xe2\x80\xae\x9b\x7f"
#define SHOWN "a?[2J?]0;owned???ok???"

static char captured[4096];
static int saved_fd;
static FILE *captured_file;

static void capture(FILE *stream)
{
	fflush(stream);
	saved_fd = dup(fileno(stream));
	captured_file = tmpfile();
	dup2(fileno(captured_file), fileno(stream));
}

static const char *end_capture(FILE *stream)
{
	size_t n;

	fflush(stream);
	dup2(saved_fd, fileno(stream));
	close(saved_fd);
	rewind(captured_file);
	n = fread(captured, 1, sizeof(captured) - 1, captured_file);
	captured[n] = 0;
	fclose(captured_file);
	return captured;
}

static void lines_are_lines_whatever_stands_in_them(void **state)
{
	(void)state;
	capture(stdout);
	show_part(stdout, "%s, ", HOSTILE);
	show_line(stdout, "and %s", HOSTILE);
	assert_string_equal(end_capture(stdout), SHOWN ", and " SHOWN "\n");
	capture(stderr);
	show_note("about %s", HOSTILE);
	assert_string_equal(end_capture(stderr), "nbd-attach: about " SHOWN "\n");
}

static void errors_and_the_log_are_shown_by_it(void **state)
{
	struct error err = {.kind = ERROR_TLS, .text = HOSTILE, .hint = HOSTILE};

	(void)state;
	capture(stderr);
	assert_int_equal(report_error(&err), ERROR_TLS);
	assert_string_equal(end_capture(stderr), "nbd-attach: " SHOWN "\n  " SHOWN "\n");
	log_open(true, false);
	capture(stderr);
	log_message(LOG_WARNING, "%s", HOSTILE);
	assert_string_equal(end_capture(stderr), "nbd-attach: " SHOWN "\n");
}

static void each_text_of_json_is_clean(void **state)
{
	json_object *object = json_object_new_object(), *list = json_object_new_array();

	(void)state;
	json_object_array_add(list, json_object_new_string(HOSTILE));
	json_object_array_add(list, json_object_new_int(7));
	json_object_object_add(object, "list", list);
	json_object_object_add(object, "text", json_object_new_string(HOSTILE));
	json_object_object_add(object, "none", NULL);
	capture(stdout);
	show_json(object, false);
	assert_string_equal(end_capture(stdout),
		"{\"list\":[\"" SHOWN "\",7],\"text\":\"" SHOWN "\",\"none\":null}\n");
	json_object_put(object);
	object = json_object_new_string(HOSTILE);
	capture(stdout);
	show_json(object, true);
	assert_string_equal(end_capture(stdout), "\"" SHOWN "\"\n");
	json_object_put(object);
	show_clean_json(NULL);
}

/* What answers on the supervisor's socket, or lies in a state file, may be of anybody's making. */
static void status_is_shown_by_it(void **state)
{
	json_object *status = json_object_new_object();

	(void)state;
	json_object_object_add(status, "device", json_object_new_string("/dev/nbd0"));
	json_object_object_add(status, "uri", json_object_new_string(HOSTILE));
	json_object_object_add(status, "state", json_object_new_string("reconnecting"));
	json_object_object_add(status, "reason", json_object_new_string(HOSTILE));
	json_object_object_add(status, "attempts", json_object_new_int(1));
	json_object_object_add(status, "last_error", json_object_new_string(HOSTILE));
	capture(stdout);
	status_text_print(stdout, status, 0, true);
	end_capture(stdout);
	for (const char *p = captured; *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= ' ');
	assert_non_null(strstr(captured, SHOWN));
	json_object_put(status);
}

static void programs_get_the_bytes_or_nothing(void **state)
{
	(void)state;
	capture(stdout);
	assert_true(show_assignment("A", "it's $HOME"));
	assert_true(show_path("/a b"));
	assert_string_equal(end_capture(stdout), "A='it'\\''s $HOME'\n/a b\n");
	capture(stdout);
	assert_false(show_assignment("A", "two\nlines"));
	assert_false(show_path("/a\n/etc/shadow"));
	assert_string_equal(end_capture(stdout), "A=''\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_lines_whatever_stands_in_them),
		cmocka_unit_test(errors_and_the_log_are_shown_by_it),
		cmocka_unit_test(each_text_of_json_is_clean),
		cmocka_unit_test(status_is_shown_by_it),
		cmocka_unit_test(programs_get_the_bytes_or_nothing),
	};

	return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
