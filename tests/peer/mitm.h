/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An attacker on the path, which can read and change everything until TLS begins, and then do what
 * path.h says. */
#ifndef MITM_H
#define MITM_H
#include "path.h"

struct mitm_config {
	uint16_t clear_flags, set_flags; /* handshake flags of the server's greeting */
	bool oldstyle;                   /* its second magic replaced */
	uint32_t clear_client_flags;     /* of the client's answer */
	/* sent to the server in the client's name before its first option; replies dropped */
	uint32_t inject_option;
	const void *inject_data;
	uint32_t inject_size;
	bool inject_structured; /* and OPT_STRUCTURED_REPLY before that */
	bool glue_to_server;    /* the same, but glued behind the client's STARTTLS */
	/* the server never sees it; ANSWER goes back, or silence */
	bool swallow_starttls;
	/* in place of the server's reply to STARTTLS; type 0: the server's own */
	struct scripted_reply answer;
	const void *glue; /* sent behind that reply */
	size_t glue_size;
	int glue_delay_ms; /* 0: in one segment with it */
	/* the client's TLS is a renegotiation to the server; instead of what follows */
	bool prefix;
	struct path_config path; /* after the server's consent to TLS */
	/* for path: what the server behind records; NULL: when reads begin is unknown */
	const struct peer_shared *server;
	struct path_tape *tape; /* instead of all this; shared by the connections */
};

/* Between two connected sockets until one of them closes. SHARED->heard is what the client said. */
void mitm_run(
	int client_fd, int server_fd, const struct mitm_config *config, struct peer_shared *shared);

#endif
