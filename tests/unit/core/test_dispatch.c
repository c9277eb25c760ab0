/* test_dispatch.c - the order of a call's steps, and what each refusal leaves behind. */
#include <stdio.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/core/dispatch_scene.h"

/* Serves one call that fails at `fail_at` and compares the steps; the error's status comes back. */
static kv_status steps_of(scene *it, const kv_route *route, char fail_at, const char *steps)
{
    kv_call *call = make_call(it, route, 1000);
    kv_status status;

    it->fail_at = fail_at;
    serve(call);
    assert_string_equal(it->steps, steps);
    status = call->error.status;
    assert_int_equal(call->entry.status, status);
    kv_call_free(call);
    return status;
}

static void a_good_call_takes_every_step(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &usual, 1000);

    serve(call);
    assert_string_equal(it->steps, "idpreA");
    assert_ptr_equal(it->posted, call);
    assert_slice_equal(KV_SLICE("word"), call->answer);
    assert_string_equal(call->entry.operation, "Usual");
    assert_int_equal(call->entry.principal_id[0], 7);
    assert_int_equal(call->entry.request_id[0], 42);
    assert_slice_equal(KV_SLICE("192.0.2.1:99"), call->entry.peer);
    assert_null(kv_mailbox_take_all(it->box)); /* not before its record */
    kv_call_answer(call);
    assert_ptr_equal(kv_mailbox_take_all(it->box), &call->mail);
    kv_call_free(call);
}

static void an_unknown_caller_is_counted_not_decoded(void **state)
{
    assert_int_equal(steps_of(*state, &usual, 'i', "iR"), KV_DENIED);
}

static void a_malformed_message_is_recorded(void **state)
{
    assert_int_equal(steps_of(*state, &usual, 'd', "idA"), KV_DENIED);
}

static void a_denied_call_does_not_run(void **state)
{
    assert_int_equal(steps_of(*state, &usual, 'p', "idpA"), KV_DENIED);
}

static void a_failed_call_is_not_encoded(void **state)
{
    assert_int_equal(steps_of(*state, &usual, 'r', "idprA"), KV_DENIED);
}

static void a_row_without_permission_fails_closed(void **state)
{
    assert_int_equal(steps_of(*state, &forgotten, 0, "idA"), KV_DENIED);
}

static void anyone_is_neither_identified_nor_recorded(void **state)
{
    scene *it = *state;

    assert_int_equal(steps_of(it, &anyone, 0, "dre"), KV_OK);
    assert_non_null(kv_mailbox_take_all(it->box));
}

static void no_answer_leaves_when_the_record_failed(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &usual, 1000);

    serve(call);
    kv_fail(&call->error, KV_UNAVAILABLE, "the audit log cannot be written");
    kv_call_answer(call);
    assert_int_equal(call->answer.len, 0);
    kv_call_free(call);
}

static void a_finished_call_waits_for_others_a_moment_only(void **state)
{
    const int64_t second_us = 1000000;
    scene *it = *state;
    kv_call *call = make_call(it, &usual, 1000);
    kv_worker worker = { .index = 3 };
    int64_t before = kv_monotonic_us(), until;

    assert_false(kv_dispatch_should_flush(&worker, before, 0));
    kv_dispatch(&call->task, &worker);
    until = worker.done_until_us;
    assert_true(until >= before + 1000);
    assert_true(until <= kv_monotonic_us() + 5000);
    /* Its time is over. */
    worker.done_until_us = before;
    assert_true(kv_dispatch_should_flush(&worker, before, 0));
    /* It is not; but it would be after another task like the last one. */
    worker.done_until_us = kv_monotonic_us() + 60 * second_us;
    assert_false(kv_dispatch_should_flush(&worker, kv_monotonic_us(), 0));
    assert_true(kv_dispatch_should_flush(&worker, kv_monotonic_us() - 61 * second_us, 0));
    kv_dispatch_flush(&worker);
    assert_ptr_equal(it->posted, call);
    kv_call_free(call);
}

static void no_more_is_gathered_than_still_waits(void **state)
{
    enum { CALLS = 6 };
    scene *it = *state;
    kv_worker worker = { .index = 3 };
    unsigned posted = 0;

    for (unsigned done = 1; done <= CALLS; done++) {
        kv_dispatch(&make_call(it, &usual, 1000)->task, &worker);
        worker.done_until_us = INT64_MAX;
        /* A few are not worth it, whatever waits. */
        assert_int_equal(kv_dispatch_should_flush(&worker, kv_monotonic_us(), 0), done >= 4);
        assert_int_equal(kv_dispatch_should_flush(&worker, kv_monotonic_us(), done), done >= 4);
        assert_false(kv_dispatch_should_flush(&worker, kv_monotonic_us(), done + 1));
    }
    kv_dispatch_flush(&worker);
    assert_false(kv_dispatch_should_flush(&worker, 0, 0));
    for (kv_call *call = it->posted, *next; call; call = next, posted++) {
        next = call->next;
        kv_call_free(call);
    }
    assert_int_equal(posted, CALLS);
}

/* Every second one lives elsewhere. */
static void calls_that_are_answered_together_keep_their_order(void **state)
{
    scene *it = *state;
    kv_mailbox *other;
    kv_call *calls[6];
    kv_mail *here, *there;
    kv_error err;

    assert_kv_ok(kv_mailbox_new(&other, &err));
    for (size_t i = 0; i < KV_COUNT(calls); i++) {
        calls[i] = make_call(it, &usual, 1000);
        calls[i]->ticket.home = i % 2 ? other : it->box;
        calls[i]->answer = KV_SLICE("word");
        if (i)
            calls[i - 1]->next = calls[i];
    }
    kv_fail(&calls[2]->error, KV_UNAVAILABLE, "the audit log cannot be written");
    kv_call_answer_all(calls[0]);
    here = kv_mailbox_take_all(it->box);
    there = kv_mailbox_take_all(other);
    for (size_t i = 0; i < KV_COUNT(calls); i += 2, here = here->next, there = there->next) {
        assert_ptr_equal(here, &calls[i]->mail);
        assert_ptr_equal(there, &calls[i + 1]->mail);
    }
    assert_null(here);
    assert_null(there);
    assert_int_equal(calls[2]->answer.len, 0);
    assert_slice_equal(KV_SLICE("word"), calls[3]->answer);
    for (size_t i = 0; i < KV_COUNT(calls); i++)
        kv_call_free(calls[i]);
    kv_mailbox_free(other);
}

static void a_call_whose_time_is_over_does_not_start(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &usual, -1);

    serve(call);
    assert_string_equal(it->steps, "R");
    assert_int_equal(call->error.status, KV_TIMEOUT);
    kv_call_free(call);
}

static void a_call_whose_caller_left_does_not_start(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &usual, 1000);

    assert_true(kv_call_win(call, KV_RACE_LEFT));
    serve(call);
    assert_string_equal(it->steps, "R");
    assert_int_equal(call->error.status, KV_CANCELLED);
    kv_call_free(call);
}

static void a_late_outcome_is_recorded_all_the_same(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &usual, 1000);

    it->leave_in_run = true;
    serve(call);
    assert_string_equal(it->steps, "idpreA");
    assert_true(call->late);
    assert_slice_equal(KV_SLICE("late=true"), call->entry.note);
    assert_int_equal(call->entry.status, KV_OK);
    kv_call_free(call);
}

static void only_one_side_wins_the_race(void **state)
{
    kv_call *call = make_call(*state, &usual, 1000);

    assert_true(kv_call_win(call, KV_RACE_ANSWERED));
    assert_false(kv_call_win(call, KV_RACE_LEFT));
    kv_call_free(call);
}

static void deliver_all(scene *it, unsigned wanted)
{
    kv_mail *mail = kv_mailbox_take_all(it->box);
    unsigned count = 0;

    for (; mail; count++) {
        kv_mail *next = mail->next;

        mail->deliver(mail, NULL);
        mail = next;
    }
    assert_int_equal(count, wanted);
}

static void a_stream_is_permitted_at_each_message(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &stream_row, 1000);

    it->messages = 3;
    serve(call);
    assert_string_equal(it->steps, "idppBepeperA");
    assert_int_equal(call->error.status, KV_OK);
    deliver_all(it, 3);
    kv_call_free(call);
}

static void a_stream_that_cannot_be_recorded_sends_nothing(void **state)
{
    scene *it = *state;
    kv_call *call = make_call(it, &stream_row, 1000);

    it->messages = 3;
    it->fail_at = 'B';
    serve(call);
    assert_string_equal(it->steps, "idppBA");
    deliver_all(it, 0);
    kv_call_free(call);
}

static void finished_calls_are_handed_over_together(void **state)
{
    scene *it = *state;
    kv_call *calls[3];
    kv_worker worker = { .index = 3 };

    for (size_t i = 0; i < 3; i++) {
        calls[i] = make_call(it, &usual, 1000);
        kv_dispatch(&calls[i]->task, &worker);
    }
    assert_null(it->posted);
    kv_dispatch_flush(&worker);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(i ? calls[i - 1]->next : it->posted, calls[i]);
    for (size_t i = 0; i < 3; i++)
        kv_call_free(calls[i]);
}

static void a_body_that_does_not_fit_is_refused(void **state)
{
    scene *it = *state;
    const uint8_t id[16] = { 0 };
    const kv_peer peer = { 0 };
    const kv_call_start start = { .services = &it->services,
                                  .route = &usual,
                                  .peer = &peer,
                                  .request_id = id,
                                  .body = KV_SLICE("much too long"),
                                  .memory_bytes = 16 };
    kv_call *call;
    kv_error err;

    assert_kv_fails(KV_BUSY, kv_call_make(&start, &call, &err));
}

/* --- somebody else came first --- */

static struct {
    unsigned runs, recalls;
    unsigned there_at; /* the recall from which on another call with the key has made the change */
    kv_status recalled;
} others;

static kv_status run_outrun(kv_call *call)
{
    others.runs++;
    /* What the attempt before noted is forgotten. */
    assert_int_equal(call->entry.note.len, 0);
    assert_slice_equal(KV_SLICE("192.0.2.1:99"), call->entry.peer);
    call->entry.note = KV_SLICE("attempted");
    call->entry.version = KV_SLICE("never made");
    call->entry.has_key = true;
    return kv_fail(&call->error, KV_CONFLICT, "somebody else changed this");
}

static kv_status recall(void *context, kv_call *call, bool *again)
{
    (void)context;
    others.recalls++;
    *again = others.recalls >= others.there_at;
    if (*again && others.recalled != KV_OK)
        return kv_fail(&call->error, others.recalled, "it is no more");
    if (*again)
        memcpy(call->out, &call->body, sizeof(call->body)); /* its one member */
    return KV_OK;
}

typedef struct outrun {
    bool mutates, repeats, has_key;
    unsigned there_at;
    kv_status recalled;
    unsigned runs, recalls;
    kv_status status;
} outrun;

static void serve_outrun(scene *it, const outrun *as)
{
    kv_route route = usual;
    kv_call *call;

    route.run = run_outrun;
    route.mutates = as->mutates;
    route.repeats = as->repeats;
    it->services.gates.recall = recall;
    memset(it->steps, 0, sizeof(it->steps));
    memset(&others, 0, sizeof(others));
    others.there_at = as->there_at;
    others.recalled = as->recalled;
    call = make_call(it, &route, 60000);
    if (as->has_key)
        call->idempotency_key = KV_SLICE("key");
    serve(call);
    assert_int_equal(others.runs, as->runs);
    assert_int_equal(others.recalls, as->recalls);
    assert_int_equal(call->error.status, as->status);
    assert_int_equal(call->entry.status, as->status);
    if (as->status == KV_OK)
        assert_slice_equal(KV_SLICE("word"), call->answer);
    if (as->status == KV_CONFLICT)
        assert_string_equal(call->error.message, "somebody else changed this");
    /* The record of another call's answer names nothing that this one threw away. */
    assert_int_equal(call->entry.has_key, as->status == KV_CONFLICT);
    assert_int_equal(call->entry.version.len > 0, as->status == KV_CONFLICT);
    assert_int_equal(call->entry.note.len > 0, as->status == KV_CONFLICT);
    /* One record, whatever happened. */
    assert_string_equal(it->steps, as->status == KV_OK ? "idpeA" : "idpA");
    kv_call_free(call);
}

static void who_is_outrun_gets_the_answer_of_the_same_call(void **state)
{
    enum { NEVER = 100 };
    static const outrun cases[] = {
        { true, false, false, NEVER, KV_OK, 1, 0, KV_CONFLICT },
        { true, false, true, NEVER, KV_OK, 1, 2, KV_CONFLICT },
        { true, false, true, 2, KV_OK, 1, 2, KV_OK },
        { true, false, true, 2, KV_NOT_FOUND, 1, 2, KV_NOT_FOUND },
        { true, false, true, 1, KV_OK, 0, 1, KV_OK },
        { true, true, false, NEVER, KV_OK, 5, 0, KV_CONFLICT },
        { true, true, true, 4, KV_OK, 3, 4, KV_OK },
        { true, true, true, 6, KV_OK, 5, 6, KV_OK },
        { true, true, true, NEVER, KV_OK, 5, 6, KV_CONFLICT },
        { false, false, true, 1, KV_OK, 1, 0, KV_CONFLICT }, /* changes nothing: no key counts */
        { false, true, true, 1, KV_OK, 5, 0, KV_CONFLICT },
    };

    for (size_t i = 0; i < KV_COUNT(cases); i++)
        serve_outrun(*state, &cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_good_call_takes_every_step),
        SCENE(an_unknown_caller_is_counted_not_decoded),
        SCENE(a_malformed_message_is_recorded),
        SCENE(a_denied_call_does_not_run),
        SCENE(a_failed_call_is_not_encoded),
        SCENE(a_row_without_permission_fails_closed),
        SCENE(anyone_is_neither_identified_nor_recorded),
        SCENE(no_answer_leaves_when_the_record_failed),
        SCENE(a_finished_call_waits_for_others_a_moment_only),
        SCENE(no_more_is_gathered_than_still_waits),
        SCENE(calls_that_are_answered_together_keep_their_order),
        SCENE(a_call_whose_time_is_over_does_not_start),
        SCENE(a_call_whose_caller_left_does_not_start),
        SCENE(a_late_outcome_is_recorded_all_the_same),
        SCENE(only_one_side_wins_the_race),
        SCENE(a_stream_is_permitted_at_each_message),
        SCENE(a_stream_that_cannot_be_recorded_sends_nothing),
        SCENE(finished_calls_are_handed_over_together),
        SCENE(a_body_that_does_not_fit_is_refused),
        SCENE(who_is_outrun_gets_the_answer_of_the_same_call),
    };

    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
