/* messages_webhooks.h - webhooks of a vault, and what could not be delivered. target.collection is
 * KV_COLLECTION_NONE, target.issuer the webhook's name. */
#pragma once

#include "server/vault/messages/messages_common.h"

enum {
    KV_WEBHOOKS_MAX = 20,      /* per vault */
    KV_WEBHOOK_TYPES_MAX = 32, /* of events */
    KV_WEBHOOK_AUTHORIZATION_MAX = 2048
};

/* The numbers of the .proto. */
typedef enum kv_webhook_state {
    KV_WEBHOOK_STATE_NONE = 0,
    KV_WEBHOOK_ACTIVE,
    KV_WEBHOOK_NOT_AGREED, /* the endpoint has not said that it wants events */
    KV_WEBHOOK_DISABLED,   /* by whom it belongs to */
    KV_WEBHOOK_STOPPED     /* by the server: the endpoint is gone, or took nothing for days */
} kv_webhook_state;

typedef struct kv_webhook_set_in {
    kv_target target;
    kv_slice url;
    const kv_slice *types;
    size_t type_count; /* none: all */
    bool has_enabled;
    bool enabled;
    bool has_authorization; /* given and empty: none any more */
    kv_slice authorization;
} kv_webhook_set_in;

typedef kv_target_in kv_webhook_get_in;
typedef kv_list_in kv_webhook_list_in;
typedef kv_target_in kv_webhook_delete_in;
typedef kv_target_in kv_webhook_test_in;

typedef struct kv_webhook_bundle {
    kv_slice vault;
    kv_slice name;
    kv_slice url;
    const kv_slice *types;
    size_t type_count;
    bool enabled;
    kv_webhook_state state;
    kv_slice why;        /* it is stopped, or has not agreed, or what failed last */
    kv_slice public_key; /* "whpk_..." */
    bool has_authorization;
    int64_t rate; /* requests a minute that it takes; 0: any */
    int64_t agreed;
    int64_t failing_since; /* 0: what was sent last was taken */
    int64_t created;
    int64_t updated;
} kv_webhook_bundle;

typedef struct kv_webhook_list {
    const kv_webhook_bundle *items;
    size_t count;
    kv_slice next_page_token;
} kv_webhook_list;

typedef struct kv_webhook_tested {
    bool agreed;
    bool taken;
    int status; /* of HTTP, of the event; 0: there was no answer */
    kv_slice details;
} kv_webhook_tested;

/* --- dead letters --- */

typedef kv_list_in kv_dead_letter_list_in;

typedef struct kv_dead_letter {
    kv_slice id; /* what redelivery takes: "target-sequence" */
    kv_slice channel;
    kv_slice to; /* the webhook's name, or the address */
    kv_slice type;
    int64_t sequence;
    int64_t attempts;
    int64_t last_status;
    kv_slice last_error;
    int64_t created;
    int64_t updated;
    kv_slice body;
} kv_dead_letter;

typedef struct kv_dead_letter_list {
    const kv_dead_letter *items;
    size_t count;
    kv_slice next_page_token;
} kv_dead_letter_list;

typedef struct kv_redeliver_in {
    kv_target target;
    kv_slice id; /* empty: all of the vault, or of the webhook that target.issuer names */
} kv_redeliver_in;

typedef struct kv_redelivered {
    uint32_t count;
    bool more; /* there are more than one call takes */
} kv_redelivered;
