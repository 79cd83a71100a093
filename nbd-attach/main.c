/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/commands.h"
#include "cmd/generator.h"
#include "config/device-name.h"
#include "options/habits.h"
#include "output/report.h"
#include "output/show.h"
#include "child/inherited-fds.h"
#include "child/sandbox.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name; /* the first one is what a line without a subcommand means */
	unsigned mask;
	int min_arguments, max_arguments;
	const char *usage, *help;
	int (*run)(struct options *options);
};

static int command_help(struct options *options);
static int command_version(struct options *options);

static const struct command commands[] = {
	{"attach", FOR_ATTACH, 1, 3, "DEVICE HOST [EXPORT] | DEVICE URI | DEVICE",
		"attach an export; DEVICE is /dev/nbdN, nbdN or auto; alone, as /etc/nbdtab says",
		command_attach},
	{"boot", FOR_BOOT, 0, 0, "[--plan | --files]",
		"attach what the kernel's command line and the root lines of /etc/nbdtab ask for",
		command_boot},
	{"detach", FOR_DETACH, 1, 1, "DEVICE", "detach a device that nobody uses", command_detach},
	{"status", FOR_STATUS, 0, 1, "[DEVICE]", "what is attached, and how it is", command_status},
	{"resize", FOR_RESIZE, 1, 1, "DEVICE",
		"grow a device in use to the size that its server offers now", command_resize},
	{"reload", FOR_RELOAD, 1, 1, "DEVICE",
		"take keys and certificates as their files are now, without a restart",
		command_reload},
	{"list", FOR_LIST, 1, 1, "HOST | URI", "the exports of a server", command_list},
	{"info", FOR_INFO, 1, 2, "HOST [EXPORT] | URI",
		"one export: size, flags, block sizes, TLS, certificate", command_info},
	{"audit", FOR_AUDIT, 1, 2, "HOST [EXPORT] | URI",
		"is this server's STARTTLS sound? tries on it what an attacker would",
		command_audit},
	{"doctor", FOR_DOCTOR, 0, 0, "", "what this kernel and GnuTLS can do, and what is missing",
		command_doctor},
	{"help", FOR_HELP, 0, 1, "[SUBCOMMAND]", "this help, or that of a subcommand",
		command_help},
	{"version", FOR_HELP, 0, 0, "", "the program's version", command_version},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void show_command(const struct command *command)
{
	bool is_named = command != commands;

	show_line(stdout, "  nbd-attach %s%s%s", is_named ? command->name : "",
		is_named && *command->usage ? " " : "", command->usage);
	show_line(stdout, "      %s", command->help);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; name && i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Of one subcommand, or with NULL of all. */
static int print_help(const struct command *command)
{
	show_line(stdout, "Attach remote disks (NBD) as block devices, encrypted by the kernel.");
	show_line(stdout, "%s", "");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (!command || command == &commands[i])
			show_command(&commands[i]);
	show_line(stdout, "%s", "");
	show_line(stdout, "Options:");
	options_print_help(command ? command->mask : FOR_ALL);
	show_line(stdout, "%s", "");
	show_line(stdout, "The manual page nbd-attach(8) says it all, exit statuses too.");
	return report_finish(0);
}

static void list_names(const char *names[COMMAND_COUNT])
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		names[i] = commands[i].name;
}

static int command_help(struct options *options)
{
	const char *word = options->arguments[0], *names[COMMAND_COUNT], *nearest;
	const struct command *command = find_command(word);
	struct error err;

	if (!word || command)
		return print_help(command);
	list_names(names);
	nearest = text_nearest(word, names, COMMAND_COUNT);
	error_set(&err, ERROR_USAGE, EINVAL, "there is no subcommand \"%s\"", word);
	if (nearest)
		error_hint(&err, 0, "did you mean \"%s\"? see: nbd-attach help", nearest);
	else
		error_hint(&err, 0, "see: nbd-attach help");
	return report_error(&err);
}

static int command_version(struct options *options)
{
	(void)options;
	show_line(stdout, "nbd-attach %s", NBD_ATTACH_VERSION);
	return report_finish(0);
}

static int usage_error(const struct command *command, const char *problem)
{
	const char *name = command == commands ? "" : command->name;

	show_note("%s", problem);
	show_line(stderr, "  usage: nbd-attach %s%s%s [options]; see: nbd-attach help %s", name,
		*name && *command->usage ? " " : "", command->usage, command->name);
	return ERROR_USAGE;
}

/* Without a subcommand, or with "attach", the first argument is a device, or something that was
 * meant otherwise. */
static int check_device(const struct options *options, int argc, char **argv)
{
	const char *names[COMMAND_COUNT];
	struct error err;
	int index;

	if (device_name_parse(options->arguments[0], &index, &err) == 0)
		return 0;
	list_names(names);
	habits_explain_first(argc, argv, options->arguments[0], names, COMMAND_COUNT, &err);
	return report_error(&err);
}

static int run(const struct command *command, bool is_named, int argc, char **argv)
{
	struct options options;
	struct error err = {0};
	int status = 0;

	if (options_parse(&options, argc, argv, command->mask, command->name, &err))
		return report_error(&err);
	if (options.version)
		return command_version(&options);
	if (options.help)
		return print_help(is_named || options.argument_count ? command : NULL);
	if (options.argument_count < command->min_arguments)
		return usage_error(command, "an argument is missing");
	if (command == commands)
		status = check_device(&options, argc, argv);
	if (!status && options.argument_count > command->max_arguments)
		status = usage_error(command, "too many arguments");
	return status ? status : command->run(&options);
}

/* A program whose descriptors 0 to 2 are closed would write its messages into the first socket that
 * it opens. */
static void open_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct command *command = NULL;
	int at;

	open_stdio();
	inherited_fds_note();
	if (generator_is_called(argv[0]))
		return generator_main(argc, argv);
	sandbox_no_core_dumps();
	at = options_first_argument(argc, argv);
	if (at)
		command = find_command(argv[at]);
	if (!command)
		return run(&commands[0], false, argc, argv);
	/* the subcommand is no argument of its own: "-v info HOST" is "info -v HOST" */
	for (int i = at; i < argc; i++)
		argv[i] = argv[i + 1];
	return run(command, true, argc - 1, argv);
}
