// SPDX-License-Identifier: GPL-2.0-or-later
/* hostile CERTIFICATES sweeps | replies | memory | mitm [PORT:NAME...] | sweep LAYER FAULT OFFSET
 * MASK: the real negotiator against scripted peers. Prints TAP lines; the last form repeats one
 * offset and shows what came of it. PORT is a real server's, behind the man in the middle. */
#include "renewal.h"
#include "scenarios.h"
#include "tls-record.h"
#include "base/cleanup.h"
#include "nbd/nbd-protocol.h"
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>

#define WORKERS 4        /* most attempts only compute */
#define STALL_WORKERS 24 /* and these only wait */
#define BUSY_RETRIES 3
#define OFFSETS_MAX 16384
#define DATA_STRIDE 32 /* the block that the first read brings has no structure: a sample of it */
#define STALL_TIMEOUT_MS 400
#define OTHER_TIMEOUT_MS 2500
#define HONEST_TIMEOUT_MS 10000

static gnutls_certificate_credentials_t server_credentials;
static struct tls_credentials *client_credentials;
static int failures;

enum sweep_layer {
	SWEEP_PLAIN,
	SWEEP_LIST,
	SWEEP_EXPORT_NAME,
	SWEEP_BEFORE_TLS,
	SWEEP_IN_TLS,
	SWEEP_TLS_RECORDS
};
static const char *const layer_names[] = {"the plain handshake", "a plain list",
	"an OPT_EXPORT_NAME handshake", "the plaintext before TLS", "the handshake inside TLS",
	"the TLS records"};
static const char *const layer_words[] = {
	"plain", "list", "export-name", "before-tls", "in-tls", "records"};
static const char *const fault_names[] = {
	[FAULT_CUT] = "cut", [FAULT_STALL] = "stall", [FAULT_GARBLE] = "garble"};

struct sweep {
	enum sweep_layer layer;
	enum fault_kind fault;
	uint8_t mask;
	struct peer_shared map; /* of an honest run */
	unsigned count;
	uint64_t offsets[OFFSETS_MAX];
};

/* Shared by the workers. */
struct tally {
	atomic_uint next, refused, tolerated, failed;
	atomic_long maxrss_kib;
	char first_failures[4][1536];
};

static void report(bool ok, const char *name_fmt, ...) __attribute__((format(printf, 2, 3)));
static void report(bool ok, const char *name_fmt, ...)
{
	va_list ap;

	va_start(ap, name_fmt);
	printf("%sok - hostile: ", ok ? "" : "not ");
	vprintf(name_fmt, ap);
	printf("\n");
	fflush(stdout);
	va_end(ap);
	failures += !ok;
}

static struct trial sweep_trial(enum sweep_layer layer)
{
	struct trial trial = {
		.kind = layer == SWEEP_LIST ? NEGOTIATION_LIST : NEGOTIATION_ATTACH,
		.tls = layer >= SWEEP_BEFORE_TLS,
		.timeout_ms = HONEST_TIMEOUT_MS,
		.credentials = client_credentials,
	};

	trial.peer.export_name = TRIAL_EXPORT;
	trial.peer.description = TRIAL_DESCRIPTION;
	trial.peer.no_go = layer == SWEEP_EXPORT_NAME;
	trial.peer.credentials = trial.tls ? server_credentials : NULL;
	trial.peer.fault.layer = layer == SWEEP_TLS_RECORDS ? LAYER_WIRE : LAYER_NBD;
	return trial;
}

static void add_offsets(struct sweep *sweep)
{
	const struct peer_shared *map = &sweep->map;
	bool wire = sweep->layer == SWEEP_TLS_RECORDS;
	uint64_t start = sweep->layer == SWEEP_IN_TLS ? map->tls_start_nbd :
		wire                                  ? map->tls_start_wire :
							0;
	uint64_t end = sweep->layer == SWEEP_BEFORE_TLS ? map->tls_start_nbd :
		wire                                    ? map->sent_wire :
							  map->sent_nbd;
	uint64_t data = sweep->layer == SWEEP_LIST ? 0 :
		wire                               ? map->data_start_wire :
						     map->data_start_nbd;

	if (map->abort_start_nbd) /* nobody waits for the answer to OPT_ABORT */
		end = map->abort_start_nbd;
	for (uint64_t at = start; at < end && sweep->count < OFFSETS_MAX; at++)
		if (!data || at < data + 8 || at >= end - 8 || (at - data) % DATA_STRIDE == 0)
			sweep->offsets[sweep->count++] = at;
}

/* "legacy_record_version MUST be ignored for all purposes" (RFC 8446, 5.1), GnuTLS takes an
 * encrypted record of outer type handshake for what its authenticated inner type says, and 3.8 does
 * not look at the byte of a ChangeCipherSpec. Everything else in a record is authenticated. */
static bool says_nothing(const struct peer_shared *shared, uint64_t at)
{
	uint64_t record = shared->tls_start_wire;

	while (record + 5 <= shared->sent_wire && record + 5 < PEER_MAP_BYTES) {
		uint64_t size = (uint64_t)shared->wire[record + 3] << 8 | shared->wire[record + 4];

		if (at < record + 5 + size)
			return at <= record + 2 ||
				(shared->wire[record] == TLS_CHANGE_CIPHER_SPEC && size == 1);
		record += 5 + size;
	}
	return false;
}

/* May a client be content although this byte was garbled? Under TLS, no byte on the wire means
 * nothing. Inside TLS and without it, the sender may say anything where any value is legal:
 * sizes, flags, text, the block's data, the type of an information that the client can do without;
 * and an export of a list may be one that INFO is refused for. */
static bool is_tolerable(const struct sweep *sweep, const struct peer_shared *shared, uint64_t at)
{
	enum byte_tag tag = at < PEER_MAP_BYTES ? (enum byte_tag)sweep->map.tags[at] : TAG_STRICT;

	if (sweep->fault != FAULT_GARBLE)
		return false;
	if (sweep->layer == SWEEP_TLS_RECORDS)
		return says_nothing(shared, at);
	return tag == TAG_INFO_REFUSAL ? sweep->mask & 0x80 && sweep->layer == SWEEP_LIST :
					 tag != TAG_STRICT;
}

static const char *judge(const struct sweep *sweep, const struct trial *trial,
	const struct peer_shared *shared, const struct outcome *outcome, uint64_t at)
{
	const char *fault = trial_fault(trial, outcome);

	if (fault)
		return fault;
	if (!shared->fired) /* an ECDSA signature is a byte or two shorter at times */
		return outcome->rc && sweep->layer != SWEEP_TLS_RECORDS ?
			"failed although the byte was never sent" :
			NULL;
	if (outcome->rc == 0)
		return is_tolerable(sweep, shared, at) ?
			NULL :
			"success although the handshake was broken";
	if (sweep->fault == FAULT_STALL && !trial_matches("timed out", &outcome->err))
		return "a stall that is not called a timeout";
	if (sweep->fault == FAULT_STALL && outcome->elapsed_ms < trial->timeout_ms - 100)
		return "a timeout before its time";
	return NULL;
}

static void describe(char *buf, size_t size, const char *what, uint64_t at,
	const struct trial *trial, const struct outcome *outcome)
{
	snprintf(buf, size,
		"offset %llu: %s; rc %d kind %d after %lld of %d ms, status 0x%x, %ld KiB: %s | %s",
		(unsigned long long)at, what, outcome->rc, (int)outcome->err.kind,
		(long long)outcome->elapsed_ms, trial->timeout_ms, (unsigned)outcome->child_status,
		outcome->child_maxrss_kib, outcome->err.text, outcome->err.hint);
}

/* A machine that is busy with something else can make any attempt late, or take its time before
 * it comes to what is to be late: it is given twice as much, some times. A negotiator that ignores
 * its deadline is late again. WHAT is wrong with OUTCOME, or NULL. */
static bool once_more(
	const char *what, const struct outcome *outcome, struct trial *trial, int *tries)
{
	if (!what || outcome->elapsed_ms < trial->timeout_ms || ++*tries > BUSY_RETRIES)
		return false;
	trial->timeout_ms *= 2;
	return true;
}

static const char *sweep_one(const struct sweep *sweep, uint64_t at, struct peer_shared *shared,
	struct trial *trial, struct outcome *outcome)
{
	const char *what;
	int tries = 0;

	*trial = sweep_trial(sweep->layer);
	trial->timeout_ms = sweep->fault == FAULT_STALL ? STALL_TIMEOUT_MS : OTHER_TIMEOUT_MS;
	trial->peer.fault.kind = sweep->fault;
	trial->peer.fault.mask = sweep->mask;
	trial->peer.fault.at = at;
	do {
		trial_run(trial, shared, outcome);
		what = judge(sweep, trial, shared, outcome, at);
	} while (once_more(what, outcome, trial, &tries));
	return what;
}

static void sweep_worker(const struct sweep *sweep, struct tally *tally)
{
	struct peer_shared *shared = trial_shared_new();
	struct outcome outcome;
	struct trial trial;

	for (;;) {
		unsigned i = atomic_fetch_add(&tally->next, 1);
		const char *what;

		if (i >= sweep->count)
			return;
		what = sweep_one(sweep, sweep->offsets[i], shared, &trial, &outcome);
		if (outcome.child_maxrss_kib > atomic_load(&tally->maxrss_kib))
			atomic_store(&tally->maxrss_kib, outcome.child_maxrss_kib);
		if (!what) {
			atomic_fetch_add(outcome.rc ? &tally->refused : &tally->tolerated, 1);
			continue;
		}
		i = atomic_fetch_add(&tally->failed, 1);
		if (i < 4)
			describe(tally->first_failures[i], sizeof(tally->first_failures[i]), what,
				trial.peer.fault.at, &trial, &outcome);
	}
}

static void run_workers(const struct sweep *sweep, struct tally *tally)
{
	int workers = sweep->fault == FAULT_STALL ? STALL_WORKERS : WORKERS;
	pid_t pids[STALL_WORKERS];

	for (int i = 0; i < workers; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sweep_worker(sweep, tally);
			_exit(0);
		}
	}
	for (int i = 0; i < workers; i++) {
		int status = 1;

		wait4(pids[i], &status, 0, NULL);
		if (status) {
			snprintf(tally->first_failures[0], sizeof(tally->first_failures[0]),
				"a worker ended with status 0x%x", (unsigned)status);
			atomic_fetch_add(&tally->failed, 1);
		}
	}
}

static bool sweep_prepare(struct sweep *sweep)
{
	struct peer_shared *shared = trial_shared_new();
	struct trial trial = sweep_trial(sweep->layer);
	struct outcome outcome;
	const char *fault;
	char text[1536];

	trial_run(&trial, shared, &outcome);
	fault = trial_fault(&trial, &outcome);
	if (!fault && outcome.rc == 0) {
		sweep->map = *shared;
		munmap(shared, sizeof(*shared));
		add_offsets(sweep);
		return true;
	}
	describe(text, sizeof(text), fault ? fault : "no success", 0, &trial, &outcome);
	printf("# honest run of %s: %s\n", layer_names[sweep->layer], text);
	return false;
}

static void sweep_run(enum sweep_layer layer, enum fault_kind fault, uint8_t mask)
{
	struct tally *tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	_cleanup_free_ struct sweep *sweep = calloc(1, sizeof(*sweep));
	char how[32] = "";

	sweep->layer = layer;
	sweep->fault = fault;
	sweep->mask = mask;
	if (mask)
		snprintf(how, sizeof(how), " with 0x%02x", mask);
	if (sweep_prepare(sweep))
		run_workers(sweep, tally);
	for (int i = 0; i < 4 && *tally->first_failures[i]; i++)
		printf("# %s\n", tally->first_failures[i]);
	report(sweep->count && !tally->failed, "%s%s at every byte of %s (%u offsets)",
		fault_names[fault], how, layer_names[layer], sweep->count);
	printf("# %u refused, %u without harm, %u failed; at most %ld KiB\n", tally->refused,
		tally->tolerated, tally->failed, tally->maxrss_kib);
	munmap(tally, sizeof(*tally));
}

static void all_sweeps(void)
{
	for (enum sweep_layer layer = SWEEP_PLAIN; layer <= SWEEP_TLS_RECORDS; layer++) {
		sweep_run(layer, FAULT_CUT, 0);
		sweep_run(layer, FAULT_STALL, 0);
		sweep_run(layer, FAULT_GARBLE, 0xff);
		sweep_run(layer, FAULT_GARBLE, 0x01);
	}
}

static int repeat_one(char **words)
{
	_cleanup_free_ struct sweep *sweep = calloc(1, sizeof(*sweep));
	struct peer_shared *shared = trial_shared_new();
	struct outcome outcome;
	struct trial trial;
	const char *what;
	char text[1536];

	for (size_t i = 0; i < sizeof(layer_words) / sizeof(layer_words[0]); i++)
		if (strcmp(words[0], layer_words[i]) == 0)
			sweep->layer = (enum sweep_layer)i;
	for (int i = FAULT_CUT; i <= FAULT_GARBLE; i++)
		if (strcmp(words[1], fault_names[i]) == 0)
			sweep->fault = (enum fault_kind)i;
	sweep->mask = (uint8_t)strtoul(words[3], NULL, 0);
	if (!sweep_prepare(sweep))
		return 1;
	what = sweep_one(sweep, strtoull(words[2], NULL, 0), shared, &trial, &outcome);
	describe(text, sizeof(text), what ? what : "as it should be", trial.peer.fault.at, &trial,
		&outcome);
	puts(text);
	return what != NULL;
}

/* What is wrong with how a scenario ended, or NULL. */
static const char *check_ending(
	const struct outcome *outcome, unsigned endings, const char *pattern)
{
	unsigned kind = outcome->rc ? (unsigned)outcome->err.kind : ERROR_NONE;

	if (!(endings & (1U << kind)))
		return outcome->rc ? "the wrong kind of error" : "success";
	if (outcome->rc && pattern && !trial_matches(pattern, &outcome->err))
		return "the message does not say why";
	return NULL;
}

static const char *check_description(const struct scenario *scenario, const struct outcome *outcome)
{
	const struct export_names *names =
		scenario->kind == NEGOTIATION_LIST ? &outcome->last_listed.names : &outcome->names;
	struct error said = {0};
	char pattern[256];

	if (!scenario->pattern || *scenario->pattern != '^')
		return NULL;
	snprintf(said.text, sizeof(said.text), "%.600s", names->description);
	/* trial_matches() puts " | " behind the text. */
	snprintf(pattern, sizeof(pattern), "%.*s \\| $", (int)strlen(scenario->pattern) - 1,
		scenario->pattern);
	return trial_matches(pattern, &said) ? NULL :
					       "the description is not what it should be shown as";
}

static const char *judge_scenario(const struct scenario *scenario, const struct trial *trial,
	const struct peer_shared *shared, const struct outcome *outcome)
{
	const char *what = trial_fault(trial, outcome);

	if (!what)
		what = check_ending(outcome,
			scenario->endings |
				(scenario->only_if_sent && !shared->extra_sent ? SUCCEEDS : 0),
			scenario->pattern);
	if (!what && outcome->rc == 0)
		what = check_description(scenario, outcome);
	return what;
}

static void run_scenario(
	const struct scenario *scenario, const char *prefix, bool tls, struct peer_shared *shared)
{
	struct outcome outcome;
	struct trial trial = {
		.peer = scenario->peer,
		.kind = scenario->kind,
		.tls = tls,
		.timeout_ms = scenario->timeout_ms ? scenario->timeout_ms : 5000,
		.credentials = client_credentials,
	};
	const char *what;
	char text[1536];
	int tries = 0;

	trial.peer.export_name = TRIAL_EXPORT;
	trial.peer.description = TRIAL_DESCRIPTION;
	trial.peer.credentials = tls || trial.peer.tls_required ? server_credentials : NULL;
	do {
		trial_run(&trial, shared, &outcome);
		what = judge_scenario(scenario, &trial, shared, &outcome);
	} while (once_more(what, &outcome, &trial, &tries));
	if (what) {
		describe(text, sizeof(text), what, shared->sent_wire, &trial, &outcome);
		printf("# %s\n", text);
	}
	report(!what, "%s%s%s", prefix, scenario->name,
		scenario->layers == BOTH ? tls ? " (TLS)" : " (plain)" : "");
}

static void tls12_hello_request(struct peer_shared *shared)
{
	static const struct scenario scenario = {
		"TLS 1.2 HelloRequest before the first read's reply", NULL, TLS, NEGOTIATION_ATTACH,
		{.extra = EXTRA_HELLO_REQUEST,
			.extra_when = EXTRA_BEFORE_READ_REPLY,
			.priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
		SUCCEEDS | FAILS_TLS | FAILS_SERVER, "renegotiat|rehandshake|TLS|unexpected"};
	struct scenario behind = scenario;

	behind.name = "TLS 1.2 HelloRequest behind the first read";
	behind.peer.extra_when = EXTRA_BEHIND_READ_REPLY;
	behind.endings = FAILS_TLS | FAILS_SERVER;
	behind.pattern = "nobody asked for|renegotiat";
	run_scenario(&scenario, "", true, shared);
	run_scenario(&behind, "", true, shared);
}

static void names_come_when_asked_for(struct peer_shared *shared)
{
	static const enum negotiation_kind kinds[] = {NEGOTIATION_ATTACH, NEGOTIATION_INFO};
	struct outcome outcome;
	bool good = true;

	for (int i = 0; i < 4; i++) {
		struct trial trial = {
			.kind = kinds[i / 2], .without_names = i % 2, .timeout_ms = 5000};

		trial.peer.export_name = TRIAL_EXPORT;
		trial.peer.description = TRIAL_DESCRIPTION;
		trial_run(&trial, shared, &outcome);
		good = good && outcome.rc == 0 && outcome.result.export.size_bytes > 0 &&
			strcmp(outcome.names.name, i % 2 ? "" : TRIAL_EXPORT) == 0 &&
			strcmp(outcome.names.description, i % 2 ? "" : TRIAL_DESCRIPTION) == 0;
	}
	report(good, "an export's names come when they are asked for, and only then");
}

/* Without sanitizers, whose own memory would hide it: what a long answer costs. */
static void all_memory(void)
{
	struct peer_shared *shared = trial_shared_new();

	for (size_t i = 0; i < scenario_count; i++) {
		if (!strstr(scenarios[i].name, "endless") && !strstr(scenarios[i].name, "list of"))
			continue;
		if (scenarios[i].layers & PLAIN)
			run_scenario(&scenarios[i], "memory: ", false, shared);
		if (scenarios[i].layers & TLS)
			run_scenario(&scenarios[i], "memory: ", true, shared);
	}
	munmap(shared, sizeof(*shared));
}

static void all_replies(const char *dir)
{
	struct peer_shared *shared = trial_shared_new();
	struct tls_config config = {.min_version = TLS_VERSION_1_2};
	struct tls_credentials *strict = client_credentials;
	struct error err = {0};

	for (size_t i = 0; i < scenario_count; i++) {
		if (scenarios[i].layers & PLAIN)
			run_scenario(&scenarios[i], "", false, shared);
		if (scenarios[i].layers & TLS)
			run_scenario(&scenarios[i], "", true, shared);
	}
	names_come_when_asked_for(shared);
	snprintf(config.ca_file, sizeof(config.ca_file), "%s/ca-cert.pem", dir);
	if (tls_credentials_load(&client_credentials, &config, &err) == 0) {
		tls12_hello_request(shared);
		tls_credentials_free(client_credentials);
	} else
		report(false, "TLS 1.2 credentials: %s", err.text);
	client_credentials = strict;
	munmap(shared, sizeof(*shared));
}

static void run_mitm(const struct mitm_scenario *scenario, const char *server, uint16_t port,
	struct peer_shared *shared)
{
	struct outcome outcome;
	struct trial trial = {
		.mitm = &scenario->mitm,
		.backend_port = port,
		.kind = NEGOTIATION_ATTACH,
		.tls = true,
		.timeout_ms = scenario->timeout_ms ? scenario->timeout_ms : 5000,
		.credentials = client_credentials,
	};
	const char *what;
	char text[1536];
	int tries = 0;

	trial.peer.export_name = TRIAL_EXPORT;
	trial.peer.description = TRIAL_DESCRIPTION;
	trial.peer.credentials = server_credentials;
	trial.peer.keeps_state = scenario->keeps_state;
	do {
		trial_run(&trial, shared, &outcome);
		what = trial_fault(&trial, &outcome);
		if (!what)
			what = check_ending(&outcome, scenario->endings, scenario->pattern);
	} while (once_more(what, &outcome, &trial, &tries));
	if (what) {
		describe(text, sizeof(text), what, shared->heard_size, &trial, &outcome);
		printf("# %s\n", text);
	}
	report(!what, "man in the middle, %s: %s", server, scenario->name);
}

/* An attempt without TLS is heard: the search for the name in what was recorded can find it. */
static void name_can_be_heard(struct peer_shared *shared)
{
	static const struct mitm_config idle;
	struct trial trial = {.mitm = &idle, .kind = NEGOTIATION_ATTACH, .timeout_ms = 5000};
	struct outcome outcome;

	trial.peer.export_name = TRIAL_EXPORT;
	trial.peer.description = TRIAL_DESCRIPTION;
	trial_run(&trial, shared, &outcome);
	report(outcome.rc == 0 && outcome.name_in_clear,
		"man in the middle hears the export's name when TLS is not asked for");
}

static void all_mitm(char **servers)
{
	struct peer_shared *shared = trial_shared_new();

	name_can_be_heard(shared);
	for (size_t i = 0; i < mitm_scenario_count; i++) {
		const struct mitm_scenario *scenario = &mitm_scenarios[i];

		run_mitm(scenario,
			scenario->keeps_state ? "server that keeps state" : "honest server", 0,
			shared);
		for (char **server = servers; *server && !scenario->keeps_state; server++) {
			const char *colon = strchr(*server, ':');

			run_mitm(scenario, colon ? colon + 1 : *server,
				(uint16_t)strtoul(*server, NULL, 10), shared);
		}
	}
	munmap(shared, sizeof(*shared));
}

static void report_renewal(int passed, const char *name)
{
	report(passed, "renewal: %s", name);
}

static int load(const char *dir)
{
	struct tls_config config = {0};
	struct error err = {0};

	snprintf(config.ca_file, sizeof(config.ca_file), "%s/ca-cert.pem", dir);
	server_credentials = peer_load_credentials(dir);
	if (!server_credentials)
		return -EIO;
	if (tls_credentials_load(&client_credentials, &config, &err) == 0)
		return 0;
	fprintf(stderr, "%s | %s\n", err.text, err.hint);
	return -EIO;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || load(argv[1]))
		return 2;
	if (strcmp(argv[2], "sweeps") == 0)
		all_sweeps();
	else if (strcmp(argv[2], "replies") == 0)
		all_replies(argv[1]);
	else if (strcmp(argv[2], "memory") == 0)
		all_memory();
	else if (strcmp(argv[2], "renewal") == 0)
		renewal_check(argv[1], server_credentials, report_renewal);
	else if (strcmp(argv[2], "mitm") == 0)
		all_mitm(argv + 3);
	else if (strcmp(argv[2], "sweep") == 0 && argc == 7)
		failures = repeat_one(argv + 3);
	else
		return 2;
	tls_credentials_free(client_credentials);
	gnutls_certificate_free_credentials(server_credentials);
	return failures ? 1 : 0;
}
