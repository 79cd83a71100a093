/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: one supervisor a device, and clients that do what they like. The folder is
 * the real one, in /run: the device numbers are such as no kernel has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "supervisor/control.h"
#include "base/clock.h"
#include "base/run-files.h"

static int device;
static struct control control;
static struct error err;
static struct loop loop;
static struct loop_source timer;
static bool is_over;
/* What clients have said: the last command, and how often. */
static char command[CONTROL_COMMAND_SIZE + 1];
static size_t asking;
static unsigned words, hang_ups;

static void on_command(void *owner, size_t at, const char *said)
{
	assert_ptr_equal(owner, &control);
	asking = at;
	if (said) {
		words++;
		snprintf(command, sizeof(command), "%s", said);
	} else {
		hang_ups++;
	}
}

static void on_timer(void *owner, short revents)
{
	(void)owner;
	(void)revents;
	is_over = true;
}

/* Of this process alone: several may test at a time. */
static int setup(void **state)
{
	(void)state;
	device = 100000000 + (int)getpid();
	memset(&err, 0, sizeof(err));
	control_init(&control);
	loop_init(&loop);
	timer = (struct loop_source){0};
	loop_add(&loop, &timer, LOOP_TIME, on_timer, NULL);
	words = hang_ups = 0;
	return 0;
}

static int setup_open(void **state)
{
	setup(state);
	if (geteuid() != 0)
		return 0;
	if (control_open(&control, device, &err))
		return -1;
	control_serve(&control, &loop, on_command, &control);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_close(&control);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* only root may write to /run */
}

static void format_path(char path[64], const char *suffix)
{
	snprintf(path, 64, RUN_DIRECTORY "/nbd%d.%s", device, suffix);
}

static bool has_file(const char *suffix)
{
	char path[64];

	format_path(path, suffix);
	return access(path, F_OK) == 0;
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	format_path(address.sun_path, "sock");
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	return fd;
}

/* The client's command, in a process of its own: what it got, or NULL, is told by its exit
 * status. */
static pid_t start_command(const char *text, int timeout_ms, bool (*is_right)(json_object *answer))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(!is_right(control_command(device, text, timeout_ms)));
	return pid;
}

static int status_of(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Until so many words and hang-ups have come, or it has been long. */
static void await(unsigned words_count, unsigned hang_ups_count)
{
	is_over = false;
	loop_call_at(&timer, monotonic_now_ms() + 5000);
	while (!is_over && (words < words_count || hang_ups < hang_ups_count))
		assert_int_equal(loop_round(&loop), 0);
	assert_int_equal(words, words_count);
	assert_int_equal(hang_ups, hang_ups_count);
}

/* What has come by now. */
static void run_for(int ms)
{
	is_over = false;
	loop_call_at(&timer, monotonic_now_ms() + ms);
	while (!is_over)
		assert_int_equal(loop_round(&loop), 0);
}

static void receive_command(void)
{
	await(1, 0);
	assert_int_equal(asking, 0);
	assert_true(control_has_client(&control, 0));
}

static json_object *say(const char *key, const char *text)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, key, json_object_new_string(text));
	return object;
}

/* --- being the only one */

static void a_device_has_one_supervisor(void **state)
{
	struct control second;

	(void)state;
	need_root();
	control_init(&second);
	assert_true(control_exists(device));
	assert_int_equal(control_open(&second, device, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_ATTACHED);
	assert_true(second.fd < 0);
	control_close(&second);
	/* The one that was refused took nothing away from the other. */
	assert_true(has_file("lock"));
	assert_true(has_file("sock"));
	assert_true(control_exists(device));
	assert_int_equal(control_open(&second, device, &err), -EBUSY);
	control_close(&second);
}

static void a_refused_supervisor_leaves_other_devices_alone_too(void **state)
{
	struct control second, other;

	(void)state;
	need_root();
	control_init(&second);
	control_init(&other);
	assert_int_equal(control_open(&second, device, &err), -EBUSY);
	device--;
	assert_int_equal(control_open(&other, device, &err), 0);
	control_close(&second); /* it never had one */
	assert_true(has_file("lock"));
	assert_true(control_exists(device));
	control_close(&other);
	device++;
}

static void nobody_is_there_before_and_after(void **state)
{
	(void)state;
	need_root();
	assert_false(control_exists(device));
	assert_null(control_ask(device));
	assert_int_equal(control_open(&control, device, &err), 0);
	assert_true(control_exists(device));
	control_close(&control);
	assert_false(control_exists(device));
	assert_false(has_file("lock"));
	assert_false(has_file("sock"));
	assert_int_equal(control_open(&control, device, &err), 0);
}

static void a_killed_supervisor_is_followed_by_another(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0)
		_exit(control_open(&control, device, &err) != 0); /* and it closes nothing */
	assert_int_equal(status_of(pid), 0);
	assert_true(has_file("lock"));
	assert_true(has_file("sock"));
	assert_false(control_exists(device));
	assert_null(control_ask(device));
	assert_int_equal(control_open(&control, device, &err), 0);
	assert_true(control_exists(device));
}

static int lock_file(int how)
{
	char path[64];
	int fd;

	format_path(path, "lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && flock(fd, how) == 0 ? fd : -1;
}

static void a_check_does_not_refuse_a_supervisor(void **state)
{
	struct timespec a_moment = {.tv_nsec = 50000000};
	char byte;
	int fds[2];
	pid_t pid;

	(void)state;
	need_root();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		if (lock_file(LOCK_SH) < 0 || write(fds[1], "x", 1) != 1)
			_exit(1);
		nanosleep(&a_moment, NULL);
		_exit(0);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_false(control_exists(device)); /* nor does a check take another for a supervisor */
	assert_int_equal(control_open(&control, device, &err), 0);
	assert_true(control_exists(device));
	assert_int_equal(status_of(pid), 0);
	close(fds[0]);
	close(fds[1]);
}

static void a_hundred_checks_refuse_none(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			control_exists(device);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(control_open(&control, device, &err), 0);
		control_close(&control);
		assert_false(has_file("lock"));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void nobody_but_root_may_talk_to_it(void **state)
{
	struct stat st;
	char path[64];

	(void)state;
	need_root();
	format_path(path, "sock");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	format_path(path, "lock");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(RUN_DIRECTORY, &st), 0);
	assert_int_equal(st.st_mode & 022, 0);
}

static void a_lock_that_is_a_link_is_refused(void **state)
{
	char path[64];

	(void)state;
	need_root();
	format_path(path, "lock");
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_true(control_open(&control, device, &err) < 0);
	assert_non_null(strstr(err.text, path));
	assert_false(control_exists(device));
	unlink(path);
}

static void what_a_killed_supervisor_left_is_removed(void **state)
{
	char lock_path[64], sock_path[64];
	struct stat st;

	(void)state;
	need_root();
	format_path(lock_path, "lock");
	format_path(sock_path, "sock");
	control_forget(device);
	assert_int_equal(stat(lock_path, &st), 0); /* of one that lives */
	assert_int_equal(stat(sock_path, &st), 0);
	assert_true(control_exists(device));
	close(control.lock_fd);
	control.lock_fd = -1;
	control_forget(device);
	assert_int_equal(stat(lock_path, &st), -1);
	assert_int_equal(stat(sock_path, &st), -1);
	control_forget(device); /* nothing is there */
}

/* --- one command, one answer */

static bool is_fine(json_object *answer)
{
	json_object *value;

	return answer && json_object_object_get_ex(answer, "state", &value) &&
		strcmp(json_object_get_string(value), "fine") == 0;
}

static void a_command_is_answered(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = start_command("status", 5000, is_fine);
	receive_command();
	assert_string_equal(command, "status");
	control_reply(&control, 0, say("state", "fine"));
	assert_false(control_has_client(&control, 0));
	assert_int_equal(status_of(pid), 0);
}

static bool is_big(json_object *answer)
{
	json_object *value;

	return answer && json_object_object_get_ex(answer, "text", &value) &&
		json_object_get_string_len(value) == 100 << 10;
}

static void a_big_answer_arrives_whole(void **state)
{
	char *text = malloc((100 << 10) + 1);
	pid_t pid;

	(void)state;
	need_root();
	memset(text, 'x', 100 << 10);
	text[100 << 10] = 0;
	pid = start_command("status", 5000, is_big);
	receive_command();
	control_reply(&control, 0, say("text", text));
	assert_int_equal(status_of(pid), 0);
	free(text);
}

static bool is_null(json_object *answer)
{
	return !answer;
}

static void a_supervisor_that_hangs_costs_its_client_the_timeout(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = start_command("status", 100, is_null);
	assert_int_equal(status_of(pid), 0);
	await(1, 0);
	assert_true(control_has_client(&control, 0));
}

static void an_answer_that_is_cut_is_none(void **state)
{
	pid_t pid;

	(void)state;
	need_root();
	pid = start_command("status", 5000, is_null);
	receive_command();
	assert_int_equal(send(control.clients[0].fd, "{\"state\": \"fi", 13, 0), 13);
	assert_int_equal(status_of(pid), 0);
}

/* --- clients that do what they like */

static void a_client_that_says_nothing_holds_nobody_up(void **state)
{
	int fd;

	(void)state;
	need_root();
	fd = connect_client();
	run_for(20);
	assert_int_equal(words, 0);
	assert_true(control_has_client(&control, 0)); /* it may still */
	assert_int_equal(send(fd, "status", 6, 0), 6);
	await(1, 0);
	assert_string_equal(command, "status");
	close(fd);
}

static void a_client_that_hangs_up_is_forgotten(void **state)
{
	(void)state;
	need_root();
	close(connect_client());
	await(0, 1);
	assert_false(control_has_client(&control, 0));
	run_for(20); /* and not told again */
	assert_int_equal(hang_ups, 1);
}

static void a_client_that_does_not_wait_for_its_answer_does_no_harm(void **state)
{
	int fd;

	(void)state;
	need_root();
	fd = connect_client();
	assert_int_equal(send(fd, "status", 6, 0), 6);
	await(1, 0);
	close(fd);
	control_reply(&control, 0, say("state", "fine")); /* no SIGPIPE */
	assert_false(control_has_client(&control, 0));
}

static void an_answer_for_a_client_that_is_gone_is_freed(void **state)
{
	(void)state;
	need_root();
	control_reply(&control, 3, say("state", "fine"));
	assert_false(control_has_client(&control, 3));
}

static void nobody_waiting_is_no_client(void **state)
{
	(void)state;
	need_root();
	run_for(20);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		assert_false(control_has_client(&control, i));
}

static void a_word_that_is_too_long_is_cut(void **state)
{
	char sent[4096];
	int fd;

	(void)state;
	need_root();
	memset(sent, 'w', sizeof(sent));
	fd = connect_client();
	assert_int_equal(send(fd, sent, sizeof(sent), 0), sizeof(sent));
	await(1, 0);
	assert_int_equal(strlen(command), CONTROL_COMMAND_SIZE - 1);
	run_for(20); /* the rest of it is not another command */
	assert_int_equal(words, 1);
	close(fd);
}

static void a_client_too_many_is_turned_away(void **state)
{
	int fds[CONTROL_CLIENTS_MAX + 1];
	char byte;

	(void)state;
	need_root();
	for (size_t i = 0; i <= CONTROL_CLIENTS_MAX; i++)
		fds[i] = connect_client();
	run_for(20);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		assert_true(control_has_client(&control, i));
	assert_int_equal(recv(fds[CONTROL_CLIENTS_MAX], &byte, 1, 0), 0);
	close(fds[CONTROL_CLIENTS_MAX]);
	/* As soon as one goes there is room again. */
	close(fds[2]);
	await(0, 1);
	assert_int_equal(asking, 2);
	fds[2] = connect_client();
	run_for(20);
	assert_true(control_has_client(&control, 2));
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
}

static void clients_are_hung_up_on_at_the_end(void **state)
{
	char byte;
	int fd;

	(void)state;
	need_root();
	fd = connect_client();
	run_for(20);
	assert_true(control_has_client(&control, 0));
	control_close(&control);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_device_has_one_supervisor, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_refused_supervisor_leaves_other_devices_alone_too, setup_open, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_there_before_and_after, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_killed_supervisor_is_followed_by_another, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_check_does_not_refuse_a_supervisor, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hundred_checks_refuse_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nobody_but_root_may_talk_to_it, setup_open, teardown),
		cmocka_unit_test_setup_teardown(a_lock_that_is_a_link_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_a_killed_supervisor_left_is_removed, setup_open, teardown),
		cmocka_unit_test_setup_teardown(a_command_is_answered, setup_open, teardown),
		cmocka_unit_test_setup_teardown(a_big_answer_arrives_whole, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_supervisor_that_hangs_costs_its_client_the_timeout, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			an_answer_that_is_cut_is_none, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_client_that_says_nothing_holds_nobody_up, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_client_that_hangs_up_is_forgotten, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_client_that_does_not_wait_for_its_answer_does_no_harm, setup_open,
			teardown),
		cmocka_unit_test_setup_teardown(
			an_answer_for_a_client_that_is_gone_is_freed, setup_open, teardown),
		cmocka_unit_test_setup_teardown(nobody_waiting_is_no_client, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_word_that_is_too_long_is_cut, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			a_client_too_many_is_turned_away, setup_open, teardown),
		cmocka_unit_test_setup_teardown(
			clients_are_hung_up_on_at_the_end, setup_open, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
