/* plain.h - HTTP/1.1 without TLS and without identity, for what everybody may have: revocation
 * lists, OCSP, certificates of authorities, challenges of other authorities.
 *
 * Deliberately small: a fixed number of threads, each with one connection, each connection with one
 * request; so threads times bytes is all it can take, and a peer that is slow is gone after
 * `request_ms`, whatever it sends, and much earlier while it keeps others out. GET and POST; no
 * other transfer encoding than a length.
 *
 * Threads: start, port and stop from the main thread; handlers in those of this part, several at
 * once, and they may block.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/log.h"

typedef struct kv_plain kv_plain;

enum { KV_PLAIN_GET = 1, KV_PLAIN_POST = 2 };

typedef struct kv_plain_request {
    unsigned method; /* KV_PLAIN_GET or KV_PLAIN_POST */
    kv_slice path;   /* as it was sent, without a query; begins with '/' */
    kv_slice rest;   /* of the path, after the route's prefix */
    kv_slice body;   /* of a POST */
    kv_slice if_none_match;
} kv_plain_request;

typedef struct kv_plain_answer {
    unsigned status;   /* 200, 400, 404, 500, 503 */
    const char *type;  /* media type; static */
    kv_slice body;     /* in the arena */
    int64_t max_age_s; /* others may keep it; 0: nobody may */
    int64_t made_ms;   /* Last-Modified; 0: not said */
    int64_t until_ms;  /* Expires; 0: not said */
} kv_plain_answer;

/* Fills `out`, zeroed before. */
typedef void kv_plain_handler(void *context, const kv_plain_request *request, kv_arena *arena,
                              kv_plain_answer *out);

typedef struct kv_plain_route {
    const char *prefix; /* "/crl/" */
    unsigned methods;
    kv_plain_handler *handler;
    void *context; /* borrowed */
} kv_plain_route;

typedef struct kv_plain_config {
    const char *listen;           /* "127.0.0.1:8080" */
    unsigned threads;             /* 0: 8 */
    unsigned request_ms;          /* from accept to the last byte of the request; 0: 5,000 */
    const kv_plain_route *routes; /* borrowed; the first prefix that fits */
    size_t route_count;
    kv_log *log;
} kv_plain_config;

kv_status kv_plain_start(const kv_plain_config *config, kv_plain **out, kv_error *err) KV_MUST_USE;
uint16_t kv_plain_port(const kv_plain *plain);
/* Ends the threads, when their requests are answered. NULL is fine. */
void kv_plain_stop(kv_plain *plain);

/* --- the pure part, for tests --- */

typedef enum kv_plain_parsed {
    KV_PLAIN_MORE = 0, /* not whole yet */
    KV_PLAIN_WHOLE = 200,
    KV_PLAIN_BAD = 400,
    KV_PLAIN_METHOD = 405,
    KV_PLAIN_LENGTH = 411,
    KV_PLAIN_LARGE = 413
} kv_plain_parsed;

enum { KV_PLAIN_HEAD_MAX = 8192, KV_PLAIN_BODY_MAX = 8192 };

kv_plain_parsed kv_plain_parse(kv_slice bytes, kv_plain_request *out);
