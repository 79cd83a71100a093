// SPDX-License-Identifier: GPL-2.0-or-later
#include "attack.h"
#include <string.h>

static void from_scenario(const struct scenario *scenario, struct attack *attack)
{
	bool is_of_description = scenario->pattern && *scenario->pattern == '^';

	*attack = (struct attack){.name = scenario->name,
		.peer = scenario->peer,
		.says = is_of_description ? NULL : scenario->pattern,
		.ask = scenario->kind == NEGOTIATION_LIST ? ASK_LIST : ASK_READ,
		.stalls = scenario->timeout_ms > 0};
}

static void from_mitm_scenario(const struct mitm_scenario *scenario, struct attack *attack)
{
	*attack = (struct attack){.name = scenario->name,
		.mitm = scenario->mitm,
		.says = scenario->pattern,
		.on_path = true,
		.ask = scenario->mitm.inject_structured ? ASK_MAP : ASK_READ,
		.stalls = scenario->timeout_ms > 0};
	attack->peer.keeps_state = scenario->keeps_state;
}

static bool is_attack(const struct scenario *scenario)
{
	return scenario->layers & TLS && scenario->kind != NEGOTIATION_INFO;
}

static bool get_scenario(size_t index, struct attack *attack)
{
	for (size_t i = 0; i < scenario_count; i++)
		if (is_attack(&scenarios[i]) && index-- == 0) {
			from_scenario(&scenarios[i], attack);
			return true;
		}
	return false;
}

bool attack_get(size_t index, struct attack *attack)
{
	static const struct {
		const struct attack *attacks;
		const size_t *count;
	} lists[] = {
		{path_attacks, &path_attack_count},
		{tls_attacks, &tls_attack_count},
		{impostor_attacks, &impostor_attack_count},
		{handover_attacks, &handover_attack_count},
	};

	if (index < mitm_scenario_count) {
		from_mitm_scenario(&mitm_scenarios[index], attack);
		return true;
	}
	index -= mitm_scenario_count;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (index < *lists[i].count) {
			*attack = lists[i].attacks[index];
			attack->stalls |= attack->mitm.path.action == PATH_DROP;
			return true;
		}
		index -= *lists[i].count;
	}
	return get_scenario(index, attack);
}

bool attack_find(const char *name, struct attack *attack)
{
	for (size_t i = 0; attack_get(i, attack); i++)
		if (strcmp(attack->name, name) == 0)
			return true;
	return false;
}

bool attack_is_about_reading(const struct attack *attack)
{
	enum path_record record = attack->on_path ? attack->mitm.path.record : PATH_NOTHING;

	return attack->ask == ASK_READ &&
		(attack->peer.read_mode != READ_HONEST || attack->peer.keeps_state ||
			attack->mitm.prefix || attack->peer.script.raw_size > 0 ||
			attack->peer.no_go ||
			(attack->peer.extra != EXTRA_NONE &&
				attack->peer.extra_when != EXTRA_AFTER_HANDSHAKE) ||
			record == PATH_READ_REQUEST || record == PATH_READ_REPLY);
}

bool attack_happened(const struct attack *attack, const struct attack_server *server)
{
	if (attack->tape || attack->mitm.prefix || (attack->on_path && attack->mitm.path.record))
		return server->path_shared->fired;
	if (attack->peer.extra != EXTRA_NONE)
		return server->shared->extra_sent;
	return server->shared->connections + server->path_shared->connections > 0;
}
