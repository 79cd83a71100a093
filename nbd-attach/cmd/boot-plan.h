/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be attached at boot: the kernel's command line and nbdtab brought together. */
#ifndef NBDA_CMD_BOOT_PLAN
#define NBDA_CMD_BOOT_PLAN
#include "config/kcmdline.h"
#include "options/nbdtab-options.h"

#define BOOT_PLAN_MAX 64

struct boot_plan_entry {
	int index;
	struct config config;
};

struct boot_plan {
	struct boot_plan_entry *jobs;
	size_t count;
	struct kcmdline *plan;
	struct nbdtab_options tab; /* only its path */
	bool has_tab;
	bool refused; /* something that was asked for is not among them; stderr has it */
};

/* DEFAULTS are those of the command "boot". Tells on stderr what cannot be used. Free with
 * boot_plan_free(), whatever is returned. */
int boot_plan_make(struct boot_plan *jobs, const struct kcmdline_input *input,
	const struct settings *defaults, struct error *err);
void boot_plan_free(struct boot_plan *jobs);

#endif
