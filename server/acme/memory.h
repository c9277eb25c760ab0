/* memory.h - what is remembered between visits to authorities: nonces, and who wants to be left
 * alone until when. It is lost with the process, which costs a request.
 *
 * Threads: any.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_ACME_NONCE_MOST = 255,
    KV_ACME_NONCE_ROOM = KV_ACME_NONCE_MOST + 1,
    KV_ACME_WORDS_KEPT = 1024
};

typedef struct kv_acme_memory kv_acme_memory;

/* KV_BUSY out of memory. */
kv_status kv_acme_memory_new(kv_acme_memory **out, kv_error *err) KV_MUST_USE;
void kv_acme_memory_free(kv_acme_memory *memory);

/* Functions below do nothing without a memory (NULL). */

/* `server` is the URL of its directory. The newest nonce; it is given once. False: there is none.
 */
bool kv_acme_nonce_take(kv_acme_memory *memory, kv_slice server, char nonce[KV_ACME_NONCE_ROOM]);
/* What is no base64url of 1 to KV_ACME_NONCE_MOST bytes is not kept. */
void kv_acme_nonce_put(kv_acme_memory *memory, kv_slice server, kv_slice nonce);
bool kv_acme_nonce_good(kv_slice nonce);

/* Nothing of the account `spki` at the server before then (wall time). Of several the longest
 * counts. `words` are the server's; of more than KV_ACME_WORDS_KEPT bytes none are kept. */
void kv_acme_pause(kv_acme_memory *memory, kv_slice server, kv_slice spki, int64_t until_ms,
                   kv_slice words);
/* Milliseconds from now on; 0: it may be asked. `words` in the arena; empty: nobody knows them any
 * more. */
int64_t kv_acme_paused(kv_acme_memory *memory, kv_slice server, kv_slice spki, int64_t now_ms,
                       kv_arena *arena, kv_slice *words);
