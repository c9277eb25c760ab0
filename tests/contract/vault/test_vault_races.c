/* test_vault_races.c - who makes a version of a key or certificate while somebody else changes it
 * is in nobody's way: the key that is born already becomes the version, or goes.
 */
#include "tests/contract/vault/turning.h"

enum { AT_MOST = 5 }; /* attempts */

static kv_status create(house *h, kv_error *err)
{
    return act_make_key(h, "k", NULL, err);
}

static kv_status import(house *h, kv_error *into)
{
    static const uint8_t bytes[32] = { 1, 2, 3 };
    kv_key_import_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                            .jwk = { .kty = KV_KEY_TYPE_OCT,
                                     .k = kv_slice_of(bytes, sizeof(bytes)) },
                            .key_ops = KV_KEY_OP_SIGN };
    kv_key_bundle out;
    kv_error err;
    kv_status status = HOUSE_DO(h, kv_key_import, &in, &out);

    *into = err;
    return status;
}

static kv_status rotate(house *h, kv_error *err)
{
    return turning_rotate(h, NULL, err);
}

typedef struct deed {
    kv_status (*run)(house *h, kv_error *err);
    const char *birth; /* what the token is asked for a key with */
    bool needs_one;    /* there has to be a key */
} deed;

static const deed deeds[] = { { create, "C_GenerateKeyPair", false },
                              { import, "C_CreateObject", false },
                              { rotate, "C_GenerateKeyPair", true } };

/* Every key on the token is that of one version. */
static void assert_no_other_keys(house *h)
{
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), turning_versions(h));
    house_assert_tidy(h);
}

static void they_disable_it(house *h, void *birth)
{
    kv_error err;

    assert_kv_ok(turning_enable(h, KV_SLICE_NONE, false, &err));
    /* Whoever makes another key now fails. */
    kv_fake_fail(birth, CKR_FUNCTION_FAILED, UINT32_MAX);
}

static void they_make_a_version(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
}

static void they_make_another_kind(house *h, void *context)
{
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"), .kty = KV_KEY_TYPE_RSA };
    kv_key_bundle out;
    kv_error err;

    (void)context;
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &in, &out));
}

static void they_set_a_policy(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(turning_set_policy(h,
                                    (kv_rotation_policy_texts){ .rotate_after = KV_SLICE("P90D"),
                                                                .expiry_time = KV_SLICE("P100D") },
                                    &err));
}

static void they_delete_it(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
}

static void they_purge_it(house *h, void *context)
{
    kv_error err;

    they_delete_it(h, context);
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
}

static void they_give_the_name_to_a_certificate(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_make_certificate(h, "k", "Unknown", false, NULL, &err));
}

static void the_key_that_is_born_becomes_the_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(deeds); i++) {
        house *h = turning_start();
        kv_slice before;
        kv_error err = { 0 };

        assert_kv_ok(act_make_key(h, "k", NULL, &err));
        before = turning_keep(h, turning_look(h, KV_SLICE_NONE).id.version);
        house_meanwhile(h, &kv_table_key_versions, AT_MOST - 1, they_disable_it,
                        (void *)deeds[i].birth);
        assert_kv_ok(deeds[i].run(h, &err));
        kv_fake_fail("", CKR_OK, 0);
        assert_null(h->meanwhile.table);
        assert_int_equal(turning_versions(h), 2);
        assert_false(kv_slice_equal(turning_look(h, KV_SLICE_NONE).id.version, before));
        /* What they changed is not lost. */
        assert_true(turning_look(h, KV_SLICE_NONE).attributes.enabled);
        assert_false(turning_look(h, before).attributes.enabled);
        assert_no_other_keys(h);
        house_free(h);
    }
}

static void everybody_gets_a_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(deeds); i++)
        for (int known = deeds[i].needs_one; known < 2; known++) {
            house *h = turning_start();
            kv_error err = { 0 };

            if (known)
                assert_kv_ok(act_make_key(h, "k", NULL, &err));
            house_meanwhile(h, &kv_table_key_versions, 2, they_make_a_version, NULL);
            assert_kv_ok(deeds[i].run(h, &err));
            assert_null(h->meanwhile.table);
            assert_int_equal(turning_versions(h), 3 + known);
            assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 1);
            /* All but one say since when they are not the current one. */
            assert_int_equal(house_count(h, "SELECT count(*) FROM key_versions WHERE replaced = 0"),
                             1);
            assert_int_equal(house_count(h, "SELECT count(*) FROM token_objects WHERE owner_uid "
                                            "IN (SELECT uid FROM objects)"),
                             3 + known);
            assert_no_other_keys(h);
            house_free(h);
        }
}

static void a_rotation_is_like_what_is_current_by_then(void **state)
{
    house *h = turning_start();
    kv_key_bundle made;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    house_meanwhile(h, &kv_table_key_versions, 1, they_make_another_kind, NULL);
    assert_kv_ok(turning_rotate(h, &made, &err));
    assert_null(h->meanwhile.table);
    assert_int_equal(made.key.kty, KV_KEY_TYPE_RSA);
    assert_int_equal(turning_versions(h), 3);
    assert_no_other_keys(h);

    /* And by the policy of then. */
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    house_meanwhile(h, &kv_table_key_versions, 1, they_set_a_policy, NULL);
    assert_kv_ok(turning_rotate(h, &made, &err));
    assert_null(h->meanwhile.table);
    assert_int_equal(made.attributes.expires, HOUSE_NOW_MS + 100 * DAY);
    assert_no_other_keys(h);
    house_free(h);
}

/* As if they had come before the call. */
static void what_is_gone_by_then_is_told_and_leaves_no_key(void **state)
{
    static const struct {
        const deed *deed;
        void (*what)(house *h, void *context);
        kv_status status;
        kv_reason reason;
    } cases[] = {
        { &deeds[0], they_delete_it, KV_EXISTS, KV_REASON_SOFT_DELETED },
        { &deeds[1], they_delete_it, KV_EXISTS, KV_REASON_SOFT_DELETED },
        { &deeds[2], they_delete_it, KV_NOT_FOUND, KV_REASON_SOFT_DELETED },
        { &deeds[2], they_purge_it, KV_NOT_FOUND, KV_REASON_NONE },
        { &deeds[0], they_purge_it, KV_OK, KV_REASON_NONE },
        { &deeds[1], they_purge_it, KV_OK, KV_REASON_NONE },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        house *h = turning_start();
        kv_error err = { 0 };

        assert_kv_ok(act_make_key(h, "k", NULL, &err));
        house_meanwhile(h, &kv_table_key_versions, 1, cases[i].what, NULL);
        assert_int_equal(cases[i].deed->run(h, &err), cases[i].status);
        assert_int_equal(err.reason, cases[i].reason);
        assert_null(h->meanwhile.table);
        assert_int_equal(turning_versions(h),
                         cases[i].what == they_delete_it || cases[i].status == KV_OK);
        assert_no_other_keys(h);
        house_free(h);
    }
}

static void a_name_that_is_taken_by_then_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        house *h = turning_start();
        kv_error err = { 0 };

        house_meanwhile(h, &kv_table_key_versions, 1, they_give_the_name_to_a_certificate, NULL);
        assert_kv_fails(KV_PRECONDITION, deeds[i].run(h, &err));
        assert_int_equal(err.reason, KV_REASON_MANAGED);
        assert_null(h->meanwhile.table);
        /* That of the certificate that is waited for. */
        assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
        house_assert_tidy(h);
        house_free(h);
    }
}

static void the_end_comes_and_leaves_no_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(deeds); i++) {
        house *h = turning_start();
        kv_error err = { 0 };

        assert_kv_ok(act_make_key(h, "k", NULL, &err));
        house_meanwhile(h, &kv_table_key_versions, AT_MOST, they_disable_it,
                        (void *)deeds[i].birth);
        assert_kv_fails(KV_CONFLICT, deeds[i].run(h, &err));
        kv_fake_fail("", CKR_OK, 0);
        assert_null(h->meanwhile.table);
        assert_int_equal(turning_versions(h), 1);
        assert_no_other_keys(h);
        house_free(h);
    }
}

/* --- certificates that come from elsewhere --- */

static kv_status import_certificate(house *h, kv_error *err)
{
    return act_import_certificate(h, "c", err);
}

static kv_status merge_certificate(house *h, kv_error *err)
{
    return act_merge(h, "c", err);
}

static void they_delete_the_certificate(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
}

static void they_delete_and_recover_it(house *h, void *birth)
{
    kv_error err;

    they_delete_the_certificate(h, NULL);
    assert_kv_ok(act_recover(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    if (birth)
        kv_fake_fail(birth, CKR_FUNCTION_FAILED, UINT32_MAX);
}

static void they_take_the_name(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_make_key(h, "c", NULL, &err));
}

static void they_import_it(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_import_certificate(h, "c", &err));
}

static void they_merge_it(house *h, void *context)
{
    kv_error err;

    (void)context;
    assert_kv_ok(act_merge(h, "c", &err));
}

typedef struct arrival {
    kv_status (*run)(house *h, kv_error *err);
    bool known; /* an imported version is there */
    bool waits; /* a request waits for its answer */
    unsigned times;
    void (*what)(house *h, void *context);
    const char *birth;
    kv_status status;
    kv_reason reason;
    unsigned versions, keys; /* afterwards */
} arrival;

static void assert_arrives(const arrival *it)
{
    house *h = turning_start();
    kv_error err = { 0 };

    if (it->known)
        assert_kv_ok(act_import_certificate(h, "c", &err));
    if (it->waits)
        assert_kv_ok(act_make_certificate(h, "c", "Unknown", true, NULL, &err));
    house_meanwhile(h, &kv_table_certificate_versions, it->times, it->what, (void *)it->birth);
    assert_int_equal(it->run(h, &err), it->status);
    kv_fake_fail("", CKR_OK, 0);
    assert_int_equal(err.reason, it->reason);
    assert_null(h->meanwhile.table);
    assert_int_equal(house_count(h, "SELECT count(*) FROM certificate_versions"), it->versions);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), it->keys);
    house_assert_tidy(h);
    house_free(h);
}

static void an_imported_certificate_gets_its_one_key(void **state)
{
    static const arrival cases[] = {
        { import_certificate, true, false, AT_MOST - 1, they_delete_and_recover_it,
          "C_CreateObject", KV_OK, KV_REASON_NONE, 2, 2 },
        { import_certificate, true, false, AT_MOST, they_delete_and_recover_it, "C_CreateObject",
          KV_CONFLICT, KV_REASON_NONE, 1, 1 },
        { import_certificate, true, false, 1, they_delete_the_certificate, NULL, KV_EXISTS,
          KV_REASON_SOFT_DELETED, 1, 1 },
        { import_certificate, false, false, 1, they_import_it, NULL, KV_OK, KV_REASON_NONE, 2, 2 },
        { import_certificate, false, false, 1, they_take_the_name, NULL, KV_EXISTS, KV_REASON_NONE,
          0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++)
        assert_arrives(&cases[i]);
}

static void an_answer_to_a_request_is_merged_once(void **state)
{
    static const arrival cases[] = {
        { merge_certificate, false, true, AT_MOST - 1, they_delete_and_recover_it, NULL, KV_OK,
          KV_REASON_NONE, 1, 1 },
        { merge_certificate, false, true, AT_MOST, they_delete_and_recover_it, NULL, KV_CONFLICT,
          KV_REASON_NONE, 0, 1 },
        { merge_certificate, false, true, 1, they_delete_the_certificate, NULL, KV_NOT_FOUND,
          KV_REASON_SOFT_DELETED, 0, 1 },
        /* The operation is another one by then: the dispatcher begins again. */
        { merge_certificate, false, true, 1, they_merge_it, NULL, KV_CONFLICT, KV_REASON_NONE, 1,
          1 },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++)
        assert_arrives(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_that_is_born_becomes_the_version),
        cmocka_unit_test(everybody_gets_a_version),
        cmocka_unit_test(a_rotation_is_like_what_is_current_by_then),
        cmocka_unit_test(what_is_gone_by_then_is_told_and_leaves_no_key),
        cmocka_unit_test(a_name_that_is_taken_by_then_is_taken),
        cmocka_unit_test(the_end_comes_and_leaves_no_key),
        cmocka_unit_test(an_imported_certificate_gets_its_one_key),
        cmocka_unit_test(an_answer_to_a_request_is_merged_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
