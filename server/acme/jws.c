/* jws.c - JSON Web Signatures as ACME wants them. */
#include "server/acme/jws.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "server/acme/json.h"
#include "server/base/text.h"

enum { COORDINATE = 32, MAC_BYTES = 32, MAC_KEY_LEAST = 16, MAC_KEY_MOST = 4096 };

/* Of a P-256 key with an uncompressed point: what stands before x and y. */
static const uint8_t before_point[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

kv_status kv_acme_jwk(kv_arena *arena, kv_slice spki, kv_slice *out, kv_error *err)
{
    size_t head = sizeof(before_point);
    kv_slice x, y;

    if (spki.len != head + 2 * COORDINATE || memcmp(spki.data, before_point, head) != 0)
        return kv_fail(err, KV_INTERNAL, "an account key is not a P-256 key");
    KV_TRY(kv_base64url(arena, kv_slice_of(spki.data + head, COORDINATE), &x, err));
    KV_TRY(kv_base64url(arena, kv_slice_of(spki.data + head + COORDINATE, COORDINATE), &y, err));
    return kv_arena_print(arena, out, err,
                          "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                          KV_SLICE_ARG(x), KV_SLICE_ARG(y));
}

static kv_status sha256(kv_slice bytes, uint8_t out[KV_ACME_DIGEST_BYTES], kv_error *err)
{
    if (EVP_Digest(bytes.data, bytes.len, out, NULL, EVP_sha256(), NULL) != 1)
        return kv_fail(err, KV_INTERNAL, "SHA-256 does not work");
    return KV_OK;
}

kv_status kv_acme_thumbprint(kv_arena *arena, kv_slice spki, kv_slice *out, kv_error *err)
{
    uint8_t digest[KV_ACME_DIGEST_BYTES];
    kv_slice jwk;

    KV_TRY(kv_acme_jwk(arena, spki, &jwk, err));
    KV_TRY(sha256(jwk, digest, err));
    return kv_base64url(arena, kv_slice_of(digest, sizeof(digest)), out, err);
}

static int set_text(json_t *object, const char *name, kv_slice text)
{
    return json_object_set_new(object, name, json_stringn((const char *)text.data, text.len));
}

/* A header in base64url. `jwk` or `kid`: the other is empty. */
static kv_status header_of(kv_arena *arena, const char *alg, kv_slice jwk, const kv_acme_signed *in,
                           kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_acme_json) header = json_object();
    kv_slice text;

    if (!header || json_object_set_new(header, "alg", json_string(alg)) != 0 ||
        (in->nonce.len && set_text(header, "nonce", in->nonce) != 0) ||
        set_text(header, "url", in->url) != 0 ||
        (in->kid.len && set_text(header, "kid", in->kid) != 0) ||
        (jwk.len && json_object_set_new(header, "jwk", kv_acme_parse(jwk)) != 0))
        return kv_fail(err, KV_BAD_REQUEST, "a message to the authority cannot be written");
    KV_TRY(kv_acme_print(arena, header, &text, err));
    return kv_base64url(arena, text, out, err);
}

typedef struct parts {
    kv_slice header;
    kv_slice payload;
    kv_slice signature;
} parts;

/* The three in one object; nothing in them needs escaping. */
static kv_status join(kv_arena *arena, const parts *of, kv_slice *out, kv_error *err)
{
    return kv_arena_print(
        arena, out, err, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%.*s\"}",
        KV_SLICE_ARG(of->header), KV_SLICE_ARG(of->payload), KV_SLICE_ARG(of->signature));
}

kv_status kv_acme_sign(kv_arena *arena, const kv_acme_signed *in, kv_slice *out, kv_error *err)
{
    uint8_t digest[KV_ACME_DIGEST_BYTES], signature[KV_ACME_SIGNATURE_BYTES];
    kv_slice jwk = KV_SLICE_NONE, text;
    parts of = { 0 };

    if (!in->kid.len)
        KV_TRY(kv_acme_jwk(arena, in->key->spki, &jwk, err));
    KV_TRY(header_of(arena, "ES256", jwk, in, &of.header, err));
    KV_TRY(kv_base64url(arena, in->payload, &of.payload, err));
    KV_TRY(kv_arena_print(arena, &text, err, "%.*s.%.*s", KV_SLICE_ARG(of.header),
                          KV_SLICE_ARG(of.payload)));
    KV_TRY(sha256(text, digest, err));
    KV_TRY(in->key->sign(in->key->context, digest, signature, err));
    KV_TRY(kv_base64url(arena, kv_slice_of(signature, sizeof(signature)), &of.signature, err));
    return join(arena, &of, out, err);
}

kv_status kv_acme_bind(kv_arena *arena, const kv_acme_binding *binding, kv_slice url, kv_slice spki,
                       kv_slice *out, kv_error *err)
{
    kv_acme_signed in = { .kid = binding->kid, .url = url };
    uint8_t mac[MAC_BYTES];
    unsigned len = sizeof(mac);
    kv_slice text;
    parts of = { 0 };

    KV_TRY(kv_acme_jwk(arena, spki, &in.payload, err));
    KV_TRY(header_of(arena, "HS256", KV_SLICE_NONE, &in, &of.header, err));
    KV_TRY(kv_base64url(arena, in.payload, &of.payload, err));
    KV_TRY(kv_arena_print(arena, &text, err, "%.*s.%.*s", KV_SLICE_ARG(of.header),
                          KV_SLICE_ARG(of.payload)));
    if (!HMAC(EVP_sha256(), binding->mac_key->data, (int)binding->mac_key->len, text.data, text.len,
              mac, &len))
        return kv_fail(err, KV_INTERNAL, "HMAC-SHA256 does not work");
    KV_TRY(kv_base64url(arena, kv_slice_of(mac, sizeof(mac)), &of.signature, err));
    return join(arena, &of, out, err);
}

/* --- the MAC key --- */

static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '+')
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

/* The length, or 0 for what is not base64. */
static size_t decode(kv_slice text, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.data[i]);

        if (digit < 0)
            return 0;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        out[len++] = (uint8_t)(bits >> held);
        bits &= (1U << held) - 1;
    }
    return held >= 6 || bits ? 0 : len;
}

kv_status kv_acme_mac_key(kv_slice text, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) room = KV_SECRET_NONE;
    size_t len = 0;

    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    if (text.len && text.len <= MAC_KEY_MOST) {
        KV_TRY(kv_secret_buf_new(text.len, &room, err));
        len = decode(text, room.data);
    }
    if (len < MAC_KEY_LEAST)
        return kv_fail_field(err, "credentials.pwd",
                             "must be the authority's MAC key in base64url, of 16 bytes or more");
    return kv_secret_buf_copy(kv_slice_of(room.data, len), out, err);
}
