// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.h"
#include <string.h>

#define TLS_1_3_AND_1_2 "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

const struct hole holes[] = {
	{"none", "-", HOLE_NONE},
	{"flags", "greeting", HOLE_FLAGS},
	{"no-tls", "starttls", HOLE_NO_TLS},
	{"structured-unasked", "export", HOLE_NO_READ},
	{"optional", "forced-tls", HOLE_OPTIONAL},
	{"clear-export-name", "clear-export-name", HOLE_CLEAR_EXPORT_NAME},
	{"clear-old-client", "clear-old-client", HOLE_CLEAR_OLD_CLIENT},
	{"clear-info", "clear-options", HOLE_CLEAR_INFO},
	{"clear-list", "clear-options", HOLE_CLEAR_LIST},
	{"client-flags", "client-flags", HOLE_CLIENT_FLAGS},
	{"fallback", "fallback", HOLE_FALLBACK},
	{"starttls-data", "starttls-data", HOLE_STARTTLS_DATA},
	{"starttls-data-read", "starttls-data", HOLE_STARTTLS_DATA_READ},
	{"starttls-twice", "starttls-twice", HOLE_STARTTLS_TWICE},
	{"starttls-late", "starttls-late", HOLE_STARTTLS_LATE},
	{"read-ahead", "pipelined", HOLE_READ_AHEAD},
	{"answer-ahead", "pipelined", HOLE_ANSWER_AHEAD},
	{"keeps-structured", "structured-reply", HOLE_KEEPS_STRUCTURED},
	{"keeps-context", "meta-context", HOLE_KEEPS_CONTEXT},
	{"keeps-extended", "extended-headers", HOLE_KEEPS_EXTENDED},
	{"expired", "certificate", HOLE_NONE, .certs = "expired"},
	{"ends-soon", "certificate", HOLE_NONE, .certs = "ends-soon"},
	{"wrong-name", "certificate", HOLE_NONE, .certs = "wrong-name"},
	{"self-signed", "certificate", HOLE_NONE, .certs = "self-signed"},
	{"weak-key", "certificate", HOLE_NONE, .certs = "weak",
		.priority = TLS_1_3_AND_1_2 ":-RSA"},
	{"no-tls-1.3", "tls-version", HOLE_NONE, "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
	{"tls-1.1", "tls-1.1", HOLE_NONE, TLS_1_3_AND_1_2 ":+VERS-TLS1.1"},
	{"tls-1.0", "tls-1.0", HOLE_NONE, TLS_1_3_AND_1_2 ":+VERS-TLS1.0"},
	{"rc4", "tls-weak", HOLE_NONE, TLS_1_3_AND_1_2 ":+ARCFOUR-128"},
	{"3des", "tls-weak", HOLE_NONE, TLS_1_3_AND_1_2 ":+3DES-CBC"},
	{"static-rsa", "forward-secrecy", HOLE_NONE, .certs = "rsa-2048"},
	{"no-master-secret", "tls-binding", HOLE_NONE, TLS_1_3_AND_1_2 ":%NO_SESSION_HASH"},
	{"no-safe-renegotiation", "tls-binding", HOLE_NONE,
		TLS_1_3_AND_1_2 ":%DISABLE_SAFE_RENEGOTIATION"},
	{"no-sentinel", "tls-downgrade", HOLE_NO_SENTINEL},
	{"renegotiates", "renegotiation", HOLE_RENEGOTIATES},
	{"key-update", "key-update", HOLE_KEY_UPDATE},
	{"padding", "padding", HOLE_PADDING},
	{"record-size", "record-size", HOLE_RECORD_SIZE},
	{"unasked-key-update", "unasked", HOLE_UNASKED_KEY_UPDATE},
	{"unasked-data", "unasked", HOLE_UNASKED_DATA},
	{"option-length", "option-length", HOLE_OPTION_LENGTH},
	{"name-length", "name-length", HOLE_NAME_LENGTH},
	{"name-length-twice", "name-length", HOLE_NAME_LENGTH_TWICE},
	{"long-name", "long-name", HOLE_LONG_NAME},
	{"oversized-name", "oversized-name", HOLE_OVERSIZED_NAME},
	{"query-count", "query-count", HOLE_QUERY_COUNT},
	{"read-behind", "read-bounds", HOLE_READ_BEHIND},
	{"read-wrap", "read-bounds", HOLE_READ_WRAP},
	{"read-all", "read-bounds", HOLE_READ_ALL},
	{"idle-greeting", "idle-greeting", HOLE_IDLE_GREETING},
	{"idle-option", "idle-option", HOLE_IDLE_OPTION},
	{"idle-tls", "idle-tls", HOLE_IDLE_TLS},
};

const size_t hole_count = sizeof(holes) / sizeof(holes[0]);

const struct hole *hole_find(const char *name)
{
	for (size_t i = 0; i < hole_count; i++)
		if (strcmp(holes[i].name, name) == 0)
			return &holes[i];
	return NULL;
}
