/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules/kernel-checks.h"
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/cleanup.h"
#include "modules/kernel-faults.h"
#include "modules/kernel-modules.h"
#include "base/text.h"
#include "tls/ktls.h"

#define ITEMS_MAX 32

struct report {
	struct check_item *items;
	size_t count;
};

static void add(struct report *report, enum check_state state, const char *name, const char *remedy,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void add(struct report *report, enum check_state state, const char *name, const char *remedy,
	const char *fmt, ...)
{
	struct check_item *item = &report->items[report->count];
	char detail[400];
	va_list ap;

	if (report->count == ITEMS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	item->state = state;
	text_sanitise(item->name, sizeof(item->name), name, strlen(name));
	text_sanitise(item->detail, sizeof(item->detail), detail, strlen(detail));
	text_sanitise(item->remedy, sizeof(item->remedy), remedy, strlen(remedy));
	report->count++;
}

/* One line for something that is code in the kernel: NAME is what modprobe takes. */
static void add_module(struct report *report, const char *label, const char *name,
	enum kernel_module_state state, const char *why, const char *extra)
{
	char remedy[160];

	snprintf(remedy, sizeof(remedy), "modprobe %s", name);
	switch (state) {
	case KERNEL_MODULE_LIVE: add(report, CHECK_OK, label, "", "loaded%s", extra); break;
	case KERNEL_MODULE_BUILTIN:
		add(report, CHECK_OK, label, "", "in the running kernel%s", extra);
		break;
	case KERNEL_MODULE_LOADABLE:
		add(report, CHECK_LOADABLE, label, remedy, "%s; attach does it", why);
		break;
	case KERNEL_MODULE_BLOCKED:
		snprintf(remedy, sizeof(remedy), "grep -rw %s /etc/modprobe.d /lib/modprobe.d",
			name);
		add(report, CHECK_MISSING, label, remedy, "%s", why);
		break;
	case KERNEL_MODULE_MISSING:
		add(report, CHECK_MISSING, label, kernel_package_remedy(), "%s", why);
		break;
	}
}

static void check_release(struct report *report)
{
	unsigned major_number = 0, minor_number = 0;
	struct utsname kernel;

	uname(&kernel);
	sscanf(kernel.release, "%u.%u", &major_number, &minor_number);
	/* TLS 1.3 in both directions is of 5.1, ChaCha20-Poly1305 of 5.11; what the tests run on
	 * begins at 6.1. */
	if (major_number < 5 || (major_number == 5 && minor_number < 1))
		add(report, CHECK_MISSING, "kernel", kernel_package_remedy(),
			"%s has no TLS 1.3 in the kernel (5.1 has)", kernel.release);
	else if (major_number < 6 || (major_number == 6 && minor_number < 1))
		add(report, CHECK_WARN, "kernel", kernel_package_remedy(),
			"%s is older than what is tested (6.1)", kernel.release);
	else
		add(report, CHECK_OK, "kernel", "", "%s", kernel.release);
}

/* What is known of a kernel of this version; nothing is tried. */
static void check_faults(struct report *report)
{
	struct kernel_version version = kernel_version_running();

	report->count += kernel_faults_check(
		&version, report->items + report->count, ITEMS_MAX - report->count);
}

static void check_nbd(struct report *report)
{
	enum kernel_module_state state;
	char why[200], max_part[16] = "", nbds_max[16] = "", extra[80] = "";

	state = kernel_module_check("nbd", why, sizeof(why));
	kernel_read_file("/sys/module/nbd/parameters/max_part", max_part, sizeof(max_part));
	kernel_read_file("/sys/module/nbd/parameters/nbds_max", nbds_max, sizeof(nbds_max));
	if (*max_part && *nbds_max)
		snprintf(extra, sizeof(extra), ", max_part=%s nbds_max=%s", max_part, nbds_max);
	add_module(report, "nbd driver", "nbd", state, why, extra);
	/* Before 6.2 or so the driver gives partitions no device when max_part is 0, later kernels
	 * give them dynamic numbers. */
	if (!strcmp(max_part, "0"))
		add(report, CHECK_WARN, "partitions", "modprobe -r nbd && modprobe nbd max_part=15",
			"loaded with max_part=0: partitions may get no device");
}

/* It cannot be tried without configuring a device. */
static void check_tcp(struct report *report)
{
	struct utsname kernel;

	uname(&kernel);
	if (kernel_is_red_hats(kernel.release))
		add(report, CHECK_WARN, "nbd over TCP",
			"another kernel, as kernel-ml or kernel-lt of ELRepo",
			"%s is Red Hat's, whose nbd driver is known to refuse TCP and take Unix "
			"sockets only; attach tells",
			kernel.release);
}

/* Only what can be seen without asking the kernel over netlink: attach asks for the driver's family
 * itself. */
static void check_nodes(struct report *report)
{
	char size[32];

	if (kernel_module_check("nbd", NULL, 0) > KERNEL_MODULE_BUILTIN)
		return; /* they come with the module */
	if (kernel_read_file("/sys/block/nbd0/size", size, sizeof(size)) < 0)
		add(report, CHECK_WARN, "device nodes", "",
			"the driver was loaded with nbds_max=0: use 'auto' for the device");
	else if (!kernel_path_exists("/dev/nbd0"))
		add(report, CHECK_MISSING, "device nodes", "mount -t devtmpfs devtmpfs /dev",
			"the kernel has nbd0 but /dev/nbd0 is not there");
	else
		add(report, CHECK_OK, "device nodes", "", "/dev/nbd0 is there");
}

static void check_tls(struct report *report)
{
	const struct ktls_cipher *cipher;
	enum kernel_module_state state;
	char why[200];

	state = kernel_module_check("tls", why, sizeof(why));
	add_module(report, "kernel TLS", "tls", state, why, "");
	for (size_t i = 0; (cipher = ktls_cipher_at(i)); i++) {
		state = kernel_cipher_check(cipher->kernel_cipher, why, sizeof(why));
		add_module(report, cipher->name, cipher->module, state, why, "");
		/* The others will do, unless the server insists. */
		if (state >= KERNEL_MODULE_BLOCKED)
			report->items[report->count - 1].state = CHECK_WARN;
	}
}

static bool has_cpu_flag(const char *flag)
{
	_cleanup_free_ char *text = malloc(65536);
	char *line, *found, *line_save, *flag_save;

	if (!text || kernel_read_file("/proc/cpuinfo", text, 65536) < 0)
		return false;
	for (line = strtok_r(text, "\n", &line_save); line;
		line = strtok_r(NULL, "\n", &line_save)) {
		if (strncmp(line, "flags", 5) && strncmp(line, "Features", 8))
			continue;
		for (found = strtok_r(line, " \t:", &flag_save); found;
			found = strtok_r(NULL, " \t:", &flag_save))
			if (!strcmp(found, flag))
				return true;
	}
	return false;
}

static void check_cpu(struct report *report)
{
	if (has_cpu_flag("aes"))
		add(report, CHECK_OK, "CPU", "", "has AES instructions: AES-GCM comes first");
	else
		add(report, CHECK_OK, "CPU", "",
			"has no AES instructions: ChaCha20-Poly1305 comes first");
}

static void check_privilege(struct report *report)
{
	unsigned long long effective = 0;
	char status[4096], map[256], *line;
	bool initial = true;
	unsigned inside = 0, outside = 0, length = 0;

	if (kernel_read_file("/proc/self/status", status, sizeof(status)) < 0 ||
		!(line = strstr(status, "CapEff:"))) {
		add(report, CHECK_WARN, "permission", "",
			"cannot be told: /proc/self/status is not there");
		return;
	}
	sscanf(line, "CapEff: %llx", &effective);
	/* The driver wants the capability of the initial user namespace, which maps everything onto
	 * itself. */
	if (!kernel_read_file("/proc/self/uid_map", map, sizeof(map)) &&
		sscanf(map, "%u %u %u", &inside, &outside, &length) == 3)
		initial = !inside && !outside && length == 4294967295U;
	if (!(effective >> CAP_SYS_ADMIN & 1))
		add(report, CHECK_WARN, "permission", "sudo nbd-attach doctor",
			"no CAP_SYS_ADMIN (root): list and info work, attach and detach do not");
	else if (!initial)
		add(report, CHECK_MISSING, "permission", "",
			"this is root of a user namespace only: run nbd-attach on the host, "
			"outside of the container");
	else
		add(report, CHECK_OK, "permission", "", "CAP_SYS_ADMIN");
}

static void check_container(struct report *report)
{
	char text[256];

	if (!kernel_read_file("/run/systemd/container", text, sizeof(text)))
		add(report, CHECK_WARN, "container", "",
			"this is a container (%s): devices and modules are the host's", text);
	else if (kernel_path_exists("/.dockerenv") || kernel_path_exists("/run/.containerenv"))
		add(report, CHECK_WARN, "container", "",
			"this is a container: devices and modules are the host's");
}

static void check_loading(struct report *report)
{
	char text[64];

	if (!kernel_read_file("/proc/sys/kernel/modules_disabled", text, sizeof(text)) &&
		!strcmp(text, "1"))
		add(report, CHECK_WARN, "module loading",
			"printf 'nbd\\ntls\\n' > /etc/modules-load.d/nbd.conf && reboot",
			"kernel.modules_disabled is 1: what is not loaded by now cannot be");
	else if (!kernel_read_file("/sys/kernel/security/lockdown", text, sizeof(text)) &&
		!strstr(text, "[none]"))
		add(report, CHECK_OK, "module loading", "",
			"lockdown is on (%s): signed modules only", text);
	else
		add(report, CHECK_OK, "module loading", "", "allowed");
}

int kernel_check(struct check_item **items, size_t *count)
{
	struct report report = {.items = calloc(ITEMS_MAX, sizeof(struct check_item))};

	if (!report.items)
		return -ENOMEM;
	check_release(&report);
	check_nbd(&report);
	check_tcp(&report);
	check_nodes(&report);
	check_tls(&report);
	check_cpu(&report);
	check_privilege(&report);
	check_container(&report);
	check_loading(&report);
	check_faults(&report);
	*items = report.items;
	*count = report.count;
	return 0;
}
