/* schema_renewals.h - what is to be renewed, and when; and how its issuers are. Through schema.h.
 */
#pragma once

#include "server/store/table.h"

/* Of a certificate whose policy has it renewed; kept by the change that makes a version. */
typedef struct kv_renewal_row {
    kv_row_head head;
    kv_slice object_uid; /* key */
    kv_slice vault_uid;
    kv_slice version; /* the one that is to be followed */
    int64_t due_at;   /* when to begin, or to look again */
    int64_t attempts; /* begun for this version */
    kv_slice issuer;  /* of the policy, lower case */
    int64_t renew_at; /* when it is planned, whatever it waits for meanwhile */
    int64_t period;   /* from one renewal to the next, as things are; milliseconds */
    int64_t waiting;  /* kv_waiting */
    int64_t ask_at;   /* when to ask the issuer what it suggests; 0: never */
    int64_t ask_failures;
    int64_t hint_from; /* what it suggested; 0: nothing */
    int64_t hint_until;
    int64_t hint_at;    /* the instant chosen from that */
    kv_slice hint_why;  /* URL of a page that explains it; may be empty */
    int64_t not_before; /* of the version */
    int64_t expires;
} kv_renewal_row;

/* How an issuer of a vault is; there is none for one that was never asked. */
typedef struct kv_issuer_state_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice issuer;    /* key: lower case */
    int64_t failures;   /* lifecycle/health.h */
    int64_t unwell_since;
    int64_t probe_at;
    int64_t paused_until;
    int64_t orders_full_at; /* lifecycle/budget.h: of its orders */
    kv_slice reason;        /* why it is unwell */
    int64_t updated;
} kv_issuer_state_row;

/* Certificates of exactly these names from one issuer; goes when the bucket is full. */
typedef struct kv_name_budget_row {
    kv_row_head head;
    kv_slice vault_uid; /* key */
    kv_slice issuer;    /* key: lower case */
    kv_slice names;     /* key: SHA-256 of the names */
    int64_t full_at;
} kv_name_budget_row;

extern const kv_table kv_table_renewals;
extern const kv_table kv_table_issuer_states;
extern const kv_table kv_table_name_budgets;
