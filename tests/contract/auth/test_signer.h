/* test_signer.h - a key in memory that signs role tokens. Aborts when OpenSSL fails. */
#pragma once

#include "server/auth/role_token.h"

typedef struct test_signer test_signer;

/* `kid`: 32 hex digits, borrowed. */
test_signer *test_signer_new(const char *kid);
void test_signer_free(test_signer *signer);
/* Borrow from the signer. */
kv_role_token_signer test_signer_lend(test_signer *signer);
kv_role_token_key test_signer_key(test_signer *signer);
/* While true, signing fails with KV_UNAVAILABLE. */
void test_signer_break(test_signer *signer, bool broken);
/* The compact serialisation of any two JSON texts, signed with this key. */
kv_slice test_signer_jwt(test_signer *signer, const char *header, const char *payload,
                         kv_arena *arena);
