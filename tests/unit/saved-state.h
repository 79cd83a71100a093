/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor leaves for its successor, before it is saved and after it is loaded. The folder
 * is the real one, in /run: the device numbers are such as no kernel has. */
#ifndef NBDA_TESTS_SAVED_STATE
#define NBDA_TESTS_SAVED_STATE
#include <arpa/inet.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/run-files.h"
#include "supervisor/state-file.h"

#define BACKEND "00112233445566778899aabbccddeeff"

static int device;
static char path[64], new_path[64];
static struct attachment *before, *after;

static inline int setup(void **state)
{
	(void)state;
	device = 200000000 + (int)getpid();
	snprintf(path, sizeof(path), RUN_DIRECTORY "/nbd%d.state", device);
	snprintf(new_path, sizeof(new_path), RUN_DIRECTORY "/nbd%d.state.new", device);
	before = calloc(1, sizeof(*before));
	after = calloc(1, sizeof(*after));
	if (before && after)
		before->outage_since_ms = after->outage_since_ms = -1;
	mkdir(RUN_DIRECTORY, 0755);
	return before && after ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(new_path);
	free(before);
	free(after);
	return 0;
}

static inline void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* only root may write to /run */
}

static inline void put_address(
	struct sockaddr_storage *address, const char *text, uint16_t port, uint32_t scope)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = scope;
}

static inline void fill(struct attachment *attachment, size_t link_count)
{
	attachment->index = device;
	strcpy(attachment->backend, BACKEND);
	attachment->since_ms = 1;
	attachment->export_known = true;
	strcpy(attachment->names.name, "disk \"one\" \xc3\xa9\\/\n");
	strcpy(attachment->names.description, "a description");
	attachment->export.has_size = true;
	attachment->export.size_bytes = INT64_MAX - 511;
	attachment->export.flags = 0xffff;
	attachment->export.has_block_size = true;
	attachment->export.block_min_bytes = 1;
	attachment->export.block_preferred_bytes = 4096;
	attachment->export.block_max_bytes = UINT32_MAX;
	attachment->block_size_bytes = 65536;
	attachment->io_known = true;
	attachment->io_before = (struct block_io){.reads = {1, 512, 3},
		.writes = {4, 1ULL << 50, 6},
		.discards = {7, 8, 9},
		.flushes = {10, 0, 12},
		.busy_ms = 13};
	attachment->flags = 0x8103;
	attachment->failed = true;
	attachment->link_count = link_count;
	for (size_t i = 0; i < link_count; i++) {
		struct link *link = &attachment->links[i];

		link->fd = -1;
		link->since_ms = 2 + (int64_t)i;
		snprintf(link->address, sizeof(link->address), "192.0.2.7:%zu", 10809 + i);
		put_address(&link->local, "192.0.2.1", (uint16_t)(40000 + i), 0);
		put_address(&link->peer, "192.0.2.7", (uint16_t)(10809 + i), 0);
		link->carries = i % 2;
		link->base = (struct link_base){1ULL << 40, 2, 3 + i, 4, 5};
	}
}

static inline void fill_tls(struct link *link)
{
	link->tls = (struct tls_info){.version = TLS_VERSION_1_3,
		.kernel_cipher = TLS_CIPHER_AES_GCM_256,
		.peer_not_after = 4102444800};
	strcpy(link->tls.cipher, "AES-256-GCM");
	strcpy(link->tls.group, "X25519");
	strcpy(link->tls.authentication, "X.509");
	strcpy(link->tls.peer_name, "CN=storage.example.com,O=\"A, B\"");
	strcpy(link->tls.peer_issuer, "CN=An Authority");
	strcpy(link->tls.peer_pin, "sha256:0123456789abcdef");
}

#endif
