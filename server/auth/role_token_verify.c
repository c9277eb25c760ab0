/* role_token_verify.c - the signature of a role token, and nothing that is not one. */
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "server/auth/jws.h"
#include "server/auth/role_token_claims.h"
#include "server/base/text.h"

enum { KV_VERIFYING_KEYS = 8, KV_ISSUER_MAX = 128 };

typedef struct kv_verifying_key {
    char kid[KV_ROLE_TOKEN_KID_DIGITS + 1];
    EVP_PKEY *key;
    int64_t verify_until_ms;
} kv_verifying_key;

struct kv_role_token_verifier {
    char issuer[KV_ISSUER_MAX];
    size_t issuer_len;
    unsigned count;
    kv_verifying_key keys[KV_VERIFYING_KEYS];
};

static bool is_p256(const EVP_PKEY *key)
{
    char group[32];
    size_t len;

    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
           kv_slice_equal(kv_slice_of(group, len), KV_SLICE("prime256v1"));
}

static const kv_verifying_key *find_key(const kv_role_token_verifier *verifier, kv_slice kid)
{
    for (unsigned i = 0; i < verifier->count; i++) {
        if (kv_slice_equal(kid, kv_slice_text(verifier->keys[i].kid)))
            return &verifier->keys[i];
    }
    return NULL;
}

static kv_status add_key(kv_role_token_verifier *verifier, const kv_role_token_key *key,
                         kv_error *err)
{
    kv_verifying_key *place = &verifier->keys[verifier->count];
    const uint8_t *at = key->spki.data;
    uint8_t bytes[KV_ROLE_TOKEN_KID_DIGITS / 2];

    if (!kv_unhex(key->kid, bytes, sizeof(bytes)) || find_key(verifier, key->kid))
        return kv_fail(err, KV_PRECONDITION, "a role token key has a malformed or repeated kid");
    place->key = d2i_PUBKEY(NULL, &at, (long)key->spki.len);
    if (!place->key || at != key->spki.data + key->spki.len || !is_p256(place->key)) {
        EVP_PKEY_free(place->key);
        return kv_fail(err, KV_PRECONDITION, "a role token key is not on P-256");
    }
    memcpy(place->kid, key->kid.data, key->kid.len);
    place->verify_until_ms = key->verify_until_ms;
    verifier->count++;
    return KV_OK;
}

kv_status kv_role_token_verifier_new(const kv_role_token_key *keys, unsigned count, kv_slice issuer,
                                     kv_role_token_verifier **out, kv_error *err)
{
    kv_role_token_verifier *verifier;
    kv_status status = KV_OK;

    if (count == 0 || count > KV_VERIFYING_KEYS)
        return kv_fail(err, KV_PRECONDITION, "1 to 8 role token keys are needed");
    if (issuer.len == 0 || issuer.len > KV_ISSUER_MAX || !kv_text_printable(issuer))
        return kv_fail(err, KV_PRECONDITION, "the issuer of role tokens must be 1 to 128 bytes");
    verifier = calloc(1, sizeof(*verifier));
    if (!verifier)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(verifier->issuer, issuer.data, issuer.len);
    verifier->issuer_len = issuer.len;
    for (unsigned i = 0; i < count && status == KV_OK; i++)
        status = add_key(verifier, &keys[i], err);
    if (status != KV_OK) {
        kv_role_token_verifier_free(verifier);
        return status;
    }
    *out = verifier;
    return KV_OK;
}

void kv_role_token_verifier_free(kv_role_token_verifier *verifier)
{
    if (!verifier)
        return;
    for (unsigned i = 0; i < verifier->count; i++)
        EVP_PKEY_free(verifier->keys[i].key);
    free(verifier);
}

static kv_status refuse(kv_error *err, const char *why)
{
    kv_fail(err, KV_UNAUTHENTICATED, "the role token is not valid");
    kv_because(err, KV_REASON_TOKEN_INVALID);
    return kv_note(err, "%s", why);
}

kv_status kv_role_token_verify(const kv_role_token_verifier *verifier, kv_slice text,
                               kv_role_token *out, kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(4 * KV_ROLE_TOKEN_MAX);
    char kid[KV_ROLE_TOKEN_KID_DIGITS + 1];
    kv_slice parts[3], header, payload, signature;
    const kv_verifying_key *key;
    kv_role_token token;
    const char *wrong;

    if (text.len > KV_ROLE_TOKEN_MAX)
        return refuse(err, "longer than 4096 bytes");
    if (!kv_jws_split(text, parts))
        return refuse(err, "not three parts");
    if (kv_unbase64url(&scratch, parts[0], &header, err) != KV_OK ||
        kv_unbase64url(&scratch, parts[1], &payload, err) != KV_OK ||
        kv_unbase64url(&scratch, parts[2], &signature, err) != KV_OK)
        return refuse(err, "not base64url");
    wrong = kv_role_token_read_header(header, kid);
    if (wrong)
        return refuse(err, wrong);
    key = find_key(verifier, kv_slice_text(kid));
    if (!key)
        return refuse(err, "unknown kid");
    /* The payload is parsed only once it is known to be ours. */
    if (!kv_jws_verify(key->key, kv_jws_algorithm_find(KV_SLICE("ES256")),
                       kv_slice_of(text.data, parts[0].len + 1 + parts[1].len), signature))
        return refuse(err, "the signature does not hold");
    wrong = kv_role_token_read_claims(payload, kv_slice_of(verifier->issuer, verifier->issuer_len),
                                      &token);
    if (wrong)
        return refuse(err, wrong);
    token.verify_until_ms = key->verify_until_ms;
    *out = token;
    return KV_OK;
}
