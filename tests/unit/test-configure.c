/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/netlink.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "fake-root.h"
#include "nbd/nbd-protocol.h"
#include "supervisor/configure.h"

static struct attachment *attachment;

static void put(int index, const char *attribute, const char *value)
{
	char name[64], path[PATH_MAX];

	snprintf(name, sizeof(name), "/sys/block/nbd%d/%s", index, attribute);
	fake_root_path(path, name);
	if (value)
		fake_root_put(name, value);
	else
		remove(path);
}

#define OURS "0123456789abcdef0123456789abcdef"

static void two_writers_are_one_too_many(void **state)
{
	struct error err = {0};

	(void)state;
	strcpy(attachment->backend, OURS);
	put(0, "backend", "fedcba9876543210fedcba9876543210\n");
	put(0, "pid", "1\n");
	put(0, "ro", "0\n");
	put(4, "backend", OURS "\n");
	put(4, "ro", "0\n");
	put(7, "ro", "0\n");
	put(7, "pid", "1\n"); /* a client that sets none */
	/* the last of them is not attached */
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	put(4, "pid", "1\n");
	assert_int_equal(configure_check_single(attachment, 4, &err), 0);
	assert_int_equal(configure_check_single(attachment, 1, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_BUSY);
	assert_non_null(strstr(err.text, "/dev/nbd4 "));
	assert_non_null(strstr(err.hint, "--shared"));
	attachment->policy.shared = true;
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	attachment->policy.shared = false;
	attachment->flags = NBD_TFLAG_READ_ONLY;
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
	attachment->flags = 0;
	put(4, "ro", "1\n");
	assert_int_equal(configure_check_single(attachment, 1, &err), 0);
}

/* --- a kernel that refuses, in place of the C library's, for libnl too */

static struct nlmsghdr request;
static const char *release = "6.12.1";

int uname(struct utsname *name)
{
	memset(name, 0, sizeof(*name));
	strcpy(name->release, release);
	return 0;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd;
	(void)flags;
	memcpy(&request, msg->msg_iov->iov_base, sizeof(request));
	return (ssize_t)msg->msg_iov->iov_len;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} answer = {.header = {.nlmsg_len = sizeof(answer),
			    .nlmsg_type = NLMSG_ERROR,
			    .nlmsg_seq = request.nlmsg_seq,
			    .nlmsg_pid = request.nlmsg_pid},
		.error = {.error = -EINVAL}};

	(void)fd;
	(void)flags;
	memcpy(msg->msg_iov->iov_base, &answer, sizeof(answer));
	memset(msg->msg_name, 0, sizeof(struct sockaddr_nl));
	((struct sockaddr_nl *)msg->msg_name)->nl_family = AF_NETLINK;
	msg->msg_namelen = sizeof(struct sockaddr_nl);
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	return sizeof(answer);
}

static void assert_hint(const char *kernel, const char *socket_path, const char *hint)
{
	struct error err = {0};

	release = kernel;
	strcpy(attachment->endpoint.socket_path, socket_path);
	assert_int_equal(configure_device(attachment, 3, NULL, &err), -EINVAL);
	assert_int_equal(err.kind, ERROR_KERNEL);
	if (!strstr(err.hint, hint))
		fail_msg("%s: %s", kernel, err.hint);
}

static void a_refusal_is_explained_where_red_hats_driver_is(void **state)
{
	(void)state;
	attachment->genl = (struct nbd_genl){.sock = nl_socket_alloc(), .family = 27};
	assert_int_equal(genl_connect(attachment->genl.sock), 0);
	attachment->link_count = 1;
	attachment->links[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_hint("5.14.0-427.13.1.el9_4.x86_64", "", "(5.14.0-427.13.1.el9_4.x86_64)");
	assert_hint("5.14.0-427.13.1.el9_4.x86_64", "", "ELRepo");
	assert_hint("5.14.0-427.13.1.el9_4.x86_64", "/run/nbd.sock", "the kernel log says more");
	assert_hint("6.12.57+deb13-amd64", "", "the kernel log says more");
	close(attachment->links[0].fd);
	nbd_genl_close(&attachment->genl);
}

static int make_root(void **state)
{
	char path[PATH_MAX];

	(void)state;
	if (fake_root_make())
		return -1;
	fake_root_path(path, "/sys/block/");
	attachment = calloc(1, sizeof(*attachment)); /* large */
	return attachment ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	free(attachment);
	return fake_root_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			two_writers_are_one_too_many, make_root, remove_root),
		cmocka_unit_test_setup_teardown(
			a_refusal_is_explained_where_red_hats_driver_is, make_root, remove_root),
	};

	return cmocka_run_group_tests_name("configure", tests, NULL, NULL);
}
