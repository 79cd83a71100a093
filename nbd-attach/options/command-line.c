/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line against the table of options, and what is said of one that is not in it. */
#include "options/habits.h"
#include "options/option-entry.h"
#include "options/options.h"
#include "output/show.h"
#include "base/text.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define LONG_CODE 256 /* and the entry's number: what getopt_long() calls a long option */

/* A shorter name is the beginning of too much. */
#define BEGINNING_MIN 5

/* Those of MASK alone: an abbreviation means nothing that a subcommand does not take. */
static void build_getopt(unsigned mask, struct option *longs, char *shorts)
{
	*shorts++ = '+'; /* stop at the first argument: see parse_all() */
	*shorts++ = ':';
	for (size_t i = 0; i < option_entry_count; i++) {
		const struct option_entry *entry = &option_entries[i];

		if (!(entry->mask & mask))
			continue;
		*longs++ = (struct option){entry->name,
			entry->kind == KIND_FLAG ? no_argument : required_argument, NULL,
			(int)(LONG_CODE + i)};
		if (!entry->letter)
			continue;
		*shorts++ = entry->letter;
		if (entry->kind != KIND_FLAG)
			*shorts++ = ':';
	}
	*longs = (struct option){0};
	*shorts = 0;
}

static const struct option_entry *find_entry(int code)
{
	return code >= LONG_CODE ? &option_entries[code - LONG_CODE] : option_find(code, NULL, 0);
}

static int see_help(struct error *err, const char *command)
{
	return error_hint(err, -EINVAL, "see: nbd-attach %s --help", command);
}

static int no_meaning(const struct option_entry *entry, const char *command, struct error *err)
{
	error_set(err, ERROR_USAGE, EINVAL, "--%s has no meaning for \"%s\"", entry->name, command);
	return see_help(err, command);
}

static int takes_no_value(const struct option_entry *entry, struct error *err)
{
	error_set(err, ERROR_USAGE, EINVAL, "--%s takes no value", entry->name);
	if (strcmp(entry->name, "tls") == 0)
		return error_hint(err, -EINVAL,
			"--tls alone requires TLS and verifies the server; there is no weaker "
			"form");
	return error_hint(err, -EINVAL, "write --%s, or leave it out", entry->name);
}

/* "--tls-ca, --tls-cert or --tls-certificates": how many begin with NAME. */
static size_t list_candidates(
	const char *name, size_t length, unsigned mask, char *text, size_t size)
{
	size_t count = 0, left = 0, used = 0;

	for (size_t i = 0; i < option_entry_count; i++)
		left += option_entries[i].mask & mask &&
			strncmp(option_entries[i].name, name, length) == 0;
	for (size_t i = 0; i < option_entry_count && used < size; i++) {
		if (!(option_entries[i].mask & mask) ||
			strncmp(option_entries[i].name, name, length) != 0)
			continue;
		left--;
		used += (size_t)snprintf(text + used, size - used, "%s--%s",
			!count       ? "" :
				left ? ", " :
				       " or ",
			option_entries[i].name);
		count++;
	}
	return count;
}

/* An option's whole name that NAME begins with, such as "tls-ca" of "tls-cacert", or else what is
 * most like it. */
static const char *find_meant(const char *name, unsigned mask)
{
	const char *names[OPTIONS_MAX], *longest = NULL;
	size_t count = 0;

	for (size_t i = 0; i < option_entry_count; i++) {
		const char *known = option_entries[i].name;

		if (!(option_entries[i].mask & mask))
			continue;
		names[count++] = known;
		if (strlen(known) >= BEGINNING_MIN && strncmp(name, known, strlen(known)) == 0 &&
			(!longest || strlen(known) > strlen(longest)))
			longest = known;
	}
	return longest ? longest : text_nearest(name, names, count);
}

static int unknown_long(const char *typed, unsigned mask, const char *command, struct error *err)
{
	size_t length = strcspn(typed, "=");
	const struct option_entry *known = option_find(0, typed, length);
	char candidates[300], name[80];
	const char *meant;

	if (known)
		return no_meaning(known, command, err);
	snprintf(name, sizeof(name), "%.*s", (int)length, typed);
	if (list_candidates(typed, length, mask, candidates, sizeof(candidates)) > 1) {
		error_set(err, ERROR_USAGE, EINVAL, "--%s is ambiguous", name);
		return error_hint(err, -EINVAL, "it may be %s", candidates);
	}
	error_set(err, ERROR_USAGE, EINVAL, "unknown option --%s", name);
	meant = find_meant(name, mask);
	return meant ? error_hint(err, -EINVAL, "did you mean --%s?", meant) :
		       see_help(err, command);
}

/* Of getopt_long(): the argument that has LETTER may have more after it, and is not done then. */
static const char *find_cluster(int argc, char **argv, int letter)
{
	const char *last = argv[optind - 1];

	return (*last == '-' && last[strlen(last) - 1] == letter) || optind >= argc ? last :
										      argv[optind];
}

static int unknown_letter(
	int letter, const char *cluster, unsigned mask, const char *command, struct error *err)
{
	const struct option_entry *known = find_entry(letter);

	if (known && !(known->mask & mask))
		return no_meaning(known, command, err);
	error_set(err, ERROR_USAGE, EINVAL,
		strlen(cluster) > 2 ? "unknown option -%c, of %s" : "unknown option -%c", letter,
		cluster);
	return letter == 'V' ? error_hint(err, -EINVAL, "did you mean --version?") :
			       see_help(err, command);
}

static int missing_value(const char *typed, struct error *err)
{
	const char *name = typed + strspn(typed, "-");
	const struct option_entry *entry =
		typed[0] == '-' && typed[1] == '-' ? option_find(0, name, strlen(name)) : NULL;

	if (!entry && *name)
		entry = find_entry(typed[strlen(typed) - 1]);
	error_set(err, ERROR_USAGE, EINVAL, "%s needs a value", typed);
	return entry ?
		error_hint(err, -EINVAL, "--%s %s: %s", entry->name, entry->argument, entry->help) :
		-EINVAL;
}

/* "-tls" would be the letters t, l and s, or "-port" the port "ort". */
static int check_dashes(const char *typed, struct error *err)
{
	size_t length = strcspn(typed, "=");

	if (typed[0] != '-' || typed[1] == '-' || length < 4 ||
		!option_find(0, typed + 1, length - 1))
		return 0;
	error_set(err, ERROR_USAGE, EINVAL, "unknown option %.*s", (int)length, typed);
	return error_hint(
		err, -EINVAL, "did you mean -%s? a long option begins with two dashes", typed);
}

static int refuse(
	int code, int argc, char **argv, unsigned mask, const char *command, struct error *err)
{
	int rc;

	if (code == ':')
		return missing_value(argv[optind - 1], err);
	if (optopt >= LONG_CODE)
		return takes_no_value(find_entry(optopt), err);
	rc = optopt ? unknown_letter(optopt, find_cluster(argc, argv, optopt), mask, command, err) :
		      unknown_long(argv[optind - 1] + 2, mask, command, err);
	habits_hint(argc, argv, optopt, optopt ? NULL : argv[optind - 1] + 2, err);
	return rc;
}

/* Up to the first argument, at optind then, or to the end. ENDED: there are no options any more. */
static int parse_some(struct options *options, int argc, char **argv, unsigned mask,
	const char *command, bool *ended, struct error *err)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];

	build_getopt(mask, longs, shorts);
	for (;;) {
		int at = optind ? optind : 1, rc, code;

		if (at < argc && strcmp(argv[at], "--") == 0) {
			optind = at + 1;
			*ended = true;
			return 0;
		}
		rc = at < argc ? check_dashes(argv[at], err) : 0;
		if (rc)
			return rc;
		code = getopt_long(argc, argv, shorts, longs, NULL);
		if (code == -1)
			return 0;
		rc = code == '?' || code == ':' ?
			refuse(code, argc, argv, mask, command, err) :
			option_store(options, find_entry(code), optarg, err);
		if (rc)
			return rc;
	}
}

int options_parse(struct options *options, int argc, char **argv, unsigned mask,
	const char *command, struct error *err)
{
	bool ended = false;
	int rc;

	options_init(options);
	opterr = 0;
	optind = 0; /* the C library begins anew */
	do {
		rc = ended ? 0 : parse_some(options, argc, argv, mask, command, &ended, err);
		if (rc || optind >= argc)
			break;
		if (options->argument_count == 4)
			return error_set(err, ERROR_USAGE, E2BIG,
				"too many arguments, from \"%s\" on", argv[optind]);
		options->arguments[options->argument_count++] = argv[optind++];
	} while (optind < argc);
	return rc ? rc : options_check_limits(&options->settings.policy, err);
}

int options_first_argument(int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];

	build_getopt(FOR_ALL, longs, shorts);
	opterr = 0;
	optind = 0;
	while (getopt_long(argc, argv, shorts, longs, NULL) != -1)
		;
	return optind < argc ? optind : 0;
}

void options_print_help(unsigned mask)
{
	for (size_t i = 0; i < option_entry_count; i++) {
		const struct option_entry *entry = &option_entries[i];
		char left[40];

		if (!(entry->mask & mask))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", entry->name, entry->argument ? " " : "",
			entry->argument ? entry->argument : "");
		if (entry->letter)
			show_line(stdout, "  -%c, %-24s %s", entry->letter, left, entry->help);
		else
			show_line(stdout, "      %-24s %s", left, entry->help);
	}
}
