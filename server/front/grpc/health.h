/* health.h - grpc.health.v1.Health, answered on the loop: it must work when nothing else does.
 *
 * Threads: the connection's loop.
 */
#pragma once

#include "server/front/grpc/door.h"

/* Is the path one of ours? Then `watches` says which. */
bool kv_health_is(kv_slice path, bool *watches);
/* The request message is complete. */
void kv_health_call(kv_stub *stub);
/* Tells a watcher when its status has changed. */
void kv_health_tell(kv_stub *stub);
