/* memory.h - malloc and its family, for libraries that keep plaintext: what is freed is wiped.
 *
 * Threads: any.
 */
#pragma once

#include <stddef.h>

#include <nghttp2/nghttp2.h>

void *kv_wiping_malloc(size_t size);
void *kv_wiping_calloc(size_t count, size_t size);
void *kv_wiping_realloc(void *memory, size_t size);
void kv_wiping_free(void *memory);

/* The same, for nghttp2. */
nghttp2_mem *kv_wiping_nghttp2(void);
