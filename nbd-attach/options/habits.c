/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options/habits.h"
#include "options/option-entry.h"
#include "options/retype.h"
#include "base/text.h"
#include "config/device-name.h"
#include "config/nbd-uri.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum role {
	ROLE_NOTHING, /* it is so by itself, or there is no such thing any more */
	ROLE_OPTION,  /* the option OURS */
	ROLE_EXPORT,
	ROLE_SOCKET,
	ROLE_COMMAND, /* the subcommand OURS */
};

/* nbd-client(8). */
static const struct habit {
	char letter;
	const char *name;
	bool has_value;
	enum role role;
	const char *ours;
} habits[] = {
	{'A', "cacertfile", true, ROLE_OPTION, "--tls-ca"},
	{'F', "certfile", true, ROLE_OPTION, "--tls-cert"},
	{'H', "tlshostname", true, ROLE_OPTION, "--tls-hostname"},
	{'K', "keyfile", true, ROLE_OPTION, "--tls-key"},
	{'L', "nonetlink", false, ROLE_NOTHING, NULL},
	{'N', "name", true, ROLE_EXPORT, "the argument behind the host"},
	{'R', "readonly", false, ROLE_OPTION, "--read-only"},
	{'S', "sdp", false, ROLE_NOTHING, NULL}, {'c', "check", false, ROLE_COMMAND, "status"},
	{'d', "disconnect", false, ROLE_COMMAND, "detach"},
	{'g', "no-optgo", false, ROLE_NOTHING, NULL}, {'l', "list", false, ROLE_COMMAND, "list"},
	{'m', "systemd-mark", false, ROLE_OPTION, "--root"},
	{'n', "nofork", false, ROLE_OPTION, "--foreground"},
	{'s', "swap", false, ROLE_OPTION, "--root"},
	{'t', "timeout", true, ROLE_OPTION, "--timeout"},
	{'u', "unix", true, ROLE_SOCKET, "nbd+unix:///EXPORT?socket=PATH"},
	{'x', "enable-tls", false, ROLE_OPTION, "--tls"},
	{'y', "priority", true, ROLE_OPTION, "--tls-priority"},
	{0, "persist", false, ROLE_NOTHING, NULL}, /* its letter is our --port */
};

struct line {
	const char *device, *host, *port, *export_name, *socket, *command;
	struct retyped options;
};

static const struct habit *find_habit(int letter, const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++)
		if ((letter && habits[i].letter == letter) ||
			(name && strlen(habits[i].name) == length &&
				strncmp(habits[i].name, name, length) == 0))
			return &habits[i];
	return NULL;
}

static void take_habit(struct line *line, const struct habit *habit, const char *value)
{
	switch (habit->role) {
	case ROLE_NOTHING: break;
	case ROLE_EXPORT: line->export_name = value; break;
	case ROLE_SOCKET: line->socket = value; break;
	case ROLE_COMMAND: line->command = habit->ours; break;
	case ROLE_OPTION:
		retype_word(&line->options, habit->ours);
		if (habit->has_value)
			retype_word(&line->options, value);
	}
}

/* By letter or by name. VALUE: what stands behind it in the same word, or NULL; NEXT: the next
 * word. Returns whether that was its value. */
static bool take_option(
	struct line *line, int letter, const char *name, const char *value, const char *next)
{
	size_t length = name ? strcspn(name, "=") : 0;
	const struct option_entry *ours = option_find(letter, name, length);
	const struct habit *habit = ours ? NULL : find_habit(letter, name, length);
	bool has_value = ours ? ours->kind != KIND_FLAG : habit && habit->has_value;
	bool is_next = has_value && !value && next;
	char typed[40];

	if (has_value && !value)
		value = next ? next : "";
	if (habit)
		take_habit(line, habit, value);
	if (ours) {
		snprintf(typed, sizeof(typed), "--%s", ours->name);
		retype_word(&line->options, typed);
		if (has_value)
			retype_word(&line->options, value);
	}
	return is_next;
}

static bool take_letters(struct line *line, const char *letters, const char *next)
{
	for (; *letters; letters++) {
		const struct option_entry *ours = option_find(*letters, NULL, 0);
		const struct habit *habit = ours ? NULL : find_habit(*letters, NULL, 0);

		if (ours ? ours->kind != KIND_FLAG : habit && habit->has_value)
			return take_option(
				line, *letters, NULL, letters[1] ? letters + 1 : NULL, next);
		take_option(line, *letters, NULL, NULL, NULL);
	}
	return false;
}

static bool take_dashed(struct line *line, const char *word, const char *next)
{
	const char *name = word + strspn(word, "-"), *equals = strchr(name, '=');
	size_t length = strcspn(name, "=");

	/* nbd-client takes long names behind one dash, too */
	if (word[1] == '-' || find_habit(0, name, length) || option_find(0, name, length))
		return take_option(line, 0, name, equals ? equals + 1 : NULL, next);
	return take_letters(line, name, next);
}

static void take_argument(struct line *line, const char *word)
{
	struct error ignored;
	int index;

	if (device_name_parse(word, &index, &ignored) == 0)
		line->device = word;
	else if (!line->host && strcmp(word, "attach") != 0)
		line->host = word;
	else if (line->host && !line->port && !word[strspn(word, "0123456789")])
		line->port = word;
	else if (line->host)
		line->export_name = word;
}

static void read_line(struct line *line, int argc, char **argv)
{
	*line = (struct line){0};
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] != '-' || !argv[i][1])
			take_argument(line, argv[i]);
		else if (take_dashed(line, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			i++;
	}
}

/* As it is typed here. False: something is missing. */
static bool write_line(const struct line *line, struct retyped *text)
{
	bool is_list = line->command && strcmp(line->command, "list") == 0;
	char uri[300];

	retype_word(text, "nbd-attach");
	if (line->command)
		retype_word(text, line->command);
	if (is_list ? !line->host : !line->device || !(line->command || line->host || line->socket))
		return false;
	if (!is_list)
		retype_word(text, line->device);
	if (line->command && !is_list)
		return true;
	if (line->socket) {
		snprintf(uri, sizeof(uri), "nbd+unix:///%s?socket=%s",
			line->export_name ? line->export_name : "", line->socket);
		retype_word(text, uri);
	} else {
		retype_word(text, line->host);
		if (line->export_name && !is_list)
			retype_word(text, line->export_name);
	}
	if (line->port) {
		retype_word(text, "--port");
		retype_word(text, line->port);
	}
	if (*line->options.s)
		snprintf(text->s + strlen(text->s), sizeof(text->s) - strlen(text->s), " %s",
			line->options.s);
	return true;
}

void habits_hint(int argc, char **argv, int letter, const char *name, struct error *err)
{
	const struct habit *habit = find_habit(letter, name, name ? strcspn(name, "=") : 0);
	struct retyped text = {""};
	struct line line;

	if (!habit)
		return;
	read_line(&line, argc, argv);
	if (write_line(&line, &text))
		error_hint(err, 0, "that is nbd-client's; here: %s", text.s);
	else if (habit->role == ROLE_NOTHING)
		error_hint(err, 0, "that is nbd-client's, and is not needed here: leave it out");
	else
		error_hint(err, 0, "that is nbd-client's; here it is %s", habit->ours);
}

/* Words of other programs for the same. */
static const char *find_synonym(const char *word)
{
	static const char *const pairs[][2] = {{"connect", "attach"}, {"mount", "attach"},
		{"add", "attach"}, {"disconnect", "detach"}, {"umount", "detach"},
		{"unmount", "detach"}, {"remove", "detach"}, {"ls", "list"}, {"exports", "list"},
		{"show", "status"}, {"check", "doctor"}, {"grow", "resize"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(pairs[i][0], word) == 0)
			return pairs[i][1];
	return NULL;
}

/* Of a device, that is, "nbd7" and what begins so. */
static bool is_like_device(const char *word)
{
	return word[0] == '/' || (strncmp(word, "nbd", 3) == 0 && !nbd_uri_is_one(word));
}

void habits_explain_first(int argc, char **argv, const char *word, const char *const commands[],
	size_t count, struct error *err)
{
	const char *meant = find_synonym(word);
	struct retyped text = {""};
	struct line line;
	bool is_host;

	if (!meant)
		meant = text_nearest(word, commands, count);
	read_line(&line, argc, argv);
	is_host = line.host && line.host == word;
	if (meant) {
		error_set(err, ERROR_USAGE, EINVAL, "there is no subcommand \"%s\"", word);
		error_hint(err, 0, "did you mean \"%s\"? see: nbd-attach help", meant);
	} else if (is_host && line.device && write_line(&line, &text)) {
		error_set(err, ERROR_USAGE, EINVAL, "the device comes first");
		error_hint(err, 0, "%s", text.s);
	} else if (is_host && !is_like_device(word)) {
		line.device = "auto";
		write_line(&line, &text);
		error_hint(err, 0, "a device comes first, or auto for a free one: %s", text.s);
	}
}
