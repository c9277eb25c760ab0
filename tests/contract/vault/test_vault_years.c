/* test_vault_years.c - five years of renewals through the whole vault layer: an issuer that is down
 * for days, busy, or loses answers, a server that dies, a clock that goes wrong; and what an issuer
 * suggests, and when nothing is to be renewed. The same at full size, without a store:
 * tests/contract/simulate.
 */
#include <stdio.h>

#include "tests/contract/vault/scripted_issuer.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)

enum { CERTIFICATES = 4, STEPS_MAX = 20000 };

static house *start(const char *provider, const char *blackout)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_slice window = kv_slice_text(blackout ? blackout : "");
    kv_issuer_set_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                            .provider = kv_slice_text(provider),
                            .has_domains = true,
                            .domains = { &every, 1 },
                            .has_order_rules = true,
                            .blackouts = { &window, blackout != NULL } };
    house *h = house_new(false);
    kv_issuer_bundle out;
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    in.target.issuer = KV_SLICE("acct");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
    scripted.deed = SCRIPT_AT_ONCE;
    scripted.life_ms = 90 * DAY;
    return h;
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

static void live_until(house *h, int64_t until)
{
    kv_error err = { 0 };

    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t renewal_at = 0;
        int64_t order_at = 0;
        int64_t next;

        assert_kv_ok(kv_vault_step_renewal(h->vault, &renewal_at, &err));
        assert_kv_ok(kv_vault_step_operation(h->vault, &order_at, &err));
        next = earlier(renewal_at, order_at);
        if (!next || next > until) {
            atomic_store(&h->now_ms, until);
            return;
        }
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    fail_msg("there is no end of steps");
}

static unsigned versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

/* Whose newest version has ended. */
static unsigned missed(house *h)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM (SELECT max(expires) AS last FROM certificate_versions "
                   "GROUP BY object_uid) WHERE last <= %lld",
                   (long long)atomic_load(&h->now_ms));
    return house_count(h, sql);
}

static void make(house *h, unsigned count)
{
    kv_error err = { 0 };
    char name[16];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "c-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "acct", false, NULL, &err));
    }
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(versions(h), count);
}

/* A bad week of the n-th quarter. */
static void trouble(house *h, unsigned quarter)
{
    int64_t from = atomic_load(&h->now_ms);
    kv_error err = { 0 };

    if (quarter % 4 == 0)
        scripted.deed = SCRIPT_SILENT;
    if (quarter % 4 == 1)
        scripted.deed = SCRIPT_BUSY;
    if (quarter % 4 == 2)
        scripted.deed = SCRIPT_LOCKED;
    scripted.retry_ms = 6 * HOUR;
    live_until(h, from + 2 * DAY);
    if (quarter % 3 == 0) {
        atomic_store(&h->now_ms, from + 5 * DAY);
        live_until(h, from + 5 * DAY + HOUR);
        atomic_store(&h->now_ms, from + 2 * DAY + HOUR);
        assert_kv_ok(kv_vault_clock_set_back(h->vault, 3 * DAY, &err));
    }
    if (quarter % 5 == 0)
        assert_kv_ok(house_restart(h, &err));
    live_until(h, from + 4 * DAY);
    scripted.deed = SCRIPT_AT_ONCE;
    scripted.silences = quarter % 2;
}

static void five_years_and_nothing_missed(void **state)
{
    house *h = start("Scripted", NULL);

    (void)state;
    make(h, CERTIFICATES);
    for (unsigned quarter = 0; quarter < 20; quarter++) {
        /* The trouble begins when they are about to be renewed. */
        live_until(h, HOUSE_NOW_MS + (int64_t)quarter * 91 * DAY + 70 * DAY);
        trouble(h, quarter);
        assert_int_equal(missed(h), 0);
    }
    live_until(h, HOUSE_NOW_MS + 5 * YEAR);
    assert_int_equal(missed(h), 0);
    /* 72 to 76 days each, sooner after a clock that was ahead. */
    assert_in_range(versions(h), CERTIFICATES * 23, CERTIFICATES * 28);
    assert_int_equal(scripted.orders, versions(h));
    house_assert_tidy(h);
    house_free(h);
}

static void when_the_issuer_suggests_it(void **state)
{
    house *h = start("Hinting", NULL);

    (void)state;
    scripted.window_from = HOUSE_NOW_MS + 20 * DAY;
    scripted.window_until = HOUSE_NOW_MS + 22 * DAY;
    make(h, CERTIFICATES);
    live_until(h, HOUSE_NOW_MS + 20 * DAY);
    assert_int_equal(versions(h), CERTIFICATES);
    /* Every six hours, for each. */
    assert_in_range(scripted.hints, CERTIFICATES * 4 * 19, CERTIFICATES * 4 * 21);
    live_until(h, HOUSE_NOW_MS + 22 * DAY + HOUR);
    assert_int_equal(versions(h), 2 * CERTIFICATES);
    /* A window in the past: now, that is when it is next asked. */
    live_until(h, HOUSE_NOW_MS + 40 * DAY);
    scripted.window_from = HOUSE_NOW_MS + 39 * DAY;
    scripted.window_until = HOUSE_NOW_MS + 40 * DAY;
    live_until(h, HOUSE_NOW_MS + 40 * DAY + 8 * HOUR);
    assert_int_equal(versions(h), 3 * CERTIFICATES);
    house_free(h);
}

static void not_in_a_blackout_but_in_time(void **state)
{
    /* The time comes on the 31st of January at the earliest, and the floor on the 9th of February.
     */
    house *h = start("Scripted", "2027-01-25T00:00Z - 2027-02-05T00:00Z");
    int64_t end = INT64_C(1801785600000); /* 2027-02-05T00:00Z */

    (void)state;
    make(h, CERTIFICATES);
    live_until(h, end - MINUTE);
    assert_int_equal(versions(h), CERTIFICATES);
    live_until(h, end + 6 * HOUR + 5 * DAY);
    assert_int_equal(versions(h), 2 * CERTIFICATES);
    house_free(h);
    h = start("Scripted", "2027-01-25T00:00Z - 2028-01-01T00:00Z");
    make(h, CERTIFICATES);
    live_until(h, HOUSE_NOW_MS + 80 * DAY);
    assert_int_equal(versions(h), CERTIFICATES);
    live_until(h, HOUSE_NOW_MS + 82 * DAY);
    assert_int_equal(versions(h), 2 * CERTIFICATES);
    house_free(h);
}

static void set_vault_windows(house *h, const char *window)
{
    kv_slice windows = kv_slice_text(window);
    kv_vault_patch_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                             .has_blackouts = true,
                             .blackouts = { &windows, 1 } };
    kv_vault_bundle out;
    kv_error err = { 0 };

    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &in, &out));
}

static void set_issuer_windows(house *h, const char *window)
{
    kv_slice windows = kv_slice_text(window);
    kv_issuer_update_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                               .has_order_rules = true,
                               .blackouts = { &windows, 1 } };
    kv_issuer_bundle out;
    kv_error err = { 0 };

    in.target.issuer = KV_SLICE("acct");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_update, &in, &out));
}

#define FEB_7 (INT64_C(1801785600000) + 2 * DAY) /* 2027-02-07T00:00Z: all have had their time */

/* Renewals that wait, and will look again before that moment. */
static unsigned waiting_until(house *h, int64_t until)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM renewals WHERE waiting = 5 AND due_at < %lld",
                   (long long)until);
    return house_count(h, sql);
}

/* With all renewals waiting until the 8th. */
static house *start_waiting(void (*set)(house *, const char *))
{
    house *h = start("Scripted", NULL);

    make(h, CERTIFICATES);
    set(h, "2027-01-25T00:00Z - 2027-02-08T00:00Z");
    live_until(h, FEB_7);
    assert_int_equal(versions(h), CERTIFICATES);
    assert_int_equal(waiting_until(h, FEB_7 + 2 * DAY), CERTIFICATES);
    assert_int_equal(waiting_until(h, FEB_7 + DAY), 0);
    return h;
}

static void who_waits_for_its_end_hears_of_a_change(void **state)
{
    void (*const sets[])(house *, const char *) = { set_vault_windows, set_issuer_windows };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        house *h = start_waiting(sets[i]);

        /* Shorter: they go on waiting, until the new end and six hours at most. */
        sets[i](h, "2027-01-25T00:00Z - 2027-02-07T06:00Z");
        live_until(h, FEB_7 + HOUR);
        assert_int_equal(versions(h), CERTIFICATES);
        assert_int_equal(waiting_until(h, FEB_7 + 12 * HOUR + 1), CERTIFICATES);
        assert_int_equal(waiting_until(h, FEB_7 + 6 * HOUR), 0);
        sets[i](h, "none");
        assert_int_equal(versions(h), CERTIFICATES);
        live_until(h, FEB_7 + HOUR + 20 * MINUTE);
        assert_int_equal(versions(h), 2 * CERTIFICATES);
        house_free(h);
    }
}

/* Windows that follow each other are one to who waits: the second one's end is not waited for. */
static void the_end_that_another_window_put_off_comes_nearer(void **state)
{
    house *h = start("Scripted", NULL);

    (void)state;
    make(h, CERTIFICATES);
    set_issuer_windows(h, "2027-01-25T00:00Z - 2027-02-07T02:00Z");
    set_vault_windows(h, "2027-02-07T02:00Z - 2027-02-08T00:00Z");
    live_until(h, FEB_7);
    assert_int_equal(versions(h), CERTIFICATES);
    set_vault_windows(h, "none");
    live_until(h, FEB_7 + 2 * HOUR - MINUTE);
    assert_int_equal(versions(h), CERTIFICATES);
    live_until(h, FEB_7 + 9 * HOUR);
    assert_int_equal(versions(h), 2 * CERTIFICATES);
    house_free(h);
}

static void nobody_else_is_woken(void **state)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    house *h = start_waiting(set_vault_windows);
    kv_issuer_set_in other = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                               .provider = KV_SLICE("Scripted"),
                               .has_domains = true,
                               .domains = { &every, 1 },
                               .has_order_rules = true };
    kv_slice window = KV_SLICE("2027-02-01T00:00Z - 2027-02-08T00:00Z");
    kv_issuer_bundle out;
    kv_error err = { 0 };

    (void)state;
    other.target.issuer = KV_SLICE("other");
    other.blackouts = (kv_x509_list){ &window, 1 };
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &other, &out));
    other.blackouts = (kv_x509_list){ 0 };
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &other, &out));
    /* The same again. */
    set_vault_windows(h, "2027-01-25T00:00Z - 2027-02-08T00:00Z");
    assert_int_equal(waiting_until(h, FEB_7 + DAY), 0);
    /* The vault's window counts for them still. */
    set_issuer_windows(h, "2027-02-06T00:00Z - 2027-02-07T12:00Z");
    live_until(h, FEB_7 + 20 * MINUTE);
    assert_int_equal(versions(h), CERTIFICATES);
    assert_int_equal(waiting_until(h, FEB_7 + DAY), 0);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_years_and_nothing_missed),
        cmocka_unit_test(when_the_issuer_suggests_it),
        cmocka_unit_test(not_in_a_blackout_but_in_time),
        cmocka_unit_test(who_waits_for_its_end_hears_of_a_change),
        cmocka_unit_test(the_end_that_another_window_put_off_comes_nearer),
        cmocka_unit_test(nobody_else_is_woken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
