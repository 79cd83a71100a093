/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libkmod, which only those load who look up a module: it brings libcrypto, whose 4,000 symbols
 * took two thirds of what starting the program takes. It is loaded before anything is read from
 * the network, and never by a negotiator. */
#ifndef NBDA_MODULES_KMOD_LIBRARY
#define NBDA_MODULES_KMOD_LIBRARY
#include <libkmod.h>
#include <stdbool.h>

#define KMOD_LIBRARY "libkmod.so.2"

/* What is called of it, without "kmod_". */
#define KMOD_FUNCTIONS(_)                                                                          \
	_(new)                                                                                     \
	_(unref)                                                                                   \
	_(set_log_fn)                                                                              \
	_(list_next)                                                                               \
	_(module_apply_filter)                                                                     \
	_(module_get_initstate)                                                                    \
	_(module_get_install_commands)                                                             \
	_(module_get_module)                                                                       \
	_(module_get_options)                                                                      \
	_(module_get_path)                                                                         \
	_(module_new_from_lookup)                                                                  \
	_(module_new_from_name)                                                                    \
	_(module_probe_insert_module)                                                              \
	_(module_unref)                                                                            \
	_(module_unref_list)

#define KMOD_MEMBER(name) __typeof__(kmod_##name) *(name);
struct kmod_library {
	KMOD_FUNCTIONS(KMOD_MEMBER)
};
#undef KMOD_MEMBER

/* Filled by kmod_library_load(). */
extern struct kmod_library kmod;

/* Once a process; false: it cannot be loaded. */
bool kmod_library_load(void);

#endif
