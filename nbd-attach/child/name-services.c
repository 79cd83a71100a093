/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/name-services.h"
#include "base/cleanup.h"
#include "base/system-root.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define BLANKS " \t"

static bool is_known(const char *name)
{
	static const char *const known[] = {"files", "dns", "myhostname", "resolve", "mdns",
		"mdns_minimal", "mdns4", "mdns4_minimal", "mdns6", "mdns6_minimal"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return false;
}

/* What is in brackets, as [NOTFOUND=return], and may hold blanks, is about the module before. */
static const char *find_doubtful(char *list)
{
	char *rest, *name;

	list[strcspn(list, "#")] = 0;
	for (char *open; (open = strchr(list, '[')) != NULL;)
		memset(open, ' ', strcspn(open, "]") + (strchr(open, ']') != NULL));
	for (name = strtok_r(list, BLANKS, &rest); name; name = strtok_r(NULL, BLANKS, &rest))
		if (!is_known(name))
			return name;
	return NULL;
}

bool name_services_find_doubtful(char *name, size_t size)
{
	static const char database[] = "hosts:";
	char path[PATH_MAX], text[4096], *rest, *line;

	if (system_path(path, sizeof(path), "/etc/nsswitch.conf") < 0 ||
		system_read_file(path, text, sizeof(text)) < 0)
		return false;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *found = NULL;

		line += strspn(line, BLANKS);
		if (strncmp(line, database, strlen(database)) == 0)
			found = find_doubtful(line + strlen(database));
		if (found)
			return text_copy(name, size, found);
	}
	return false;
}

const char *name_services_find_unreadable(void)
{
	static const char *const files[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[PATH_MAX];
		_cleanup_fd_ int fd = -1;

		if (system_path(path, sizeof(path), "%s", files[i]) < 0)
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && errno == EACCES)
			return files[i];
	}
	return NULL;
}

/* The text, as it comes from glibc, tells neither that it could not read a file nor that a module
 * has failed. */
int name_services_explain(int rc, struct error *err)
{
	const char *file = name_services_find_unreadable();
	char name[32];

	if (file)
		return error_hint(err, rc,
			"%s is not readable for all, and names are resolved without root (see "
			"Privilege in nbd-attach(8)): chmod a+r %s",
			file, file);
	if (!name_services_find_doubtful(name, sizeof(name)))
		return rc;
	return error_hint(err, rc,
		"hosts: of /etc/nsswitch.conf names \"%s\", which may want more than is allowed "
		"here (see Privilege in nbd-attach(8)): put the host into /etc/hosts, or give its "
		"address",
		name);
}
