/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attacks by name: the scenarios of scenarios.h under TLS, and those that only whole programs are
 * put to. tests/attacks/table says what is expected of each client. */
#ifndef ATTACK_H
#define ATTACK_H
#include "scenarios.h"
#include <sys/types.h>

enum attack_ask { ASK_READ, ASK_LIST, ASK_MAP };

struct attack {
	const char *name;
	struct peer_config peer; /* but for the credentials, which attack_server_start() loads */
	struct mitm_config mitm;
	bool on_path; /* MITM is in between */
	/* What nbd-attach has to say when it refuses, an extended regular expression; NULL:
	 * anything. */
	const char *says;
	enum attack_ask ask;
	/* Folders below the certificates: what the server shows, and what the client trusts. NULL:
	 * the good one. */
	const char *server_certs, *client_certs;
	/* The client has keys.psk instead, and the server that of this folder; NULL: it has
	 * none. */
	bool psk;
	const char *server_psk;
	const char *host;  /* by which the client knows the server; NULL: localhost */
	bool no_authority; /* none is named to the client: the system's */
	bool tls12;        /* nbd-attach is allowed to go down to it */
	bool tape;         /* the client comes twice, and the second time a tape is played */
	bool stalls;       /* a client with a deadline is given a short one */
};

/* The server and the man in the middle on ports of 127.0.0.1, in processes of their own (one a
 * connection) until they are stopped. */
struct attack_server {
	pid_t server, path;
	uint16_t port;
	struct peer_shared *shared, *path_shared; /* what each of the two records; not NULL */
	struct path_tape *tape;
};

/* CERTS is the folder of all certificates, PORT 0 an ephemeral one. */
bool attack_server_start(struct attack_server *server, const struct attack *attack,
	const char *certs, uint16_t port);
void attack_server_stop(struct attack_server *server);

/* Attack number INDEX in ATTACK; false: there are no more. */
bool attack_get(size_t index, struct attack *attack);
bool attack_find(const char *name, struct attack *attack);
/* Does all go well until a block is read? */
bool attack_is_about_reading(const struct attack *attack);
/* Was it carried out, as far as the server and the man in the middle recorded? */
bool attack_happened(const struct attack *attack, const struct attack_server *server);

extern const struct attack path_attacks[], tls_attacks[], impostor_attacks[], handover_attacks[];
extern const size_t path_attack_count, tls_attack_count, impostor_attack_count,
	handover_attack_count;

#endif
