/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules/kmod-library.h"
#include <dlfcn.h>
#include <string.h>

struct kmod_library kmod;

static bool find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	memcpy(function, &found, sizeof(found));
	return found;
}

bool kmod_library_load(void)
{
	static bool is_loaded;
	void *library = is_loaded ? NULL : dlopen(KMOD_LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return is_loaded;
#define KMOD_FIND(name) &&find(library, "kmod_" #name, &kmod.name)
	is_loaded = true KMOD_FUNCTIONS(KMOD_FIND);
#undef KMOD_FIND
	return is_loaded;
}
