/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes over netlink: the nbd driver's answers and notices, the controller's word on who is
 * called nbd, and what inet_diag says of a connection. The messages are put together here, with
 * headers that libnl takes, and each part of them can be made to lie; libnl's own code reads them.
 * The input is a count of commands, whose the device is, the commands, and the messages. */
#include "fuzz.h"
#include "kernel/nbd-genl.h"
#include "net/sock-destroy.h"
#include "kernel/block-attr.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAMILY 27
#define GROUP 5
#define INDEX 3
#define BACKEND "00112233445566778899aabbccddeeff"

/* --- the kernel's side */

static struct {
	struct fuzz_input input;
	uint32_t seq, pid; /* of the last request */
	uint8_t buf[16384];
	size_t size; /* of the datagram that waits; 0: none */
	int requests, acks, notices, indices;
	bool raw; /* something came whose meaning is not known here */
	uint8_t owner;
} kernel;

static void put(const void *bytes, size_t size)
{
	if (size > sizeof(kernel.buf) - kernel.size)
		return;
	memcpy(kernel.buf + kernel.size, bytes, size);
	kernel.size += size;
}

static void pad(void)
{
	static const uint8_t zeroes[4];

	put(zeroes, -kernel.size & 3);
}

static void put_input(size_t size)
{
	uint8_t bytes[1024];

	size = size < sizeof(bytes) ? size : sizeof(bytes);
	fuzz_bytes(&kernel.input, bytes, size);
	put(bytes, size);
}

/* An attribute, of SIZE bytes or whatever the input says. */
static void put_attribute(uint16_t type, const void *bytes, size_t size)
{
	uint8_t lie = fuzz_u8(&kernel.input);
	struct nlattr attribute = {(uint16_t)(sizeof(attribute) + size), type};

	if (lie == 0xff)
		attribute.nla_len = fuzz_u16(&kernel.input);
	else if (lie >= 0xf0)
		attribute.nla_len = (uint16_t)(sizeof(attribute) + (lie & 0xf));
	kernel.indices += type == NBD_ATTR_INDEX && attribute.nla_len >= sizeof(attribute) + 4;
	put(&attribute, sizeof(attribute));
	put(bytes, size);
	pad();
}

static size_t begin_nest(uint16_t type)
{
	struct nlattr attribute = {sizeof(attribute), type};
	size_t at = kernel.size;

	put(&attribute, sizeof(attribute));
	return at;
}

static void end_nest(size_t at)
{
	uint16_t len = (uint16_t)(kernel.size - at);

	if (at + sizeof(len) <= kernel.size)
		memcpy(kernel.buf + at, &len, sizeof(len));
}

/* Attributes of the nbd driver: a number of the usual size, or any bytes. */
static void put_nbd_attributes(void)
{
	uint8_t count = fuzz_u8(&kernel.input) & 7;

	for (uint8_t i = 0; i < count; i++) {
		uint8_t type = fuzz_u8(&kernel.input);
		uint32_t index = fuzz_u8(&kernel.input);
		uint8_t bytes[64];

		if (type & 0x80) {
			fuzz_bytes(&kernel.input, bytes, index & 63);
			put_attribute(type & 0x1f, bytes, index & 63);
		} else {
			put_attribute(type & 0x1f, &index, sizeof(index));
		}
	}
}

static void put_groups(void)
{
	size_t groups = begin_nest(CTRL_ATTR_MCAST_GROUPS | NLA_F_NESTED);
	uint8_t count = fuzz_u8(&kernel.input) & 3;

	for (uint8_t i = 0; i < count; i++) {
		size_t group = begin_nest((uint16_t)(i + 1));
		uint8_t how = fuzz_u8(&kernel.input);
		uint32_t id = how & 1 ? fuzz_u32(&kernel.input) : GROUP;

		if (!(how & 2))
			put_attribute(CTRL_ATTR_MCAST_GRP_NAME, NBD_GENL_MCAST_GROUP_NAME,
				sizeof(NBD_GENL_MCAST_GROUP_NAME));
		if (!(how & 4))
			put_attribute(CTRL_ATTR_MCAST_GRP_ID, &id, sizeof(id));
		end_nest(group);
	}
	end_nest(groups);
}

static void put_genl_header(uint8_t command)
{
	struct genlmsghdr header = {.cmd = command, .version = 1};

	put(&header, sizeof(header));
}

static void put_family(void)
{
	uint8_t how = fuzz_u8(&kernel.input);
	uint16_t family = how & 1 ? fuzz_u16(&kernel.input) : FAMILY;

	put_genl_header(how & 2 ? fuzz_u8(&kernel.input) : CTRL_CMD_NEWFAMILY);
	if (!(how & 4))
		put_attribute(CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
	if (!(how & 8))
		put_attribute(
			CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	if (!(how & 16))
		put_groups();
}

static void put_diag(void)
{
	struct inet_diag_msg msg = {.idiag_family = AF_INET, .idiag_state = 1};
	uint8_t how = fuzz_u8(&kernel.input);

	msg.id.idiag_sport = htons(how & 1 ? fuzz_u16(&kernel.input) : 40000);
	msg.id.idiag_dport = htons(how & 2 ? fuzz_u16(&kernel.input) : 10809);
	if (how & 4)
		msg.idiag_state = fuzz_u8(&kernel.input);
	put(&msg, how & 8 ? fuzz_u8(&kernel.input) % sizeof(msg) : sizeof(msg));
	if (how & 16)
		put_nbd_attributes();
}

enum {
	MESSAGE_ACK,
	MESSAGE_ERROR,
	MESSAGE_ANSWER,
	MESSAGE_NOTICE,
	MESSAGE_FAMILY,
	MESSAGE_CONTROL,
	MESSAGE_BYTES,
	MESSAGE_DIAG,
	MESSAGE_KINDS,
	MESSAGE_KIND = 0x0f,
	MESSAGE_LIES = 0x10, /* in its header */
	MESSAGE_MULTIPART = 0x20,
	MESSAGE_AND_MORE = 0x40, /* in the same datagram */
};

static uint16_t put_body(uint8_t kind)
{
	struct nlmsgerr answer = {0};
	uint8_t command;

	switch (kind) {
	case MESSAGE_ACK:
		kernel.acks++;
		put(&answer, sizeof(answer));
		return NLMSG_ERROR;
	case MESSAGE_ERROR:
		answer.error = -(int)fuzz_u8(&kernel.input);
		if (!answer.error)
			answer.error = (int)fuzz_u32(&kernel.input);
		kernel.acks += !answer.error;
		put(&answer, sizeof(answer));
		put_input(fuzz_u8(&kernel.input));
		return NLMSG_ERROR;
	case MESSAGE_ANSWER:
		command = fuzz_u8(&kernel.input);
		kernel.notices += command == NBD_CMD_LINK_DEAD;
		put_genl_header(command);
		put_nbd_attributes();
		return FAMILY;
	case MESSAGE_NOTICE:
		kernel.notices++;
		put_genl_header(NBD_CMD_LINK_DEAD);
		put_nbd_attributes();
		return FAMILY;
	case MESSAGE_FAMILY: put_family(); return GENL_ID_CTRL;
	case MESSAGE_DIAG: put_diag(); return 20; /* SOCK_DIAG_BY_FAMILY */
	case MESSAGE_CONTROL: put_input(4); return 1 + (fuzz_u8(&kernel.input) & 3);
	default:
		kernel.raw = true;
		put_input(fuzz_u8(&kernel.input));
		return fuzz_u16(&kernel.input);
	}
}

static void put_message(uint8_t how)
{
	struct nlmsghdr header = {.nlmsg_seq = kernel.seq, .nlmsg_pid = kernel.pid};
	uint8_t kind = (how & MESSAGE_KIND) % MESSAGE_KINDS, lies;
	size_t at = kernel.size;

	put(&header, sizeof(header));
	if (kernel.size < at + sizeof(header))
		return;
	header.nlmsg_type = put_body(kind);
	header.nlmsg_len = (uint32_t)(kernel.size - at);
	header.nlmsg_flags = how & MESSAGE_MULTIPART ? NLM_F_MULTI : 0;
	if (kind == MESSAGE_NOTICE)
		header.nlmsg_seq = header.nlmsg_pid = 0;
	if (how & MESSAGE_LIES) {
		lies = fuzz_u8(&kernel.input);
		kernel.raw = kernel.raw || lies & (4 | 8);
		if (lies & 1)
			header.nlmsg_seq = fuzz_u32(&kernel.input);
		if (lies & 2)
			header.nlmsg_pid = fuzz_u32(&kernel.input);
		if (lies & 4)
			header.nlmsg_len = fuzz_u32(&kernel.input);
		if (lies & 8)
			header.nlmsg_type = fuzz_u16(&kernel.input);
		if (lies & 16)
			header.nlmsg_flags = fuzz_u16(&kernel.input);
	}
	memcpy(kernel.buf + at, &header, sizeof(header));
	pad();
}

/* The next datagram: 0, or -1 with the errno that the input says, and EAGAIN at its end. */
static int next_datagram(void)
{
	uint8_t how;

	if (kernel.size)
		return 0;
	do {
		if (!kernel.input.left) {
			errno = EAGAIN;
			return kernel.size ? 0 : -1;
		}
		how = fuzz_u8(&kernel.input);
		if (how & 0x80) {
			errno = how & 0x40 ? ENOBUFS : how & 0x20 ? EINTR : ENOMEM;
			return kernel.size ? 0 : -1;
		}
		put_message(how);
	} while (how & MESSAGE_AND_MORE);
	return 0;
}

static ssize_t take_datagram(struct msghdr *msg, int flags)
{
	size_t room = msg->msg_iov->iov_len, n = kernel.size < room ? kernel.size : room,
	       size = kernel.size;

	memcpy(msg->msg_iov->iov_base, kernel.buf, n);
	msg->msg_flags = n < size ? MSG_TRUNC : 0;
	msg->msg_controllen = 0;
	if (msg->msg_name) {
		memset(msg->msg_name, 0, sizeof(struct sockaddr_nl));
		((struct sockaddr_nl *)msg->msg_name)->nl_family = AF_NETLINK;
		msg->msg_namelen = sizeof(struct sockaddr_nl);
	}
	if (!(flags & MSG_PEEK))
		kernel.size = 0;
	return (ssize_t)(flags & MSG_TRUNC ? size : n);
}

/* In place of the C library's, for libnl too. */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	(void)fd;
	return next_datagram() < 0 ? -1 : take_datagram(msg, flags);
}

ssize_t recv(int fd, void *buf, size_t size, int flags)
{
	struct iovec iov = {buf, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return recvmsg(fd, &msg, flags);
}

static ssize_t take_request(const void *bytes, size_t size)
{
	struct nlmsghdr header;

	if (size >= sizeof(header)) {
		memcpy(&header, bytes, sizeof(header));
		FUZZ_CHECK(header.nlmsg_len == size);
		kernel.seq = header.nlmsg_seq;
		kernel.pid = header.nlmsg_pid;
		kernel.requests++;
	}
	return (ssize_t)size;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd;
	(void)flags;
	return take_request(msg->msg_iov->iov_base, msg->msg_iov->iov_len);
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to,
	socklen_t to_size)
{
	(void)fd;
	(void)flags;
	(void)to;
	(void)to_size;
	return take_request(bytes, size);
}

/* --- what is asked */

/* Whose the device is: ours, if these do not say otherwise. */
enum { LOST_BEFORE = 1, LOST_MEANWHILE = 2, IS_GONE = 4 };

bool __wrap_block_backend_is(int index, const char *backend);
bool __wrap_block_is_configured(int index);

bool __wrap_block_backend_is(int index, const char *backend)
{
	FUZZ_CHECK(index == INDEX && strcmp(backend, BACKEND) == 0);
	return !(kernel.owner & LOST_BEFORE) && !(kernel.owner & LOST_MEANWHILE && kernel.requests);
}

bool __wrap_block_is_configured(int index)
{
	FUZZ_CHECK(index == INDEX);
	return !(kernel.owner & IS_GONE);
}

enum {
	ASK_CONNECT,
	ASK_RECONFIGURE,
	ASK_DISCONNECT,
	ASK_ON_CLOSE,
	ASK_NOTICES,
	ASK_FAMILY,
	ASK_GROUP,
	ASK_ADOPT,
	ASK_FIND,
	ASK_DESTROY,
	ASK_KINDS,
};

static int connect_device(struct nbd_genl *genl, bool any, struct error *err)
{
	int fds[2] = {100, 101}, index = -2, rc;
	struct nbd_genl_connect params = {.index = any ? -1 : INDEX,
		.size_bytes = 1 << 20,
		.block_size_bytes = 512,
		.backend_identifier = BACKEND,
		.fds = fds,
		.fd_count = 2};

	rc = nbd_genl_connect(genl, &params, &index, err);
	FUZZ_CHECK(rc || index >= 0);
	/* What was not told whole is not the device that was chosen. */
	FUZZ_CHECK(rc || !any || kernel.indices > 0 || kernel.raw);
	return rc;
}

static int reconfigure(struct nbd_genl *genl, uint8_t how, struct error *err)
{
	struct nbd_genl_reconfigure params = {.index = INDEX,
		.backend_identifier = BACKEND,
		.fd = how & 1 ? 100 : -1,
		.size_bytes = how & 2 ? 1 << 20 : 0,
		.timeout_sec = how & 4 ? 30 : 0,
		.set_dead_conn_timeout = how & 8};

	return nbd_genl_reconfigure(genl, &params, err);
}

static int adopt(struct error *err)
{
	struct nbd_genl genl;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC),
	    rc = nbd_genl_adopt(&genl, fd, err);

	if (rc)
		close(fd);
	else
		nbd_genl_close(&genl);
	return rc;
}

static int open_device(bool listens, struct error *err)
{
	struct nbd_genl genl;
	int rc = listens ? nbd_genl_listen(&genl, err) : nbd_genl_open(&genl, err);

	FUZZ_CHECK(rc || genl.family >= 0);
	nbd_genl_close(&genl);
	return rc;
}

static int ask_diag(bool destroy, struct error *err)
{
	struct sockaddr_storage local = {0}, peer = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&local, *to = (struct sockaddr_in *)&peer;
	int rc;

	in->sin_family = to->sin_family = AF_INET;
	in->sin_port = htons(40000);
	to->sin_port = htons(10809);
	if (destroy)
		return sock_destroy(&local, &peer, err);
	rc = sock_find(&local, &peer);
	return rc < 0 ? error_set(err, ERROR_OTHER, -rc, "no such socket") : rc;
}

/* The rest of a command says how. */
static uint8_t kind_of(uint8_t what)
{
	return (what & 15) % ASK_KINDS;
}

static int ask(struct nbd_genl *genl, uint8_t what, struct error *err)
{
	int rc = 0;

	switch (kind_of(what)) {
	case ASK_CONNECT: return connect_device(genl, what & 0x80, err);
	case ASK_RECONFIGURE: return reconfigure(genl, what >> 4, err);
	case ASK_DISCONNECT:
		return what & 0x80 ? nbd_genl_disconnect_own(genl, INDEX, BACKEND, err) :
				     nbd_genl_disconnect(genl, INDEX, err);
	case ASK_ON_CLOSE:
		nbd_genl_disconnect_on_close(genl, INDEX, BACKEND, what & 0x80);
		return 0;
	case ASK_NOTICES:
		nl_socket_disable_seq_check(genl->sock);
		rc = nbd_genl_read_notices(genl, INDEX);
		FUZZ_CHECK(kernel.raw || rc <= kernel.notices);
		return 0;
	case ASK_FAMILY: return open_device(false, err);
	case ASK_GROUP: return open_device(true, err);
	case ASK_ADOPT: return adopt(err);
	case ASK_FIND: return ask_diag(false, err);
	default: return ask_diag(true, err);
	}
}

static void begin(struct fuzz_input *input, uint8_t owner)
{
	kernel.input = *input;
	kernel.seq = kernel.pid = 0;
	kernel.size = 0;
	kernel.acks = kernel.notices = kernel.indices = 0;
	kernel.raw = false;
	kernel.owner = owner;
}

/* Nothing is sent to a device that is not ours, and of none that ceased to be is it said that it
 * was done. */
static void check_owner(uint8_t what, int rc)
{
	bool must_be_ours = kind_of(what) == ASK_RECONFIGURE ||
		(kind_of(what) == ASK_DISCONNECT && what & 0x80);

	if (must_be_ours && kernel.owner & LOST_BEFORE)
		FUZZ_CHECK(rc && kernel.requests == 0);
	if (kind_of(what) == ASK_RECONFIGURE && kernel.owner & LOST_MEANWHILE)
		FUZZ_CHECK(rc);
}

static void ask_and_check(struct nbd_genl *genl, uint8_t what)
{
	struct error err;
	int rc;

	kernel.requests = 0;
	fuzz_soil_error(&err);
	rc = ask(genl, what, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	else if (kind_of(what) <= ASK_DISCONNECT)
		FUZZ_CHECK(kernel.acks > 0 || kernel.raw);
	check_owner(what, rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t count = fuzz_u8(&input) & 3, owner = fuzz_u8(&input), commands[4];
	struct nbd_genl genl = {.sock = nl_socket_alloc(), .family = FAMILY};

	FUZZ_CHECK(genl.sock && genl_connect(genl.sock) == 0);
	for (uint8_t i = 0; i <= count; i++)
		commands[i] = fuzz_u8(&input);
	begin(&input, owner);
	for (uint8_t i = 0; i <= count; i++)
		ask_and_check(&genl, commands[i]);
	nl_socket_free(genl.sock);
	return 0;
}
