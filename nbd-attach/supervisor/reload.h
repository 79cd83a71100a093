/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other keys and certificates for a supervisor that goes on: with --root it has no disk to read
 * them from, and in no case may it wait for one. So `nbd-attach reload` asks where they are, reads
 * and checks them, and hands over what is in them. */
#ifndef NBDA_SUPERVISOR_RELOAD
#define NBDA_SUPERVISOR_RELOAD
#include <json.h>
#include "supervisor/attachment.h"

#define RELOAD_MAX_BYTES (16 << 20)

/* The supervisor's side: the answer to "files", {"tls": {...}}, or null without TLS; and to
 * "reload", {"ok": true} or an error. FD is a sealed memfd with tls_credentials_pack()'s bytes, or
 * -1, and stays the caller's. */
json_object *reload_files(const struct attachment *attachment);
json_object *reload_take(struct attachment *attachment, int fd);

/* The other side. False: that is no such answer. */
bool reload_parse_files(json_object *answer, struct tls_config *config);
/* A memfd that nobody can change any more; or -errno. */
int reload_seal(const void *bytes, size_t size);

#endif
