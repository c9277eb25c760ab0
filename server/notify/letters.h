/* letters.h - events in words that people read.
 *
 * An event comes as the JSON of CloudEvents that webhooks get, so people and programs are told the
 * same.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* Is an event of this type (and cause) mailed at all? What somebody has just done himself is not.
 */
bool kv_letter_wanted(kv_slice type, kv_slice cause);
/* Does it ask a person to do something, with a request to take along? Such a mail waits for no
 * digest and is never put together with others. */
bool kv_letter_urgent(kv_slice type);

/* One line: "www in shop expires on 2026-12-24". KV_BAD_REQUEST: not such JSON. */
kv_status kv_letter_line(kv_arena *arena, kv_slice event, kv_slice *out, kv_error *err) KV_MUST_USE;

typedef struct kv_letter_text {
    kv_slice subject;
    kv_slice text;
} kv_letter_text;

/* A mail about one event; `csr`: a certificate request (DER) that goes along, or empty. */
kv_status kv_letter_of_one(kv_arena *arena, kv_slice event, kv_slice csr, kv_letter_text *out,
                           kv_error *err) KV_MUST_USE;
/* A mail about several, oldest first; `left_out` more are not in it. */
kv_status kv_letter_of_many(kv_arena *arena, kv_slice vault, const kv_slice *events, size_t count,
                            size_t left_out, kv_letter_text *out, kv_error *err) KV_MUST_USE;
