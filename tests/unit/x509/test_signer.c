/* test_signer.c - which algorithm signs for which key, and signatures of the wrong length. */
#include "server/x509/signer.h"

#include "tests/support/kv_cmocka.h"

static void every_kind_of_key_has_one_algorithm(void **state)
{
    static const struct {
        kv_key_kind kind;
        const char *name;
    } rows[] = {
        { KV_KEY_RSA_2048, "RS256" }, { KV_KEY_RSA_3072, "RS256" }, { KV_KEY_RSA_4096, "RS256" },
        { KV_KEY_P256, "ES256" },     { KV_KEY_P384, "ES384" },     { KV_KEY_P521, "ES512" },
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        const kv_mechanism *alg = kv_x509_signature_mechanism(rows[i].kind);

        assert_non_null(alg);
        assert_string_equal(alg->name, rows[i].name);
        assert_true(kv_mechanism_fits(alg, rows[i].kind));
    }
    assert_null(kv_x509_signature_mechanism(KV_KEY_NONE));
    assert_null(kv_x509_signature_mechanism(KV_KEY_AES_256));
    assert_null(kv_x509_signature_mechanism(KV_KEY_HMAC_256));
    assert_null(kv_x509_signature_mechanism(KV_KEY_KIND_COUNT));
}

typedef struct fixed {
    kv_slice signature;
    kv_slice digest; /* seen */
} fixed;

static kv_status give(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err)
{
    fixed *this = context;

    (void)alg;
    *signature = this->signature;
    return kv_arena_copy(arena, digest, &this->digest, err);
}

static void hashes_and_encodes(void **state)
{
    /* SHA-256 of "abc", FIPS 180-4 */
    static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
    static const uint8_t der[] = { 0x30, 0x07, 0x02, 0x01, 0x07, 0x02, 0x02, 0x00, 0x80 };
    uint8_t raw[64] = { 0 };
    kv_arena arena = KV_ARENA(4096);
    fixed one = { .signature = kv_slice_of(raw, sizeof(raw)) };
    kv_x509_signer signer = { .sign = give, .context = &one };
    kv_error err = { 0 };
    kv_slice out;

    (void)state;
    raw[31] = 7;
    raw[63] = 0x80;
    assert_kv_ok(kv_x509_sign(&arena, &signer, kv_mechanism_find(KV_SLICE("ES256")),
                              KV_SLICE("abc"), &out, &err));
    assert_slice_equal(kv_slice_of(abc, sizeof(abc)), one.digest);
    assert_slice_equal(kv_slice_of(der, sizeof(der)), out);
    kv_arena_cleanup(&arena);
}

static void a_signature_of_another_length_is_refused(void **state)
{
    static const size_t lengths[] = { 0, 32, 63, 65, 72, 96 };
    uint8_t raw[96] = { 1 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lengths); i++) {
        kv_arena arena = KV_ARENA(4096);
        fixed one = { .signature = kv_slice_of(raw, lengths[i]) };
        kv_x509_signer signer = { .sign = give, .context = &one };
        kv_error err = { 0 };
        kv_slice out;

        assert_kv_fails(KV_INTERNAL,
                        kv_x509_sign(&arena, &signer, kv_mechanism_find(KV_SLICE("ES256")),
                                     KV_SLICE("abc"), &out, &err));
        kv_arena_cleanup(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_has_one_algorithm),
        cmocka_unit_test(hashes_and_encodes),
        cmocka_unit_test(a_signature_of_another_length_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
