/* test_throttle.c - who may begin a call, who is told to come again, and when. */
#include "server/core/throttle.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/kv_cmocka.h"

enum { MS = 1000, SECOND = 1000000, MANY = 20000 };

typedef struct scene {
    kv_throttle *throttle;
    int64_t now_us;
    kv_error err;
} scene;

static void begins(scene *it, kv_status status)
{
    assert_kv_ok_with(status, &it->err);
}

static int set_up(void **state)
{
    scene *it = calloc(1, sizeof(*it));
    kv_throttle_limits none = { 0 };

    it->now_us = SECOND;
    begins(it, kv_throttle_new(&none, &it->throttle, &it->err));
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    scene *it = *state;

    kv_throttle_free(it->throttle);
    free(it);
    return 0;
}

static const uint8_t *bytes(uint32_t number, uint8_t out[KV_THROTTLE_KEY_BYTES])
{
    memset(out, 7, KV_THROTTLE_KEY_BYTES);
    memcpy(out, &number, sizeof(number));
    return out;
}

/* A call of a certificate (0: none) from an address. */
static kv_status enter(scene *it, uint32_t certificate, uint32_t address, kv_throttle_turn *out)
{
    uint8_t thumbprint[KV_THROTTLE_KEY_BYTES], host[KV_THROTTLE_KEY_BYTES];

    *out = (kv_throttle_turn){ 0 };
    return kv_throttle_enter(it->throttle, certificate ? bytes(certificate, thumbprint) : NULL,
                             bytes(address, host), false, it->now_us, out, &it->err);
}

/* And it ends at once. */
static kv_status call(scene *it, uint32_t certificate, uint32_t address)
{
    kv_throttle_turn turn;
    kv_status status = enter(it, certificate, address, &turn);

    kv_throttle_leave(it->throttle, &turn);
    return status;
}

static void learn(scene *it, uint32_t certificate, uint32_t principal)
{
    uint8_t thumbprint[KV_THROTTLE_KEY_BYTES], id[KV_THROTTLE_KEY_BYTES];

    kv_throttle_learn(it->throttle, bytes(certificate, thumbprint), bytes(principal, id));
}

static void fail_from(scene *it, uint32_t certificate, uint32_t address)
{
    uint8_t thumbprint[KV_THROTTLE_KEY_BYTES], host[KV_THROTTLE_KEY_BYTES];

    kv_throttle_failed(it->throttle, certificate ? bytes(certificate, thumbprint) : NULL,
                       bytes(address, host), it->now_us);
}

static void limit(scene *it, kv_throttle_limits limits)
{
    kv_throttle_tune(it->throttle, &limits);
}

static void refused(scene *it, kv_status status)
{
    assert_int_equal(status, KV_BUSY);
    assert_int_equal(it->err.reason, KV_REASON_LIMIT_REACHED);
    assert_true(it->err.retry_ms > 0);
}

static void without_limits_everything_begins(void **state)
{
    scene *it = *state;

    for (uint32_t i = 0; i < MANY; i++) {
        begins(it, call(it, i % 3, i));
        fail_from(it, i % 3, 1);
    }
}

static void a_principal_has_so_many_places_with_all_its_certificates(void **state)
{
    scene *it = *state;
    kv_throttle_turn turn[4];

    limit(it, (kv_throttle_limits){ .calls_per_principal = 2 });
    learn(it, 1, 100);
    learn(it, 2, 100);
    learn(it, 3, 200);
    begins(it, enter(it, 1, 1, &turn[0]));
    begins(it, enter(it, 2, 2, &turn[1]));
    assert_memory_equal(turn[0].key, turn[1].key, KV_THROTTLE_KEY_BYTES);
    refused(it, enter(it, 1, 3, &turn[2]));
    assert_null(turn[2].account);
    begins(it, enter(it, 3, 1, &turn[2]));
    kv_throttle_leave(it->throttle, &turn[1]);
    begins(it, enter(it, 2, 1, &turn[3]));
    kv_throttle_leave(it->throttle, &turn[0]);
    kv_throttle_leave(it->throttle, &turn[2]);
    kv_throttle_leave(it->throttle, &turn[3]);
    kv_throttle_leave(it->throttle, &turn[3]);
}

static void strangers_leave_half_of_the_places(void **state)
{
    scene *it = *state;
    kv_throttle_turn turn[8];
    unsigned count = 0;

    limit(it, (kv_throttle_limits){ .calls = 6 });
    learn(it, 1, 100);
    for (; count < 3; count++) /* each with a certificate and an address of its own */
        begins(it, enter(it, 50 + count, 60 + count, &turn[count]));
    refused(it, call(it, 70, 70));
    for (; count < 6; count++)
        begins(it, enter(it, 1, 60, &turn[count]));
    refused(it, call(it, 1, 60));
    while (count)
        kv_throttle_leave(it->throttle, &turn[--count]);
    begins(it, call(it, 1, 60));
    begins(it, call(it, 70, 70));
}

static void a_rate_is_saved_up_and_then_paid_out(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .rate_per_principal = 10, .burst_seconds = 2 });
    learn(it, 1, 100);
    learn(it, 2, 200);
    for (int i = 0; i < 20; i++)
        begins(it, call(it, 1, 1));
    refused(it, call(it, 1, 1));
    assert_in_range(it->err.retry_ms, 100, 101);
    begins(it, call(it, 2, 1)); /* another's */
    it->now_us += 101 * MS;
    begins(it, call(it, 1, 1));
    refused(it, call(it, 1, 1));
    it->now_us += 3600LL * SECOND;
    for (int i = 0; i < 20; i++)
        begins(it, call(it, 1, 1));
    refused(it, call(it, 1, 1));
}

/* All that were refused at one moment come when they were told, and none is refused again. */
static void who_comes_when_told_is_let_in(void **state)
{
    scene *it = *state;
    unsigned when[16];
    int64_t then;

    limit(it, (kv_throttle_limits){ .rate_per_principal = 10 });
    learn(it, 1, 100);
    for (int i = 0; i < 10; i++)
        begins(it, call(it, 1, 1));
    for (int i = 0; i < 16; i++) {
        refused(it, call(it, 1, 1));
        when[i] = it->err.retry_ms;
        assert_true(!i || when[i] > when[i - 1]);
    }
    assert_in_range(when[15], 1600, 1601);
    then = it->now_us;
    for (int i = 0; i < 16; i++) {
        it->now_us = then + when[i] * (int64_t)MS;
        begins(it, call(it, 1, 1));
    }
}

static void a_promise_is_never_far_away(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .rate_per_principal = 1 });
    learn(it, 1, 100);
    begins(it, call(it, 1, 1));
    for (int i = 0; i < MANY; i++) {
        refused(it, call(it, 1, 1));
        assert_true(it->err.retry_ms <= 5000);
    }
    it->now_us += 5 * SECOND;
    begins(it, call(it, 1, 1));
}

static void who_cannot_be_identified_waits_and_nobody_else(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .failures_per_peer = 2 });
    learn(it, 1, 100);
    for (uint32_t i = 0; i < 20; i++) { /* ten seconds' worth */
        begins(it, call(it, 50 + i, 9));
        fail_from(it, 50 + i, 9);
    }
    refused(it, call(it, 90, 9)); /* a new certificate does not help, nor does none */
    refused(it, call(it, 0, 9));
    begins(it, call(it, 1, 9));  /* somebody known, at the same address */
    begins(it, call(it, 90, 8)); /* a stranger elsewhere */
    it->now_us += 501 * MS;
    begins(it, call(it, 90, 9));
    fail_from(it, 90, 9);
    refused(it, call(it, 90, 9));
}

static void a_newcomer_who_is_identified_pays_nothing(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .failures_per_peer = 1 });
    for (uint32_t i = 0; i < 100; i++) {
        begins(it, call(it, 1 + i, 9));
        learn(it, 1 + i, i);
    }
}

static void who_is_known_no_more_is_a_stranger_again(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .failures_per_peer = 1 });
    learn(it, 1, 100);
    for (int i = 0; i < 11; i++)
        fail_from(it, 1, 9);
    refused(it, call(it, 1, 9));
}

static void strangers_leave_half_of_the_rate(void **state)
{
    scene *it = *state;
    unsigned strangers = 0, known = 0;

    limit(it, (kv_throttle_limits){ .rate = 10, .burst_seconds = 2 });
    learn(it, 1, 100);
    for (uint32_t i = 0; i < 40; i++)
        strangers += call(it, 50 + i, 50 + i) == KV_OK;
    for (int i = 0; i < 40; i++)
        known += call(it, 1, 1) == KV_OK;
    assert_int_equal(strangers, 10);
    assert_int_equal(known, 10);
}

static void a_watch_takes_no_place(void **state)
{
    scene *it = *state;
    kv_throttle_turn turn = { 0 };
    uint8_t host[KV_THROTTLE_KEY_BYTES];

    limit(it, (kv_throttle_limits){ .calls = 2, .calls_per_principal = 1 });
    for (int i = 0; i < 10; i++) {
        begins(it, kv_throttle_enter(it->throttle, NULL, bytes(1, host), true, it->now_us, &turn,
                                     &it->err));
        assert_null(turn.account);
    }
}

/* Each from another address, with another certificate: the table stays small and goes on. */
/* A call that takes so much of the locked heap; it goes on. */
static kv_status lock(scene *it, uint32_t certificate, uint32_t address, uint64_t size,
                      kv_throttle_turn *out)
{
    begins(it, enter(it, certificate, address, out));
    return kv_throttle_lock(it->throttle, out, size, &it->err);
}

static void with_locked_memory(scene *it, uint64_t size)
{
    kv_throttle_limits limits = { .locked_bytes = size };

    kv_throttle_free(it->throttle);
    begins(it, kv_throttle_new(&limits, &it->throttle, &it->err));
}

/* Of 64, calls have 48, a principal 24, strangers 24, an address of them 12. */
static void nobody_takes_all_locked_memory(void **state)
{
    enum { HERS = 3, THEIRS = 2, ALL = 64 };
    scene *it = *state;
    kv_throttle_turn hers[HERS], theirs[THEIRS], others[2], last, one;

    with_locked_memory(it, ALL);
    learn(it, 1, 1);
    learn(it, 2, 2);
    for (unsigned i = 0; i < HERS; i++)
        begins(it, lock(it, 1, 1, 8, &hers[i]));
    refused(it, lock(it, 1, 1, 8, &last));
    kv_throttle_leave(it->throttle, &last);
    for (unsigned i = 0; i < THEIRS; i++)
        begins(it, lock(it, 0, 5, 6, &theirs[i]));
    refused(it, lock(it, 0, 5, 6, &last));
    kv_throttle_leave(it->throttle, &last);
    begins(it, lock(it, 0, 6, 12, &others[0]));
    refused(it, lock(it, 0, 7, 1, &last));
    kv_throttle_leave(it->throttle, &last);
    /* All is taken; what ends makes room. */
    refused(it, lock(it, 2, 1, 8, &last));
    kv_throttle_leave(it->throttle, &last);
    kv_throttle_leave(it->throttle, &hers[0]);
    begins(it, lock(it, 2, 1, 8, &others[1]));
    for (unsigned i = 1; i < HERS; i++)
        kv_throttle_leave(it->throttle, &hers[i]);
    for (unsigned i = 0; i < THEIRS; i++)
        kv_throttle_leave(it->throttle, &theirs[i]);
    for (unsigned i = 0; i < 2; i++)
        kv_throttle_leave(it->throttle, &others[i]);
    /* Everything came back: there is room for one that needs more than its half. */
    begins(it, lock(it, 1, 1, 36, &one));
    refused(it, lock(it, 1, 1, 1, &last));
    kv_throttle_leave(it->throttle, &last);
    begins(it, lock(it, 2, 1, 12, &others[0]));
    kv_throttle_leave(it->throttle, &others[0]);
    kv_throttle_leave(it->throttle, &one);
}

static void what_no_call_can_have_is_not_promised(void **state)
{
    scene *it = *state;
    kv_throttle_turn turn;

    with_locked_memory(it, 64);
    learn(it, 1, 1);
    assert_int_equal(lock(it, 1, 1, 37, &turn), KV_BUSY);
    assert_int_equal(it->err.retry_ms, 0);
    kv_throttle_leave(it->throttle, &turn);
    begins(it, lock(it, 1, 1, 36, &turn));
    kv_throttle_leave(it->throttle, &turn);
}

static void a_flood_of_addresses_and_certificates_grows_nothing(void **state)
{
    scene *it = *state;

    limit(it, (kv_throttle_limits){ .calls = 100, .failures_per_peer = 1 });
    learn(it, 1, 100);
    for (uint32_t i = 0; i < MANY; i++) {
        it->now_us += 10;
        if (call(it, 1000 + i, 1000 + i) == KV_OK)
            fail_from(it, 1000 + i, 1000 + i);
        if (i % 100 == 0)
            begins(it, call(it, 1, 1));
    }
    refused(it, call(it, 5, MANY * 2)); /* they share an account by now */
    it->now_us += 20 * SECOND;
    begins(it, call(it, 5, MANY * 2));
    for (uint32_t i = 0; i < MANY; i++)
        learn(it, 1000 + i, i);
    begins(it, call(it, 1000 + MANY - 1, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_limits_everything_begins),
        TEST(a_principal_has_so_many_places_with_all_its_certificates),
        TEST(strangers_leave_half_of_the_places),
        TEST(a_rate_is_saved_up_and_then_paid_out),
        TEST(who_comes_when_told_is_let_in),
        TEST(a_promise_is_never_far_away),
        TEST(who_cannot_be_identified_waits_and_nobody_else),
        TEST(a_newcomer_who_is_identified_pays_nothing),
        TEST(who_is_known_no_more_is_a_stranger_again),
        TEST(strangers_leave_half_of_the_rate),
        TEST(a_watch_takes_no_place),
        TEST(nobody_takes_all_locked_memory),
        TEST(what_no_call_can_have_is_not_promised),
        TEST(a_flood_of_addresses_and_certificates_grows_nothing),
    };

    return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
