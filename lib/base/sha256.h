/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FIPS 180-4, for identifiers: what is secret or has to be fast is GnuTLS's, which is not loaded
 * for the sake of a name. */
#ifndef NBDA_BASE_SHA256
#define NBDA_BASE_SHA256
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(uint8_t hash[SHA256_BYTES], const void *bytes, size_t len);

#endif
