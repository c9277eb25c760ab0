/* test_token_uri.c - which URIs name a token. */
#include "pkcs11/token_uri.h"

#include "tests/support/fake_token.h"
#include "tests/support/kv_cmocka.h"

static void uris_that_name_a_token_are_taken(void **state)
{
    static const char *const good[] = {
        "pkcs11:token=keys",
        "pkcs11:token=my%20keys",
        "pkcs11:serial=0123456789abcdef",
        "pkcs11:token=keys;serial=0123456789abcdef;manufacturer=x;model=y",
        "pkcs11:token=tls;object=identity;type=private",
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(good); i++) {
        P11KitUri *uri = NULL;

        assert_kv_ok(kv_token_uri_parse(good[i], &uri, &err));
        p11_kit_uri_free(uri);
    }
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {
        NULL,
        "",
        "pkcs11",
        "pkcs11:",
        "token=keys",
        "pkcs11:manufacturer=x",
        "pkcs11:token=keys;slot-id=1",
        "pkcs11:token=keys?pin-value=1234",
        "pkcs11:token=keys?pin-source=file:x",
        "pkcs11:token=keys;unknown=1",
        "pkcs11:token=%g0",
        "pkcs11:token=keys;token=other;token=",
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i + 1 < KV_COUNT(bad); i++) {
        P11KitUri *uri = NULL;

        assert_kv_fails(KV_BAD_REQUEST, kv_token_uri_parse(bad[i], &uri, &err));
        assert_string_equal(err.field, "uri");
        assert_null(uri);
    }
}

static void padding_is_cut(void **state)
{
    char out[33];

    (void)state;
    kv_token_text((const CK_UTF8CHAR *)"keys            ", 16, out);
    assert_string_equal(out, "keys");
    kv_token_text((const CK_UTF8CHAR *)"                ", 16, out);
    assert_string_equal(out, "");
    kv_token_text((const CK_UTF8CHAR *)"0123456789abcdef", 16, out);
    assert_string_equal(out, "0123456789abcdef");
}

static void one_token_must_match(void **state)
{
    CK_FUNCTION_LIST *f = kv_fake_new((const char *[]){ "a", "b", "b", NULL });
    CK_TOKEN_INFO info;
    CK_SLOT_ID slot = 99;
    kv_error err = { 0 };

    (void)state;
    assert_int_equal(f->C_Initialize(NULL), CKR_OK);
    assert_kv_ok(kv_token_uri_slot(f, "pkcs11:token=a", &slot, &info, &err));
    assert_int_equal(slot, 0);
    assert_kv_fails(KV_BAD_REQUEST, kv_token_uri_slot(f, "pkcs11:token=b", &slot, &info, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_token_uri_slot(f, "pkcs11:token=c", &slot, &info, &err));
    assert_kv_ok(kv_token_uri_slot(f, "pkcs11:serial=fake000000000001", &slot, &info, &err));
    assert_int_equal(slot, 1);
    kv_fake_fail("C_GetSlotList", CKR_DEVICE_ERROR, 1);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_uri_slot(f, "pkcs11:token=a", &slot, &info, &err));
    assert_int_equal(f->C_Finalize(NULL), CKR_OK);
    kv_fake_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_that_name_a_token_are_taken),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(padding_is_cut),
        cmocka_unit_test(one_token_must_match),
    };

    return cmocka_run_group_tests_name("token_uri", tests, NULL, NULL);
}
