/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/commands.h"
#include "cmd/generator.h"
#include "output/report.h"
#include "output/show.h"
#include "child/sandbox.h"
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
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void show_command(const struct command *command)
{
	bool is_named = command != commands;

	show_line(stdout, "  nbd-attach %s%s%s", is_named ? command->name : "",
		is_named && *command->usage ? " " : "", command->usage);
	show_line(stdout, "      %s", command->help);
}

static int help(unsigned mask)
{
	show_line(stdout, "Attach remote disks (NBD) as block devices, encrypted by the kernel.");
	show_line(stdout, "%s", "");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].mask & mask)
			show_command(&commands[i]);
	show_line(stdout, "%s", "");
	show_line(stdout, "Options:");
	options_print_help(mask);
	if (mask == FOR_ALL)
		show_line(stdout, "      --version                  the program's version");
	show_line(stdout, "%s", "");
	show_line(stdout, "The manual page nbd-attach(8) says it all, exit statuses too.");
	return report_finish(0);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; name && i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int usage_error(const struct command *command, const char *problem)
{
	show_note("%s", problem);
	show_line(stderr, "  usage: nbd-attach %s%s%s [options]; see nbd-attach --help",
		command == commands ? "" : command->name,
		command == commands || !*command->usage ? "" : " ", command->usage);
	return ERROR_USAGE;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct options options;
	struct error err = {0};

	if (options_parse(&options, argc, argv, command->mask, command->name, &err))
		return report_error(&err);
	if (options.help)
		return help(command == commands && options.argument_count == 0 ? FOR_ALL :
										 command->mask);
	if (options.argument_count < command->min_arguments)
		return usage_error(command, "an argument is missing");
	if (options.argument_count > command->max_arguments)
		return usage_error(command, "too many arguments");
	return command->run(&options);
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
	const struct command *command = find_command(argc > 1 ? argv[1] : NULL);

	open_stdio();
	if (generator_is_called(argv[0]))
		return generator_main(argc, argv);
	sandbox_no_core_dumps();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		show_line(stdout, "nbd-attach %s", NBD_ATTACH_VERSION);
		return report_finish(0);
	}
	if (!command)
		return run(&commands[0], argc, argv);
	argv[1] = argv[0];
	return run(command, argc - 1, argv + 1);
}
