/* tidy_model.h - tells clang-tidy what the functions that fill an error return.
 *
 * The analyser sees one source file at a time. Without this it thinks that kv_fail() may return
 * KV_OK, and reports every output of every failed call as used without a value. A macro cannot
 * stand before the function it is named after, so test.sh defines KV_TIDY_<name> for <name>.c.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/hash.h"

/* The argument is nearly always a constant; where it is not, evaluating it twice does no harm. */
#ifndef KV_TIDY_error
#define kv_fail(err, status, ...) ((void)kv_fail(err, status, __VA_ARGS__), (status))
#define kv_fail_field(err, field, ...) \
    ((void)kv_fail_field(err, field, __VA_ARGS__), KV_BAD_REQUEST)
#define kv_because(err, reason) ((void)kv_because(err, reason), KV_INTERNAL)
#define kv_note(err, ...)       ((void)kv_note(err, __VA_ARGS__), KV_INTERNAL)
#endif

#ifndef KV_TIDY_arena
#define kv_arena_full(err) ((void)kv_arena_full(err), KV_BUSY)
#endif

#if __has_include("server/x509/openssl.h") && !defined(KV_TIDY_openssl)
#include "server/x509/openssl.h"
#define kv_ossl_failed(err, status, text) ((void)!kv_ossl_failed(err, status, text), (status))
#define kv_ossl_no_memory(err)            ((void)!kv_ossl_no_memory(err), KV_BUSY)
#endif

#if __has_include("pkcs11/rv.h") && __has_include(<p11-kit/pkcs11.h>) && !defined(KV_TIDY_rv)
#include "pkcs11/rv.h"
#define kv_rv_fail(err, rv, function) ((void)kv_rv_fail(err, rv, function), KV_INTERNAL)
#endif

#if __has_include("server/store/sqlite_db.h") && !defined(KV_TIDY_sqlite_db)
#include "server/store/sqlite_db.h"
#define kv_sqlite_fail(handle, code, err) ((void)kv_sqlite_fail(handle, code, err), KV_INTERNAL)
#ifndef KV_TIDY_sqlite_row
#define kv_sqlite_not_bound(err) ((void)kv_sqlite_not_bound(err), KV_INTERNAL)
#define kv_sqlite_malformed(table, column, err) \
    ((void)kv_sqlite_malformed(table, column, err), KV_INTERNAL)
#endif
#endif

/* The analyser loses its way in the buckets and thinks that what was taken out is still in. */
#undef HASH_DELETE
#define HASH_DELETE(hh, head, del) ((head) = DECLTYPE(head)((del)->hh.next))
