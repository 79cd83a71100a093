/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel-probe.h"
#include "kernel-modules.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ITEMS_MAX 16
#define KERNEL_REMEDY "apt-get install linux-image-amd64 (the cloud kernels have it too), then reboot"

struct probe {
	struct probe_item *items;
	size_t count;
};

static void add(struct probe *probe, const char *name, enum probe_state state, const char *detail, const char *remedy)
{
	struct probe_item *item;

	if (probe->count == ITEMS_MAX)
		return;
	item = &probe->items[probe->count++];
	item->state = state;
	snprintf(item->name, sizeof(item->name), "%s", name);
	snprintf(item->detail, sizeof(item->detail), "%s", detail);
	snprintf(item->remedy, sizeof(item->remedy), "%s", remedy ? remedy : "");
}

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool good = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (good)
		line[strcspn(line, "\n")] = 0;
	return good;
}

static void probe_kernel(struct probe *probe)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (uname(&name) < 0)
		return;
	if (sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 1)))
		add(probe, "kernel", PROBE_WARN, name.release, "upgrade to Linux 6.1 or later: older ones are not tested");
	else
		add(probe, "kernel", PROBE_OK, name.release, NULL);
}

static void probe_module(struct probe *probe, const char *name, const char *label)
{
	char why[200], remedy[64];
	enum kernel_module_state state = kernel_module_probe(name, why, sizeof(why));

	snprintf(remedy, sizeof(remedy), "modprobe %s", name);
	switch (state) {
	case KERNEL_MODULE_LIVE:
		add(probe, label, PROBE_OK, "loaded", NULL);
		break;
	case KERNEL_MODULE_BUILTIN:
		add(probe, label, PROBE_OK, "built in", NULL);
		break;
	case KERNEL_MODULE_LOADABLE:
		add(probe, label, PROBE_LOADABLE, why, remedy);
		break;
	case KERNEL_MODULE_BLOCKED:
		add(probe, label, PROBE_MISSING, why, remedy);
		break;
	default:
		add(probe, label, PROBE_MISSING, why, KERNEL_REMEDY);
	}
}

/* Before 6.12 the driver's default is 16 already on Debian, but a former `modprobe nbd max_part=0` would hide every partition. */
static void probe_partitions(struct probe *probe)
{
	char value[32];

	if (!read_line("/sys/module/nbd/parameters/max_part", value, sizeof(value)))
		return;
	if (atoi(value) > 0)
		add(probe, "partitions", PROBE_OK, "the driver looks for them (max_part)", NULL);
	else
		add(probe, "partitions", PROBE_WARN, "the driver was loaded with max_part=0: partitions do not appear",
			"modprobe -r nbd && modprobe nbd max_part=15");
}

static void probe_cipher(struct probe *probe, const char *name, int kernel_cipher)
{
	if (kernel_cipher_ready(kernel_cipher))
		add(probe, name, PROBE_OK, "ready", NULL);
	else if (kernel_cipher_loadable(kernel_cipher))
		add(probe, name, PROBE_LOADABLE, "its modules are there and not loaded", "nothing to do: attaching loads them");
	else
		add(probe, name, PROBE_WARN, "this kernel does not have it: servers that insist on it cannot be used", KERNEL_REMEDY);
}

static void probe_cpu(struct probe *probe)
{
#if defined(__x86_64__) || defined(__i386__)
	if (__builtin_cpu_supports("aes"))
		add(probe, "CPU", PROBE_OK, "has AES instructions: AES-GCM is preferred", NULL);
	else
		add(probe, "CPU", PROBE_OK, "has no AES instructions: ChaCha20-Poly1305 is preferred", NULL);
#else
	(void)probe;
#endif
}

static bool has_sys_admin(void)
{
	unsigned long long effective = 0;
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	if (file)
		fclose(file);
	return effective & (1ULL << CAP_SYS_ADMIN);
}

/* The kernel asks for the capability in the first user namespace: root in a container has another one. */
static bool in_first_user_namespace(void)
{
	unsigned inside, outside, length;
	char line[128];

	return !read_line("/proc/self/uid_map", line, sizeof(line)) ||
		(sscanf(line, "%u %u %u", &inside, &outside, &length) == 3 && inside == 0 && outside == 0 && length == 4294967295U);
}

static void probe_permission(struct probe *probe)
{
	if (!in_first_user_namespace())
		add(probe, "permission", PROBE_MISSING, "this is a container with its own users: the kernel does not let it configure devices",
			"run it on the host");
	else if (!has_sys_admin())
		add(probe, "permission", PROBE_WARN, "not root (CAP_SYS_ADMIN): list and info work, attach and detach do not", "sudo nbd-attach doctor");
	else
		add(probe, "permission", PROBE_OK, "CAP_SYS_ADMIN", NULL);
}

static void probe_loading(struct probe *probe)
{
	char value[16];

	if (read_line("/proc/sys/kernel/modules_disabled", value, sizeof(value)) && *value == '1')
		add(probe, "module loading", PROBE_WARN, "switched off until the next boot (kernel.modules_disabled=1)",
			"printf 'nbd\\ntls\\n' > /etc/modules-load.d/nbd-attach.conf, then reboot");
}

int kernel_probe(struct probe_item **items, size_t *count)
{
	struct probe probe = {.items = calloc(ITEMS_MAX, sizeof(*probe.items))};

	if (!probe.items)
		return -ENOMEM;
	probe_kernel(&probe);
	probe_permission(&probe);
	probe_module(&probe, "nbd", "nbd driver");
	probe_partitions(&probe);
	probe_module(&probe, "tls", "kernel TLS");
	probe_cipher(&probe, "AES-128-GCM", TLS_CIPHER_AES_GCM_128);
	probe_cipher(&probe, "AES-256-GCM", TLS_CIPHER_AES_GCM_256);
	probe_cipher(&probe, "ChaCha20-Poly1305", TLS_CIPHER_CHACHA20_POLY1305);
	probe_cpu(&probe);
	probe_loading(&probe);
	*items = probe.items;
	*count = probe.count;
	return 0;
}
