/* test_vault_issuer_races.c - who deletes an issuer while somebody else changes it: the accounts
 * that are its own by then are closed, each once.
 */
#include <stdio.h>

#include "server/issuer/issuer.h"
#include "tests/contract/vault/acts.h"

enum { CLOSED_MAX = 8 };

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

static kv_status check_credentials(const kv_issuer_account *account, kv_arena *arena,
                                   kv_deadline deadline, kv_slice *record, kv_error *err)
{
    (void)account;
    (void)arena;
    (void)deadline;
    (void)record;
    (void)err;
    return KV_OK;
}

static const kv_issuer closing = { .provider = "Closing",
                                   .needs_account = true,
                                   .outside = true,
                                   .realm = realm,
                                   .check_credentials = check_credentials,
                                   .deactivate = deactivate };

static kv_target corp(void)
{
    return (kv_target){ .vault = KV_SLICE(ACT_VAULT),
                        .collection = KV_COLLECTION_CERTIFICATES,
                        .issuer = KV_SLICE("Corp") };
}

/* With an account at the authority of these settings, whose key is on the token. */
static void set(house *h, const char *settings, kv_slice domain)
{
    kv_issuer_set_in in = { .target = corp(),
                            .provider = KV_SLICE("Closing"),
                            .settings = kv_slice_text(settings),
                            .has_domains = true,
                            .domains = { .items = &domain, .count = 1 } };
    kv_issuer_check_in check = { .target = corp() };
    kv_issuer_checked checked;
    kv_issuer_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_set, &in, &out));
    assert_kv_ok(HOUSE_DO(h, kv_vault_issuer_check, &check, &checked));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_is_closed_once),
        cmocka_unit_test(an_account_that_came_meanwhile_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
