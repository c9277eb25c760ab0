/* test_vault_inventory.c - all certificates page by page, the renewals of the hours to come, and
 * all of one issuer brought forward.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/lifecycle/blackout.h"
#include "server/lifecycle/gate.h"
#include "tests/contract/vault/scripted_issuer.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

enum { CERTIFICATES = 7, STEPS_MAX = 2000 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };
    char name[16];

    assert_kv_ok(act_make_vault(h, &err));
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        (void)snprintf(name, sizeof(name), "c-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "Self", false, NULL, &err));
    }
    return h;
}

static kv_status read_page(house *h, const char *vault, unsigned size, kv_slice token,
                           kv_inventory_page *out, kv_error *why)
{
    kv_inventory_list_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                                .page = { .size = size, .token = token } };
    kv_error err;
    kv_status status;

    if (vault)
        in.target.vault = kv_slice_text(vault);
    status = HOUSE_DO(h, kv_inventory_list, &in, out);
    *why = err;
    return status;
}

/* Every certificate once, in order, whatever the size of the pages; `vault` NULL: the test's. */
static void expect_pages(house *h, const char *vault, unsigned size, unsigned count)
{
    kv_slice token = KV_SLICE_NONE;
    char last[32] = "";
    unsigned seen = 0;
    kv_error err;

    do {
        kv_inventory_page page;

        assert_kv_ok(read_page(h, vault, size, token, &page, &err));
        assert_true(page.count <= size);
        for (size_t i = 0; i < page.count; i++) {
            const kv_inventory_item *item = &page.items[i];

            assert_true(kv_slice_compare(item->id.name, kv_slice_text(last)) > 0);
            (void)snprintf(last, sizeof(last), "%.*s", KV_SLICE_ARG(item->id.name));
            assert_slice_equal(KV_SLICE("Self"), item->issuer);
            assert_slice_equal(KV_SLICE("completed"), item->status);
            assert_true(item->enabled && item->expires > HOUSE_NOW_MS);
            assert_in_range(item->next_renewal, HOUSE_NOW_MS + 290 * DAY, HOUSE_NOW_MS + 312 * DAY);
            seen++;
        }
        token = page.next_page_token;
        h->next_job = 0;
        assert_kv_ok(kv_arena_copy(&h->kept_arena, token, &token, &err));
    } while (token.len);
    assert_int_equal(seen, count);
}

static void every_certificate_once_in_pages_of_any_size(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    for (unsigned size = 1; size <= CERTIFICATES + 1; size++) {
        expect_pages(h, NULL, size, CERTIFICATES);
        expect_pages(h, "", size, CERTIFICATES);
    }
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c-3", &err));
    expect_pages(h, NULL, 3, CERTIFICATES - 1);
    house_free(h);
}

static void a_token_of_another_list_is_refused(void **state)
{
    static const char *const bad[] = { "x", "/", "v/../..", "no/such name", "-/a" };
    house *h = start();
    kv_inventory_page page;
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_kv_fails(KV_BAD_REQUEST, read_page(h, "", 10, kv_slice_text(bad[i]), &page, &err));
        assert_string_equal(err.field, "page_token");
    }
    assert_kv_fails(KV_NOT_FOUND, read_page(h, "nowhere", 10, KV_SLICE_NONE, &page, &err));
    assert_kv_fails(KV_BAD_REQUEST, read_page(h, "", 1001, KV_SLICE_NONE, &page, &err));
    house_free(h);
}

static kv_status forecast(house *h, uint32_t hours, const char *token, kv_forecast *out,
                          kv_error *why)
{
    kv_forecast_get_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                              .hours = hours,
                              .token = kv_slice_text(token) };
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_forecast_read, &in, out);

    *why = err;
    return status;
}

static unsigned planned(house *h, uint32_t hours)
{
    kv_forecast found;
    unsigned sum = 0;
    kv_error err;

    assert_kv_ok(forecast(h, hours, "", &found, &err));
    assert_int_equal(found.from, atomic_load(&h->now_ms));
    for (size_t i = 0; i < found.hours; i++)
        sum += found.renewals[i];
    return sum;
}

static void what_is_planned_is_forecast(void **state)
{
    house *h = start();
    kv_forecast found;
    kv_error err;

    (void)state;
    assert_int_equal(planned(h, 0), 0);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 290 * DAY);
    assert_int_equal(planned(h, 24 * 22), CERTIFICATES);
    /* What is overdue is in the first hour. */
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 320 * DAY);
    assert_int_equal(planned(h, 1), CERTIFICATES);
    assert_kv_fails(KV_BAD_REQUEST, forecast(h, 2161, "", &found, &err));
    assert_string_equal(err.field, "hours");
    assert_kv_fails(KV_BAD_REQUEST, forecast(h, 1, "1/2/3", &found, &err));
    assert_string_equal(err.field, "page_token");
    house_free(h);
}

static kv_status renew_all(house *h, const char *issuer, uint32_t seconds, uint32_t *count,
                           kv_error *why)
{
    kv_renew_all_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                           .spread_seconds = seconds };
    kv_renewed_all out = { 0 };
    kv_error err;
    kv_status status;

    in.target.issuer = kv_slice_text(issuer);
    status = HOUSE_DO(h, kv_renewal_all, &in, &out);
    *count = out.count;
    *why = err;
    return status;
}

static unsigned live_until(house *h, int64_t until)
{
    kv_error err = { 0 };

    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next = 0;

        assert_kv_ok(kv_vault_step_renewal(h->vault, &next, &err));
        if (!next || next > until)
            break;
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

static void all_of_an_issuer_are_renewed_within_a_time(void **state)
{
    enum { PARTS = 12 };
    house *h = start();
    unsigned before = CERTIFICATES + 1, busy = 0;
    uint32_t count;
    kv_error err;

    (void)state;
    assert_kv_ok(act_import_certificate(h, "brought", &err));
    assert_kv_fails(KV_NOT_FOUND, renew_all(h, "nobody", 0, &count, &err));
    assert_kv_fails(KV_BAD_REQUEST, renew_all(h, "Self", 2592001, &count, &err));
    assert_string_equal(err.field, "spread_seconds");
    assert_kv_ok(renew_all(h, "self", 2 * 3600, &count, &err));
    assert_int_equal(count, CERTIFICATES);
    assert_kv_ok(renew_all(h, "Self", 2 * 3600, &count, &err));
    assert_int_equal(count, 0);
    assert_int_equal(planned(h, 2), CERTIFICATES);
    /* Spread, at random: they do not all come in the same ten minutes; what was brought does not.
     */
    for (int i = 1; i <= PARTS; i++) {
        unsigned now = live_until(h, HOUSE_NOW_MS + i * (2 * HOUR / PARTS));

        busy += now > before;
        before = now;
    }
    assert_true(busy >= 2);
    assert_int_equal(before, 2 * CERTIFICATES + 1);
    /* And then it is as it was. */
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 200 * DAY), 2 * CERTIFICATES + 1);
    house_assert_tidy(h);
    house_free(h);
}

/* What a worker that waits would see. */
static uint64_t wakes(house *h)
{
    uint64_t seen = UINT64_MAX;

    (void)kv_vault_wait_for_steps(h->vault, 1, &seen);
    return seen;
}

typedef struct interference {
    unsigned times;
    uint64_t woken; /* how often somebody was, by all of it */
} interference;

/* A page of four rows they let pass. */
static void they_change_the_policies(house *h, void *context)
{
    enum { QUIET = 4 };
    kv_certificate_policy_update_in in = {
        .policy = { .key_props = { .reuse_key = true, .reuse_key_given = true } },
    };
    const unsigned job = h->next_job;
    interference *so_far = context;
    kv_certificate_policy_bundle out;
    char name[16];
    kv_error err;

    if (++so_far->times == QUIET)
        return;
    for (unsigned i = 0; i < CERTIFICATES; i++) {
        (void)snprintf(name, sizeof(name), "c-%u", i);
        in.target = act_target(KV_COLLECTION_CERTIFICATES, name);
        assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
    }
    h->next_job = job;
    so_far->woken = wakes(h);
}

static void those_that_were_brought_forward_are_woken_whatever_follows(void **state)
{
    enum { FIRST_PAGE = 4, SECOND_PAGE = 5 };
    house *h = start();
    interference theirs = { 0 };
    uint32_t count;
    kv_error err;

    (void)state;
    house_meanwhile(h, &kv_table_renewals, FIRST_PAGE + SECOND_PAGE, they_change_the_policies,
                    &theirs);
    assert_kv_fails(KV_CONFLICT, renew_all(h, "Self", 2 * 3600, &count, &err));
    assert_int_equal(theirs.times, FIRST_PAGE + SECOND_PAGE);
    assert_int_equal(planned(h, 2), FIRST_PAGE);
    assert_true(wakes(h) > theirs.woken);
    house_free(h);
}

/* --- times in which a vault wants nothing to be renewed --- */

static kv_status set_blackout(house *h, const char *window, kv_vault_bundle *out, kv_error *why)
{
    kv_slice text = kv_slice_text(window);
    kv_vault_patch_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) },
                             .has_blackouts = true,
                             .blackouts = { &text, 1 } };
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_vault_patch, &in, out);

    *why = err;
    return status;
}

static void black_out(house *h, int from_day, int until_day)
{
    char window[64], from[KV_TIME_TEXT_BYTES], until[KV_TIME_TEXT_BYTES];
    kv_vault_bundle out;
    kv_error err;

    kv_time_text(HOUSE_NOW_MS + from_day * DAY, from);
    kv_time_text(HOUSE_NOW_MS + until_day * DAY, until);
    (void)snprintf(window, sizeof(window), "%.16sZ - %.16sZ", from, until);
    assert_kv_ok(set_blackout(h, window, &out, &err));
    assert_int_equal(out.blackouts.count, 1);
    assert_slice_equal(kv_slice_text(window), out.blackouts.items[0]);
}

/* Each renewal begins in the hour that the forecast says; `none_until`: and not before. */
static void expect_forecast_to_come_true(house *h, int64_t none_until)
{
    enum { HOURS = 24 * 80 };
    static uint32_t renewals[HOURS];
    int64_t from = atomic_load(&h->now_ms);
    kv_forecast found;
    unsigned before;
    kv_error err;

    assert_kv_ok(forecast(h, HOURS, "", &found, &err));
    memcpy(renewals, found.renewals, sizeof(renewals));
    before = live_until(h, from);
    for (unsigned i = 0; i < HOURS; i++) {
        int64_t begins = from + i * HOUR;

        if (!renewals[i])
            continue;
        assert_true(begins + HOUR > none_until);
        assert_int_equal(live_until(h, begins - 1), before);
        before += renewals[i];
        assert_int_equal(live_until(h, begins + HOUR - 1), before);
    }
    assert_int_equal(before, 2 * CERTIFICATES);
}

static void a_vault_postpones_its_renewals_and_the_forecast_knows(void **state)
{
    house *h = start();
    kv_inventory_page page;
    kv_error err;

    (void)state;
    /* 80 % of a year are 292 days, and the twentieth is 18 more. */
    black_out(h, 290, 315);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 289 * DAY);
    expect_forecast_to_come_true(h, HOUSE_NOW_MS + 315 * DAY);
    house_assert_tidy(h);
    house_free(h);

    h = start();
    black_out(h, 290, 315);
    assert_int_equal(live_until(h, HOUSE_NOW_MS + 314 * DAY), CERTIFICATES);
    assert_kv_ok(read_page(h, NULL, 100, KV_SLICE_NONE, &page, &err));
    for (size_t i = 0; i < page.count; i++)
        assert_int_equal(page.items[i].waiting, KV_WAITING_BLACKOUT);
    house_free(h);
}

static void nothing_postpones_past_the_floor(void **state)
{
    house *h = start();

    (void)state;
    black_out(h, 290, 500);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 289 * DAY);
    /* A tenth of the life before its end. */
    expect_forecast_to_come_true(h, HOUSE_NOW_MS + 328 * DAY);
    house_assert_tidy(h);
    house_free(h);
}

static void bad_windows_of_a_vault_are_named(void **state)
{
    static const char *const bad[] = { "", "at night", "Fri 18:00 - Fri 18:00", "None" };
    kv_slice many[KV_BLACKOUTS_MAX + 1];
    kv_vault_patch_in in = { .target = { .vault = KV_SLICE(ACT_VAULT) },
                             .has_blackouts = true,
                             .blackouts = { many, KV_BLACKOUTS_MAX + 1 } };
    house *h = start();
    kv_vault_bundle out;
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        assert_kv_fails(KV_BAD_REQUEST, set_blackout(h, bad[i], &out, &err));
        assert_string_equal(err.field, "blackouts.windows[0]");
    }
    for (size_t i = 0; i < KV_COUNT(many); i++)
        many[i] = KV_SLICE("Fri 18:00 - Mon 06:00");
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_vault_patch, &in, &out));
    assert_string_equal(err.field, "blackouts.windows");
    in.blackouts.count--;
    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &in, &out));
    assert_int_equal(out.blackouts.count, KV_BLACKOUTS_MAX);
    /* Other settings leave them; "none" takes them away. */
    in.has_blackouts = false;
    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &in, &out));
    assert_int_equal(out.blackouts.count, KV_BLACKOUTS_MAX);
    assert_kv_ok(set_blackout(h, "none", &out, &err));
    assert_int_equal(out.blackouts.count, 0);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_certificate_once_in_pages_of_any_size),
        cmocka_unit_test(a_token_of_another_list_is_refused),
        cmocka_unit_test(what_is_planned_is_forecast),
        cmocka_unit_test(all_of_an_issuer_are_renewed_within_a_time),
        cmocka_unit_test(those_that_were_brought_forward_are_woken_whatever_follows),
        cmocka_unit_test(a_vault_postpones_its_renewals_and_the_forecast_knows),
        cmocka_unit_test(nothing_postpones_past_the_floor),
        cmocka_unit_test(bad_windows_of_a_vault_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
