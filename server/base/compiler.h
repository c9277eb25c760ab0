/* compiler.h - the compiler extensions the whole tree uses, said once. */
#pragma once

#include <stddef.h>

#define KV_MUST_USE         __attribute__((warn_unused_result))
#define KV_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

/* Declares a local that cleans up after itself: KV_AUTO(kv_secret_buf) pin = KV_SECRET_NONE;
 * Calls <type>_cleanup(&local) on every way out of the block. */
#define KV_AUTO(type) __attribute__((cleanup(type##_cleanup), unused)) type

/* Parameter marker: the callee becomes the owner, whether or not it succeeds. */
#define KV_TAKES

#define KV_COUNT(array) (sizeof(array) / sizeof((array)[0]))
