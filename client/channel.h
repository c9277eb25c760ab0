/* channel.h - a gRPC connection over mutual TLS 1.3 to one of some servers: bytes in, bytes out.
 *
 * A channel connects when the first call needs it and again after the connection was lost; a TLS
 * session of the same server is then resumed. When a server cannot be reached, or ends a call with
 * UNAVAILABLE, the next of the list is tried, and stays in use. Calls that wait fail when none of
 * them can be reached. Who allows it sends a role token that was accepted on the connection by its
 * digest, which spares both sides most of a small request; a server that does not remember it
 * refuses the call as with a bad one, and `digest` in the result says so. A channel has one thread
 * of its own, which does all input and output and runs the completion callbacks. It never repeats a
 * call by itself; `unsent` in the result says when repeating is safe.
 *
 * Threads:  every function from any thread, also from callbacks (except call, stream_next and
 * free). Lifetime: kv_channel_free() completes what is in flight with KV_UNAVAILABLE, then joins.
 */
#pragma once

#include <openssl/x509.h>

#include <stdbool.h>

#include "server/base/clock.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef struct kv_channel kv_channel;
typedef struct kv_channel_stream kv_channel_stream;

/* Further servers, used like the first when that one cannot be. */
typedef struct kv_channel_endpoint {
    const char *host;
    const char *port;
} kv_channel_endpoint;

enum { KV_CHANNEL_ENDPOINTS = 8 };

typedef struct kv_channel_config {
    const char *host;                  /* name or address */
    const char *port;                  /* "7443" */
    const kv_channel_endpoint *others; /* copied; at most KV_CHANNEL_ENDPOINTS - 1 */
    size_t other_count;
    const char *server_name; /* what the certificate must say; NULL: host */
    const char *ca_path;     /* PEM, the only roots trusted */
    const char *cert_path;   /* PEM chain; NULL: no client certificate */
    const char *key_path;    /* PEM, or use `key` */
    EVP_PKEY *key;           /* wins over key_path; a reference is taken */
    unsigned connect_ms;     /* 0: 5,000. A call's own deadline counts too */
    size_t message_bytes;    /* longest answer accepted; 0: 16 MiB */
    size_t header_bytes;     /* 0: 64 KiB */
} kv_channel_config;

/* One request. Everything is copied. */
typedef struct kv_channel_request {
    const char *path;    /* "/keyvault.v1.KeyService/Sign" */
    kv_slice credential; /* role token without "Bearer "; empty: none */
    bool digest; /* unary: of the credential its digest is enough where it was accepted before */
    const char *idempotency_key; /* NULL: none */
    kv_slice message;            /* serialised */
    kv_deadline deadline;        /* also told to the server */
    kv_deadline not_before;      /* unary only: it is not sent earlier. Zero: at once */
} kv_channel_request;

/* How a call ended. From a callback it is borrowed for the callback's duration; from
 * kv_channel_call it is the caller's: kv_channel_result_cleanup() wipes it. */
typedef struct kv_channel_result {
    kv_status status; /* the same as error.status */
    int code;         /* gRPC code, as the server or the channel gave it */
    bool unsent;      /* the server never saw the call: repeating is safe */
    bool digest;      /* the credential was sent as its digest */
    kv_slice message; /* the answer when status is KV_OK */
    kv_slice details; /* serialised google.rpc.Status, if the server sent one */
    void *memory;     /* private: what the slices point into */
    size_t memory_len;
} kv_channel_result;

/* Runs once per call, on the channel's thread; must not wait. */
typedef void kv_channel_done(void *context, const kv_channel_result *result, const kv_error *err);

/* Reads the files; does not connect. KV_BAD_REQUEST or KV_UNAVAILABLE names the file. */
kv_status kv_channel_new(const kv_channel_config *config, kv_channel **out,
                         kv_error *err) KV_MUST_USE;
void kv_channel_free(kv_channel *channel);

/* For tests and diagnosis. */
typedef struct kv_channel_counts {
    unsigned connections; /* whose handshake was completed */
    unsigned resumed;     /* of those: with a TLS session of an earlier one */
    int endpoint;         /* in use, or to be tried next */
} kv_channel_counts;
kv_channel_counts kv_channel_counts_get(kv_channel *channel);

/* Waits for the answer. The status is the server's; KV_UNAVAILABLE when it cannot be reached or the
 * connection died, KV_TIMEOUT at the deadline. `out` is filled in every case. */
kv_status kv_channel_call(kv_channel *channel, const kv_channel_request *request,
                          kv_channel_result *out, kv_error *err) KV_MUST_USE;
void kv_channel_result_cleanup(kv_channel_result *result);

/* Does not wait; `done` runs in every case, unless this returns an error (out of memory). */
kv_status kv_channel_start(kv_channel *channel, const kv_channel_request *request,
                           kv_channel_done *done, void *context, kv_error *err) KV_MUST_USE;

/* Server-streaming: open, then next until it does not return KV_OK, then close (at any time: it
 * cancels). */
kv_status kv_channel_stream_open(kv_channel *channel, const kv_channel_request *request,
                                 kv_channel_stream **out, kv_error *err) KV_MUST_USE;
/* Waits. KV_OK with *more false: the stream ended well. The message is valid until the next call
 * on this stream. Slow readers hold the server back by flow control. */
kv_status kv_channel_stream_next(kv_channel_stream *stream, kv_slice *message, bool *more,
                                 kv_error *err) KV_MUST_USE;
/* Serialised google.rpc.Status after next has failed; empty if none. Valid until close. */
kv_slice kv_channel_stream_details(const kv_channel_stream *stream);
void kv_channel_stream_close(kv_channel_stream *stream);
