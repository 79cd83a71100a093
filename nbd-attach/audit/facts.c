/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit/facts.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void verdict_set(
	struct audit_verdict *verdict, enum audit_result result, const char *fmt, va_list ap)
{
	char text[sizeof(verdict->evidence)];

	vsnprintf(text, sizeof(text), fmt, ap);
	/* it may repeat what the server said */
	text_sanitise(verdict->evidence, sizeof(verdict->evidence), text, strlen(text));
	verdict->result = result;
	verdict->not_tried = false;
}

void verdict_pass(struct audit_verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verdict_set(verdict, AUDIT_PASS, fmt, ap);
	va_end(ap);
}

void verdict_fail(struct audit_verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verdict_set(verdict, AUDIT_FAIL, fmt, ap);
	va_end(ap);
}

void verdict_not_applicable(struct audit_verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verdict_set(verdict, AUDIT_NOT_APPLICABLE, fmt, ap);
	va_end(ap);
}

void verdict_not_tried(struct audit_verdict *verdict, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verdict_set(verdict, AUDIT_NOT_APPLICABLE, fmt, ap);
	va_end(ap);
	verdict->not_tried = true;
}

const char *audit_mode_name(enum audit_mode mode)
{
	switch (mode) {
	case AUDIT_MODE_NONE: return "none";
	case AUDIT_MODE_OPPORTUNISTIC: return "opportunistic";
	case AUDIT_MODE_SELECTIVE: return "selective";
	case AUDIT_MODE_FORCED: return "forced";
	default: return "unknown";
	}
}

const char *audit_result_name(enum audit_result result)
{
	switch (result) {
	case AUDIT_PASS: return "pass";
	case AUDIT_FAIL: return "fail";
	default: return "not-applicable";
	}
}
