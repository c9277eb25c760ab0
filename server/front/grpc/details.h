/* details.h - a kv_error as gRPC tells it.
 *
 * Threads: any.
 */
#pragma once

#include "server/base/arena.h"
#include "server/front/grpc/session.h"

/* Fills code and message, and the details: google.rpc.Status with ErrorInfo (reason, domain
 * "keyvault", the request id as metadata), BadRequest (the field) and RetryInfo, each when there is
 * something to say. `request_id` is 16 bytes or NULL. Lives in the arena; when that is full the
 * details are left out. A KV_INTERNAL says nothing but its request id. */
void kv_grpc_trailer_of(const kv_error *err, const uint8_t *request_id, kv_arena *arena,
                        kv_grpc_trailer *out);
