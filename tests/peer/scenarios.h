/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hostile or broken servers and people on the path do, and what the client has to make of
 * it. */
#ifndef SCENARIOS_H
#define SCENARIOS_H
#include "trial.h"

/* Kinds of ending that a scenario allows, as bits: 1 << enum error_kind. */
#define SUCCEEDS (1U << ERROR_NONE)
#define FAILS_TLS (1U << ERROR_TLS)
#define FAILS_UNREACHABLE (1U << ERROR_UNREACHABLE)
#define FAILS_SERVER (1U << ERROR_SERVER)

enum layers { PLAIN = 1, TLS = 2, BOTH = 3 };

struct scenario {
	const char *name;
	/* for `peer --scenario`; NULL when no test of the command line needs it */
	const char *word;
	enum layers layers;
	enum negotiation_kind kind;
	struct peer_config peer;
	unsigned endings;
	/* extended regular expression, in text or hint of a failure; or in the export's
	 * description */
	const char *pattern;
	bool only_if_sent; /* success is fine when the peer could not send its extra message */
	int timeout_ms;    /* 0: 5 s */
};

struct mitm_scenario {
	const char *name;
	struct mitm_config mitm;
	/* against the server that keeps what was agreed on before TLS; else against all honest
	 * ones */
	bool keeps_state;
	unsigned endings;
	const char *pattern;
	int timeout_ms;
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;
extern const struct mitm_scenario mitm_scenarios[];
extern const size_t mitm_scenario_count;

const struct scenario *scenario_find(const char *word);

#endif
