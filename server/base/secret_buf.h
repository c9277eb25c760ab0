/* secret_buf.h - bytes that must not outlive their use.
 *
 * A kv_secret_buf is the only home of PINs, secret values, unwrapped keys and
 * bearer tokens. Its bytes live on OpenSSL's locked heap, are wiped before they
 * are freed, and have no printer: there is no way to log one by accident.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_secret_buf {
    uint8_t *data; /* followed by a NUL byte that `len` does not count */
    size_t len;
} kv_secret_buf;

#define KV_SECRET_NONE ((kv_secret_buf){ 0 })

/* Locks the process-wide heap of `bytes` (a power of two). Call once, before the first thread
 * starts. KV_BAD_REQUEST when `bytes` is no power of two of at least 4096; KV_UNAVAILABLE when the
 * pages cannot be locked (see RLIMIT_MEMLOCK). */
kv_status kv_secret_heap_open(size_t bytes, kv_error *err) KV_MUST_USE;
/* Only when nothing lives on the heap any more. */
void kv_secret_heap_close(void);

/* KV_BUSY when the heap is full. */
kv_status kv_secret_buf_new(size_t len, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
kv_status kv_secret_buf_copy(kv_slice from, kv_secret_buf *out, kv_error *err) KV_MUST_USE;

/* Reads a file of at most `max` bytes; one trailing newline is not part of the secret.
 * KV_UNAVAILABLE when it cannot be read, KV_PRECONDITION when others than the owner may read or
 * write it, KV_BAD_REQUEST when it is longer, KV_BUSY when the heap is full. The path is in the
 * error's detail. */
kv_status kv_secret_buf_read_file(const char *path, size_t max, kv_secret_buf *out,
                                  kv_error *err) KV_MUST_USE;

/* Borrowed view, for the one call that needs the bytes. */
static inline kv_slice kv_secret_buf_slice(const kv_secret_buf *secret)
{
    return kv_slice_of(secret->data, secret->len);
}

/* Leaves `from` empty, so exactly one buffer ever owns the bytes. */
kv_secret_buf kv_secret_buf_move(kv_secret_buf *from);

/* Constant time in the content; the length is not secret. */
bool kv_secret_buf_equal(const kv_secret_buf *secret, kv_slice candidate);

/* Zeroes bytes that live elsewhere; the compiler cannot leave it out. */
void kv_wipe(void *data, size_t len);

/* Wipes and frees. Safe on an empty buffer and safe to call twice. */
void kv_secret_buf_cleanup(kv_secret_buf *secret);
