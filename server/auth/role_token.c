/* role_token.c - making role tokens, and reading the claims of one. */
#include "server/auth/role_token.h"

#include <jansson.h>
#include <openssl/sha.h>

#include "server/auth/policy.h"
#include "server/auth/role_token_claims.h"
#include "server/base/text.h"

static kv_status json_failed(kv_error *err)
{
    return kv_note(err, "jansson");
}

/* Compact JSON, base64url, in the arena. Takes `object`. */
static kv_status encode_part(json_t *object, kv_arena *arena, kv_slice *out, kv_error *err)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    kv_status status;

    json_decref(object);
    if (!text) {
        kv_fail(err, KV_INTERNAL, "the role token could not be written");
        return json_failed(err);
    }
    status = kv_base64url(arena, kv_slice_text(text), out, err);
    free(text);
    return status;
}

static json_t *header_of(kv_slice kid)
{
    return json_pack("{s:s, s:s%, s:s}", "alg", "ES256", "kid", (const char *)kid.data, kid.len,
                     "typ", "JWT");
}

static json_t *roles_of(const kv_role_token *claims)
{
    json_t *roles = json_array();

    for (unsigned i = 0; roles && i < claims->role_count; i++) {
        if (json_array_append_new(roles, json_string(kv_role_name(claims->roles[i])))) {
            json_decref(roles);
            return NULL;
        }
    }
    return roles;
}

static json_t *payload_of(const kv_role_token *claims, kv_slice issuer, kv_slice thumbprint)
{
    char subject[2 * KV_PRINCIPAL_ID_BYTES + 1];
    char jti[2 * sizeof(claims->jti) + 1];
    char credential[2 * sizeof(claims->credential) + 1] = "";
    json_t *roles = roles_of(claims);

    if (claims->federated)
        kv_hex(kv_slice_of(claims->credential, sizeof(claims->credential)), credential);
    kv_hex(kv_slice_of(claims->subject, sizeof(claims->subject)), subject);
    kv_hex(kv_slice_of(claims->jti, sizeof(claims->jti)), jti);
    if (!roles)
        return NULL;
    return json_pack(
        "{s:s%, s:s, s:s%, s:I, s:I, s:I, s:s, s:o, s:s%, s:{s:s%}, s:I, s:s*}", "iss",
        (const char *)issuer.data, issuer.len, "sub", subject, "aud", (const char *)issuer.data,
        issuer.len, "iat", (json_int_t)(claims->issued_ms / 1000), "nbf",
        (json_int_t)(claims->not_before_ms / 1000), "exp", (json_int_t)(claims->expires_ms / 1000),
        "jti", jti, "roles", roles, "scope", claims->scope, (size_t)claims->scope_len, "cnf",
        "x5t#S256", (const char *)thumbprint.data, thumbprint.len, "epoch",
        (json_int_t)claims->epoch, "cid", credential[0] ? credential : NULL);
}

kv_status kv_role_token_make(const kv_role_token_signer *signer, kv_slice issuer,
                             const kv_role_token *claims, kv_arena *arena, kv_slice *out,
                             kv_error *err)
{
    kv_slice thumbprint, header, payload, signature, signed_part;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint8_t raw[64];

    KV_TRY(kv_base64url(arena, kv_slice_of(claims->thumbprint, sizeof(claims->thumbprint)),
                        &thumbprint, err));
    KV_TRY(encode_part(header_of(signer->kid), arena, &header, err));
    KV_TRY(encode_part(payload_of(claims, issuer, thumbprint), arena, &payload, err));
    KV_TRY(kv_arena_print(arena, &signed_part, err, "%.*s.%.*s", KV_SLICE_ARG(header),
                          KV_SLICE_ARG(payload)));
    SHA256(signed_part.data, signed_part.len, digest);
    KV_TRY(signer->sign(signer->context, digest, raw, err));
    KV_TRY(kv_base64url(arena, kv_slice_of(raw, sizeof(raw)), &signature, err));
    KV_TRY(kv_arena_print(arena, out, err, "%.*s.%.*s", KV_SLICE_ARG(signed_part),
                          KV_SLICE_ARG(signature)));
    if (out->len > KV_ROLE_TOKEN_MAX)
        return kv_fail(err, KV_INTERNAL, "the role token is too long");
    return KV_OK;
}

static kv_status refuse(kv_error *err, kv_reason reason, const char *why)
{
    kv_fail(err, KV_UNAUTHENTICATED, "%s", why);
    return kv_because(err, reason);
}

kv_status kv_role_token_usable(const kv_role_token *token, const uint8_t thumbprint[32],
                               int64_t now_ms, kv_error *err)
{
    if (!kv_slice_equal(kv_slice_of(token->thumbprint, 32), kv_slice_of(thumbprint, 32)))
        return refuse(err, KV_REASON_TOKEN_INVALID,
                      "the role token is bound to another client certificate");
    if (now_ms < token->not_before_ms)
        return refuse(err, KV_REASON_TOKEN_INVALID, "the role token is not valid yet");
    if (now_ms >= token->expires_ms)
        return refuse(err, KV_REASON_TOKEN_EXPIRED, "the role token has expired");
    if (token->verify_until_ms && now_ms >= token->verify_until_ms)
        return refuse(err, KV_REASON_TOKEN_EXPIRED, "the key that signed the role token has ended");
    return KV_OK;
}

/* --- reading --- */

static bool text_of(const json_t *object, const char *name, kv_slice *out)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return false;
    *out = kv_slice_of(json_string_value(value), json_string_length(value));
    return true;
}

static bool time_of(const json_t *object, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(object, name);
    json_int_t seconds;

    if (!json_is_integer(value))
        return false;
    seconds = json_integer_value(value);
    if (seconds < 0 || seconds > INT64_MAX / 1000)
        return false;
    *out = (int64_t)seconds * 1000;
    return true;
}

static bool id_of(const json_t *object, const char *name, uint8_t *out, size_t len)
{
    kv_slice text;

    return text_of(object, name, &text) && kv_unhex(text, out, len);
}

static bool read_roles(const json_t *payload, kv_role_token *out)
{
    const json_t *roles = json_object_get(payload, "roles");
    size_t count = json_array_size(roles);

    if (!json_is_array(roles) || count == 0 || count > KV_ROLES_PER_TOKEN)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(roles, i);

        if (!json_is_string(name))
            return false;
        out->roles[i] =
            kv_role_find(kv_slice_of(json_string_value(name), json_string_length(name)));
        if (out->roles[i] == KV_ROLE_NONE)
            return false;
    }
    out->role_count = (unsigned)count;
    return true;
}

static bool read_scope(const json_t *payload, kv_role_token *out)
{
    kv_scope scope;
    kv_slice text;

    if (!text_of(payload, "scope", &text) || text.len >= sizeof(out->scope) ||
        !kv_scope_read(text, &scope))
        return false;
    memcpy(out->scope, text.data, text.len);
    out->scope_len = (unsigned)text.len;
    return true;
}

static bool read_binding(const json_t *payload, kv_role_token *out, kv_error *err)
{
    const json_t *confirmation = json_object_get(payload, "cnf");
    KV_AUTO(kv_arena) scratch = KV_ARENA(1024);
    kv_slice text, bytes;

    if (!json_is_object(confirmation) || json_object_size(confirmation) != 1 ||
        !text_of(confirmation, "x5t#S256", &text) || text.len > 64 ||
        kv_unbase64url(&scratch, text, &bytes, err) != KV_OK ||
        bytes.len != sizeof(out->thumbprint))
        return false;
    memcpy(out->thumbprint, bytes.data, bytes.len);
    return true;
}

static bool is_issuer(const json_t *payload, const char *name, kv_slice issuer)
{
    kv_slice text;

    return text_of(payload, name, &text) && kv_slice_equal(text, issuer);
}

/* What is wrong with the claims; NULL if nothing. */
static const char *read_claims(const json_t *payload, kv_slice issuer, kv_role_token *out,
                               kv_error *err)
{
    const json_t *epoch = json_object_get(payload, "epoch");

    out->federated = json_object_get(payload, "cid") != NULL;
    if (json_object_size(payload) != (out->federated ? 12 : 11))
        return "claims missing or unknown";
    if (out->federated && !id_of(payload, "cid", out->credential, sizeof(out->credential)))
        return "cid";
    if (!is_issuer(payload, "iss", issuer))
        return "iss";
    if (!is_issuer(payload, "aud", issuer))
        return "aud";
    if (!id_of(payload, "sub", out->subject, sizeof(out->subject)))
        return "sub";
    if (!id_of(payload, "jti", out->jti, sizeof(out->jti)))
        return "jti";
    if (!time_of(payload, "iat", &out->issued_ms) ||
        !time_of(payload, "nbf", &out->not_before_ms) || !time_of(payload, "exp", &out->expires_ms))
        return "iat, nbf or exp";
    if (out->expires_ms - out->not_before_ms > KV_ROLE_TOKEN_TTL_MAX_MS)
        return "longer than any role token lives";
    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0)
        return "epoch";
    out->epoch = json_integer_value(epoch);
    if (!read_roles(payload, out))
        return "roles";
    if (!read_scope(payload, out))
        return "scope";
    if (!read_binding(payload, out, err))
        return "cnf";
    return NULL;
}

const char *kv_role_token_read_claims(kv_slice json, kv_slice issuer, kv_role_token *out)
{
    kv_role_token token = { 0 };
    kv_error ignored = { 0 };
    json_error_t where;
    json_t *payload = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &where);
    const char *wrong = "the payload is not a JSON object";

    if (json_is_object(payload))
        wrong = read_claims(payload, issuer, &token, &ignored);
    json_decref(payload);
    if (!wrong)
        *out = token;
    return wrong;
}

const char *kv_role_token_read_header(kv_slice json, char kid[KV_ROLE_TOKEN_KID_DIGITS + 1])
{
    json_error_t where;
    json_t *header = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &where);
    const char *wrong = NULL;
    kv_slice text;

    if (!json_is_object(header) || json_object_size(header) != 3)
        wrong = "the header is not {alg, kid, typ}";
    else if (!text_of(header, "alg", &text) || !kv_slice_equal(text, KV_SLICE("ES256")))
        wrong = "alg is not ES256";
    else if (!text_of(header, "typ", &text) || !kv_slice_equal(text, KV_SLICE("JWT")))
        wrong = "typ is not JWT";
    else if (!text_of(header, "kid", &text) || text.len != KV_ROLE_TOKEN_KID_DIGITS)
        wrong = "kid";
    if (!wrong) {
        memcpy(kid, text.data, text.len);
        kid[text.len] = '\0';
    }
    json_decref(header);
    return wrong;
}
