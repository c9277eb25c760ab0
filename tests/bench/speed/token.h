/* token.h - a PKCS#11 token without anything around it, and the key that is measured. */
#pragma once

#include <p11-kit/pkcs11.h>

#include "tests/bench/speed/bench.h"

enum { TOKEN_IV_BYTES = 12, TOKEN_TAG_BYTES = 16 };

typedef struct bench_token {
    const bench_options *options;
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE owner; /* of session copies */
    CK_OBJECT_HANDLE key;
} bench_token;

/* Loads the module, finds the slot and logs in. */
void bench_token_open(bench_token *token, const bench_options *options);
/* Only that far: without the login. */
void bench_token_load(bench_token *token, const bench_options *options);
void bench_token_login(bench_token *token);
CK_SESSION_HANDLE bench_token_session(const bench_token *token);
/* The key labelled options->name, or a session copy of it. */
void bench_token_find(bench_token *token);
/* A new one: private and sensitive, on the token or for the session. */
CK_OBJECT_HANDLE bench_token_make(const bench_token *token, CK_SESSION_HANDLE session);
void bench_must(CK_RV rv, const char *what);
