/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line of what `nbd-attach doctor` shows. */
#ifndef NBDA_MODULES_CHECK_ITEM
#define NBDA_MODULES_CHECK_ITEM

enum check_state {
	CHECK_OK,
	CHECK_LOADABLE, /* not there yet; attach loads it by itself */
	CHECK_WARN,     /* attach works, but not as well as it could; or this could not be told */
	CHECK_MISSING,  /* attach fails without it */
};

/* All three texts are printable; remedy is one command, empty when there is nothing to fix. */
struct check_item {
	char name[48];
	enum check_state state;
	char detail[200];
	char remedy[200];
};

#endif
