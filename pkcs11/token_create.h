/* token_create.h - initialises a new token: what `init` does once, before anything is opened.
 *
 * Threads: main(), while the module is not in use in this process.
 */
#pragma once

#include "server/base/error.h"
#include "server/base/secret_buf.h"

typedef struct kv_token_create_spec {
    const char *module; /* path of a PKCS#11 module */
    const char *label;  /* 1 to 32 bytes, not yet used by another token of the module */
    const kv_secret_buf *so_pin;
    const kv_secret_buf *pin;
} kv_token_create_spec;

/* Initialises the first free slot and sets both PINs; finishes a token of this label that has no
 * user PIN yet, which needs its so_pin. KV_EXISTS when a token has this label already,
 * KV_PRECONDITION when there is no free slot, KV_BAD_REQUEST for a PIN or label the token refuses,
 * KV_UNAVAILABLE. */
kv_status kv_token_create(const kv_token_create_spec *spec, kv_error *err) KV_MUST_USE;
