/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of QEMU: how many instructions the guest executes, and where. Counted is between two
 * programs that the guest runs, known by the address of their one page (tests/bench/profile makes
 * them); each such time is written to FILE.1, FILE.2 and so on: "ADDRESS INSTRUCTIONS" of a block.
 */
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START 0x133700000ULL
#define STOP 0x133900000ULL
#define PAGE 0x10000ULL

/* QEMU's header for plugins is in no package of Debian 12: this is what is used of it. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum { NO_REGISTERS };
void qemu_plugin_register_vcpu_tb_trans_cb(
	qemu_plugin_id_t id, void (*translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
	void (*executed)(unsigned int cpu, void *data), int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);

/* Which interface is meant, 2 since QEMU 9; what is used above is the same in both. */
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

struct count {
	uint64_t address, instructions, times;
};

/* A tree: one of each address and length, as blocks are translated again and again. */
static void *counts;
static const char *prefix;
static int counting, part;
static FILE *out;

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static int compare(const void *a, const void *b)
{
	const struct count *one = a, *other = b;

	if (one->address != other->address)
		return one->address < other->address ? -1 : 1;
	return (one->instructions > other->instructions) -
		(one->instructions < other->instructions);
}

static void write_count(const void *node, VISIT which, int depth)
{
	struct count *count = *(struct count *const *)node;

	(void)depth;
	if ((which != postorder && which != leaf) || !count->times)
		return;
	fprintf(out, "%016" PRIx64 " %" PRIu64 "\n", count->address,
		count->instructions * count->times);
	count->times = 0;
}

static void start(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	counting = 1;
}

static void stop(unsigned int cpu, void *data)
{
	char name[4096];

	(void)cpu;
	(void)data;
	if (!counting)
		return;
	counting = 0;
	snprintf(name, sizeof(name), "%s.%d", prefix, ++part);
	out = fopen(name, "w");
	if (!out)
		give_up(name);
	twalk(counts, write_count);
	if (fclose(out))
		give_up(name);
}

static void executed(unsigned int cpu, void *data)
{
	struct count *count = data;

	(void)cpu;
	if (counting)
		count->times++;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	struct count *count = malloc(sizeof(*count)), **found;

	(void)id;
	if (!count)
		give_up("malloc");
	*count = (struct count){qemu_plugin_tb_vaddr(block), qemu_plugin_tb_n_insns(block), 0};
	found = tsearch(count, &counts, compare);
	if (!found)
		give_up("tsearch");
	if (*found != count)
		free(count);
	count = *found;
	if (count->address >= START && count->address < START + PAGE)
		qemu_plugin_register_vcpu_tb_exec_cb(block, start, NO_REGISTERS, NULL);
	if (count->address >= STOP && count->address < STOP + PAGE)
		qemu_plugin_register_vcpu_tb_exec_cb(block, stop, NO_REGISTERS, NULL);
	qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, count);
}

/* QEMU calls this; ARGV is "out=FILE". */
__attribute__((visibility("default"))) int qemu_plugin_install(
	qemu_plugin_id_t id, const void *info, int argc, char **argv);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	prefix = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
