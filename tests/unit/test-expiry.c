/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor says of keys and certificates, and for how long they last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "supervisor/expiry.h"

#define NOW 1800000000
#define DAYS(n) ((int64_t)(n)*86400)

static struct attachment attachment;

static void clear(void)
{
	attachment = (struct attachment){.index = 3, .link_count = 1};
	attachment.links[0].tls.version = TLS_VERSION_1_3;
	attachment.links[0].since = NOW - 100;
}

static struct tls_validity ends_in(int64_t days)
{
	struct tls_validity validity = {0};

	tls_validity_note(&validity, NOW - DAYS(300), NOW + DAYS(days));
	return validity;
}

static void expect(size_t count, const char *words)
{
	struct expiry_warning warnings[EXPIRY_WARNINGS_MAX];
	size_t got = expiry_list(&attachment, NOW, warnings);

	if (got != count || (words && !strstr(warnings[0].text, words)))
		fail_msg("%zu warnings, the first: %s", got, got ? warnings[0].text : "none");
}

static void each_of_them_is_warned_of_in_time(void **state)
{
	(void)state;
	clear();
	expect(0, NULL);
	attachment.links[0].tls.chain = ends_in(15);
	attachment.links[0].tls.own = ends_in(15);
	attachment.links[0].tls.revocation = ends_in(15);
	expect(0, NULL);
	attachment.links[0].tls.chain = ends_in(13);
	expect(1, "the server's certificate, or one that it rests on, runs out on 2027-01-28");
	attachment.links[0].tls.chain = ends_in(-1);
	expect(1, "ran out on");
	attachment.links[0].tls.chain = ends_in(100);
	attachment.links[0].tls.own = ends_in(13);
	expect(1, "our certificate runs out");
	attachment.links[0].tls.revocation = ends_in(1);
	expect(2, "our certificate runs out");
	/* without TLS there is nothing to say */
	attachment.links[0].tls.version = 0;
	expect(0, NULL);
}

static void what_was_seen_last_counts(void **state)
{
	(void)state;
	clear();
	attachment.link_count = 2;
	attachment.links[1] = attachment.links[0];
	attachment.links[1].since = NOW - 200;
	attachment.links[0].tls.chain = ends_in(2);
	attachment.links[0].tls.is_stale = true;
	expect(2, "the server's certificate");
	/* the other link was made since */
	attachment.links[1].since = NOW - 10;
	attachment.links[1].tls.chain = ends_in(300);
	expect(0, NULL);
	attachment.links[1].tls.is_stale = true;
	expect(1, "nbd-attach reload nbd3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_them_is_warned_of_in_time),
		cmocka_unit_test(what_was_seen_last_counts),
	};

	return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
