/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The systemd generator: from nbdtab alone it writes which units want nbd-attach@nbdN.service. It
 * runs before anything is mounted, and no boot fails by it: whatever it finds, it ends soon and
 * with 0. */
#ifndef NBDA_CMD_GENERATOR
#define NBDA_CMD_GENERATOR
#include <stdbool.h>

#define GENERATOR_NAME "nbd-attach-generator"

/* One line, printable, without a newline. */
typedef void generator_say_function(const char *line, void *data);

/* Write below NORMAL_DIR what nbdtab asks for, and tell SAY what is wrong with it, and with fstab
 * and crypttab ($NBD_ATTACH_FSTAB, $NBD_ATTACH_CRYPTTAB, or those of /etc). */
void generator_write(const char *normal_dir, generator_say_function *say, void *data);
/* argv: the three directories of systemd.generator(7). */
int generator_main(int argc, char **argv);
/* Was the program called by that name? */
bool generator_is_called(const char *argv0);

#endif
