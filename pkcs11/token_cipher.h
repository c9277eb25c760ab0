/* token_cipher.h - AES-256-GCM of the server's secrets, HMACs and random bytes of the token.
 *
 * Errors of every function: KV_NOT_FOUND (no such key), KV_UNSUPPORTED with
 * KV_REASON_NOT_SUPPORTED_BY_TOKEN, KV_UNAVAILABLE with KV_REASON_TOKEN_UNAVAILABLE.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/tokens.h"
#include "server/base/arena.h"
#include "server/base/secret_buf.h"

enum {
    KV_GCM_IV_BYTES = 12,
    KV_GCM_TAG_BYTES = 16,
    KV_GCM_OVERHEAD = KV_GCM_IV_BYTES + KV_GCM_TAG_BYTES,
    KV_GCM_PLAINTEXT_MAX = 1 << 20, /* bytes */
    KV_GCM_AAD_MAX = 64 * 1024,     /* bytes */
    KV_MAC_BYTES = 32
};

/* Encrypts with a key of KV_CLASS_SECRET: IV (12 random bytes) || ciphertext || tag (16 bytes), in
 * `arena`. Both `plaintext` and `aad` may be empty. KV_BAD_REQUEST past the limits. */
kv_status kv_token_encrypt(kv_token *token, const kv_key_ref *key, kv_slice plaintext, kv_slice aad,
                           kv_arena *arena, kv_slice *out, kv_error *err) KV_MUST_USE;

/* The way back. KV_BAD_REQUEST, always with the same message, when `sealed` is too short, was
 * changed, or belongs to another key or `aad`; nothing is written then. */
kv_status kv_token_decrypt(kv_token *token, const kv_key_ref *key, kv_slice sealed, kv_slice aad,
                           kv_secret_buf *out, kv_error *err) KV_MUST_USE;

/* HMAC-SHA256 with a key of KV_CLASS_MAC and kind HMAC-256. */
kv_status kv_token_mac(kv_token *token, const kv_key_ref *key, kv_slice message,
                       uint8_t out[KV_MAC_BYTES], kv_error *err) KV_MUST_USE;

/* HS256, HS384 or HS512 with a key of KV_CLASS_MAC and of the kind of `alg`; `out` has room for
 * alg->len bytes. KV_BAD_REQUEST with field "key" or "alg" when it is of another class or kind. */
enum { KV_HMAC_MAX = 64 };
kv_status kv_token_hmac(kv_token *token, const kv_key_ref *key, const kv_mac_algorithm *alg,
                        kv_slice message, uint8_t *out, kv_error *err) KV_MUST_USE;
/* Compares in constant time; a MAC of another length is not valid and not an error. */
kv_status kv_token_hmac_verify(kv_token *token, const kv_key_ref *key, const kv_mac_algorithm *alg,
                               kv_slice message, kv_slice mac, bool *valid,
                               kv_error *err) KV_MUST_USE;

kv_status kv_token_random(kv_token *token, uint8_t *out, size_t len, kv_error *err) KV_MUST_USE;
