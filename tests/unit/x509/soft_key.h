/* soft_key.h - key pairs in software for tests, with what the code under test takes of them. */
#pragma once

#include <openssl/evp.h>

#include "server/x509/certificate.h"

typedef struct soft_key {
    EVP_PKEY *pair;
    kv_slice spki;  /* DER, in the arena */
    kv_slice pkcs8; /* DER, in the arena */
    kv_x509_signer signer;
    unsigned signatures;    /* how often the signer was asked */
    bool lies;              /* gives a signature over something else */
    bool refuses;           /* fails with KV_UNAVAILABLE */
    const char *last_alg;   /* what it was asked for last */
    size_t last_digest_len; /* bytes */
} soft_key;

/* A new pair; the test fails when there is none. `key` must not move afterwards. */
void soft_key_make(soft_key *key, kv_key_kind kind, kv_arena *arena);
/* RSA of a size, for keys that the server would not make. */
void soft_key_make_rsa(soft_key *key, unsigned bits, kv_arena *arena);
void soft_key_cleanup(soft_key *key);

/* A checked policy for this kind of key: CN=www.example.com, one DNS name, Self, 2 months. */
kv_x509_policy soft_policy(kv_key_kind kind);

/* A self-signed certificate of such a policy, made at `now_ms`. */
kv_x509_built soft_certificate(soft_key *key, const kv_x509_policy *policy, int64_t now_ms,
                               kv_arena *arena);

/* 2026-11-20 12:00 UTC */
#define SOFT_NOW_MS INT64_C(1795176000000)

/* Runs a program of the PATH (posix_spawn), its output into `out` (NUL-terminated, cut to
 * `room`); gives the exit status, or -1. */
int soft_run(const char *const *argv, char *out, size_t room);

/* A file in a new folder under TMPDIR or /tmp; `path` has 256 bytes. */
void soft_file(const char *name, kv_slice content, char *path);
/* Removes it and its folder. */
void soft_file_remove(const char *path);
