/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules/kernel-modules.h"
#include "modules/kmod-library.h"
#include "base/system-root.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/text.h"
#include "tls/ktls.h"

#define ALGORITHM_ALIAS "crypto-" /* and the algorithm's name */

int kernel_read_file(const char *path, char *buf, size_t size)
{
	char full[PATH_MAX];
	int rc = system_path(full, sizeof(full), "%s", path);

	return rc < 0 ? rc : system_read_file(full, buf, size);
}

bool kernel_path_exists(const char *path)
{
	char full[PATH_MAX];

	return system_path(full, sizeof(full), "%s", path) == 0 && !access(full, F_OK);
}

static bool is_loading_disabled(void)
{
	char text[16];

	return !kernel_read_file("/proc/sys/kernel/modules_disabled", text, sizeof(text)) &&
		!strcmp(text, "1");
}

static void modules_dir(char *path, size_t size)
{
	struct utsname kernel;

	uname(&kernel);
	snprintf(path, size, "/lib/modules/%s", kernel.release);
}

const char *kernel_package_remedy(void)
{
	struct utsname kernel;
	char dir[128];

	uname(&kernel);
	modules_dir(dir, sizeof(dir));
	/* The kernel runs, its modules are gone: replaced by an upgrade, or they are the host's and
	 * this is a container. */
	if (!kernel_path_exists(dir))
		return "reboot (into an installed kernel; in a container, run modprobe on the "
		       "host)";
	if (!kmod_library_load())
		return "apt-get install libkmod2 (or another package that has it), or run modprobe";
	if (!strcmp(kernel.machine, "x86_64"))
		return "apt-get install linux-image-amd64 (or another kernel that has it)";
	if (!strcmp(kernel.machine, "aarch64"))
		return "apt-get install linux-image-arm64 (or another kernel that has it)";
	return "install a distribution kernel";
}

/* /proc/crypto, or NULL. */
static char *read_algorithms(void)
{
	_cleanup_file_ FILE *file = NULL;
	char path[PATH_MAX], *text = NULL;
	size_t size = 0;

	file = system_path(path, sizeof(path), "/proc/crypto") < 0 ? NULL : fopen(path, "re");
	if (!file || getdelim(&text, &size, 0, file) >= 0)
		return text;
	free(text);
	return NULL;
}

/* Of a line "KEY   : VALUE"; NULL: it is another. */
static const char *value_of(const char *line, const char *key, size_t *length)
{
	size_t key_length = strlen(key);

	if (strncmp(line, key, key_length) != 0)
		return NULL;
	line += key_length;
	line += strspn(line, " ");
	if (*line++ != ':')
		return NULL;
	line += strspn(line, " ");
	*length = strcspn(line, "\n");
	return line;
}

enum algorithm_state { ALGORITHM_ABSENT, ALGORITHM_GENERIC, ALGORITHM_FAST };

static enum algorithm_state find_algorithm(const char *text, const char *name)
{
	static const char generic[] = "-generic";
	enum algorithm_state state = ALGORITHM_ABSENT;
	size_t length, end = strlen(generic);
	bool is_it = false;

	for (const char *line = text; line && *line; line = *line ? line + 1 : line) {
		const char *value = value_of(line, "name", &length);

		if (value)
			is_it = length == strlen(name) && strncmp(value, name, length) == 0;
		if (value && is_it && state == ALGORITHM_ABSENT)
			state = ALGORITHM_GENERIC;
		value = is_it ? value_of(line, "driver", &length) : NULL;
		if (value && (length < end || strncmp(value + length - end, generic, end) != 0))
			state = ALGORITHM_FAST;
		line = strchrnul(line, '\n');
	}
	return state;
}

/* An algorithm in /proc/crypto can be used at once, whichever module or built-in code it is
 * from. */
static bool has_algorithm(const char *name)
{
	_cleanup_free_ char *text = read_algorithms();

	return find_algorithm(text, name) != ALGORITHM_ABSENT;
}

static bool is_algorithm(const char *name)
{
	return !strncmp(name, ALGORITHM_ALIAS, strlen(ALGORITHM_ALIAS));
}

/* Is NAME there by what the running kernel shows, whatever modules.dep says of it? */
static bool is_seen_running(const char *name)
{
	char path[160], ulps[256];
	size_t i;

	if (is_algorithm(name))
		return has_algorithm(name + strlen(ALGORITHM_ALIAS));
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	for (i = strlen("/sys/module/"); path[i]; i++)
		if (path[i] == '-')
			path[i] = '_';
	if (kernel_path_exists(path))
		return true;
	/* Built-in code without parameters has no /sys/module entry. */
	return !strcmp(name, "tls") &&
		!kernel_read_file("/proc/sys/net/ipv4/tcp_available_ulp", ulps, sizeof(ulps)) &&
		strstr(ulps, "tls");
}

static void cleanup_context(struct kmod_ctx **ctx)
{
	if (*ctx)
		kmod.unref(*ctx);
}

static void cleanup_list(struct kmod_list **list)
{
	if (*list)
		kmod.module_unref_list(*list);
}

static void cleanup_module(struct kmod_module **mod)
{
	if (*mod)
		kmod.module_unref(*mod);
}

#define _cleanup_context_ __attribute__((cleanup(cleanup_context)))
#define _cleanup_list_ __attribute__((cleanup(cleanup_list)))
#define _cleanup_module_ __attribute__((cleanup(cleanup_module)))

static void drop_log(void *data, int priority, const char *file, int line, const char *fn,
	const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line, (void)fn, (void)format, (void)args;
}

static struct kmod_ctx *open_context(void)
{
	char dir[PATH_MAX], config[PATH_MAX], release_dir[128];
	const char *paths[] = {config, NULL};
	struct kmod_ctx *ctx;

	if (*system_root()) {
		modules_dir(release_dir, sizeof(release_dir));
		if (system_path(dir, sizeof(dir), "%s", release_dir) < 0 ||
			system_path(config, sizeof(config), "/etc/modprobe.d") < 0)
			return NULL;
	}
	if (!kmod_library_load())
		return NULL;
	ctx = kmod.new(*system_root() ? dir : NULL, *system_root() ? paths : NULL);
	/* Its complaints about absent indices go to stderr otherwise; what matters is in our own
	 * sentences. */
	if (ctx)
		kmod.set_log_fn(ctx, drop_log, NULL);
	return ctx;
}

/* All modules that answer to NAME. The kernel, too, asks for the template ("crypto-gcm") when
 * nobody claims the whole algorithm. */
static struct kmod_list *look_up(struct kmod_ctx *ctx, const char *name)
{
	struct kmod_list *list = NULL;
	char template[128];

	if (kmod.module_new_from_lookup(ctx, name, &list) < 0)
		list = NULL;
	if (!list && strchr(name, '(') && strlen(name) < sizeof(template)) {
		text_copy(template, sizeof(template), name);
		template[strcspn(template, "(")] = 0;
		if (kmod.module_new_from_lookup(ctx, template, &list) < 0)
			list = NULL;
	}
	return list;
}

static bool is_blacklisted(struct kmod_ctx *ctx, struct kmod_list *one)
{
	_cleanup_list_ struct kmod_list *left = NULL;
	struct kmod_module *mod = kmod.module_get_module(one);
	bool found = false;
	struct kmod_list *entry;

	if (kmod.module_apply_filter(ctx, KMOD_FILTER_BLACKLIST, one, &left) < 0) {
		kmod.module_unref(mod);
		return false;
	}
	for (entry = left; entry; entry = kmod.list_next(left, entry)) {
		struct kmod_module *other = kmod.module_get_module(entry);

		found |= other == mod;
		kmod.module_unref(other);
	}
	kmod.module_unref(mod);
	return !found;
}

/* "install nbd /bin/false" is the usual way to forbid a module by its own name. */
static bool is_install_blocked(struct kmod_module *mod)
{
	const char *command = kmod.module_get_install_commands(mod);

	return command && (strstr(command, "/bin/false") || strstr(command, "/bin/true"));
}

static enum kernel_module_state state_of(struct kmod_ctx *ctx, struct kmod_list *entry)
{
	_cleanup_module_ struct kmod_module *mod = kmod.module_get_module(entry);

	switch (kmod.module_get_initstate(mod)) {
	case KMOD_MODULE_BUILTIN: return KERNEL_MODULE_BUILTIN;
	case KMOD_MODULE_LIVE:
	case KMOD_MODULE_COMING: return KERNEL_MODULE_LIVE;
	default: break;
	}
	if (is_blacklisted(ctx, entry) || is_install_blocked(mod) || is_loading_disabled())
		return KERNEL_MODULE_BLOCKED;
	return kmod.module_get_path(mod) && access(kmod.module_get_path(mod), F_OK) == 0 ?
		KERNEL_MODULE_LOADABLE :
		KERNEL_MODULE_MISSING;
}

static void explain(enum kernel_module_state state, const char *name, char *why, size_t size)
{
	struct utsname kernel;
	char dir[128];

	if (!why || !size)
		return;
	why[0] = 0;
	uname(&kernel);
	modules_dir(dir, sizeof(dir));
	if (state == KERNEL_MODULE_LOADABLE)
		snprintf(why, size, "the module %s is not loaded", name);
	else if (state == KERNEL_MODULE_BLOCKED && is_loading_disabled())
		snprintf(why, size,
			"the module %s is not loaded, and kernel.modules_disabled forbids it until "
			"the next boot",
			name);
	else if (state == KERNEL_MODULE_BLOCKED)
		snprintf(why, size, "the module %s is blocked in modprobe.d (blacklist or install)",
			name);
	else if (state == KERNEL_MODULE_MISSING && !kernel_path_exists(dir))
		snprintf(why, size, "the modules of the running kernel %.80s are not installed",
			kernel.release);
	else if (state == KERNEL_MODULE_MISSING && !kmod_library_load())
		snprintf(why, size,
			"the module %s is not loaded, and cannot be looked up without " KMOD_LIBRARY
			", which cannot be loaded",
			name);
	else if (state == KERNEL_MODULE_MISSING)
		snprintf(why, size, "the running kernel %.80s has no module %s", kernel.release,
			name);
}

static enum kernel_module_state find_state(struct kmod_ctx *ctx, const char *name)
{
	_cleanup_list_ struct kmod_list *list = look_up(ctx, name);
	enum kernel_module_state best = KERNEL_MODULE_MISSING, state;
	struct kmod_list *entry;

	for (entry = list; entry; entry = kmod.list_next(list, entry)) {
		state = state_of(ctx, entry);
		if (state < best)
			best = state;
	}
	if (best > KERNEL_MODULE_BUILTIN && is_seen_running(name))
		return KERNEL_MODULE_BUILTIN;
	return best;
}

enum kernel_module_state kernel_module_check(const char *name, char *why, size_t why_size)
{
	_cleanup_context_ struct kmod_ctx *ctx = open_context();
	enum kernel_module_state state = KERNEL_MODULE_MISSING;

	if (ctx)
		state = find_state(ctx, name);
	else if (is_seen_running(name))
		state = KERNEL_MODULE_BUILTIN;
	explain(state, name, why, why_size);
	return state;
}

static int refuse_load(const char *name, enum kernel_module_state state, int rc, struct error *err)
{
	char why[256];

	if (rc == -EPERM || rc == -EACCES) {
		error_set(err, ERROR_PERMISSION, EPERM,
			"the kernel module %s is needed and loading it is not permitted here",
			name);
		return error_hint(err, -EPERM,
			"run as root: modprobe '%s' (in a container: on the host; under lockdown, "
			"modules must be signed)",
			name);
	}
	if (state == KERNEL_MODULE_LOADABLE) {
		error_set(err, ERROR_KERNEL, ENODEV, "the kernel module %s could not be loaded: %s",
			name, rc < 0 ? strerror(-rc) : "its install command left it out");
		return error_hint(err, -ENODEV, "modprobe '%s' and dmesg show more", name);
	}
	explain(state, name, why, sizeof(why));
	error_set(err, ERROR_KERNEL, ENODEV, "%s", why);
	if (state != KERNEL_MODULE_BLOCKED)
		return error_hint(err, -ENODEV, "%s", kernel_package_remedy());
	if (is_loading_disabled())
		return error_hint(err, -ENODEV, "list %s in /etc/modules and reboot", name);
	return error_hint(
		err, -ENODEV, "take %s out of /etc/modprobe.d, then: modprobe '%s'", name, name);
}

static int load(const char *name, const char *options, struct error *err)
{
	_cleanup_context_ struct kmod_ctx *ctx = open_context();
	_cleanup_list_ struct kmod_list *list = NULL;
	enum kernel_module_state state;
	struct kmod_list *entry;
	int failed = 0, rc;

	if (!ctx)
		return is_seen_running(name) ? 0 : refuse_load(name, KERNEL_MODULE_MISSING, 0, err);
	state = find_state(ctx, name);
	if (state <= KERNEL_MODULE_BUILTIN && !is_algorithm(name))
		return 0;
	list = look_up(ctx, name);
	for (entry = list; entry; entry = kmod.list_next(list, entry)) {
		_cleanup_module_ struct kmod_module *mod = kmod.module_get_module(entry);

		if (state_of(ctx, entry) != KERNEL_MODULE_LOADABLE)
			continue;
		/* One of several may be for another CPU (ENODEV): any one that loads will do. */
		rc = kmod.module_probe_insert_module(
			mod, KMOD_PROBE_APPLY_BLACKLIST, options, NULL, NULL, NULL);
		if (rc < 0 && rc != -EEXIST)
			failed = rc;
	}
	if (state > KERNEL_MODULE_BUILTIN)
		state = find_state(ctx, name);
	return state <= KERNEL_MODULE_BUILTIN ? 0 : refuse_load(name, state, failed, err);
}

int kernel_module_load(const char *name, const char *options, struct error *err)
{
	/* An algorithm is there, but perhaps only in generic code: its faster modules are loaded
	 * all the same. */
	return !is_algorithm(name) && is_seen_running(name) ? 0 : load(name, options, err);
}

int kernel_load_nbd(struct error *err)
{
	_cleanup_context_ struct kmod_ctx *ctx = NULL;
	_cleanup_module_ struct kmod_module *mod = NULL;
	const char *options = NULL;

	if (is_seen_running("nbd"))
		return 0;
	ctx = open_context();
	if (ctx && kmod.module_new_from_name(ctx, "nbd", &mod) >= 0)
		options = kmod.module_get_options(mod);
	/* libkmod puts ours behind those of modprobe.d, where they would win. */
	return kernel_module_load(
		"nbd", options && strstr(options, "max_part=") ? NULL : "max_part=15", err);
}

int kernel_load_tls(struct error *err)
{
	return kernel_module_load("tls", NULL, err);
}

/* The template is there, and no part is there by generic code alone, of which loading its alias
 * might find a faster one. What is absent the kernel asks for itself. */
static bool is_loaded(const struct ktls_cipher *cipher, const char *algorithms)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/module/%s", cipher->module);
	if (!kernel_path_exists(path))
		return false;
	for (size_t i = 1; cipher->parts[i]; i++)
		if (find_algorithm(algorithms, cipher->parts[i] + strlen(ALGORITHM_ALIAS)) ==
			ALGORITHM_GENERIC)
			return false;
	return true;
}

static bool is_cipher_ready(const struct ktls_cipher *cipher, const char *algorithms, bool whole)
{
	return find_algorithm(algorithms, cipher->algorithm) != ALGORITHM_ABSENT ||
		(!whole && is_loaded(cipher, algorithms));
}

int kernel_load_cipher(int kernel_cipher, bool whole, struct error *err)
{
	const struct ktls_cipher *cipher = ktls_cipher_find(kernel_cipher);
	_cleanup_free_ char *algorithms = NULL;
	struct error ignored;
	size_t i;
	int rc;

	if (!kernel_cipher)
		return 0;
	if (!cipher)
		return error_set(err, ERROR_KERNEL, EINVAL,
			"cipher %d is not one that this program gives to the kernel",
			kernel_cipher);
	algorithms = read_algorithms();
	if (is_cipher_ready(cipher, algorithms, whole))
		return 0;
	for (i = 0; cipher->parts[i]; i++) {
		rc = kernel_module_load(cipher->parts[i], NULL, i ? &ignored : err);
		if (rc < 0 && !i && !has_algorithm(cipher->algorithm)) {
			error_prefix(err, "%s", cipher->name);
			return rc;
		}
	}
	return 0;
}

bool kernel_is_ready(bool tls, bool whole)
{
	_cleanup_free_ char *algorithms = tls ? read_algorithms() : NULL;
	bool is_ready = is_seen_running("nbd") && (!tls || is_seen_running("tls"));

	for (size_t i = 0; is_ready && tls && ktls_cipher_at(i); i++)
		is_ready = is_cipher_ready(ktls_cipher_at(i), algorithms, whole);
	return is_ready;
}

enum kernel_module_state kernel_cipher_check(int kernel_cipher, char *why, size_t why_size)
{
	const struct ktls_cipher *cipher = ktls_cipher_find(kernel_cipher);
	enum kernel_module_state worst, state;
	char text[256];
	size_t i;

	if (why && why_size)
		why[0] = 0;
	if (!cipher)
		return KERNEL_MODULE_MISSING;
	if (has_algorithm(cipher->algorithm))
		return KERNEL_MODULE_LIVE;
	worst = kernel_module_check(cipher->parts[0], why, why_size);
	for (i = 1; cipher->parts[i] && worst != KERNEL_MODULE_MISSING; i++) {
		state = kernel_module_check(cipher->parts[i], text, sizeof(text));
		if (state == KERNEL_MODULE_MISSING || state <= worst)
			continue;
		worst = state;
		if (why)
			text_copy(why, why_size, text);
	}
	return worst;
}
