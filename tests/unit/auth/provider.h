/* provider.h - what an identity provider makes: keys, sets of them, and signed tokens. */
#pragma once

#include "server/auth/id_token.h"

#include <openssl/evp.h>

#include "server/base/arena.h"

#define NOW_S  INT64_C(1795000000)
#define ISSUER "https://idp.test"

typedef struct world {
    kv_arena arena;
    EVP_PKEY *rsa, *p256, *p384, *p521, *ed;
} world;

/* For cmocka: a provider with a key of each kind is the state. What is made lives in its arena. */
int set_up(void **state);
int take_down(void **state);

const char *b64(world *at, kv_slice bytes);
/* What the key says of itself, then `more`: ",\"kid\":\"k\"". */
const char *jwk(world *at, EVP_PKEY *key, const char *curve, const char *more);
kv_status parse(world *at, const char *keys, kv_jwks **out);
/* As a JWS carries it. */
kv_slice sign(world *at, EVP_PKEY *key, const kv_jws_algorithm *row, kv_slice text);
kv_slice token(world *at, const char *header, const char *payload);
