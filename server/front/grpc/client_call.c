/* client_call.c - how an answer is understood, and how a call ends exactly once. */
#include "server/front/grpc/client_call.h"

#include <stdlib.h>

#include <utlist.h>

#include "server/base/text.h"

/* gRPC status codes that this side gives by itself. */
enum {
    CODE_CANCELLED = 1,
    CODE_UNKNOWN = 2,
    CODE_DENIED = 7,
    CODE_EXHAUSTED = 8,
    CODE_UNIMPLEMENTED = 12,
    CODE_INTERNAL = 13,
    CODE_UNAVAILABLE = 14,
    CODE_UNAUTHENTICATED = 16
};

void kv_client_call_free(kv_grpc_client_call *call)
{
    kv_buffer_cleanup(&call->request);
    kv_deframe_cleanup(&call->in);
    kv_arena_cleanup(&call->arena);
    free(call);
}

void kv_client_event_free(kv_grpc_client *client, kv_client_event_node *node)
{
    kv_grpc_client_call *ends;

    if (!node)
        return;
    ends = node->ends;
    kv_buffer_cleanup(&node->message);
    if (!ends) {
        free(node);
        return;
    }
    node->ends = NULL;
    /* The node lives in the call; HTTP/2 may still know the stream. */
    if (ends->closed)
        kv_client_call_free(ends);
    else
        DL_APPEND(client->ended, ends);
}

void kv_client_queue_event(kv_grpc_client *client, kv_client_event_node *node)
{
    node->next = NULL;
    *client->events_tail = node;
    client->events_tail = &node->next;
}

void kv_client_call_end(kv_grpc_client_call *call, int code, kv_slice text)
{
    kv_grpc_client *client = call->client;

    if (call->over)
        return;
    call->over = true;
    DL_DELETE(client->calls, call);
    client->open--;
    call->end.ends = call;
    call->end.event = (kv_grpc_client_event){ .kind = KV_GRPC_CLIENT_END,
                                              .user = call->user,
                                              .code = code,
                                              .message = text,
                                              .details = call->details,
                                              .unsent = !call->sent };
    kv_client_queue_event(client, &call->end);
}

static int code_of_http(int status)
{
    switch (status) {
    case 400:
        return CODE_INTERNAL;
    case 401:
        return CODE_UNAUTHENTICATED;
    case 403:
        return CODE_DENIED;
    case 404:
        return CODE_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return CODE_UNAVAILABLE;
    default:
        return CODE_UNKNOWN;
    }
}

void kv_client_call_header(kv_grpc_client_call *call, kv_slice name, kv_slice value)
{
    uint64_t number;
    kv_error err;

    if (kv_slice_equal(name, KV_SLICE(":status")))
        call->http = kv_text_number(value, 999, &number) ? (int)number : 0;
    else if (kv_slice_equal(name, KV_SLICE("grpc-status")))
        call->code = kv_text_number(value, 16, &number) ? (int)number : CODE_UNKNOWN;
    else if (kv_slice_equal(name, KV_SLICE("grpc-message"))) {
        if (kv_grpc_unpercent(&call->arena, value, &call->text, &err) != KV_OK)
            call->text = KV_SLICE_NONE;
    } else if (kv_slice_equal(name, KV_SLICE("grpc-status-details-bin"))) {
        if (kv_grpc_unbase64(&call->arena, value, &call->details, &err) != KV_OK)
            call->details = KV_SLICE_NONE;
    }
}

void kv_client_call_conclude(kv_grpc_client_call *call, uint32_t code)
{
    if (code == NGHTTP2_REFUSED_STREAM) {
        call->sent = false;
        kv_client_call_end(call, CODE_UNAVAILABLE, KV_SLICE("the server did not take the call"));
    } else if (call->code != KV_CLIENT_NO_CODE) {
        kv_client_call_end(call, call->code, call->text);
    } else if (call->http && call->http != 200) {
        kv_client_call_end(call, code_of_http(call->http),
                           KV_SLICE("the server does not speak gRPC"));
    } else if (code == NGHTTP2_CANCEL) {
        kv_client_call_end(call, CODE_CANCELLED, KV_SLICE("the server cancelled the call"));
    } else if (code == NGHTTP2_ENHANCE_YOUR_CALM) {
        kv_client_call_end(call, CODE_EXHAUSTED, KV_SLICE("the server asks for calm"));
    } else {
        kv_client_call_end(call, CODE_INTERNAL, KV_SLICE("the answer ended without a status"));
    }
}
