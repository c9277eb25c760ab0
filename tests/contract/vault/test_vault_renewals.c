/* test_vault_renewals.c - certificates are followed by the next version when it is time, once, by
 * whoever is alive then, and never by surprise.
 */
#include "server/lifecycle/gate.h"
#include "tests/contract/vault/scripted_issuer.h"

#define MINUTE INT64_C(60000)
#define DAY    (24 * 60 * MINUTE)

enum { STEPS_MAX = 2000, CHANGES_MAX = 40 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static unsigned versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM certificate_versions");
}

static unsigned due_rows(house *h)
{
    return house_count(h, "SELECT count(*) FROM renewals");
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b)
        return a ? a : b;
    return a < b ? a : b;
}

/* As the server's thread does, until that moment. */
static kv_status live_until(house *h, int64_t until, kv_error *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t renewal_at = 0;
        int64_t order_at = 0;
        int64_t next;

        KV_TRY(kv_vault_step_renewal(h->vault, &renewal_at, err));
        KV_TRY(kv_vault_step_operation(h->vault, &order_at, err));
        next = earlier(renewal_at, order_at);
        if (!next || next > until) {
            atomic_store(&h->now_ms, until);
            return KV_OK;
        }
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    return kv_fail(err, KV_INTERNAL, "there is no end of steps");
}

static void after_four_fifths_of_its_life(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
    assert_int_equal(due_rows(h), 1);
    /* A year: 80 % are 292 days, and the twentieth is 18 more. */
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 291 * DAY, &err));
    assert_int_equal(versions(h), 1);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 311 * DAY, &err));
    assert_int_equal(versions(h), 2);
    assert_int_equal(due_rows(h), 1);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 400 * DAY, &err));
    assert_int_equal(versions(h), 2);
    /* And so on, as long as it lives. */
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 5 * 365 * DAY, &err));
    assert_in_range(versions(h), 6, 7);
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    house_assert_tidy(h);
    house_free(h);
}

/* What a certificate belongs to was edited in the database: the others are renewed all the same. */
static void a_row_that_cannot_be_trusted_stops_nobody(void **state)
{
    static const char *const edits[] = {
        "UPDATE renewals SET attempts = 1 WHERE rowid = 1",
        "UPDATE renewals SET due_at = 1 WHERE rowid = 1",
        "UPDATE policies SET created = created + 1 WHERE rowid = 1",
        "UPDATE certificate_versions SET expires = expires + 1 WHERE rowid = 1",
        "UPDATE objects SET created = created + 1 WHERE collection = 2 AND name = 'first'",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        house *h = start();
        kv_error err = { 0 };

        assert_kv_ok(act_make_certificate(h, "first", "Self", true, NULL, &err));
        assert_kv_ok(act_make_certificate(h, "second", "Self", true, NULL, &err));
        assert_int_equal(house_attack(h, edits[i]), 1);
        assert_kv_ok(live_until(h, HOUSE_NOW_MS + 311 * DAY, &err));
        assert_int_equal(versions(h), 3);
        house_free(h);
    }
}

static void nothing_is_renewed_by_surprise(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "waits", "Unknown", false, NULL, &err));
    assert_kv_ok(act_merge(h, "waits", &err));
    assert_kv_ok(act_import_certificate(h, "brought", &err));
    assert_int_equal(due_rows(h), 0);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 400 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_free(h);
}

static void set_trigger(house *h, kv_x509_action action, uint32_t percentage)
{
    kv_x509_lifetime_action trigger = { action, percentage, 0 };
    kv_certificate_policy_update_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, "c"),
        .policy = { .lifetime_actions = &trigger, .lifetime_action_count = 1 },
    };
    kv_certificate_policy_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
}

/* The policy says whether the next version has a key of its own. */
static void with_the_same_key_or_another(void **state)
{
    kv_certificate_policy_update_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, "c"),
        .policy = { .key_props = { .reuse_key = true, .reuse_key_given = true } },
    };
    house *h = start();
    kv_certificate_policy_bundle out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 330 * DAY, &err));
    assert_int_equal(versions(h), 2);
    assert_int_equal(house_count(h, "SELECT count(DISTINCT key_id) FROM key_versions"), 2);
    assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 2 * 330 * DAY, &err));
    assert_int_equal(versions(h), 3);
    assert_int_equal(house_count(h, "SELECT count(DISTINCT spki) FROM key_versions"), 2);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    in.policy.key_props.reuse_key = false;
    assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 3 * 330 * DAY, &err));
    assert_int_equal(versions(h), 4);
    assert_int_equal(house_count(h, "SELECT count(DISTINCT spki) FROM key_versions"), 3);
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    house_assert_tidy(h);
    house_free(h);
}

static void a_new_trigger_counts_at_once(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    set_trigger(h, KV_X509_EMAIL_CONTACTS, 80);
    assert_int_equal(due_rows(h), 0);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 360 * DAY, &err));
    assert_int_equal(versions(h), 1);
    /* Late: as soon as it may. */
    set_trigger(h, KV_X509_AUTO_RENEW, 20);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 361 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_free(h);
}

static void a_refusal_is_not_the_end(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Scripted", false, NULL, &err));
    /* For 2026: it came when its time had passed, and ends in 41 days. */
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 13 * DAY, &err));
    assert_int_equal(versions(h), 1);
    scripted_begin();
    scripted.deed = SCRIPT_REFUSE;
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 21 * DAY, &err));
    assert_int_equal(versions(h), 1);
    /* Not once and never again, and no storm: about four a day. */
    assert_in_range(scripted.orders, 20, 60);
    /* People are told of the first one. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE cause = 'renewal'"), 1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE cause = 'renewal-again'"),
                     scripted.orders - 1);
    scripted.deed = SCRIPT_ISSUE;
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 22 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_assert_tidy(h);
    house_free(h);
}

static void set_account(house *h)
{
    static const kv_slice every = { (const uint8_t *)"*", 1 };
    kv_issuer_set_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                            .provider = KV_SLICE("Scripted"),
                            .has_domains = true,
                            .domains = { &every, 1 } };
    kv_issuer_bundle out;
    kv_error err;

    in.target.issuer = KV_SLICE("acct");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
}

/* No operation could tell it: an attempt that fails is an event all the same. */
static void without_its_issuer_it_is_told(void **state)
{
    static const char failed[] = "SELECT count(*) FROM events WHERE type = "
                                 "'KeyVault.CertificateRenewalFailed' AND error_message LIKE "
                                 "'%acct%' AND cause = 'renewal";
    kv_issuer_delete_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, "") };
    house *h = start();
    kv_issuer_bundle out;
    kv_error err = { 0 };
    char sql[256];

    (void)state;
    set_account(h);
    assert_kv_ok(act_make_certificate(h, "c", "acct", false, NULL, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + DAY, &err));
    assert_int_equal(versions(h), 1);
    in.target.issuer = KV_SLICE("acct");
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_delete, &in, &out));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 20 * DAY, &err));
    (void)snprintf(sql, sizeof(sql), "%s'", failed);
    assert_int_equal(house_count(h, sql), 1);
    (void)snprintf(sql, sizeof(sql), "%s-again'", failed);
    assert_in_range(house_count(h, sql), 5, 60);
    set_account(h);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 22 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_assert_tidy(h);
    house_free(h);
}

/* --- what ends while a renewal is put off for it --- */

static const char unwell[] = "SELECT count(*) FROM issuer_states WHERE unwell_since > 0";

/* Whoever mends an account sets it again. */
static void they_mend_it(house *h, void *unused)
{
    (void)unused;
    set_account(h);
    assert_int_equal(house_count(h, unwell), 0);
    scripted.deed = SCRIPT_ISSUE;
}

static void set_blackout(house *h, const char *window)
{
    kv_slice text = kv_slice_text(window);
    kv_vault_patch_in in = { .target = act_target(KV_COLLECTION_NONE, ""),
                             .has_blackouts = true,
                             .blackouts = { &text, 1 } };
    kv_vault_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_patch, &in, &out));
}

static void they_lift_it(house *h, void *unused)
{
    (void)unused;
    set_blackout(h, "none");
}

/* The time of "c" has come. */
static house *start_due(void)
{
    house *h = start();
    kv_error err = { 0 };

    set_account(h);
    scripted.deed = SCRIPT_AT_ONCE;
    scripted.life_ms = 365 * DAY;
    assert_kv_ok(act_make_certificate(h, "c", "acct", false, NULL, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + DAY, &err));
    assert_int_equal(versions(h), 1);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 312 * DAY);
    return h;
}

/* Its renewal is put off, and what it is put off for ends before that is stored. */
static void assert_woken(house *h, kv_waiting waiting, void (*end)(house *, void *))
{
    int64_t now = atomic_load(&h->now_ms);
    kv_error err = { 0 };
    int64_t next;
    char sql[80];

    house_meanwhile(h, &kv_table_renewals, 1, end, NULL);
    assert_kv_ok(kv_vault_step_renewal(h->vault, &next, &err));
    assert_null(h->meanwhile.table);
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM renewals WHERE waiting = %d", waiting);
    assert_int_equal(house_count(h, sql), 0);
    assert_kv_ok(live_until(h, now + 16 * MINUTE, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions v JOIN objects o ON "
                                    "o.uid = v.object_uid WHERE o.name = 'c'"),
                     2);
    house_free(h);
}

static void who_is_put_off_while_the_issuer_recovers_is_woken(void **state)
{
    house *h = start_due();
    kv_error err = { 0 };
    int64_t next = 0;
    char name[8];

    (void)state;
    scripted.deed = SCRIPT_SILENT;
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "new-%u", i);
        assert_kv_ok(act_make_certificate(h, name, "acct", false, NULL, &err));
    }
    while (next <= atomic_load(&h->now_ms))
        assert_kv_ok(kv_vault_step_operation(h->vault, &next, &err));
    assert_int_equal(house_count(h, unwell), 1);
    assert_woken(h, KV_WAITING_HEALTH, they_mend_it);
}

static void who_is_put_off_while_a_window_is_lifted_is_woken(void **state)
{
    house *h = start_due();

    (void)state;
    set_blackout(h, "2027-09-01T00:00Z - 2027-10-05T00:00Z");
    assert_woken(h, KV_WAITING_BLACKOUT, they_lift_it);
}

static void a_deleted_certificate_rests(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 320 * DAY);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 321 * DAY, &err));
    assert_int_equal(versions(h), 1);
    assert_kv_ok(act_recover(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 322 * DAY, &err));
    assert_int_equal(versions(h), 2);
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_int_equal(due_rows(h), 0);
    house_free(h);
}

static void a_restored_certificate_is_renewed_too(void **state)
{
    house *h = start();
    kv_backup backup;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
    assert_kv_ok(act_backup(h, KV_COLLECTION_CERTIFICATES, "c", &backup, &err));
    assert_kv_ok(kv_arena_copy(&h->kept_arena, backup.value, &h->kept, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_restore(h, KV_COLLECTION_CERTIFICATES, h->kept, &err));
    assert_int_equal(due_rows(h), 1);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 312 * DAY, &err));
    assert_int_equal(versions(h), 2);
    house_free(h);
}

/* Killed after each change: two versions, not one, not three. */
static bool die_and_rise(house *h, unsigned n)
{
    int64_t from = atomic_load(&h->now_ms);
    kv_error err = { 0 };
    bool died;

    assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
    house_die_after(h, n, HOUSE_KEYS_STAY);
    (void)live_until(h, from + 315 * DAY, &err);
    died = atomic_load(&h->dead);
    atomic_store(&h->dies_in, 0);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(live_until(h, from + 330 * DAY, &err));
    assert_int_equal(versions(h), 2);
    assert_int_equal(due_rows(h), 1);
    house_assert_tidy(h);
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    return died;
}

static void death_at_any_moment(void **state)
{
    house *h = start();
    unsigned n = 0;

    (void)state;
    while (die_and_rise(h, ++n))
        assert_true(n < CHANGES_MAX);
    assert_true(n > 4);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_four_fifths_of_its_life),
        cmocka_unit_test(a_row_that_cannot_be_trusted_stops_nobody),
        cmocka_unit_test(nothing_is_renewed_by_surprise),
        cmocka_unit_test(with_the_same_key_or_another),
        cmocka_unit_test(a_new_trigger_counts_at_once),
        cmocka_unit_test(a_refusal_is_not_the_end),
        cmocka_unit_test(without_its_issuer_it_is_told),
        cmocka_unit_test(who_is_put_off_while_the_issuer_recovers_is_woken),
        cmocka_unit_test(who_is_put_off_while_a_window_is_lifted_is_woken),
        cmocka_unit_test(a_deleted_certificate_rests),
        cmocka_unit_test(a_restored_certificate_is_renewed_too),
        cmocka_unit_test(death_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
