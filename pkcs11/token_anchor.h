/* token_anchor.h - a few bytes kept on the token itself, newest value only.
 *
 * An anchor is a private data object. Writing creates the new object, syncs, and then destroys the
 * old ones, so a kill leaves one or two and never none; reading takes the newest by a counter that
 * is part of the object.
 *
 * Threads: any worker; writes to one token take turns. Costs a search of the token (15 us an
 * object on SoftHSM): not for hot paths.
 */
#pragma once

#include <stdint.h>

#include "pkcs11/tokens.h"
#include "server/base/arena.h"

enum { KV_ANCHOR_MAX = 4096, KV_ANCHOR_NAME_MAX = 64 };

typedef struct kv_anchor {
    kv_slice value;   /* in the caller's arena */
    uint64_t counter; /* 1 for the first write, one more for each */
    unsigned objects; /* how many were found; 2 after a kill between create and destroy */
} kv_anchor;

/* `name`: 1 to KV_ANCHOR_NAME_MAX bytes; `value`: at most KV_ANCHOR_MAX bytes. */
kv_status kv_token_anchor_write(kv_token *token, kv_slice name, kv_slice value,
                                kv_error *err) KV_MUST_USE;
/* KV_NOT_FOUND when there is none; KV_INTERNAL with KV_REASON_INTEGRITY when there is one that is
 * not well formed. */
kv_status kv_token_anchor_read(kv_token *token, kv_slice name, kv_arena *arena, kv_anchor *out,
                               kv_error *err) KV_MUST_USE;
/* Destroys all of this name; KV_OK too when there is none. */
kv_status kv_token_anchor_destroy(kv_token *token, kv_slice name, kv_error *err) KV_MUST_USE;
