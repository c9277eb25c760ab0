/* test_key.c - the table of key kinds has no holes and no doubles. */
#include "pkcs11/key.h"

#include <openssl/obj_mac.h>

#include "tests/support/kv_cmocka.h"

static void every_kind_has_a_row(void **state)
{
    (void)state;
    for (unsigned i = KV_KEY_NONE + 1; i < KV_KEY_KIND_COUNT; i++) {
        const kv_key_kind_row *row = kv_key_kind_of((kv_key_kind)i);

        assert_non_null(row->name);
        assert_int_not_equal(row->family, KV_FAMILY_NONE);
        assert_true(row->bits >= 128);
        assert_int_equal(row->ec_params_len != 0, row->curve != 0);
        if (row->family == KV_FAMILY_RSA)
            assert_int_equal(kv_key_kind_rsa(row->bits), i);
        if (row->family == KV_FAMILY_EC) {
            assert_int_equal(kv_key_kind_curve(row->curve), i);
            /* OBJECT IDENTIFIER of exactly that length. */
            assert_int_equal(row->ec_params[0], 0x06);
            assert_int_equal(row->ec_params[1], row->ec_params_len - 2);
        }
    }
}

static void what_is_not_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(kv_key_kind_rsa(1024), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_rsa(0), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_curve(NID_secp224r1), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_curve(NID_ED25519), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_aes(64), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_aes(384), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_aes(192), KV_KEY_AES_192);
    assert_int_equal(kv_key_kind_hmac(128), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_hmac(512), KV_KEY_HMAC_512);
    assert_int_equal(kv_key_kind_curve(0), KV_KEY_NONE);
    assert_int_equal(kv_key_kind_of(KV_KEY_KIND_COUNT)->family, KV_FAMILY_NONE);
    assert_int_equal(kv_key_kind_of((kv_key_kind)-1)->family, KV_FAMILY_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_row),
        cmocka_unit_test(what_is_not_there_is_none),
    };

    return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
