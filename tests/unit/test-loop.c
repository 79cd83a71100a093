/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In what order a round tells what happened, and that a source which is gone is told nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "supervisor/loop.h"

/* A source that writes its name down, and then does what the test wants. */
struct actor {
	struct loop_source source;
	char name;
	short revents;
	int pipe[2];
	void (*then)(struct actor *self);
	struct actor *other;
};

static char order[64];

static void note(void *owner, short revents)
{
	struct actor *self = owner;

	order[strlen(order)] = self->name;
	self->revents = revents;
	if (self->then)
		self->then(self);
}

static void add(struct loop *loop, struct actor *actor, char name, enum loop_order at)
{
	*actor = (struct actor){.name = name};
	assert_int_equal(pipe(actor->pipe), 0);
	loop_add(loop, &actor->source, at, note, actor);
	loop_watch(&actor->source, actor->pipe[0], POLLIN);
}

static void poke(struct actor *actor)
{
	assert_int_equal(write(actor->pipe[1], "x", 1), 1);
}

static void drop(struct actor *actor)
{
	loop_remove(&actor->source);
	close(actor->pipe[0]);
	close(actor->pipe[1]);
}

static int setup(void **state)
{
	(void)state;
	memset(order, 0, sizeof(order));
	return 0;
}

static void a_round_tells_in_the_order_of_the_list(void **state)
{
	struct loop loop;
	struct actor signal, notice, first, second;

	(void)state;
	loop_init(&loop);
	add(&loop, &signal, 's', LOOP_SIGNAL);
	add(&loop, &notice, 'n', LOOP_NOTICE);
	add(&loop, &first, '1', LOOP_HANGUP);
	add(&loop, &second, '2', LOOP_HANGUP);
	poke(&signal);
	poke(&notice);
	poke(&second);
	poke(&first);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "12ns");
	assert_int_equal(first.revents, POLLIN);
	drop(&signal);
	drop(&notice);
	drop(&first);
	drop(&second);
	assert_null(loop.first);
	assert_int_equal(loop.source_count, 0);
}

static void remove_other(struct actor *self)
{
	loop_remove(&self->other->source);
}

static void what_is_removed_in_a_round_is_not_called_in_it(void **state)
{
	struct loop loop;
	struct actor first, second;

	(void)state;
	loop_init(&loop);
	add(&loop, &first, '1', LOOP_HANGUP);
	add(&loop, &second, '2', LOOP_HANGUP);
	first.then = remove_other;
	first.other = &second;
	poke(&first);
	poke(&second);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "1");
	drop(&second); /* once more does no harm */
	drop(&first);
}

static void remove_self(struct actor *self)
{
	loop_remove(&self->source);
}

static void a_source_may_remove_itself(void **state)
{
	struct loop loop;
	struct actor first, second;

	(void)state;
	loop_init(&loop);
	add(&loop, &first, '1', LOOP_HANGUP);
	add(&loop, &second, '2', LOOP_HANGUP);
	first.then = remove_self;
	poke(&first);
	poke(&second);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "12");
	drop(&first);
	drop(&second);
}

static void watch_another(struct actor *self)
{
	loop_watch(&self->other->source, self->pipe[0], POLLHUP);
}

static void what_happened_to_a_former_descriptor_is_not_reported(void **state)
{
	struct loop loop;
	struct actor first, second;

	(void)state;
	loop_init(&loop);
	add(&loop, &first, '1', LOOP_HANGUP);
	add(&loop, &second, '2', LOOP_HANGUP);
	first.then = watch_another;
	first.other = &second;
	poke(&first);
	poke(&second);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "1");
	drop(&first);
	drop(&second);
}

static void a_time_comes_once_and_after_what_has_happened(void **state)
{
	struct loop loop;
	struct actor timer, link;
	int64_t now_ms = monotonic_now_ms();

	(void)state;
	loop_init(&loop);
	add(&loop, &timer, 't', LOOP_TIME);
	add(&loop, &link, 'l', LOOP_HANGUP);
	loop_call_at(&timer.source, now_ms);
	poke(&link);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "lt");
	assert_int_equal(timer.revents, 0);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "ltl");
	drop(&timer);
	drop(&link);
}

static void nothing_is_called_before_its_time(void **state)
{
	struct loop loop;
	struct actor early, late;
	int64_t began_ms = monotonic_now_ms();

	(void)state;
	loop_init(&loop);
	add(&loop, &late, 'l', LOOP_TIME);
	add(&loop, &early, 'e', LOOP_TIME);
	loop_call_at(&late.source, began_ms + 40);
	loop_call_by(&late.source, began_ms + 60);
	loop_call_at(&early.source, began_ms + 60);
	loop_call_by(&early.source, began_ms + 20);
	while (strlen(order) < 2) {
		assert_int_equal(loop_round(&loop), 0);
		assert_true(monotonic_now_ms() >= began_ms + (strlen(order) > 1 ? 40 : 20));
	}
	assert_string_equal(order, "el");
	drop(&early);
	drop(&late);
}

static void poke_other(struct actor *self)
{
	poke(self->other);
	loop_call_at(&self->other->source, 0);
}

static void what_a_call_leads_to_is_for_the_next_round(void **state)
{
	struct loop loop;
	struct actor notice, hangup;

	(void)state;
	loop_init(&loop);
	add(&loop, &notice, 'n', LOOP_NOTICE);
	add(&loop, &hangup, 'h', LOOP_HANGUP);
	notice.then = poke_other;
	notice.other = &hangup;
	poke(&notice);
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "n");
	notice.then = NULL;
	assert_int_equal(loop_round(&loop), 0);
	assert_string_equal(order, "nhn");
	drop(&notice);
	drop(&hangup);
}

static void the_earlier_of_two_times_is_never_only_if_both_are(void **state)
{
	(void)state;
	assert_int_equal(loop_earlier(LOOP_NEVER, LOOP_NEVER), LOOP_NEVER);
	assert_int_equal(loop_earlier(LOOP_NEVER, 3), 3);
	assert_int_equal(loop_earlier(3, LOOP_NEVER), 3);
	assert_int_equal(loop_earlier(4, 3), 3);
	assert_int_equal(loop_earlier(0, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_round_tells_in_the_order_of_the_list, setup),
		cmocka_unit_test_setup(what_is_removed_in_a_round_is_not_called_in_it, setup),
		cmocka_unit_test_setup(a_source_may_remove_itself, setup),
		cmocka_unit_test_setup(what_happened_to_a_former_descriptor_is_not_reported, setup),
		cmocka_unit_test_setup(a_time_comes_once_and_after_what_has_happened, setup),
		cmocka_unit_test_setup(nothing_is_called_before_its_time, setup),
		cmocka_unit_test_setup(what_a_call_leads_to_is_for_the_next_round, setup),
		cmocka_unit_test_setup(the_earlier_of_two_times_is_never_only_if_both_are, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
