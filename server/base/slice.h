/* slice.h - bytes that belong to somebody else.
 *
 * A slice is borrowed: it lives as long as the arena, buffer or literal it points into.
 * Text in a slice is UTF-8 without a terminating NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct kv_slice {
    const uint8_t *data;
    size_t len;
} kv_slice;

#define KV_SLICE_NONE ((kv_slice){ 0 })

/* A slice of a string literal or a char array that is one. */
#define KV_SLICE(literal) ((kv_slice){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static inline kv_slice kv_slice_of(const void *data, size_t len)
{
    return (kv_slice){ .data = data, .len = len };
}

/* A NULL string gives the empty slice. */
static inline kv_slice kv_slice_text(const char *text)
{
    return (kv_slice){ .data = (const uint8_t *)text, .len = text ? strlen(text) : 0 };
}

/* Not constant time: never for secrets (see kv_secret_buf_equal). */
static inline bool kv_slice_equal(kv_slice a, kv_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Orders as memcmp does; a prefix comes before what goes on. Negative, zero or positive. */
static inline int kv_slice_compare(kv_slice a, kv_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.data, b.data, len) : 0;

    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool kv_slice_starts_with(kv_slice text, kv_slice prefix)
{
    return text.len >= prefix.len &&
           (prefix.len == 0 || !memcmp(text.data, prefix.data, prefix.len));
}

/* For printf's "%.*s". */
#define KV_SLICE_ARG(slice) (int)(slice).len, (const char *)(slice).data
