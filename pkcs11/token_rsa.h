/* token_rsa.h - RSA decryption by keys on the token, for decrypt and for unwrap of callers' bytes.
 *
 * RSA-OAEP is the token's own. RSA-OAEP-256 and RSA1_5 are raw decryptions by the token, unpadded
 * here in constant time (the raw result never leaves this layer). Encryption is in public_key.h.
 * Threads: any worker.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/tokens.h"
#include "server/base/secret_buf.h"

/* Decrypts with a key of KV_CLASS_DECRYPT (which never signs).
 * Errors: KV_BAD_REQUEST, always with the same message and no field, when the ciphertext has the
 * wrong length, is out of range or is badly padded; nothing is written then. KV_BAD_REQUEST with
 * field "alg" (see kv_encryption_check) or "key" (another class). Else as kv_token_sign. */
kv_status kv_token_rsa_decrypt(kv_token *token, const kv_key_ref *key, const kv_encryption *alg,
                               bool allow_weak, kv_slice ciphertext, kv_secret_buf *out,
                               kv_error *err) KV_MUST_USE;
