/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor: a table of what is there, what is missing, and the one command that fixes each. Nothing
 * is loaded or changed. */
#include "base/text.h"
#include "child/sandbox-calls.h"
#include "child/sandbox-files.h"
#include "cmd/commands.h"
#include "modules/kernel-checks.h"
#include "output/report.h"
#include "output/show.h"
#include "tls/library.h"
#include "tls/priority.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *state_name(enum check_state state)
{
	switch (state) {
	case CHECK_OK: return "ok";
	case CHECK_LOADABLE: return "loadable"; /* done by attach itself */
	case CHECK_WARN: return "warning";
	default: return "missing";
	}
}

static void library_item(struct check_item *item)
{
	struct error err;
	int rc = tls_library_load(&err);
	const char *file = rc ? NULL : tls_system_configuration();

	snprintf(item->name, sizeof(item->name), "GnuTLS");
	*item->remedy = 0;
	if (!rc)
		rc = tls_priority_check(&err);
	if (rc) {
		item->state = CHECK_MISSING;
		text_copy(item->detail, sizeof(item->detail), err.text);
		text_copy(item->remedy, sizeof(item->remedy), err.hint);
		return;
	}
	item->state = CHECK_OK;
	snprintf(item->detail, sizeof(item->detail), "%s; post-quantum hybrid groups: %s%s%s",
		tls_library_version(), tls_hybrid_group() ? "yes" : "not in this version",
		file ? "; limited by " : "", file ? file : "");
}

static void confinement_item(struct check_item *item)
{
	int abi = files_landlock_abi();

	snprintf(item->name, sizeof(item->name), "confinement");
	*item->remedy = 0;
	if (!calls_can_restrict()) {
		item->state = CHECK_MISSING;
		snprintf(item->detail, sizeof(item->detail), "no seccomp filters");
		snprintf(item->remedy, sizeof(item->remedy),
			"a kernel with CONFIG_SECCOMP_FILTER, as every distribution has");
	} else if (!abi) {
		item->state = CHECK_WARN;
		snprintf(item->detail, sizeof(item->detail),
			"system calls by seccomp; no Landlock: a negotiator that was taken over "
			"could read what everybody can");
		snprintf(item->remedy, sizeof(item->remedy),
			"put landlock into lsm= of the kernel's command line");
	} else {
		item->state = CHECK_OK;
		snprintf(item->detail, sizeof(item->detail),
			"system calls by seccomp, files by Landlock (ABI %d)", abi);
	}
}

static void print_table(const struct check_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		show_line(stdout, "%-28s %-9s %s", items[i].name, state_name(items[i].state),
			items[i].detail);
		if (items[i].state != CHECK_OK && *items[i].remedy)
			show_line(stdout, "%-28s %-9s -> %s", "", "", items[i].remedy);
	}
}

static int print_json(const struct check_item *items, size_t count, bool healthy)
{
	json_object *top = json_object_new_object(), *list = json_object_new_array(), *object;

	for (size_t i = 0; i < count; i++) {
		object = json_object_new_object();
		json_object_object_add(object, "name", json_object_new_string(items[i].name));
		json_object_object_add(
			object, "state", json_object_new_string(state_name(items[i].state)));
		json_object_object_add(object, "detail", json_object_new_string(items[i].detail));
		if (*items[i].remedy)
			json_object_object_add(
				object, "remedy", json_object_new_string(items[i].remedy));
		json_object_array_add(list, object);
	}
	json_object_object_add(top, "healthy", json_object_new_boolean(healthy));
	json_object_object_add(top, "items", list);
	return report_print_json(top);
}

int command_doctor(struct options *options)
{
	struct check_item *items = NULL, *grown;
	struct error err;
	size_t count = 0;
	bool healthy = true;
	int rc = kernel_check(&items, &count);

	grown = rc ? NULL : reallocarray(items, count + 2, sizeof(*items));
	if (!grown) {
		free(items);
		error_set(&err, ERROR_OTHER, ENOMEM, "the kernel cannot be checked: %s",
			strerror(rc ? -rc : ENOMEM));
		return report_error(&err);
	}
	items = grown;
	library_item(&items[count++]);
	confinement_item(&items[count++]);
	for (size_t i = 0; i < count; i++)
		healthy = healthy && items[i].state != CHECK_MISSING;
	if (options->json)
		rc = print_json(items, count, healthy);
	else
		print_table(items, count);
	if (!options->json) {
		show_line(stdout, "%s", "");
		show_line(stdout, "%s",
			healthy ? "This machine can attach devices over TLS." :
				  "Something is missing: see the arrows above.");
	}
	free(items);
	rc = report_finish(rc);
	return rc ? rc : healthy ? 0 : ERROR_KERNEL;
}
