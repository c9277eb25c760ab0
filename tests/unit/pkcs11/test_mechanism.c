/* test_mechanism.c - the table of algorithms, and ECDSA between r||s and DER. */
#include "pkcs11/mechanism.h"

#include <openssl/evp.h>

#include "tests/support/kv_cmocka.h"

static void every_row_is_found_by_its_name(void **state)
{
    const kv_mechanism *alg;
    size_t count = 0;

    (void)state;
    for (; (alg = kv_mechanism_at(count)); count++) {
        assert_ptr_equal(kv_mechanism_find(kv_slice_text(alg->name)), alg);
        assert_int_equal(kv_mechanism_index(alg), count);
    }
    assert_int_equal(count, KV_MECHANISM_COUNT);
}

static void sizes_are_those_of_the_hash(void **state)
{
    const kv_mechanism *alg;

    (void)state;
    for (size_t i = 0; (alg = kv_mechanism_at(i)); i++) {
        EVP_MD *md = alg->digest_len ? EVP_MD_fetch(NULL, alg->digest_name, NULL) : NULL;

        assert_int_equal(md == NULL, alg->family == KV_FAMILY_OKP);
        if (!md)
            continue;
        assert_int_equal(EVP_MD_get_size(md), alg->digest_len);
        assert_true(alg->digest_len <= KV_DIGEST_MAX);
        /* The last byte of a DigestInfo's prefix is the digest's length. */
        if (alg->padding == KV_PADDING_PKCS1)
            assert_int_equal(alg->prefix[alg->prefix_len - 1], alg->digest_len);
        EVP_MD_free(md);
    }
}

static void names_are_exact(void **state)
{
    (void)state;
    assert_null(kv_mechanism_find(KV_SLICE("rs256")));
    assert_null(kv_mechanism_find(KV_SLICE("RS2567")));
    assert_null(kv_mechanism_find(KV_SLICE("none")));
    assert_null(kv_mechanism_find(KV_SLICE_NONE));
    assert_null(kv_mechanism_find(KV_SLICE("HS256")));
}

static void each_curve_has_its_algorithm(void **state)
{
    const kv_mechanism *es256 = kv_mechanism_find(KV_SLICE("ES256"));
    const kv_mechanism *ps512 = kv_mechanism_find(KV_SLICE("PS512"));

    (void)state;
    assert_true(kv_mechanism_fits(es256, KV_KEY_P256));
    assert_false(kv_mechanism_fits(es256, KV_KEY_P384));
    assert_false(kv_mechanism_fits(es256, KV_KEY_RSA_2048));
    assert_true(kv_mechanism_fits(ps512, KV_KEY_RSA_4096));
    assert_false(kv_mechanism_fits(ps512, KV_KEY_AES_256));
    assert_int_equal(kv_mechanism_signature_len(es256, KV_KEY_P256), 64);
    assert_int_equal(kv_mechanism_signature_len(ps512, KV_KEY_RSA_3072), 384);
    assert_int_equal(kv_mechanism_signature_len(kv_mechanism_find(KV_SLICE("ES512")), KV_KEY_P521),
                     132);
}

static void ecdsa_goes_to_der_and_back(void **state)
{
    static const size_t halves[] = { 32, 48, 66 };
    uint8_t raw[2 * KV_EC_COORDINATE_MAX], der[KV_EC_DER_MAX], back[sizeof(raw)];
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(halves); i++) {
        for (int first = 0; first < 256; first += 5) {
            size_t der_len = sizeof(der), back_len = sizeof(back);

            memset(raw, first, sizeof(raw));
            raw[halves[i] - 1] = raw[2 * halves[i] - 1] = 1;
            assert_kv_ok(kv_ecdsa_to_der(kv_slice_of(raw, 2 * halves[i]), der, &der_len, &err));
            assert_kv_ok(
                kv_ecdsa_from_der(kv_slice_of(der, der_len), halves[i], back, &back_len, &err));
            assert_slice_equal(kv_slice_of(raw, 2 * halves[i]), kv_slice_of(back, back_len));
        }
    }
}

static void ecdsa_that_is_not_exactly_one_signature_is_refused(void **state)
{
    uint8_t raw[64], der[KV_EC_DER_MAX + 1], out[132];
    size_t len = sizeof(der), out_len = sizeof(out);
    kv_error err = { 0 };

    (void)state;
    memset(raw, 0x7f, sizeof(raw));
    assert_kv_fails(KV_BAD_REQUEST, kv_ecdsa_to_der(KV_SLICE_NONE, der, &len, &err));
    assert_kv_fails(KV_BAD_REQUEST, kv_ecdsa_to_der(kv_slice_of(raw, 63), der, &len, &err));
    assert_kv_ok(kv_ecdsa_to_der(kv_slice_of(raw, 64), der, &len, &err));
    for (size_t cut = 0; cut < len; cut++)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_ecdsa_from_der(kv_slice_of(der, cut), 32, out, &out_len, &err));
    der[len] = 0;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_ecdsa_from_der(kv_slice_of(der, len + 1), 32, out, &out_len, &err));
    /* r and s that do not fit the curve. */
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_ecdsa_from_der(kv_slice_of(der, len), 31, out, &out_len, &err));
    out_len = 10;
    assert_kv_fails(KV_INTERNAL, kv_ecdsa_from_der(kv_slice_of(der, len), 32, out, &out_len, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_name),
        cmocka_unit_test(sizes_are_those_of_the_hash),
        cmocka_unit_test(names_are_exact),
        cmocka_unit_test(each_curve_has_its_algorithm),
        cmocka_unit_test(ecdsa_goes_to_der_and_back),
        cmocka_unit_test(ecdsa_that_is_not_exactly_one_signature_is_refused),
    };

    return cmocka_run_group_tests_name("mechanism", tests, NULL, NULL);
}
