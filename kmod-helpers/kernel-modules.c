/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel-modules.h"
#include <errno.h>
#include <libkmod.h>
#include <linux/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What kernel TLS asks the crypto API for, by the names under which the kernel itself requests modules: which modules answer to
 * them changes from kernel to kernel, the names do not. */
struct cipher_modules {
	int kernel_cipher;
	const char *label;
	const char *aliases[5];
};

static const struct cipher_modules cipher_modules[] = {
	{TLS_CIPHER_AES_GCM_128, "AES-GCM", {"crypto-gcm(aes)", "crypto-gcm", "crypto-ctr", "crypto-ghash", "crypto-aes"}},
	{TLS_CIPHER_AES_GCM_256, "AES-GCM", {"crypto-gcm(aes)", "crypto-gcm", "crypto-ctr", "crypto-ghash", "crypto-aes"}},
	{TLS_CIPHER_CHACHA20_POLY1305, "ChaCha20-Poly1305", {"crypto-rfc7539", "crypto-chacha20", "crypto-poly1305"}},
};

static void cleanup_ctx(struct kmod_ctx **ctx)
{
	if (*ctx)
		kmod_unref(*ctx);
}

static void cleanup_list(struct kmod_list **list)
{
	kmod_module_unref_list(*list);
}
#define _cleanup_ctx_ __attribute__((cleanup(cleanup_ctx)))
#define _cleanup_list_ __attribute__((cleanup(cleanup_list)))

static void ignore_log(void *data, int priority, const char *file, int line, const char *fn, const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line, (void)fn, (void)format, (void)args;
}

static struct kmod_ctx *open_ctx(void)
{
	struct kmod_ctx *ctx = kmod_new(NULL, NULL);

	if (ctx)
		kmod_set_log_fn(ctx, ignore_log, NULL); /* what goes wrong is said once, by us */
	return ctx;
}

static bool in_sysfs(const char *name)
{
	char path[160];
	int n = snprintf(path, sizeof(path), "/sys/module/%s", name);

	for (char *p = path; *p; p++)
		if (*p == '-')
			*p = '_';
	return n > 0 && n < (int)sizeof(path) && access(path, F_OK) == 0;
}

static bool loading_disabled(void)
{
	FILE *file = fopen("/proc/sys/kernel/modules_disabled", "re");
	bool disabled = file && fgetc(file) == '1';

	if (file)
		fclose(file);
	return disabled;
}

static const char *release(void)
{
	static struct utsname name;

	return uname(&name) == 0 ? name.release : "?";
}

static enum kernel_module_state explain(enum kernel_module_state state, const char *name, char *why, size_t size)
{
	if (!why)
		return state;
	switch (state) {
	case KERNEL_MODULE_LOADABLE:
		snprintf(why, size, "module %s is not loaded", name);
		break;
	case KERNEL_MODULE_BLOCKED:
		if (loading_disabled())
			snprintf(why, size, "loading modules is switched off (kernel.modules_disabled) and %s is not loaded", name);
		else
			snprintf(why, size, "module %s is blacklisted in modprobe.d", name);
		break;
	case KERNEL_MODULE_MISSING:
		snprintf(why, size, "kernel %s has no module %s", release(), name);
		break;
	default:
		*why = 0;
	}
	return state;
}

static enum kernel_module_state state_of(struct kmod_ctx *ctx, struct kmod_list *list)
{
	_cleanup_list_ struct kmod_list *allowed = NULL;
	struct kmod_list *item;

	kmod_list_foreach(item, list) {
		struct kmod_module *module = kmod_module_get_module(item);
		int state = kmod_module_get_initstate(module);

		kmod_module_unref(module);
		if (state == KMOD_MODULE_BUILTIN)
			return KERNEL_MODULE_BUILTIN;
		if (state == KMOD_MODULE_LIVE)
			return KERNEL_MODULE_LIVE;
	}
	if (kmod_module_apply_filter(ctx, KMOD_FILTER_BLACKLIST, list, &allowed) == 0 && !allowed)
		return KERNEL_MODULE_BLOCKED;
	return loading_disabled() ? KERNEL_MODULE_BLOCKED : KERNEL_MODULE_LOADABLE;
}

enum kernel_module_state kernel_module_probe(const char *name, char *why, size_t why_size)
{
	_cleanup_ctx_ struct kmod_ctx *ctx = open_ctx();
	_cleanup_list_ struct kmod_list *list = NULL;

	/* Without modules.dep (a container) the lookup finds nothing, yet the module may be there. */
	if (!ctx || kmod_module_new_from_lookup(ctx, name, &list) < 0 || !list)
		return explain(in_sysfs(name) ? KERNEL_MODULE_LIVE : KERNEL_MODULE_MISSING, name, why, why_size);
	return explain(state_of(ctx, list), name, why, why_size);
}

static int load_failed(const char *name, const char *options, int errno_value, struct error *err)
{
	char why[200];

	switch (kernel_module_probe(name, why, sizeof(why))) {
	case KERNEL_MODULE_MISSING:
		error_set(err, ERROR_KERNEL, ENOENT, "%s", why);
		return error_hint(err, -ENOENT, "install a kernel that has it (Debian: apt-get install linux-image-amd64) and boot it; if the kernel was just upgraded, reboot");
	case KERNEL_MODULE_BLOCKED:
		error_set(err, ERROR_KERNEL, EPERM, "%s", why);
		return error_hint(err, -EPERM, loading_disabled() ? "load it at boot: echo %s > /etc/modules-load.d/nbd-attach.conf" : "take it off the list, or load it by hand: modprobe %s", name);
	default:
		break;
	}
	error_set(err, errno_value == EPERM ? ERROR_PERMISSION : ERROR_KERNEL, errno_value, "module %s cannot be loaded: %s", name, strerror(errno_value));
	return error_hint(err, -errno_value, "try: modprobe %s%s%s; then look at: dmesg | tail", name, options ? " " : "", options ? options : "");
}

/* Load every module that answers to NAME; 0 when at least one is there. A CPU's accelerated variant may refuse (ENODEV) where the
 * generic one serves. */
static int load_all(const char *name, const char *options)
{
	_cleanup_ctx_ struct kmod_ctx *ctx = open_ctx();
	_cleanup_list_ struct kmod_list *list = NULL;
	struct kmod_list *item;
	int result = -ENOENT;

	if (!ctx || kmod_module_new_from_lookup(ctx, name, &list) < 0 || !list)
		return in_sysfs(name) ? 0 : -ENOENT;
	kmod_list_foreach(item, list) {
		struct kmod_module *module = kmod_module_get_module(item);
		int rc = kmod_module_get_initstate(module);

		if (rc != KMOD_MODULE_BUILTIN && rc != KMOD_MODULE_LIVE)
			rc = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST, options, NULL, NULL, NULL);
		kmod_module_unref(module);
		if (rc == KMOD_PROBE_APPLY_BLACKLIST)
			rc = -EPERM;
		if (rc >= 0)
			result = 0;
		else if (result != 0)
			result = rc;
	}
	return result;
}

int kernel_module_load(const char *name, const char *options, struct error *err)
{
	int rc = load_all(name, options);

	return rc ? load_failed(name, options, -rc, err) : 0;
}

int kernel_load_nbd(struct error *err)
{
	return kernel_module_load("nbd", "max_part=15", err);
}

int kernel_load_tls(struct error *err)
{
	return kernel_module_load("tls", NULL, err);
}

/* The kernel's list of algorithms that are ready, by their generic names. */
static bool algorithm_ready(const char *algorithm)
{
	FILE *file = fopen("/proc/crypto", "re");
	char line[256], wanted[128];
	bool found = false;

	snprintf(wanted, sizeof(wanted), "name         : %s\n", algorithm);
	while (file && !found && fgets(line, sizeof(line), file))
		found = strcmp(line, wanted) == 0;
	if (file)
		fclose(file);
	return found;
}

bool kernel_cipher_ready(int kernel_cipher)
{
	return algorithm_ready(kernel_cipher == TLS_CIPHER_CHACHA20_POLY1305 ? "rfc7539(chacha20,poly1305)" : "gcm(aes)");
}

static const struct cipher_modules *find_cipher(int kernel_cipher)
{
	for (size_t i = 0; i < sizeof(cipher_modules) / sizeof(cipher_modules[0]); i++)
		if (cipher_modules[i].kernel_cipher == kernel_cipher)
			return &cipher_modules[i];
	return NULL;
}

bool kernel_cipher_loadable(int kernel_cipher)
{
	const struct cipher_modules *cipher = find_cipher(kernel_cipher);

	for (size_t i = 0; cipher && i < sizeof(cipher->aliases) / sizeof(cipher->aliases[0]); i++) {
		enum kernel_module_state state = cipher->aliases[i] ? kernel_module_probe(cipher->aliases[i], NULL, 0) : KERNEL_MODULE_MISSING;

		if (state != KERNEL_MODULE_MISSING && state != KERNEL_MODULE_BLOCKED)
			return true;
	}
	return false;
}

int kernel_load_cipher(int kernel_cipher, struct error *err)
{
	const struct cipher_modules *cipher = find_cipher(kernel_cipher);
	bool any = kernel_cipher_ready(kernel_cipher);

	if (!cipher)
		return error_set(err, ERROR_OTHER, EINVAL, "kernel TLS has no cipher %d", kernel_cipher);
	for (size_t i = 0; i < sizeof(cipher->aliases) / sizeof(cipher->aliases[0]) && cipher->aliases[i]; i++)
		any = load_all(cipher->aliases[i], NULL) == 0 || any;
	if (any)
		return 0;
	error_set(err, ERROR_KERNEL, ENOENT, "kernel %s has no %s", release(), cipher->label);
	return error_hint(err, -ENOENT, "install a kernel that has it, or choose another cipher with --tls-priority");
}
