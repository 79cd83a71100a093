/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server offered for one export. No pointers: it crosses a socket from the negotiator. Its
 * geometry is what a device and each of its links are judged by; names are for people, and large.
 */
#ifndef NBDA_NBD_EXPORT_INFO
#define NBDA_NBD_EXPORT_INFO
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "nbd/nbd-protocol.h"

struct export_geometry {
	/* false for a listed export that INFO told nothing of */
	bool has_size;
	uint64_t size_bytes;
	uint16_t flags; /* transmission flags */
	bool has_block_size;
	/* valid when has_block_size */
	uint32_t block_min_bytes, block_preferred_bytes, block_max_bytes;
};

struct export_names {
	char name[EXPORT_NAME_MAX + 1];           /* as asked for, or as listed */
	char canonical_name[EXPORT_NAME_MAX + 1]; /* NBD_INFO_NAME; empty when not sent */
	/* NBD_INFO_DESCRIPTION or the list's text; sanitised */
	char description[EXPORT_NAME_MAX + 1];
};

struct export_info {
	struct export_names names;
	struct export_geometry geometry;
};

/* Is this an export that the kernel's nbd driver can carry? Refuses (ERROR_SERVER) a size of 0,
 * above INT64_MAX, or not a multiple of the block size that the device will have, and block sizes
 * that break the specification's rules. */
int export_info_check_attachable(
	const struct export_geometry *geometry, uint32_t block_size_bytes, struct error *err);
/* The device's logical block size: the user's override (0: none) against the server's minimum and
 * preferred and the kernel's 512..page-size. */
int export_info_choose_block_size(const struct export_geometry *geometry, uint32_t override_bytes,
	uint32_t *block_size_bytes, struct error *err);
/* Do two offers (two links of one device, or before and after a reconnect) agree? -ESTALE with what
 * differs. */
int export_info_compare(
	const struct export_geometry *before, const struct export_geometry *now, struct error *err);
/* Name of a transmission flag bit, or NULL. */
const char *export_flag_name(unsigned bit);

#endif
