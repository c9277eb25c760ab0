/* client_call.h - one call of a client session: its answer, its end. Private to grpc/.
 *
 * Threads: the session's owner.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "server/front/grpc/client_session.h"
#include "server/front/grpc/stream.h"

enum { KV_CLIENT_NO_CODE = -1 };

/* Something the owner has not been told, or was told last. */
typedef struct kv_client_event_node {
    struct kv_client_event_node *next;
    kv_grpc_client_event event;
    kv_buffer message;         /* what event.message points into */
    kv_grpc_client_call *ends; /* freed after the event has been taken */
} kv_client_event_node;

struct kv_grpc_client_call {
    kv_grpc_client *client;
    int32_t id;
    void *user;
    bool held;
    bool sent;   /* its headers have left */
    bool over;   /* its end has been told */
    bool closed; /* HTTP/2 has forgotten it */
    int code;    /* grpc-status, or KV_CLIENT_NO_CODE */
    int http;    /* :status */
    kv_arena arena;
    size_t header_bytes;
    kv_slice text, details;
    kv_buffer request; /* what is still to be sent */
    size_t request_at;
    kv_deframe in;
    size_t untaken; /* held: cost of messages the reader has not taken */
    size_t owed;    /* held: bytes the server has not been given back */
    kv_client_event_node end;
    kv_grpc_client_call *prev, *next;
};

struct kv_grpc_client {
    nghttp2_session *http;
    kv_grpc_client_limits limits;
    kv_grpc_client_call *calls;
    kv_grpc_client_call *ended; /* their end has been taken, HTTP/2 still knows them */
    unsigned open;
    kv_client_event_node *events, **events_tail;
    kv_client_event_node *last; /* what the owner was shown last */
    bool leaving;
};

void kv_client_call_free(kv_grpc_client_call *call);
void kv_client_event_free(kv_grpc_client *client, kv_client_event_node *node);
void kv_client_queue_event(kv_grpc_client *client, kv_client_event_node *node);
/* Tells the owner the end, once. `text` lives in the call or is static. */
void kv_client_call_end(kv_grpc_client_call *call, int code, kv_slice text);
/* One header or trailer of the answer. */
void kv_client_call_header(kv_grpc_client_call *call, kv_slice name, kv_slice value);
/* HTTP/2 has closed the stream with that error code. */
void kv_client_call_conclude(kv_grpc_client_call *call, uint32_t code);
