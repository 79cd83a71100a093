/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a negotiator claims of its connection and can be looked up is looked up: TLS version and
 * cipher in the kernel, the address at the socket, what proves the server in the credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>
#include "base/passed-fd.h"
#include "fake-negotiator.h"
#include "make-certificate.h"

/* What this kernel would say of a socket's TLS; version 0: it has none. */
static struct tls_crypto_info kernel_tls[2];

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	const struct tls_crypto_info *state = &kernel_tls[name == TLS_RX];

	if (level == IPPROTO_TCP && name == TCP_ULP) {
		*len = kernel_tls[0].version || kernel_tls[1].version ? sizeof("tls") : 0;
		return 0;
	}
	if (level != 282 /* SOL_TLS */)
		return __real_getsockopt(fd, level, name, value, len);
	if (!state->version) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	assert_int_equal(*len, sizeof(*state)); /* and no key is asked for */
	memcpy(value, state, sizeof(*state));
	return 0;
}

struct offer {
	struct fake *fake;
	struct tls_credentials *creds;
	int listener;
	bool without_socket;
	int domain, kind, protocol; /* of the socket */
	bool is_lonely;             /* a Unix socket without another end */
	uint16_t port;
	char address[64];
};

static void send_it_with_the_socket(int channel, const void *argument)
{
	const struct offer *offer = argument;
	struct negotiation_message message = offer->fake->message;
	struct iovec iov = {&message, sizeof(message)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct passed_fd room;
	int fd = -1, pair[2] = {-1, -1};
	struct sockaddr_in server = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(offer->port)};

	if (offer->domain == AF_UNIX && !offer->is_lonely) {
		if (socketpair(AF_UNIX, offer->kind | SOCK_CLOEXEC, 0, pair) < 0)
			_exit(1);
		fd = pair[0];
	} else {
		fd = socket(offer->domain, offer->kind | SOCK_CLOEXEC, offer->protocol);
		if (offer->domain == AF_INET && offer->port &&
			connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
			_exit(1);
	}
	passed_fd_add(&msg, &room, offer->without_socket ? -1 : fd);
	sendmsg(channel, &msg, 0);
}

/* An offer of TLS 1.3 with AES-128-GCM over a socket that has just that, for the test to change. */
static struct offer offer_begin(void)
{
	struct offer offer = {
		.creds = fake_credentials(0, ""), .domain = AF_INET, .kind = SOCK_STREAM};
	struct tls_info *tls;

	fake_setup((void **)&offer.fake);
	offer.listener = fake_silent_server(&offer.fake->endpoint);
	offer.port = offer.fake->endpoint.hosts[0].port;
	snprintf(offer.address, sizeof(offer.address), "127.0.0.1:%u", offer.port);
	offer.fake->negotiation.job.kind = NEGOTIATION_ATTACH;
	offer.fake->negotiation.job.tls = offer.creds;
	offer.fake->message.type = NEGOTIATION_MESSAGE_RESULT;
	tls = &offer.fake->message.result.tls;
	tls->version = TLS_VERSION_1_3;
	tls->kernel_cipher = TLS_CIPHER_AES_GCM_128;
	strcpy(tls->cipher, "AES-128-GCM");
	strcpy(tls->authentication, "PSK");
	strcpy(offer.fake->message.result.address, offer.address);
	for (int i = 0; i < 2; i++)
		kernel_tls[i] = (struct tls_crypto_info){TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128};
	return offer;
}

static int offer_make(struct offer *offer)
{
	struct child_options options = {.timeout_ms = 5000};
	int rc;

	assert_int_equal(child_start(&offer->fake->negotiation.child, &options,
				 send_it_with_the_socket, offer, &offer->fake->err),
		0);
	fake_drive(offer->fake, &rc);
	return rc;
}

static void offer_end(struct offer *offer)
{
	if (offer->fake->result.fd > 0)
		close(offer->fake->result.fd);
	close(offer->listener);
	tls_credentials_free(offer->creds);
	fake_teardown((void **)&offer->fake);
	memset(kernel_tls, 0, sizeof(kernel_tls));
}

static void expect_refused(struct offer *offer)
{
	assert_int_equal(offer_make(offer), -EPROTO);
	assert_int_equal(offer->fake->err.kind, ERROR_TLS);
	assert_non_null(strstr(offer->fake->err.text, "does not hold together"));
	offer_end(offer);
}

/* "TLS 1.67", ChaCha20 where the kernel has AES-GCM (whose key has a limit), an address that was
 * not connected to, a certificate where there was none. */
static void what_can_be_looked_up_is_not_believed(void **state)
{
	struct offer offer = offer_begin();
	struct negotiation_result *claim = &offer.fake->message.result, *result;

	(void)state;
	claim->tls.version = 67;
	claim->tls.kernel_cipher = TLS_CIPHER_CHACHA20_POLY1305;
	strcpy(claim->tls.cipher, "CHACHA20-POLY1305");
	strcpy(claim->tls.authentication, "X.509");
	strcpy(claim->tls.peer_name, "CN=bank");
	strcpy(claim->tls.peer_pin, "sha256:00");
	claim->tls.peer_not_after = 1LL << 40;
	strcpy(claim->address, "192.0.2.1:10809");
	assert_int_equal(offer_make(&offer), 0);
	result = &offer.fake->result;
	assert_int_equal(result->tls.version, TLS_VERSION_1_3);
	assert_int_equal(result->tls.kernel_cipher, TLS_CIPHER_AES_GCM_128);
	assert_string_equal(result->tls.cipher, "AES-128-GCM");
	assert_string_equal(result->tls.authentication, "PSK");
	assert_string_equal(result->tls.peer_name, "");
	assert_string_equal(result->tls.peer_pin, "");
	assert_int_equal(result->tls.peer_not_after, 0);
	assert_string_equal(result->address, offer.address);
	offer_end(&offer);
}

static void a_socket_without_kernel_tls_is_refused(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	memset(kernel_tls, 0, sizeof(kernel_tls));
	expect_refused(&offer);
	/* and it is for that, not because there is a socket */
	offer = offer_begin();
	memset(kernel_tls, 0, sizeof(kernel_tls));
	offer.fake->negotiation.job.tls = NULL;
	offer.fake->message.result.tls.version = 0;
	assert_int_equal(offer_make(&offer), 0);
	offer_end(&offer);
}

static void kernel_tls_that_was_not_asked_for_is_refused(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	offer.fake->negotiation.job.tls = NULL;
	offer.fake->message.result.tls.version = 0;
	expect_refused(&offer);
}

static void kernel_tls_in_one_direction_is_none(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	kernel_tls[1].version = 0;
	expect_refused(&offer);
	offer = offer_begin();
	kernel_tls[1].version = TLS_1_2_VERSION;
	expect_refused(&offer);
	offer = offer_begin();
	kernel_tls[0].cipher_type = TLS_CIPHER_AES_GCM_256;
	expect_refused(&offer);
}

static void tls_below_the_floor_is_refused(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	for (int i = 0; i < 2; i++)
		kernel_tls[i].version = TLS_1_2_VERSION;
	expect_refused(&offer);
	offer = offer_begin();
	tls_credentials_free(offer.creds);
	offer.fake->negotiation.job.tls = offer.creds = fake_credentials(TLS_VERSION_1_2, "");
	for (int i = 0; i < 2; i++)
		kernel_tls[i].version = TLS_1_2_VERSION;
	assert_int_equal(offer_make(&offer), 0);
	assert_int_equal(offer.fake->result.tls.version, TLS_VERSION_1_2);
	offer_end(&offer);
}

static void a_cipher_that_the_priority_does_not_have_is_refused(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	tls_credentials_free(offer.creds);
	offer.fake->negotiation.job.tls = offer.creds =
		fake_credentials(0, "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305");
	expect_refused(&offer);
}

static struct offer offer_of(int domain, int kind, int protocol, bool asked_for_unix)
{
	struct offer offer = offer_begin();

	offer.domain = domain;
	offer.kind = kind;
	offer.protocol = protocol;
	if (asked_for_unix) {
		strcpy(offer.fake->endpoint.socket_path, "/run/nbd.sock");
		offer.fake->endpoint.host_count = 0;
	}
	return offer;
}

static void a_socket_that_is_not_connected_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct offer offer =
			offer_of(i ? AF_UNIX : AF_INET, SOCK_STREAM, 0, /* asked_for_unix */ i);

		offer.port = 0;
		offer.is_lonely = true;
		assert_int_equal(offer_make(&offer), -ENOTCONN);
		assert_int_equal(offer.fake->err.kind, ERROR_UNREACHABLE);
		assert_true(offer.fake->err.retry);
		offer_end(&offer);
	}
}

/* A kernel before 6.12.53 gives any socket to the driver (CVE-2025-40080). */
static void a_socket_that_is_no_connection_is_refused(void **state)
{
	static const struct {
		int domain, kind, protocol;
		bool asked_for_unix, may_be_missing; /* in this kernel, or not for this user */
	} sockets[] = {
		{AF_UNIX, SOCK_DGRAM, 0, true, false},
		{AF_UNIX, SOCK_SEQPACKET, 0, true, false},
		{AF_INET, SOCK_STREAM, 0, true, false},
		{AF_UNIX, SOCK_STREAM, 0, false, false},
		{AF_INET, SOCK_DGRAM, 0, false, false},
		{AF_INET, SOCK_RAW, IPPROTO_TCP, false, true},
		{AF_INET, SOCK_STREAM, 262 /* MPTCP */, false, true},
	};
	struct offer offer;

	(void)state;
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		int fd = socket(sockets[i].domain, sockets[i].kind, sockets[i].protocol);

		if (fd < 0 && sockets[i].may_be_missing)
			continue;
		assert_true(fd >= 0);
		close(fd);
		offer = offer_of(sockets[i].domain, sockets[i].kind, sockets[i].protocol,
			sockets[i].asked_for_unix);
		expect_refused(&offer);
	}
	/* and it is for that, not because it is a Unix socket */
	offer = offer_of(AF_UNIX, SOCK_STREAM, 0, true);
	assert_int_equal(offer_make(&offer), 0);
	offer_end(&offer);
}

static void a_connection_to_another_host_is_refused(void **state)
{
	struct offer offer = offer_begin();

	(void)state;
	strcpy(offer.fake->endpoint.hosts[0].name, "127.0.0.2");
	expect_refused(&offer);
	offer = offer_begin();
	strcpy(offer.fake->endpoint.hosts[0].name, "::1");
	expect_refused(&offer);
	offer = offer_begin();
	offer.fake->endpoint.hosts[0].port++;
	expect_refused(&offer);
	/* where a name leads to is not known here */
	offer = offer_begin();
	strcpy(offer.fake->endpoint.hosts[0].name, "storage.example.com");
	assert_int_equal(offer_make(&offer), 0);
	offer_end(&offer);
}

/* Without a socket there is the claim alone, and even that may be impossible. */
static void an_impossible_claim_is_refused(void **state)
{
	static const struct {
		int version, kernel_cipher;
		bool is_taken;
	} claims[] = {{TLS_VERSION_1_3, TLS_CIPHER_AES_GCM_256, true},
		{67, TLS_CIPHER_AES_GCM_256, false},
		{TLS_VERSION_1_2, TLS_CIPHER_AES_GCM_256, false}, {TLS_VERSION_1_3, 0, false},
		{TLS_VERSION_1_3, TLS_CIPHER_AES_CCM_128, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct offer offer = offer_begin();

		offer.fake->negotiation.job.kind = NEGOTIATION_INFO;
		offer.fake->message.result.tls.version = claims[i].version;
		offer.fake->message.result.tls.kernel_cipher = claims[i].kernel_cipher;
		strcpy(offer.fake->message.result.tls.cipher, "NULL");
		offer.without_socket = true;
		if (!claims[i].is_taken) {
			assert_true(offer_make(&offer) < 0);
		} else {
			assert_int_equal(offer_make(&offer), 0);
			assert_string_equal(offer.fake->result.tls.cipher, "AES-256-GCM");
		}
		offer_end(&offer);
	}
}

static void a_server_that_was_pinned_is_no_other(void **state)
{
	static const char pin[] =
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct tls_config config = {.wanted = true};
	struct error err;

	(void)state;
	strcpy(config.pin, pin);
	for (int i = 0; i < 2; i++) {
		struct offer offer = offer_begin();

		tls_credentials_free(offer.creds);
		assert_int_equal(tls_credentials_load(&offer.creds, &config, &err), 0);
		offer.fake->negotiation.job.tls = offer.creds;
		strcpy(offer.fake->message.result.tls.peer_pin, pin);
		offer.fake->message.result.tls.peer_pin[7] += (char)i;
		if (i) {
			expect_refused(&offer);
			continue;
		}
		assert_int_equal(offer_make(&offer), 0);
		assert_string_equal(offer.fake->result.tls.authentication, "pin");
		assert_string_equal(offer.fake->result.tls.peer_pin, pin);
		offer_end(&offer);
	}
}

static bool has_validity(const struct tls_validity *validity)
{
	return validity->until || validity->warn_from;
}

/* A lie about an end that is far away would keep a warning of ours from being said. */
static void nothing_ends_that_the_session_cannot_have(void **state)
{
	static const char pin[] =
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		bool has_tls, has_psk;
		const char *pin;
		bool has_ca, has_dir;
		bool chain, own, revocation; /* may be claimed */
	} kinds[] = {
		{false, false, "", false, false, false, false, false},
		{true, true, "", false, false, false, false, false},
		{true, false, pin, false, false, false, false, false},
		{true, false, "", true, false, true, false, false},
		{true, false, pin, true, false, true, false, false},
		{true, false, "", false, true, true, true, true},
	};
	struct made authority = made_authority("the authority", NULL);
	char folder[] = "/tmp/test-negotiation-claims.XXXXXX", ca[80];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(ca, sizeof(ca), "%s/ca-cert.pem", folder);
	made_write(&authority, ca, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct offer offer = offer_begin();
		struct tls_info *claim = &offer.fake->message.result.tls, *result;
		struct tls_config config = {.wanted = true};
		struct error err;

		snprintf(config.pin, sizeof(config.pin), "%s", kinds[i].pin);
		snprintf(config.ca_file, sizeof(config.ca_file), "%s", kinds[i].has_ca ? ca : "");
		snprintf(config.certificates_dir, sizeof(config.certificates_dir), "%s",
			kinds[i].has_dir ? folder : "");
		if (!kinds[i].has_psk) {
			tls_credentials_free(offer.creds);
			offer.creds = NULL;
		}
		if (kinds[i].has_tls && !offer.creds &&
			tls_credentials_load(&offer.creds, &config, &err))
			fail_msg("%s", err.text);
		offer.fake->negotiation.job.tls = offer.creds;
		if (!kinds[i].has_tls) {
			claim->version = 0;
			memset(kernel_tls, 0, sizeof(kernel_tls));
		}
		strcpy(claim->peer_name, "CN=bank");
		strcpy(claim->peer_pin, pin);
		claim->chain = claim->own = claim->revocation =
			(struct tls_validity){1LL << 40, 1LL << 39};
		claim->peer_not_after = 1LL << 40;
		assert_int_equal(offer_make(&offer), 0);
		result = &offer.fake->result.tls;
		assert_int_equal(has_validity(&result->chain), kinds[i].chain);
		assert_int_equal(has_validity(&result->own), kinds[i].own);
		assert_int_equal(has_validity(&result->revocation), kinds[i].revocation);
		assert_int_equal(
			result->peer_not_after != 0, kinds[i].has_tls && !kinds[i].has_psk);
		assert_int_equal(*result->peer_name != 0, kinds[i].has_tls && !kinds[i].has_psk);
		offer_end(&offer);
	}
	made_free(&authority);
	unlink(ca);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_can_be_looked_up_is_not_believed),
		cmocka_unit_test(a_socket_without_kernel_tls_is_refused),
		cmocka_unit_test(kernel_tls_that_was_not_asked_for_is_refused),
		cmocka_unit_test(kernel_tls_in_one_direction_is_none),
		cmocka_unit_test(tls_below_the_floor_is_refused),
		cmocka_unit_test(a_cipher_that_the_priority_does_not_have_is_refused),
		cmocka_unit_test(a_socket_that_is_not_connected_is_refused),
		cmocka_unit_test(a_socket_that_is_no_connection_is_refused),
		cmocka_unit_test(a_connection_to_another_host_is_refused),
		cmocka_unit_test(an_impossible_claim_is_refused),
		cmocka_unit_test(a_server_that_was_pinned_is_no_other),
		cmocka_unit_test(nothing_ends_that_the_session_cannot_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
