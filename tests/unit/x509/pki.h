/* pki.h - certificates for tests, good and bad ones: OpenSSL signs whatever it is told to. */
#pragma once

#include "tests/unit/x509/soft_key.h"

/* NULL: the extension is absent. Days count from SOFT_NOW_MS. */
typedef struct pki_spec {
    const char *subject; /* the common name */
    const char *issuer;
    const soft_key *key;
    const soft_key *signer;
    const char *constraints;      /* "critical,CA:TRUE" */
    const char *usage;            /* "critical,digitalSignature" */
    const char *ekus;             /* "serverAuth" */
    const char *sans;             /* "DNS:a.example.com" */
    const char *name_constraints; /* "permitted;DNS:example.com" */
    int from_days, to_days;       /* both 0: from yesterday for 90 days */
    long serial;                  /* 0: 1 */
} pki_spec;

/* DER, in the arena. */
kv_slice pki_certificate(const pki_spec *spec, kv_arena *arena);
/* A certificate whose signed part was changed, bytes that OpenSSL would not write included. */
kv_slice pki_sign_again(kv_slice der, const soft_key *signer, kv_arena *arena);
/* A request that `key` signs, DER: CN=www.example.com and these names. */
kv_slice pki_request(const soft_key *key, const char *sans, kv_arena *arena);

/* A root, a CA below it, and a leaf www.example.com of the CA; and another root. */
typedef struct pki {
    kv_arena arena;
    soft_key root_key, ca_key, key, other_key;
    kv_slice root, ca, leaf, other;
} pki;

void pki_make(pki *p);
void pki_cleanup(pki *p);
pki_spec pki_leaf_spec(const pki *p);
pki_spec pki_ca_spec(const pki *p);

kv_slice pki_pem(const char *label, kv_slice der, kv_arena *arena);
kv_slice pki_join(kv_arena *arena, const kv_slice *parts, size_t count);
kv_slice pki_base64(kv_slice bytes, kv_arena *arena);
