/* test_vault_authority_races.c - what the server itself changes about an authority, at its own
 * time, is in nobody's way.
 */
#include "tests/contract/vault/authority_line.h"

enum { AT_MOST = 20 };

static kv_status set_months(house *h, const char *name, uint32_t months, kv_error *why)
{
    kv_authority_update_in in = { .target = line_target(name), .max_months = months };
    kv_authority_bundle out;
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_authority_update, &in, &out);

    *why = err;
    return status;
}

static void they_publish(house *h, void *name)
{
    kv_error err = { 0 };
    unsigned made;

    (void)name;
    atomic_fetch_add(&h->now_ms, INT64_C(100) * 3600000);
    assert_kv_ok(kv_vault_crls_due(h->vault, &made, &err));
    assert_true(made >= 3);
    /* Whoever makes another key now fails. */
    kv_fake_fail("C_GenerateKeyPair", CKR_FUNCTION_FAILED, UINT32_MAX);
}

static void they_change_it(house *h, void *name)
{
    kv_error err;

    assert_kv_ok(set_months(h, name, line_look(h, name).max_months + 1, &err));
    kv_fake_fail("C_GenerateKeyPair", CKR_FUNCTION_FAILED, UINT32_MAX);
}

static void they_renew_it(house *h, void *name)
{
    kv_error err;

    assert_kv_ok(line_renew(h, name, true, &err));
}

static void they_disable_it(house *h, void *name)
{
    kv_error err;

    assert_kv_ok(line_set_enabled(h, name, false, &err));
}

static void assert_no_other_keys(house *h)
{
    assert_int_equal(house_keys_on_token(h, KV_DUTY_CA),
                     house_count(h, "SELECT count(*) FROM authorities WHERE length(key_id) > 0"));
    house_assert_tidy(h);
}

static void a_renewal_goes_on_with_what_the_server_changed(void **state)
{
    static void (*const others[])(house *, void *) = { they_publish, they_change_it };
    house *h = line_start();
    kv_error err;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        const char *name = i & 1 ? "root" : "team";
        bool new_key = i & 2;
        kv_authority_bundle before = line_look(h, name);

        atomic_fetch_add(&h->now_ms, 60000);
        house_meanwhile(h, &kv_table_authorities, 2, others[i / 4], (void *)name);
        assert_kv_ok(line_renew(h, name, new_key, &err));
        kv_fake_fail("", CKR_OK, 0);
        assert_null(h->meanwhile.table);
        assert_int_equal(line_look(h, name).number, before.number + new_key);
        assert_false(kv_slice_equal(line_look(h, name).certificate, before.certificate));
        /* What they changed is not lost. */
        assert_int_equal(line_look(h, name).max_months, before.max_months + (i < 4 ? 0 : 2));
        assert_true(line_chains_are_right(h));
        assert_no_other_keys(h);
    }
    /* No serial number was taken for nothing. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM issued WHERE state = 'reserved'"), 0);
    house_free(h);
}

/* The chains of those below are settled first, and may change too. */
static void what_is_owed_is_settled_whoever_is_at_it(void **state)
{
    house *h = line_start();
    kv_error err = { 0 };

    (void)state;
    line_owe(h);
    atomic_fetch_add(&h->now_ms, 60000);
    house_meanwhile(h, &kv_table_authorities, 1, they_change_it, "tls");
    assert_kv_ok(line_renew(h, "root", false, &err));
    kv_fake_fail("", CKR_OK, 0);
    assert_int_equal(line_owed(h), 0);
    assert_true(line_chains_are_right(h));
    house_free(h);
}

static void a_renewal_that_cannot_be_says_so_and_leaves_no_key(void **state)
{
    static const struct {
        void (*what)(house *, void *);
        unsigned times;
        kv_status status;
        unsigned renewals;
    } cases[] = { { they_change_it, AT_MOST, KV_CONFLICT, 0 },
                  { they_renew_it, 1, KV_CONFLICT, 1 },
                  { they_disable_it, 1, KV_PRECONDITION, 0 } };
    house *h = line_start();
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        uint32_t number = line_look(h, "tls").number;

        house_meanwhile(h, &kv_table_authorities, cases[i].times, cases[i].what, "tls");
        assert_kv_fails(cases[i].status, line_renew(h, "tls", true, &err));
        kv_fake_fail("", CKR_OK, 0);
        assert_true(cases[i].times == 1 || (h->meanwhile.times && h->meanwhile.times < AT_MOST));
        house_meanwhile(h, NULL, 0, NULL, NULL);
        assert_int_equal(line_look(h, "tls").number, number + cases[i].renewals);
        assert_no_other_keys(h);
    }
    house_free(h);
}

/* --- a new one --- */

static void they_create_it(house *h, void *name)
{
    kv_error err;

    assert_kv_ok(line_create(h, name, NULL, &err));
}

static void they_disable_its_parent(house *h, void *name)
{
    kv_error err;

    /* And the vault's row, that the creation changes, is another one. */
    assert_kv_ok(line_create(h, "other", NULL, &err));
    they_disable_it(h, name);
}

static void a_name_or_a_parent_that_is_gone_by_then_is_told(void **state)
{
    static const struct {
        const char *name, *parent;
        void (*what)(house *, void *);
        const char *whom;
        kv_status status;
    } cases[] = { { "new", NULL, they_create_it, "new", KV_EXISTS },
                  { "fresh", "root", they_create_it, "fresh", KV_EXISTS },
                  { "below", "tls", they_disable_its_parent, "tls", KV_PRECONDITION },
                  { "another", NULL, they_create_it, "third", KV_OK } };
    house *h = line_start();
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        house_meanwhile(h, &kv_table_vaults, 1, cases[i].what, (void *)cases[i].whom);
        assert_int_equal(line_create(h, cases[i].name, cases[i].parent, &err), cases[i].status);
        assert_null(h->meanwhile.table);
        assert_no_other_keys(h);
    }
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renewal_goes_on_with_what_the_server_changed),
        cmocka_unit_test(what_is_owed_is_settled_whoever_is_at_it),
        cmocka_unit_test(a_renewal_that_cannot_be_says_so_and_leaves_no_key),
        cmocka_unit_test(a_name_or_a_parent_that_is_gone_by_then_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
