/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/closed-path.h"
#include "base/text.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Leave of PATH what is closed: a folder above it, or itself. */
static void cut(char *path)
{
	for (char *at = path; (at = strchr(at + 1, '/')) != NULL;) {
		*at = 0;
		if (access(path, X_OK) < 0)
			return;
		*at = '/';
	}
}

int closed_path_hint(struct error *err, int rc, const char *path)
{
	char place[PATH_MAX];
	struct stat st;

	/* which may have been made a whole path since */
	if (rc == -ENOENT && (strncmp(path, "~/", 2) == 0 || strstr(path, "/~/")))
		return error_hint(err, rc,
			"a ~ is the shell's, which takes it at the beginning of a word only: put a "
			"blank before it in place of =, or write the whole path");
	if (rc != -EACCES || geteuid() != 0 || !text_copy(place, sizeof(place), path))
		return rc;
	cut(place);
	if (stat(place, &st) < 0 || st.st_uid == 0) /* it is refused for another reason */
		return rc;
	return error_hint(err, rc,
		"here, as in the service nbd-attach@, root has no right to what is other users', "
		"and %s is: give it to root, or put a copy into /etc/nbd-attach",
		place);
}
