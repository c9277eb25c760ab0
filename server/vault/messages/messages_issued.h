/* messages_issued.h - what a certificate authority issued. target.name is the authority's. */
#pragma once

#include "server/vault/messages/messages_common.h"

/* Of certificates that an authority issued; each member narrows. */
typedef struct kv_issued_list_in {
    kv_target target;
    kv_page page;
    int state; /* kv_issued_state; 0: any */
    int64_t ends_from;
    int64_t ends_before; /* 0: no bound */
} kv_issued_list_in;

typedef struct kv_issued_get_in {
    kv_target target;
    kv_slice serial; /* hexadecimal */
} kv_issued_get_in;

typedef enum kv_issued_state {
    KV_ISSUED_STATE_ANY = 0,
    KV_ISSUED_STATE_VALID,
    KV_ISSUED_STATE_REVOKED,
    KV_ISSUED_STATE_EXPIRED
} kv_issued_state;

typedef struct kv_issued_bundle {
    kv_slice serial; /* hexadecimal */
    uint32_t key;    /* which of the authority's signed it */
    kv_issued_state state;
    kv_slice subject;
    int64_t not_before;
    int64_t not_after;
    kv_slice sha256;
    kv_slice version; /* of the certificate object, empty for an authority or responder */
    int64_t revoked;
    int reason;
    kv_slice certificate; /* DER, when one was asked for and it is still there */
} kv_issued_bundle;

typedef struct kv_issued_list {
    const kv_issued_bundle *items;
    size_t count;
    kv_slice next_page_token;
} kv_issued_list;
