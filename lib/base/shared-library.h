/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Libraries that are loaded when somebody needs them, and not at each start. A process that reads
 * from the network, or may have no disk, has to have them before. */
#ifndef NBDA_BASE_SHARED_LIBRARY
#define NBDA_BASE_SHARED_LIBRARY
#include <stdbool.h>
#include <stdint.h>

/* NULL: it cannot be loaded, and dlerror() says why. */
void *shared_library_open(const char *soname);
/* *ADDRESS, a pointer to what LIBRARY has as NAME. False: it has none. */
bool shared_library_find(void *library, const char *name, void *address);

/* For packagers' tools, which find what is linked by themselves: TEXT is JSON, as the ELF packaging
 * metadata of systemd and the distributions have it ("dlopen" notes of uapi-group.org). */
#define SHARED_LIBRARY_NOTE(text)                                                                  \
	static const struct {                                                                      \
		uint32_t owner_size, text_size, type;                                              \
		char owner[4], content[(sizeof(text) + 3) & ~3UL];                                 \
	} shared_library_note __attribute__((used, section(".note.dlopen"), aligned(4))) = {       \
		4, sizeof(text), 0x407c0c0a, "FDO", text}

#endif
