/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a negotiator gives up before it reads the first byte from the network, and what more once
 * it is connected. Two of them have nothing in common, not even their user.
 *
 * Of root's, the user is a number of its own, which no account has; but user nbd-attach
 * (sysusers.d), if there is one, where a key is on a token, which is given to an account. Where a
 * container's user namespace has no such number, it is that user, or else 65534. The group is
 * nbd-attach, or else a number of its own, too. Another user's negotiator stays that user's. */
#ifndef NBDA_CHILD_SANDBOX
#define NBDA_CHILD_SANDBOX
#include "base/error.h"
#include "config/endpoint.h"
#include "tls/credentials.h"

/* child_options.keeps_stdio of what is confined: only a sanitizer's report needs it. */
#ifdef __SANITIZE_ADDRESS__
#define SANDBOX_KEEPS_STDIO true
#else
#define SANDBOX_KEEPS_STDIO false
#endif

/* In the parent: what it takes to confine a negotiation of ENDPOINT with CREDS. NULL: it has no
 * kernel TLS and no token; TLS in userspace takes no more than a connection. Before isolation
 * (isolate/), since the user database is asked, once. */
int sandbox_prepare(
	const struct endpoint *endpoint, const struct tls_credentials *creds, struct error *err);
/* In the child, first of all: nothing of the parent's but its privileges. */
void sandbox_enter_child(void);
/* In the child: nothing but to resolve and to connect, as the last sandbox_prepare() says. */
int sandbox_confine(const struct endpoint *endpoint, struct error *err);
/* In the child: nothing but to talk to its parent and over CONNECTION. Other descriptors are
 * closed, but of a token's module. */
int sandbox_confine_to_talk(int connection, struct error *err);
/* In every process that has seen a key: neither core dump nor tracing by the same user. */
void sandbox_no_core_dumps(void);

#endif
