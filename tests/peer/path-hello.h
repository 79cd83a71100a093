/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two messages of TLS that can be read and written without a key. A record holds one of them
 * whole. */
#ifndef PATH_HELLO_H
#define PATH_HELLO_H
#include "path.h"

/* Does this record of a server's hello choose TLS 1.3? */
bool path_hello_is_tls13(const uint8_t *record, size_t size);
/* RECORD, a client's hello, changed, in OUT (as large); its size, or 0 when it is no hello. */
size_t path_hello_edit(enum path_edit edit, const uint8_t *record, size_t size, uint8_t *out);

#endif
