/* token_sign.c - the hot path. */
#include "pkcs11/token_sign.h"

#include "pkcs11/token.h"
#include "pkcs11/token_try.h"

typedef struct signing {
    const kv_key_ref *key;
    const kv_mechanism *alg;
    kv_slice digest;
    uint8_t *signature;
    size_t *len;
} signing;

static kv_status check(const signing *in, const kv_found_key *key, kv_error *err)
{
    if (!kv_mechanism_fits(in->alg, key->kind))
        return kv_fail_field(err, "alg", "%s does not fit a key of kind %s", in->alg->name,
                             kv_key_kind_of(key->kind)->name);
    if (*in->len < kv_mechanism_signature_len(in->alg, key->kind))
        return kv_fail(err, KV_INTERNAL, "no room for a signature");
    return KV_OK;
}

static kv_status sign(kv_token_visit *visit, void *context, kv_error *err)
{
    signing *in = context;
    size_t len = *in->len;
    kv_found_key key;

    KV_TRY(kv_token_index_find(visit, in->key, &key, err));
    KV_TRY(check(in, &key, err));
    KV_TRY(kv_token_sign_by(visit, key.use, in->alg, in->digest, in->signature, &len, err));
    if (len != kv_mechanism_signature_len(in->alg, key.kind)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    *in->len = len;
    return KV_OK;
}

kv_status kv_token_sign(kv_token *token, const kv_key_ref *key, const kv_mechanism *alg,
                        kv_slice digest, uint8_t *signature, size_t *len, kv_error *err)
{
    signing in = { key, alg, digest, signature, len };

    if (!kv_mechanism_takes(alg, digest.len) && !alg->digest_len)
        return kv_fail_field(err, "digest", "%s signs at most %d bytes", alg->name,
                             KV_EDDSA_MESSAGE_MAX);
    if (!kv_mechanism_takes(alg, digest.len))
        return kv_fail_field(err, "digest", "%s needs a digest of %zu bytes", alg->name,
                             alg->digest_len);
    if (key->class != KV_CLASS_SIGN && key->class != KV_CLASS_SEAL)
        return kv_fail_field(err, "key", "keys of this class do not sign");
    if (!token->signs[kv_mechanism_index(alg)])
        return kv_token_require(token, alg->ckm, err);
    return kv_token_run(token, sign, &in, err);
}
