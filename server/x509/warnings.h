/* warnings.h - sentences for the caller, collected on the way.
 *
 * Internal to this folder. Threads: one owner.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/x509/policy.h"

enum { KV_X509_WARNINGS_MAX = 64 };

typedef struct kv_x509_warnings {
    kv_arena *arena;
    kv_slice items[KV_X509_WARNINGS_MAX];
    size_t count;
} kv_x509_warnings;

/* What is past the end of the list is dropped. */
kv_status kv_x509_warn(kv_x509_warnings *warnings, kv_error *err, const char *format, ...)
    KV_PRINTF(3, 4) KV_MUST_USE;
/* Copies the list into the arena. */
kv_status kv_x509_warnings_keep(const kv_x509_warnings *warnings, kv_x509_list *out,
                                kv_error *err) KV_MUST_USE;
