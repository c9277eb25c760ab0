/* methods.h - finds the row of a `:path`. Built once, then only read.
 *
 * Threads: find: any.
 */
#pragma once

#include "server/core/route.h"

typedef struct kv_methods kv_methods;

/* Indexes the rows that have a gRPC pattern; the rows are borrowed. KV_BAD_REQUEST when two rows
 * have one pattern or a pattern is not "/service/method", KV_UNAVAILABLE when out of memory. */
kv_status kv_methods_new(const kv_route *routes, size_t count, kv_methods **out,
                         kv_error *err) KV_MUST_USE;
void kv_methods_free(kv_methods *methods);

/* NULL when there is none. */
const kv_route *kv_methods_find(const kv_methods *methods, kv_slice path);
/* "keyvault.v1.KeyService": does any row belong to it? */
bool kv_methods_has_service(const kv_methods *methods, kv_slice service);
