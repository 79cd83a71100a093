/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/shared-library.h"
#include <dlfcn.h>
#include <string.h>

void *shared_library_open(const char *soname)
{
	return dlopen(soname, RTLD_NOW | RTLD_LOCAL);
}

bool shared_library_find(void *library, const char *name, void *address)
{
	void *found = dlsym(library, name);

	memcpy(address, &found, sizeof(found));
	return found;
}
