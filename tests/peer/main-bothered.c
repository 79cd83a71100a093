// SPDX-License-Identifier: GPL-2.0-or-later
/* bothered DEVICE OFFSET_MIB PROCESSES MIB SECONDS SIGNAL_US: so many processes, each with a piece
 * of its own of the device, write it in one direct request of MIB, read it back and compare, round
 * after round, each round with a pattern of its own; and a timer interrupts each of them all
 * SIGNAL_US (0: never) by a signal that it handles. After SECONDS, or at the first error of each,
 * says on stdout "rounds N wrong N errors N longest_ms N". Exit status: 0, 1 for wrong data, 2 for
 * errors alone, 3 when it cannot begin. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 64
#define MIB_BYTES (1024UL * 1024)

struct result {
	uint64_t rounds, wrong, errors, longest_ms;
};

struct piece {
	int fd, number;
	size_t bytes;
	off_t offset;
	uint64_t *buffer;
	struct result *result;
};

static void handled(int signal)
{
	(void)signal;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* No word is like another of this or any other round, process or place. */
static uint64_t word_of(const struct piece *piece, uint64_t round, size_t at)
{
	return ((uint64_t)piece->number << 56 | round << 32 | at) * 0x9e3779b97f4a7c15;
}

static bool transfer(const struct piece *piece, bool writes)
{
	uint64_t began = now_ms(), lasted;

	for (size_t done = 0; done < piece->bytes;) {
		char *at = (char *)piece->buffer + done;
		off_t where = piece->offset + (off_t)done;
		ssize_t n = writes ? pwrite(piece->fd, at, piece->bytes - done, where) :
				     pread(piece->fd, at, piece->bytes - done, where);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			printf("process %d, round %llu: %s: %s\n", piece->number,
				(unsigned long long)piece->result->rounds,
				writes ? "write" : "read", n ? strerror(errno) : "nothing");
			piece->result->errors++;
			return false;
		}
		done += (size_t)n;
	}
	lasted = now_ms() - began;
	if (lasted > piece->result->longest_ms)
		piece->result->longest_ms = lasted;
	return true;
}

static bool is_right(const struct piece *piece, uint64_t round)
{
	for (size_t at = 0; at < piece->bytes / sizeof(uint64_t); at++) {
		if (piece->buffer[at] == word_of(piece, round, at))
			continue;
		printf("process %d, round %llu: byte %zu of its piece is wrong\n", piece->number,
			(unsigned long long)round, at * sizeof(uint64_t));
		piece->result->wrong++;
		return false;
	}
	return true;
}

static void work(const struct piece *piece, uint64_t until_ms, suseconds_t signal_us)
{
	struct itimerval timer = {.it_interval.tv_usec = signal_us, .it_value.tv_usec = signal_us};
	struct sigaction action = {.sa_handler = handled, .sa_flags = SA_RESTART};
	struct result *result = piece->result;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (now_ms() < until_ms) {
		for (size_t at = 0; at < piece->bytes / sizeof(uint64_t); at++)
			piece->buffer[at] = word_of(piece, result->rounds, at);
		if (!transfer(piece, true))
			return;
		memset(piece->buffer, 0, piece->bytes);
		if (!transfer(piece, false) || !is_right(piece, result->rounds))
			return;
		result->rounds++;
	}
}

static int sum_up(const struct result *results, int count)
{
	struct result all = {0};

	for (int i = 0; i < count; i++) {
		all.rounds += results[i].rounds;
		all.wrong += results[i].wrong;
		all.errors += results[i].errors;
		if (results[i].longest_ms > all.longest_ms)
			all.longest_ms = results[i].longest_ms;
	}
	printf("rounds %llu wrong %llu errors %llu longest_ms %llu\n",
		(unsigned long long)all.rounds, (unsigned long long)all.wrong,
		(unsigned long long)all.errors, (unsigned long long)all.longest_ms);
	return all.wrong ? 1 : all.errors ? 2 : 0;
}

int main(int argc, char **argv)
{
	int count = argc == 7 ? atoi(argv[3]) : 0;
	size_t bytes = argc == 7 ? strtoul(argv[4], NULL, 10) * MIB_BYTES : 0;
	int fd = count > 0 && count <= MAX_PROCESSES ?
		open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC) :
		-1;
	struct result *results = mmap(NULL, sizeof(*results) * MAX_PROCESSES,
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t until_ms;

	if (fd < 0 || !bytes || results == MAP_FAILED)
		return 3;
	setvbuf(stdout, NULL, _IOLBF, 0);
	until_ms = now_ms() + strtoul(argv[5], NULL, 10) * 1000;
	for (int i = 0; i < count; i++) {
		off_t offset = (off_t)(strtoul(argv[2], NULL, 10) * MIB_BYTES + (size_t)i * bytes);
		void *buffer = mmap(
			NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct piece piece = {fd, i, bytes, offset, buffer, &results[i]};

		if (buffer == MAP_FAILED)
			return 3;
		if (fork() == 0) {
			work(&piece, until_ms, atoi(argv[6]));
			_exit(0);
		}
		munmap(buffer, bytes);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return sum_up(results, count);
}
