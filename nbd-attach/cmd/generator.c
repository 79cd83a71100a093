/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/generator.h"
#include "config/device-name.h"
#include "base/cleanup.h"
#include "kernel/block-attr.h"
#include "options/nbdtab-options.h"
#include "output/show.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SYSTEMD_UNITDIR "/usr/lib/systemd/system" /* systemd's own, whatever our prefix is */
#define MOUNTS_SIZE_MAX (1 << 20)
#define LINES_MAX 40      /* the console is no place for more */
#define DEVICES_MAX 256   /* each costs up to 49 links below /run */
#define PARTITIONS_MAX 15 /* what modprobe.d sets as max_part */

struct generator {
	int dir_fd;
	const char *dir;
	generator_say_function *say;
	void *data;
	unsigned said;
	bool failed; /* to write: it will not get better */
};

static void say(struct generator *self, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct generator *self, const char *fmt, ...)
{
	char raw[1024], line[900];
	va_list args;

	if (self->said++ > LINES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	text_sanitise(line, sizeof(line), raw, strlen(raw));
	self->say(self->said > LINES_MAX ? "and more of the kind" : line, self->data);
}

/* --- units */

static void make_link(
	struct generator *self, const char *directory, const char *name, const char *target)
{
	char link[128];

	snprintf(link, sizeof(link), "%s/%s", directory, name);
	if (!self->failed && (mkdirat(self->dir_fd, directory, 0755) == 0 || errno == EEXIST) &&
		(symlinkat(target, self->dir_fd, link) == 0 || errno == EEXIST))
		return;
	if (!self->failed)
		say(self, "%s/%s cannot be written: %s", self->dir, link, strerror(errno));
	self->failed = true;
}

/* DIRECTORY/nbd-attach@nbdINDEX.service. systemd looks at the name alone; where the link points is
 * for people. */
static void link_unit(struct generator *self, const char *directory, int index)
{
	char name[64];

	snprintf(name, sizeof(name), "nbd-attach@nbd%d.service", index);
	make_link(self, directory, name, NBD_ATTACH_UNITDIR "/nbd-attach@.service");
}

/* Stopping the disk stops what is mounted from a partition first only while this target is there
 * (nbd-attach@.service). */
static void link_order(struct generator *self, int index, int partition)
{
	char directory[64], name[64];

	snprintf(directory, sizeof(directory), "dev-nbd%dp%d.device.wants", index, partition);
	snprintf(name, sizeof(name), "blockdev@dev-nbd%dp%d.target", index, partition);
	make_link(self, directory, name, SYSTEMD_UNITDIR "/blockdev@.target");
}

/* A supervisor that serves swap needs nothing of any disk, and for that more rights. */
static void link_rights(struct generator *self, int index)
{
	char directory[64];

	snprintf(directory, sizeof(directory), "nbd-attach@nbd%d.service.d", index);
	make_link(self, directory, "swap.conf", NBD_ATTACH_UNITDIR "/nbd-attach-swap.conf");
}

static void link_swap_order(struct generator *self, int index, int partition)
{
	char directory[64];

	if (partition)
		snprintf(directory, sizeof(directory), "dev-nbd%dp%d.swap.d", index, partition);
	else
		snprintf(directory, sizeof(directory), "dev-nbd%d.swap.d", index);
	make_link(self, directory, "nbd-attach.conf",
		NBD_ATTACH_UNITDIR "/nbd-attach-swap-order.conf");
}

/* A mount by UUID names no device: remote-fs.target has the disk attached for it. One by device,
 * automounts and crypttab too, pulls it in through the device's own unit, and fails with it: nofail
 * says not to. */
static void write_device(struct generator *self, int index, const struct nbdtab_line *line)
{
	const char *how = line->nofail ? "wants" : "requires";
	char directory[64];

	link_unit(self, "remote-fs.target.wants", index);
	snprintf(directory, sizeof(directory), "dev-nbd%d.device.%s", index, how);
	link_unit(self, directory, index);
	for (int partition = 1; partition <= PARTITIONS_MAX; partition++) {
		snprintf(directory, sizeof(directory), "dev-nbd%dp%d.device.%s", index, partition,
			how);
		link_unit(self, directory, index);
		link_order(self, index, partition);
	}
	if (line->swap) {
		link_rights(self, index);
		for (int partition = 0; partition <= PARTITIONS_MAX; partition++)
			link_swap_order(self, index, partition);
	}
}

static void write_devices(struct generator *self, const struct nbdtab_options *tab)
{
	unsigned count = 0;

	for (size_t i = 0; i < tab->nbdtab.entry_count; i++) {
		const struct nbdtab_line *line = &tab->lines[i];

		/* the root is attached in the initramfs */
		if (tab->nbdtab.entries[i].bad || line->noauto || line->root)
			continue;
		if (count++ == DEVICES_MAX) {
			say(self, "%s: more than %d devices; the others are not attached at boot",
				tab->path, DEVICES_MAX);
			return;
		}
		write_device(self, tab->nbdtab.entries[i].index, line);
	}
}

/* --- fstab and crypttab: only to warn */

static bool has_option(const char *options, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *p = options; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, wanted, len) == 0 && (p[len] == 0 || p[len] == ','))
			return true;
	}
	return false;
}

/* The device's number, of "/dev/nbd0" and "/dev/nbd0p1" alike; -1: another kind of device. */
static int parse_spec(const char *spec)
{
	char device[32];
	struct error err;
	size_t len = strncmp(spec, "/dev/nbd", 8) == 0 ? 8 + strspn(spec + 8, "0123456789") : 0;
	int index;

	if (len < 9 || len >= sizeof(device) || (spec[len] && spec[len] != 'p'))
		return -1;
	memcpy(device, spec, len);
	device[len] = 0;
	return device_name_parse(device, &index, &err) ? -1 : index;
}

static bool has_root(const struct nbdtab_options *tab)
{
	for (size_t i = 0; i < tab->nbdtab.entry_count; i++)
		if (tab->lines[i].root)
			return true;
	return false;
}

/* One of nbdtab's disks but the root's, which the initramfs attaches. The names of udev do not say
 * which, unless they are there: any, then, if none is the root. */
static bool is_remote(const struct nbdtab_options *tab, const char *spec)
{
	const struct nbdtab_entry *entry;
	/* none before it was attached once */
	_cleanup_free_ char *device =
		strncmp(spec, "/dev/disk/", 10) == 0 ? realpath(spec, NULL) : NULL;
	int index = parse_spec(device ? device : spec);

	if (index < 0)
		return strncmp(spec, "/dev/disk/by-id/nbd-", 20) == 0 && !has_root(tab);
	entry = nbdtab_find(&tab->nbdtab, index);
	return entry && !nbdtab_line(tab, entry)->root;
}

struct mounts {
	struct generator *self;
	const struct nbdtab_options *tab;
	const char *path;
};

/* The fields of one line; those that it does not have are empty. */
typedef void check_line(const struct mounts *mounts, unsigned number, char *const fields[4]);

static void check_fstab_line(const struct mounts *mounts, unsigned number, char *const fields[4])
{
	const char *spec = fields[0], *where = fields[1], *options = fields[3];

	if (strstr(options, "x-systemd.requires=nbd-attach@"))
		say(mounts->self,
			"%s:%u: leave x-systemd.requires=nbd-attach@... out: with it systemd "
			"unmounts the disk whenever "
			"the supervisor is restarted",
			mounts->path, number);
	if (is_remote(mounts->tab, spec) && strcmp(where, "/") != 0 &&
		!has_option(options, "_netdev") && !has_option(options, "noauto"))
		say(mounts->self,
			"%s:%u: %s is a disk on the network: add _netdev to its options, or "
			"local-fs.target waits for the network, "
			"which waits for local-fs.target",
			mounts->path, number, spec);
}

static void check_crypttab_line(const struct mounts *mounts, unsigned number, char *const fields[4])
{
	const char *spec = fields[1], *options = fields[3];

	if (is_remote(mounts->tab, spec) && !has_option(options, "_netdev") &&
		!has_option(options, "noauto") && !has_option(options, "x-initrd.attach"))
		say(mounts->self,
			"%s:%u: %s is a disk on the network: add _netdev to its options, and to "
			"those of what is mounted from it, or the boot waits "
			"for it before there is a network",
			mounts->path, number, spec);
}

static void check_line_of(
	const struct mounts *mounts, check_line *check, unsigned number, char *line)
{
	static char none[1];
	char *fields[4], *rest = NULL;

	for (size_t i = 0; i < 4; i++) {
		fields[i] = strtok_r(i ? NULL : line, " \t\r", &rest);
		if (!fields[i]) {
			fields[i] = none;
			rest = none;
		}
	}
	if (*fields[0] && *fields[0] != '#')
		check(mounts, number, fields);
}

static void check_file(struct generator *self, const struct nbdtab_options *tab,
	const char *variable, const char *path, check_line *check)
{
	const char *other = getenv(variable);
	const struct mounts mounts = {self, tab, other && *other ? other : path};
	_cleanup_free_ char *text = malloc(MOUNTS_SIZE_MAX + 1);
	_cleanup_fd_ int fd = open(mounts.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *rest = text, *line;
	unsigned number = 0;
	size_t size = 0;
	ssize_t n = 1;
	struct stat st;

	if (!text || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return; /* it is systemd's to say so */
	while (size < MOUNTS_SIZE_MAX && (n = read(fd, text + size, MOUNTS_SIZE_MAX - size)) > 0)
		size += (size_t)n;
	for (size_t i = 0; i < size; i++)
		if (!text[i])
			text[i] = '?';
	text[size] = 0;
	while ((line = strsep(&rest, "\n")))
		check_line_of(&mounts, check, ++number, line);
}

/* --- */

static void say_notes(struct generator *self, const struct nbdtab_options *tab)
{
	char text[sizeof(tab->path) + sizeof(struct nbdtab_diagnostic) + 64];

	for (size_t i = 0; i < tab->nbdtab.diagnostic_count; i++) {
		nbdtab_options_format_diagnostic(
			tab, &tab->nbdtab.diagnostics[i], text, sizeof(text));
		say(self, "%s", text);
	}
}

void generator_write(const char *normal_dir, generator_say_function *function, void *data)
{
	struct generator self = {.dir = normal_dir, .say = function, .data = data};
	struct error err;
	struct nbdtab_options tab;
	int rc = nbdtab_options_load(&tab, &err);

	if (rc) {
		if (rc != -ENOENT)
			say(&self, "%s; no device of it is attached at boot", err.text);
		return;
	}
	say_notes(&self, &tab);
	self.dir_fd = open(normal_dir, O_DIRECTORY | O_PATH | O_CLOEXEC);
	if (self.dir_fd < 0)
		say(&self, "%s cannot be written to: %s", normal_dir, strerror(errno));
	else
		write_devices(&self, &tab);
	if (self.dir_fd >= 0)
		close(self.dir_fd);
	check_file(&self, &tab, "NBD_ATTACH_FSTAB", "/etc/fstab", check_fstab_line);
	check_file(&self, &tab, "NBD_ATTACH_CRYPTTAB", "/etc/crypttab", check_crypttab_line);
	nbdtab_options_free(&tab);
}

/* The initramfs has its own way to attach (nbd-attach boot), and a container has no devices of its
 * own. */
static bool is_elsewhere(void)
{
	const char *in_initrd = getenv("SYSTEMD_IN_INITRD"),
		   *virtualization = getenv("SYSTEMD_VIRTUALIZATION");

	if (in_initrd ? strcmp(in_initrd, "1") == 0 : access("/etc/initrd-release", F_OK) == 0)
		return true;
	if (virtualization && strncmp(virtualization, "container:", 10) == 0)
		return true;
	return access("/run/systemd/container", F_OK) == 0;
}

/* There is no journal yet; the kernel's log is what it will read first. */
static void say_to_all(const char *line, void *data)
{
	const int *kmsg = data;
	char record[1024];

	show_line(stderr, GENERATOR_NAME ": %s", line);
	/* Not a stream: that asks for the position first, and gives up at the kernel's answer. */
	snprintf(record, sizeof(record), "<4>" GENERATOR_NAME ": %s", line);
	text_make_printable(record);
	if (*kmsg >= 0 && write(*kmsg, record, strlen(record)) < 0)
		show_line(stderr, GENERATOR_NAME ": /dev/kmsg: %s", strerror(errno));
}

int generator_main(int argc, char **argv)
{
	int kmsg;

	if (argc < 2 || argc > 4) {
		show_line(stderr,
			GENERATOR_NAME
			": called by systemd, with three directories; see systemd.generator(7)");
		return 0;
	}
	if (is_elsewhere())
		return 0;
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	generator_write(argv[1], say_to_all, &kmsg);
	if (kmsg >= 0)
		close(kmsg);
	return 0;
}

bool generator_is_called(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	return argv0 && strcmp(slash ? slash + 1 : argv0, GENERATOR_NAME) == 0;
}
