/* credentials.h - where PINs, token files and client CAs are found. */
#pragma once

#include <limits.h>

#include "pkcs11/tokens.h"
#include "server/base/arena.h"
#include "server/base/secret_buf.h"
#include "server/settings.h"

/* Derived from the settings: where this server locks and backs up a token. */
typedef struct kv_token_paths {
    char lock[PATH_MAX];
    char files[PATH_MAX];    /* SoftHSM's `directories.tokendir`; "" for other modules */
    char backup[PATH_MAX];   /* folder for the raw copy of its token file */
    char isolated[PATH_MAX]; /* folder for the sockets of isolated modules */
} kv_token_paths;

kv_status kv_token_paths_of(const kv_settings *settings, kv_setting_token which,
                            kv_token_paths *out, kv_error *err) KV_MUST_USE;

/* From the file, or from $CREDENTIALS_DIRECTORY/NAME for "credential:NAME". */
kv_status kv_read_pin(const kv_token_settings *token, kv_secret_buf *out,
                      kv_error *err) KV_MUST_USE;

/* The same for any secret of the configuration: at most `max` bytes; `what` names it in errors. */
kv_status kv_read_credential(const char *path, const char *what, size_t max, kv_secret_buf *out,
                             kv_error *err) KV_MUST_USE;

/* Is the TLS key on a token, and not in a file? */
bool kv_tls_key_on_token(const kv_settings *settings);

/* Opens the tokens `keys`, `ca` and `system`, and the one of the TLS key if that is on a token. */
kv_status kv_open_tokens(const kv_settings *settings, kv_log *log, kv_tokens **out,
                         kv_error *err) KV_MUST_USE;

enum { KV_CLIENT_CAS = 16 };

/* The DER certificates of a PEM file, in the arena; none for an empty path. */
kv_status kv_read_certificates(const char *path, kv_arena *arena, kv_slice out[KV_CLIENT_CAS],
                               unsigned *count, kv_error *err) KV_MUST_USE;
