/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `status` answers by its exit status alone. The folder is the real one, in /run: the device
 * numbers are such as no kernel has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/system-root.h"
#include "cmd/commands.h"
#include "supervisor/control.h"

static char root[] = "/tmp/test-status-command.XXXXXX", name[16];
static int device;
static struct control control;
static struct error err;

static int setup(void **state)
{
	char command[PATH_MAX];

	(void)state;
	device = (1 << 20) - 1 - (int)getpid() % 40000;
	snprintf(name, sizeof(name), "nbd%d", device);
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	system_root_set(root);
	snprintf(command, sizeof(command), "mkdir -p %s/sys/block/%s", root, name);
	control_init(&control);
	return system(command);
}

static int teardown(void **state)
{
	char command[PATH_MAX];

	(void)state;
	control_close(&control);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	system_root_set(NULL);
	return system(command);
}

static void attach_device(void)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sys/block/%s/pid", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

/* Nothing may be printed: what is there of it is counted. */
static int ask(struct options options, const char *answer)
{
	struct pollfd wait = {.events = POLLIN};
	char word[CONTROL_WORD_SIZE], printed[2];
	int status = -1, out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	options.words[0] = name;
	options.word_count = 1;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		_exit(command_status(&options));
	}
	close(out[1]);
	if (answer) {
		wait.fd = control.fd;
		assert_int_equal(poll(&wait, 1, 5000), 1);
		control_accept(&control);
		wait.fd = control.clients[0];
		assert_int_equal(poll(&wait, 1, 5000), 1);
		assert_true(control_receive(&control, 0, word));
		assert_string_equal(word, "status");
		control_reply(&control, 0, json_tokener_parse(answer));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(read(out[0], printed, sizeof(printed)), 0);
	close(out[0]);
	return WEXITSTATUS(status);
}

static const struct options quiet = {.quiet = true}, is_root = {.is_root = true};

static void what_is_not_attached_is_neither_alive_nor_the_roots(void **state)
{
	(void)state;
	assert_int_equal(ask(quiet, NULL), ERROR_BUSY);
	assert_int_equal(ask(is_root, NULL), ERROR_OTHER);
}

static void what_has_no_supervisor_is_configured(void **state)
{
	(void)state;
	attach_device();
	assert_int_equal(ask(quiet, NULL), 13);
	assert_int_equal(ask(is_root, NULL), ERROR_OTHER);
}

static void the_supervisors_answer_is_passed_on(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root may write to /run */
	attach_device();
	assert_int_equal(control_open(&control, device, &err), 0);
	assert_int_equal(ask(quiet, "{\"state\": \"alive\", \"root\": true}"), 0);
	assert_int_equal(ask(quiet, "{\"state\": \"reconnecting\", \"root\": true}"), 10);
	assert_int_equal(ask(is_root, "{\"state\": \"alive\", \"root\": true}"), 0);
	assert_int_equal(ask(is_root, "{\"state\": \"reconnecting\", \"root\": true}"), 0);
	assert_int_equal(ask(is_root, "{\"state\": \"alive\", \"root\": false}"), ERROR_OTHER);
	assert_int_equal(ask(is_root, "{\"state\": \"alive\"}"), ERROR_OTHER);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_attached_is_neither_alive_nor_the_roots),
		TEST(what_has_no_supervisor_is_configured),
		TEST(the_supervisors_answer_is_passed_on),
	};

	return cmocka_run_group_tests_name("status-command", tests, NULL, NULL);
}
