/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `status` answers by its exit status alone. The folder is the real one, in /run: the device
 * numbers are such as no kernel has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cmd/commands.h"
#include "supervisor/control.h"
#include "fake-root.h"

static char name[16];
static int device;
static struct control control;
static struct loop loop;
static const char *to_say; /* by the supervisor; NULL: it has */
static struct error err;

static int setup(void **state)
{
	char path[PATH_MAX];

	(void)state;
	device = (1 << 20) - 1 - (int)getpid() % 40000;
	snprintf(name, sizeof(name), "nbd%d", device);
	if (fake_root_make() < 0)
		return -1;
	snprintf(path, sizeof(path), "/sys/block/%s/uevent", name);
	fake_root_put(path, "");
	control_init(&control);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_close(&control);
	return fake_root_remove();
}

static void attach_device(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/block/%s/pid", name);
	fake_root_put(path, "");
}

static void on_command(void *owner, size_t at, const char *command)
{
	(void)owner;
	assert_string_equal(command, "status");
	control_reply(&control, at, json_tokener_parse(to_say));
	to_say = NULL;
}

/* Nothing may be printed: what is there of it is counted. */
static int ask(struct options options, const char *answer)
{
	char printed[2];
	int status = -1, out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	options.arguments[0] = name;
	options.argument_count = 1;
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		_exit(command_status(&options));
	}
	close(out[1]);
	to_say = answer;
	while (to_say)
		assert_int_equal(loop_round(&loop), 0);
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
	loop_init(&loop);
	control_serve(&control, &loop, on_command, NULL);
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
