/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/expiry.h"
#include "base/clock.h"
#include "output/log.h"
#include "tls/credentials.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CHECK_MS (3600L * 1000)
#define REPEAT_MS (24L * 3600 * 1000)

struct list {
	struct expiry_warning *warnings;
	size_t count;
};

static void add(struct list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->warnings[i].text, text) == 0)
			return;
	if (list->count == EXPIRY_WARNINGS_MAX)
		return;
	snprintf(list->warnings[list->count++].text, sizeof(list->warnings[0].text), "%s", text);
}

static void add_validity(struct list *list, const struct tls_validity *validity, int64_t now,
	const char *what, const char *remedy)
{
	char date[40], text[sizeof(list->warnings[0].text)];

	if (!validity->until || now < validity->warn_from)
		return;
	tls_format_date(validity->until, date, sizeof(date));
	snprintf(text, sizeof(text), "%s %s out on %s, %s: %s", what,
		now > validity->until ? "ran" : "runs", date,
		now > validity->until ? "and no new connection can be made" :
					"and no connection can be made from then on",
		remedy);
	add(list, text);
}

/* A link goes on with what it began with. What a later one will need is what was seen last. */
static void keep_later(struct tls_validity *last, const struct tls_validity *other)
{
	if (other->until > last->until)
		*last = *other;
}

static struct tls_info find_last(const struct attachment *attachment)
{
	struct tls_info last = {0};
	int64_t newest_ms = 0;

	if (attachment->creds)
		tls_credentials_validity(attachment->creds, &last.own, &last.revocation);
	for (size_t i = 0; i < attachment->link_count; i++) {
		const struct link *link = &attachment->links[i];

		if (!link->tls.version)
			continue;
		keep_later(&last.chain, &link->tls.chain);
		keep_later(&last.own, &link->tls.own);
		keep_later(&last.revocation, &link->tls.revocation);
		if (link->since_ms >= newest_ms)
			last.is_stale = link->tls.is_stale;
		newest_ms = link->since_ms >= newest_ms ? link->since_ms : newest_ms;
	}
	return last;
}

static void add_last(struct list *list, const struct tls_info *last, int64_t now, int index)
{
	char text[sizeof(list->warnings[0].text)];

	add_validity(list, &last->chain, now, "the server's certificate, or one that it rests on,",
		"renew it on the server");
	add_validity(list, &last->own, now, "our certificate",
		"put a new one in its place, which the next connection takes");
	add_validity(list, &last->revocation, now, "the list of revoked certificates",
		"put the authority's current one in its place");
	if (!last->is_stale)
		return;
	snprintf(text, sizeof(text),
		"the files of keys and certificates have changed, or cannot be read, and the "
		"former ones count: nbd-attach reload nbd%d says why",
		index);
	add(list, text);
}

size_t expiry_list(const struct attachment *attachment, int64_t now_unix_sec,
	struct expiry_warning warnings[EXPIRY_WARNINGS_MAX])
{
	struct list list = {.warnings = warnings};
	const char *texts[EXPIRY_WARNINGS_MAX];
	struct tls_info last = find_last(attachment);
	size_t count = attachment->creds ?
		tls_credentials_warnings(attachment->creds, texts, EXPIRY_WARNINGS_MAX) :
		0;

	for (size_t i = 0; i < count; i++)
		add(&list, texts[i]);
	add_last(&list, &last, now_unix_sec, attachment->index);
	return list.count;
}

static bool was_told(struct expiry *expiry, const char *text, int64_t now_ms)
{
	for (size_t i = 0; i < EXPIRY_WARNINGS_MAX; i++)
		if (strcmp(expiry->told[i].text, text) == 0 &&
			now_ms - expiry->told[i].at_ms < REPEAT_MS)
			return true;
	snprintf(expiry->told[expiry->next].text, sizeof(expiry->told[0].text), "%s", text);
	expiry->told[expiry->next].at_ms = now_ms;
	expiry->next = (expiry->next + 1) % EXPIRY_WARNINGS_MAX;
	return false;
}

static bool ends_some_time(const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->link_count; i++) {
		const struct tls_info *tls = &attachment->links[i].tls;

		if (tls->version && (tls->chain.until || tls->own.until || tls->revocation.until))
			return true;
	}
	return false;
}

void expiry_update(struct expiry *expiry)
{
	struct expiry_warning warnings[EXPIRY_WARNINGS_MAX];
	int64_t now_ms = monotonic_now_ms();
	size_t count = expiry_list(expiry->attachment, time(NULL), warnings);

	for (size_t i = 0; i < count; i++)
		if (!was_told(expiry, warnings[i].text, now_ms))
			log_message(LOG_WARNING, "/dev/nbd%d: %s", expiry->attachment->index,
				warnings[i].text);
	loop_call_at(&expiry->timer,
		ends_some_time(expiry->attachment) ? now_ms + CHECK_MS : LOOP_NEVER);
}

static void on_time(void *owner, short revents)
{
	(void)revents;
	expiry_update(owner);
}

void expiry_init(struct expiry *expiry, const struct attachment *attachment, struct loop *loop)
{
	*expiry = (struct expiry){.attachment = attachment};
	loop_add(loop, &expiry->timer, LOOP_TIME, on_time, expiry);
}

void expiry_close(struct expiry *expiry)
{
	loop_remove(&expiry->timer);
}
