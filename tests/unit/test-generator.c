/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "cmd/generator.h"

static char folder[64], tab_path[96], fstab_path[96], crypttab_path[96], normal[96];
static char said[65536];
static unsigned said_lines;

static void remember(const char *line, void *data)
{
	size_t used = strlen(said);

	(void)data;
	said_lines++;
	assert_null(strchr(line, '\n'));
	assert_true(strlen(line) < 1000);
	snprintf(said + used, sizeof(said) - used, "%s\n", line);
}

static void write_bytes(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fwrite(text, 1, size, file);
	fclose(file);
}

static void clear_normal(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s && mkdir %s", normal, normal);
	assert_int_equal(system(command), 0);
}

static void generate(const char *tab, const char *fstab)
{
	said[0] = 0;
	said_lines = 0;
	write_bytes(tab_path, tab, strlen(tab));
	write_bytes(fstab_path, fstab, strlen(fstab));
	clear_normal();
	generator_write(normal, remember, NULL);
}

static bool there(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", normal, name);
	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static unsigned count_files(void)
{
	char command[160];
	unsigned count = 0;
	FILE *pipe;

	snprintf(command, sizeof(command), "find %s -type l | wc -l", normal);
	pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

static void devices_and_partitions_pull_the_unit_in(void **state)
{
	char path[256], target[256] = "";
	static const char unit[] = "/nbd-attach@.service";

	(void)state;
	generate("nbd0 srv exp\n", "");
	assert_string_equal(said, "");
	assert_true(there("remote-fs.target.wants/nbd-attach@nbd0.service"));
	assert_true(there("dev-nbd0.device.requires/nbd-attach@nbd0.service"));
	assert_true(there("dev-nbd0p1.device.requires/nbd-attach@nbd0.service"));
	assert_true(there("dev-nbd0p15.device.requires/nbd-attach@nbd0.service"));
	assert_false(there("dev-nbd0p16.device.requires/nbd-attach@nbd0.service"));
	/* A partition's blockdev@ is there with whatever needs the partition, and so is the order
	 * when the disk is stopped. */
	assert_true(there("dev-nbd0p1.device.wants/blockdev@dev-nbd0p1.target"));
	assert_int_equal(count_files(), 32);
	snprintf(path, sizeof(path), "%s/remote-fs.target.wants/nbd-attach@nbd0.service", normal);
	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target + strlen(target) - strlen(unit), unit);
	assert_int_equal(*target, '/');
}

static void options_of_the_line(void **state)
{
	(void)state;
	generate("nbd0 srv a noauto\nnbd1 srv b root\nnbd2 srv c nofail\nnbd3 srv d swap\n", "");
	assert_string_equal(said, "");
	assert_int_equal(count_files(), 32 + 49);
	assert_true(there("remote-fs.target.wants/nbd-attach@nbd2.service"));
	assert_true(there("dev-nbd2.device.wants/nbd-attach@nbd2.service"));
	assert_true(there("dev-nbd2p15.device.wants/nbd-attach@nbd2.service"));
	assert_false(there("dev-nbd2.device.requires/nbd-attach@nbd2.service"));
	assert_true(there("remote-fs.target.wants/nbd-attach@nbd3.service"));
	assert_true(there("dev-nbd3.device.requires/nbd-attach@nbd3.service"));
	/* Swap: rights for the supervisor, and an order without which the boot has a cycle. */
	assert_true(there("nbd-attach@nbd3.service.d/swap.conf"));
	assert_false(there("nbd-attach@nbd2.service.d/swap.conf"));
	assert_true(there("dev-nbd3.swap.d/nbd-attach.conf"));
	assert_true(there("dev-nbd3p15.swap.d/nbd-attach.conf"));
	assert_false(there("dev-nbd2.swap.d/nbd-attach.conf"));
}

static void bad_lines_are_reported_and_skipped(void **state)
{
	(void)state;
	generate("nonsense\nnbd0 srv exp bs=1\nnbd1 srv exp wat\n", "");
	assert_int_equal(said_lines, 3);
	assert_non_null(strstr(said, "nbdtab:1:1: 'nonsense' is not a device"));
	assert_non_null(strstr(said, "nbdtab:2:14: --block-size 1"));
	assert_non_null(strstr(said, "nbdtab:3:14: the unknown option 'wat'"));
	assert_int_equal(count_files(), 32);
	assert_true(there("remote-fs.target.wants/nbd-attach@nbd1.service"));
}

static void fstab_is_warned_about(void **state)
{
	static const char tab[] = "nbd0 srv a\nnbd1 srv b root\n";
	static const struct {
		const char *fstab, *says;
	} table[] = {
		{"/dev/nbd0 /mnt ext4 defaults 0 2\n",
			"fstab:1: /dev/nbd0 is a disk on the network: add _netdev"},
		{"# x\n\n/dev/nbd0p3\t/mnt ext4 noatime,nofail\n",
			"fstab:3: /dev/nbd0p3 is a disk"},
		{"/dev/nbd0 none swap sw 0 0\n", "add _netdev"},
		{"/dev/nbd0 /mnt\n", "add _netdev"},
		{"/dev/nbd0 /mnt ext4 x_netdev,_netdevx 0 2\n", "add _netdev"},
		{"UUID=1 /mnt ext4 _netdev,x-systemd.requires=nbd-attach@nbd0.service 0 2\n",
			"fstab:1: leave x-systemd.requires=nbd-attach@... out"},
		{"/dev/nbd0 /mnt ext4 _netdev 0 2\n", NULL},
		{"/dev/nbd0 /mnt ext4 noatime,_netdev,nofail 0 2\n", NULL},
		{"/dev/nbd0 / ext4 defaults 0 1\n", NULL},
		{"/dev/nbd1p1 /usr ext4 defaults 0 1\n", NULL},
		{"/dev/nbd7 /mnt ext4 defaults 0 2\n", NULL},
		{"/dev/nbd0x /mnt ext4 defaults 0 2\n/dev/nbd /mnt ext4 defaults\n/dev/sda1 /x "
		 "ext4 defaults\nUUID=1 /y ext4\n",
			NULL},
		{"#/dev/nbd0 /mnt ext4 defaults 0 2\n", NULL},
		/* it could be the root's */
		{"/dev/disk/by-id/nbd-srv_a-part1 /mnt ext4 defaults 0 2\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		generate(tab, table[i].fstab);
		if (said_lines != (table[i].says != NULL) ||
			(table[i].says && !strstr(said, table[i].says)))
			fail_msg("%s said \"%s\"", table[i].fstab, said);
	}
}

static void crypttab_is_warned_about(void **state)
{
	static const char tab[] = "nbd0 srv a\nnbd1 srv b\n", root_tab[] = "nbd0 srv a root\n";
	static const struct {
		const char *tab, *crypttab, *says;
	} table[] = {
		{tab, "secret /dev/nbd0 none luks\n",
			"crypttab:1: /dev/nbd0 is a disk on the network: add _netdev"},
		{tab, "# x\nsecret /dev/nbd1p2\n", "crypttab:2: /dev/nbd1p2 is a disk"},
		{tab, "secret /dev/disk/by-id/nbd-srv_a none luks,discard\n", "add _netdev"},
		{tab, "secret /dev/nbd0 /key luks,_netdev\n", NULL},
		{tab, "secret /dev/nbd0 /key luks,noauto\n", NULL},
		{tab, "secret /dev/nbd7 none luks\nother UUID=1 none luks\n", NULL},
		{tab, "/dev/nbd0\n\n \n", NULL},
		{root_tab, "root /dev/nbd0 none luks\n", NULL},
		{root_tab, "root /dev/disk/by-id/nbd-srv_a none luks\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		write_bytes(crypttab_path, table[i].crypttab, strlen(table[i].crypttab));
		generate(table[i].tab, "");
		if (said_lines != (table[i].says != NULL) ||
			(table[i].says && !strstr(said, table[i].says)))
			fail_msg("%s said \"%s\"", table[i].crypttab, said);
	}
	unlink(crypttab_path);
	generate(tab, "/dev/disk/by-id/nbd-srv_a-part1 /mnt ext4 defaults 0 2\n");
	assert_non_null(
		strstr(said, "fstab:1: /dev/disk/by-id/nbd-srv_a-part1 is a disk on the network"));
}

static void what_cannot_be_read_or_written(void **state)
{
	(void)state;
	generate("nbd0 srv a\n", "");
	unlink(fstab_path);
	unlink(tab_path);
	clear_normal();
	generator_write(normal, remember, NULL);
	assert_string_equal(said, "");
	assert_int_equal(count_files(), 0);

	/* Opening a FIFO would wait for a writer, for ever. */
	assert_int_equal(mkfifo(tab_path, 0600), 0);
	assert_int_equal(mkfifo(fstab_path, 0600), 0);
	generator_write(normal, remember, NULL);
	assert_non_null(strstr(said, "is not a file"));
	unlink(tab_path);
	unlink(fstab_path);

	said[0] = 0;
	write_bytes(tab_path, "nbd0 srv a\nnbd1 srv b\n", 22);
	generator_write("/nonexistent", remember, NULL);
	assert_non_null(strstr(said, "/nonexistent cannot be written to: No such file"));
	said[0] = 0;
	said_lines = 0;
	generator_write("/proc/self", remember, NULL);
	assert_int_equal(said_lines, 1);
	assert_non_null(strstr(said, "/proc/self/remote-fs.target.wants"));
	/* What stands there already is left alone. */
	clear_normal();
	generator_write(normal, remember, NULL);
	said_lines = 0;
	generator_write(normal, remember, NULL);
	assert_int_equal(said_lines, 0);
	assert_int_equal(count_files(), 64);
}

static void output_is_bounded(void **state)
{
	char *text = malloc(1 << 20);
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 20000; i++)
		used += (size_t)sprintf(text + used, "nonsense\x1b[2J of line %d\n", i);
	generate(text, "");
	assert_true(said_lines <= 50);
	assert_null(strchr(said, '\x1b'));
	used = 0;
	for (int i = 0; i < 2000; i++)
		used += (size_t)sprintf(text + used, "nbd%d h e\n", i);
	generate(text, "");
	assert_true(said_lines <= 50);
	assert_int_equal(count_files(), 256 * 32);
	used = 0;
	for (int i = 0; i < 20000; i++)
		used += (size_t)sprintf(text + used, "/dev/nbd0 /mnt ext4 defaults\n");
	generate("nbd0 h e\n", text);
	assert_true(said_lines <= 50);
	free(text);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % limit;
}

/* No crash, no hang, and nothing is written but what has our names. */
static void random_files(void **state)
{
	static const char *const words[] = {"nbd0 ", "nbd1 ", "/dev/nbd0", "h", " e ", "\n", "\n",
		"noauto", "root", "../../x", "/", "@", "%i", "\\x2d", ",", "_netdev", "=", "\t",
		"nofail", "swap", "x-systemd.requires=nbd-attach@", "nbd4294967296 ", "nbd-1 ",
		"#"};
	static char text[2][2048];
	size_t used[2];
	char command[400];

	(void)state;
	random_state = 20261121;
	for (int round = 0; round < 2000; round++) {
		time_t started = time(NULL);

		for (int which = 0; which < 2; which++) {
			used[which] = 0;
			while (used[which] + 40 < sizeof(text[0]) && random_below(80)) {
				if (random_below(30) == 0)
					text[which][used[which]++] = (char)random_below(256);
				else
					used[which] +=
						(size_t)sprintf(text[which] + used[which], "%s",
							words[random_below(
								sizeof(words) / sizeof(words[0]))]);
			}
		}
		said[0] = 0;
		said_lines = 0;
		write_bytes(tab_path, text[0], used[0]);
		write_bytes(fstab_path, text[1], used[1]);
		write_bytes(crypttab_path, text[1], used[1]);
		generator_write(normal, remember, NULL);
		assert_true(said_lines <= 50 && time(NULL) - started < 5);
	}
	snprintf(command, sizeof(command),
		"find %s -type l | grep -vE "
		"'/(remote-fs.target.wants|dev-nbd[0-9]+(p[0-9]+)?.device.(wants|requires))/"
		"nbd-attach@nbd[0-9]+.service$'"
		" | grep -vE "
		"'/(dev-nbd[0-9]+p[0-9]+).device.wants/blockdev@\\1.target$|/"
		"nbd-attach@nbd[0-9]+.service.d/swap.conf$|/dev-nbd[0-9]+(p[0-9]+)?.swap.d/"
		"nbd-attach.conf$'",
		normal);
	assert_int_not_equal(system(command), 0);
}

static void ends_with_0_whatever_it_is_given(void **state)
{
	static char *const few[] = {(char *)"nbd-attach-generator", NULL};
	static char *many[] = {(char *)"nbd-attach-generator", (char *)"/nonexistent",
		(char *)"/nonexistent", (char *)"/nonexistent", NULL};

	(void)state;
	unlink(tab_path);
	unlink(fstab_path);
	assert_int_equal(generator_main(1, (char **)few), 0);
	assert_int_equal(generator_main(4, many), 0);
	/* Neither an initramfs nor a container is its place: it would warn about a folder that is
	 * not there. */
	write_bytes(tab_path, "nbd0 srv a\n", 11);
	many[1] = normal;
	clear_normal();
	setenv("SYSTEMD_IN_INITRD", "1", 1);
	assert_int_equal(generator_main(4, many), 0);
	setenv("SYSTEMD_IN_INITRD", "0", 1);
	setenv("SYSTEMD_VIRTUALIZATION", "container:lxc", 1);
	assert_int_equal(generator_main(4, many), 0);
	assert_int_equal(count_files(), 0);
	unsetenv("SYSTEMD_VIRTUALIZATION");
	if (access("/run/systemd/container", F_OK) != 0) {
		assert_int_equal(generator_main(4, many), 0);
		assert_int_equal(count_files(), 32);
	}
}

static void goes_by_its_name(void **state)
{
	(void)state;
	assert_true(generator_is_called("nbd-attach-generator"));
	assert_true(generator_is_called("/usr/lib/systemd/system-generators/nbd-attach-generator"));
	assert_false(generator_is_called("/usr/sbin/nbd-attach"));
	assert_false(generator_is_called("nbd-attach-generator/nbd-attach"));
	assert_false(generator_is_called(""));
	assert_false(generator_is_called(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_and_partitions_pull_the_unit_in),
		cmocka_unit_test(options_of_the_line),
		cmocka_unit_test(bad_lines_are_reported_and_skipped),
		cmocka_unit_test(fstab_is_warned_about),
		cmocka_unit_test(crypttab_is_warned_about),
		cmocka_unit_test(what_cannot_be_read_or_written),
		cmocka_unit_test(output_is_bounded),
		cmocka_unit_test(random_files),
		cmocka_unit_test(ends_with_0_whatever_it_is_given),
		cmocka_unit_test(goes_by_its_name),
	};
	char command[128];
	int rc;

	snprintf(folder, sizeof(folder), "/tmp/test-generator.%d", (int)getpid());
	mkdir(folder, 0700);
	snprintf(tab_path, sizeof(tab_path), "%s/nbdtab", folder);
	snprintf(crypttab_path, sizeof(crypttab_path), "%s/crypttab", folder);
	snprintf(fstab_path, sizeof(fstab_path), "%s/fstab", folder);
	snprintf(normal, sizeof(normal), "%s/normal", folder);
	setenv("NBD_ATTACH_TAB", tab_path, 1);
	setenv("NBD_ATTACH_FSTAB", fstab_path, 1);
	setenv("NBD_ATTACH_CRYPTTAB", crypttab_path, 1);
	rc = cmocka_run_group_tests_name("generator", tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) ? 1 : rc;
}
