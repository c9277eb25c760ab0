/* token_aes.h - encryption by application AES keys on the token.
 *
 * GCM takes no IV from the caller: 12 random bytes of the token, and a tag of 16 bytes, always.
 * CBC is not authenticated and off unless the caller says `allow_weak`.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/token_cipher.h"

enum { KV_CBC_IV_BYTES = 16, KV_CBC_BLOCK = 16, KV_CBC_PLAINTEXT_MAX = KV_GCM_PLAINTEXT_MAX };

typedef struct kv_sealed {
    kv_slice iv;
    kv_slice ciphertext;
    kv_slice tag; /* empty for CBC */
} kv_sealed;

/* Encrypts with a key of KV_CLASS_CIPHER; `out` lives in `arena`. `iv` must be empty for GCM; for
 * CBC it is 16 bytes, or empty: then the token chooses.
 * Errors: KV_BAD_REQUEST with field "alg" (see kv_encryption_check), "key" (another class), "iv",
 * "aad" (too long, or given for CBC) or "plaintext" (too long; CBC: not whole blocks). Else as
 * token_cipher.h. */
kv_status kv_token_aes_encrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, kv_slice plaintext, kv_slice iv, kv_slice aad,
                               kv_arena *arena, kv_sealed *out, kv_error *err) KV_MUST_USE;

/* The way back. KV_BAD_REQUEST, always with the same message and no field, when a length is wrong,
 * the tag or the padding is, or the key or `aad` is another one; nothing is written then. */
kv_status kv_token_aes_decrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, const kv_sealed *in, kv_slice aad,
                               kv_secret_buf *out, kv_error *err) KV_MUST_USE;
