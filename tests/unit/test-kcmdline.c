/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "config/kcmdline.h"

static struct kcmdline *parse_bytes(
	const char *cmdline, size_t size, const char *server, const char *root_path)
{
	struct kcmdline *plan = malloc(sizeof(*plan));
	/* Exactly as long as it is, so that ASan sees a read behind it. */
	char *copy = malloc(size ? size : 1);
	struct kcmdline_input input = {
		.cmdline = copy, .size = size, .dhcp_server = server, .dhcp_root_path = root_path};

	assert_non_null(plan);
	memcpy(copy, cmdline, size);
	kcmdline_parse(plan, &input);
	free(copy);
	return plan;
}

/* "nbd0 URI [+OPTIONS]; ... root=DEVICE fs=TYPE opts=OPTIONS dhcp", what there is of it. */
static const char *render(const struct kcmdline *plan)
{
	static char buf[KCMDLINE_ATTACHMENTS_MAX * 800];
	char uri[600];
	size_t used = 0;

	buf[0] = 0;
	for (size_t i = 0; i < plan->attachment_count; i++) {
		const struct kcmdline_attachment *attachment = &plan->attachments[i];

		endpoint_format(&attachment->endpoint, attachment->tls.wanted, uri, sizeof(uri));
		used += (size_t)snprintf(buf + used, sizeof(buf) - used, "nbd%d %s%s%s; ",
			attachment->index, uri, *attachment->options ? " +" : "",
			attachment->options);
	}
	if (*plan->root_device)
		used += (size_t)snprintf(
			buf + used, sizeof(buf) - used, "root=%s ", plan->root_device);
	if (*plan->fstype)
		used += (size_t)snprintf(buf + used, sizeof(buf) - used, "fs=%s ", plan->fstype);
	if (*plan->mountopts)
		used += (size_t)snprintf(
			buf + used, sizeof(buf) - used, "opts=%s ", plan->mountopts);
	if (plan->needs_dhcp)
		used += (size_t)snprintf(
			buf + used, sizeof(buf) - used, "dhcp(%d) ", plan->root_index);
	while (used && (buf[used - 1] == ' ' || buf[used - 1] == ';'))
		buf[--used] = 0;
	return buf;
}

struct line {
	const char *cmdline, *expect, *server, *root_path;
};

static void check_lines(const struct line *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct kcmdline *plan = parse_bytes(table[i].cmdline, strlen(table[i].cmdline),
			table[i].server, table[i].root_path);
		const char *got = render(plan);

		if (strcmp(got, table[i].expect) != 0 || plan->error_count)
			fail_msg("%s (DHCP %s %s)\n  gave   %s\n  wanted %s\n  error  %s",
				table[i].cmdline, table[i].server ? table[i].server : "-",
				table[i].root_path ? table[i].root_path : "-", got, table[i].expect,
				plan->error_count ? plan->errors[0].text : "none");
		free(plan);
	}
}
#define CHECK_LINES(table) check_lines(table, sizeof(table) / sizeof((table)[0]))

static void nothing_of_ours(void **state)
{
	static const struct line table[] = {
		{"", ""},
		{"\n", ""},
		{"BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet", ""},
		{"root=UUID=0123 nfsroot=1.2.3.4:/x xnbdroot=a,b,nbd0 nbdrootx=1 rd.nbd.attachx=1 "
		 "nbd0=1 nbd.max_part=15",
			""},
		{"root=dhcp", "dhcp(-1)"},
		{"root=dhcp", "", "10.0.0.1", "/srv/nfs"},
		{"root=dhcp", "", NULL, "nfs:10.0.0.1:/x"},
		{"root=dhcp", "", NULL, "iscsi:10.0.0.1::::iqn.x"},
		{"root=/dev/nfs", "", NULL, "10.0.0.1,e,nbd0"},
		{"root=nfs:1.2.3.4:/x netroot=iscsi:@1.2.3.4::::iqn", ""},
	};

	(void)state;
	CHECK_LINES(table);
}

static void debian_forms(void **state)
{
	static const struct line table[] = {
		/* SRV,EXPORT,nbdN */
		{"nbdroot=10.0.0.1,root,nbd0", "nbd0 nbd://10.0.0.1/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1,root,nbd0 root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1,root,nbd3 root=/dev/nbd3p2",
			"nbd3 nbd://10.0.0.1/root; root=/dev/nbd3p2"},
		{"nbdroot=10.0.0.1,root,/dev/nbd3p1", "nbd3 nbd://10.0.0.1/root; root=/dev/nbd3p1"},
		{"nbdroot=srv.example.com,a/b,nbd0",
			"nbd0 nbd://srv.example.com/a/b; root=/dev/nbd0"},
		{"nbdroot=2001:db8::7,root,nbd0", "nbd0 nbd://[2001:db8::7]/root; root=/dev/nbd0"},
		{"nbdroot=[2001:db8::7],root,nbd0",
			"nbd0 nbd://[2001:db8::7]/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1,2000,nbd0", "nbd0 nbd://10.0.0.1/2000; root=/dev/nbd0"},
		{"nbdroot=san1,san2,root,nbd0", "nbd0 nbd://san1,san2/root; root=/dev/nbd0"},
		/* root=/dev/nbdN[pM] overrides the device, and so does nbddev= */
		{"nbdroot=10.0.0.1,root,nbd0 root=/dev/nbd5",
			"nbd5 nbd://10.0.0.1/root; root=/dev/nbd5"},
		{"nbdroot=10.0.0.1,root,nbd0 root=/dev/nbd5p15",
			"nbd5 nbd://10.0.0.1/root; root=/dev/nbd5p15"},
		{"nbdroot=10.0.0.1,root,nbd0 nbddev=/dev/nbd6",
			"nbd6 nbd://10.0.0.1/root; root=/dev/nbd6"},
		{"nbddev=/dev/nbd6 nbdroot=10.0.0.1/root root=UUID=1", "nbd6 nbd://10.0.0.1/root"},
		{"nbddev=/dev/nbd6 root=/dev/nbd7 nbdroot=10.0.0.1/root",
			"nbd7 nbd://10.0.0.1/root; root=/dev/nbd7"},
		{"root=/dev/nbd7 nbddev=/dev/nbd6 nbdroot=10.0.0.1/root",
			"nbd7 nbd://10.0.0.1/root; root=/dev/nbd7"},
		{"nbdroot=10.0.0.1,root,nbd0 root=UUID=0123", "nbd0 nbd://10.0.0.1/root"},
		{"nbdroot=10.0.0.1,root,nbd0 root=LABEL=x", "nbd0 nbd://10.0.0.1/root"},
		/* SRV:PORT/EXPORT and SRV/EXPORT */
		{"nbdroot=10.0.0.1:10810/root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1:10810/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1:10810/a/b root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1:10810/a/b; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1/root root=/dev/nbd0p1",
			"nbd0 nbd://10.0.0.1/root; root=/dev/nbd0p1"},
		{"nbdroot=[2001:db8::7]:10810/root root=/dev/nbd0",
			"nbd0 nbd://[2001:db8::7]:10810/root; root=/dev/nbd0"},
		{"nbdroot=[2001:db8::7]/root root=/dev/nbd0",
			"nbd0 nbd://[2001:db8::7]/root; root=/dev/nbd0"},
		{"nbdroot=2001:db8::7/root root=/dev/nbd0",
			"nbd0 nbd://[2001:db8::7]/root; root=/dev/nbd0"},
		/* SRV:/path keeps the slash */
		{"nbdroot=10.0.0.1:/srv/root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1//srv/root; root=/dev/nbd0"},
		{"nbdroot=[2001:db8::7]:/srv/root root=/dev/nbd0",
			"nbd0 nbd://[2001:db8::7]//srv/root; root=/dev/nbd0"},
		/* documented, broken there */
		{"nbdroot=10.0.0.1,root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1,10810 root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1:10810/; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1:root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1:vol/root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1/vol/root; root=/dev/nbd0"},
		{"nbdroot=10.0.0.1:10810 root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1:10810/; root=/dev/nbd0"},
		/* a URI stands there as well */
		{"nbdroot=nbds://srv/root root=/dev/nbd1p1",
			"nbd1 nbds://srv/root; root=/dev/nbd1p1"},
		/* Arch's */
		{"nbd_host=10.0.0.1 nbd_name=a/b root=/dev/nbd0",
			"nbd0 nbd://10.0.0.1/a/b; root=/dev/nbd0"},
		{"nbd_host=2001:db8::7 nbd_port=10810 nbd_name=root root=/dev/nbd1p2",
			"nbd1 nbd://[2001:db8::7]:10810/root; root=/dev/nbd1p2"},
		{"nbd_host=10.0.0.1 root=UUID=0123", "nbd0 nbd://10.0.0.1/"},
		{"nbd_host=10.0.0.1 nbdroot=10.0.0.2/root root=/dev/nbd0",
			"nbd0 nbd://10.0.0.2/root; root=/dev/nbd0"},
		/* the last one counts */
		{"nbdroot=a,b,nbd0 nbdroot=c,d,nbd1", "nbd1 nbd://c/d; root=/dev/nbd1"},
	};

	(void)state;
	CHECK_LINES(table);
}

static void debian_dhcp(void **state)
{
	static const struct line table[] = {
		{"nbdroot=dhcp root=/dev/nbd0", "root=/dev/nbd0 dhcp(0)"},
		{"nbdroot= root=/dev/nbd2p1", "root=/dev/nbd2p1 dhcp(2)"},
		{"root=/dev/nbd2p1", "root=/dev/nbd2p1 dhcp(2)"},
		{"nbddev=/dev/nbd2", "root=/dev/nbd2 dhcp(2)"},
		{"nbdroot=dhcp", "root=/dev/nbd0 dhcp(0)"},
		{"nbdroot=dhcp root=UUID=1", "dhcp(0)"},
		{"nbdroot=dhcp root=/dev/nbd0", "nbd0 nbd://192.168.1.1/export; root=/dev/nbd0",
			NULL, "192.168.1.1,export,nbd0"},
		{"nbdroot=dhcp", "nbd4 nbd://192.168.1.1/export; root=/dev/nbd4", NULL,
			"192.168.1.1,export,nbd4"},
		{"nbdroot=dhcp", "nbd0 nbd://192.168.1.1/export; root=/dev/nbd0", NULL,
			"nbdroot=192.168.1.1,export,nbd0"},
		{"root=/dev/nbd0", "nbd0 nbd://192.168.1.1:10810/export; root=/dev/nbd0", NULL,
			"192.168.1.1:10810/export"},
		{"root=/dev/nbd0", "nbd0 nbd://10.9.8.7//srv/export; root=/dev/nbd0", "10.9.8.7",
			"/srv/export"},
		{"root=/dev/nbd0", "nbd0 nbd://10.9.8.7//srv/export; root=/dev/nbd0", "10.9.8.7",
			"dhcp:/srv/export"},
		{"root=/dev/nbd0", "nbd0 nbd://1.1.1.1//srv/export; root=/dev/nbd0", "10.9.8.7",
			"1.1.1.1:/srv/export"},
		{"root=/dev/nbd0", "nbd0 nbds://srv/x; root=/dev/nbd0", NULL, "nbds://srv/x"},
		/* empty SRV and "dhcp": the server of DHCP */
		{"nbdroot=dhcp,export,nbd0", "nbd0 nbd://10.9.8.7/export; root=/dev/nbd0",
			"10.9.8.7", NULL},
		{"nbdroot=,export,nbd0", "nbd0 nbd://10.9.8.7/export; root=/dev/nbd0", "10.9.8.7",
			NULL},
		{"nbdroot=,export root=/dev/nbd1", "nbd1 nbd://10.9.8.7/export; root=/dev/nbd1",
			"10.9.8.7", NULL},
		{"nbdroot=:10810/export root=/dev/nbd1",
			"nbd1 nbd://10.9.8.7:10810/export; root=/dev/nbd1", "10.9.8.7", NULL},
		{"nbdroot=dhcp/export root=/dev/nbd1", "nbd1 nbd://10.9.8.7/export; root=/dev/nbd1",
			"10.9.8.7", NULL},
		{"nbdroot=dhcp,export,nbd7", "root=/dev/nbd7 dhcp(7)"},
		{"nbdroot=dhcp,export,nbd7", "root=/dev/nbd7 dhcp(7)", "0.0.0.0", ""},
		/* as documented: root-path is the bare address then */
		{"nbdroot=dhcp,export,nbd0", "nbd0 nbd://192.168.1.1/export; root=/dev/nbd0",
			"10.9.8.7", "192.168.1.1"},
		{"nbdroot=dhcp,export,nbd0", "nbd0 nbd://10.9.8.7/export; root=/dev/nbd0",
			"10.9.8.7", "/srv/nfs"},
	};

	(void)state;
	CHECK_LINES(table);
}

static void dracut_forms(void **state)
{
	static const struct line table[] = {
		{"root=nbd:10.0.0.1:10810", "nbd0 nbd://10.0.0.1:10810/; root=/dev/nbd0"},
		{"root=nbd:10.0.0.1:export", "nbd0 nbd://10.0.0.1/export; root=/dev/nbd0"},
		{"root=nbd:[2001:db8::7]:export",
			"nbd0 nbd://[2001:db8::7]/export; root=/dev/nbd0"},
		{"root=nbd:[2001:db8::7]:10810:ext4",
			"nbd0 nbd://[2001:db8::7]:10810/; root=/dev/nbd0 fs=ext4"},
		{"root=nbd:10.0.0.1:export:ext4",
			"nbd0 nbd://10.0.0.1/export; root=/dev/nbd0 fs=ext4"},
		{"root=nbd:10.0.0.1:export:ext4:ro,noatime",
			"nbd0 nbd://10.0.0.1/export; root=/dev/nbd0 fs=ext4 opts=ro,noatime"},
		{"root=nbd:10.0.0.1:export:ext4:ro:bs=4096,timeout=30",
			"nbd0 nbd://10.0.0.1/export +bs=4096,timeout=30; root=/dev/nbd0 fs=ext4 "
			"opts=ro"},
		{"root=nbd:10.0.0.1:export:::bs=4096",
			"nbd0 nbd://10.0.0.1/export +bs=4096; root=/dev/nbd0"},
		{"root=nbd:10.0.0.1:export::ro",
			"nbd0 nbd://10.0.0.1/export; root=/dev/nbd0 opts=ro"},
		{"root=nbd:10.0.0.1:export:", "nbd0 nbd://10.0.0.1/export; root=/dev/nbd0"},
		{"root=/dev/nbd0p1 netroot=nbd:10.0.0.1:export",
			"nbd0 nbd://10.0.0.1/export; root=/dev/nbd0p1"},
		{"root=LABEL=dracut netroot=nbd:10.0.0.1:export:ext4",
			"nbd0 nbd://10.0.0.1/export; fs=ext4"},
		{"netroot=nbd:10.0.0.1:export", "nbd0 nbd://10.0.0.1/export; root=/dev/nbd0"},
		{"root=nbd netroot=nbd:10.0.0.1:export",
			"nbd0 nbd://10.0.0.1/export; root=/dev/nbd0"},
		{"root=nbd:10.0.0.1:one netroot=nbd:10.0.0.1:two",
			"nbd0 nbd://10.0.0.1/one; root=/dev/nbd0"},
		{"root=dhcp netroot=nbd:10.0.0.1:two", "nbd0 nbd://10.0.0.1/two; root=/dev/nbd0",
			NULL, "nbd:1.1.1.1:x"},
		{"root=dhcp", "nbd0 nbd://10.0.0.1/export; root=/dev/nbd0", NULL,
			"nbd:10.0.0.1:export"},
		{"root=dhcp6", "nbd0 nbd://[2001:db8::7]/export; root=/dev/nbd0 fs=ext4", NULL,
			"nbd:[2001:db8::7]:export:ext4"},
		{"netroot=dhcp root=UUID=1", "nbd0 nbd://10.0.0.1/export", NULL,
			"nbd:10.0.0.1:export"},
		{"root=dhcp", "nbd0 nbds://srv/export; root=/dev/nbd0", NULL, "nbds://srv/export"},
		{"root=nbd::export", "nbd0 nbd://10.9.8.7/export; root=/dev/nbd0", "10.9.8.7",
			NULL},
	};

	(void)state;
	CHECK_LINES(table);
}

static void our_forms(void **state)
{
	static const struct line table[] = {
		{"root=UUID=1 rd.nbd.attach=nbd0=nbds://host/export", "nbd0 nbds://host/export"},
		{"root=UUID=1 rd.nbd.attach=nbd0=nbds://host:10810/export?tls-psk-file=/etc/psk",
			"nbd0 nbds://host:10810/export"},
		{"rd.nbd.attach=nbd0=nbds://a/x rd.nbd.attach=nbd1=nbd://b:7/y root=LABEL=r",
			"nbd0 nbds://a/x; nbd1 nbd://b:7/y"},
		{"rd.nbd.attach=/dev/nbd2=nbds://a/x root=/dev/nbd2p3",
			"nbd2 nbds://a/x; root=/dev/nbd2p3"},
		{"rd.nbd.attach=nbd1=nbds://a/x nbdroot=b,y,nbd0",
			"nbd1 nbds://a/x; nbd0 nbd://b/y; root=/dev/nbd0"},
		{"root=nbds://storage.example.com/disk",
			"nbd0 nbds://storage.example.com/disk; root=/dev/nbd0"},
		{"root=nbds://alice@storage.example.com:10810/disk?tls-certificates=/etc/pki/nbd",
			"nbd0 nbds://storage.example.com:10810/disk; root=/dev/nbd0"},
		{"root=nbd://storage.example.com/disk",
			"nbd0 nbd://storage.example.com/disk; root=/dev/nbd0"},
		{"root=nbds://storage.example.com/disk nbddev=/dev/nbd1p2",
			"nbd1 nbds://storage.example.com/disk; root=/dev/nbd1p2"},
		{"netroot=nbds://storage.example.com/disk root=UUID=1",
			"nbd0 nbds://storage.example.com/disk"},
	};

	(void)state;
	CHECK_LINES(table);
}

static void quotes_are_the_kernels(void **state)
{
	static const struct line table[] = {
		{"\"nbdroot=srv,a b,nbd0\"", "nbd0 nbd://srv/a%20b; root=/dev/nbd0"},
		{"nbdroot=\"srv,a b,nbd0\"", "nbd0 nbd://srv/a%20b; root=/dev/nbd0"},
		{"root=\"nbds://h/e\" quiet", "nbd0 nbds://h/e; root=/dev/nbd0"},
		{"x=\"y nbdroot=a,b,nbd0 z\" quiet", ""},
		{"x=\"\" nbdroot=\"a,b,nbd0", "nbd0 nbd://a/b; root=/dev/nbd0"},
		{"\t nbdroot=a,b,nbd0\n", "nbd0 nbd://a/b; root=/dev/nbd0"},
		/* only quotes around it are taken off */
		{"nbdroot=a,b\"c,nbd0", "nbd0 nbd://a/b%22c; root=/dev/nbd0"},
		{"\"", ""},
		{"\"\"", ""},
		{"root=\"", ""},
		{"root=\"\"", ""},
	};

	(void)state;
	CHECK_LINES(table);
}

struct refused {
	const char *cmdline, *says, *left; /* what remains of the plan */
	const char *server, *root_path;
};

static void errors_name_the_parameter(void **state)
{
	static const struct refused table[] = {
		{"nbdroot=a,b,sda root=/dev/nbd0",
			"nbdroot=a,b,sda: the third part is not a device", "root=/dev/nbd0"},
		{"nbdroot=a:0/x root=/dev/nbd0", "nbdroot=a:0/x: the port", "root=/dev/nbd0"},
		{"nbdroot=a:99999/x root=/dev/nbd0", "nbdroot=a:99999/x: the port",
			"root=/dev/nbd0"},
		{"nbdroot=a,99999 root=/dev/nbd0", "the port", "root=/dev/nbd0"},
		{"nbdroot=[nonsense]/x root=/dev/nbd0", "nbdroot=[nonsense]/x: ", "root=/dev/nbd0"},
		{"nbdroot=-oops,e,nbd0", "'-oops' is not a host name", "root=/dev/nbd0"},
		{"nbddev=/dev/sda nbdroot=a,b,nbd0",
			"nbddev=/dev/sda: ", "nbd0 nbd://a/b; root=/dev/nbd0"},
		{"root=/dev/nbd nbdroot=a,b,nbd0", "root=/dev/nbd: that is no NBD device",
			"nbd0 nbd://a/b"},
		{"root=/dev/nbd0p nbdroot=a,b,nbd0", "root=/dev/nbd0p: ", "nbd0 nbd://a/b"},
		{"root=/dev/nbd99999999999999999999 nbdroot=a,b,nbd0", "root=/dev/nbd9",
			"nbd0 nbd://a/b"},
		{"nbd_host=a nbd_port=x root=/dev/nbd0", "nbd_host=a: the port", "root=/dev/nbd0"},
		{"nbd_name=x root=UUID=1", "nbd_name=: nbd_host= is missing", ""},
		{"root=nbd:host", "root=nbd:host: after the server", "root=/dev/nbd0"},
		{"root=nbd:host:", "after the server", "root=/dev/nbd0"},
		{"root=nbd:[::1]", "after the server", "root=/dev/nbd0"},
		{"root=nbd:", "after the server", "root=/dev/nbd0"},
		{"root=nbd:h:e:ext4:ro';reboot'", "no file system type or mount option",
			"root=/dev/nbd0"},
		{"root=nbd:h:e:$(reboot)", "no file system type or mount option", "root=/dev/nbd0"},
		{"root=nbds://", "root=nbds://: ", "root=/dev/nbd0"},
		{"root=nbds://h/e?tls-verify-peer=0", "nothing turns verification off",
			"root=/dev/nbd0"},
		{"root=nbds://h/e?tls-certificates=pki", "does not begin with /", "root=/dev/nbd0"},
		{"root=nbd+unix:///e?socket=s", "does not begin with /", "root=/dev/nbd0"},
		{"rd.nbd.attach=nbd0 root=UUID=1",
			"rd.nbd.attach=nbd0: rd.nbd.attach=nbdN=URI is wanted", ""},
		{"rd.nbd.attach=nbd0=host,export", "rd.nbd.attach=nbd0=host,export: ", ""},
		{"rd.nbd.attach=auto=nbds://h/e", "is wanted", ""},
		{"rd.nbd.attach=nbd0p1=nbds://h/e", "is wanted", ""},
		{"rd.nbd.attach==nbds://h/e", "is wanted", ""},
		{"rd.nbd.attach=nbd0=nbds://h/e rd.nbd.attach=nbd0=nbds://h/f",
			"nbd0=nbds://h/f: nbd0 is taken already", "nbd0 nbds://h/e"},
		{"rd.nbd.attach=nbd0=nbds://h/e nbdroot=a,b,nbd0",
			"nbdroot=a,b,nbd0: nbd0 is taken already", "nbd0 nbds://h/e"},
		{"nbdroot=a,b\x01,nbd0 quiet", "control character", ""},
		{"nbdroot=\"a,b\nc,nbd0\" quiet", "control character", ""},
		{"root=/dev/nbd0", "DHCP root-path a b:0/x: the port", "root=/dev/nbd0", NULL,
			"a b:0/x"},
		{"root=/dev/nbd0", "what DHCP told: it has a control character",
			"root=/dev/nbd0 dhcp(0)", NULL, "a,b\n,nbd0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct kcmdline *plan = parse_bytes(table[i].cmdline, strlen(table[i].cmdline),
			table[i].server, table[i].root_path);

		if (plan->error_count != 1 || !strstr(plan->errors[0].text, table[i].says))
			fail_msg("%s: %zu errors, \"%s\" lacks \"%s\"", table[i].cmdline,
				plan->error_count, plan->errors[0].text, table[i].says);
		if (strcmp(render(plan), table[i].left) != 0)
			fail_msg("%s: left is %s", table[i].cmdline, render(plan));
		free(plan);
	}
}

static void limits(void **state)
{
	char *text = malloc(1 << 20);
	struct kcmdline *plan;
	int used;

	(void)state;
	used = sprintf(text, "nbdroot=a,");
	memset(text + used, 'x', 100000);
	strcpy(text + used + 100000, ",nbd0 rd.nbd.attach=nbd1=nbds://h/e");
	plan = parse_bytes(text, strlen(text), NULL, NULL);
	assert_int_equal(plan->error_count, 1);
	assert_string_equal(render(plan), "nbd1 nbds://h/e");
	free(plan);

	used = 0;
	for (int i = 0; i < 200; i++)
		used += sprintf(text + used, "rd.nbd.attach=nbd%d=nbds://h/e ", i);
	plan = parse_bytes(text, strlen(text), NULL, NULL);
	assert_int_equal(plan->attachment_count, KCMDLINE_ATTACHMENTS_MAX);
	assert_int_equal(plan->error_count, KCMDLINE_ERRORS_MAX);
	free(plan);

	used = sprintf(text, "root=nbd:h:e:");
	memset(text + used, 'f', 300);
	text[used + 300] = 0;
	plan = parse_bytes(text, strlen(text), NULL, NULL);
	assert_int_equal(plan->error_count, 1);
	assert_string_equal(plan->fstype, "");
	free(plan);
	free(text);
}

static void uri_credentials_are_kept(void **state)
{
	static const char cmdline[] = "root=nbds://alice@h/e?tls-psk-file=/etc/psk";
	struct kcmdline *plan = parse_bytes(cmdline, strlen(cmdline), NULL, NULL);

	(void)state;
	assert_string_equal(plan->attachments[0].tls.psk_file, "/etc/psk");
	assert_string_equal(plan->attachments[0].tls.username, "alice");
	assert_true(plan->attachments[0].tls.wanted);
	free(plan);
}

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % limit;
}

static size_t random_text(char *text, size_t max, bool with_bytes)
{
	static const char *const words[] = {"root=", "nbdroot=", "netroot=", "nbddev=",
		"rd.nbd.attach=", "nbd0", "nbd1=", "/dev/nbd2p1", " ", " ", "\"", "=", ",", ":",
		"/", "[", "]", "[::1]", "nbds://h/e", "nbd://h", "nbd:", "dhcp", "1.2.3.4", "10809",
		"export", "?tls-certificates=/x", "nbd", "'", "%41", "a@", "-"};
	size_t used = 0, len;

	while (used + 30 < max && random_below(40)) {
		const char *word = words[random_below(sizeof(words) / sizeof(words[0]))];

		if (random_below(20) == 0) {
			text[used++] = (char)(with_bytes ? random_below(256) : 'x');
			continue;
		}
		len = strlen(word);
		memcpy(text + used, word, len);
		used += len;
	}
	return used;
}

/* Whatever the bytes are: each attachment has a device of its own and a server, and what a script
 * gets to see has no control character. */
static void random_command_lines(void **state)
{
	char text[1024], path[256];

	(void)state;
	random_state = 20261121;
	for (int round = 0; round < 20000; round++) {
		size_t size = random_text(text, sizeof(text), true);
		struct kcmdline *plan;

		path[random_text(path, sizeof(path) - 1, false)] = 0;
		plan = parse_bytes(text, size, random_below(2) ? "10.9.8.7" : NULL,
			random_below(2) ? path : NULL);
		assert_true(plan->attachment_count <= KCMDLINE_ATTACHMENTS_MAX &&
			plan->error_count <= KCMDLINE_ERRORS_MAX);
		for (size_t i = 0; i < plan->attachment_count; i++) {
			const struct kcmdline_attachment *attachment = &plan->attachments[i];

			assert_true(attachment->index >= 0);
			assert_true(attachment->endpoint.host_count ||
				*attachment->endpoint.socket_path);
			for (size_t j = 0; j < i; j++)
				assert_int_not_equal(plan->attachments[j].index, attachment->index);
		}
		for (const char *p = plan->fstype; *p; p++)
			assert_true((unsigned char)*p >= ' ');
		for (const char *p = plan->mountopts; *p; p++)
			assert_true((unsigned char)*p >= ' ');
		for (size_t i = 0; i < plan->error_count; i++)
			for (const char *p = plan->errors[i].text; *p; p++)
				assert_true((unsigned char)*p >= ' ');
		free(plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_ours),
		cmocka_unit_test(debian_forms),
		cmocka_unit_test(debian_dhcp),
		cmocka_unit_test(dracut_forms),
		cmocka_unit_test(our_forms),
		cmocka_unit_test(quotes_are_the_kernels),
		cmocka_unit_test(errors_name_the_parameter),
		cmocka_unit_test(limits),
		cmocka_unit_test(uri_credentials_are_kept),
		cmocka_unit_test(random_command_lines),
	};

	return cmocka_run_group_tests_name("boot-cmdline", tests, NULL, NULL);
}
