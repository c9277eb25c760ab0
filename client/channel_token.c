/* channel_token.c - a role token is shown whole once; then its digest does.
 *
 * A server remembers the role tokens that it has verified, by digest and certificate. Whole they
 * are some 700 bytes, which HTTP/2 neither indexes nor sends uncoded: more work for both sides than
 * the rest of a small request.
 */
#include "client/channel_token.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "client/channel_private.h"
#include "server/base/secret_buf.h"

enum {
    CODE_UNAUTHENTICATED = 16,
    BASE64_BYTES = 45,
    MOST_REFUSALS = 3 /* then this server is not one that remembers */
};

static kv_shown_token *find(kv_shown_tokens *shown, kv_slice token)
{
    for (size_t i = 0; i < KV_LINK_TOKENS; i++)
        if (shown->list[i].serial && kv_slice_equal(kv_buffer_slice(&shown->list[i].token), token))
            return &shown->list[i];
    return NULL;
}

static kv_shown_token *by_serial(kv_shown_tokens *shown, uint64_t serial)
{
    for (size_t i = 0; i < KV_LINK_TOKENS; i++)
        if (serial && shown->list[i].serial == serial)
            return &shown->list[i];
    return NULL;
}

/* "~" and base64url without padding. */
static void spell_digest(kv_slice token, char out[KV_TOKEN_DIGEST_TEXT])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char text[BASE64_BYTES];
    size_t len = KV_TOKEN_DIGEST_TEXT - 2;

    (void)SHA256(token.data, token.len, digest);
    (void)EVP_EncodeBlock((uint8_t *)text, digest, sizeof(digest));
    out[0] = '~';
    for (size_t i = 0; i < len; i++)
        out[i + 1] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    out[len + 1] = '\0';
}

static void forget(kv_shown_token *one)
{
    kv_buffer_cleanup(&one->token);
    kv_wipe(one, sizeof(*one));
}

/* In the place of the one that was shown first. 0 when out of memory. */
static uint64_t note(kv_shown_tokens *shown, kv_slice token)
{
    kv_shown_token *place = &shown->list[++shown->count % KV_LINK_TOKENS];

    forget(place);
    if (!kv_buffer_add(&place->token, token))
        return 0;
    spell_digest(token, place->digest);
    place->serial = shown->count;
    return place->serial;
}

kv_slice kv_shown_credential(kv_shown_tokens *shown, kv_channel_op *op)
{
    kv_slice token = kv_buffer_slice(&op->credential);
    const kv_shown_token *one = token.len ? find(shown, token) : NULL;

    op->digest =
        one && one->accepted && op->may_shorten && !op->stream && shown->refusals < MOST_REFUSALS;
    if (op->digest) {
        op->shown = one->serial;
        return kv_slice_text(one->digest);
    }
    if (token.len)
        op->shown = one ? one->serial : note(shown, token);
    return token;
}

void kv_shown_judged(kv_shown_tokens *shown, const kv_channel_op *op, int code)
{
    kv_shown_token *one = by_serial(shown, op->shown);

    if (!one)
        return;
    if (!op->digest && code == 0)
        one->accepted = true;
    if (op->digest && code == CODE_UNAUTHENTICATED) {
        one->accepted = false;
        shown->refusals++;
    }
}

void kv_shown_tokens_cleanup(kv_shown_tokens *shown)
{
    for (size_t i = 0; i < KV_LINK_TOKENS; i++)
        forget(&shown->list[i]);
}
