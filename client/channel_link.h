/* channel_link.h - one connection of a channel: to look up, to connect, to shake hands, to carry
 * bytes. Private to client/.
 *
 * Threads: the channel's own.
 */
#pragma once

#include "client/channel_private.h"
#include "client/channel_token.h"

typedef enum kv_link_state {
    KV_LINK_LOOKING_UP,
    KV_LINK_CONNECTING,
    KV_LINK_HANDSHAKE,
    KV_LINK_OPEN
} kv_link_state;

/* One connection. A channel has one that takes calls, and perhaps older ones that finish theirs. */
struct kv_link {
    kv_link *next, *prev;
    kv_channel *channel;
    kv_endpoint *endpoint;
    kv_link_state state;
    int fd;                               /* while looking up: of the endpoint's lookup */
    struct addrinfo *addresses, *address; /* all of the host, the one being tried */
    kv_deadline connect_by, move_by;      /* the latter: to the next address */
    SSL *ssl;
    bool wants_write; /* TLS waits for the socket to take more */
    kv_grpc_client *session;
    kv_buffer out;      /* plain bytes not yet taken by TLS */
    kv_channel_op *ops; /* running here */
    bool leaving;       /* takes no new calls */
    kv_shown_tokens shown;
};

/* Begins to connect. NULL when that is impossible: `err` says why. */
kv_link *kv_link_new(kv_channel *channel, kv_error *err);
void kv_link_free(kv_link *link);
short kv_link_poll_events(const kv_link *link);
/* Goes on with what poll has seen; nothing: with another address. An error means the connection is
 * dead. */
kv_status kv_link_step(kv_link *link, short events, kv_error *err) KV_MUST_USE;
/* Why a connection that is not open after connect_ms is given up. */
kv_status kv_link_late(const kv_link *link, kv_error *err);
/* Sends what the session has. */
kv_status kv_link_flush(kv_link *link, kv_error *err) KV_MUST_USE;
