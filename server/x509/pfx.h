/* pfx.h - PKCS#12 files.
 *
 * PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA256 for key and certificates, a MAC with HMAC-SHA256:
 * read by OpenSSL 1.1 and later, Windows Server 2019 and later, Java 8u301 and later. For programs
 * that are older there is a weak form. What is written is read back before it is given out.
 *
 * Threads: any; pure functions. Slow on purpose where there is a password (tens of milliseconds).
 */
#pragma once

#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/x509/policy.h"

enum {
    KV_X509_PFX_PASSWORD_MAX = 200, /* bytes */
    KV_X509_PFX_NAME_MAX = 127,     /* bytes */
    KV_X509_PFX_ITERATIONS = 100000,
    KV_X509_PFX_ITERATIONS_NO_PASSWORD = 2048, /* nothing to protect: only what readers expect */
    KV_X509_PFX_ITERATIONS_OLD = 2000          /* as Azure writes them */
};

typedef struct kv_x509_pfx {
    kv_x509_list chain;     /* DER, at least one; leaf first, unless keep_order */
    kv_slice key;           /* PKCS#8, DER; empty: certificates only */
    kv_slice password;      /* UTF-8, may be empty */
    kv_slice friendly_name; /* UTF-8; empty: none */
    bool keep_order;        /* write the chain as it is; the leaf is the one of the key */
    bool for_old_clients;   /* PBE-SHA1-3DES, 2000 iterations, MAC with HMAC-SHA1 */
} kv_x509_pfx;

/* KV_BAD_REQUEST for a password or name that is too long, not UTF-8 or has control characters (the
 * field is "password" or "friendly_name"), and for a chain that is not one; KV_INTERNAL when the
 * key is not the leaf's or the read-back differs. */
kv_status kv_x509_pfx_write(const kv_x509_pfx *in, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
