/* log_list.h - the logs of Certificate Transparency (RFC 6962) that browsers know, as their makers
 * publish them: JSON, version 3 of the schema, "log_list.json".
 *
 * Threads: a list that has been read never changes; any number may use it.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_LOG_LIST_MAX = 4 << 20, /* bytes of the file */
    KV_LOG_LIST_LOGS = 2000,   /* in one list */
    KV_LOG_LIST_OLD_DAYS = 70, /* browsers stop to rely on one that is older */
    KV_LOG_OPERATORS_MAX = 16, /* one after the other, of one log */
    KV_LOG_ID_BYTES = 32
};

/* Of the browsers' policies; a log that is in none counts for nothing. */
typedef enum kv_log_state {
    KV_LOG_UNKNOWN,
    KV_LOG_PENDING,
    KV_LOG_QUALIFIED,
    KV_LOG_USABLE,
    KV_LOG_READONLY,
    KV_LOG_RETIRED,
    KV_LOG_REJECTED,
    KV_LOG_STATES
} kv_log_state;

typedef struct kv_log_operator {
    kv_slice name;
    int64_t until_ms; /* when it stopped to operate the log */
} kv_log_operator;

typedef struct kv_known_log {
    uint8_t id[KV_LOG_ID_BYTES]; /* SHA-256 of its key's SubjectPublicKeyInfo */
    kv_slice description;        /* its id in base64 when the list has no other name for it */
    kv_slice operator_name;      /* now */
    kv_log_operator *before;     /* who operated it earlier, in no order */
    size_t before_count;
    kv_log_state state;
    int64_t since_ms; /* of the state */
    struct evp_pkey_st *key;
} kv_known_log;

typedef struct kv_log_list {
    kv_arena arena;
    kv_known_log *logs;
    size_t count;
    size_t operators;
    unsigned left_out; /* logs whose key is neither on P-256 nor RSA of 2048 bits or more */
    int64_t made_ms;   /* its log_list_timestamp */
} kv_log_list;

/* "usable", as the list spells it; "unknown". */
const char *kv_log_state_name(kv_log_state state);

/* KV_BAD_REQUEST with a message that says what is wrong where: no such JSON, an operator without a
 * name, a log without a key or an id, an id that is not its key's, the same log twice, too many, no
 * time. */
kv_status kv_log_list_parse(kv_slice json, kv_log_list **out, kv_error *err) KV_MUST_USE;
/* The same of a file. KV_UNAVAILABLE when it cannot be read. */
kv_status kv_log_list_read(const char *path, kv_log_list **out, kv_error *err) KV_MUST_USE;
void kv_log_list_free(kv_log_list *list);

/* By name: whoever operated the log at that time. */
kv_slice kv_known_log_operator(const kv_known_log *log, int64_t unix_ms);

/* NULL when the list does not have it. */
const kv_known_log *kv_log_list_find(const kv_log_list *list, const uint8_t id[KV_LOG_ID_BYTES]);
