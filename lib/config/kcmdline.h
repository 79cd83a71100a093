/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kernel command line asks for: the forms of Debian's nbd-client, of dracut, and ours
 * (nbd-attach(8), BOOTING). Pure: no I/O. */
#ifndef NBDA_CONFIG_KCMDLINE
#define NBDA_CONFIG_KCMDLINE
#include <stdbool.h>
#include <stddef.h>
#include "config/endpoint.h"
#include "tls/credentials.h"

#define KCMDLINE_ATTACHMENTS_MAX 16
#define KCMDLINE_ERRORS_MAX 16

struct kcmdline_input {
	const char *cmdline; /* as /proc/cmdline shows it */
	size_t size;
	/* What DHCP told; NULL or empty when it told nothing (so does the address 0.0.0.0). */
	const char *dhcp_server, *dhcp_root_path;
};

struct kcmdline_attachment {
	int index; /* of /dev/nbdINDEX */
	struct endpoint endpoint;
	struct tls_config tls; /* what a URI says of it */
	bool port_given;       /* else the endpoint has the default one */
	/* Nobody knows what answers to DHCP: all of it is DHCP's root-path, or only the server's
	 * name is DHCP's. */
	bool is_dhcps, is_dhcps_server;
	char options[512];  /* dracut's NBDOPTS: with commas between */
	char parameter[96]; /* that it stands in, for messages */
};

struct kcmdline {
	struct kcmdline_attachment attachments[KCMDLINE_ATTACHMENTS_MAX];
	size_t attachment_count;
	/* of the NBD device that root= names, or that is to hold the root; -1: none */
	int root_index;
	/* "/dev/nbd0p1"; empty when the command line does not name the root by NBD */
	char root_device[32];
	char fstype[32], mountopts[256]; /* dracut's fields, empty when not said */
	/* The server or the root-path has to come from DHCP and was not given. Then ROOT_INDEX is
	 * known, or -1 with root=dhcp, and has no attachment. */
	bool needs_dhcp;
	/* somebody wrote "dhcp"; else it is only that nobody wrote anything */
	bool names_dhcp;
	struct {
		char text[320]; /* which names the parameter */
	} errors[KCMDLINE_ERRORS_MAX];
	size_t error_count;
};

/* Fill PLAN (large: not for the stack). Parameters that cannot be understood are told in the
 * errors; the others count all the same. */
void kcmdline_parse(struct kcmdline *plan, const struct kcmdline_input *input);

#endif
