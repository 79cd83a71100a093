/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of an endpoint that both of its spellings have: for endpoint.c and nbd-uri.c only. */
#ifndef NBDA_CONFIG_ENDPOINT_PARTS
#define NBDA_CONFIG_ENDPOINT_PARTS
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct endpoint_host;
struct error;

/* A text of the user's or of a configuration file, fit for a message. */
struct endpoint_shown {
	char text[100];
};

struct endpoint_shown endpoint_show(const char *bytes, size_t len);
int endpoint_parse_port(uint16_t *port, const char *text, size_t len, struct error *err);
/* A host name that no resolver would take is better told here than as "name not known". */
int endpoint_check_host_name(const char *host, struct error *err);
int endpoint_check_export_name(const char *name, struct error *err);
/* Room for one more host, or NULL. */
struct endpoint_host *endpoint_add_host(struct endpoint *endpoint, struct error *err);
/* A host given twice would only be tried twice: it is a typo for another one. */
int endpoint_check_each_once(const struct endpoint *endpoint, struct error *err);

#endif
