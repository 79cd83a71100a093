/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nbd/export-info.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "nbd/nbd-protocol.h"

#define KERNEL_BLOCK_SIZE_MIN 512U /* a sector: the unit of every bio */

static uint32_t page_size(void)
{
	long size = sysconf(_SC_PAGESIZE);

	return size >= 512 ? (uint32_t)size : 4096;
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* The rules of NBD_INFO_BLOCK_SIZE: minimum a power of two up to 64 KiB; preferred a power of two,
 * at least 512 and the minimum; maximum at least the preferred or the size, and a multiple of the
 * minimum or all ones. */
static int check_block_sizes(const struct export_geometry *geometry, struct error *err)
{
	uint32_t min = geometry->block_min_bytes, preferred = geometry->block_preferred_bytes,
		 max = geometry->block_max_bytes;

	if (!geometry->has_block_size)
		return 0;
	if (!is_power_of_two(min) || min > 65536)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's minimum block size of %" PRIu32
			" bytes is not a power of two from 1 to 65536",
			min);
	if (!is_power_of_two(preferred) || preferred < 512 || preferred < min)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's preferred block size of %" PRIu32
			" bytes is not a power of two of at least 512 and its minimum (%" PRIu32
			")",
			preferred, min);
	if (max != UINT32_MAX && max % min)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's maximum block size of %" PRIu32
			" bytes is not a multiple of its minimum (%" PRIu32 ")",
			max, min);
	if (max < preferred && max < geometry->size_bytes)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's maximum block size of %" PRIu32
			" bytes is below its preferred (%" PRIu32 ")",
			max, preferred);
	return 0;
}

int export_info_check_attachable(
	const struct export_geometry *geometry, uint32_t block_size_bytes, struct error *err)
{
	int rc;

	if (!is_power_of_two(block_size_bytes))
		return error_set(err, ERROR_OTHER, EINVAL,
			"a block size of %" PRIu32 " bytes is not a power of two",
			block_size_bytes);
	if (!geometry->has_size)
		return error_set(
			err, ERROR_SERVER, EINVAL, "the server did not tell the export's size");
	if (!geometry->size_bytes)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the export has a size of 0 bytes: there is nothing to attach");
	if (geometry->size_bytes > INT64_MAX)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the export's size of %" PRIu64
			" bytes is above what a block device can have (2^63 - 1)",
			geometry->size_bytes);
	if (!(geometry->flags & NBD_TFLAG_HAS_FLAGS))
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server sent transmission flags 0x%04x without NBD_FLAG_HAS_FLAGS",
			geometry->flags);
	rc = check_block_sizes(geometry, err);
	if (rc < 0)
		return rc;
	if (geometry->has_block_size && geometry->block_max_bytes < block_size_bytes)
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's maximum block size of %" PRIu32
			" bytes is below the device's block size of %" PRIu32,
			geometry->block_max_bytes, block_size_bytes);
	if (geometry->size_bytes % block_size_bytes) {
		error_set(err, ERROR_SERVER, EINVAL,
			"the export's size of %" PRIu64
			" bytes is not a multiple of the device's block size of %" PRIu32
			": its end could not be reached",
			geometry->size_bytes, block_size_bytes);
		if (geometry->size_bytes % 512 == 0 &&
			(!geometry->has_block_size || geometry->block_min_bytes <= 512))
			return error_hint(
				err, -EINVAL, "use a smaller block size, for example 512");
		return error_hint(err, -EINVAL,
			"round the export up on the server (nbdkit: --filter=truncate "
			"round-up=%" PRIu32 ")",
			block_size_bytes);
	}
	return 0;
}

/* The logical block size is part of what is on the disk: a partition table and many file systems
 * made at 512 cannot be read at 4096. So the server's preferred size, which may change with its
 * version, never decides it; only what it cannot go below does. */
int export_info_choose_block_size(const struct export_geometry *geometry, uint32_t override_bytes,
	uint32_t *block_size_bytes, struct error *err)
{
	uint32_t min = geometry->has_block_size ? geometry->block_min_bytes : 0;
	int rc;

	rc = check_block_sizes(geometry, err);
	if (rc < 0)
		return rc;
	if (min > page_size())
		return error_set(err, ERROR_SERVER, EINVAL,
			"the server's minimum block size of %" PRIu32
			" bytes is above what the kernel's nbd driver can do (%" PRIu32 ", a page)",
			min, page_size());
	if (!override_bytes) {
		*block_size_bytes = min > KERNEL_BLOCK_SIZE_MIN ? min : KERNEL_BLOCK_SIZE_MIN;
		return 0;
	}
	if (!is_power_of_two(override_bytes) || override_bytes < KERNEL_BLOCK_SIZE_MIN ||
		override_bytes > page_size())
		return error_set(err, ERROR_USAGE, EINVAL,
			"a block size of %" PRIu32 " bytes is not possible: the kernel takes "
			"powers of two from 512 to %" PRIu32,
			override_bytes, page_size());
	if (override_bytes < min) {
		error_set(err, ERROR_SERVER, EINVAL,
			"the server needs requests of at least %" PRIu32
			" bytes, more than the block size of %" PRIu32 " asked for",
			min, override_bytes);
		return error_hint(err, -EINVAL, "ask for no block size, or for %" PRIu32, min);
	}
	*block_size_bytes = override_bytes;
	return 0;
}

static int differ(
	struct error *err, const char *what, uint64_t before, uint64_t now, const char *unit)
{
	return error_set(err, ERROR_SERVER, ESTALE,
		"the server's export is not the same any more: its %s was %" PRIu64
		"%s and is now %" PRIu64 "%s",
		what, before, unit, now, unit);
}

static int compare_flags(uint16_t before, uint16_t now, struct error *err)
{
	unsigned bit;
	const char *name;
	char number[16];

	for (bit = 0; bit < 16 && !((before ^ now) >> bit & 1); bit++)
		;
	if (bit == 16)
		return 0;
	name = export_flag_name(bit);
	snprintf(number, sizeof(number), "bit %u", bit);
	return error_set(err, ERROR_SERVER, ESTALE,
		"the server's export is not the same any more: flag %s was %s and is now %s",
		name ? name : number, before >> bit & 1 ? "set" : "clear",
		now >> bit & 1 ? "set" : "clear");
}

int export_info_compare(
	const struct export_geometry *before, const struct export_geometry *now, struct error *err)
{
	/* No constraints told means requests down to one byte and up to any size (doc/proto.md,
	 * block size constraints). */
	uint32_t before_min = before->has_block_size ? before->block_min_bytes : 1;
	uint32_t now_min = now->has_block_size ? now->block_min_bytes : 1;
	uint32_t before_max = before->has_block_size ? before->block_max_bytes : UINT32_MAX;
	uint32_t now_max = now->has_block_size ? now->block_max_bytes : UINT32_MAX;

	if (before->has_size != now->has_size)
		return error_set(err, ERROR_SERVER, ESTALE,
			"only one of the two offers tells the export's size");
	if (before->size_bytes != now->size_bytes)
		return differ(err, "size", before->size_bytes, now->size_bytes, " bytes");
	if (before_min != now_min)
		return differ(err, "minimum block size", before_min, now_min, " bytes");
	if (before_max != now_max)
		return differ(err, "maximum block size", before_max, now_max, " bytes");
	return compare_flags(before->flags, now->flags, err);
}

const char *export_flag_name(unsigned bit)
{
	static const char *const names[] = {
		"HAS_FLAGS",
		"READ_ONLY",
		"SEND_FLUSH",
		"SEND_FUA",
		"ROTATIONAL",
		"SEND_TRIM",
		"SEND_WRITE_ZEROES",
		"SEND_DF",
		"CAN_MULTI_CONN",
		"SEND_RESIZE",
		"SEND_CACHE",
		"SEND_FAST_ZERO",
		"BLOCK_STAT_PAYLOAD",
	};

	return bit < sizeof(names) / sizeof(names[0]) ? names[bit] : NULL;
}
