/* logs.h - logs of Certificate Transparency for tests, and what they sign. */
#pragma once

#include "server/x509/log_list.h"
#include "tests/unit/x509/pki.h"

typedef struct test_log {
    const char *name;
    const char *operator_name;
    const char *state;  /* NULL: none */
    int64_t since_ms;   /* of the state; 0: a year before SOFT_NOW_MS */
    const char *before; /* who operated it until a day before SOFT_NOW_MS; NULL: nobody else */
    soft_key key;
    uint8_t id[KV_LOG_ID_BYTES];
} test_log;

/* The key and the id; the rest stays. */
void test_log_make(test_log *log, kv_key_kind kind, kv_arena *arena);
/* A list of these, each with an operator entry of its own, unless the one before has the same. */
kv_slice test_log_list(const test_log *logs, size_t count, kv_arena *arena);

typedef struct test_sct {
    const test_log *log;
    int64_t time_ms;     /* 0: an hour before SOFT_NOW_MS */
    kv_slice extensions; /* signed too */
    uint8_t version;     /* 0 is version 1 */
    bool broken;         /* a bit of the signature is another */
    bool mislabeled;     /* it says that a key of the other kind made the signature */
} test_sct;

/* The certificate with these timestamps in it, signed again by `signer`: what logs see is made with
 * the key of `issuer`. */
kv_slice test_with_scts(kv_slice leaf, kv_slice issuer, EVP_PKEY *signer, const test_sct *scts,
                        size_t count, kv_arena *arena);
/* The same with any bytes as the list. */
kv_slice test_with_sct_bytes(kv_slice leaf, EVP_PKEY *signer, kv_slice list, kv_arena *arena);
