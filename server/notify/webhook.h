/* webhook.h - what is said to an endpoint, and how its answers are read.
 *
 * Deliveries are CloudEvents 1.0 in structured mode, POSTed over https, without following
 * redirects, signed as Standard Webhooks 1.0.0 says (asymmetric, "v1a"). Before the first one the
 * endpoint is asked whether it wants any (CloudEvents, HTTP 1.1 Web Hooks, section 4): who has not
 * agreed gets nothing.
 *
 * Threads: the functions with a kv_http may block; the others are pure.
 */
#pragma once

#include "server/net/http.h"

enum {
    KV_WEBHOOK_URL_MAX = 2048,
    KV_WEBHOOK_ANSWER_MOST = 64 * 1024, /* bytes of a body; a longer one is an error */
    KV_WEBHOOK_MS = 20000,              /* for one request */
    KV_WEBHOOK_RATE = 600,              /* requests a minute that an endpoint is asked for */
    KV_WEBHOOK_RATE_MOST = 60000,       /* what grants more grants this */
    KV_WEBHOOK_TRIES = 10,
    KV_WEBHOOK_SIGNATURE = 64, /* bytes of Ed25519 */
    KV_WEBHOOK_KEY = 32
};

/* Whom to ask, and as whom; everything is borrowed. */
typedef struct kv_webhook_end {
    const char *url;
    const char *origin;     /* DNS name of this server */
    kv_slice authorization; /* value of that header; empty: none */
    const atomic_bool *stop;
} kv_webhook_end;

/* KV_BAD_REQUEST about `field`: no https URL of at most KV_WEBHOOK_URL_MAX bytes without user,
 * password and fragment. */
kv_status kv_webhook_url_check(kv_slice url, const char *field, kv_error *err) KV_MUST_USE;

/* --- the handshake --- */

typedef struct kv_webhook_consent {
    bool given;
    unsigned rate;   /* requests a minute; 0: without limit */
    const char *why; /* of a refusal: a sentence; static */
} kv_webhook_consent;

/* What an answer to OPTIONS grants. A status does not count, the headers do. */
void kv_webhook_consent_of(const kv_http_answer *answer, const char *origin,
                           kv_webhook_consent *out);
/* Asks. An answer that grants nothing is no error. Errors of kv_http_send(). */
kv_status kv_webhook_ask(kv_http *http, const kv_webhook_end *end, kv_deadline deadline,
                         kv_arena *arena, kv_webhook_consent *out, kv_error *err) KV_MUST_USE;

/* --- signatures --- */

/* What is signed: id, a dot, seconds, a dot, body. The id has no dot. */
kv_status kv_webhook_to_sign(kv_arena *arena, kv_slice id, int64_t seconds, kv_slice body,
                             kv_slice *out, kv_error *err) KV_MUST_USE;
/* "v1a," and base64; and "whpk_" and base64 of the 32 bytes of a public key. */
kv_status kv_webhook_signature_text(kv_arena *arena, const uint8_t signature[KV_WEBHOOK_SIGNATURE],
                                    kv_slice *out, kv_error *err) KV_MUST_USE;
kv_status kv_webhook_key_text(kv_arena *arena, const uint8_t key[KV_WEBHOOK_KEY], kv_slice *out,
                              kv_error *err) KV_MUST_USE;

/* --- deliveries --- */

typedef struct kv_webhook_post {
    kv_slice id;        /* of the event: the same each time it is sent */
    int64_t seconds;    /* Unix time of this attempt */
    kv_slice signature; /* text */
    kv_slice body;      /* JSON */
} kv_webhook_post;

typedef enum kv_webhook_verdict {
    KV_WEBHOOK_TAKEN,
    KV_WEBHOOK_AGAIN, /* try later */
    KV_WEBHOOK_GONE   /* 410: never again */
} kv_webhook_verdict;

typedef struct kv_webhook_result {
    kv_webhook_verdict verdict;
    int status;      /* of HTTP; 0: there was no answer */
    int64_t wait_ms; /* the endpoint's own wish; 0: none */
    kv_slice why;    /* when it was not taken; in the arena */
} kv_webhook_result;

/* 2xx: taken. 410: gone. Anything else, redirects too: again, not before its Retry-After. */
kv_status kv_webhook_judge(const kv_http_answer *answer, int64_t now_ms, kv_arena *arena,
                           kv_webhook_result *out, kv_error *err) KV_MUST_USE;
/* Sends. That it was not taken, or not reached, is the result; KV_CANCELLED when the server stops,
 * KV_BUSY out of memory. */
kv_status kv_webhook_send(kv_http *http, const kv_webhook_end *end, const kv_webhook_post *post,
                          int64_t now_ms, kv_arena *arena, kv_webhook_result *out,
                          kv_error *err) KV_MUST_USE;

/* How long to wait after `attempts` (1 and more) that failed: the schedule of Standard Webhooks
 * (5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h) and up to a tenth more, by `seed`; 0: no
 * more. `percent` of these times, 1 to 100. */
int64_t kv_webhook_wait_ms(unsigned attempts, uint64_t seed, unsigned percent);
