/* tidy_model.h - tells clang-tidy what the functions that fill an error return.
 *
 * The analyser sees one source file at a time. Without this it thinks that kv_fail() may return
 * KV_OK, and reports every output of every failed call as used without a value.
 */
#pragma once

#include <uthash.h>

#include "server/base/arena.h"
#include "server/base/error.h"

/* The argument is nearly always a constant; where it is not, evaluating it twice does no harm. */
#define kv_fail(err, status, ...) ((void)kv_fail(err, status, __VA_ARGS__), (status))
#define kv_fail_field(err, field, ...) \
    ((void)kv_fail_field(err, field, __VA_ARGS__), KV_BAD_REQUEST)
#define kv_because(err, reason) ((void)kv_because(err, reason), KV_INTERNAL)
#define kv_note(err, ...)       ((void)kv_note(err, __VA_ARGS__), KV_INTERNAL)
#define kv_arena_full(err)      ((void)kv_arena_full(err), KV_BUSY)

/* The analyser loses its way in the buckets and thinks that what was taken out is still in. */
#undef HASH_DELETE
#define HASH_DELETE(hh, head, del) ((head) = DECLTYPE(head)((del)->hh.next))
