/* route.h - one row per operation: everything this server can do.
 *
 * The rows are in server/routes.c. A row that forgets `needs` holds KV_MAY_NOTHING, which no role
 * has: it fails closed, and test_routes names it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "server/auth/permission.h"
#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_call kv_call;

typedef enum kv_door { KV_DOOR_GRPC, KV_DOOR_REST, KV_DOOR_COUNT } kv_door;

/* Which workers run it: none waits behind another. */
typedef enum kv_lane {
    KV_LANE_NONE = 0,  /* a row that forgot its lane; test_routes names it */
    KV_LANE_KEYS,      /* uses the `keys` token, briefly */
    KV_LANE_CA,        /* uses the `ca` token, briefly */
    KV_LANE_SYSTEM,    /* uses the `system` token, briefly */
    KV_LANE_STORE,     /* reads the store, touches no token */
    KV_LANE_SLOW,      /* makes keys, issues, changes the store, talks to the network */
    KV_LANE_HANDSHAKE, /* TLS handshakes, never a call */
    KV_LANE_COUNT
} kv_lane;

/* Form only (RFC-level well-formedness); pure. `in` is zeroed, `in_size` bytes of the arena; slices
 * in it point into `body` or the arena. KV_BAD_REQUEST with the field's path. */
typedef kv_status kv_decode(kv_slice body, kv_arena *arena, void *in, kv_error *err);
/* Pure. The bytes live in the arena. */
typedef kv_status kv_encode(const void *out, kv_arena *arena, kv_slice *body, kv_error *err);

/* How one door spells an operation. No pattern means it is not offered there. */
typedef struct kv_spelled {
    const char *pattern; /* gRPC: "/keyvault.v1.KeyService/CreateKey" */
    kv_decode *decode;
    kv_encode *encode;
} kv_spelled;

/* Runs the operation: reads call->in, fills call->out. A streaming row calls kv_call_send() once
 * per message (encoded by `encode`) and leaves call->out alone. */
typedef kv_status kv_run(kv_call *call);

typedef struct kv_route {
    const char *name; /* Azure's operation name, as written to the audit log: "KeyCreate" */
    kv_permission needs;
    kv_lane lane;
    bool mutates;   /* its record is stored with the change, before the answer */
    bool repeats;   /* when a change of somebody else came first, which may be the server's own, it
                     * runs again: it leaves nothing behind but its one change, and what it brought
                     * onto a token goes when that fails */
    bool secret;    /* its arena lives on the locked heap, its answer is never indexed or logged */
    bool streams;   /* server-streaming */
    bool watches;   /* a stream without an end: no deadline but the caller's own */
    size_t in_size; /* of the `in` struct, which starts with a kv_target */
    size_t out_size;
    kv_run *run;
    kv_spelled at[KV_DOOR_COUNT];
} kv_route;

extern const kv_route kv_routes[];
extern const size_t kv_routes_count;
