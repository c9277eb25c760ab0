/* house_call.h - calls on a house, through the dispatcher. */
#pragma once

#include "tests/contract/vault/house.h"

typedef struct house_answer {
    kv_error error;
    kv_slice body; /* in the arena of the call */
    bool identified;
    uint8_t request_id[16];
} house_answer;

/* `path`: "/keyvault.v1.KeyService/CreateKey". `who` may be NULL: no certificate. */
void house_call(house *h, const char *path, const made_certificate *who, kv_slice role_token,
                kv_slice body, kv_arena *arena, house_answer *out);
