/* conn.h - one connection: socket, TLS over memory BIOs, HTTP/2 session. Private to front/.
 *
 * Threads: the loop's, except that a worker has the SSL object while `with_worker` is true.
 */
#pragma once

#include "server/core/call.h"
#include "server/front/grpc/buffer.h"
#include "server/front/loop.h"

typedef enum kv_conn_state { KV_CONN_HANDSHAKE, KV_CONN_OPEN, KV_CONN_CLOSED } kv_conn_state;

typedef enum kv_handshake_result {
    KV_HANDSHAKE_MORE, /* waits for bytes of the peer */
    KV_HANDSHAKE_DONE,
    KV_HANDSHAKE_FAILED
} kv_handshake_result;

struct kv_conn {
    kv_loop *loop; /* borrowed */
    kv_conn *prev, *next;
    kv_conn *dirty_prev, *dirty_next;
    bool dirty;
    kv_conn_state state;
    int fd;
    char host[64];
    struct event *read_event;
    struct event *write_event;
    bool write_wanted;

    SSL *ssl;
    BIO *in, *out; /* of `ssl` */
    bool with_worker;
    unsigned steps; /* of the handshake so far */
    unsigned bare;  /* records that have brought no data, and are not charged for */
    kv_task task;
    kv_mail mail;
    kv_handshake_result result;

    kv_grpc_session *session;
    kv_peer peer; /* its certificate is in `certificate` */
    kv_buffer certificate;
    kv_stub *stubs; /* utlist DL: streams, and calls whose stream is gone */
    unsigned stub_count;
    unsigned calls_out; /* calls with workers or the audit thread */
    bool known;         /* a call on it was identified */
    bool lean;          /* it has no buffers since it became idle */

    int64_t since_us;    /* accepted, then the last call */
    uint64_t sent_bytes; /* to the socket */
    uint64_t seen_progress, seen_sent;
    int64_t moved_us; /* when a reply last made progress, or nothing waited */
};

/* Takes the descriptor; counts were taken by the listener. */
void kv_conn_open(kv_loop *loop, int fd, const char *host, const char *address);
/* Answers, sends and reads what there is; may close the connection. */
void kv_conn_flush(kv_conn *conn);
/* Ends it now. The structure goes too, at once or when the worker gives it back. */
void kv_conn_close(kv_conn *conn);
/* Deadlines of the handshake, idleness and stalls. */
void kv_conn_tick(kv_conn *conn, int64_t now_us);
/* A call on it was identified: it has a caller. */
void kv_conn_know(kv_conn *conn);
/* The handshake has come back from the worker (handshake.c). */
void kv_conn_handshake_done(kv_conn *conn);
