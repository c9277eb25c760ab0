/* token_sign.h - signatures by keys on the token: the hot path.
 *
 * One hash lookup under a short lock, then C_SignInit and C_Sign in the thread's own session.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/key.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/tokens.h"

/* Signs a digest of exactly alg->digest_len bytes (EdDSA: the message itself, at most
 * KV_EDDSA_MESSAGE_MAX bytes) with a key of KV_CLASS_SIGN or KV_CLASS_SEAL.
 * `*len` holds the room in `signature` before (KV_SIGNATURE_MAX always suffices) and the bytes
 * written after: RSA as long as the modulus, ECDSA r||s, EdDSA 64 bytes.
 * Errors: KV_BAD_REQUEST (field "digest": wrong length; field "alg": does not fit the key),
 * KV_NOT_FOUND (no such key on the token), KV_INTERNAL with KV_REASON_INTEGRITY (the key with this
 * id is not the one of key->spki), KV_UNSUPPORTED with KV_REASON_NOT_SUPPORTED_BY_TOKEN,
 * KV_UNAVAILABLE with KV_REASON_TOKEN_UNAVAILABLE. */
kv_status kv_token_sign(kv_token *token, const kv_key_ref *key, const kv_mechanism *alg,
                        kv_slice digest, uint8_t *signature, size_t *len,
                        kv_error *err) KV_MUST_USE;
