/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/kcmdline.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/text.h"
#include "config/kcmdline-parts.h"
#include "config/nbd-uri.h"

/* Those that count; of each the last one, as for the shells that read them so far. Empty: not
 * there. */
struct parameters {
	char root[KCMDLINE_PARAMETER_SIZE], netroot[KCMDLINE_PARAMETER_SIZE],
		nbdroot[KCMDLINE_PARAMETER_SIZE], nbddev[KCMDLINE_PARAMETER_SIZE];
	/* mkinitcpio-nbd's, Arch Linux */
	char nbd_host[KCMDLINE_PARAMETER_SIZE], nbd_port[KCMDLINE_PARAMETER_SIZE],
		nbd_name[KCMDLINE_PARAMETER_SIZE];
	bool has_nbdroot;
};

static struct kcmdline_attachment *add_attachment(
	struct kcmdline *plan, int index, const char *parameter)
{
	struct kcmdline_attachment *attachment;

	if (plan->attachment_count == KCMDLINE_ATTACHMENTS_MAX) {
		kcmdline_error(plan, parameter, "more than %d devices", KCMDLINE_ATTACHMENTS_MAX);
		return NULL;
	}
	attachment = &plan->attachments[plan->attachment_count];
	memset(attachment, 0, sizeof(*attachment));
	attachment->index = index;
	text_sanitise(
		attachment->parameter, sizeof(attachment->parameter), parameter, strlen(parameter));
	return attachment;
}

/* "nbd0=nbds://host/export" */
static void take_attach(struct kcmdline *plan, const char *value, const char *parameter)
{
	const char *uri = strchr(value, '=');
	struct kcmdline_source source = {.plan = plan, .parameter = parameter};
	struct kcmdline_device device = {.index = -1};
	char name[32];

	if (uri && (size_t)(uri - value) < sizeof(name)) {
		memcpy(name, value, (size_t)(uri - value));
		name[uri - value] = 0;
		kcmdline_parse_device(&device, name);
	}
	if (device.index < 0 || !uri || !nbd_uri_is_one(uri + 1) || strchr(device.name, 'p')) {
		kcmdline_error(plan, parameter,
			"rd.nbd.attach=nbdN=URI is wanted, with a URI such as nbds://host/export");
		return;
	}
	for (size_t i = 0; i < plan->attachment_count; i++)
		if (plan->attachments[i].index == device.index) {
			kcmdline_error(plan, parameter, "nbd%d is taken already", device.index);
			return;
		}
	source.attachment = add_attachment(plan, device.index, parameter);
	if (source.attachment && kcmdline_take_uri(&source, uri + 1))
		plan->attachment_count++;
}

static bool is_ours(const char *parameter)
{
	return kcmdline_value(parameter, "nbdroot") || kcmdline_value(parameter, "nbddev") ||
		strncmp(parameter, "nbd_", 4) == 0 || kcmdline_value(parameter, "rd.nbd.attach") ||
		strncmp(parameter, "root=nbd", 8) == 0 ||
		strncmp(parameter, "root=/dev/nbd", 13) == 0 ||
		strncmp(parameter, "netroot=nbd", 11) == 0;
}

static void take_parameter(
	struct kcmdline *plan, struct parameters *parameters, const char *parameter)
{
	const struct {
		const char *name;
		char *value;
	} known[] = {{"nbdroot", parameters->nbdroot}, {"root", parameters->root},
		{"netroot", parameters->netroot}, {"nbddev", parameters->nbddev},
		{"nbd_host", parameters->nbd_host}, {"nbd_port", parameters->nbd_port},
		{"nbd_name", parameters->nbd_name}};
	const char *value = kcmdline_value(parameter, "rd.nbd.attach");

	if (value)
		take_attach(plan, value, parameter);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		value = kcmdline_value(parameter, known[i].name);
		if (value)
			text_copy(known[i].value, KCMDLINE_PARAMETER_SIZE, value);
	}
	parameters->has_nbdroot = parameters->has_nbdroot || kcmdline_value(parameter, "nbdroot");
}

static void read_parameters(
	struct kcmdline *plan, const struct kcmdline_input *input, struct parameters *parameters)
{
	const char *at = input->cmdline, *end = at + input->size;
	_cleanup_free_ char *parameter = malloc(KCMDLINE_PARAMETER_SIZE);
	bool bad;

	if (!parameter)
		kcmdline_error(plan, "the command line", "out of memory");
	while (parameter &&
		kcmdline_next_parameter(&at, end, parameter, KCMDLINE_PARAMETER_SIZE, &bad)) {
		if (bad && is_ours(parameter))
			kcmdline_error(
				plan, parameter, "it has a control character, or is too long");
		if (!bad)
			take_parameter(plan, parameters, parameter);
	}
	if (!*parameters->nbd_host && (*parameters->nbd_name || *parameters->nbd_port))
		kcmdline_error(plan, *parameters->nbd_name ? "nbd_name=" : "nbd_port=",
			"nbd_host= is missing, which says of which server");
}

/* The device that nbddev= or root=/dev/nbdN names; the latter goes first, whatever their order. */
static void find_device(
	struct kcmdline *plan, const struct parameters *parameters, struct kcmdline_device *device)
{
	char parameter[KCMDLINE_PARAMETER_SIZE + 16];

	if (*parameters->nbddev && !kcmdline_parse_device(device, parameters->nbddev)) {
		snprintf(parameter, sizeof(parameter), "nbddev=%s", parameters->nbddev);
		kcmdline_error(plan, parameter, "a device such as /dev/nbd0 is wanted");
	}
	if (strncmp(parameters->root, "/dev/nbd", 8) != 0)
		return;
	if (kcmdline_parse_device(device, parameters->root)) {
		text_copy(plan->root_device, sizeof(plan->root_device), device->name);
		return;
	}
	snprintf(parameter, sizeof(parameter), "root=%s", parameters->root);
	kcmdline_error(plan, parameter, "that is no NBD device; /dev/nbd0 and /dev/nbd0p1 are");
}

static bool is_dhcp(const char *value)
{
	return strcmp(value, "dhcp") == 0 || strcmp(value, "dhcp4") == 0 ||
		strcmp(value, "dhcp6") == 0;
}

static bool has_attachment(const struct kcmdline *plan, int index)
{
	for (size_t i = 0; i < plan->attachment_count; i++)
		if (plan->attachments[i].index == index)
			return true;
	return false;
}

/* Where the root's server and export stand; PARAMETER is for messages. NULL when the root is none
 * of ours, or when DHCP has to tell. */
static const char *find_source(struct kcmdline *plan, const struct parameters *parameters,
	const struct kcmdline_device *device, const char *root_path,
	char parameter[KCMDLINE_PARAMETER_SIZE + 16])
{
	bool names_dhcp = is_dhcp(parameters->nbdroot) || is_dhcp(parameters->root) ||
		is_dhcp(parameters->netroot);
	bool debian = parameters->has_nbdroot ||
		(device->index >= 0 && !has_attachment(plan, device->index));

	snprintf(parameter, KCMDLINE_PARAMETER_SIZE + 16, "root=%s", parameters->root);
	if (kcmdline_is_dracut(parameters->root) || nbd_uri_is_one(parameters->root))
		return parameters->root;
	snprintf(parameter, KCMDLINE_PARAMETER_SIZE + 16, "netroot=%s", parameters->netroot);
	if (kcmdline_is_dracut(parameters->netroot) || nbd_uri_is_one(parameters->netroot))
		return parameters->netroot;
	snprintf(parameter, KCMDLINE_PARAMETER_SIZE + 16, "nbdroot=%s", parameters->nbdroot);
	if (*parameters->nbdroot && !is_dhcp(parameters->nbdroot))
		return parameters->nbdroot;
	snprintf(parameter, KCMDLINE_PARAMETER_SIZE + 16, "nbd_host=%s", parameters->nbd_host);
	if (*parameters->nbd_host)
		return parameters->nbd_host;
	if (!debian && !names_dhcp)
		return NULL;
	plan->names_dhcp = names_dhcp;
	if (!root_path) {
		plan->needs_dhcp = true;
		return NULL;
	}
	snprintf(parameter, KCMDLINE_PARAMETER_SIZE + 16, "DHCP root-path %s", root_path);
	if (kcmdline_value(root_path, "nbdroot")) /* Debian's old way */
		root_path = kcmdline_value(root_path, "nbdroot");
	/* dracut's root=dhcp may just as well mean NFS or iSCSI. */
	return debian || kcmdline_is_dracut(root_path) || nbd_uri_is_one(root_path) ? root_path :
										      NULL;
}

/* Does root= leave it to us where the root is? UUID=... does not. */
static bool root_is_open(const char *root)
{
	return !*root || strcmp(root, "nbd") == 0 || is_dhcp(root) || kcmdline_is_dracut(root) ||
		nbd_uri_is_one(root);
}

static bool has_control(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static struct kcmdline_attachment *add_root(
	struct kcmdline *plan, const char *parameter, bool is_dhcps)
{
	struct kcmdline_attachment *attachment = add_attachment(plan, -1, parameter);

	if (attachment)
		attachment->is_dhcps = is_dhcps;
	return attachment;
}

static bool take_value(const struct kcmdline_source *source, const struct parameters *parameters,
	const char *value, struct kcmdline_device *device)
{
	if (value == parameters->nbd_host)
		return kcmdline_take_server(
			source, value, parameters->nbd_port, parameters->nbd_name);
	return kcmdline_take_source(source, value, device);
}

static bool is_within(const char *part, const char *text)
{
	return text && part >= text && part <= text + strlen(text);
}

static void take_root(struct kcmdline *plan, const struct parameters *parameters,
	const struct kcmdline_input *input)
{
	const char *root_path = input->dhcp_root_path && *input->dhcp_root_path ?
		input->dhcp_root_path :
		NULL,
		   *value;
	struct kcmdline_device device = {.index = -1}, third = {.index = -1};
	struct kcmdline_source source = {.plan = plan, .dhcp_server = input->dhcp_server};
	char parameter[KCMDLINE_PARAMETER_SIZE + 16];

	if (has_control(root_path) || has_control(source.dhcp_server)) {
		kcmdline_error(plan, "what DHCP told", "it has a control character");
		root_path = source.dhcp_server = NULL;
	}
	find_device(plan, parameters, &device);
	value = find_source(plan, parameters, &device, root_path, parameter);
	source.parameter = parameter;
	if (!source.dhcp_server || !*source.dhcp_server ||
		strcmp(source.dhcp_server, "0.0.0.0") == 0)
		source.dhcp_server = NULL;
	/* "nbdroot=dhcp,EXPORT,nbd0": as Debian documents it */
	if (root_path && value != root_path && kcmdline_is_address(root_path))
		source.dhcp_server = root_path;
	source.attachment = value ? add_root(plan, parameter, is_within(value, root_path)) : NULL;
	if (source.attachment && take_value(&source, parameters, value, &third))
		plan->attachment_count++;
	else
		source.attachment = NULL;
	if (device.index < 0)
		device = third;
	if (device.index < 0 && (value || (plan->needs_dhcp && parameters->has_nbdroot)))
		kcmdline_parse_device(&device, "nbd0");
	plan->root_index = value && !source.attachment && !plan->needs_dhcp ? -1 : device.index;
	if (source.attachment) {
		plan->attachment_count--;
		if (has_attachment(plan, device.index)) {
			kcmdline_error(plan, parameter, "nbd%d is taken already", device.index);
			return;
		}
		plan->attachment_count++;
		source.attachment->index = device.index;
	}
	if (device.index >= 0 && root_is_open(parameters->root))
		text_copy(plan->root_device, sizeof(plan->root_device), device.name);
}

void kcmdline_parse(struct kcmdline *plan, const struct kcmdline_input *input)
{
	_cleanup_free_ struct parameters *parameters = calloc(1, sizeof(*parameters));

	memset(plan, 0, sizeof(*plan));
	plan->root_index = -1;
	if (!parameters) {
		kcmdline_error(plan, "the command line", "out of memory");
		return;
	}
	read_parameters(plan, input, parameters);
	take_root(plan, parameters, input);
}
