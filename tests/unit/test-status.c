/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "output/report.h"
#include "output/status-io.h"
#include "output/status-text.h"

/* 2026-11-21 10:00:00 UTC; NOW is an hour later. */
#define ATTACHED "1795255200"
#define NOW (1795255200 + 3600)

static char *render_as(const char *json, bool is_root)
{
	json_object *status = json_tokener_parse(json);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(status);
	status_text_print(out, status, NOW, is_root);
	fclose(out);
	json_object_put(status);
	return text;
}

static void check(const char *json, const char *expect)
{
	char *text = render_as(json, true);

	assert_string_equal(text, expect);
	free(text);
}

static void test_durations(void **state)
{
	static const struct {
		int64_t sec;
		const char *expect;
	} table[] = {
		{-5, "0 s"},
		{0, "0 s"},
		{12, "12 s"},
		{60, "1 min"},
		{185, "3 min 5 s"},
		{3600, "1 h"},
		{3659, "1 h"},
		{3661, "1 h 1 min"},
		{86400, "1 d"},
		{90061, "1 d 1 h"},
		{345600 + 7200, "4 d 2 h"},
		{INT64_MAX, "106751991167300 d 15 h"},
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		report_format_duration(table[i].sec, buf, sizeof(buf));
		assert_string_equal(buf, table[i].expect);
	}
}

static void test_alive(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", "
	      "\"state_since_unix_sec\": " ATTACHED ", \"reason\": null,"
	      " \"uri\": \"nbds://storage.example.com/disk1\", \"size_bytes\": 1073741824, "
	      "\"offered_size_bytes\": null, \"read_only\": false,"
	      " \"supervisor_pid\": 4242, \"since_unix_sec\": " ATTACHED
	      ", \"dead_timeout_sec\": 600, \"attempts\": 0,"
	      " \"next_attempt_in_ms\": null, \"last_error\": null, \"reconnects\": 0, "
	      "\"renewals\": 0, \"error_replies\": 0,"
	      " \"last_error_reply\": null, \"links\": [{\"address\": \"192.0.2.7:10809\", "
	      "\"state\": \"alive\","
	      " \"since_unix_sec\": 1795258615, \"encryption_proven\": true, \"records_sent\": "
	      "100, \"records_received\": 8388608,"
	      " \"record_limit\": 16777216, \"tls\": {\"version\": \"1.3\", \"cipher\": "
	      "\"AES-128-GCM\", \"group\": \"X25519\","
	      " \"authentication\": \"X.509\", \"peer_name\": \"storage.example.com\", "
	      "\"peer_not_after_unix_sec\": 1798761600}}]}",
		"/dev/nbd0: nbds://storage.example.com/disk1, 1 GiB, alive\n"
		"  attached:  2026-11-21 10:00:00, 1 h ago; its supervisor is process 4242\n"
		"  link 1:    192.0.2.7:10809, alive, 3 min 5 s old, TLS 1.3 AES-128-GCM X25519\n"
		"    server:  verified by X.509: storage.example.com, until 2027-01-01\n"
		"    records: 100 sent, 8388608 received, 50 % of the limit; encrypted by the "
		"kernel\n");
}

static void test_alive_after_troubles(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"state_since_unix_sec\": "
	      "1795258500, \"uri\": \"nbd://h/\","
	      " \"size_bytes\": 1073741824, \"offered_size_bytes\": 2147483648, \"read_only\": "
	      "true, \"supervisor_pid\": 1,"
	      " \"since_unix_sec\": " ATTACHED
	      ", \"reconnects\": 2, \"renewals\": 1, \"error_replies\": 3,"
	      " \"last_error_reply\": \"Other side returned error (108)\", \"links\": "
	      "[{\"address\": \"192.0.2.7:10809\","
	      " \"state\": \"alive\", \"tls\": null}]}",
		"/dev/nbd0: nbd://h/, 1 GiB, alive, read-only\n"
		"  attached:  2026-11-21 10:00:00, 1 h ago; its supervisor is process 1\n"
		"  state:     alive for 5 min\n"
		"  offered:   the server offers 2 GiB: nbd-attach resize /dev/nbd0\n"
		"  so far:    reconnects: 2, key renewals: 1, error replies: 3\n"
		"             the server's last error reply: Other side returned error (108)\n"
		"  link 1:    192.0.2.7:10809, alive, not encrypted\n");
}

static void test_reconnecting(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"reconnecting\", \"state_since_unix_sec\": "
	      "1795258788,"
	      " \"reason\": \"the server closed the connection\", \"uri\": \"nbd://h/\", "
	      "\"size_bytes\": 512, \"supervisor_pid\": 1,"
	      " \"since_unix_sec\": " ATTACHED
	      ", \"dead_timeout_sec\": 600, \"attempts\": 3, \"next_attempt_in_ms\": 1500,"
	      " \"last_error\": \"h port 10809: connection refused\", \"links\": [{\"address\": "
	      "\"192.0.2.7:10809\", \"state\": \"dead\", \"tls\": null}]}",
		"/dev/nbd0: nbd://h/, 512 bytes, reconnecting\n"
		"  attached:  2026-11-21 10:00:00, 1 h ago; its supervisor is process 1\n"
		"  state:     reconnecting for 12 s: the server closed the connection\n"
		"  attempts:  3 failed, the next in 2 s\n"
		"             the last one: h port 10809: connection refused\n"
		"  I/O:       waits for the server, 9 min 48 s more at most; then it fails\n"
		"  link 1:    192.0.2.7:10809, dead, not encrypted\n");
	/* the same reason is not said twice */
	check("{\"device\": \"/dev/nbd0\", \"state\": \"reconnecting\", \"reason\": \"h: "
	      "refused\", "
	      "\"dead_timeout_sec\": null, \"attempts\": 3, \"last_error\": \"h: refused\"}",
		"/dev/nbd0: reconnecting\n"
		"  state:     reconnecting: h: refused\n"
		"  attempts:  3 failed\n"
		"  I/O:       waits for the server, without end\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"reconnecting\", \"dead_timeout_sec\": "
	      "null, \"next_attempt_in_ms\": 0}",
		"/dev/nbd0: reconnecting\n"
		"  attempts:  0 failed, the next now\n"
		"  I/O:       waits for the server, without end\n");
	/* the clock was set back */
	check("{\"device\": \"/dev/nbd0\", \"state\": \"reconnecting\", \"state_since_unix_sec\": "
	      "1795999999, \"dead_timeout_sec\": 600}",
		"/dev/nbd0: reconnecting\n"
		"  state:     reconnecting for 0 s\n"
		"  I/O:       waits for the server, for 10 min at most\n");
}

static void test_stopped(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"stopped\", \"state_since_unix_sec\": "
	      "1795258740, \"size_bytes\": 1073741824,"
	      " \"reason\": \"the server now offers 512 MiB, less than the device has\"}",
		"/dev/nbd0: 1 GiB, stopped\n"
		"  state:     stopped for 1 min: the server now offers 512 MiB, less than the "
		"device has\n"
		"  I/O:       waits for the former offer\n"
		"  try:       let the server offer the same disk as before, and it goes on;\n"
		"             or give it up: nbd-attach detach /dev/nbd0 --force\n");
}

static void test_failed(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"failed\", \"reason\": \"no server for 10 "
	      "min\", \"attempts\": 90,"
	      " \"next_attempt_in_ms\": 4000}",
		"/dev/nbd0: failed\n"
		"  state:     failed: no server for 10 min\n"
		"  attempts:  90 failed, the next in 4 s\n"
		"  I/O:       fails; what was not yet written may be lost\n"
		"  try:       bring the server back, and the device serves again;\n"
		"             then check (fsck) each file system on it before mounting it again\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"failed\"}",
		"/dev/nbd0: failed\n"
		"  I/O:       fails; what was not yet written may be lost\n"
		"  try:       unmount it, nbd-attach detach /dev/nbd0, and attach it again;\n"
		"             then check (fsck) each file system on it before mounting it again\n");
}

static void test_configured(void **state)
{
	const char *ours = "{\"device\": \"/dev/nbd0\", \"state\": \"configured\", \"size_bytes\": "
			   "1048576, \"supervisor_pid\": null,"
			   " \"backend\": \"00112233445566778899aabbccddeeff\"}";
	char *text;

	(void)state;
	check(ours,
		"/dev/nbd0: 1 MiB, configured\n"
		"  monitored: by nobody: whether the server is there is not known, and a lost link "
		"stays lost\n"
		"  try:       run the command again that attached it: it adopts the device as it "
		"is\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"configured\", \"backend\": \"something "
	      "else\"}",
		"/dev/nbd0: configured\n"
		"  monitored: by nobody: whether the server is there is not known, and a lost link "
		"stays lost\n"
		"  try:       another program attached it; it can say more\n");
	text = render_as(ours, false);
	assert_string_equal(text,
		"/dev/nbd0: 1 MiB, configured\n  monitored: not known: supervisors answer root "
		"only\n");
	free(text);
}

static void test_silent_link(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"links\": [{\"address\": "
	      "\"h:1\", \"state\": \"alive\", \"silence\": \"slow\","
	      "\"silent_for_ms\": 42900, \"tls\": null}]}",
		"/dev/nbd0: alive\n"
		"  link 1:    h:1, alive, not encrypted\n"
		"    waits:   42 s without an answer; the server answers a new connection, so a "
		"request takes long\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"links\": [{\"state\": "
	      "\"alive\", \"silence\": \"suspected\", \"silent_for_ms\": 3000}]}",
		"/dev/nbd0: alive\n"
		"  link 1:    alive, whether encrypted is unknown\n"
		"    waits:   3 s without an answer; the server is asked over a new connection\n");
}

#define IO(reads, read_ms, in_flight)                                                              \
	"\"io\": {\"reads\": " reads ", \"read_bytes\": 104857600, \"read_ms\": " read_ms          \
	", \"writes\": 20, \"written_bytes\": 1572864, \"write_ms\": 5000, \"discards\": 1, "      \
	"\"discarded_bytes\": 4096, \"discard_ms\": 3, \"flushes\": 2, \"flush_ms\": 25, "         \
	"\"busy_ms\": 2000, \"in_flight\": " in_flight "}"

static void test_throughput_and_latency(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", " IO("800", "340", "0") "}",
		"/dev/nbd0: alive\n"
		"  read:      100 MiB in 800 requests, 0.42 ms each, 50.0 MiB/s while busy\n"
		"  written:   1.5 MiB in 20 requests, 250 ms each, 0.8 MiB/s while busy\n"
		"  discarded: 4 KiB in 1 requests, 3.00 ms each\n"
		"  flushed:   2 times, 12 ms each\n");
	/* nothing yet; and an adoption without a record */
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"io\": {\"reads\": 0}}",
		"/dev/nbd0: alive\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"io\": null}",
		"/dev/nbd0: alive\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"io\": {\"reads\": 5}, "
	      "\"io_interval\": {\"reads\": 5, \"ms\": 0}}",
		"/dev/nbd0: alive\n"
		"  read:      0 bytes in 5 requests, 0.00 ms each\n");
}

/* What is shown of two pictures. */
static void check_interval(const char *former, const char *now, const char *expect)
{
	json_object *before = json_tokener_parse(former), *devices = json_tokener_parse(now);
	char *text, *end;

	assert_non_null(before);
	assert_non_null(devices);
	status_io_add_intervals(devices, before);
	assert_int_equal(json_object_object_get_ex(
				 json_object_array_get_idx(devices, 0), "io_interval", NULL),
		*expect != 0);
	text = render_as(json_object_to_json_string(json_object_array_get_idx(devices, 0)), true);
	end = strstr(text, "  now:");
	assert_string_equal(end ? end : "", expect);
	free(text);
	json_object_put(before);
	json_object_put(devices);
}

#define PICTURE(device, at_ms, io)                                                                 \
	"[{\"device\": \"" device "\", \"state\": \"alive\", \"io_at_ms\": " at_ms ", " io "}]"
#define FIRST PICTURE("/dev/nbd0", "5000", IO("600", "240", "7"))

static void test_interval(void **state)
{
	(void)state;
	/* 200 reads took 100 ms together, in two seconds; no more bytes, which IO() has fixed */
	check_interval(FIRST, PICTURE("/dev/nbd0", "7000", IO("800", "340", "4")),
		"  now:       reads 100/s of 0.50 ms; 4 in flight\n");
	check_interval(PICTURE("/dev/nbd0", "5000", "\"io\": {\"flushes\": 1}"),
		PICTURE("/dev/nbd0", "7000", IO("800", "340", "0")),
		"  now:       reads 50.0 MiB/s, 400/s of 0.42 ms; writes 0.8 MiB/s, 10/s of 250 "
		"ms; "
		"discards 0.0 MiB/s, 0/s of 3.00 ms; flushes 0/s of 25 ms\n");
	check_interval(FIRST, PICTURE("/dev/nbd0", "6000", IO("600", "240", "7")),
		"  now:       no request was answered; 7 in flight\n");
	check_interval(FIRST, PICTURE("/dev/nbd1", "7000", IO("800", "340", "4")), "");
	check_interval(FIRST, PICTURE("/dev/nbd0", "5000", IO("800", "340", "4")), "");
	/* attached anew meanwhile */
	check_interval(FIRST, PICTURE("/dev/nbd0", "7000", IO("3", "1", "0")), "");
	check_interval(FIRST, PICTURE("/dev/nbd0", "7000", "\"io\": null"), "");
	check_interval("[{\"device\": \"/dev/nbd0\"}, 3, null]",
		PICTURE("/dev/nbd0", "7000", IO("3", "1", "0")), "");
}

static void test_adopted_without_a_record(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"since_unix_sec\": null, "
	      "\"supervisor_pid\": 7}",
		"/dev/nbd0: alive\n"
		"  attached:  at an unknown time; its supervisor is process 7\n");
}

static void test_unmonitored_link(void **state)
{
	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"links\": [{\"address\": "
	      "\"h:1\", \"state\": \"unmonitored\", \"tls\": null}]}",
		"/dev/nbd0: alive\n"
		"  link 1:    h:1, unmonitored, not encrypted\n"
		"             made by a former supervisor: monitored by the kernel alone, until it "
		"is replaced\n");
	check("{\"device\": \"/dev/nbd0\", \"state\": \"alive\", \"links\": [{\"state\": "
	      "\"unmonitored\"}]}",
		"/dev/nbd0: alive\n"
		"  link 1:    unmonitored, whether encrypted is unknown\n"
		"             made by a former supervisor: monitored by the kernel alone, until it "
		"is replaced\n");
}

static void test_no_control_character_comes_through(void **state)
{
	static const char *const table[] = {
		"{\"device\": \"/dev/nbd0\\u001b[2J\", \"state\": \"stopped\\n\", \"uri\": "
		"\"a\\u009bb\\rc\", \"reason\": \"x\\u0007\\u202ey\"}",
		"{\"state\": \"reconnecting\", \"attempts\": 1, \"last_error\": "
		"\"\\u001b]0;title\\u0007\", \"dead_timeout_sec\": null}",
		"{\"state\": \"alive\", \"error_replies\": 1, \"last_error_reply\": "
		"\"\\u001b[1m\\u0000z\"}",
		"{\"state\": \"alive\", \"links\": [{\"address\": \"\\u001b\", \"state\": "
		"\"\\u001b\", \"tls\": {\"version\": \"\\u001b\","
		" \"cipher\": \"\\u001b\", \"group\": \"\\u001b\", \"authentication\": "
		"\"\\u001b\", \"peer_name\": \"\\u001b\"}}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *text = render_as(table[i], true);

		for (const char *p = text; *p; p++)
			assert_true(*p == '\n' || (unsigned char)*p >= 0x20);
		assert_null(strstr(text, "\xc2\x9b"));
		assert_null(strstr(text, "\xe2\x80\xae"));
		assert_non_null(strchr(text, '?'));
		free(text);
	}
}

static void test_other_types_are_as_good_as_missing(void **state)
{
	char *text;

	(void)state;
	check("{\"device\": \"/dev/nbd0\", \"state\": \"detached\"}", "/dev/nbd0: detached\n");
	check("{}", "a device: in an unknown state\n");
	check("[1, 2]", "a device: in an unknown state\n");
	check("{\"device\": {\"a\": 1}, \"state\": 5, \"size_bytes\": \"1\", \"since_unix_sec\": "
	      "-1, \"links\": {}, \"attempts\": -3,"
	      " \"read_only\": \"yes\", \"offered_size_bytes\": [1]}",
		"a device: in an unknown state\n");
	text = render_as("{\"state\": \"alive\", \"since_unix_sec\": 9223372036854775807, "
			 "\"state_since_unix_sec\": 9223372036854775807,"
			 " \"size_bytes\": 18446744073709551615, \"links\": [null, 3, \"x\", "
			 "{\"tls\": 3, \"records_sent\": 9223372036854775807,"
			 " \"records_received\": 1, \"record_limit\": 1}]}",
		true);
	free(text);
	text = render_as(
		"{\"state\": \"reconnecting\", \"state_since_unix_sec\": 0, \"dead_timeout_sec\": "
		"9223372036854775807,"
		" \"next_attempt_in_ms\": 9223372036854775807, \"attempts\": 9223372036854775807}",
		true);
	free(text);
}

static void test_exit_status(void **state)
{
	static const struct {
		const char *json;
		int expect;
	} table[] = {
		{"{\"state\": \"alive\", \"root\": true}", 0},
		{"{\"state\": \"reconnecting\"}", 10},
		{"{\"state\": \"stopped\"}", 11},
		{"{\"state\": \"failed\"}", 12},
		{"{\"state\": \"configured\"}", 13},
		{"{\"state\": \"detached\"}", ERROR_BUSY},
		{"{\"state\": \"alive \"}", ERROR_OTHER},
		{"{\"state\": 0}", ERROR_OTHER},
		{"{}", ERROR_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		json_object *status = json_tokener_parse(table[i].json);

		assert_int_equal(status_text_exit_status(status), table[i].expect);
		json_object_put(status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_alive_after_troubles),
		cmocka_unit_test(test_reconnecting),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_failed),
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_unmonitored_link),
		cmocka_unit_test(test_throughput_and_latency),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_adopted_without_a_record),
		cmocka_unit_test(test_silent_link),
		cmocka_unit_test(test_no_control_character_comes_through),
		cmocka_unit_test(test_other_types_are_as_good_as_missing),
		cmocka_unit_test(test_exit_status),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
