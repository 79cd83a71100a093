/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules/kernel-faults.h"
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/text.h"

#define RANGES_MAX 6

/* From one version up to, and without, another. */
struct range {
	unsigned from[3], below[3];
};

struct fault {
	const char *name, *what;
	const char *here; /* why it does no harm to what this program attaches; NULL: update */
	struct range ranges[RANGES_MAX];
};

/* The ranges are those of the CVE records of kernel.org; they end earlier where the changelogs of
 * Debian's kernels (6.1.192, 6.12.117) name a stable release with a fix that the record lacks. */
static const struct fault faults[] = {
	{"CVE-2025-38616", "data read from below kernel TLS: memory used after it was freed",
		"nobody else reads such a socket",
		{{{6, 0, 0}, {6, 1, 185}}, {{6, 2, 0}, {6, 6, 103}}, {{6, 7, 0}, {6, 12, 43}},
			{{6, 13, 0}, {6, 15, 11}}, {{6, 16, 0}, {6, 16, 2}}}},
	{"CVE-2025-40080", "the driver takes sockets that it cannot handle",
		"it is given TCP and Unix stream sockets only",
		{{{5, 4, 0}, {6, 1, 156}}, {{6, 2, 0}, {6, 6, 112}}, {{6, 7, 0}, {6, 12, 53}},
			{{6, 13, 0}, {6, 17, 3}}}},
	{"CVE-2025-68366", "root's NBD_CLEAR_SOCK during a CONNECT: memory used after it was freed",
		"it is not used, and other programs of root's must not, either",
		{{{4, 12, 0}, {6, 1, 160}}, {{6, 2, 0}, {6, 6, 120}}, {{6, 7, 0}, {6, 12, 63}},
			{{6, 13, 0}, {6, 17, 13}}, {{6, 18, 0}, {6, 18, 2}}}},
	{"CVE-2025-68372", "root's NBD_CLEAR_SOCK on a live device: memory used after it was freed",
		"it is not used, and other programs of root's must not, either",
		{{{5, 10, 0}, {6, 1, 160}}, {{6, 2, 0}, {6, 6, 120}}, {{6, 7, 0}, {6, 12, 63}},
			{{6, 13, 0}, {6, 17, 13}}, {{6, 18, 0}, {6, 18, 2}}}},
	{"CVE-2026-23240",
		"closing a socket whose kernel TLS still sends: memory used after it was freed",
		NULL,
		{{{5, 3, 0}, {6, 12, 75}}, {{6, 13, 0}, {6, 18, 16}}, {{6, 19, 0}, {6, 19, 6}}}},
	{"CVE-2026-23414", "decryption by asynchronous hardware leaks memory",
		"TLS 1.3 does not decrypt that way, TLS 1.2 (--tls-min) does",
		{{{6, 1, 158}, {6, 1, 168}}, {{6, 6, 114}, {6, 6, 131}}, {{6, 12, 55}, {6, 12, 80}},
			{{6, 17, 5}, {6, 18, 21}}, {{6, 19, 0}, {6, 19, 11}}}},
	{"CVE-2026-74611",
		"TLS_RX_EXPECT_NO_PAD: a padded record is written where it should not be",
		"it is not set on such a kernel",
		{{{6, 0, 0}, {6, 1, 191}}, {{6, 2, 0}, {6, 12, 114}}, {{6, 13, 0}, {6, 18, 45}},
			{{6, 19, 0}, {7, 1, 9}}}},
};

static int compare(const unsigned left[3], const unsigned right[3])
{
	for (int i = 0; i < 3; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

static bool has_fault(const struct kernel_version *version, const struct fault *fault)
{
	for (size_t i = 0; i < RANGES_MAX; i++)
		if (compare(version->number, fault->ranges[i].from) >= 0 &&
			compare(version->number, fault->ranges[i].below) < 0)
			return true;
	return false;
}

struct kernel_version kernel_version_parse(const char *release, const char *version)
{
	struct kernel_version found = {{0}, false, ""};
	const char *debian = strstr(version, "Debian "),
		   *text = debian ? debian + strlen("Debian ") : release;
	size_t length = strcspn(text, " ");
	char after = 0;
	int fields;

	fields = sscanf(
		text, "%u.%u.%u%c", &found.number[0], &found.number[1], &found.number[2], &after);
	/* "5.14.0-427.el9" and "6.8.0-31-generic" have fixes of later ones. */
	found.is_vague = !debian && fields >= 3 && !found.number[2] && after == '-';
	text_sanitise(found.text, sizeof(found.text), text, length);
	return found;
}

struct kernel_version kernel_version_running(void)
{
	struct utsname kernel = {0};

	uname(&kernel);
	return kernel_version_parse(kernel.release, kernel.version);
}

/* "5.14.0-427.13.1.el9_4.x86_64", but not "6.9.1-1.el9.elrepo.x86_64" */
bool kernel_is_red_hats(const char *release)
{
	const char *at = strstr(release, ".el");

	if (!at || strstr(release, "elrepo") || strstr(release, "uek"))
		return false;
	at += strlen(".el");
	return strspn(at, "0123456789") > 0;
}

static const struct fault *find(const char *name)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		if (!strcmp(faults[i].name, name))
			return &faults[i];
	return NULL;
}

bool kernel_has_fault(const struct kernel_version *version, const char *name)
{
	const struct fault *fault = find(name);

	return fault && has_fault(version, fault);
}

bool kernel_is_mended(const struct kernel_version *version, const char *name)
{
	const struct fault *fault = find(name);

	return fault && version->number[0] && !version->is_vague && !strstr(version->text, "-rc") &&
		!has_fault(version, fault);
}

size_t kernel_faults_check(
	const struct kernel_version *version, struct check_item *items, size_t room)
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults) && count < room; i++) {
		const struct fault *fault = &faults[i];
		struct check_item *item = &items[count];

		if (!has_fault(version, fault))
			continue;
		count++;
		snprintf(item->name, sizeof(item->name), "%s", fault->name);
		item->state = fault->here ? CHECK_OK : CHECK_WARN;
		snprintf(item->detail, sizeof(item->detail), "%s (by its version%s)%s%s",
			fault->what, version->is_vague ? ", which hides what was fixed in it" : "",
			fault->here ? "; here: " : "", fault->here ? fault->here : "");
		snprintf(item->remedy, sizeof(item->remedy), "%s",
			fault->here ? "" :
				      "a kernel of the distribution's that has the fix: ask its "
				      "tracker of security issues");
	}
	return count;
}
