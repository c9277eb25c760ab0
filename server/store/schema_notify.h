/* schema_notify.h - rows of who is told what happens in a vault.
 *
 * Conventions as in schema.h.
 */
#pragma once

#include "server/store/table.h"

/* The contacts of a vault, all in one row. */
typedef struct kv_contacts_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice contacts;  /* JSON array of three texts each: e-mail, name, phone */
    int64_t digest;     /* one mail a day */
    int64_t created;
    int64_t updated;
} kv_contacts_row;

extern const kv_table kv_table_contacts;

/* An endpoint that events of a vault are posted to. */
typedef struct kv_webhook_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice name;      /* key: lower case */
    kv_slice display_name;
    kv_slice uid; /* the target of its deliveries; a new one when it is made again */
    kv_slice url;
    kv_slice types; /* JSON array of event types, or beginnings of them with a star */
    int64_t enabled;
    kv_slice stopped; /* why the server sends nothing any more: "gone", "failing"; else empty */
    int64_t agreed;   /* when the endpoint last said that it wants events; 0: it did not */
    int64_t rate;     /* requests a minute that it takes; 0: any */
    kv_slice key_id;  /* of the Ed25519 key on the `system` token */
    kv_slice spki;
    kv_slice authorization_uid; /* what the ciphertext is bound to */
    kv_slice authorization_key_id;
    kv_slice authorization; /* as in a secret version; empty: none */
    int64_t failing_since;  /* nothing was taken since; 0: the last one was */
    kv_slice last_error;
    int64_t created;
    int64_t updated;
} kv_webhook_row;

/* What is still to be told to one endpoint or contact. */
typedef struct kv_delivery_row {
    kv_row_head head;
    kv_slice target;  /* key: a webhook's uid, or what stands for a contact */
    int64_t sequence; /* key: of the event */
    kv_slice vault_uid;
    kv_slice channel; /* "webhook", "mail" */
    kv_slice state;   /* "waiting", "held" (behind another of its object), "dead" */
    int64_t next_at;
    int64_t attempts;
    kv_slice object_uid; /* deliveries of one object go in order; empty: of none */
    kv_slice type;       /* of the event */
    kv_slice body;       /* the event: JSON of CloudEvents */
    kv_slice address;    /* mail: to whom */
    int64_t last_status; /* of HTTP */
    kv_slice last_error;
    int64_t created;
    int64_t updated;
} kv_delivery_row;

extern const kv_table kv_table_webhooks;   /* index 1, unique: uid */
extern const kv_table kv_table_deliveries; /* 1: target, state, next_at; 2: target, object_uid; 3:
                                              vault_uid, state */
