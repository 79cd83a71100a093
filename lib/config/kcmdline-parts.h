/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For kcmdline*.c only: the command line's parameters, and the grammars of one server and export
 * that stand in them: Debian's, dracut's, and a URI. */
#ifndef NBDA_CONFIG_KCMDLINE_PARTS
#define NBDA_CONFIG_KCMDLINE_PARTS
#include <stdbool.h>
#include <stddef.h>

struct kcmdline;
struct kcmdline_attachment;

#define KCMDLINE_PARAMETER_SIZE 4096 /* the kernel's own limit for the whole is 2048 on x86 */
#define KCMDLINE_SHOWN_SIZE 96

/* kcmdline-parameters.c */
/* The next one at *AT, cut as the kernel does (lib/cmdline.c, next_arg): blanks within double
 * quotes are part of it, and the quotes around it or around its value are not. False at the end.
 * One that does not fit or has a control character comes as it is, cut, with *BAD. */
bool kcmdline_next_parameter(
	const char **at, const char *end, char *parameter, size_t size, bool *bad);
/* What follows "NAME=", or NULL. */
const char *kcmdline_value(const char *parameter, const char *name);
/* Add "PARAMETER: ..." to the errors of PLAN. */
void kcmdline_error(struct kcmdline *plan, const char *parameter, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct kcmdline_device {
	int index;     /* -1: none */
	char name[32]; /* "/dev/nbd0p1" */
};
/* "nbd0", "/dev/nbd0p1". */
bool kcmdline_parse_device(struct kcmdline_device *device, const char *text);

/* kcmdline-server.c */
/* Where to put it, and what DHCP told. */
struct kcmdline_source {
	struct kcmdline *plan;
	struct kcmdline_attachment *attachment;
	const char *parameter; /* for messages */
	const char *dhcp_server;
};

bool kcmdline_is_address(const char *text);
/* dracut's grammar, which "//" tells from an NBD URI. */
bool kcmdline_is_dracut(const char *text);
/* False: an error was told, or DHCP is needed. DEVICE receives the third field of Debian's. */
bool kcmdline_take_source(
	const struct kcmdline_source *source, const char *text, struct kcmdline_device *device);
/* HOST, PORT and EXPORT as parts of any grammar; PORT may be empty, EXPORT_NAME NULL. */
bool kcmdline_take_server(const struct kcmdline_source *source, const char *host, const char *port,
	const char *export_name);
bool kcmdline_take_uri(const struct kcmdline_source *source, const char *uri);

#endif
