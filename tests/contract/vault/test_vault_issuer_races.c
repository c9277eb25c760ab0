/* test_vault_issuer_races.c - who deletes an issuer while somebody else changes it: the accounts
 * that are its own by then are closed, each once. Who uses its account while somebody else makes it
 * gets what a moment later would have brought.
 */
#include <stdio.h>

#include "server/issuer/issuer.h"
#include "tests/contract/vault/acts.h"
#include "tests/contract/vault/house_disk.h"

enum { CLOSED_MAX = 8, SPKI_MAX = 128 };

/* What the authority knows, and how often it was told. */
static struct {
    uint8_t key[SPKI_MAX];
    size_t key_len;
    unsigned keys_changed, revoked;
} authority;

static struct {
    unsigned count;
    char settings[CLOSED_MAX][64];
} closed;

static kv_status deactivate(const kv_issuer_account *account, kv_arena *arena, kv_deadline deadline,
                            kv_error *err)
{
    (void)arena;
    (void)deadline;
    (void)err;
    assert_true(closed.count < CLOSED_MAX);
    (void)snprintf(closed.settings[closed.count++], sizeof(closed.settings[0]), "%.*s",
                   KV_SLICE_ARG(account->settings));
    return KV_OK;
}

static kv_status realm(const kv_issuer_account *account, kv_arena *arena, kv_slice *out,
                       kv_error *err)
{
    return kv_arena_copy(arena, account->settings, out, err);
}

static void know(kv_slice spki)
{
    assert_in_range(spki.len, 1, SPKI_MAX);
    memcpy(authority.key, spki.data, spki.len);
    authority.key_len = spki.len;
}

static bool knows(kv_slice spki)
{
    return kv_slice_equal(spki, kv_slice_of(authority.key, authority.key_len));
}

/* As an authority does: the first key that comes is that of a new account. */
static kv_status enrol(const kv_issuer_account *account, kv_error *err)
{
    const kv_issuer_enrolment *enrolment = account->enrolment;

    if (!enrolment->url.len) {
        if (!authority.key_len)
            know(enrolment->spki);
        KV_TRY(enrolment->enrolled(enrolment->context, KV_SLICE("https://a.example/1"), err));
    }
    if (enrolment->next_spki.len && knows(enrolment->next_spki))
        KV_TRY(enrolment->taken_over(enrolment->context, err));
    assert_true(knows(enrolment->spki) || !kv_slice_equal(account->settings, KV_SLICE("{}")));
    return KV_OK;
}

static kv_status check_credentials(const kv_issuer_account *account, kv_arena *arena,
                                   kv_deadline deadline, kv_slice *record, kv_error *err)
{
    (void)arena;
    (void)deadline;
    (void)record;
    return enrol(account, err);
}

static kv_status new_key(const kv_issuer_account *account, kv_arena *arena, kv_deadline deadline,
                         kv_error *err)
{
    const kv_issuer_enrolment *enrolment = account->enrolment;

    (void)arena;
    (void)deadline;
    KV_TRY(enrol(account, err));
    if (!enrolment->next_spki.len)
        return KV_OK;
    know(enrolment->next_spki);
    authority.keys_changed++;
    return enrolment->taken_over(enrolment->context, err);
}

static kv_status revoke(const kv_issuer_order *order, kv_issuer_revocation why, kv_error *err)
{
    (void)why;
    KV_TRY(enrol(order->account, err));
    authority.revoked++;
    return KV_OK;
}

static const kv_issuer closing = { .provider = "Closing",
                                   .needs_account = true,
                                   .outside = true,
                                   .realm = realm,
                                   .check_credentials = check_credentials,
                                   .new_key = new_key,
                                   .revoke = revoke,
                                   .deactivate = deactivate };

static kv_target corp(void)
{
    return (kv_target){ .vault = KV_SLICE(ACT_VAULT),
                        .collection = KV_COLLECTION_CERTIFICATES,
                        .issuer = KV_SLICE("Corp") };
}

static void set_only(house *h, const char *settings, kv_slice domain)
{
    kv_issuer_set_in in = { .target = corp(),
                            .provider = KV_SLICE("Closing"),
                            .settings = kv_slice_text(settings),
                            .has_domains = true,
                            .domains = { .items = &domain, .count = 1 } };
    kv_issuer_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
}

static void check(house *h)
{
    kv_issuer_check_in in = { .target = corp() };
    kv_issuer_checked out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_check, &in, &out));
    assert_slice_equal(KV_SLICE("https://a.example/1"), out.account);
}

static void roll(house *h)
{
    kv_issuer_roll_key_in in = { .target = corp() };
    kv_issuer_account_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_roll_key, &in, &out));
    assert_true(knows(out.spki));
}

/* With an account at the authority of these settings, whose key is on the token. */
static void set(house *h, const char *settings, kv_slice domain)
{
    set_only(h, settings, domain);
    check(h);
}

static void they_change_its_rules(house *h, void *settings)
{
    set(h, settings, KV_SLICE("example.org"));
}

static void they_give_it_another_account(house *h, void *context)
{
    (void)context;
    set(h, "{\"directory\":\"https://b.example\"}", KV_SLICE("example.com"));
}

static house *start(void)
{
    static const kv_issuer *const issuers[] = { &closing };
    house *h = house_new(false);
    kv_error err = { 0 };

    memset(&closed, 0, sizeof(closed));
    memset(&authority, 0, sizeof(authority));
    h->issuers = issuers;
    h->issuer_count = 1;
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static void delete_while(void (*what)(house *h, void *context))
{
    static char settings[] = "{\"directory\":\"https://a.example\"}";
    kv_issuer_delete_in in = { .target = corp(), .deactivate_account = true };
    house *h = start();
    kv_issuer_bundle out;
    kv_error err;

    set(h, settings, KV_SLICE("example.com"));
    house_meanwhile(h, &kv_table_issuers, 2, what, settings);
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_delete, &in, &out));
    assert_null(h->meanwhile.table);
    assert_int_equal(house_count(h, "SELECT count(*) FROM issuers"), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM enrolments"), 0);
    house_assert_tidy(h);
    house_free(h);
}

static void an_account_is_closed_once(void **state)
{
    (void)state;
    delete_while(they_change_its_rules);
    assert_int_equal(closed.count, 1);
}

static void an_account_that_came_meanwhile_is_closed(void **state)
{
    (void)state;
    delete_while(they_give_it_another_account);
    assert_in_range(closed.count, 2, CLOSED_MAX);
    assert_string_equal(closed.settings[0], "{\"directory\":\"https://a.example\"}");
    assert_string_equal(closed.settings[closed.count - 1], "{\"directory\":\"https://b.example\"}");
}

/* --- the account --- */

static void they_check(house *h, void *context)
{
    (void)context;
    check(h);
}

static void they_roll(house *h, void *context)
{
    (void)context;
    roll(h);
}

/* One key that counts, and none that is left over. */
static void finish(house *h, unsigned keys_changed)
{
    assert_null(h->meanwhile.table);
    check(h);
    assert_int_equal(authority.keys_changed, keys_changed);
    assert_int_equal(house_count(h, "SELECT count(*) FROM enrolments"), 1);
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM enrolments WHERE length(next_key_id) > 0"), 0);
    /* The account's, and that of the vault's secrets. */
    assert_int_equal(house_keys_on_token(h, KV_DUTY_SYSTEM), 2);
    house_assert_tidy(h);
    house_free(h);
}

static house *start_without_account(void)
{
    house *h = start();

    set_only(h, "{}", KV_SLICE("example.com"));
    return h;
}

static void who_checks_an_issuer_finds_the_account_that_came_first(void **state)
{
    house *h = start_without_account();

    (void)state;
    house_meanwhile(h, &kv_table_enrolments, 1, they_check, NULL);
    check(h);
    finish(h, 0);
}

/* Both have the key, and both hear the account's name. */
static void who_hears_of_the_account_late_finds_it_stored(void **state)
{
    house *h = start_without_account();
    kv_issuer_check_in in = { .target = corp() };
    kv_issuer_checked out;
    kv_error err;

    (void)state;
    /* The key is there, and its answer was lost. */
    house_doubt_after(h, 3, HOUSE_UNSYNCED);
    assert_kv_fails(KV_UNAVAILABLE, HOUSE_DO(h, kv_vault_issuer_check, &in, &out));
    house_doubt_after(h, 0, HOUSE_NO_DOUBT);
    assert_int_equal(house_count(h, "SELECT count(*) FROM enrolments WHERE url = ''"), 1);
    house_meanwhile(h, &kv_table_enrolments, 1, they_check, NULL);
    check(h);
    finish(h, 0);
}

static void a_key_that_takes_over_is_one_whoever_comes_first(void **state)
{
    (void)state;
    /* When the account's key is stored, the next one, and when that has taken over: somebody else
     * is there first, and brings to its end what there is. */
    for (unsigned changes = 1; changes <= 3; changes++) {
        house *h = start_without_account();

        house_meanwhile(h, &kv_table_enrolments, changes, they_check, NULL);
        roll(h);
        finish(h, 1);
    }
}

static void who_takes_over_what_another_finished_is_done(void **state)
{
    house *h = start();

    (void)state;
    set(h, "{}", KV_SLICE("example.com"));
    house_meanwhile(h, &kv_table_enrolments, 1, they_roll, NULL);
    roll(h);
    /* Two asked, and each got one. */
    finish(h, 2);
}

static void what_is_revoked_is_revoked_once(void **state)
{
    kv_issuer_revoke_in in = { .target = corp() };
    house *h = start_without_account();
    kv_nothing_out out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    in.target.name = KV_SLICE("c");
    house_meanwhile(h, &kv_table_enrolments, 1, they_check, NULL);
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_revoke, &in, &out));
    assert_int_equal(authority.revoked, 1);
    finish(h, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_closed_once),
        cmocka_unit_test(an_account_that_came_meanwhile_is_closed),
        cmocka_unit_test(who_checks_an_issuer_finds_the_account_that_came_first),
        cmocka_unit_test(who_hears_of_the_account_late_finds_it_stored),
        cmocka_unit_test(a_key_that_takes_over_is_one_whoever_comes_first),
        cmocka_unit_test(who_takes_over_what_another_finished_is_done),
        cmocka_unit_test(what_is_revoked_is_revoked_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
