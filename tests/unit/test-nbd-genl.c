/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver's answers and notices as libnl reads them, from a kernel that is the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/nbd-genl.h"

#define FAMILY 27
#define BACKEND "00112233445566778899aabbccddeeff"

static struct nlmsghdr request; /* the last one */
static struct {
	uint8_t bytes[256];
	size_t size; /* 0: an errno in its place */
	int errno_value;
} queue[8];
static size_t queued, taken;

/* --- the kernel, in place of the C library's, for libnl too */

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd;
	(void)flags;
	memcpy(&request, msg->msg_iov->iov_base, sizeof(request));
	return (ssize_t)msg->msg_iov->iov_len;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	size_t size = taken < queued ? queue[taken].size : 0, room = msg->msg_iov->iov_len;
	struct nlmsghdr *header = (struct nlmsghdr *)queue[taken].bytes;

	(void)fd;
	if (!size) {
		errno = taken < queued ? queue[taken++].errno_value : EAGAIN;
		return -1;
	}
	header->nlmsg_seq = request.nlmsg_seq;
	header->nlmsg_pid = request.nlmsg_pid;
	memcpy(msg->msg_iov->iov_base, queue[taken].bytes, size < room ? size : room);
	memset(msg->msg_name, 0, sizeof(struct sockaddr_nl));
	((struct sockaddr_nl *)msg->msg_name)->nl_family = AF_NETLINK;
	msg->msg_namelen = sizeof(struct sockaddr_nl);
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	taken += !(flags & MSG_PEEK);
	return (ssize_t)size;
}

static void queue_message(uint16_t type, const void *body, size_t size)
{
	struct nlmsghdr header = {
		.nlmsg_len = (uint32_t)(sizeof(header) + size), .nlmsg_type = type};

	memcpy(queue[queued].bytes, &header, sizeof(header));
	memcpy(queue[queued].bytes + sizeof(header), body, size);
	queue[queued++].size = sizeof(header) + size;
}

static void queue_outcome(int error)
{
	struct nlmsgerr answer = {.error = error};

	queue_message(NLMSG_ERROR, &answer, sizeof(answer));
}

/* A message of the driver, with an index of SIZE bytes. */
static void queue_index(uint8_t command, uint32_t index, uint16_t size)
{
	struct {
		struct genlmsghdr header;
		struct nlattr attribute;
		uint32_t index;
	} body = {{.cmd = command, .version = 1},
		{(uint16_t)(sizeof(struct nlattr) + size), NBD_ATTR_INDEX}, index};

	queue_message(FAMILY, &body, sizeof(body));
}

static void queue_errno(int errno_value)
{
	queue[queued].errno_value = errno_value;
	queue[queued++].size = 0;
}

static int setup(void **state)
{
	static struct nbd_genl genl;

	*state = &genl;
	genl = (struct nbd_genl){.sock = nl_socket_alloc(), .family = FAMILY};
	queued = taken = 0;
	return genl.sock ? genl_connect(genl.sock) : -1;
}

static int teardown(void **state)
{
	nbd_genl_close(*state);
	return 0;
}

/* --- */

static int connect_one(struct nbd_genl *genl, int wanted, int *index, struct error *err)
{
	int fd = 5;
	struct nbd_genl_connect params = {.index = wanted,
		.size_bytes = 1 << 20,
		.block_size_bytes = 512,
		.backend_identifier = BACKEND,
		.fds = &fd,
		.fd_count = 1};

	*index = -2;
	return nbd_genl_connect(genl, &params, index, err);
}

static void the_device_is_the_one_that_the_driver_chose(void **state)
{
	struct error err;
	int index;

	queue_index(NBD_CMD_CONNECT, 9, 4);
	queue_outcome(0);
	assert_int_equal(connect_one(*state, -1, &index, &err), 0);
	assert_int_equal(index, 9);
}

static void a_choice_that_is_not_told_is_a_failure(void **state)
{
	struct error err;
	int index;

	queue_outcome(0);
	assert_int_equal(connect_one(*state, -1, &index, &err), -EPROTO);
	assert_non_null(strstr(err.text, "did not say which device"));
}

static void an_index_cut_short_is_none(void **state)
{
	struct error err;
	int index;

	queue_index(NBD_CMD_CONNECT, 9, 3);
	queue_outcome(0);
	assert_int_equal(connect_one(*state, -1, &index, &err), -EPROTO);
}

static void what_the_driver_refuses_has_a_reason(void **state)
{
	static const struct {
		int error;
		enum error_kind kind;
		const char *text;
	} refusals[] = {
		{-EPERM, ERROR_PERMISSION, "lets only root"},
		{-EBUSY, ERROR_ATTACHED, "/dev/nbd3 is attached already"},
		{-ENODEV, ERROR_KERNEL, "there is no /dev/nbd3"},
		{-EINVAL, ERROR_KERNEL, "size 1048576, block size 512, 1 connections"},
		{-EIO, ERROR_KERNEL, "refused to connect: Input/output error"},
	};
	struct error err;
	int index;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		queued = taken = 0;
		queue_outcome(refusals[i].error);
		assert_true(connect_one(*state, 3, &index, &err) < 0);
		assert_int_equal(err.kind, refusals[i].kind);
		assert_non_null(strstr(err.text, refusals[i].text));
	}
}

static void what_is_no_errno_is_a_failure(void **state)
{
	static const int values[] = {1, INT_MAX, INT_MIN, -4096};
	struct error err;
	int index;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		queued = taken = 0;
		queue_outcome(values[i]);
		assert_int_equal(connect_one(*state, 3, &index, &err), -EPROTO);
	}
}

static void no_answer_is_a_failure(void **state)
{
	struct error err;
	int index;

	assert_true(connect_one(*state, 3, &index, &err) < 0);
	queue_errno(ENOBUFS);
	assert_true(connect_one(*state, 3, &index, &err) < 0);
}

static void notices_of_this_device_are_counted(void **state)
{
	struct nbd_genl *genl = *state;

	nl_socket_disable_seq_check(genl->sock);
	queue_index(NBD_CMD_LINK_DEAD, 3, 4);
	queue_index(NBD_CMD_LINK_DEAD, 4, 4);
	queue_index(NBD_CMD_LINK_DEAD, 3, 2);
	queue_index(NBD_CMD_STATUS, 3, 4);
	queue_index(NBD_CMD_LINK_DEAD, 3, 4);
	assert_int_equal(nbd_genl_read_notices(genl, 3), 2);
	assert_int_equal(nbd_genl_read_notices(genl, 3), 0);
}

static void lost_notices_are_reported(void **state)
{
	struct nbd_genl *genl = *state;

	nl_socket_disable_seq_check(genl->sock);
	queue_index(NBD_CMD_LINK_DEAD, 3, 4);
	queue_errno(ENOBUFS);
	queue_index(NBD_CMD_LINK_DEAD, 3, 4);
	assert_int_equal(nbd_genl_read_notices(genl, 3), -ENOBUFS);
	assert_int_equal(taken, queued);
}

static void a_kernel_without_the_driver_is_named(void **state)
{
	struct nbd_genl genl;
	struct error err;

	(void)state;
	queue_outcome(-ENOENT);
	assert_int_equal(nbd_genl_open(&genl, &err), -ENOENT);
	assert_null(genl.sock);
	assert_non_null(strstr(err.hint, "modprobe nbd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_device_is_the_one_that_the_driver_chose, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_choice_that_is_not_told_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(an_index_cut_short_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_the_driver_refuses_has_a_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_errno_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(no_answer_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(
			notices_of_this_device_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_notices_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_kernel_without_the_driver_is_named, setup, teardown),
	};

	return cmocka_run_group_tests_name("nbd-genl", tests, NULL, NULL);
}
