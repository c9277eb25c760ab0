/* throttle.h - how many calls a caller may have at once, and how many a second.
 *
 * A call is counted when its message is complete, before a worker sees it, so a refused one costs
 * next to nothing. It counts for the principal that its client certificate was last identified as.
 * A certificate that nobody has identified yet, or none, is a stranger's: that counts for the
 * address, and an address whose strangers fail to be identified too often has to wait. Strangers
 * get half of all places and half of the rate at most, whoever is known is not in their way.
 *
 * Calls whose arena is on the locked heap take their share of three quarters of it when they begin,
 * for they may wait long: a principal has half of that at most, strangers together half, those of
 * one address a quarter. The rest of the heap is for PINs, and what a call takes for moments.
 *
 * A refusal says when to come back: not everybody at the same moment, but one after the other as
 * the rate lets them in.
 *
 * The memory is bounded: certificates and addresses past the limit of the table share one account,
 * or are learned again.
 *
 * Threads: any; locked inside, for moments only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

enum { KV_THROTTLE_KEY_BYTES = 32 };

typedef struct kv_throttle kv_throttle;
typedef struct kv_throttle_account kv_throttle_account;

typedef struct kv_throttle_limits {
    unsigned calls;               /* at once, in all; 0: no limit, as for all that follow */
    unsigned calls_per_principal; /* at once */
    unsigned rate;                /* calls a second, in all */
    unsigned rate_per_principal;
    unsigned burst_seconds;     /* a rate that was not used is saved for so long; 0 means 1 */
    unsigned failures_per_peer; /* calls a second of one address that cannot be identified; saved
                                   for ten seconds */
    uint64_t locked_bytes;      /* of the locked heap; not tuned */
} kv_throttle_limits;

/* A call that was let in. All zero: none. */
typedef struct kv_throttle_turn {
    kv_throttle_account *account; /* borrowed until kv_throttle_leave(); NULL: not counted */
    uint64_t locked;              /* bytes taken with kv_throttle_lock() */
    /* Whose it is, for the fair queue: a digest of the address, or the principal's id and zeros. */
    uint8_t key[KV_THROTTLE_KEY_BYTES];
} kv_throttle_turn;

/* KV_UNAVAILABLE when out of memory. */
kv_status kv_throttle_new(const kv_throttle_limits *limits, kv_throttle **out,
                          kv_error *err) KV_MUST_USE;
/* Every turn has been left. NULL is fine. */
void kv_throttle_free(kv_throttle *throttle);
/* New limits, for calls that begin from now on. */
void kv_throttle_tune(kv_throttle *throttle, const kv_throttle_limits *limits);

/* A call begins. `certificate` is the thumbprint, or NULL; `address` a digest of the peer's.
 * `endless`: it has no end of its own and is limited elsewhere, so only the rate counts.
 * KV_BUSY with KV_REASON_LIMIT_REACHED and retry_ms. */
kv_status kv_throttle_enter(kv_throttle *throttle, const uint8_t *certificate,
                            const uint8_t address[KV_THROTTLE_KEY_BYTES], bool endless,
                            int64_t now_us, kv_throttle_turn *out, kv_error *err) KV_MUST_USE;
/* It needs so many bytes of the locked heap until it leaves; once for a turn. KV_BUSY as above, and
 * without retry_ms when no call has so many: the turn stays, without them. */
kv_status kv_throttle_lock(kv_throttle *throttle, kv_throttle_turn *turn, uint64_t bytes,
                           kv_error *err) KV_MUST_USE;
/* Whom the certificate was last identified as. False: nobody, or it was forgotten. */
bool kv_throttle_knows(kv_throttle *throttle, const uint8_t certificate[KV_THROTTLE_KEY_BYTES],
                       uint8_t principal[16]);
/* And has ended. The turn is zero afterwards. */
void kv_throttle_leave(kv_throttle *throttle, kv_throttle_turn *turn);

/* The certificate was identified as this principal's: its next calls are counted so. */
void kv_throttle_learn(kv_throttle *throttle, const uint8_t certificate[KV_THROTTLE_KEY_BYTES],
                       const uint8_t principal[16]);
/* It is nobody's, or there is none (NULL): the address is charged. */
void kv_throttle_failed(kv_throttle *throttle, const uint8_t *certificate,
                        const uint8_t address[KV_THROTTLE_KEY_BYTES], int64_t now_us);

/* Whose calls are these? The key of a principal, to compare with a turn's. */
void kv_throttle_key_of(const uint8_t principal[16], uint8_t out[KV_THROTTLE_KEY_BYTES]);
