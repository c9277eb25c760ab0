/* test_acme_wait.c - what an authority wants to be left alone for begins with its answer. */
#include "server/acme/memory.h"
#include "server/issuer/issuer.h"

#include "tests/contract/net/net_world.h"

enum { SECONDS = 7, LATE_MS = 60000, NOW_MS = 1000000 };

/* What the answer asks for, from NOW_MS on, when the question came `late_ms` after that. */
static int64_t wait_of_question(world *at, kv_acme_memory *memory, int64_t late_ms)
{
    const kv_issuer_world around = { .http = at->http, .memory = memory };
    kv_issuer_account account = { .world = &around };
    kv_issuer_order order = { .account = &account,
                              .external_id = KV_SLICE("https://localhost/order"),
                              .now_ms = NOW_MS,
                              .now_us = kv_monotonic_us() - late_ms * 1000,
                              .deadline = kv_deadline_in_ms(LONG_MS),
                              .arena = &at->arena };
    kv_issuer_answer answer = { 0 };

    assert_kv_ok_with(kv_arena_print(&at->arena, &account.settings, &at->err,
                                     "{\"directory\":\"%s\",\"terms_agreed\":true}",
                                     url_on(at, at->peer, "localhost", "/busy")),
                      &at->err);
    assert_kv_ok_with(kv_issuer_poll(kv_issuer_find(KV_SLICE("ACME")), &order, &answer, &at->err),
                      &at->err);
    assert_int_equal(answer.state, KV_ISSUER_PENDING);
    assert_int_equal(answer.pause_ms, answer.retry_ms);
    return answer.pause_ms;
}

static void a_wait_begins_with_the_answer(void **state)
{
    world *at = *state;
    kv_acme_memory *memory = NULL;
    int64_t wait;

    assert_kv_ok_with(kv_acme_memory_new(&memory, &at->err), &at->err);
    wait = wait_of_question(at, memory, LATE_MS);
    assert_true(wait >= LATE_MS + SECONDS * 1000 && wait < 2 * LATE_MS);
    kv_acme_memory_free(memory);
}

/* What was asked for stands for whoever comes next, counted from their own beginning. */
static void the_next_one_waits_for_the_same_moment(void **state)
{
    world *at = *state;
    kv_acme_memory *memory = NULL;
    int64_t first;
    int64_t second;

    assert_kv_ok_with(kv_acme_memory_new(&memory, &at->err), &at->err);
    first = wait_of_question(at, memory, 0);
    second = wait_of_question(at, memory, 0);
    assert_true(first >= SECONDS * 1000 && first < LATE_MS);
    assert_int_equal(first, second);
    kv_acme_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_wait_begins_with_the_answer),
        IN_A_WORLD(the_next_one_waits_for_the_same_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
