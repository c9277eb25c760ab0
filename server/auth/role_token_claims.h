/* role_token_claims.h - the two JSON parts of a role token, shared by the files that make and
 * verify one. Nobody else includes it.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/auth/role_token.h"

/* Both give NULL, or what is wrong (static text). `*out` is written only on success. */
const char *kv_role_token_read_header(kv_slice json, char kid[KV_ROLE_TOKEN_KID_DIGITS + 1]);
const char *kv_role_token_read_claims(kv_slice json, kv_slice issuer, kv_role_token *out);
