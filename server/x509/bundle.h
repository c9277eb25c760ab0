/* bundle.h - chains of certificates in the forms that programs read.
 *
 * A chain is a list of DER certificates, the leaf first, at most KV_X509_CHAIN_MAX of them.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/x509/policy.h"

enum { KV_X509_CHAIN_MAX = 20 };

/* All fail with KV_BAD_REQUEST for a chain that is empty, too long or not of certificates. */

/* PEM blocks in the order of the chain, LF line ends. */
kv_status kv_x509_chain_pem(kv_arena *arena, kv_x509_list chain, kv_slice *out,
                            kv_error *err) KV_MUST_USE;
/* A certs-only SignedData of PKCS#7, DER (a .p7b file). */
kv_status kv_x509_chain_pkcs7(kv_arena *arena, kv_x509_list chain, kv_slice *out,
                              kv_error *err) KV_MUST_USE;
/* The same with PEM armour ("PKCS7"). */
kv_status kv_x509_chain_pkcs7_pem(kv_arena *arena, kv_x509_list chain, kv_slice *out,
                                  kv_error *err) KV_MUST_USE;

/* The value of a secret of type application/x-pem-file: the private key first (PKCS#8,
 * "PRIVATE KEY"), then the chain. `key` is PKCS#8 in DER; empty: the chain alone.
 * KV_INTERNAL when the key is not the leaf's. */
kv_status kv_x509_secret_pem(kv_x509_list chain, kv_slice key, kv_secret_buf *out,
                             kv_error *err) KV_MUST_USE;
/* The same for certificates in the order in which somebody imported them: the leaf is any of them.
 */
kv_status kv_x509_secret_pem_as_given(kv_x509_list given, kv_slice key, kv_secret_buf *out,
                                      kv_error *err) KV_MUST_USE;
