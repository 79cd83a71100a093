/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/message.h"
#include "audit/request.h"
#include "base/text.h"
#include "tls/info.h"
#include <errno.h>
#include <string.h>

#define TEXT_MAX 1024
#define CHECK_TEXT(field) check_text(field, sizeof(field))

static void check_text(char *text, size_t size)
{
	char copy[TEXT_MAX];
	size_t len = strnlen(text, size - 1);

	if (len > sizeof(copy))
		len = sizeof(copy);
	memcpy(copy, text, len);
	text_sanitise(text, size, copy, len);
}

/* A bool that came as a byte may hold neither true nor false. */
static void check_bool(bool *value)
{
	unsigned char byte;

	memcpy(&byte, value, sizeof(byte));
	*value = byte != 0;
}

static void check_error(struct error *err)
{
	CHECK_TEXT(err->text);
	CHECK_TEXT(err->hint);
	check_bool(&err->retry);
	if (err->kind < ERROR_OTHER || err->kind > ERROR_LAST)
		err->kind = ERROR_OTHER;
}

static void check_facts(struct audit_facts *facts)
{
	CHECK_TEXT(facts->address);
	CHECK_TEXT(facts->cipher);
	check_bool(&facts->offers_tls);
	check_bool(&facts->has_tls);
	check_bool(&facts->has_export);
	if (facts->tls_version != TLS_VERSION_1_2 && facts->tls_version != TLS_VERSION_1_3)
		facts->tls_version = 0;
	if (facts->mode < AUDIT_MODE_UNKNOWN || facts->mode > AUDIT_MODE_FORCED)
		facts->mode = AUDIT_MODE_UNKNOWN;
	/* sanitised where it is shown: it has to go back as it came */
	facts->export_name[sizeof(facts->export_name) - 1] = 0;
	if (!facts->block_bytes || facts->block_bytes > REQUEST_READ_MAX_BYTES)
		facts->has_export = false;
}

void audit_message_check(struct audit_message *message)
{
	check_bool(&message->greeted);
	if (message->rc >= 0)
		message->rc = -EIO;
	check_error(&message->err);
	check_facts(&message->facts);
	CHECK_TEXT(message->verdict.evidence);
	check_bool(&message->verdict.not_tried);
	if (message->verdict.result < AUDIT_PASS || message->verdict.result > AUDIT_NOT_APPLICABLE)
		verdict_not_tried(&message->verdict, "the probe came to no result");
}
