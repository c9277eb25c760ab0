/* private_key.h - private keys in software, for the short time of an import or an export.
 *
 * OpenSSL wipes the numbers of an EVP_PKEY when it is freed.
 */
#pragma once

#include <openssl/evp.h>

#include "pkcs11/key.h"
#include "server/base/arena.h"
#include "server/base/secret_buf.h"

/* KV_AUTO(kv_private_key) key = NULL; */
typedef EVP_PKEY *kv_private_key;
void kv_private_key_cleanup(kv_private_key *key);

/* Errors as kv_private_key_inspect. */
kv_status kv_private_key_read(const kv_secret_buf *pkcs8, kv_private_key *out, kv_key_kind *kind,
                              kv_error *err) KV_MUST_USE;
/* PKCS#8, DER, as strict readers want it. */
kv_status kv_private_key_encode(EVP_PKEY *key, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
/* SubjectPublicKeyInfo, DER. */
kv_status kv_private_key_public(EVP_PKEY *key, kv_arena *arena, kv_slice *spki,
                                kv_error *err) KV_MUST_USE;
