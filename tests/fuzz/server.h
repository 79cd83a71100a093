/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server in memory, for the targets that negotiate: its bytes are an input's, either as they are
 * or as replies whose headers are made here, so that a change of one byte is a change of what they
 * say and not the end of the conversation. */
#ifndef NBDA_TESTS_FUZZ_SERVER
#define NBDA_TESTS_FUZZ_SERVER
#include "base/transport.h"
#include "fuzz.h"
#include "nbd/nego.h"

#define SERVER_BYTES_MAX (64 << 10)

struct server {
	struct transport transport; /* at the front: see read_some() */
	uint8_t bytes[SERVER_BYTES_MAX];
	size_t size, at;
	size_t step; /* bytes a read or write takes at most; 0: all */
	bool breaks; /* instead of its end, the connection breaks */
	/* what nobody has read when the conversation is over: in the session, in the socket */
	bool leaves_in_session, leaves_in_socket, hangs_up;
	/* what the client sent, and which options were among it (a bit each) */
	uint8_t sent[64];
	size_t sent_size;
	uint32_t options;
	uint32_t asked; /* the last of them */
};

/* SERVER's manner from the next byte of INPUT. */
void server_init(struct server *server, struct fuzz_input *input);
/* After it, for another conversation: the bytes so far are forgotten. */
void server_rewind(struct server *server);
/* Bytes as they are: the rest of INPUT, or SIZE of it. */
void server_say_rest(struct server *server, struct fuzz_input *input);
void server_say(struct server *server, const void *bytes, size_t size);
/* One reply to OPTION, by a few bytes of INPUT that say how. Returns its type. */
uint32_t server_reply(struct server *server, struct fuzz_input *input, uint32_t option);
/* Replies to OPTION until one ends it or the input is at its end. */
void server_replies(struct server *server, struct fuzz_input *input, uint32_t option);
/* A reply to a read of SIZE bytes. */
void server_transmission(struct server *server, struct fuzz_input *input, uint32_t size);

/* The state of a conversation after the greeting, from one byte of INPUT. */
void server_begin(struct server *server, struct fuzz_input *input, struct nego *nego);

#endif
