/* bench.h - tokens on a test bench: the same for SoftHSM and the fake. */
#pragma once

#include "pkcs11/mechanism.h"
#include "pkcs11/token_key.h"
#include "pkcs11/tokens.h"
#include "tests/support/fake_token.h"
#include "tests/support/kv_cmocka.h"
#include "tests/support/softhsm.h"

typedef struct bench {
    kv_softhsm *hsm; /* NULL: the fake */
    kv_secret_buf pin;
    kv_token_config configs[2]; /* keys, system */
    kv_tokens *tokens;
    kv_token *token; /* keys */
    kv_arena arena;
} bench;

/* Group fixtures; the state is a bench with both tokens open. */
int bench_softhsm(void **state);
int bench_fake(void **state);
int bench_close(void **state);

/* Makes tokens without opening them. */
bench *bench_new(bool softhsm);
void bench_open(bench *b);
void bench_shut(bench *b);
void bench_free(bench *b);

/* A key with a random id and what the token said of it. */
typedef struct bench_key {
    kv_key_spec spec;
    kv_key_born born;
    kv_key_ref ref;
} bench_key;

bench_key bench_bear(bench *b, kv_key_class class, kv_key_kind kind, bool exportable);

/* Imports a secret key of this value. */
bench_key bench_bring(bench *b, kv_key_class class, kv_key_kind kind, kv_slice value);

/* What an algorithm signs for the message "abc": its digest, or itself. */
kv_slice bench_signed(const kv_mechanism *alg, uint8_t digest[KV_DIGEST_MAX]);

/* Signs something with the key and checks it in software. */
void bench_use(bench *b, const bench_key *key);

/* Waits until the token is in this state, at most ten seconds. */
void bench_wait(const kv_token *token, kv_token_state state);
