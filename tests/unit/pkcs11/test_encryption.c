/* test_encryption.c - the tables of encryption and keyed-hash algorithms. */
#include "pkcs11/encryption.h"

#include "tests/support/kv_cmocka.h"

static void every_row_is_found_by_its_name(void **state)
{
    const kv_encryption *alg;
    const kv_mac_algorithm *mac;
    size_t count = 0;

    (void)state;
    for (; (alg = kv_encryption_at(count)); count++) {
        assert_ptr_equal(kv_encryption_find(kv_slice_text(alg->name)), alg);
        assert_true(alg->ckm != 0);
    }
    assert_int_equal(count, 3 + 3 * 4 + 2);
    for (count = 0; (mac = kv_mac_at(count)); count++) {
        assert_ptr_equal(kv_mac_find(kv_slice_text(mac->name)), mac);
        assert_int_equal(8 * mac->len, kv_key_kind_of(mac->kind)->bits);
    }
    assert_int_equal(count, 3);
    assert_null(kv_encryption_find(KV_SLICE("a256gcm")));
    assert_null(kv_encryption_find(KV_SLICE("RSA-OAEP-512")));
    assert_null(kv_encryption_find(KV_SLICE_NONE));
    assert_null(kv_mac_find(KV_SLICE("HS1")));
}

/* What has no authentication or an old padding is weak, and nothing else is. */
static void weak_is_what_has_an_oracle(void **state)
{
    const kv_encryption *alg;

    (void)state;
    for (size_t i = 0; (alg = kv_encryption_at(i)); i++)
        assert_int_equal(alg->weak, alg->mode == KV_MODE_RSA1_5 || alg->mode == KV_MODE_CBC ||
                                        alg->mode == KV_MODE_CBC_PAD);
}

/* No algorithm fits keys of two families, and none fits a class that it is not for. */
static void kinds_and_classes_are_kept_apart(void **state)
{
    const kv_encryption *alg;
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; (alg = kv_encryption_at(i)); i++) {
        for (unsigned kind = KV_KEY_NONE + 1; kind < KV_KEY_KIND_COUNT; kind++) {
            bool rsa = kv_key_kind_of((kv_key_kind)kind)->family == KV_FAMILY_RSA;
            bool aes = kind >= KV_KEY_AES_128 && kind <= KV_KEY_AES_256;

            if (kv_encryption_fits(alg, (kv_key_kind)kind))
                assert_true(alg->class == KV_CLASS_DECRYPT ? rsa : aes);
        }
        for (unsigned class = KV_CLASS_NONE; class < KV_CLASS_COUNT; class ++) {
            kv_status status =
                kv_encryption_check(alg, (kv_key_class) class, KV_KEY_NONE, true, &err);

            assert_int_equal(status == KV_OK, class == alg->class);
        }
        if (!alg->weak)
            continue;
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_encryption_check(alg, alg->class, KV_KEY_NONE, false, &err));
        assert_string_equal(err.field, "alg");
    }
    assert_false(kv_encryption_fits(kv_encryption_find(KV_SLICE("A128KW")), KV_KEY_AES_256));
    assert_true(
        kv_encryption_fits(kv_encryption_find(KV_SLICE("CKM_AES_KEY_WRAP")), KV_KEY_AES_256));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_name),
        cmocka_unit_test(weak_is_what_has_an_oracle),
        cmocka_unit_test(kinds_and_classes_are_kept_apart),
    };

    return cmocka_run_group_tests_name("encryption", tests, NULL, NULL);
}
