/* house_call.h - calls on a house, through the dispatcher. */
#pragma once

#include "tests/contract/vault/house.h"

typedef struct house_answer {
    kv_error error;
    kv_slice body; /* in the arena of the call */
    bool identified;
    uint8_t request_id[16];
} house_answer;

typedef struct house_ask {
    const char *path;            /* "/keyvault.v1.KeyService/CreateKey" */
    const made_certificate *who; /* NULL: no certificate */
    kv_slice role_token;
    kv_slice idempotency_key; /* or empty */
    kv_slice body;
} house_ask;

/* May be called while another call is at work, see house_meanwhile(). */
void house_call(house *h, const house_ask *ask, kv_arena *arena, house_answer *out);
