/* test_vault_health.c - an issuer that is down, busy or locks the account: it is left alone, told
 * of once, and what waits is done when it is well again; and nobody asks it for more than allowed.
 */
#include <stdio.h>

#include "server/lifecycle/health.h"
#include "server/vault/watch.h"
#include "tests/contract/vault/scripted_issuer.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

enum { MANY = 24, STEPS_MAX = 4000 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static void set_issuer(house *h, const kv_issuer_settings_in *rules)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_issuer_set_in in = *rules;
    kv_issuer_bundle out;
    kv_error err;

    in.target = act_target(KV_COLLECTION_CERTIFICATES, "");
    in.target.issuer = KV_SLICE("acct");
    in.provider = KV_SLICE("Scripted");
    in.has_domains = true;
    in.domains = (kv_x509_list){ &every, 1 };
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
}

static kv_issuer_bundle look(house *h)
{
    kv_issuer_get_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "") };
    kv_issuer_bundle out;
    kv_error err;

    in.target.issuer = KV_SLICE("acct");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_get, &in, &out));
    return out;
}

static void order(house *h, unsigned from, unsigned count)
{
    kv_error err = { 0 };
    char name[16];

    for (unsigned i = from; i < from + count; i++) {
        (void)snprintf(name, sizeof(name), "c-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "acct", false, NULL, &err));
    }
}

/* As a thread of the server does, until that moment. */
static void live_until(house *h, int64_t until)
{
    kv_error err = { 0 };

    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next_at = 0;

        assert_kv_ok(kv_vault_step_operation(h->vault, &next_at, &err));
        if (!next_at || next_at > until) {
            atomic_store(&h->now_ms, until);
            return;
        }
        if (next_at > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next_at);
    }
    fail_msg("there is no end of steps");
}

static unsigned versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

static unsigned events(house *h, const char *type)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE type = 'KeyVault.%s'",
                   type);
    return house_count(h, sql);
}

static void an_outage_is_told_of_once_and_costs_little(void **state)
{
    kv_issuer_settings_in rules = { 0 };
    house *h = start();
    int64_t from = HOUSE_NOW_MS;
    kv_error err = { 0 };

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_SILENT;
    order(h, 0, MANY);
    live_until(h, from + DAY);
    /* The first five, and one probe every half hour at last. */
    assert_in_range(scripted.unanswered, 40, 65);
    assert_false(look(h).healthy);
    assert_slice_equal(KV_SLICE("no answer in time"), look(h).unhealthy_reason);
    assert_int_equal(events(h, "IssuerUnhealthy"), 1);
    assert_int_equal(events(h, "IssuerHealthy"), 0);
    /* A restart forgets nothing. */
    assert_kv_ok(house_restart(h, &err));
    assert_false(look(h).healthy);
    scripted.deed = SCRIPT_ISSUE;
    live_until(h, from + DAY + 2 * HOUR);
    assert_true(look(h).healthy);
    assert_int_equal(versions(h), MANY);
    assert_int_equal(scripted.orders, MANY);
    assert_int_equal(events(h, "IssuerUnhealthy"), 1);
    assert_int_equal(events(h, "IssuerHealthy"), 1);
    house_assert_tidy(h);
    house_free(h);
}

static void an_officer_who_mends_it_does_not_wait(void **state)
{
    kv_issuer_settings_in rules = { 0 };
    house *h = start();

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_LOCKED;
    order(h, 0, 8);
    live_until(h, HOUSE_NOW_MS + DAY);
    assert_false(look(h).healthy);
    assert_slice_equal(KV_SLICE("locked"), look(h).unhealthy_reason);
    /* Nobody's order was lost by it. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'failed'"), 0);
    scripted.deed = SCRIPT_ISSUE;
    set_issuer(h, &rules);
    assert_true(look(h).healthy);
    live_until(h, HOUSE_NOW_MS + DAY + HOUR / 2);
    assert_int_equal(versions(h), 8);
    house_free(h);
}

static void who_wants_to_be_left_alone_is(void **state)
{
    kv_issuer_settings_in rules = { 0 };
    house *h = start();

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_BUSY;
    scripted.retry_ms = 3 * HOUR;
    order(h, 0, MANY);
    live_until(h, HOUSE_NOW_MS + 3 * HOUR - MINUTE);
    assert_int_equal(scripted.unanswered, 1);
    assert_true(look(h).healthy);
    assert_int_equal(look(h).paused_until, HOUSE_NOW_MS + 3 * HOUR);
    scripted.deed = SCRIPT_ISSUE;
    scripted.retry_ms = 1000;
    live_until(h, HOUSE_NOW_MS + 4 * HOUR);
    assert_int_equal(versions(h), MANY);
    assert_int_equal(scripted.orders, MANY);
    assert_int_equal(events(h, "IssuerUnhealthy"), 0);
    house_free(h);
}

static void no_more_orders_than_allowed(void **state)
{
    kv_issuer_settings_in rules = { .has_order_rules = true, .orders_per_hour = 10 };
    house *h = start();

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_AT_ONCE;
    order(h, 0, MANY);
    live_until(h, HOUSE_NOW_MS + MINUTE);
    /* A fifth is kept for what is about to end. */
    assert_int_equal(scripted.orders, 8);
    live_until(h, HOUSE_NOW_MS + HOUR);
    assert_in_range(scripted.orders, 9, 18);
    live_until(h, HOUSE_NOW_MS + 6 * HOUR);
    assert_int_equal(versions(h), MANY);
    house_free(h);
}

static void no_more_certificates_of_the_same_names_than_allowed(void **state)
{
    kv_issuer_settings_in rules = { .has_order_rules = true, .certificates_per_week = 3 };
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_AT_ONCE;
    order(h, 0, 1);
    for (unsigned i = 0; i < 4; i++) {
        live_until(h, atomic_load(&h->now_ms) + HOUR);
        if (i < 3)
            assert_kv_ok(act_renew(h, "c-0", NULL, &err));
    }
    assert_int_equal(versions(h), 3);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE waiting = 4"), 1);
    /* Another name is another matter. */
    order(h, 1, 1);
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(versions(h), 4);
    live_until(h, HOUSE_NOW_MS + 3 * DAY);
    assert_int_equal(versions(h), 5);
    house_free(h);
}

/* One a week would be too few for what lives for three days. */
static void certificates_of_days_come_as_often_as_they_need(void **state)
{
    kv_issuer_settings_in rules = { .has_order_rules = true, .certificates_per_week = 1 };
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_AT_ONCE;
    scripted.life_ms = 3 * DAY;
    order(h, 0, 1);
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(versions(h), 1);
    assert_kv_ok(act_renew(h, "c-0", NULL, &err));
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(versions(h), 1);
    live_until(h, HOUSE_NOW_MS + 2 * DAY);
    assert_int_equal(versions(h), 2);
    house_free(h);
}

static void sweep_budgets(house *h)
{
    kv_error err = { 0 };
    bool more = true;

    assert_kv_ok(kv_vault_sweep_budgets(h->vault, &more, &err));
    assert_false(more);
}

static void what_is_left_of_a_budget_goes_when_it_is_full_again(void **state)
{
    kv_issuer_settings_in rules = { .has_order_rules = true, .certificates_per_week = 3 };
    house *h = start();

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_AT_ONCE;
    order(h, 0, 2);
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(house_count(h, "SELECT count(*) FROM name_budgets"), 2);
    sweep_budgets(h);
    assert_int_equal(house_count(h, "SELECT count(*) FROM name_budgets"), 2);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 8 * DAY);
    sweep_budgets(h);
    assert_int_equal(house_count(h, "SELECT count(*) FROM name_budgets"), 0);
    house_free(h);
}

/* Whoever edits the database gets no more certificates for it. */
static void a_budget_that_was_edited_is_not_believed(void **state)
{
    static const char *const edits[] = {
        "UPDATE name_budgets SET full_at = 0",
        "UPDATE name_budgets SET generation = generation + 1",
        "UPDATE name_budgets SET seal = zeroblob(64)",
    };
    kv_issuer_settings_in rules = { .has_order_rules = true, .certificates_per_week = 1 };
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    set_issuer(h, &rules);
    scripted.deed = SCRIPT_AT_ONCE;
    order(h, 0, 1);
    live_until(h, atomic_load(&h->now_ms) + HOUR);
    assert_int_equal(versions(h), 1);
    assert_kv_ok(act_renew(h, "c-0", NULL, &err));
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        assert_true(house_attack(h, "CREATE TABLE kept AS SELECT * FROM name_budgets") >= 0);
        assert_int_equal(house_attack(h, edits[i]), 1);
        live_until(h, atomic_load(&h->now_ms) + HOUR);
        assert_int_equal(versions(h), 1);
        sweep_budgets(h);
        assert_int_equal(house_count(h, "SELECT count(*) FROM name_budgets"), 1);
        assert_int_equal(house_attack(h, "DELETE FROM name_budgets"), 1);
        assert_int_equal(house_attack(h, "INSERT INTO name_budgets SELECT * FROM kept"), 1);
        assert_true(house_attack(h, "DROP TABLE kept") >= 0);
    }
    house_free(h);
}

static kv_status set_rules(house *h, const char *blackout, kv_error *why)
{
    kv_slice window = kv_slice_text(blackout);
    kv_issuer_update_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                               .has_order_rules = true,
                               .blackouts = { &window, 1 } };
    kv_issuer_bundle out;
    kv_error err;
    kv_status status;

    in.target.issuer = KV_SLICE("acct");
    status = HOUSE_DO(h, kv_vault_issuer_update, &in, &out);
    *why = err;
    return status;
}

static void bad_rules_are_named(void **state)
{
    kv_issuer_settings_in rules = { 0 };
    house *h = start();
    kv_error err;

    (void)state;
    set_issuer(h, &rules);
    assert_kv_fails(KV_BAD_REQUEST, set_rules(h, "at night", &err));
    assert_string_equal(err.field, "order_rules.blackouts[0]");
    assert_kv_ok(set_rules(h, "Fri 18:00 - Mon 06:00", &err));
    assert_int_equal(look(h).blackouts.count, 1);
    house_free(h);
}

static unsigned announced(house *h, const char *type, const char *cause)
{
    char sql[200];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM events WHERE type = 'KeyVault.IssuerCredential%s' AND "
                   "cause = '%s' AND issuer = 'corp'",
                   type, cause);
    return house_count(h, sql);
}

/* The events of all there are then. */
static unsigned announce_on_day(house *h, int64_t day)
{
    kv_error err = { 0 };

    atomic_store(&h->now_ms, HOUSE_NOW_MS + day * DAY);
    for (unsigned i = 0; i < 2; i++)
        assert_kv_ok(kv_vault_announce_credentials(h->vault, &err));
    return house_count(h, "SELECT count(*) FROM events");
}

static void set_corp(house *h, int64_t end_day)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_issuer_set_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                            .provider = KV_SLICE(HOUSE_PROVIDER),
                            .account_id = KV_SLICE("account-7"),
                            .credential = KV_SLICE("a password of the authority"),
                            .has_credential_expires = true,
                            .credential_expires = HOUSE_NOW_MS + end_day * DAY,
                            .has_domains = true,
                            .domains = { &every, 1 } };
    kv_issuer_bundle out;
    kv_error err;

    in.target.issuer = KV_SLICE("Corp");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
}

static void the_end_of_a_credential_is_announced_once(void **state)
{
    kv_issuer_update_in update = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                                   .has_enabled = true,
                                   .enabled = true };
    house *h = start();
    kv_issuer_bundle out;
    kv_error err = { 0 };

    (void)state;
    update.target.issuer = KV_SLICE("corp");
    set_corp(h, 200);
    assert_int_equal(announce_on_day(h, 165), 0);
    assert_int_equal(announce_on_day(h, 171), 1);
    assert_int_equal(announced(h, "NearExpiry", "30-days"), 1);
    assert_kv_ok(house_restart(h, &err));
    assert_int_equal(announce_on_day(h, 172), 1);
    /* Said once more, or changed in another way, it is the same end. */
    set_corp(h, 200);
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_update, &update, &out));
    assert_int_equal(announce_on_day(h, 173), 1);
    assert_int_equal(announce_on_day(h, 194), 2);
    assert_int_equal(announced(h, "NearExpiry", "7-days"), 1);
    assert_int_equal(announce_on_day(h, 201), 3);
    assert_int_equal(announce_on_day(h, 202), 3);
    assert_int_equal(announced(h, "Expired", "expired"), 1);
    /* Another end is announced anew, and one that is near at the moments that are left. */
    update.has_credential_expires = true;
    update.credential_expires = HOUSE_NOW_MS + 222 * DAY;
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_update, &update, &out));
    assert_int_equal(announce_on_day(h, 203), 3);
    assert_int_equal(announce_on_day(h, 216), 4);
    assert_int_equal(announced(h, "NearExpiry", "7-days"), 2);
    assert_int_equal(announce_on_day(h, 223), 5);
    assert_int_equal(announced(h, "Expired", "expired"), 2);
    house_free(h);
}

static void the_shares_of_a_long_life_are_announced(void **state)
{
    house *h = start();

    (void)state;
    set_corp(h, 1000);
    assert_int_equal(announce_on_day(h, 899), 0);
    assert_int_equal(announce_on_day(h, 901), 1);
    assert_int_equal(announced(h, "NearExpiry", "90-percent"), 1);
    assert_int_equal(announce_on_day(h, 951), 2);
    assert_int_equal(announced(h, "NearExpiry", "95-percent"), 1);
    assert_int_equal(announce_on_day(h, 971), 3);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outage_is_told_of_once_and_costs_little),
        cmocka_unit_test(an_officer_who_mends_it_does_not_wait),
        cmocka_unit_test(who_wants_to_be_left_alone_is),
        cmocka_unit_test(no_more_orders_than_allowed),
        cmocka_unit_test(no_more_certificates_of_the_same_names_than_allowed),
        cmocka_unit_test(certificates_of_days_come_as_often_as_they_need),
        cmocka_unit_test(what_is_left_of_a_budget_goes_when_it_is_full_again),
        cmocka_unit_test(a_budget_that_was_edited_is_not_believed),
        cmocka_unit_test(bad_rules_are_named),
        cmocka_unit_test(the_end_of_a_credential_is_announced_once),
        cmocka_unit_test(the_shares_of_a_long_life_are_announced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
