/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/hello.h"
#include "base/wire.h"
#include "tls/names.h"
#include <string.h>

#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_MAX_BYTES (16384 + 2048)
#define MESSAGE_CLIENT_HELLO 1
#define MESSAGE_SERVER_HELLO 2
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_GROUPS 10
#define EXTENSION_POINT_FORMATS 11
#define EXTENSION_SIGNATURES 13
#define EXTENSION_EXTENDED_MASTER_SECRET 23
#define EXTENSION_RENEGOTIATION_INFO 0xff01

#define WEAK HELLO_SUITES_WEAK
#define STATIC HELLO_SUITES_STATIC
#define FORWARD HELLO_SUITES_FORWARD_SECRET

static const struct {
	uint16_t number;
	uint8_t class;
	const char *name;
} suites[] = {
	{0xc02b, FORWARD, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
	{0xc02c, FORWARD, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
	{0xc02f, FORWARD, "ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0xc030, FORWARD, "ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0xcca9, FORWARD, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xcca8, FORWARD, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0x009e, FORWARD, "DHE_RSA_WITH_AES_128_GCM_SHA256"},
	{0x009f, FORWARD, "DHE_RSA_WITH_AES_256_GCM_SHA384"},
	{0xccaa, FORWARD, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
	{0xc009, FORWARD, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
	{0xc00a, FORWARD, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
	{0xc013, FORWARD, "ECDHE_RSA_WITH_AES_128_CBC_SHA"},
	{0xc014, FORWARD, "ECDHE_RSA_WITH_AES_256_CBC_SHA"},
	{0xc023, FORWARD, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"},
	{0xc027, FORWARD, "ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0x0033, FORWARD, "DHE_RSA_WITH_AES_128_CBC_SHA"},
	{0x0039, FORWARD, "DHE_RSA_WITH_AES_256_CBC_SHA"},
	{0x0067, FORWARD, "DHE_RSA_WITH_AES_128_CBC_SHA256"},
	{0xd001, FORWARD, "ECDHE_PSK_WITH_AES_128_GCM_SHA256"},
	{0xccac, FORWARD, "ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"},
	{0xc035, FORWARD, "ECDHE_PSK_WITH_AES_128_CBC_SHA"},
	{0xc036, FORWARD, "ECDHE_PSK_WITH_AES_256_CBC_SHA"},
	{0xc037, FORWARD, "ECDHE_PSK_WITH_AES_128_CBC_SHA256"},
	{0x00aa, FORWARD, "DHE_PSK_WITH_AES_128_GCM_SHA256"},
	{0x00ab, FORWARD, "DHE_PSK_WITH_AES_256_GCM_SHA384"},
	{0xccad, FORWARD, "DHE_PSK_WITH_CHACHA20_POLY1305_SHA256"},
	{0x0090, FORWARD, "DHE_PSK_WITH_AES_128_CBC_SHA"},
	{0x0091, FORWARD, "DHE_PSK_WITH_AES_256_CBC_SHA"},
	{0x00b2, FORWARD, "DHE_PSK_WITH_AES_128_CBC_SHA256"},

	{0x009c, STATIC, "RSA_WITH_AES_128_GCM_SHA256"},
	{0x009d, STATIC, "RSA_WITH_AES_256_GCM_SHA384"},
	{0xc09c, STATIC, "RSA_WITH_AES_128_CCM"},
	{0xc09d, STATIC, "RSA_WITH_AES_256_CCM"},
	{0x002f, STATIC, "RSA_WITH_AES_128_CBC_SHA"},
	{0x0035, STATIC, "RSA_WITH_AES_256_CBC_SHA"},
	{0x003c, STATIC, "RSA_WITH_AES_128_CBC_SHA256"},
	{0x003d, STATIC, "RSA_WITH_AES_256_CBC_SHA256"},
	{0x0041, STATIC, "RSA_WITH_CAMELLIA_128_CBC_SHA"},
	{0x0084, STATIC, "RSA_WITH_CAMELLIA_256_CBC_SHA"},
	{0x00ba, STATIC, "RSA_WITH_CAMELLIA_128_CBC_SHA256"},
	{0x00c0, STATIC, "RSA_WITH_CAMELLIA_256_CBC_SHA256"},
	{0xc07a, STATIC, "RSA_WITH_CAMELLIA_128_GCM_SHA256"},
	{0xc07b, STATIC, "RSA_WITH_CAMELLIA_256_GCM_SHA384"},
	{0xc050, STATIC, "RSA_WITH_ARIA_128_GCM_SHA256"},
	{0xc051, STATIC, "RSA_WITH_ARIA_256_GCM_SHA384"},
	{0xc0a0, STATIC, "RSA_WITH_AES_128_CCM_8"},
	{0xc0a1, STATIC, "RSA_WITH_AES_256_CCM_8"},
	{0x0096, STATIC, "RSA_WITH_SEED_CBC_SHA"},
	{0xc004, STATIC, "ECDH_ECDSA_WITH_AES_128_CBC_SHA"},
	{0xc005, STATIC, "ECDH_ECDSA_WITH_AES_256_CBC_SHA"},
	{0xc00e, STATIC, "ECDH_RSA_WITH_AES_128_CBC_SHA"},
	{0xc00f, STATIC, "ECDH_RSA_WITH_AES_256_CBC_SHA"},
	{0x00a8, STATIC, "PSK_WITH_AES_128_GCM_SHA256"},
	{0x00a9, STATIC, "PSK_WITH_AES_256_GCM_SHA384"},
	{0xccab, STATIC, "PSK_WITH_CHACHA20_POLY1305_SHA256"},
	{0x008c, STATIC, "PSK_WITH_AES_128_CBC_SHA"},
	{0x008d, STATIC, "PSK_WITH_AES_256_CBC_SHA"},
	{0x00ae, STATIC, "PSK_WITH_AES_128_CBC_SHA256"},
	{0x00af, STATIC, "PSK_WITH_AES_256_CBC_SHA384"},
	{0x00ac, STATIC, "RSA_PSK_WITH_AES_128_GCM_SHA256"},
	{0x00ad, STATIC, "RSA_PSK_WITH_AES_256_GCM_SHA384"},
	{0x0094, STATIC, "RSA_PSK_WITH_AES_128_CBC_SHA"},
	{0x0095, STATIC, "RSA_PSK_WITH_AES_256_CBC_SHA"},

	{0x0001, WEAK, "RSA_WITH_NULL_MD5"},
	{0x0002, WEAK, "RSA_WITH_NULL_SHA"},
	{0x003b, WEAK, "RSA_WITH_NULL_SHA256"},
	{0x0003, WEAK, "RSA_EXPORT_WITH_RC4_40_MD5"},
	{0x0004, WEAK, "RSA_WITH_RC4_128_MD5"},
	{0x0005, WEAK, "RSA_WITH_RC4_128_SHA"},
	{0x0006, WEAK, "RSA_EXPORT_WITH_RC2_CBC_40_MD5"},
	{0x0007, WEAK, "RSA_WITH_IDEA_CBC_SHA"},
	{0x0008, WEAK, "RSA_EXPORT_WITH_DES40_CBC_SHA"},
	{0x0009, WEAK, "RSA_WITH_DES_CBC_SHA"},
	{0x000a, WEAK, "RSA_WITH_3DES_EDE_CBC_SHA"},
	{0x0014, WEAK, "DHE_RSA_EXPORT_WITH_DES40_CBC_SHA"},
	{0x0015, WEAK, "DHE_RSA_WITH_DES_CBC_SHA"},
	{0x0016, WEAK, "DHE_RSA_WITH_3DES_EDE_CBC_SHA"},
	{0x0017, WEAK, "DH_anon_EXPORT_WITH_RC4_40_MD5"},
	{0x0018, WEAK, "DH_anon_WITH_RC4_128_MD5"},
	{0x0019, WEAK, "DH_anon_EXPORT_WITH_DES40_CBC_SHA"},
	{0x001a, WEAK, "DH_anon_WITH_DES_CBC_SHA"},
	{0x001b, WEAK, "DH_anon_WITH_3DES_EDE_CBC_SHA"},
	{0x0034, WEAK, "DH_anon_WITH_AES_128_CBC_SHA"},
	{0x003a, WEAK, "DH_anon_WITH_AES_256_CBC_SHA"},
	{0x006c, WEAK, "DH_anon_WITH_AES_128_CBC_SHA256"},
	{0x006d, WEAK, "DH_anon_WITH_AES_256_CBC_SHA256"},
	{0x00a6, WEAK, "DH_anon_WITH_AES_128_GCM_SHA256"},
	{0x00a7, WEAK, "DH_anon_WITH_AES_256_GCM_SHA384"},
	{0xc006, WEAK, "ECDHE_ECDSA_WITH_NULL_SHA"},
	{0xc007, WEAK, "ECDHE_ECDSA_WITH_RC4_128_SHA"},
	{0xc008, WEAK, "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"},
	{0xc010, WEAK, "ECDHE_RSA_WITH_NULL_SHA"},
	{0xc011, WEAK, "ECDHE_RSA_WITH_RC4_128_SHA"},
	{0xc012, WEAK, "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"},
	{0xc015, WEAK, "ECDH_anon_WITH_NULL_SHA"},
	{0xc016, WEAK, "ECDH_anon_WITH_RC4_128_SHA"},
	{0xc017, WEAK, "ECDH_anon_WITH_3DES_EDE_CBC_SHA"},
	{0xc018, WEAK, "ECDH_anon_WITH_AES_128_CBC_SHA"},
	{0xc019, WEAK, "ECDH_anon_WITH_AES_256_CBC_SHA"},
	{0x002c, WEAK, "PSK_WITH_NULL_SHA"},
	{0x002d, WEAK, "DHE_PSK_WITH_NULL_SHA"},
	{0x002e, WEAK, "RSA_PSK_WITH_NULL_SHA"},
	{0x00b0, WEAK, "PSK_WITH_NULL_SHA256"},
	{0x00b1, WEAK, "PSK_WITH_NULL_SHA384"},
	{0x00b4, WEAK, "DHE_PSK_WITH_NULL_SHA256"},
	{0x00b5, WEAK, "DHE_PSK_WITH_NULL_SHA384"},
	{0x008a, WEAK, "PSK_WITH_RC4_128_SHA"},
	{0x008b, WEAK, "PSK_WITH_3DES_EDE_CBC_SHA"},
	{0x008e, WEAK, "DHE_PSK_WITH_RC4_128_SHA"},
	{0x008f, WEAK, "DHE_PSK_WITH_3DES_EDE_CBC_SHA"},
	{0xc033, WEAK, "ECDHE_PSK_WITH_RC4_128_SHA"},
	{0xc034, WEAK, "ECDHE_PSK_WITH_3DES_EDE_CBC_SHA"},
	{0xc039, WEAK, "ECDHE_PSK_WITH_NULL_SHA"},
	{0xc03a, WEAK, "ECDHE_PSK_WITH_NULL_SHA256"},
	{0xc03b, WEAK, "ECDHE_PSK_WITH_NULL_SHA384"},
};

#define SUITE_COUNT (sizeof(suites) / sizeof(suites[0]))

const char *hello_suite_name(uint16_t suite)
{
	for (size_t i = 0; i < SUITE_COUNT; i++)
		if (suites[i].number == suite)
			return suites[i].name;
	return NULL;
}

unsigned hello_suite_class(uint16_t suite)
{
	for (size_t i = 0; i < SUITE_COUNT; i++)
		if (suites[i].number == suite)
			return suites[i].class;
	return 0;
}

const char *hello_version_name(uint16_t version)
{
	switch (version) {
	case HELLO_SSL_3_0: return "SSL 3.0";
	case HELLO_TLS_1_0: return "TLS 1.0";
	case HELLO_TLS_1_1: return "TLS 1.1";
	case HELLO_TLS_1_2: return "TLS 1.2";
	case 0x0304: return "TLS 1.3";
	default: return "an unknown version of TLS";
	}
}

/* --- out */

struct writer {
	uint8_t *out;
	size_t used;
};

static void put(struct writer *writer, const void *bytes, size_t size)
{
	memcpy(writer->out + writer->used, bytes, size);
	writer->used += size;
}

static void put_u8(struct writer *writer, uint8_t value)
{
	put(writer, &value, 1);
}

static void put_u16(struct writer *writer, uint16_t value)
{
	uint8_t bytes[2];

	wire_put_u16(bytes, value);
	put(writer, bytes, 2);
}

/* A length of two bytes that is known later: its place. */
static size_t begin(struct writer *writer)
{
	put_u16(writer, 0);
	return writer->used;
}

static void end(struct writer *writer, size_t place)
{
	wire_put_u16(writer->out + place - 2, (uint16_t)(writer->used - place));
}

static void put_extension(struct writer *writer, uint16_t type, const void *data, size_t size)
{
	put_u16(writer, type);
	put_u16(writer, (uint16_t)size);
	put(writer, data, size);
}

static void put_server_name(struct writer *writer, const char *host)
{
	size_t extension, list;
	char name[256];

	if (!tls_names_for_sni(host, name, sizeof(name)))
		return;
	put_u16(writer, EXTENSION_SERVER_NAME);
	extension = begin(writer);
	list = begin(writer);
	put_u8(writer, 0); /* a host name */
	put_u16(writer, (uint16_t)strlen(name));
	put(writer, name, strlen(name));
	end(writer, list);
	end(writer, extension);
}

static void put_extensions(struct writer *writer, const struct hello_offer *offer)
{
	/* X25519, P-256, P-384, P-521, ffdhe2048, ffdhe3072 */
	static const uint8_t groups[] = {0, 12, 0, 0x1d, 0, 0x17, 0, 0x18, 0, 0x19, 1, 0, 1, 1};
	static const uint8_t point_formats[] = {1, 0};
	/* ECDSA, Ed25519, RSA-PSS and RSA with SHA-256 to 512, RSA and ECDSA with SHA-1 */
	static const uint8_t signatures[] = {
		0, 24, 4, 3, 5, 3, 6, 3, 8, 7, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 2, 1, 2, 3};
	static const uint8_t renegotiation_info[] = {0};
	size_t extensions = begin(writer);

	put_server_name(writer, offer->host);
	put_extension(writer, EXTENSION_GROUPS, groups, sizeof(groups));
	put_extension(writer, EXTENSION_POINT_FORMATS, point_formats, sizeof(point_formats));
	if (offer->version == HELLO_TLS_1_2)
		put_extension(writer, EXTENSION_SIGNATURES, signatures, sizeof(signatures));
	put_extension(writer, EXTENSION_EXTENDED_MASTER_SECRET, "", 0);
	put_extension(writer, EXTENSION_RENEGOTIATION_INFO, renegotiation_info, 1);
	end(writer, extensions);
}

static bool is_offered(size_t index, const struct hello_offer *offer)
{
	const char *name = suites[index].name;

	return suites[index].class & offer->suites &&
		(!offer->without_certificate || strstr(name, "PSK") || strstr(name, "anon"));
}

size_t hello_encode(uint8_t *out, const struct hello_offer *offer)
{
	struct writer writer = {out, 0};
	size_t record, message, list;

	put_u8(&writer, RECORD_HANDSHAKE);
	/* RFC 5246, E.1: a first record has the lowest version, for servers that check it */
	put_u16(&writer, offer->version == HELLO_SSL_3_0 ? HELLO_SSL_3_0 : HELLO_TLS_1_0);
	record = begin(&writer);
	put_u8(&writer, MESSAGE_CLIENT_HELLO);
	put_u8(&writer, 0); /* a length of three bytes */
	message = begin(&writer);
	put_u16(&writer, offer->version);
	put(&writer, offer->random, sizeof(offer->random));
	put_u8(&writer, 0); /* no session */
	list = begin(&writer);
	for (size_t i = 0; i < SUITE_COUNT; i++)
		if (is_offered(i, offer))
			put_u16(&writer, suites[i].number);
	end(&writer, list);
	put_u16(&writer, 0x0100); /* one way of compressing: none */
	if (offer->version != HELLO_SSL_3_0)
		put_extensions(&writer, offer);
	end(&writer, message);
	end(&writer, record);
	return writer.used;
}

/* --- in */

static void take_extensions(struct wire_reader *reader, struct hello_answer *answer)
{
	while (!reader->failed && reader->left) {
		uint16_t type = wire_read_u16(reader);

		wire_read_bytes(reader, wire_read_u16(reader));
		if (reader->failed)
			return;
		answer->renegotiation_info |= type == EXTENSION_RENEGOTIATION_INFO;
		answer->extended_master_secret |= type == EXTENSION_EXTENDED_MASTER_SECRET;
	}
}

static void take_server_hello(const uint8_t *bytes, size_t size, struct hello_answer *answer)
{
	struct wire_reader reader;
	const uint8_t *random, *session_size;

	wire_reader_init(&reader, bytes, size);
	answer->version = wire_read_u16(&reader);
	random = wire_read_bytes(&reader, 32);
	session_size = wire_read_bytes(&reader, 1);
	if (session_size)
		wire_read_bytes(&reader, *session_size);
	answer->suite = wire_read_u16(&reader);
	wire_read_bytes(&reader, 1); /* compression */
	if (reader.failed || answer->version >> 8 != 3) {
		answer->kind = HELLO_NOT_TLS;
		return;
	}
	answer->kind = HELLO_SERVER;
	answer->downgrade_sentinel = memcmp(random + 24, "DOWNGRD", 7) == 0 && random[31] <= 1;
	if (reader.left < 2)
		return;
	wire_read_u16(&reader); /* the size of all extensions: they end with the message */
	take_extensions(&reader, answer);
}

/* The first message, put together out of its records. */
struct message {
	uint8_t bytes[HELLO_ANSWER_MAX_BYTES];
	size_t size;
};

/* 1: the message is whole. */
static int take_message(const struct message *message, struct hello_answer *answer)
{
	size_t size;

	if (message->size < 4)
		return 0;
	size = (size_t)message->bytes[1] << 16 | wire_get_u16(message->bytes + 2);
	if (message->bytes[0] != MESSAGE_SERVER_HELLO || size > HELLO_ANSWER_MAX_BYTES - 4) {
		answer->kind = HELLO_NOT_TLS;
		return 1;
	}
	if (message->size < 4 + size)
		return 0;
	take_server_hello(message->bytes + 4, size, answer);
	return 1;
}

int hello_decode(const uint8_t *bytes, size_t size, struct hello_answer *answer)
{
	struct message message = {.size = 0};
	struct wire_reader reader;

	*answer = (struct hello_answer){.kind = HELLO_NOT_TLS};
	wire_reader_init(&reader, bytes, size);
	while (reader.left >= HELLO_RECORD_HEADER_BYTES) {
		const uint8_t *header = wire_read_bytes(&reader, HELLO_RECORD_HEADER_BYTES);
		uint16_t length = wire_get_u16(header + 3);
		const uint8_t *body;

		if ((header[0] != RECORD_HANDSHAKE && header[0] != RECORD_ALERT) ||
			header[1] != 3 || !length || length > RECORD_MAX_BYTES)
			return 1;
		if (reader.left < length)
			return 0;
		body = wire_read_bytes(&reader, length);
		if (header[0] == RECORD_ALERT) {
			answer->kind = length == 2 ? HELLO_ALERT : HELLO_NOT_TLS;
			answer->alert = length == 2 ? body[1] : 0;
			return 1;
		}
		if (length > sizeof(message.bytes) - message.size)
			return 1;
		memcpy(message.bytes + message.size, body, length);
		message.size += length;
		if (take_message(&message, answer))
			return 1;
	}
	return 0;
}

size_t hello_bytes_needed(const uint8_t *bytes, size_t size)
{
	while (size >= HELLO_RECORD_HEADER_BYTES) {
		size_t record = HELLO_RECORD_HEADER_BYTES + (size_t)wire_get_u16(bytes + 3);

		if (size < record)
			return record - size;
		bytes += record;
		size -= record;
	}
	return HELLO_RECORD_HEADER_BYTES - size;
}
