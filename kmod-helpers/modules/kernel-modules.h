/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making the kernel ready: is a feature there (built in or loaded), can its module be loaded, and
 * which command fixes it. */
#ifndef NBDA_MODULES_KERNEL_MODULES
#define NBDA_MODULES_KERNEL_MODULES
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* Read the start of ROOT/PATH as text without its last newline: 0 or -errno. */
int kernel_read_file(const char *path, char *buf, size_t size);
bool kernel_path_exists(const char *path);

enum kernel_module_state {
	KERNEL_MODULE_LIVE, /* loaded */
	KERNEL_MODULE_BUILTIN,
	KERNEL_MODULE_LOADABLE, /* not loaded, its file is there */
	/* blacklisted, or module loading is disabled (kernel.modules_disabled) */
	KERNEL_MODULE_BLOCKED,
	KERNEL_MODULE_MISSING, /* no such module for the running kernel */
};

/* State of NAME (a module or an alias such as "crypto-rfc7539(chacha20,poly1305)"). Falls back to
 * /sys/module and /proc when there is no modules.dep for the running kernel (containers). WHY, if
 * not NULL, receives a sentence for every state but live/builtin. */
enum kernel_module_state kernel_module_check(const char *name, char *why, size_t why_size);

/* Load NAME with OPTIONS ("max_part=15 nbds_max=16" or NULL) through libkmod, honouring modprobe.d
 * (blacklist, options, install). 0 when it is there at the end. ERROR_KERNEL otherwise, naming the
 * module, the reason and `modprobe NAME` or the package to install. */
int kernel_module_load(const char *name, const char *options, struct error *err);

/* The nbd driver, with max_part=15 so that partitions appear on 6.1; nbds_max stays the kernel's
 * unless /etc/modprobe.d says otherwise. */
int kernel_load_nbd(struct error *err);
/* Kernel TLS, and what CIPHER (ktls.h's kernel cipher number; 0: none yet) needs. Not WHOLE: but
 * for what the kernel will ask modprobe for itself, once it sees that the rest is there. */
int kernel_load_tls(struct error *err);
int kernel_load_cipher(int kernel_cipher, bool whole, struct error *err);
/* Is all of that there, for each cipher? Told without libkmod, which stays in a process that has
 * loaded it, with libcrypto. */
bool kernel_is_ready(bool tls, bool whole);
/* As kernel_module_check(), for everything that CIPHER needs; nothing is loaded. */
enum kernel_module_state kernel_cipher_check(int kernel_cipher, char *why, size_t why_size);
/* One command that puts a missing module where it can be loaded, for this machine. */
const char *kernel_package_remedy(void);

#endif
