/* import.h - a certificate with its private key, from a file that somebody brings.
 *
 * The bytes are a PFX (PKCS#12), or PEM text, or base64 of either; which one is found out by
 * looking. A PFX may have a password or none, any of the usual encryptions (old RC2 and DES ones
 * through OpenSSL's legacy provider, in a library context of their own), BER encodings, friendly
 * names, certificates in any order. PEM may have its blocks in any order, text around them, any
 * line ends, keys as PKCS#8 (also encrypted), PKCS#1 or SEC1 (also encrypted in the old way).
 *
 * Bounds: KV_X509_BUNDLE_MAX bytes, KV_X509_FOUND_MAX certificates, one private key, and in total
 * KV_X509_KDF_WORK_MAX iterations of key derivation.
 *
 * Threads: any; pure functions. Slow: seconds at worst.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/secret_buf.h"
#include "server/x509/chain.h"
#include "server/x509/inspect.h"
#include "server/x509/policy.h"

enum {
    KV_X509_BUNDLE_MAX = 1 << 20, /* bytes, encoded or not */
    KV_X509_FOUND_MAX = 50,       /* certificates in one file */
    KV_X509_KDF_WORK_MAX = 5 * 1000 * 1000,
    KV_X509_PASSWORD_MAX = 200 /* bytes */
};

typedef struct kv_x509_import_in {
    kv_slice value;
    kv_slice password;    /* UTF-8; empty: none, which opens files of both ways to have none */
    kv_x509_list anchors; /* DER: more certificates that may complete the chain */
    int64_t now_ms;
    bool refuse_legacy;      /* no algorithms of the legacy provider */
    bool accept_unprotected; /* a PFX without a MAC */
    bool allow_ca;
    bool allow_expired;
    bool need_complete; /* the chain must reach a self-signed certificate */
    bool omit_root;     /* leave the self-signed certificate at the end of the chain away */
} kv_x509_import_in;

typedef struct kv_x509_imported {
    kv_secret_buf key;  /* PKCS#8, DER, written anew: sound, and of a kind the server makes */
    kv_x509_list chain; /* DER, leaf first */
    kv_x509_list given; /* the certificates of `chain` in the order of the file */
    bool complete;      /* the last certificate is self-signed */
    kv_x509_facts leaf;
    kv_slice content_type; /* KV_X509_CONTENT_PKCS12 or KV_X509_CONTENT_PEM: what it was */
    kv_x509_list warnings; /* sentences */
} kv_x509_imported;

#define KV_X509_NOT_IMPORTED ((kv_x509_imported){ 0 })

/* KV_BAD_REQUEST with field "password" when it is wrong, missing, too long or malformed; with field
 * "value" for everything else: not a PFX nor PEM, damaged, too much of something, an algorithm that
 * is not supported, no key, several keys, no certificate for the key, two of them, a key that is
 * unsound, of a broken generator or of another kind, a CA, an expired certificate, one that is not
 * valid yet, a chain with a wrong signature, or (need_complete) one that ends early.
 * KV_UNSUPPORTED when a file needs the legacy provider and it is not installed. All but the key
 * lives in the arena. */
kv_status kv_x509_import(kv_arena *arena, const kv_x509_import_in *in, kv_x509_imported *out,
                         kv_error *err) KV_MUST_USE;
void kv_x509_imported_cleanup(kv_x509_imported *imported);
