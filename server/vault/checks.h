/* checks.h - what `server doctor` looks at, and what it found.
 *
 * Threads: one owner at a time.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/compiler.h"
#include "server/base/error.h"

/* The numbers are those of the .proto. */
typedef enum kv_check_result {
    KV_CHECK_OK = 1,
    KV_CHECK_WARNING, /* works, but not for ever */
    KV_CHECK_ERROR
} kv_check_result;

enum { KV_CHECKS_MAX = 64 };

typedef struct kv_check {
    const char *name; /* "keys", "audit log"; static */
    kv_check_result result;
    kv_slice what;    /* a sentence */
    const char *next; /* what to do; static, "" when there is nothing */
} kv_check;

typedef struct kv_checks {
    kv_arena *arena;
    kv_check items[KV_CHECKS_MAX];
    unsigned count;
    unsigned left_out; /* errors and warnings that found no room */
    int64_t time_ms;   /* the server's clock */
} kv_checks;

/* Adds one, printf-like. KV_BUSY when the arena is full. */
kv_status kv_checks_add(kv_checks *checks, const char *name, kv_check_result result,
                        const char *next, kv_error *err, const char *format, ...)
    KV_PRINTF(6, 7) KV_MUST_USE;
