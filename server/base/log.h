/* log.h - structured log: one JSON object a line, for operators and machines.
 *
 * Never for what happened to whom (that is the audit chain) and never with secrets: fields are
 * names, numbers and error details. Text is escaped, bytes that are not UTF-8 are replaced. A line
 * is at most 4 KiB: the text that passes it is cut, fields after it are left out.
 *
 * Threads: any; lines do not mix.
 */
#pragma once

#include <stdint.h>

#include "server/base/slice.h"

typedef enum kv_log_level {
    KV_LOG_DEBUG,
    KV_LOG_INFO,
    KV_LOG_WARNING,
    KV_LOG_ERROR,
    KV_LOG_LEVEL_COUNT
} kv_log_level;

typedef struct kv_log kv_log;

/* One field; `text` wins over `number` when it is not NULL. */
typedef struct kv_log_field {
    const char *name; /* NULL ends the list */
    const char *text;
    int64_t number;
} kv_log_field;

/* Writes to `fd` (borrowed), nothing below `least`. NULL only when out of memory. */
kv_log *kv_log_new(int fd, kv_log_level least);
/* Any thread. NULL is fine. */
void kv_log_set_least(kv_log *log, kv_log_level least);
void kv_log_free(kv_log *log);

/* kv_log_write(log, KV_LOG_INFO, "token.up", (kv_log_field[]){ { "token", "keys", 0 }, { 0 } });
 * `event` is dotted lower case; `fields` may be NULL; a NULL log is silent. */
void kv_log_write(kv_log *log, kv_log_level level, const char *event, const kv_log_field *fields);
