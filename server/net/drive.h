/* drive.h - what every transfer of libcurl here has in common. Inner to server/net. */
#pragma once

#include <stdatomic.h>

#include <curl/curl.h>

#include "server/base/clock.h"
#include "server/base/error.h"

typedef struct kv_curl_option {
    CURLoption name;
    long number;      /* used when text is NULL */
    const void *text; /* or a pointer */
} kv_curl_option;

/* False: out of memory. */
bool kv_curl_set(CURL *easy, const kv_curl_option *options, size_t count);

typedef struct kv_drive {
    CURLM *multi;
    kv_deadline deadline;
    const char *host;            /* for the words of an error */
    const atomic_bool *stops[2]; /* either ends it; each may be NULL */
} kv_drive;

/* Until the one transfer of `multi` is done, stopped or late: `*code` is libcurl's verdict.
 * KV_CANCELLED, KV_TIMEOUT, KV_BUSY. */
kv_status kv_curl_drive(const kv_drive *drive, CURLcode *code, kv_error *err) KV_MUST_USE;
