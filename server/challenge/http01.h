/* http01.h - http-01 (RFC 8555 section 8.3): the authority reads a page of the name.
 *
 * The page is on the board; whoever serves plain HTTP asks for it by the token in its path. The
 * name itself is not looked at: an authority follows redirects, so one server can answer for many.
 */
#pragma once

#include "server/challenge/board.h"
#include "server/challenge/challenge.h"

#define KV_HTTP01_PATH "/.well-known/acme-challenge/"

typedef struct kv_http01 {
    const kv_challenge_board *board; /* borrowed; its functions are set before the first proof */
} kv_http01;

/* Its context is a kv_http01. */
extern const kv_challenge kv_challenge_http01;

/* The page, in the arena. KV_NOT_FOUND for a token that is not asked for, or is none. */
kv_status kv_http01_page(const kv_http01 *http01, kv_slice token, kv_arena *arena, kv_slice *out,
                         kv_error *err) KV_MUST_USE;
