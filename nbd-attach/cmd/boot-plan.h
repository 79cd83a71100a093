/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be attached at boot: the kernel's command line and nbdtab brought together. */
#ifndef NBDA_BOOT_JOBS_H
#define NBDA_BOOT_JOBS_H
#include "config/kcmdline.h"
#include "options/nbdtab-options.h"

#define BOOT_JOBS_MAX 64

struct boot_job {
	int index;
	struct target target;
	struct options options;
};

struct boot_jobs {
	struct boot_job *jobs;
	size_t count;
	struct boot_plan *plan;
	struct tab tab;
	bool has_tab;
	bool refused; /* something that was asked for is not among them; stderr has it */
};

/* DEFAULTS are the options of the command "boot". Tells on stderr what cannot be used. The jobs point into JOBS and DEFAULTS. Free with
 * boot_jobs_free(), whatever is returned. */
int boot_jobs_make(struct boot_jobs *jobs, const struct boot_input *input, const struct options *defaults, struct error *err);
void boot_jobs_free(struct boot_jobs *jobs);

#endif
