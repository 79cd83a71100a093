/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What shows that the driver has taken a new link: samples of its socket, and reads through the
 * device. */
#include "machine-script.h"

static void a_proof_that_runs_out_of_time_costs_the_link(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "shut 0");
	assert_state(&script, 0, LINK_LOST);
	expect(&script, 0, MOVED, 0, ""); /* too late */
	assert_false(machine_is_serving(&script.machine));
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_link_that_dies_before_its_proof_is_no_proof(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect(&script, 5, HANGUP, 0, "");
	assert_int_equal(script.machine.reconnects, 0);
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS, "negotiate");
}

static void a_link_that_nothing_was_sent_over_counts_until_its_first_use(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, HANGUP, 1, "");
	expect(&script, 1, NOTICE, 0, "negotiate");
	expect_hand_over(&script, 1);
	expect_facts(&script, 5, PROBED, 1, FACT_DONE | NOT_IN_USE, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void a_new_link_whose_first_request_takes_long_is_kept(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "negotiate");
	assert_false(machine_is_serving(&script.machine));
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	assert_true(machine_is_serving(&script.machine));
	expect(&script, 1000, MOVED, 0, "");
	assert_state(&script, 0, LINK_ALIVE);
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void a_link_under_proof_is_sampled_now_and_then(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	for (int i = 1; i * SAMPLE_MS < PROVE_MS; i++) {
		expect_deadline(&script, SAMPLE_MS, "sample 0");
		expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "");
	}
	expect_deadline(&script, SAMPLE_MS, "sample 0"); /* and still it ends */
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "shut 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "");
	assert_int_equal(script.machine.attempts, 1);
	expect_deadline(&script, BACKOFF_MIN_MS, "");
	expect_deadline(&script, SETTLE_MS - BACKOFF_MIN_MS, "negotiate");
	expect_reconnect(&script, 0);
	expect(&script, SAMPLE_MS, TICK, 0, "");
	assert_at_rest(&script);
}

static void a_sample_that_is_late_is_taken_once(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	expect(&script, 5 * SAMPLE_MS + 7, TICK, 0, "sample 0");
	expect(&script, 0, TICK, 0, "");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect(&script, 3, MOVED, 0, "");
	assert_at_rest(&script);
}

/* While the device is idle nothing is sent over a new link unless it is probed. */
static void an_isolated_link_of_several_is_probed_before_it_is_dropped(void **state)
{
	(void)state;
	for (int is_answered = 0; is_answered < 2; is_answered++) {
		struct script script = begin_sampling(2);

		script.machine.config.is_isolated = true;
		expect(&script, 0, HANGUP, 0, "");
		expect(&script, 1, NOTICE, 0, "");
		expect_deadline(&script, NOTICE_MS, "negotiate");
		expect_hand_over(&script, 0);
		expect_deadline(&script, SAMPLE_MS, "sample 0");
		expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "probe");
		if (is_answered) {
			expect_facts(&script, 5, PROBED, 0, FACT_DONE | NOT_IN_USE, "");
			assert_at_rest(&script);
		} else {
			expect_deadline(&script, SAMPLE_MS, "sample 0");
			expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "drop link 0");
		}
	}
}

/* The proof that came with the deadline needs no sample. */
static void an_outcome_at_the_time_of_a_sample_goes_first(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	expect(&script, SAMPLE_MS, MOVED, 0, "");
	assert_at_rest(&script);
	script = begin_sampling_proof(1);
	expect(&script, SAMPLE_MS, HANGUP, 0, "");
	assert_int_equal(script.machine.work, WORK_PAUSE);
	script = begin_sampling_proof(1);
	expect_facts(&script, SAMPLE_MS, PROBED, 0, FACT_DONE | NOT_IN_USE, "drop link 0");
}

static void a_link_that_dies_between_two_samples_is_not_sampled_again(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "offer again 0");
	expect(&script, 100, HANGUP, 0, "");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "");
	/* A dead socket that was offered again brings a second notice. */
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, BACKOFF_MIN_MS - NOTICE_MS - 2, "negotiate");
	expect_hand_over(&script, 0);
	expect_deadline(&script, SAMPLE_MS, "sample 0"); /* of this one */
	expect(&script, 3, MOVED, 0, "");
	assert_at_rest(&script);
}

static void a_sample_that_nobody_asked_for_is_no_news(void **state)
{
	static void (*const moments[])(struct script * script) = {
		stay, go_to_lost, go_to_negotiate, go_to_pause, go_to_spare};

	(void)state;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct script script = begin(1);
		enum machine_work work;
		int64_t deadline_ms;

		moments[i](&script);
		work = script.machine.work;
		deadline_ms = machine_deadline_ms(&script.machine);
		expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "");
		expect_facts(&script, 0, SAMPLED, 0, FACT_IN_CLEAR, "");
		expect_facts(&script, 0, PROBED, 0, NOT_IN_USE, "");
		assert_int_equal(script.machine.work, work);
		assert_int_equal(machine_deadline_ms(&script.machine), deadline_ms);
	}
}

static void the_dead_timeout_ends_the_samples(void **state)
{
	struct script script = begin_sampling(1);

	(void)state;
	script.machine.config.dead_timeout_ms = 2 * SAMPLE_MS;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 0, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect_deadline(&script, SAMPLE_MS - NOTICE_MS, "probe"); /* the device, once more */
	expect_deadline(&script, NOTICE_MS, "sample 0");
	expect_deadline(&script, SAMPLE_MS - NOTICE_MS, "sample 0"); /* the last one */
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "shut 0");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "fail device");
	assert_int_equal(machine_deadline_ms(&script.machine), -1);
}

static void a_sample_at_the_end_of_a_proof_may_be_the_proof(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, CARRIED, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

/* The read was done over the former link, and that was told late. */
static void a_socket_in_use_is_not_dropped_for_a_read_that_went_elsewhere(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | IN_DRIVER, "");
	assert_state(&script, 0, LINK_UNPROVEN);
	expect(&script, 5, MOVED, 0, "");
	assert_at_rest(&script);
}

/* New requests are held back then, and the read that would use it is, too. */
static void a_link_of_several_is_not_dropped_during_a_drain(void **state)
{
	struct script script = begin_sampling(3);

	(void)state;
	expect(&script, 0, REKEY_NOW, 2, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "");
	expect(&script, 1, DRAINED, 0, "");
	expect_deadline(&script, SAMPLE_MS - 1, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "drop link 0");
}

/* A new process may have to wait for memory that only this link gets back. */
static void an_isolated_device_is_probed_only_when_nothing_else_helps(void **state)
{
	struct script script = begin_sampling(1);

	(void)state;
	script.machine.config.is_isolated = true;
	expect(&script, 0, HANGUP, 0, "");
	expect(&script, 1, NOTICE, 0, "");
	expect_deadline(&script, NOTICE_MS, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, NOT_IN_USE, "probe, offer again 0");
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, CARRIED, "");
	assert_at_rest(&script);
}

/* --- what a read through the device shows */

static void a_read_over_the_new_link_proves_it(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | CARRIED, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

static void a_read_that_fails_moves_nothing(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_facts(&script, 5, PROBED, 0, NOT_IN_USE, "shut 0");
	script = begin(1);
	go_to_prove(&script);
	/* others' requests may be under way over it: its time goes on */
	expect_facts(&script, 5, PROBED, 0, IN_DRIVER, "");
	expect_facts(&script, 5, PROBED, 0, UNCOUNTED, "");
	assert_int_equal(script.machine.work, WORK_PROVE);
	expect_facts(&script, 5, PROBED, 0, CARRIED, ""); /* an answer of the server's */
	assert_at_rest(&script);
}

static void a_read_that_was_done_proves_a_socket_that_counts_nothing(void **state)
{
	(void)state;
	for (unsigned links = 1; links <= 2; links++) {
		struct script script = begin(links);

		go_to_prove(&script);
		expect_facts(&script, 5, PROBED, 0, FACT_DONE | UNCOUNTED, "");
		assert_int_equal(script.machine.reconnects, 1);
		assert_at_rest(&script);
	}
}

/* It may have been done over the former one. */
static void a_socket_that_counts_nothing_is_proven_until_the_notice_that_was_owed(void **state)
{
	struct script script = begin_without_notice(1);

	(void)state;
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | UNCOUNTED, "");
	assert_at_rest(&script);
	expect(&script, 1000000, NOTICE, 0, "shut 0");
	expect_deadline(&script, SETTLE_MS, "negotiate");
	expect_reconnect(&script, 0);
	assert_at_rest(&script);
}

static void a_read_of_before_is_the_late_proof_of_a_socket_that_counts_nothing(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, UNCOUNTED, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drop spare");
	expect_facts(&script, 5, PROBED, 0, UNCOUNTED, "");
	assert_state(&script, 0, LINK_UNPROVEN);
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | UNCOUNTED, "");
	assert_int_equal(script.machine.reconnects, 1);
	assert_at_rest(&script);
}

/* It answers, and nothing shows that it does over this link: without that its device would be in an
 * outage until the dead-timeout. */
static void a_link_that_is_silent_no_more_goes_on_with_its_proof(void **state)
{
	struct script script = begin(2);

	(void)state;
	expect(&script, 0, SERVER_ENDS, 0, "shut 0, shut 1");
	expect(&script, 0, NOTICE, 0, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "");
	expect_deadline(&script, SETTLE_MS - 30, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, UNCOUNTED, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "hand over 1");
	expect(&script, 0, HANDED_OVER, 1, "probe");
	expect(&script, 5, ANSWERED, 0, ""); /* one proof at a time */
	/* a read from each CPU uses every link that can be used */
	expect_facts(&script, 5, PROBED, 1, FACT_DONE | UNCOUNTED, "");
	assert_int_equal(script.machine.reconnects, 2);
	assert_at_rest(&script);
}

static void a_read_is_no_late_proof_where_sockets_count(void **state)
{
	struct script script = begin(1);

	(void)state;
	go_to_prove(&script);
	expect_deadline(&script, PROVE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, IN_DRIVER, "negotiate");
	expect_facts(&script, 5, PROBED, 0, FACT_DONE | IN_DRIVER, "");
	assert_state(&script, 0, LINK_UNPROVEN);
	assert_int_equal(script.machine.reconnects, 0);
}

static void a_link_in_clear_that_should_not_be_is_shut_whenever_it_is_seen(void **state)
{
	struct script script = begin_sampling_proof(1);

	(void)state;
	expect_deadline(&script, SAMPLE_MS, "sample 0");
	expect_facts(&script, 0, SAMPLED, 0, FACT_IN_CLEAR | CARRIED, "shut 0");
	assert_int_equal(script.machine.reconnects, 0);
	script = begin_sampling_proof(1);
	expect_facts(&script, 1, PROBED, 0, FACT_DONE | FACT_IN_CLEAR | CARRIED, "shut 0");
	assert_int_equal(script.machine.reconnects, 0);
	assert_false(machine_is_serving(&script.machine));
}

/* The drain that a renewal of link 1 has asked for waits for a request over link 1, and its server
 * hangs. Link 0 was replaced meanwhile, and nothing can use it. */
static void a_server_that_hangs_is_asked_although_a_drain_holds_a_proof_up(void **state)
{
	struct script script = begin_sampling(2);
	unsigned asked = 0;

	(void)state;
	expect(&script, 0, REKEY_NOW, 1, "negotiate");
	expect(&script, 30, NEGOTIATED, 0, "drain");
	expect(&script, 10, HANGUP, 0, "");
	expect(&script, 0, NOTICE, 0, "");
	expect(&script, NOTICE_MS, TICK, 0, "hand over 0");
	expect(&script, 0, HANDED_OVER, 0, "probe");
	expect(&script, PROVE_MS - 1000, SILENT, 1, "sample 0");
	for (int i = 0; i < 4 * DEAD_MS / SAMPLE_MS && !asked; i++) {
		struct machine_event event = {.type = EVENT_SAMPLED, .facts = NOT_IN_USE};
		struct machine_actions actions;

		event.now_ms = script.now_ms += SAMPLE_MS;
		machine_step(&script.machine, &event, &actions);
		for (unsigned j = 0; j < actions.count; j++)
			asked += actions.list[j].type == ACTION_NEGOTIATE;
		event.type = EVENT_TICK;
		machine_step(&script.machine, &event, &actions);
		for (unsigned j = 0; j < actions.count; j++)
			asked += actions.list[j].type == ACTION_NEGOTIATE;
	}
	assert_int_not_equal(asked, 0);
}

/* A link that was silent in its proof, and may have answered since the last sample (up to 4 s
 * ago), is not sampled before the device is failed for good. */
static void a_silent_link_is_sampled_before_the_device_fails(void **state)
{
	struct script script = begin_sampling(1);
	struct machine_event event = {.type = EVENT_TICK};
	struct machine_actions actions;
	bool is_sampled = false, is_shut = false;

	(void)state;
	go_to_lost(&script);
	expect(&script, 1, NOTICE, 0, "");
	expect(&script, NOTICE_MS, TICK, 0, "negotiate");
	expect_hand_over(&script, 0);
	expect_facts(&script, PROVE_MS, SAMPLED, 0, IN_DRIVER, "negotiate");
	while (!is_shut && script.now_ms < 4 * DEAD_MS + 1000000) {
		event.now_ms = script.now_ms;
		machine_step(&script.machine, &event, &actions);
		event.type = EVENT_TICK;
		is_sampled = false;
		for (unsigned i = 0; i < actions.count; i++) {
			is_shut |= actions.list[i].type == ACTION_SHUT;
			is_sampled |= actions.list[i].type == ACTION_SAMPLE;
			if (actions.list[i].type == ACTION_NEGOTIATE)
				event.type = EVENT_NOT_NEGOTIATED;
		}
		if (is_sampled)
			return;
		script.now_ms += 100;
	}
	assert_false(is_shut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_link_is_sampled_before_the_device_fails),
		cmocka_unit_test(a_server_that_hangs_is_asked_although_a_drain_holds_a_proof_up),
		cmocka_unit_test(a_proof_that_runs_out_of_time_costs_the_link),
		cmocka_unit_test(a_link_that_dies_before_its_proof_is_no_proof),
		cmocka_unit_test(a_link_that_nothing_was_sent_over_counts_until_its_first_use),
		cmocka_unit_test(a_new_link_whose_first_request_takes_long_is_kept),
		cmocka_unit_test(a_link_under_proof_is_sampled_now_and_then),
		cmocka_unit_test(a_sample_that_is_late_is_taken_once),
		cmocka_unit_test(an_isolated_link_of_several_is_probed_before_it_is_dropped),
		cmocka_unit_test(an_outcome_at_the_time_of_a_sample_goes_first),
		cmocka_unit_test(a_link_that_dies_between_two_samples_is_not_sampled_again),
		cmocka_unit_test(a_sample_that_nobody_asked_for_is_no_news),
		cmocka_unit_test(the_dead_timeout_ends_the_samples),
		cmocka_unit_test(a_sample_at_the_end_of_a_proof_may_be_the_proof),
		cmocka_unit_test(a_socket_in_use_is_not_dropped_for_a_read_that_went_elsewhere),
		cmocka_unit_test(a_link_of_several_is_not_dropped_during_a_drain),
		cmocka_unit_test(an_isolated_device_is_probed_only_when_nothing_else_helps),
		cmocka_unit_test(a_read_over_the_new_link_proves_it),
		cmocka_unit_test(a_read_that_fails_moves_nothing),
		cmocka_unit_test(a_read_that_was_done_proves_a_socket_that_counts_nothing),
		cmocka_unit_test(
			a_socket_that_counts_nothing_is_proven_until_the_notice_that_was_owed),
		cmocka_unit_test(
			a_read_of_before_is_the_late_proof_of_a_socket_that_counts_nothing),
		cmocka_unit_test(a_link_that_is_silent_no_more_goes_on_with_its_proof),
		cmocka_unit_test(a_read_is_no_late_proof_where_sockets_count),
		cmocka_unit_test(a_link_in_clear_that_should_not_be_is_shut_whenever_it_is_seen),
	};

	return cmocka_run_group_tests_name("machine-proof", tests, NULL, NULL);
}
