/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "modules/kmod-library.h"
#include "base/shared-library.h"
#include <stddef.h>

struct kmod_library kmod;

SHARED_LIBRARY_NOTE("[{\"feature\":\"modules\",\"description\":\"Loading kernel modules\","
		    "\"priority\":\"required\",\"soname\":[\"" KMOD_LIBRARY "\"]}]");

bool kmod_library_load(void)
{
	static bool is_loaded;
	void *library = is_loaded ? NULL : shared_library_open(KMOD_LIBRARY);

	if (!library)
		return is_loaded;
#define KMOD_FIND(name) &&shared_library_find(library, "kmod_" #name, &kmod.name)
	is_loaded = true KMOD_FUNCTIONS(KMOD_FIND);
#undef KMOD_FIND
	return is_loaded;
}
