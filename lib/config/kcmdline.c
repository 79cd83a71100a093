/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/kcmdline.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/text.h"
#include "config/nbd-uri.h"

#define WORD_MAX 4096 /* the kernel's own limit for the whole is 2048 on x86 */
#define SHOWN_MAX 96
#define INDEX_MAX 1048575 /* a minor number has 20 bits */

/* The words that count; of each the last one, as for the shells that read them so far. Empty: not
 * there. */
struct words {
	char root[WORD_MAX], netroot[WORD_MAX], nbdroot[WORD_MAX], nbddev[WORD_MAX];
	bool has_nbdroot;
};

struct device {
	int index;     /* -1: none */
	char name[32]; /* "/dev/nbd0p1" */
};

static void plan_error(struct kcmdline *plan, const char *word, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void show(char shown[SHOWN_MAX], const char *word)
{
	text_sanitise(shown, SHOWN_MAX, word, strlen(word));
}

static void plan_error(struct kcmdline *plan, const char *word, const char *fmt, ...)
{
	char shown[SHOWN_MAX], why[220];
	va_list args;

	if (plan->error_count == KCMDLINE_ERRORS_MAX)
		return;
	show(shown, word);
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	snprintf(plan->errors[plan->error_count].text, sizeof(plan->errors[0].text), "%s: %s",
		shown, why);
	plan->error_count++;
}

/* --- words, as the kernel cuts them (lib/cmdline.c, next_arg) */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word at *AT, unquoted as the kernel does: blanks within double quotes are part of it,
 * and the quotes around the word or around its value are not. Returns false at the end. One that
 * does not fit or has a control character comes as it is, cut, with *BAD. */
static bool next_word(const char **at, const char *end, char *word, size_t size, bool *bad)
{
	const char *p = *at, *first, *last, *equals = NULL;
	bool quoted, in_quotes = false;
	size_t used = 0;

	while (p < end && is_space(*p))
		p++;
	if (p == end)
		return false;
	quoted = *p == '"';
	first = p + quoted;
	for (p = first, in_quotes = quoted; p < end && (in_quotes || !is_space(*p)); p++) {
		if (*p == '=' && !equals)
			equals = p;
		if (*p == '"')
			in_quotes = !in_quotes;
	}
	*at = last = p;
	if (equals && equals + 1 < last && equals[1] == '"') {
		if (last[-1] == '"' && last - 1 > equals + 1)
			last--;
	} else if (quoted && last > first && last[-1] == '"') {
		last--;
	}
	*bad = false;
	for (p = first; p < last; p++) {
		if (equals && p == equals + 1 && *p == '"')
			continue;
		*bad = *bad || used + 1 >= size || (unsigned char)*p < ' ' || *p == 0x7f;
		if (used + 1 < size)
			word[used++] = *p ? *p : '?';
	}
	word[used] = 0;
	return true;
}

static const char *value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

/* --- devices */

/* "nbd0", "/dev/nbd0p1". */
static bool parse_device(struct device *device, const char *text)
{
	unsigned long index, partition = 0;
	const char *p = strncmp(text, "/dev/", 5) == 0 ? text + 5 : text;
	char *end;

	device->index = -1;
	if (strncmp(p, "nbd", 3) != 0 || p[3] < '0' || p[3] > '9')
		return false;
	index = strtoul(p + 3, &end, 10);
	if (*end == 'p' && end[1] >= '1' && end[1] <= '9')
		partition = strtoul(end + 1, &end, 10);
	if (*end || index > INDEX_MAX || partition > 255)
		return false;
	device->index = (int)index;
	snprintf(device->name, sizeof(device->name), partition ? "/dev/nbd%lup%lu" : "/dev/nbd%lu",
		index, partition);
	return true;
}

static struct kcmdline_attachment *add_attachment(
	struct kcmdline *plan, int index, const char *word)
{
	struct kcmdline_attachment *attachment;

	if (plan->attachment_count == KCMDLINE_ATTACHMENTS_MAX) {
		plan_error(plan, word, "more than %d devices", KCMDLINE_ATTACHMENTS_MAX);
		return NULL;
	}
	attachment = &plan->attachments[plan->attachment_count];
	memset(attachment, 0, sizeof(*attachment));
	attachment->index = index;
	show(attachment->word, word);
	return attachment;
}

/* --- the grammars of one server and export */

/* Where to put it, and what DHCP told. */
struct source {
	struct kcmdline *plan;
	struct kcmdline_attachment *attachment;
	const char *word; /* for messages */
	const char *dhcp_server;
};

static bool is_address(const char *text)
{
	unsigned char address[16];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/* HOST, PORT and EXPORT as words of any grammar; PORT may be empty. False: an error was told, or
 * DHCP is needed. */
static bool take_server(
	const struct source *source, const char *host, const char *port, const char *export_name)
{
	struct kcmdline_attachment *attachment = source->attachment;
	unsigned long number = strtoul(port, NULL, 10);
	struct error err;

	if (!*host || strcmp(host, "dhcp") == 0) {
		host = source->dhcp_server;
		if (!host) {
			source->plan->needs_dhcp = true;
			return false;
		}
	}
	if (*port && (!is_number(port) || number < 1 || number > 65535)) {
		plan_error(source->plan, source->word, "the port is not a number from 1 to 65535");
		return false;
	}
	if (endpoint_parse(&attachment->endpoint, host, export_name, &err) ||
		(*port && endpoint_set_port(&attachment->endpoint, (uint16_t)number, &err))) {
		plan_error(source->plan, source->word, "%s", err.text);
		return false;
	}
	attachment->port_given = *port;
	for (size_t i = 0; i < attachment->endpoint.host_count; i++)
		attachment->port_given = attachment->port_given ||
			attachment->endpoint.hosts[i].port != ENDPOINT_DEFAULT_PORT;
	return true;
}

static bool take_uri(const struct source *source, const char *uri)
{
	struct tls_config *tls = &source->attachment->tls;
	struct error err;

	if (nbd_uri_parse(&source->attachment->endpoint, tls, uri, &err)) {
		plan_error(source->plan, source->word, "%s", err.text);
		return false;
	}
	/* In an initramfs, relative to what? */
	if ((*tls->certificates_dir && *tls->certificates_dir != '/') ||
		(*tls->psk_file && *tls->psk_file != '/')) {
		plan_error(
			source->plan, source->word, "a file is named that does not begin with /");
		return false;
	}
	source->attachment->port_given = true; /* a URI leaves nothing to be looked up */
	return true;
}

/* Find the end of the host in TEXT: what follows it. */
static char *host_end(char *text)
{
	char *end = NULL, *slash = strchr(text, '/');

	if (*text == '[')
		end = strchr(text, ']');
	if (end)
		return end + 1;
	/* A bare IPv6 address: nobody's documentation has it, and everybody writes it once. */
	if (slash && slash - text < 64) {
		char address[64] = "";

		memcpy(address, text, (size_t)(slash - text));
		if (strchr(address, ':') && is_address(address))
			return slash;
	}
	return text + strcspn(text, ":/");
}

/* "SRV:PORT/EXPORT", "SRV/EXPORT", "SRV:/path", "SRV:EXPORT": Debian's script, and what its
 * documentation adds. */
static bool take_debian_path(const struct source *source, char *text)
{
	char *host = text, *rest = host_end(text), *port, *slash;
	char kind = *rest;

	if (kind && kind != ':' && kind != '/') {
		plan_error(source->plan, source->word,
			"after the address in brackets, :PORT or /EXPORT is wanted");
		return false;
	}
	/* no server: the export keeps the slash, as an NFS path does */
	if (kind == '/' && rest == text)
		return take_server(source, "", "", rest);
	*rest = 0;
	if (!kind)
		return take_server(source, host, "", NULL);
	rest++;
	if (kind == '/')
		return take_server(source, host, "", rest);
	if (*rest == '/')
		return take_server(source, host, "", rest);
	port = rest;
	slash = strchr(rest, '/');
	if (is_number(port))
		return take_server(source, host, port, NULL);
	if (!slash || strspn(port, "0123456789") != (size_t)(slash - port))
		return take_server(source, host, "", rest);
	*slash = 0;
	return take_server(source, host, port, slash + 1);
}

/* "SRV,EXPORT,nbdN", "SRV,EXPORT", "SRV,PORT", and the forms of paths. DEVICE receives the third
 * field. */
static bool take_debian(const struct source *source, char *text, struct device *device)
{
	char *last = strrchr(text, ','), *second;

	if (!last)
		return take_debian_path(source, text);
	*last = 0;
	second = strrchr(text, ',');
	/* only here Debian's documentation lets digits be a port, without breaking what its script
	 * does */
	if (!second) {
		if (is_number(last + 1))
			return take_server(source, text, last + 1, NULL);
		return take_server(source, text, "", last + 1);
	}
	if (last[1] && !parse_device(device, last + 1)) {
		plan_error(
			source->plan, source->word, "the third part is not a device such as nbd0");
		return false;
	}
	*second = 0;
	return take_server(source, text, "", second + 1);
}

/* The text up to the next ':', and what follows it in *REST (NULL: nothing). */
static char *next_part(char **rest)
{
	char *part = *rest, *colon;

	if (!part)
		return (char *)"";
	colon = strchr(part, ':');
	if (colon)
		*colon = 0;
	*rest = colon ? colon + 1 : NULL;
	return part;
}

/* They end up in shell scripts of an initramfs, which quote them more or less, and they may be
 * DHCP's. */
static bool is_for_mount(const char *text)
{
	return !text[strcspn(text, "'\"\\`$;&|<>(){}*?~!# \t")];
}

/* "SRV:PORT|EXPORT[:FSTYPE[:MOUNTOPTS[:NBDOPTS]]]", after "nbd:". */
static bool take_dracut(const struct source *source, char *text)
{
	struct kcmdline *plan = source->plan;
	char *rest = text, *host, *export_name, *fstype, *mountopts;

	if (*text == '[' && strchr(text, ']')) {
		host = text;
		rest = strchr(text, ']') + 1;
		if (*rest == ':')
			*rest++ = 0;
		else
			rest = NULL;
	} else {
		host = next_part(&rest);
	}
	if (!rest || !*rest || *rest == ':') {
		plan_error(plan, source->word,
			"after the server, a port or an export is wanted: nbd:SERVER:EXPORT");
		return false;
	}
	export_name = next_part(&rest);
	fstype = next_part(&rest);
	mountopts = next_part(&rest);
	if (!text_copy(plan->fstype, sizeof(plan->fstype), fstype) ||
		!text_copy(plan->mountopts, sizeof(plan->mountopts), mountopts) ||
		!text_copy(source->attachment->options, sizeof(source->attachment->options),
			rest ? rest : "")) {
		plan->fstype[0] = plan->mountopts[0] = 0;
		plan_error(plan, source->word, "a part is too long");
		return false;
	}
	if (!is_for_mount(fstype) || !is_for_mount(mountopts)) {
		plan->fstype[0] = plan->mountopts[0] = 0;
		plan_error(plan, source->word,
			"no file system type or mount option has such characters");
		return false;
	}
	return is_number(export_name) ? take_server(source, host, export_name, NULL) :
					take_server(source, host, "", export_name);
}

/* dracut's, which "//" tells from an NBD URI. */
static bool is_dracut(const char *text)
{
	return strncmp(text, "nbd:", 4) == 0 && !nbd_uri_is_one(text);
}

static bool take_any(const struct source *source, const char *text, struct device *device)
{
	_cleanup_free_ char *copy = strdup(text);

	if (nbd_uri_is_one(text))
		return take_uri(source, text);
	if (!copy) {
		plan_error(source->plan, source->word, "out of memory");
		return false;
	}
	return is_dracut(text) ? take_dracut(source, copy + 4) : take_debian(source, copy, device);
}

/* --- the whole */

/* "nbd0=nbds://host/export" */
static void take_attach(struct kcmdline *plan, const char *value, const char *word)
{
	const char *uri = strchr(value, '=');
	struct source source = {.plan = plan, .word = word};
	struct device device = {.index = -1};
	char name[32];

	if (uri && (size_t)(uri - value) < sizeof(name)) {
		memcpy(name, value, (size_t)(uri - value));
		name[uri - value] = 0;
		parse_device(&device, name);
	}
	if (device.index < 0 || !uri || !nbd_uri_is_one(uri + 1) || strchr(device.name, 'p')) {
		plan_error(plan, word,
			"rd.nbd.attach=nbdN=URI is wanted, with a URI such as nbds://host/export");
		return;
	}
	for (size_t i = 0; i < plan->attachment_count; i++)
		if (plan->attachments[i].index == device.index) {
			plan_error(plan, word, "nbd%d is taken already", device.index);
			return;
		}
	source.attachment = add_attachment(plan, device.index, word);
	if (source.attachment && take_uri(&source, uri + 1))
		plan->attachment_count++;
}

static bool is_ours(const char *word)
{
	return value_of(word, "nbdroot") || value_of(word, "nbddev") ||
		value_of(word, "rd.nbd.attach") || strncmp(word, "root=nbd", 8) == 0 ||
		strncmp(word, "root=/dev/nbd", 13) == 0 || strncmp(word, "netroot=nbd", 11) == 0;
}

static void read_words(
	struct kcmdline *plan, const struct kcmdline_input *input, struct words *words)
{
	const char *at = input->cmdline, *end = at + input->size, *value;
	_cleanup_free_ char *word = malloc(WORD_MAX);
	bool bad;

	if (!word)
		plan_error(plan, "the command line", "out of memory");
	while (word && next_word(&at, end, word, WORD_MAX, &bad)) {
		if (bad && is_ours(word))
			plan_error(plan, word, "it has a control character, or is too long");
		if (bad)
			continue;
		value = value_of(word, "nbdroot");
		words->has_nbdroot = words->has_nbdroot || value;
		if (value)
			text_copy(words->nbdroot, WORD_MAX, value);
		else if ((value = value_of(word, "root")))
			text_copy(words->root, WORD_MAX, value);
		else if ((value = value_of(word, "netroot")))
			text_copy(words->netroot, WORD_MAX, value);
		else if ((value = value_of(word, "nbddev")))
			text_copy(words->nbddev, WORD_MAX, value);
		else if ((value = value_of(word, "rd.nbd.attach")))
			take_attach(plan, value, word);
	}
}

/* The device that nbddev= or root=/dev/nbdN names; the latter goes first, whatever their order. */
static void find_device(struct kcmdline *plan, const struct words *words, struct device *device)
{
	char word[WORD_MAX + 16];

	if (*words->nbddev && !parse_device(device, words->nbddev)) {
		snprintf(word, sizeof(word), "nbddev=%s", words->nbddev);
		plan_error(plan, word, "a device such as /dev/nbd0 is wanted");
	}
	if (strncmp(words->root, "/dev/nbd", 8) != 0)
		return;
	if (parse_device(device, words->root)) {
		text_copy(plan->root_device, sizeof(plan->root_device), device->name);
		return;
	}
	snprintf(word, sizeof(word), "root=%s", words->root);
	plan_error(plan, word, "that is no NBD device; /dev/nbd0 and /dev/nbd0p1 are");
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

/* Where the root's server and export stand: WORD is for messages. Returns NULL when the root is
 * none of ours, or when DHCP has to tell. */
static const char *find_source(struct kcmdline *plan, const struct words *words,
	const struct device *device, const char *root_path, char word[WORD_MAX + 16])
{
	bool names_dhcp =
		is_dhcp(words->nbdroot) || is_dhcp(words->root) || is_dhcp(words->netroot);
	bool debian =
		words->has_nbdroot || (device->index >= 0 && !has_attachment(plan, device->index));

	snprintf(word, WORD_MAX + 16, "root=%s", words->root);
	if (is_dracut(words->root) || nbd_uri_is_one(words->root))
		return words->root;
	snprintf(word, WORD_MAX + 16, "netroot=%s", words->netroot);
	if (is_dracut(words->netroot) || nbd_uri_is_one(words->netroot))
		return words->netroot;
	snprintf(word, WORD_MAX + 16, "nbdroot=%s", words->nbdroot);
	if (*words->nbdroot && !is_dhcp(words->nbdroot))
		return words->nbdroot;
	if (!debian && !names_dhcp)
		return NULL;
	plan->names_dhcp = names_dhcp;
	if (!root_path) {
		plan->needs_dhcp = true;
		return NULL;
	}
	snprintf(word, WORD_MAX + 16, "DHCP root-path %s", root_path);
	if (value_of(root_path, "nbdroot")) /* Debian's old way */
		root_path = value_of(root_path, "nbdroot");
	/* dracut's root=dhcp may just as well mean NFS or iSCSI. */
	return debian || is_dracut(root_path) || nbd_uri_is_one(root_path) ? root_path : NULL;
}

/* Does root= leave it to us where the root is? UUID=... does not. */
static bool root_is_open(const char *root)
{
	return !*root || strcmp(root, "nbd") == 0 || is_dhcp(root) || is_dracut(root) ||
		nbd_uri_is_one(root);
}

static bool has_control(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static void take_root(
	struct kcmdline *plan, const struct words *words, const struct kcmdline_input *input)
{
	const char *root_path = input->dhcp_root_path && *input->dhcp_root_path ?
		input->dhcp_root_path :
		NULL,
		   *value;
	struct device device = {.index = -1}, third = {.index = -1};
	struct source source = {.plan = plan, .dhcp_server = input->dhcp_server};
	char word[WORD_MAX + 16];

	if (has_control(root_path) || has_control(source.dhcp_server)) {
		plan_error(plan, "what DHCP told", "it has a control character");
		root_path = source.dhcp_server = NULL;
	}
	find_device(plan, words, &device);
	value = find_source(plan, words, &device, root_path, word);
	source.word = word;
	if (!source.dhcp_server || !*source.dhcp_server ||
		strcmp(source.dhcp_server, "0.0.0.0") == 0)
		source.dhcp_server = NULL;
	/* "nbdroot=dhcp,EXPORT,nbd0": as Debian documents it */
	if (root_path && value != root_path && is_address(root_path))
		source.dhcp_server = root_path;
	source.attachment = value ? add_attachment(plan, -1, word) : NULL;
	if (source.attachment && take_any(&source, value, &third))
		plan->attachment_count++;
	else
		source.attachment = NULL;
	if (device.index < 0)
		device = third;
	if (device.index < 0 && (value || (plan->needs_dhcp && words->has_nbdroot)))
		parse_device(&device, "nbd0");
	plan->root_index = value && !source.attachment && !plan->needs_dhcp ? -1 : device.index;
	if (source.attachment) {
		plan->attachment_count--;
		if (has_attachment(plan, device.index)) {
			plan_error(plan, word, "nbd%d is taken already", device.index);
			return;
		}
		plan->attachment_count++;
		source.attachment->index = device.index;
	}
	if (device.index >= 0 && root_is_open(words->root))
		text_copy(plan->root_device, sizeof(plan->root_device), device.name);
}

void kcmdline_parse(struct kcmdline *plan, const struct kcmdline_input *input)
{
	_cleanup_free_ struct words *words = calloc(1, sizeof(*words));

	memset(plan, 0, sizeof(*plan));
	plan->root_index = -1;
	if (!words) {
		plan_error(plan, "the command line", "out of memory");
		return;
	}
	read_words(plan, input, words);
	take_root(plan, words, input);
}
