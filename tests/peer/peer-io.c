// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes out with a fault at the Nth, bytes in with a record of them. */
#include "peer.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn void peer_stall(void)
{
	for (;;)
		pause();
}

static bool send_all(int fd, const uint8_t *at, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool drip(int fd, const uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!send_all(fd, at + i, 1))
			return false;
		usleep(50000);
	}
	return true;
}

static bool to_socket(struct peer *peer, const uint8_t *bytes, size_t size)
{
	struct peer_shared *shared = peer->shared;

	for (size_t i = 0; i < size && shared->sent_wire + i < PEER_MAP_BYTES; i++)
		shared->wire[shared->sent_wire + i] = bytes[i];
	shared->sent_wire += size;
	if (peer->config->fault.kind == FAULT_DRIP && shared->sent_wire > peer->config->fault.at) {
		shared->fired = true;
		return drip(peer->fd, bytes, size);
	}
	return send_all(peer->fd, bytes, size);
}

/* Is the fault's byte among the next SIZE ones of this layer, of which SENT went before? Its index
 * then, else SIZE. */
static size_t fault_index(
	const struct peer *peer, enum fault_layer layer, uint64_t sent, size_t size)
{
	const struct fault *fault = &peer->config->fault;

	if (fault->kind == FAULT_NONE || fault->kind == FAULT_DRIP || fault->layer != layer ||
		fault->at < sent || fault->at - sent >= size)
		return size;
	return (size_t)(fault->at - sent);
}

/* The bytes before the fault have left. False: nothing more is sent. */
static bool strike(struct peer *peer)
{
	peer->shared->fired = true;
	if (peer->config->fault.kind == FAULT_STALL)
		peer_stall();
	if (peer->config->fault.kind == FAULT_CUT) {
		shutdown(peer->fd, SHUT_RDWR);
		return false;
	}
	return true;
}

static bool wire_out(struct peer *peer, const uint8_t *bytes, size_t size)
{
	size_t at = fault_index(peer, LAYER_WIRE, peer->shared->sent_wire, size);
	uint8_t garbled;

	if (at == size)
		return to_socket(peer, bytes, size);
	if (!to_socket(peer, bytes, at) || !strike(peer))
		return false;
	garbled = bytes[at] ^ peer->config->fault.mask;
	return to_socket(peer, &garbled, 1) && to_socket(peer, bytes + at + 1, size - at - 1);
}

bool peer_wire_send(struct peer *peer, const void *buf, size_t size)
{
	if (!peer->hold || size > sizeof(peer->held) - peer->held_size)
		return peer_flush(peer) && wire_out(peer, buf, size);
	memcpy(peer->held + peer->held_size, buf, size);
	peer->held_size += size;
	return true;
}

bool peer_flush(struct peer *peer)
{
	size_t size = peer->held_size;

	peer->hold = false;
	peer->held_size = 0;
	return size == 0 || wire_out(peer, peer->held, size);
}

static bool nbd_out(struct peer *peer, const uint8_t *bytes, size_t size)
{
	peer->shared->sent_nbd += size;
	if (!peer->tls)
		return peer_wire_send(peer, bytes, size);
	if (peer->raw)
		return peer_send_past_gnutls(peer, bytes, size);
	while (size > 0) {
		ssize_t n = gnutls_record_send(peer->tls, bytes, size);

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

bool peer_send(struct peer *peer, const void *buf, size_t size, enum byte_tag tag)
{
	const uint8_t *bytes = buf;
	uint64_t sent = peer->shared->sent_nbd;
	size_t at = fault_index(peer, LAYER_NBD, sent, size);
	uint8_t garbled;

	for (size_t i = 0; i < size && sent + i < PEER_MAP_BYTES; i++)
		peer->shared->tags[sent + i] = (uint8_t)tag;
	if (at == size)
		return nbd_out(peer, bytes, size);
	if (!nbd_out(peer, bytes, at))
		return false;
	if (peer->config->fault.kind != FAULT_GARBLE)
		peer_flush(peer);
	if (!strike(peer))
		return false;
	garbled = bytes[at] ^ peer->config->fault.mask;
	return nbd_out(peer, &garbled, 1) && nbd_out(peer, bytes + at + 1, size - at - 1);
}

long peer_wire_receive(struct peer *peer, void *buf, size_t size)
{
	struct peer_shared *shared = peer->shared;
	ssize_t n;

	do
		n = recv(peer->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	for (ssize_t i = 0; i < n && shared->heard_size < PEER_MAP_BYTES; i++)
		shared->heard[shared->heard_size++] = ((uint8_t *)buf)[i];
	return n;
}

bool peer_receive(struct peer *peer, void *buf, size_t size)
{
	uint8_t *at = buf;

	while (size > 0) {
		ssize_t n = peer->tls ? gnutls_record_recv(peer->tls, at, size) :
					peer_wire_receive(peer, at, size);

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (peer->tls && n == GNUTLS_E_REHANDSHAKE && peer->config->renegotiates &&
			gnutls_handshake(peer->tls) >= 0)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}
