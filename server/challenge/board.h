/* board.h - where proofs stand that any server of the installation may be asked for.
 *
 * An authority asks the name, and behind it may be any of several servers that share one store. So
 * what they have to say is kept there: it is there after a crash, until it is taken down or too
 * old. None of it is secret; that nobody can put up what was not ordered is what matters.
 *
 * Threads: any that may use the store.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_challenge_notice {
    kv_slice type;  /* of the challenge */
    kv_slice asked; /* what the authority asks by: a token or a name */
    kv_slice says;  /* the key authorization */
} kv_challenge_notice;

/* The functions are those of server/vault/operations/proofs.h. */
typedef struct kv_challenge_board {
    /* The same again is fine, and so is another one of the same account: it takes its place.
     * KV_UNAVAILABLE: one of another account stands there; or the store is out of reach. */
    kv_status (*post)(void *context, const kv_challenge_notice *notice, kv_error *err);
    /* Fills `says`, in the arena. KV_NOT_FOUND: there is none, or it is too old. */
    kv_status (*find)(void *context, kv_challenge_notice *notice, kv_arena *arena, kv_error *err);
    /* Only what says the same; what is not there is gone. */
    kv_status (*remove)(void *context, const kv_challenge_notice *notice, kv_error *err);
    void *context; /* borrowed */
} kv_challenge_board;
