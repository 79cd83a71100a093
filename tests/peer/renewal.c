/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "renewal.h"
#include "trial.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char ca_file[64];

/* In place of the file there, as a program that renews it writes it: another one of that name. */
static void put(const char *from, const char *text)
{
	char command[700];

	if (from)
		snprintf(command, sizeof(command), "cp '%s' '%s.new' && mv '%s.new' '%s'", from,
			ca_file, ca_file, ca_file);
	else
		snprintf(command, sizeof(command), "echo '%s' >'%s'", text, ca_file);
	if (system(command) != 0)
		fprintf(stderr, "%s\n", command);
}

static void try_with(const struct tls_credentials *creds, gnutls_certificate_credentials_t server,
	bool keeps, struct peer_shared *shared, struct outcome *outcome)
{
	struct trial trial = {.kind = NEGOTIATION_ATTACH,
		.tls = true,
		.timeout_ms = 5000,
		.credentials = creds,
		.keeps_credentials = keeps};

	trial.peer.export_name = TRIAL_EXPORT;
	trial.peer.description = TRIAL_DESCRIPTION;
	trial.peer.credentials = server;
	trial_run(&trial, shared, outcome);
}

static void try(const struct tls_credentials *creds, gnutls_certificate_credentials_t server,
	struct peer_shared *shared, struct outcome *outcome)
{
	try_with(creds, server, false, shared, outcome);
}

/* It stands for a file on a disk that is away: who reads it waits. */
static void check_hanging(const struct tls_credentials *creds,
	gnutls_certificate_credentials_t server, struct peer_shared *shared,
	void (*report)(int passed, const char *name))
{
	struct outcome outcome;

	unlink(ca_file);
	if (mkfifo(ca_file, 0600) < 0)
		perror(ca_file);
	try(creds, server, shared, &outcome);
	report(outcome.rc == -ETIMEDOUT && strstr(outcome.err.text, "reading keys"),
		"a file that hangs costs the negotiation, which says so");
	try_with(creds, server, true, shared, &outcome);
	report(outcome.rc == 0 && outcome.result.tls.is_stale,
		"and not the next one, which is to leave them alone");
}

void renewal_check(const char *dir, gnutls_certificate_credentials_t server,
	void (*report)(int passed, const char *name))
{
	struct peer_shared *shared = trial_shared_new();
	struct tls_config config = {.wanted = true};
	struct tls_credentials *creds = NULL;
	struct outcome outcome;
	char right[512], wrong[512];
	struct error err = {0};

	snprintf(ca_file, sizeof(ca_file), "/tmp/test-renewal.%d", (int)getpid());
	snprintf(right, sizeof(right), "%s/ca-cert.pem", dir);
	snprintf(wrong, sizeof(wrong), "%s/client-cert.pem", dir);
	snprintf(config.ca_file, sizeof(config.ca_file), "%s", ca_file);
	put(right, NULL);
	report(tls_credentials_load(&creds, &config, &err) == 0, "an authority is loaded");
	try(creds, server, shared, &outcome);
	report(outcome.rc == 0 && !outcome.result.tls.is_stale,
		"a server of that authority is accepted");
	put(NULL, "half of a new one");
	try(creds, server, shared, &outcome);
	report(outcome.rc == 0 && outcome.result.tls.is_stale,
		"with a file that cannot be used the former authority counts, and it is told");
	put(wrong, NULL);
	try(creds, server, shared, &outcome);
	report(outcome.rc != 0 && outcome.err.kind == ERROR_TLS,
		"another authority in its place counts from the next connection on");
	put(right, NULL);
	try(creds, server, shared, &outcome);
	report(outcome.rc == 0 && !outcome.result.tls.is_stale, "and so does the right one again");
	check_hanging(creds, server, shared, report);
	unlink(ca_file);
	try(creds, server, shared, &outcome);
	report(outcome.rc == 0, "with no file in reach those in memory count");
	tls_credentials_free(creds);
	munmap(shared, sizeof(*shared));
}
