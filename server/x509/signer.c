/* signer.c - from the bytes to be signed to a signature in X.509's form. */
#include "server/x509/signer.h"

#include "pkcs11/public_key.h"

const kv_mechanism *kv_x509_signature_mechanism(kv_key_kind kind)
{
    static const char *const names[KV_KEY_KIND_COUNT] = {
        [KV_KEY_RSA_2048] = "RS256", [KV_KEY_RSA_3072] = "RS256", [KV_KEY_RSA_4096] = "RS256",
        [KV_KEY_P256] = "ES256",     [KV_KEY_P384] = "ES384",     [KV_KEY_P521] = "ES512",
    };

    if ((unsigned)kind >= KV_KEY_KIND_COUNT || !names[kind])
        return NULL;
    return kv_mechanism_find(kv_slice_text(names[kind]));
}

kv_status kv_x509_sign(kv_arena *arena, const kv_x509_signer *signer, const kv_mechanism *alg,
                       kv_slice message, kv_slice *out, kv_error *err)
{
    uint8_t digest[KV_DIGEST_MAX];
    uint8_t der[KV_EC_DER_MAX];
    size_t len = sizeof(der);
    kv_slice raw = KV_SLICE_NONE;

    KV_TRY(kv_public_key_digest(alg, message, digest, err));
    KV_TRY(
        signer->sign(signer->context, alg, kv_slice_of(digest, alg->digest_len), arena, &raw, err));
    if (alg->family != KV_FAMILY_EC) {
        *out = raw;
        return KV_OK;
    }
    if (raw.len != 2 * alg->coordinate_len)
        return kv_fail(err, KV_INTERNAL, "a signature has the wrong length");
    KV_TRY(kv_ecdsa_to_der(raw, der, &len, err));
    return kv_arena_copy(arena, kv_slice_of(der, len), out, err);
}
