/* token_try.h - an operation of its class with a key, by handle, to see that it works.
 *
 * Inside a job only. What a hot operation does is done here too, so a trial is the real thing.
 */
#pragma once

#include "pkcs11/encryption.h"
#include "pkcs11/token.h"
#include "server/base/arena.h"
#include "server/base/secret_buf.h"

/* C_SignInit and C_Sign by handle; `*len` as in kv_token_sign. */
kv_status kv_token_sign_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mechanism *alg,
                           kv_slice digest, uint8_t *signature, size_t *len,
                           kv_error *err) KV_MUST_USE;

/* GCM by handle: `*len` holds the room in `out` before (encryption needs in.len + KV_GCM_TAG_BYTES)
 * and, after CKR_OK, the bytes written. */
CK_RV kv_token_gcm_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, bool encrypt, const uint8_t *iv,
                      kv_slice in, kv_slice aad, uint8_t *out, size_t *len);
CK_RV kv_token_mac_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, const kv_mac_algorithm *alg,
                      kv_slice message, uint8_t *out);

/* Wraps bytes as a session object made for it; `*len` as above, `*function` names what failed. */
CK_RV kv_token_wrap_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
                       kv_slice plaintext, uint8_t *out, size_t *len, const char **function);
/* The way back. When C_UnwrapKey refuses, KV_OK with `*rv` saying why and `out` empty. */
kv_status kv_token_unwrap_by(kv_token_visit *visit, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
                             kv_slice wrapped, CK_RV *rv, kv_secret_buf *out,
                             kv_error *err) KV_MUST_USE;

/* The AES key in `sealed` (RSA-OAEP) becomes a session object that can only unwrap private keys. */
CK_RV kv_token_take_exchanged(kv_token_visit *visit, CK_OBJECT_HANDLE exchange, kv_slice sealed,
                              CK_OBJECT_HANDLE *out);

/* RSA-OAEP with SHA-1, the mechanism; `params` must outlive it. */
CK_MECHANISM kv_token_oaep(CK_RSA_PKCS_OAEP_PARAMS *params);

/* The code may mean wrong data as well as a token in trouble. */
bool kv_token_may_be_data(CK_RV rv);
/* The same code of a function that has not seen any data yet. */
CK_RV kv_token_before_data(CK_RV rv);

/* A decryption or unwrapping failed: KV_BAD_REQUEST with `message` when the token is well, so that
 * every kind of wrong data gets one answer; the token's trouble otherwise. It is tried once more in
 * another session: a fault that is over by then is not taken for wrong data. */
kv_status kv_token_not_opened(kv_token_visit *visit, CK_RV rv, const char *function,
                              const char *message, kv_error *err);
/* The same of C_UnwrapKey: the token is well only if it unwraps. */
kv_status kv_token_not_unwrapped(kv_token_visit *visit, CK_RV rv, const char *message,
                                 kv_error *err);

/* Writes whether the private key belongs to `spki`: signs something random and verifies it in
 * software; a key for decryption or exchange opens what was encrypted in software. */
kv_status kv_token_try_pair(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                            CK_OBJECT_HANDLE key, kv_slice spki, bool *good,
                            kv_error *err) KV_MUST_USE;
/* Writes whether a secret key does what its class is for. */
kv_status kv_token_try_secret(kv_token_visit *visit, kv_key_class class, kv_key_kind kind,
                              CK_OBJECT_HANDLE key, bool *good, kv_error *err) KV_MUST_USE;
