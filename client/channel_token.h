/* channel_token.h - which role tokens were shown whole on a connection. Private to client/.
 *
 * Threads: the channel's own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/front/grpc/buffer.h"

typedef struct kv_channel_op kv_channel_op;

enum { KV_LINK_TOKENS = 4, KV_TOKEN_DIGEST_TEXT = 45 };

typedef struct kv_shown_token {
    kv_buffer token;
    uint64_t serial; /* 0: none */
    bool accepted;
    char digest[KV_TOKEN_DIGEST_TEXT]; /* its short form, a C string */
} kv_shown_token;

/* Zeroed: none. */
typedef struct kv_shown_tokens {
    kv_shown_token list[KV_LINK_TOKENS];
    uint64_t count;    /* so far */
    unsigned refusals; /* of digests */
} kv_shown_tokens;

/* What to send as the op's credential: itself, or the digest of it when the server has accepted it
 * here. Borrowed from the op or from `shown`. */
kv_slice kv_shown_credential(kv_shown_tokens *shown, kv_channel_op *op);
/* How the op ended there. */
void kv_shown_judged(kv_shown_tokens *shown, const kv_channel_op *op, int code);
/* Wipes. */
void kv_shown_tokens_cleanup(kv_shown_tokens *shown);
