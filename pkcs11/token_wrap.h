/* token_wrap.h - AES key wrap of callers' bytes by application key-encryption keys.
 *
 * What is wrapped is a session object made of the caller's bytes for this one call; what is
 * unwrapped becomes one and is read. A key-encryption key can neither encrypt nor decrypt, and its
 * CKA_UNWRAP_TEMPLATE lets nothing come out of it but a generic secret; keys of the token are not
 * extractable and are never given to it.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/tokens.h"
#include "server/base/arena.h"
#include "server/base/secret_buf.h"

enum { KV_WRAP_MAX = 8192 }; /* bytes of plaintext */

/* Wraps `plaintext` with a key of KV_CLASS_WRAP, in `arena`. KW takes a multiple of 8 bytes and at
 * least 16; KWP any length from 1.
 * Errors: KV_BAD_REQUEST with field "alg", "key" or "plaintext" (length). KV_UNSUPPORTED with
 * KV_REASON_NOT_SUPPORTED_BY_TOKEN and field "plaintext" when the token cannot do KWP of a length
 * that is not a multiple of 8 (SoftHSM loses the length). Else as token_cipher.h. */
kv_status kv_token_wrap(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                        kv_slice plaintext, kv_arena *arena, kv_slice *out,
                        kv_error *err) KV_MUST_USE;

/* The way back. KV_BAD_REQUEST, always with the same message and no field, when `wrapped` has a
 * wrong length, was changed or belongs to another key or algorithm; nothing is written then. */
kv_status kv_token_unwrap(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                          kv_slice wrapped, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
