/* id_token.c - a token of an identity provider: opened, then checked. */
#include "server/auth/id_token.h"

#include <jansson.h>

#include "server/base/text.h"

enum { SUBJECT_BYTES = 255, AUDIENCES = 64 };

static kv_status refuse(kv_error *err, const char *why)
{
    (void)kv_fail(err, KV_UNAUTHENTICATED, "the ID token is not valid: %s", why);
    return kv_because(err, KV_REASON_ID_TOKEN_INVALID);
}

void kv_id_token_form_cleanup(kv_id_token_form *form)
{
    json_decref(form->header);
    json_decref(form->payload);
    *form = (kv_id_token_form){ 0 };
}

static bool text_of(const json_t *object, const char *name, kv_slice *out)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return false;
    *out = kv_slice_of(json_string_value(value), json_string_length(value));
    return true;
}

/* --- form --- */

static json_t *object_of(kv_slice part, kv_arena *arena)
{
    kv_error ignored = { 0 };
    json_error_t where;
    kv_slice json;
    json_t *object;

    if (kv_unbase64url(arena, part, &json, &ignored) != KV_OK)
        return NULL;
    object = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

/* A logout token, a security event, a request object and the like are signed by the same keys. */
static bool is_type_of_a_caller(const json_t *header)
{
    static const char *const types[] = { "JWT", "at+jwt", "application/at+jwt", "application/jwt" };
    kv_slice type;

    if (!json_object_get(header, "typ"))
        return true;
    if (!text_of(header, "typ", &type))
        return false;
    for (unsigned i = 0; i < KV_COUNT(types); i++)
        if (kv_text_equal_nocase(type, kv_slice_text(types[i])))
            return true;
    return false;
}

static const char *read_header(kv_id_token_form *form)
{
    /* Extensions that would change what is signed or who is trusted. */
    static const char *const forbidden[] = { "crit", "jwk", "jku", "x5u", "b64", "zip", "enc" };
    kv_slice algorithm;

    for (unsigned i = 0; i < KV_COUNT(forbidden); i++)
        if (json_object_get(form->header, forbidden[i]))
            return "its header holds an extension that is not allowed";
    if (!is_type_of_a_caller(form->header))
        return "its type (typ) is of another purpose";
    if (!text_of(form->header, "alg", &algorithm))
        return "its header has no algorithm (alg)";
    form->algorithm = kv_jws_algorithm_find(algorithm);
    if (!form->algorithm)
        return "its algorithm (alg) is not one that is trusted";
    if (!text_of(form->header, "kid", &form->kid) || !form->kid.len || form->kid.len > KV_KID_BYTES)
        return "its header names no key (kid)";
    return NULL;
}

kv_status kv_id_token_open(kv_slice text, kv_arena *arena, kv_id_token_form *out, kv_error *err)
{
    KV_AUTO(kv_id_token_form) form = { 0 };
    kv_error ignored = { 0 };
    kv_slice parts[3];
    const char *wrong;

    if (text.len == 0 || text.len > KV_ID_TOKEN_BYTES)
        return refuse(err, "it is longer than 16384 bytes, or empty");
    if (!kv_jws_split(text, parts))
        return refuse(err, "it is no signed JWT of three parts");
    form.header = object_of(parts[0], arena);
    form.payload = object_of(parts[1], arena);
    if (!form.header || !form.payload ||
        kv_unbase64url(arena, parts[2], &form.signature, &ignored) != KV_OK)
        return refuse(err, "it is no base64url of JSON objects without duplicates");
    form.signed_part = kv_slice_of(text.data, parts[0].len + 1 + parts[1].len);
    wrong = read_header(&form);
    if (wrong)
        return refuse(err, wrong);
    if (!text_of(form.payload, "iss", &form.issuer))
        return refuse(err, "it names no issuer (iss)");
    *out = form;
    form = (kv_id_token_form){ 0 };
    return KV_OK;
}

/* --- claims --- */

/* Seconds since 1970, a fraction allowed (RFC 7519, NumericDate). */
static bool time_of(const json_t *payload, const char *name, int64_t *out_ms)
{
    const json_t *value = json_object_get(payload, name);
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds >= 0 && seconds < 8.64e12))
        return false;
    *out_ms = (int64_t)(seconds * 1000);
    return true;
}

static const char *check_times(const json_t *payload, int64_t leeway_ms, int64_t now_ms)
{
    int64_t issued, expires, from;

    if (!time_of(payload, "exp", &expires) || !time_of(payload, "iat", &issued))
        return "it does not say when it was issued and ends (iat, exp)";
    if (now_ms - leeway_ms >= expires)
        return "it has expired (exp)";
    if (issued > now_ms + leeway_ms)
        return "it was issued in the future (iat)";
    if (!json_object_get(payload, "nbf"))
        return NULL;
    if (!time_of(payload, "nbf", &from))
        return "its beginning (nbf) is no time";
    return from > now_ms + leeway_ms ? "it is not valid yet (nbf)" : NULL;
}

static bool is_text(const json_t *value, kv_slice expected)
{
    return json_is_string(value) &&
           kv_slice_equal(kv_slice_of(json_string_value(value), json_string_length(value)),
                          expected);
}

static const char *check_audience(const json_t *payload, kv_slice audience)
{
    const json_t *aud = json_object_get(payload, "aud");
    bool found = is_text(aud, audience);

    if (json_array_size(aud) > AUDIENCES)
        return "it has too many audiences (aud)";
    for (size_t i = 0; i < json_array_size(aud); i++)
        found = found || is_text(json_array_get(aud, i), audience);
    if (!found)
        return "it is for another audience (aud)";
    if (json_array_size(aud) > 1 && !is_text(json_object_get(payload, "azp"), audience))
        return "it has several audiences and was not issued to this one (azp)";
    return NULL;
}

/* RFC 8705: whoever stole a token that is bound to a certificate cannot use it with another. Other
 * bindings would have to be proved in ways that this protocol does not have. */
static const char *check_binding(const json_t *payload, const uint8_t thumbprint[32])
{
    const json_t *confirmation = json_object_get(payload, "cnf");
    KV_AUTO(kv_arena) scratch = KV_ARENA(1024);
    kv_error ignored = { 0 };
    kv_slice expected;

    if (!confirmation)
        return NULL;
    if (kv_base64url(&scratch, kv_slice_of(thumbprint, 32), &expected, &ignored) == KV_OK &&
        is_text(json_object_get(confirmation, "x5t#S256"), expected))
        return NULL;
    return "it is bound to another key (cnf)";
}

static const char *check_claims(const json_t *payload, const kv_id_token_rules *rules,
                                const uint8_t thumbprint[32], int64_t now_ms)
{
    const char *wrong;
    kv_slice subject;

    if (!is_text(json_object_get(payload, "iss"), rules->issuer))
        return "it is of another issuer (iss)";
    if (!text_of(payload, "sub", &subject) || !subject.len || subject.len > SUBJECT_BYTES)
        return "it names no subject (sub)";
    if (json_object_get(payload, "events"))
        return "it is an event, not somebody's token (events)";
    wrong = check_audience(payload, rules->audience);
    if (!wrong)
        wrong = check_times(payload, rules->leeway_ms, now_ms);
    return wrong ? wrong : check_binding(payload, thumbprint);
}

/* --- who it is --- */

static void add_value(kv_id_token *token, unsigned claim, const json_t *value)
{
    kv_slice text;

    if (!json_is_string(value))
        return;
    text = kv_slice_of(json_string_value(value), json_string_length(value));
    if (text.len && text.len <= KV_ID_VALUE_BYTES && kv_text_printable(text))
        token->values[token->count++] = (kv_id_value){ .claim = claim, .text = text };
}

/* Anybody can give somebody else's address to a provider that does not ask the owner. */
static bool counts(const json_t *payload, const char *claim)
{
    return strcmp(claim, "email") != 0 || json_is_true(json_object_get(payload, "email_verified"));
}

static kv_status add_values(const json_t *payload, unsigned claim, const char *name,
                            kv_id_token *token, kv_error *err)
{
    const json_t *value = json_object_get(payload, name);

    if (!value || !counts(payload, name))
        return KV_OK;
    if (json_array_size(value) > KV_ID_VALUES)
        return refuse(err, "a claim that is mapped lists too many values");
    add_value(token, claim, value);
    for (size_t i = 0; i < json_array_size(value); i++)
        add_value(token, claim, json_array_get(value, i));
    return KV_OK;
}

static kv_status read_values(const json_t *payload, const kv_id_token_rules *rules, kv_arena *arena,
                             kv_id_token *out, kv_error *err)
{
    kv_id_token token = { .values = kv_arena_array(arena, (KV_ID_VALUES + 1) * KV_ID_CLAIMS,
                                                   sizeof(*token.values)) };

    if (!token.values)
        return kv_arena_full(err);
    for (unsigned i = 0; i < rules->claim_count; i++) {
        const char *name;

        KV_TRY(kv_arena_text(arena, rules->claims[i], &name, err));
        KV_TRY(add_values(payload, i, name, &token, err));
    }
    for (unsigned i = 0; i < token.count; i++)
        KV_TRY(kv_arena_copy(arena, token.values[i].text, &token.values[i].text, err));
    *out = token;
    return KV_OK;
}

static bool is_trusted(const kv_id_token_rules *rules, const kv_jws_algorithm *algorithm)
{
    for (unsigned i = 0; i < rules->algorithm_count; i++)
        if (rules->algorithms[i] == algorithm)
            return true;
    return false;
}

kv_status kv_id_token_check(const kv_id_token_form *form, const kv_id_token_rules *rules,
                            const kv_jwks *keys, const uint8_t thumbprint[32], int64_t now_ms,
                            kv_arena *arena, kv_id_token *out, bool *unknown_key, kv_error *err)
{
    EVP_PKEY *key;
    const char *wrong;

    *unknown_key = false;
    if (!is_trusted(rules, form->algorithm))
        return refuse(err, "its algorithm (alg) is not one that is trusted");
    key = kv_jwks_find(keys, form->kid, form->algorithm);
    if (!key) {
        *unknown_key = true;
        return refuse(err, "no key of the identity provider is called so (kid)");
    }
    if (!kv_jws_verify(key, form->algorithm, form->signed_part, form->signature))
        return refuse(err, "its signature does not hold");
    wrong = check_claims(form->payload, rules, thumbprint, now_ms);
    if (wrong)
        return refuse(err, wrong);
    return read_values(form->payload, rules, arena, out, err);
}
