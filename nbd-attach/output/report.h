/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program says: errors on stderr, sizes and tables for people, and JSON for machines. */
#ifndef NBDA_OUTPUT_REPORT
#define NBDA_OUTPUT_REPORT
#include <json.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "nbd/export-info.h"
#include "tls/session.h"

/* "nbd-attach: TEXT" and "  HINT" on stderr; returns the exit status. */
int report_error(const struct error *err);
/* What is to be said of credentials, which may be NULL: a line each on stderr. */
void report_warnings(const struct tls_credentials *creds);
/* "64 MiB", "1.5 GiB", "1000 bytes". */
void report_format_size(uint64_t bytes, char *buf, size_t size);
/* "2026-11-21". */
void report_format_date(int64_t when, char *buf, size_t size);
/* "12 s", "3 min 5 s", "2 h 3 min", "4 d 2 h": the two largest units; a negative one (the clock was
 * set) is "0 s". */
void report_format_duration(int64_t sec, char *buf, size_t size);
/* JSON, owned by the caller. */
json_object *report_export_json(
	const struct export_names *names, const struct export_geometry *geometry);
json_object *report_tls_json(const struct tls_info *tls);
json_object *report_flags_json(uint16_t flags);
/* Print and free. Returns 0, or 1 when standard output does not take it. */
int report_print_json(json_object *object);
/* Flush standard output and say so when that fails: "never a success that was not checked". Returns
 * the exit status. */
int report_finish(int status);

#endif
