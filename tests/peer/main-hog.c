// SPDX-License-Identifier: GPL-2.0-or-later
/* hog MIB SEED [ROUNDS]: fills so much memory with a pattern that no two pages share, then reads
 * each page and checks it; in ROUNDS (1) rounds, each with a pattern of its own. Says on stdout
 * "filled N" and "checked N" for each round. Exits 1 at the first word that is not what was written
 * there, and says where. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_WORDS (4096 / sizeof(uint64_t))

/* splitmix64: a page's content is not to be had from its neighbour's, nor does it compress. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void fill(uint64_t *memory, uint64_t pages, uint64_t seed)
{
	for (uint64_t page = 0; page < pages; page++)
		for (uint64_t word = 0; word < PAGE_WORDS; word++)
			memory[page * PAGE_WORDS + word] =
				mix(seed ^ mix(page * PAGE_WORDS + word));
}

static int check(const uint64_t *memory, uint64_t pages, uint64_t seed)
{
	for (uint64_t page = 0; page < pages; page++)
		for (uint64_t word = 0; word < PAGE_WORDS; word++) {
			uint64_t want = mix(seed ^ mix(page * PAGE_WORDS + word)),
				 got = memory[page * PAGE_WORDS + word];

			if (got == want)
				continue;
			printf("page %llu of %llu, word %llu: %016llx and not %016llx\n",
				(unsigned long long)page, (unsigned long long)pages,
				(unsigned long long)word, (unsigned long long)got,
				(unsigned long long)want);
			return 1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t pages = argc > 2 ? strtoull(argv[1], NULL, 10) << 8 : 0,
		 seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int rounds = argc > 3 ? atoi(argv[3]) : 1;
	uint64_t *memory = pages ? mmap(NULL, pages << 12, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) :
				   MAP_FAILED;

	if (memory == MAP_FAILED)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int round = 0; round < rounds; round++) {
		fill(memory, pages, seed + (uint64_t)round);
		printf("filled %llu\n", (unsigned long long)pages);
		if (check(memory, pages, seed + (uint64_t)round))
			return 1;
		printf("checked %llu\n", (unsigned long long)pages);
	}
	return 0;
}
