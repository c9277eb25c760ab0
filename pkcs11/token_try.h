/* token_try.h - an operation of its class with a key, by handle, to see that it works.
 *
 * Inside a job only. What a hot operation does is done here too, so a trial is the real thing.
 */
#pragma once

#include "pkcs11/token.h"
#include "server/base/arena.h"

/* C_SignInit and C_Sign by handle; `*len` as in kv_token_sign. */
kv_status kv_token_sign_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mechanism *alg,
                           kv_slice digest, uint8_t *signature, size_t *len,
                           kv_error *err) KV_MUST_USE;

/* GCM by handle: `out` has room for plaintext.len + KV_GCM_TAG_BYTES. */
CK_RV kv_token_gcm_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, bool encrypt, const uint8_t *iv,
                      kv_slice in, kv_slice aad, uint8_t *out, size_t *len);
CK_RV kv_token_mac_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, kv_slice message, uint8_t *out);

/* Writes whether the private key belongs to `spki`: signs something random and verifies it in
 * software; a decryption key is compared by its modulus. */
kv_status kv_token_try_pair(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                            CK_OBJECT_HANDLE key, kv_slice spki, bool *good,
                            kv_error *err) KV_MUST_USE;
/* Writes whether a secret key does what its class is for. */
kv_status kv_token_try_secret(kv_token_visit *visit, kv_key_class class, CK_OBJECT_HANDLE key,
                              bool *good, kv_error *err) KV_MUST_USE;
