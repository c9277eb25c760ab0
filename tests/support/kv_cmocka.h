/* kv_cmocka.h - cmocka with our statuses: a failing line prints the error it got. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/error.h"
#include "server/base/slice.h"

#define assert_kv_ok_with(call, err)                                                            \
    do {                                                                                        \
        kv_status kv_status_ = (call);                                                          \
        if (kv_status_ != KV_OK)                                                                \
            fail_msg("%s: %s: %s (%s) field '%s'", #call, kv_status_spelling(kv_status_)->name, \
                     (err)->message, (err)->detail, (err)->field);                              \
    } while (0)

/* Both use the local variable `err`. */
#define assert_kv_ok(call) assert_kv_ok_with(call, &err)
#define assert_kv_fails(why, call)                                                                 \
    do {                                                                                           \
        kv_status kv_status_ = (call);                                                             \
        if (kv_status_ != (why))                                                                   \
            fail_msg("%s: %s instead of %s: %s (%s)", #call, kv_status_spelling(kv_status_)->name, \
                     kv_status_spelling(why)->name, err.message, err.detail);                      \
        assert_int_equal(err.status, (why));                                                       \
    } while (0)

#define assert_slice_equal(expected, got)                                  \
    do {                                                                   \
        kv_slice kv_expected_ = (expected), kv_got_ = (got);               \
        assert_int_equal(kv_expected_.len, kv_got_.len);                   \
        assert_memory_equal(kv_expected_.data, kv_got_.data, kv_got_.len); \
    } while (0)
