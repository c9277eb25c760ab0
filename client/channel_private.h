/* channel_private.h - what the parts of a channel share. Private to client/.
 *
 * Threads: the channel's own thread, except what is said to be behind `mutex`.
 */
#pragma once

#include <netdb.h>
#include <pthread.h>

#include <openssl/ssl.h>

#include "client/channel.h"
#include "client/channel_lookup.h"
#include "server/front/grpc/buffer.h"
#include "server/front/grpc/client_session.h"

typedef struct kv_link kv_link;

/* One server. */
typedef struct kv_endpoint {
    char *host;
    char *port;
    char *authority;
    const char *server_name; /* borrowed: the host, or what the configuration says */
    SSL_SESSION *session;    /* the last ticket; NULL: none */
    kv_lookup *lookup;       /* on its way, whoever waits for it; NULL: none */
} kv_endpoint;
typedef struct kv_channel_op kv_channel_op;

/* One call, unary or streaming. */
struct kv_channel_op {
    kv_channel_op *next, *prev; /* orders, waiting or running: one list at a time */
    kv_channel *channel;
    char *path;
    kv_buffer credential;
    char *idempotency_key; /* NULL: none */
    kv_buffer message;     /* the request, then the answer of a unary call */
    kv_deadline deadline, not_before;
    kv_channel_done *done;
    void *context;
    kv_channel_stream *stream;     /* NULL: unary */
    bool answered, answered_twice; /* unary: `answer` has come, and then another one */
    kv_buffer answer;
    bool may_shorten; /* the credential's digest may be sent instead */
    bool digest;      /* it was */
    uint64_t shown;   /* serial of the token that it showed whole; 0: none */
    kv_link *link;    /* where it runs; NULL while waiting */
    kv_grpc_client_call *call;
};

struct kv_channel {
    kv_channel_config config; /* the numbers only */
    char *server_name;
    kv_endpoint endpoints[KV_CHANNEL_ENDPOINTS];
    size_t endpoint_count;
    SSL_CTX *tls;
    pthread_t thread;
    bool started;
    int wake; /* eventfd */

    pthread_mutex_t mutex; /* guards what follows, and every stream's reader side */
    pthread_cond_t changed;
    kv_channel_op *orders; /* new calls */
    bool asleep;           /* the thread waits, and must be woken for orders */
    bool look;             /* a stream was closed or read: look at all of them */
    bool stopping;
    kv_channel_counts counts;

    /* The thread's own: */
    kv_channel_op *later;   /* not yet to be sent */
    kv_channel_op *waiting; /* for a connection with room */
    kv_link *links;
    kv_link *current;
    size_t at;      /* the endpoint in use */
    size_t tried;   /* endpoints in a row that could not be reached */
    int64_t due_us; /* CLOCK_MONOTONIC: nothing is late before that */
};

/* A message that a stream's reader has not taken. */
typedef struct kv_channel_item {
    struct kv_channel_item *next;
    size_t len;
    uint8_t bytes[];
} kv_channel_item;

struct kv_channel_stream {
    kv_channel *channel;
    kv_channel_op *op; /* the thread's; NULL once it has ended */
    /* Behind the channel's mutex: */
    kv_channel_item *first, **tail;
    kv_channel_item *shown; /* what the reader holds */
    size_t taken;           /* cost of what was read and not yet told to the session */
    bool closed;            /* by the reader */
    bool ended;
    kv_error error;
    kv_buffer details;
};

/* --- tls.c --- */

kv_status kv_channel_tls(const kv_channel_config *config, SSL_CTX **out, kv_error *err) KV_MUST_USE;
/* An SSL for one connection that will check the server's name and, if there is a session, resume
 * it. Tickets that the server sends are kept in the endpoint. NULL when out of memory. */
SSL *kv_channel_tls_connect(SSL_CTX *context, kv_endpoint *endpoint, int fd);

/* --- op.c --- */

kv_channel_op *kv_op_new(kv_channel *channel, const kv_channel_request *request);
void kv_op_free(kv_channel_op *op);
/* Tells the end and frees the op, which is in no list any more. */
void kv_op_end(kv_channel_op *op, const kv_grpc_client_event *event);
void kv_op_fail(kv_channel_op *op, int code, bool unsent, const char *message);
/* A message has come. False when out of memory, or a unary call has had its answer. */
bool kv_op_message(kv_channel_op *op, kv_slice message);
void kv_stream_free_all(kv_channel_stream *stream);

/* --- run.c --- */

void *kv_channel_run(void *channel);
