/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <linux/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "modules/kernel-modules.h"
#include "modules/kernel-checks.h"
#include "fake-root.h"

/* A fake kernel. Its module "nbdx" is an object file good enough for depmod, under a name that no
 * running kernel has loaded. */
static struct error err;
static bool has_tools;
static const char *pretended; /* a release; NULL: the true one */

int uname(struct utsname *kernel)
{
	long rc = syscall(SYS_uname, kernel);

	if (pretended)
		strcpy(kernel->release, pretended);
	return (int)rc;
}

static void make_modules(const char *release)
{
	char command[1024];

	snprintf(command, sizeof(command),
		"m=%s/lib/modules/%s; mkdir -p $m/kernel && : >$m/modules.order && echo "
		"kernel/builtx.ko >$m/modules.builtin &&"
		" printf '__attribute__((section(\".modinfo\"))) char a[] = "
		"\"alias=crypto-fakealg\";' |"
		" gcc -x c -c -o $m/kernel/nbdx.ko - && PATH=$PATH:/sbin:/usr/sbin depmod -b %s %s "
		"2>/dev/null",
		fake_root, release, fake_root, release);
	has_tools = system(command) == 0;
}

static int setup(void **state)
{
	struct utsname kernel;

	(void)state;
	if (fake_root_make())
		return -1;
	uname(&kernel);
	fake_root_put("/etc/modprobe.d/none.conf", "");
	fake_root_put("/proc/crypto",
		"name         : sha256\ndriver       : sha256-generic\n\nname         : "
		"gcm(aes)\n");
	fake_root_put("/proc/sys/kernel/modules_disabled", "0\n");
	make_modules(kernel.release);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_root_remove();
}

static void test_states(void **state)
{
	char why[256];

	(void)state;
	if (!has_tools)
		skip();
	assert_int_equal(kernel_module_check("nbdx", why, sizeof(why)), KERNEL_MODULE_LOADABLE);
	assert_string_equal(why, "the module nbdx is not loaded");
	assert_int_equal(
		kernel_module_check("crypto-fakealg", why, sizeof(why)), KERNEL_MODULE_LOADABLE);
	assert_int_equal(
		kernel_module_check("crypto-fakealg(aes)", NULL, 0), KERNEL_MODULE_LOADABLE);
	assert_int_equal(kernel_module_check("builtx", why, sizeof(why)), KERNEL_MODULE_BUILTIN);
	assert_string_equal(why, "");
	assert_int_equal(kernel_module_check("nonesuch", why, sizeof(why)), KERNEL_MODULE_MISSING);
	assert_non_null(strstr(why, "has no module nonesuch"));
}

static void test_blocked(void **state)
{
	char why[256];

	(void)state;
	if (!has_tools)
		skip();
	fake_root_put("/etc/modprobe.d/b.conf", "blacklist nbdx\n");
	assert_int_equal(kernel_module_check("nbdx", why, sizeof(why)), KERNEL_MODULE_BLOCKED);
	assert_string_equal(why, "the module nbdx is blocked in modprobe.d (blacklist or install)");
	assert_int_equal(kernel_module_load("nbdx", NULL, &err), -ENODEV);
	assert_int_equal(err.kind, ERROR_KERNEL);
	assert_non_null(strstr(err.hint, "modprobe.d"));
	fake_root_put("/etc/modprobe.d/b.conf", "install nbdx /bin/false\n");
	assert_int_equal(kernel_module_check("nbdx", why, sizeof(why)), KERNEL_MODULE_BLOCKED);
	fake_root_put("/etc/modprobe.d/b.conf", "");
	fake_root_put("/proc/sys/kernel/modules_disabled", "1\n");
	assert_int_equal(kernel_module_check("nbdx", why, sizeof(why)), KERNEL_MODULE_BLOCKED);
	assert_non_null(strstr(why, "modules_disabled"));
	assert_int_equal(kernel_module_load("nbdx", NULL, &err), -ENODEV);
	assert_non_null(strstr(err.hint, "reboot"));
}

static void test_missing_module(void **state)
{
	(void)state;
	assert_int_equal(kernel_module_load("nonesuch", NULL, &err), -ENODEV);
	assert_int_equal(err.kind, ERROR_KERNEL);
	assert_non_null(strstr(err.text, "nonesuch"));
	assert_true(*err.hint);
	assert_int_equal(kernel_module_load("nonesuch", NULL, NULL), -ENODEV);
}

/* A file that is no module of this kernel is refused by the kernel, or by the lack of privilege. */
static void test_load_fails_with_a_reason(void **state)
{
	int rc;

	(void)state;
	if (!has_tools)
		skip();
	rc = kernel_module_load("nbdx", "max_part=15", &err);
	assert_true(rc == -ENODEV || rc == -EPERM);
	assert_int_equal(err.kind, rc == -EPERM ? ERROR_PERMISSION : ERROR_KERNEL);
	assert_non_null(strstr(err.text, "the kernel module nbdx"));
	assert_non_null(strstr(err.hint, "modprobe 'nbdx'"));
}

static void test_without_modules_directory(void **state)
{
	char command[256], why[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s/lib'", fake_root);
	assert_int_equal(system(command), 0);
	assert_int_equal(kernel_module_check("nbdx", why, sizeof(why)), KERNEL_MODULE_MISSING);
	assert_non_null(strstr(why, "are not installed"));
	assert_non_null(strstr(kernel_package_remedy(), "reboot"));
	fake_root_put("/sys/module/nbd_x/refcnt", "0");
	assert_int_equal(kernel_module_check("nbd-x", why, sizeof(why)), KERNEL_MODULE_BUILTIN);
	assert_int_equal(kernel_module_load("nbd-x", NULL, &err), 0);
	fake_root_put("/proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp tls\n");
	assert_int_equal(kernel_load_tls(&err), 0);
}

static void test_ciphers(void **state)
{
	char why[256];

	(void)state;
	assert_int_equal(
		kernel_cipher_check(TLS_CIPHER_AES_GCM_128, why, sizeof(why)), KERNEL_MODULE_LIVE);
	assert_int_equal(
		kernel_cipher_check(TLS_CIPHER_AES_GCM_256, why, sizeof(why)), KERNEL_MODULE_LIVE);
	assert_int_equal(kernel_load_cipher(TLS_CIPHER_AES_GCM_128, true, &err), 0);
	assert_int_equal(kernel_load_cipher(0, true, &err), 0);
	assert_int_equal(kernel_cipher_check(TLS_CIPHER_CHACHA20_POLY1305, why, sizeof(why)),
		KERNEL_MODULE_MISSING);
	assert_true(*why);
	assert_int_equal(kernel_load_cipher(TLS_CIPHER_CHACHA20_POLY1305, true, &err), -ENODEV);
	assert_non_null(strstr(err.text, "CHACHA20-POLY1305: "));
	assert_int_equal(kernel_load_cipher(4711, true, &err), -EINVAL);
	assert_int_equal(kernel_cipher_check(4711, NULL, 0), KERNEL_MODULE_MISSING);
	fake_root_put("/proc/crypto", "name         : rfc7539(chacha20,poly1305)\n");
	assert_int_equal(kernel_load_cipher(TLS_CIPHER_CHACHA20_POLY1305, true, &err), 0);
}

/* The kernel shows a template's name only once it has been used. */
static void test_cipher_of_parts(void **state)
{
	const int cipher = TLS_CIPHER_CHACHA20_POLY1305;

	(void)state;
	fake_root_put("/proc/crypto",
		"name         : chacha20\ndriver       : chacha20-generic\n\nname         : "
		"chacha20\ndriver       : chacha20-simd\n\nname         : xchacha20\ndriver       "
		": "
		"xchacha20-generic\n");
	assert_int_equal(kernel_load_cipher(cipher, false, &err), -ENODEV); /* no template */
	fake_root_put("/sys/module/chacha20poly1305/refcnt", "0");
	assert_int_equal(kernel_load_cipher(cipher, false, &err), 0);
	fake_root_put("/proc/crypto", "name         : chacha20\ndriver       : chacha20-generic\n");
	assert_int_equal(kernel_load_cipher(cipher, false, &err), -ENODEV); /* a faster one? */
	fake_root_put("/proc/crypto", "");
	assert_int_equal(kernel_load_cipher(cipher, false, &err), 0);
	assert_int_equal(kernel_load_cipher(cipher, true, &err), -ENODEV);
}

/* Then nothing has to be loaded, and libkmod need not be there. */
static void test_ready(void **state)
{
	(void)state;
	fake_root_put("/proc/crypto",
		"name         : gcm(aes)\ndriver       : generic-gcm-aesni\n\nname         : "
		"rfc7539(chacha20,poly1305)\ndriver       : "
		"rfc7539(chacha20-simd,poly1305-simd)\n");
	assert_false(kernel_is_ready(false, false));
	fake_root_put("/sys/module/nbd/refcnt", "0");
	assert_true(kernel_is_ready(false, false));
	assert_false(kernel_is_ready(true, false));
	fake_root_put("/sys/module/tls/refcnt", "0");
	assert_true(kernel_is_ready(true, false));
	assert_true(kernel_is_ready(true, true));
	fake_root_put(
		"/proc/crypto", "name         : gcm(aes)\ndriver       : generic-gcm-aesni\n");
	assert_false(kernel_is_ready(true, false)); /* one of the ciphers is not */
	assert_true(kernel_is_ready(false, true));
	fake_root_put("/sys/module/chacha20poly1305/refcnt", "0");
	assert_true(kernel_is_ready(true, false));
	assert_false(kernel_is_ready(true, true)); /* the kernel would still ask for parts of it */
}

static const struct check_item *find(const struct check_item *items, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(items[i].name, name))
			return &items[i];
	return NULL;
}

static enum check_state state_of(const char *name, const char *part)
{
	struct check_item *items = NULL;
	const struct check_item *item;
	enum check_state found;
	size_t count = 0;

	assert_int_equal(kernel_check(&items, &count), 0);
	item = find(items, count, name);
	if (!item)
		fail_msg("no item %s", name);
	if (!strstr(item->detail, part) && !strstr(item->remedy, part))
		fail_msg("%s: '%s' / '%s' lacks '%s'", name, item->detail, item->remedy, part);
	found = item->state;
	free(items);
	return found;
}

static void test_checks(void **state)
{
	(void)state;
	fake_root_put("/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
	fake_root_put("/proc/self/uid_map", "         0          0 4294967295\n");
	fake_root_put("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu vaes aes sse2\n");
	assert_int_equal(state_of("kernel", "."), CHECK_OK);
	assert_int_equal(state_of("AES-128-GCM", "loaded"), CHECK_OK);
	assert_int_equal(state_of("CHACHA20-POLY1305", "no"), CHECK_WARN);
	assert_int_equal(state_of("CPU", "AES-GCM comes first"), CHECK_OK);
	assert_int_equal(state_of("permission", "CAP_SYS_ADMIN"), CHECK_OK);
	assert_int_equal(state_of("module loading", "allowed"), CHECK_OK);
	pretended = "5.14.0-427.13.1.el9_4.x86_64";
	assert_int_equal(state_of("nbd over TCP", "Unix sockets only; attach tells"), CHECK_WARN);
	assert_int_equal(state_of("nbd over TCP", "ELRepo"), CHECK_WARN);
	pretended = NULL;
	fake_root_put("/proc/cpuinfo", "flags : fpu vaes\n");
	assert_int_equal(state_of("CPU", "ChaCha20-Poly1305 comes first"), CHECK_OK);
	fake_root_put("/proc/self/uid_map", "0 100000 65536\n");
	assert_int_equal(state_of("permission", "user namespace"), CHECK_MISSING);
	fake_root_put("/proc/self/status", "CapEff:\t0000000000000000\n");
	assert_int_equal(state_of("permission", "sudo"), CHECK_WARN);
	fake_root_put("/proc/sys/kernel/modules_disabled", "1\n");
	assert_int_equal(state_of("module loading", "modules_disabled"), CHECK_WARN);
	fake_root_put("/proc/sys/kernel/modules_disabled", "0\n");
	fake_root_put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	assert_int_equal(state_of("module loading", "signed"), CHECK_OK);
	fake_root_put("/run/systemd/container", "lxc\033\n");
	assert_int_equal(state_of("container", "lxc?"), CHECK_WARN);
	fake_root_put("/sys/module/nbd/parameters/max_part", "0\n");
	fake_root_put("/sys/module/nbd/parameters/nbds_max", "16\n");
	assert_int_equal(state_of("nbd driver", "max_part=0 nbds_max=16"), CHECK_OK);
	assert_int_equal(state_of("partitions", "max_part=15"), CHECK_WARN);
	assert_int_equal(state_of("device nodes", "nbds_max=0"), CHECK_WARN);
	fake_root_put("/sys/block/nbd0/size", "0\n");
	assert_int_equal(state_of("device nodes", "devtmpfs"), CHECK_MISSING);
	fake_root_put("/dev/nbd0", "");
	assert_int_equal(state_of("device nodes", "is there"), CHECK_OK);
}

/* On whatever machine this runs: it answers, and each missing thing has a text. */
static void test_checks_of_this_machine(void **state)
{
	struct check_item *items = NULL;
	size_t count = 0, i;

	(void)state;
	system_root_set(NULL);
	assert_int_equal(kernel_check(&items, &count), 0);
	assert_true(count >= 8);
	for (i = 0; i < count; i++)
		assert_true(*items[i].name && *items[i].detail);
	free(items);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_states),
		CASE(test_blocked),
		CASE(test_missing_module),
		CASE(test_load_fails_with_a_reason),
		CASE(test_without_modules_directory),
		CASE(test_ciphers),
		CASE(test_cipher_of_parts),
		CASE(test_ready),
		CASE(test_checks),
		CASE(test_checks_of_this_machine),
	};

	return cmocka_run_group_tests_name("kernel-modules", tests, NULL, NULL);
}
