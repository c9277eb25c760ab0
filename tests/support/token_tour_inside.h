/* token_tour_inside.h - what the files of the tour share. */
#pragma once

#include "pkcs11/token_key.h"
#include "tests/support/token_tour.h"

typedef enum kv_tour_key {
    RSA_SIGNS,
    RSA_OPENS,
    RSA_TAKES,
    P256,
    ED25519,
    AES,
    WRAPS,
    MACS,
    SEALS,
    KEYS
} kv_tour_key;

/* The fake that it all runs on is one per process, and so is this. */
typedef struct kv_tour {
    CK_FUNCTION_LIST *liar;
    kv_secret_buf pin;
    kv_arena prepared; /* what `keys` point to */
    kv_key_ref keys[KEYS];
    CK_OBJECT_HANDLE last; /* of what was prepared */
    kv_arena arena;        /* of this tour */
    kv_tokens *tokens;
    kv_token *token; /* NULL: none is open */
} kv_tour;

extern kv_tour kv_the_tour;

/* Ends the process unless something is true that must be, however much the token lies. */
void kv_tour_must(bool good, const char *what);

/* token_tour_births.c: steps in which keys come and go. */
kv_status kv_tour_bear_ec(kv_error *err) KV_MUST_USE;
kv_status kv_tour_bear_secrets(kv_error *err) KV_MUST_USE;
kv_status kv_tour_can(kv_error *err) KV_MUST_USE;
kv_status kv_tour_export_and_seal(kv_error *err) KV_MUST_USE;
kv_status kv_tour_import_pairs(kv_error *err) KV_MUST_USE;
kv_status kv_tour_import_secret(kv_error *err) KV_MUST_USE;
kv_status kv_tour_import_brought(kv_error *err) KV_MUST_USE;
kv_status kv_tour_destroy_halves(kv_error *err) KV_MUST_USE;
