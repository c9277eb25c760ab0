/* token_import.h - keys that were made elsewhere come onto the token.
 *
 * An imported key is sensitive and pinned like one that was born here, but the token says for ever
 * that it is not local and was extractable. It is tried with an operation of its class, and
 * compared with its public key, before it is put on the token.
 *
 * Slow, like births. Errors of both: as kv_token_key_generate.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/token_key.h"
#include "server/base/secret_buf.h"

enum { KV_IMPORT_MAX = 4096, KV_BYOK_MAX = 8192 }; /* bytes */

/* What kind of key a PKCS#8 structure (DER, not encrypted) holds, and its public key, in `arena`;
 * the key is checked for consistency. KV_BAD_REQUEST with field "key": not PKCS#8, more than one
 * structure, not one of our kinds, inconsistent, or an RSA exponent that is even or under 3. */
kv_status kv_private_key_inspect(const kv_secret_buf *pkcs8, kv_arena *arena, kv_key_kind *kind,
                                 kv_slice *spki, kv_error *err) KV_MUST_USE;

/* Imports `material`: PKCS#8 for RSA, EC and Ed25519, the bytes themselves for AES and HMAC.
 * `spki` may be empty; if not, it is the public key that the key must have. RSA and EC keys are
 * unwrapped under an AES key that lives for this call; Ed25519 and secret keys, which tokens do not
 * unwrap with all their attributes, are created. The caller wipes `material` (kv_secret_buf does);
 * nothing of it stays elsewhere. spec->exportable is obeyed as at births, with the same seal.
 * KV_BAD_REQUEST with field "key" as above, and when kind, length or public key is another. */
kv_status kv_token_key_import(kv_token *token, const kv_key_spec *spec,
                              const kv_secret_buf *material, kv_slice spki, kv_arena *arena,
                              kv_key_born *out, kv_error *err) KV_MUST_USE;

/* Imports an RSA or EC key that was wrapped for `exchange`, a key of KV_CLASS_EXCHANGE:
 * RSA-OAEP (SHA-1) of an AES-256 key || AES-KWP of the PKCS#8 under it. Both steps happen on the
 * token: neither key is ever in this process's own memory. Never exportable. `spki` is the public
 * key that the key must have: needed for EC, for RSA it may be empty (the token tells it).
 * KV_BAD_REQUEST, always with the same message and field "key_hsm", whichever step fails;
 * KV_BAD_REQUEST with field "kty" for other kinds, "key" when kind or public key is another. */
kv_status kv_token_key_import_byok(kv_token *token, const kv_key_spec *spec,
                                   const kv_key_ref *exchange, kv_slice blob, kv_slice spki,
                                   kv_arena *arena, kv_key_born *out, kv_error *err) KV_MUST_USE;
