/* test_vault_authorities.c - certificate authorities: what is refused, and that the chains of those
 * below follow a new certificate whatever comes in between.
 */
#include "tests/contract/vault/authority_line.h"

/* --- those below --- */

/* False when the renewal needs no more changes than that. */
static bool die_and_rise(house *h, const char *name, bool new_key, unsigned n, bool *owed_once)
{
    kv_slice before = KV_SLICE_NONE;
    kv_error err = { 0 };
    unsigned made;
    bool died, renewed;

    assert_true(line_chains_are_right(h));
    assert_kv_ok(kv_arena_copy(&h->kept_arena, line_look(h, name).certificate, &before, &err));
    atomic_fetch_add(&h->now_ms, 60000);
    house_die_after(h, n, HOUSE_KEYS_STAY);
    (void)!line_renew(h, name, new_key, &err);
    died = atomic_load(&h->dead);
    atomic_store(&h->dies_in, 0);
    assert_kv_ok(house_restart(h, &err));
    renewed = !kv_slice_equal(line_look(h, name).certificate, before);
    assert_true(renewed || died);
    *owed_once = *owed_once || line_owed(h) > 0;
    /* What was not renewed is not owed either; else the keeper's next round does it. */
    assert_true(renewed || !line_owed(h));
    assert_kv_ok(kv_vault_crls_due(h->vault, &made, &err));
    assert_int_equal(line_owed(h), 0);
    assert_true(line_chains_are_right(h));
    return died;
}

static void chains_follow_through_death_at_any_moment(void **state)
{
    static const struct {
        const char *above;
        bool new_key;
    } cases[] = { { "tls", false }, { "root", true } };
    house *h = line_start();

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        bool owed_once = false;
        unsigned n = 0;

        while (die_and_rise(h, cases[i].above, cases[i].new_key, ++n, &owed_once))
            assert_true(n < LINE_CHANGES_MAX);
        assert_true(n > 3);
        assert_true(owed_once);
    }
    house_assert_tidy(h);
    house_free(h);
}

/* A second renewal does not forget what the first one still owed. */
static void another_renewal_settles_the_first(void **state)
{
    house *h = line_start();
    kv_error err = { 0 };

    (void)state;
    line_owe(h);
    assert_false(line_chains_are_right(h));
    atomic_fetch_add(&h->now_ms, 60000);
    assert_kv_ok(line_renew(h, "root", false, &err));
    assert_int_equal(line_owed(h), 0);
    assert_true(line_chains_are_right(h));
    house_free(h);
}

/* --- what is refused --- */

#define TEXT_OF(literal)                                   \
    {                                                      \
        (const uint8_t *)(literal), sizeof("" literal) - 1 \
    }
#define SUBJECT .subject = TEXT_OF("CN=x")

/* shape: table */
static const struct {
    const char *name;
    kv_status status;
    const char *field; /* "": none */
    kv_authority_create_in in;
} wrong_creations[] = {
    { "x", KV_BAD_REQUEST, "type", { SUBJECT } },
    { "x", KV_BAD_REQUEST, "subject", { .kind = KV_AUTHORITY_ROOT } },
    { "x", KV_BAD_REQUEST, "subject", { .kind = KV_AUTHORITY_ROOT, .subject = TEXT_OF("x") } },
    { "a name", KV_BAD_REQUEST, "name", { .kind = KV_AUTHORITY_ROOT, SUBJECT } },
    { "self", KV_BAD_REQUEST, "name", { .kind = KV_AUTHORITY_ROOT, SUBJECT } },
    { "ROOT", KV_EXISTS, "", { .kind = KV_AUTHORITY_ROOT, SUBJECT } },
    { "x",
      KV_BAD_REQUEST,
      "parent",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .parent = TEXT_OF("root") } },
    { "x",
      KV_NOT_FOUND,
      "",
      { .kind = KV_AUTHORITY_SUBORDINATE, SUBJECT, .parent = TEXT_OF("nobody") } },
    { "x",
      KV_PRECONDITION,
      "",
      { .kind = KV_AUTHORITY_SUBORDINATE, SUBJECT, .parent = TEXT_OF("waits") } },
    { "x",
      KV_PRECONDITION,
      "",
      { .kind = KV_AUTHORITY_SUBORDINATE, SUBJECT, .parent = TEXT_OF("resting") } },
    { "x",
      KV_BAD_REQUEST,
      "path_length",
      { .kind = KV_AUTHORITY_SUBORDINATE, SUBJECT, .path_limited = true } },
    { "x",
      KV_BAD_REQUEST,
      "validity_months",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .validity_months = 361 } },
    { "x",
      KV_BAD_REQUEST,
      "max_validity_months",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .max_months = 121 } },
    { "x",
      KV_BAD_REQUEST,
      "kty",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .kty = TEXT_OF("RSA"), .key_size = 2048 } },
    { "x",
      KV_BAD_REQUEST,
      "kty",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .kty = TEXT_OF("EC"), .crv = TEXT_OF("P-521") } },
    { "x",
      KV_BAD_REQUEST,
      "revocation.crl_url",
      { .kind = KV_AUTHORITY_ROOT,
        SUBJECT,
        .revocation = { .given = true, .crl_url = TEXT_OF("https://ca.example/x.crl") } } },
    { "x",
      KV_BAD_REQUEST,
      "revocation.crl_hours",
      { .kind = KV_AUTHORITY_ROOT, SUBJECT, .revocation = { .given = true, .crl_hours = 8785 } } },
};

/* Below the usual three: one that waits for its certificate, and one that is disabled. */
static house *start_crowded(void)
{
    house *h = line_start();
    kv_error err = { 0 };

    assert_kv_ok(line_create(h, "waits", "", &err));
    assert_kv_ok(line_create(h, "resting", "root", &err));
    assert_kv_ok(line_set_enabled(h, "resting", false, &err));
    return h;
}

static void what_does_not_fit_is_not_made(void **state)
{
    house *h = start_crowded();
    unsigned before = house_count(h, "SELECT count(*) FROM authorities");

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrong_creations); i++) {
        kv_authority_create_in in = wrong_creations[i].in;
        kv_authority_bundle out;
        kv_error err;

        in.target = line_target(wrong_creations[i].name);
        if (HOUSE_DO(h, kv_authority_create, &in, &out) != wrong_creations[i].status ||
            strcmp(err.field, wrong_creations[i].field) != 0)
            fail_msg("case %zu: status %d, field '%s': %s", i, err.status, err.field, err.message);
    }
    assert_int_equal(house_count(h, "SELECT count(*) FROM authorities"), before);
    house_assert_tidy(h);
    house_free(h);
}

static void only_who_can_sign_is_renewed(void **state)
{
    static const struct {
        kv_status status;
        const char *field;
        const char *name;
        kv_authority_renew_in in;
    } wrong[] = {
        { KV_NOT_FOUND, "", "nobody", { .new_key = true } },
        { KV_PRECONDITION, "", "waits", { .new_key = true } },
        { KV_PRECONDITION, "", "resting", { .new_key = true } },
        { KV_BAD_REQUEST, "kty", "tls", { .kty = TEXT_OF("EC") } },
        { KV_BAD_REQUEST, "kty", "tls", { .new_key = true, .crv = TEXT_OF("P-521") } },
        { KV_BAD_REQUEST, "validity_months", "tls", { .validity_months = 361 } },
        { KV_BAD_REQUEST, "parent", "root", { .parent = TEXT_OF("tls") } },
        { KV_BAD_REQUEST, "parent", "tls", { .parent = TEXT_OF("tls") } },
        { KV_NOT_FOUND, "", "tls", { .parent = TEXT_OF("nobody") } },
    };
    house *h = start_crowded();

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrong); i++) {
        kv_authority_renew_in in = wrong[i].in;
        kv_authority_bundle out;
        kv_error err;

        in.target = line_target(wrong[i].name);
        if (HOUSE_DO(h, kv_authority_renew, &in, &out) != wrong[i].status ||
            strcmp(err.field, wrong[i].field) != 0)
            fail_msg("case %zu: status %d, field '%s': %s", i, err.status, err.field, err.message);
    }
    assert_int_equal(line_look(h, "tls").number, 1);
    house_assert_tidy(h);
    house_free(h);
}

static void revocations_and_lists_are_of_what_there_is(void **state)
{
    static const struct {
        kv_status status;
        const char *field;
        kv_authority_revoke_in in;
    } wrong[] = {
        { KV_BAD_REQUEST, "serial", { .serial = TEXT_OF("xyz") } },
        { KV_BAD_REQUEST, "serial", { .serial = TEXT_OF("") } },
        { KV_NOT_FOUND, "", { .serial = TEXT_OF("0123456789abcdef0123456789abcdef") } },
        { KV_BAD_REQUEST, "reason", { .serial = TEXT_OF("01"), .reason = 7 } },
        { KV_BAD_REQUEST,
          "invalidity_date",
          { .serial = TEXT_OF("01"), .reason = 1, .invalid_since = HOUSE_NOW_MS * 2 } },
    };
    kv_authority_crl_in list = { .target = line_target("tls"), .key = 2 };
    house *h = start_crowded();
    kv_crl_bundle crl;
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(wrong); i++) {
        kv_authority_revoke_in in = wrong[i].in;
        kv_revoked_bundle out;

        in.target = line_target("tls");
        if (HOUSE_DO(h, kv_authority_revoke, &in, &out) != wrong[i].status ||
            strcmp(err.field, wrong[i].field) != 0)
            fail_msg("case %zu: status %d, field '%s': %s", i, err.status, err.field, err.message);
    }
    assert_kv_fails(KV_NOT_FOUND, HOUSE_DO(h, kv_authority_crl_get, &list, &crl));
    list = (kv_authority_crl_in){ .target = line_target("waits") };
    assert_kv_fails(KV_PRECONDITION, HOUSE_DO(h, kv_authority_crl_get, &list, &crl));
    house_free(h);
}

static kv_status take_away(house *h, const char *name, kv_error *why)
{
    kv_authority_delete_in in = { .target = line_target(name) };
    kv_nothing_out out;
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_authority_delete, &in, &out);

    *why = err;
    return status;
}

static void only_what_nobody_needs_is_deleted(void **state)
{
    house *h = start_crowded();
    kv_error err;

    (void)state;
    assert_kv_fails(KV_NOT_FOUND, take_away(h, "nobody", &err));
    assert_kv_fails(KV_PRECONDITION, take_away(h, "root", &err));
    assert_kv_ok(line_set_enabled(h, "root", false, &err));
    /* What it issued is valid still. */
    assert_kv_fails(KV_PRECONDITION, take_away(h, "root", &err));
    assert_kv_ok(take_away(h, "resting", &err));
    assert_kv_ok(line_set_enabled(h, "waits", false, &err));
    assert_kv_ok(take_away(h, "waits", &err));
    house_assert_tidy(h);
    house_free(h);
}

static void without_a_token_there_is_none(void **state)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_fails(KV_UNSUPPORTED, line_create(h, "root", NULL, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM authorities"), 0);
    house_assert_tidy(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_follow_through_death_at_any_moment),
        cmocka_unit_test(another_renewal_settles_the_first),
        cmocka_unit_test(what_does_not_fit_is_not_made),
        cmocka_unit_test(only_who_can_sign_is_renewed),
        cmocka_unit_test(revocations_and_lists_are_of_what_there_is),
        cmocka_unit_test(only_what_nobody_needs_is_deleted),
        cmocka_unit_test(without_a_token_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
