/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers and negotiators for the tests of a negotiation: a server that says nothing, and a child
 * in place of the negotiator that does what the test wants. */
#ifndef NBDA_TESTS_FAKE_NEGOTIATOR
#define NBDA_TESTS_FAKE_NEGOTIATOR
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "child/negotiation.h"
#include "tls/credentials.h"

/* A server that accepts (the kernel does) and says nothing. */
static inline int fake_silent_server(struct endpoint *endpoint)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	memset(endpoint, 0, sizeof(*endpoint));
	strcpy(endpoint->hosts[0].name, "127.0.0.1");
	endpoint->hosts[0].port = ntohs(address.sin_port);
	endpoint->host_count = 1;
	return fd;
}

/* A pre-shared key, and TLS 1.3 at least unless MIN_VERSION says less. */
static inline struct tls_credentials *fake_credentials(
	enum tls_version min_version, const char *priority)
{
	struct tls_config config = {.wanted = true, .min_version = min_version};
	struct tls_credentials *creds = NULL;
	char path[] = "/tmp/test-negotiation-XXXXXX";
	int fd = mkstemp(path);
	struct error err;

	assert_int_equal(dprintf(fd, "me:00112233445566778899aabbccddeeff\n"), 36);
	close(fd);
	strcpy(config.psk_file, path);
	strcpy(config.priority, priority);
	if (tls_credentials_load(&creds, &config, &err))
		fail_msg("%s", err.text);
	unlink(path);
	return creds;
}

/* The negotiator is a bad one, which sends MESSAGE, or does what it is told to. */
struct fake {
	struct negotiation negotiation;
	struct negotiation_message message;
	struct negotiation_result result;
	struct error err;
	struct endpoint endpoint;
	size_t size;
	void (*act)(int channel);
};

static inline int fake_setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	fake->negotiation.result.fd = -1;
	fake->negotiation.job.kind = NEGOTIATION_INFO;
	fake->negotiation.job.endpoint = &fake->endpoint;
	fake->endpoint.host_count = 2;
	*state = fake;
	return 0;
}

static inline int fake_teardown(void **state)
{
	struct fake *fake = *state;

	negotiation_cancel(&fake->negotiation);
	free(fake);
	return 0;
}

static inline void fake_start(struct fake *fake, child_function *function, int timeout_ms)
{
	struct child_options options = {
		.keeps_stdio = true, .dies_with_parent = true, .timeout_ms = timeout_ms};

	assert_int_equal(
		child_start(&fake->negotiation.child, &options, function, fake, &fake->err), 0);
}

/* As the supervisor's loop does it. Returns the longest time that it was kept. */
static inline int64_t fake_drive(struct fake *fake, int *rc)
{
	int64_t longest_ms = 0;

	do {
		struct pollfd pfd = {
			.fd = negotiation_poll_fd(&fake->negotiation), .events = POLLIN};
		int64_t left_ms = negotiation_deadline_ms(&fake->negotiation) - monotonic_now_ms(),
			began_ms;

		poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0);
		began_ms = monotonic_now_ms();
		*rc = negotiation_step(&fake->negotiation, &fake->result, &fake->err);
		if (monotonic_now_ms() - began_ms > longest_ms)
			longest_ms = monotonic_now_ms() - began_ms;
	} while (*rc == 1);
	return longest_ms;
}

#endif
