/* identify.c - from a certificate and a role token to a caller. */
#include "server/auth/auth_impl.h"

#include <openssl/sha.h>

#include "server/base/secret_buf.h"
#include "server/base/text.h"

static kv_status unknown(kv_error *err, kv_reason reason, const char *message)
{
    kv_fail(err, KV_UNAUTHENTICATED, "%s", message);
    return kv_because(err, reason);
}

/* --- the certificate --- */

/* The struct, then the texts of its matches one after the other. */
static kv_status pack(const kv_certificate *certificate, kv_arena *arena, kv_slice *out,
                      kv_error *err)
{
    size_t len = sizeof(*certificate);
    uint8_t *bytes, *at;

    for (unsigned i = 0; i < certificate->match_count; i++)
        len += certificate->matches[i].len;
    bytes = kv_arena_alloc(arena, len);
    if (!bytes)
        return kv_arena_full(err);
    memcpy(bytes, certificate, sizeof(*certificate));
    at = bytes + sizeof(*certificate);
    for (unsigned i = 0; i < certificate->match_count; i++) {
        memcpy(at, certificate->matches[i].data, certificate->matches[i].len);
        at += certificate->matches[i].len;
    }
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

static void unpack(kv_slice packed, kv_certificate *out)
{
    const uint8_t *at = packed.data + sizeof(*out);

    memcpy(out, packed.data, sizeof(*out));
    for (unsigned i = 0; i < out->match_count; i++) {
        out->matches[i].data = at;
        at += out->matches[i].len;
    }
}

kv_status kv_auth_read_certificate(kv_auth *auth, const uint8_t thumbprint[32], kv_slice der,
                                   kv_arena *arena, kv_certificate *out, kv_error *err)
{
    kv_status status;
    kv_slice packed;

    if (kv_lru_get(auth->certificates, thumbprint, arena, &packed)) {
        unpack(packed, out);
        if (out->generation == atomic_load(&auth->cas_generation))
            return KV_OK;
    }
    (void)pthread_rwlock_rdlock(&auth->cas_lock);
    status = kv_certificate_read(auth->cas, der, arena, out, err);
    out->generation = atomic_load(&auth->cas_generation);
    (void)pthread_rwlock_unlock(&auth->cas_lock);
    if (status == KV_BAD_REQUEST)
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN, "the client certificate cannot be read");
    if (status != KV_OK)
        return status;
    if (!kv_slice_equal(kv_slice_of(out->sha256, 32), kv_slice_of(thumbprint, 32)))
        return kv_fail(err, KV_INTERNAL, "a thumbprint is not that of its certificate");
    KV_TRY(pack(out, arena, &packed, err));
    kv_lru_put(auth->certificates, thumbprint, packed);
    return KV_OK;
}

/* Who holds the certificate, and through which credential. Under the lock. */
static kv_status find_holder(kv_auth *auth, const kv_certificate *certificate, kv_slice pin,
                             const kv_held **held, const kv_credential_row **credential,
                             bool *stranger, kv_error *err)
{
    const kv_held *found = kv_grants_credential(auth->grants, pin, credential);

    for (unsigned i = 0; !found && i < certificate->match_count; i++) {
        const kv_credential_row *other;

        found = kv_grants_credential(auth->grants, certificate->matches[i], credential);
        for (unsigned j = i + 1; found && j < certificate->match_count; j++) {
            /* The same name twice in one certificate is one mapping. */
            if (kv_slice_equal(certificate->matches[i], certificate->matches[j]))
                continue;
            if (kv_grants_credential(auth->grants, certificate->matches[j], &other))
                return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN,
                               "the client certificate fits more than one credential");
        }
    }
    if (!found) {
        *stranger = true;
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN,
                       certificate->too_many_names
                           ? "the client certificate has too many names to be mapped"
                           : "the client certificate belongs to no principal");
    }
    *held = found;
    return KV_OK;
}

static kv_status check_dates(const kv_certificate *certificate, bool mapped, int64_t now_ms,
                             kv_error *err)
{
    int64_t from = mapped ? certificate->mapped_from_ms : certificate->not_before_ms;
    int64_t until = mapped ? certificate->mapped_until_ms : certificate->not_after_ms;

    if (now_ms < from)
        return unknown(err, KV_REASON_CERTIFICATE_EXPIRED,
                       "the client certificate, or its CA, is not valid yet");
    if (now_ms >= until)
        return unknown(err, KV_REASON_CERTIFICATE_EXPIRED,
                       "the client certificate, or its CA, has expired");
    return KV_OK;
}

/* Under the lock: everything is copied out. */
static kv_status take_holder(kv_auth *auth, const kv_certificate *certificate, kv_slice pin,
                             kv_arena *arena, kv_caller *out, bool *mapped, bool *broken,
                             kv_error *err)
{
    const kv_credential_row *credential = NULL;
    const kv_principal_row *principal;
    const kv_held *held = NULL;

    KV_TRY(find_holder(auth, certificate, pin, &held, &credential, &out->proved, err));
    principal = &held->rows->principal;
    memcpy(out->principal_id, principal->id.data, sizeof(out->principal_id));
    KV_TRY(kv_arena_copy(arena, principal->name, &out->principal_name, err));
    if (credential->kind == KV_CREDENTIAL_MANAGEMENT)
        KV_TRY(kv_arena_copy(arena, credential->vault, &out->home_vault, err));
    memcpy(out->credential_id, credential->id.data, sizeof(out->credential_id));
    out->epoch = principal->epoch;
    out->known = true;
    *mapped = out->mapped = credential->kind == KV_CREDENTIAL_MAPPING;
    memcpy(out->ca_sha256, certificate->ca_sha256, sizeof(out->ca_sha256));
    out->ca_generation = certificate->generation;
    *broken = held->broken;
    out->certificate_not_after_ms =
        *mapped ? certificate->mapped_until_ms : certificate->not_after_ms;
    if (*broken) {
        kv_fail(err, KV_INTERNAL, "the grants of a principal do not verify");
        return kv_because(err, KV_REASON_INTEGRITY);
    }
    if (principal->disabled) {
        kv_fail(err, KV_DENIED, "the principal is disabled");
        return kv_because(err, KV_REASON_DISABLED);
    }
    return KV_OK;
}

static kv_status find_caller(kv_auth *auth, const kv_certificate *certificate, kv_arena *arena,
                             kv_caller *out, bool *mapped, kv_error *err)
{
    bool broken = false;
    kv_status status;
    char pin[KV_PIN_TEXT_BYTES];

    kv_match_pin_text(certificate->sha256, pin);
    kv_grants_lock(auth->grants);
    status = take_holder(auth, certificate, kv_slice_text(pin), arena, out, mapped, &broken, err);
    kv_grants_unlock(auth->grants);
    /* Perhaps the store was only out of reach: the next call may fare better. */
    if (broken)
        kv_grants_heal(auth->grants, out->principal_id);
    return status;
}

/* --- the role token --- */

/* A role token is known by its digest, and only to the bearer of its certificate. */
static void token_key(const uint8_t thumbprint[32], const uint8_t digest[32], uint8_t key[32])
{
    uint8_t text[64];

    memcpy(text, thumbprint, 32);
    memcpy(text + 32, digest, 32);
    SHA256(text, sizeof(text), key);
    kv_wipe(text, sizeof(text));
}

/* False when it is neither a digest nor short enough for a role token. */
static bool digest_of(kv_slice credential, kv_arena *arena, bool *short_form, uint8_t digest[32])
{
    kv_slice bytes;
    kv_error ignored;

    *short_form = credential.data[0] == KV_ROLE_TOKEN_SHORT_SIGN;
    if (!*short_form) {
        if (credential.len > KV_ROLE_TOKEN_MAX)
            return false;
        SHA256(credential.data, credential.len, digest);
        return true;
    }
    if (credential.len != KV_ROLE_TOKEN_SHORT_LEN ||
        kv_unbase64url(arena, kv_slice_of(credential.data + 1, credential.len - 1), &bytes,
                       &ignored) != KV_OK ||
        bytes.len != 32)
        return false;
    memcpy(digest, bytes.data, 32);
    return true;
}

/* The credential is not empty. */
static kv_status read_token(kv_auth *auth, const uint8_t thumbprint[32], kv_slice credential,
                            kv_arena *arena, kv_role_token *out, kv_error *err)
{
    uint8_t key[32], digest[32];
    kv_slice packed;
    bool short_form;

    if (!digest_of(credential, arena, &short_form, digest))
        return unknown(err, KV_REASON_TOKEN_INVALID,
                       short_form ? "the short form of a role token is its SHA-256 digest"
                                  : "the role token is longer than 4096 bytes");
    token_key(thumbprint, digest, key);
    kv_wipe(digest, sizeof(digest));
    if (kv_lru_get(auth->tokens, key, arena, &packed)) {
        memcpy(out, packed.data, sizeof(*out));
        return KV_OK;
    }
    if (short_form)
        return unknown(err, KV_REASON_TOKEN_INVALID,
                       "no role token with this digest was shown lately: send it whole");
    KV_TRY(kv_role_token_verify(auth->verifier, credential, out, err));
    kv_lru_put(auth->tokens, key, kv_slice_of(out, sizeof(*out)));
    return KV_OK;
}

static kv_status take_token(kv_auth *auth, kv_slice credential, int64_t now_ms, kv_arena *arena,
                            kv_caller *out, kv_error *err)
{
    kv_role_token token;
    bool revoked;

    KV_TRY(read_token(auth, out->thumbprint, credential, arena, &token, err));
    KV_TRY(kv_role_token_usable(&token, out->thumbprint, now_ms, err));
    if (token.federated != out->federated)
        return unknown(err, KV_REASON_TOKEN_INVALID,
                       "the role token was got by an ID token, and the client certificate belongs "
                       "to a principal of its own");
    if (!kv_slice_equal(kv_slice_of(token.subject, sizeof(token.subject)),
                        kv_slice_of(out->principal_id, sizeof(out->principal_id))))
        return unknown(err, KV_REASON_TOKEN_INVALID,
                       "the role token was issued to another principal");
    if (token.epoch != out->epoch)
        return unknown(err, KV_REASON_TOKEN_REVOKED, "the principal's role tokens were revoked");
    kv_grants_lock(auth->grants);
    revoked = kv_grants_revoked(auth->grants, token.jti);
    kv_grants_unlock(auth->grants);
    if (revoked)
        return unknown(err, KV_REASON_TOKEN_REVOKED, "the role token was revoked");

    KV_TRY(kv_arena_copy(arena, kv_slice_of(token.scope, token.scope_len), &out->scope, err));
    memcpy(out->jti, token.jti, sizeof(out->jti));
    memcpy(out->roles, token.roles, sizeof(out->roles));
    out->role_count = token.role_count;
    out->expires_ms = token.expires_ms;
    out->tokened = true;
    return KV_OK;
}

/* Under the lock: everything is copied out. */
static kv_status take_bearer(kv_auth *auth, const kv_role_token *token, kv_arena *arena,
                             int64_t now_ms, kv_caller *out, kv_error *err)
{
    const kv_held *held =
        kv_grants_principal(auth->grants, kv_slice_of(token->subject, sizeof(token->subject)));

    if (!held)
        return unknown(err, KV_REASON_TOKEN_REVOKED, "the principal is no more");
    memcpy(out->principal_id, token->subject, sizeof(out->principal_id));
    memcpy(out->credential_id, token->credential, sizeof(out->credential_id));
    KV_TRY(kv_arena_copy(arena, held->rows->principal.name, &out->principal_name, err));
    out->epoch = held->rows->principal.epoch;
    out->known = true;
    out->federated = true;
    return kv_auth_still(auth, out, now_ms, &held, err);
}

/* A certificate of nobody's: its bearer is known if the role token was got by an ID token. */
static kv_status take_stranger(kv_auth *auth, const kv_certificate *certificate,
                               kv_slice credential, int64_t now_ms, kv_arena *arena, kv_caller *out,
                               kv_error *err)
{
    kv_error first = *err;
    kv_role_token token;
    kv_status status;

    out->proved = auth->oidc && check_dates(certificate, false, now_ms, &(kv_error){ 0 }) == KV_OK;
    out->certificate_not_after_ms = certificate->not_after_ms;
    if (!out->proved || !credential.len)
        return first.status;
    *err = (kv_error){ 0 };
    KV_TRY(read_token(auth, out->thumbprint, credential, arena, &token, err));
    KV_TRY(kv_role_token_usable(&token, out->thumbprint, now_ms, err));
    if (!token.federated) {
        *err = first;
        return err->status;
    }
    kv_grants_lock(auth->grants);
    status = take_bearer(auth, &token, arena, now_ms, out, err);
    kv_grants_unlock(auth->grants);
    KV_TRY(status);
    return take_token(auth, credential, now_ms, arena, out, err);
}

kv_status kv_auth_identify(kv_auth *auth, const uint8_t thumbprint[32], kv_slice certificate,
                           kv_slice credential, int64_t now_ms, kv_arena *arena, kv_caller *out,
                           kv_error *err)
{
    kv_certificate read;
    bool mapped = false;
    kv_status status;

    *out = (kv_caller){ 0 };
    if (certificate.len == 0)
        return unknown(err, KV_REASON_CERTIFICATE_UNKNOWN, "a client certificate is needed");
    memcpy(out->thumbprint, thumbprint, sizeof(out->thumbprint));
    KV_TRY(kv_auth_read_certificate(auth, thumbprint, certificate, arena, &read, err));
    status = find_caller(auth, &read, arena, out, &mapped, err);
    if (out->proved)
        return take_stranger(auth, &read, credential, now_ms, arena, out, err);
    KV_TRY(status);
    KV_TRY(check_dates(&read, mapped, now_ms, err));
    if (credential.len == 0)
        return KV_OK;
    return take_token(auth, credential, now_ms, arena, out, err);
}
