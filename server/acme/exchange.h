/* exchange.h - one request of a visit and its answer. Inner to this folder. */
#pragma once

#include "server/acme/client.h"
#include "server/net/http.h"

enum { KV_ACME_SCRATCH_BYTES = 2 << 20 };

typedef enum kv_acme_signer {
    KV_ACME_BY_ACCOUNT, /* names the account's URL */
    KV_ACME_BY_KEY      /* brings the key */
} kv_acme_signer;

/* The answer lives in `scratch`. */
kv_status kv_acme_get(kv_acme_client *client, const char *url, kv_arena *scratch,
                      kv_http_answer *out, kv_error *err) KV_MUST_USE;
kv_status kv_acme_post(kv_acme_client *client, const char *url, kv_slice payload, kv_acme_signer by,
                       kv_arena *scratch, kv_http_answer *out, kv_error *err) KV_MUST_USE;
/* The Location of an answer, in the client's arena; NULL when it has none. KV_UNAVAILABLE when it
 * is not to be followed. */
kv_status kv_acme_location(const kv_acme_client *client, const kv_http_answer *answer,
                           const char **out, kv_error *err) KV_MUST_USE;
/* A refusal that stands in an answer that is none. */
kv_status kv_acme_refuse(kv_acme_client *client, kv_acme_action action, kv_slice type,
                         kv_slice words, kv_error *err);
