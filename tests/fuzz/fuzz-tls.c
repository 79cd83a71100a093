/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a TLS session of which the server decides every step: GnuTLS's answers are the
 * input's, with the handshake messages that it hands on. What GnuTLS does with bytes is its own
 * project's to fuzz; certificates have a target of their own. */
#include "base/transport.h"
#include "fuzz.h"
#include "tls/credentials-struct.h"
#include "tls/credentials.h"
#include "tls/gnutls-library.h"
#include "tls/ktls.h"
#include "tls/session.h"
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fuzz_input input;
static gnutls_handshake_hook_func hook;
static gnutls_certificate_verify_function *verify;

/* --- GnuTLS */

/* What the session would say of itself: version, cipher, group, authentication, its state; and how
 * the kernel takes it over. */
static uint8_t negotiated[6];

/* 0, one of what GnuTLS returns to a client, or any other number below 0; the end of the input is
 * the end of the connection. */
static int outcome(void)
{
	static const int codes[] = {0, 0, GNUTLS_E_AGAIN, GNUTLS_E_INTERRUPTED,
		GNUTLS_E_WARNING_ALERT_RECEIVED, GNUTLS_E_FATAL_ALERT_RECEIVED,
		GNUTLS_E_PREMATURE_TERMINATION, GNUTLS_E_PULL_ERROR, GNUTLS_E_PUSH_ERROR,
		GNUTLS_E_REHANDSHAKE, GNUTLS_E_GOT_APPLICATION_DATA,
		GNUTLS_E_UNSUPPORTED_VERSION_PACKET, GNUTLS_E_UNEXPECTED_PACKET,
		GNUTLS_E_UNEXPECTED_PACKET_LENGTH, GNUTLS_E_INSUFFICIENT_CREDENTIALS,
		GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE, GNUTLS_E_PKCS11_ERROR,
		GNUTLS_E_PKCS11_REQUESTED_OBJECT_NOT_AVAILBLE, GNUTLS_E_CERTIFICATE_ERROR,
		GNUTLS_E_DECRYPTION_FAILED};
	uint8_t which = fuzz_u8(&input);

	if (!input.left)
		return GNUTLS_E_PREMATURE_TERMINATION;
	errno = which & 0x80 ? ECONNRESET : 0;
	which &= 0x7f;
	return which < sizeof(codes) / sizeof(codes[0]) ? codes[which] : -(int)fuzz_u16(&input);
}

/* One handshake message, exactly as long as it is, so that ASan sees a read behind it. */
static void hand_on(gnutls_session_t session, uint8_t how)
{
	uint8_t type = fuzz_u8(&input);
	unsigned size = fuzz_u8(&input);
	gnutls_datum_t message = {malloc(size ? size : 1), size};

	FUZZ_CHECK(message.data);
	fuzz_bytes(&input, message.data, size);
	if (!(how & 1))
		type = how & 2 ? GNUTLS_HANDSHAKE_SERVER_HELLO :
				 GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS;
	hook(session, type, GNUTLS_HOOK_POST, !(how & 4), &message);
	free(message.data);
}

static int fake_handshake(gnutls_session_t session)
{
	uint8_t messages = fuzz_u8(&input) & 3;

	for (uint8_t i = 0; i < messages; i++) {
		uint8_t how = fuzz_u8(&input);

		hand_on(session, how);
		if (how & 8 && verify && verify(session))
			return GNUTLS_E_CERTIFICATE_ERROR;
	}
	return outcome();
}

static void fake_handshake_set_hook_function(
	gnutls_session_t session, unsigned type, int when, gnutls_handshake_hook_func function)
{
	(void)session;
	FUZZ_CHECK(type == GNUTLS_HANDSHAKE_ANY && when == GNUTLS_HOOK_POST);
	hook = function;
}

static void fake_session_set_verify_function(
	gnutls_session_t session, gnutls_certificate_verify_function *function)
{
	(void)session;
	verify = function;
}

static const gnutls_datum_t *fake_certificate_get_peers(gnutls_session_t session, unsigned *count)
{
	(void)session;
	*count = 0;
	return NULL;
}

static ssize_t fake_record_recv(gnutls_session_t session, void *data, size_t size)
{
	int rc = outcome();
	size_t n = rc ? 0 : fuzz_u8(&input);

	(void)session;
	n = n < size ? n : size;
	fuzz_bytes(&input, data, n);
	return rc ? rc : (ssize_t)n;
}

static ssize_t fake_record_send(gnutls_session_t session, const void *data, size_t size)
{
	int rc = outcome();

	(void)session;
	(void)data;
	return rc ? rc : (ssize_t)size;
}

static size_t fake_record_check_pending(gnutls_session_t session)
{
	(void)session;
	return negotiated[4] & 1;
}

static int fake_record_get_direction(gnutls_session_t session)
{
	(void)session;
	return negotiated[4] >> 1 & 1;
}

static gnutls_alert_description_t fake_alert_get(gnutls_session_t session)
{
	(void)session;
	return (gnutls_alert_description_t)fuzz_u8(&input);
}

static int fake_alert_send(
	gnutls_session_t session, gnutls_alert_level_t level, gnutls_alert_description_t alert)
{
	(void)session;
	(void)level;
	(void)alert;
	return 0;
}

static int fake_alert_send_appropriate(gnutls_session_t session, int error)
{
	(void)session;
	return error;
}

static unsigned fake_certificate_client_get_request_status(gnutls_session_t session)
{
	(void)session;
	return negotiated[4] >> 2 & 1;
}

static gnutls_protocol_t fake_protocol_get_version(gnutls_session_t session)
{
	static const gnutls_protocol_t versions[] = {GNUTLS_TLS1_3, GNUTLS_TLS1_2, GNUTLS_TLS1_1,
		GNUTLS_SSL3, GNUTLS_VERSION_UNKNOWN, GNUTLS_DTLS1_2};

	(void)session;
	return versions[negotiated[0] % (sizeof(versions) / sizeof(versions[0]))];
}

static gnutls_cipher_algorithm_t fake_cipher_get(gnutls_session_t session)
{
	(void)session;
	return (gnutls_cipher_algorithm_t)negotiated[1];
}

static gnutls_group_t fake_group_get(gnutls_session_t session)
{
	(void)session;
	return (gnutls_group_t)negotiated[2];
}

static gnutls_credentials_type_t fake_auth_get_type(gnutls_session_t session)
{
	(void)session;
	return negotiated[3] & 1 ? GNUTLS_CRD_CERTIFICATE : GNUTLS_CRD_PSK;
}

enum {
	KERNEL_HAS_NO_TLS = 1,
	KERNEL_REFUSES_KEYS = 2,
	KERNEL_REFUSES_LIMIT = 4,
	KEYS_ARE_SECRET = 8, /* and GnuTLS does not give them */
	IV_IS_SHORT = 16,    /* as in TLS 1.2 with AES-GCM */
	KEY_IS_SHORT = 32,
};

static int fake_record_get_state(gnutls_session_t session, unsigned read, gnutls_datum_t *mac,
	gnutls_datum_t *iv, gnutls_datum_t *key, unsigned char number[8])
{
	static unsigned char bytes[64];
	unsigned size = (unsigned)gnutls_cipher_get_key_size(negotiated[1]);

	(void)session;
	(void)read;
	*mac = (gnutls_datum_t){bytes, 0};
	*iv = (gnutls_datum_t){bytes, negotiated[5] & IV_IS_SHORT ? 4 : 12};
	*key = (gnutls_datum_t){bytes, negotiated[5] & KEY_IS_SHORT ? size - 1 : size};
	memset(number, 0, 8);
	return negotiated[5] & KEYS_ARE_SECRET ? GNUTLS_E_INVALID_REQUEST : 0;
}

/* --- the kernel */

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);

static bool has_ulp, is_armed[TLS_RX + 1];

static int refuse(int errno_value)
{
	errno = errno_value;
	return -1;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	const struct tls_crypto_info *info = value;

	if (level == IPPROTO_TCP && name == 31 /* TCP_ULP */) {
		has_ulp = !(negotiated[5] & KERNEL_HAS_NO_TLS);
		return has_ulp ? 0 : refuse(ENOENT);
	}
	if (level != 282 /* SOL_TLS */)
		return __real_setsockopt(fd, level, name, value, size);
	FUZZ_CHECK(has_ulp);
	if (name != TLS_TX && name != TLS_RX)
		return negotiated[5] & KERNEL_REFUSES_LIMIT ? refuse(ENOPROTOOPT) : 0;
	FUZZ_CHECK(ktls_cipher_find(info->cipher_type)->info_size == size);
	FUZZ_CHECK(info->version == (negotiated[0] % 6 ? TLS_1_2_VERSION : TLS_1_3_VERSION));
	if (name == TLS_RX && negotiated[5] & KERNEL_REFUSES_KEYS)
		return refuse(EINVAL);
	is_armed[name] = true;
	return 0;
}

/* --- */

static struct tls_credentials *shared_key, *pinned;
static int ready; /* a socket that neither reading nor writing has to wait for */

/* In the place of what GnuTLS does. */
static void put_fakes(void)
{
	libgnutls.handshake = fake_handshake;
	libgnutls.handshake_set_hook_function = fake_handshake_set_hook_function;
	libgnutls.session_set_verify_function = fake_session_set_verify_function;
	libgnutls.certificate_get_peers = fake_certificate_get_peers;
	libgnutls.record_recv = fake_record_recv;
	libgnutls.record_send = fake_record_send;
	libgnutls.record_check_pending = fake_record_check_pending;
	libgnutls.record_get_direction = fake_record_get_direction;
	libgnutls.alert_get = fake_alert_get;
	libgnutls.alert_send = fake_alert_send;
	libgnutls.alert_send_appropriate = fake_alert_send_appropriate;
	libgnutls.certificate_client_get_request_status =
		fake_certificate_client_get_request_status;
	libgnutls.protocol_get_version = fake_protocol_get_version;
	libgnutls.cipher_get = fake_cipher_get;
	libgnutls.group_get = fake_group_get;
	libgnutls.auth_get_type = fake_auth_get_type;
	libgnutls.record_get_state = fake_record_get_state;
}

static struct tls_credentials *load_credentials(const char *psk_file, const char *pin)
{
	struct tls_config config = {.wanted = true, .min_version = TLS_VERSION_1_2};
	struct tls_credentials *creds = NULL;

	strcpy(config.psk_file, psk_file);
	strcpy(config.pin, pin);
	FUZZ_CHECK(tls_credentials_load(&creds, &config, NULL) == 0);
	return creds;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char key[] = "me:00112233445566778899aabbccddeeff\n";
	struct fuzz_file file;
	int pair[2];

	(void)argc;
	(void)argv;
	fuzz_file_open(&file);
	fuzz_file_put(&file, key, sizeof(key) - 1);
	fchmod(file.fd, 0600);
	shared_key = load_credentials(file.path, "");
	pinned = load_credentials("",
		"sha256:00112233445566778899aabbccddeeff"
		"00112233445566778899aabbccddeeff");
	put_fakes();
	close(file.fd);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_CHECK(write(pair[1], "x", 1) == 1);
	ready = pair[0];
	return 0;
}

static void check_info(const struct tls_info *info, const struct tls_credentials *creds)
{
	FUZZ_CHECK(info->version == TLS_VERSION_1_2 || info->version == TLS_VERSION_1_3);
	FUZZ_CHECK(info->version >= creds->min_version);
	FUZZ_CHECK(ktls_cipher_find(info->kernel_cipher));
	/* No certificate is ever shown here. */
	FUZZ_CHECK(creds == shared_key && strcmp(info->authentication, "PSK") == 0);
	fuzz_check_shown(info->group, sizeof(info->group));
}

/* Not a byte may be left behind when the kernel takes over, which is in both directions or has
 * failed. */
static void take_over(struct tls_session *session, struct transport *transport)
{
	struct error err;
	int rc;

	has_ulp = is_armed[TLS_TX] = is_armed[TLS_RX] = false;
	fuzz_soil_error(&err);
	rc = tls_session_arm_ktls(session, transport, &err);
	if (rc)
		fuzz_check_error(rc, &err);
	else
		FUZZ_CHECK(is_armed[TLS_TX] && is_armed[TLS_RX]);
	if (transport_pending(transport))
		FUZZ_CHECK(rc && !has_ulp);
}

/* What is read and written within it. */
static void talk(struct tls_session *session, struct transport *transport)
{
	uint8_t bytes[64];
	struct error err;
	int rc = 0;

	FUZZ_CHECK(tls_session_payload_bytes(session) <= KTLS_PAYLOAD_BYTES);
	while (!rc && input.left) {
		uint8_t size = 1 + (fuzz_u8(&input) & 63), how = fuzz_u8(&input);

		transport->waiting_for = "something";
		fuzz_soil_error(&err);
		rc = how & 1 ? transport_read(transport, bytes, size, &err) :
			       transport_write(transport, bytes, size, &err);
	}
	if (rc)
		fuzz_check_error(rc, &err);
	take_over(session, transport);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_session *session = NULL;
	struct transport transport;
	struct tls_info info;
	struct error err;
	struct tls_credentials *creds;
	uint8_t how;
	int rc;

	input = (struct fuzz_input){data, size};
	how = fuzz_u8(&input);
	creds = how & 1 ? pinned : shared_key;
	creds->has_client_cert = how & 2;
	creds->min_version = how & 4 ? TLS_VERSION_1_3 : TLS_VERSION_1_2;
	fuzz_bytes(&input, negotiated, sizeof(negotiated));
	hook = NULL;
	verify = NULL;
	transport_init_plain(&transport, ready, INT64_MAX);
	fuzz_soil_error(&err);
	rc = tls_session_start(&session, &transport, creds, "storage.example.com", &info, &err);
	if (rc) {
		fuzz_check_error(rc, &err);
		return 0;
	}
	check_info(&info, creds);
	talk(session, &transport);
	tls_session_free(session);
	return 0;
}
