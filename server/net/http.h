/* http.h - outgoing HTTP: one request, one answer, nothing left to chance.
 *
 * What libcurl would do by itself is off unless the request says so: redirects, plain http, other
 * protocols, proxies from the environment, cookies, .netrc, content coding (none is asked for, an
 * answer that has one is refused). TLS is 1.2 or newer with the peer's name and chain verified. An
 * address is checked against the policy when it is resolved, redirects and connections that are
 * used again included (see address.h). HTTP/1.1 only.
 *
 * With a proxy its address is the operator's choice and not checked; a target that is written as an
 * address is, and what a name resolves to is left to the proxy.
 *
 * Threads:  kv_http_send() from any thread that may block; never a loop.
 * Lifetime: kv_http_new() before the first thread starts; kv_http_free() after the last send.
 */
#pragma once

#include <stdatomic.h>

#include "server/base/arena.h"
#include "server/base/clock.h"
#include "server/net/address.h"

typedef struct kv_http kv_http;

typedef struct kv_http_config {
    const char *user_agent; /* "keyvault/1.2"; copied */
    const char *proxy;      /* URL (http, https, socks5h); NULL or "": none; copied */
    const char *ca_file;    /* PEM, instead of the system's store; NULL or "": that; copied */
    kv_address_policy addresses;
} kv_http_config;

/* KV_BUSY out of memory. */
kv_status kv_http_new(const kv_http_config *config, kv_http **out, kv_error *err) KV_MUST_USE;
/* From now on every request, running ones too, ends with KV_CANCELLED within a fifth of a second.
 * For a shutdown; from any thread; there is no way back. */
void kv_http_stop(kv_http *http);
void kv_http_free(kv_http *http);

typedef enum kv_http_method {
    KV_HTTP_GET,
    KV_HTTP_HEAD,
    KV_HTTP_POST,
    KV_HTTP_PUT,
    KV_HTTP_DELETE,
    KV_HTTP_OPTIONS,
    KV_HTTP_METHOD_COUNT
} kv_http_method;

typedef struct kv_http_header {
    kv_slice name; /* compared without case */
    kv_slice value;
} kv_http_header;

enum {
    KV_HTTP_HEADER_BYTES = 64 * 1024, /* all headers of an answer */
    KV_HTTP_HEADERS = 128,
    KV_HTTP_URL_BYTES = 8192,
    KV_HTTP_REDIRECTS = 10
};

/* Everything is borrowed for the call. The zero value of what is left out is the careful one. */
typedef struct kv_http_request {
    kv_http_method method;
    const char *url; /* absolute, https, without user, password and fragment */
    /* Sent to the target of a redirect as well, except Authorization; no Host, Content-Length,
     * Content-Type, Transfer-Encoding, Expect or User-Agent. */
    const kv_http_header *headers;
    size_t header_count;
    kv_slice body;            /* with POST and PUT */
    const char *content_type; /* of the body; NULL: none is said */
    kv_deadline deadline;     /* of the whole: names, connection, TLS, redirects, last byte */
    size_t body_most;         /* a longer answer is refused, not cut */
    unsigned redirects;       /* how many to follow, with GET and HEAD only; at most 10 */
    bool allow_http;          /* http: as well as https:, for redirects too */
    const char *ca_file;      /* instead of the configured trust; NULL: that */
    /* Instead of the configured addresses; NULL: those. */
    const kv_address_policy *addresses;
    const atomic_bool *stop; /* ends this request when it becomes true; may be NULL */
} kv_http_request;

/* Lives in the arena. */
typedef struct kv_http_answer {
    int status;
    const kv_http_header *headers; /* of the last answer, in its order; values are trimmed */
    size_t header_count;
    kv_slice body;
} kv_http_answer;

/* The answer, whatever its status. The arena needs room for the body and KV_HTTP_HEADER_BYTES; a
 * secret arena for answers that hold secrets (libcurl's own buffers are not wiped).
 * Errors, each with libcurl's words in `detail`:
 *   KV_BAD_REQUEST   field "url", "headers" or "redirects": the request is malformed
 *   KV_PRECONDITION  the address is one that this server may not connect to
 *   KV_TIMEOUT       the deadline passed
 *   KV_CANCELLED     the stop flag, or kv_http_stop()
 *   KV_UNAVAILABLE   no connection, no trust in the peer's certificate, an answer that breaks the
 *                    protocol or a bound: may be tried again
 *   KV_BUSY          memory or arena is full */
kv_status kv_http_send(kv_http *http, const kv_http_request *request, kv_arena *arena,
                       kv_http_answer *out, kv_error *err) KV_MUST_USE;

/* The value of the nth header of that name, counted from 0; false when there is none. */
bool kv_http_header_of(const kv_http_answer *answer, const char *name, unsigned nth, kv_slice *out);
/* The media type of Content-Type without parameters, "application/json"; compare without case. */
kv_slice kv_http_media_type(const kv_http_answer *answer);
