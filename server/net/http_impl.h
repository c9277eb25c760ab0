/* http_impl.h - between the files of the HTTP client. Inner to server/net. */
#pragma once

#include <curl/curl.h>

#include "server/net/http.h"

/* One URL that was looked at; texts are libcurl's. */
typedef struct kv_http_target {
    CURLU *url;
    char *scheme;
    char *host; /* IPv6 in brackets */
    char *port; /* the scheme's where the URL names none */
} kv_http_target;

#define KV_HTTP_NO_TARGET ((kv_http_target){ 0 })

/* `location` is taken relative to `base`, which may be NULL. KV_BAD_REQUEST about "url". */
kv_status kv_http_target_parse(const kv_http_target *base, const char *location, bool allow_http,
                               kv_http_target *out, kv_error *err) KV_MUST_USE;
bool kv_http_target_same_origin(const kv_http_target *a, const kv_http_target *b);
void kv_http_target_cleanup(kv_http_target *target);

/* KV_BAD_REQUEST for what a request may not say. */
kv_status kv_http_check(const kv_http_request *request, kv_error *err) KV_MUST_USE;

/* What comes in. The headers go to the arena at once, the body when it is whole. */
typedef struct kv_http_sink {
    kv_arena *arena; /* borrowed */
    kv_http_header *headers;
    size_t header_count;
    size_t header_bytes; /* of all answers, also those of redirects and 1xx */
    bool headers_done;   /* what follows are trailers, which nobody asked for */
    uint8_t *body;       /* malloc */
    size_t body_len;
    size_t body_room;
    size_t body_most;
    kv_error *err; /* borrowed; says why a callback stopped the transfer */
} kv_http_sink;

/* CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION over a kv_http_sink. */
size_t kv_http_on_header(char *data, size_t size, size_t count, void *sink);
size_t kv_http_on_body(char *data, size_t size, size_t count, void *sink);
/* Ready for the next answer. */
void kv_http_sink_rewind(kv_http_sink *sink);
void kv_http_sink_cleanup(kv_http_sink *sink);
