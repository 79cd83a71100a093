/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idle FILE: tells how long the CPU had nothing else to do, where the kernel does not. It runs when
 * nobody else wants to, and writes to FILE what it has executed meanwhile, in rounds of 10,000
 * instructions: under the bench's clock 10 us. An interrupt is not among them.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIGITS 16
#define LOOPS 4995 /* of two instructions; the rest of a round, ten, is that of main() */

int main(int argc, char **argv)
{
	const struct sched_param param = {0};
	char digits[DIGITS + 1] = "0000000000000000";
	char *shared;
	int file;

	file = argc == 2 ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (file < 0 || write(file, "0000000000000000\n", DIGITS + 1) != DIGITS + 1) {
		fprintf(stderr, "usage: idle FILE, which can be written\n");
		return 2;
	}
	shared = mmap(NULL, DIGITS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (shared == MAP_FAILED || sched_setscheduler(0, SCHED_IDLE, &param)) {
		perror("idle");
		return 1;
	}
	for (;;) {
		uint64_t loops = LOOPS;
		char *digit = digits + DIGITS;

		asm volatile("1: dec %0\n\tjnz 1b" : "+r"(loops) : : "cc");
		while (++*--digit > '9')
			*digit = '0';
		/* One store of 16 bytes: who looks sees no half of it. */
		memcpy(shared, digits, DIGITS);
		asm volatile("" : : : "memory");
	}
}
