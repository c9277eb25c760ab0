/* init.h - `keyvaultd init`: the first and only start of an installation. */
#pragma once

#include "server/base/log.h"
#include "server/settings.h"

enum { KV_INIT_ADMINISTRATORS = 8, KV_INIT_NAMES = 16 };

typedef struct kv_init_administrator {
    const char *name;             /* display name */
    const char *certificate_path; /* PEM, one certificate */
} kv_init_administrator;

typedef struct kv_init_request {
    kv_init_administrator administrators[KV_INIT_ADMINISTRATORS];
    unsigned administrator_count; /* exactly 1 for now */
    /* Makes tokens that do not exist yet, and PIN files with random PINs where there are none.
     * Security officers' PINs are written to `home`/custody, to be taken away. */
    bool create_tokens;
    const char *tls_names[KV_INIT_NAMES]; /* DNS names and addresses of the server certificate */
    unsigned tls_name_count;
} kv_init_request;

/* Makes the server's keys, the sealed tables, the audit chain and the first access administrator;
 * a TLS key and self-signed certificate too, when the TLS key is to be on a token and no
 * certificate is there.
 * KV_PRECONDITION when the system token holds a keyvault already, or a certificate has expired;
 * KV_EXISTS when database or audit log are there already; KV_BAD_REQUEST; KV_UNAVAILABLE. */
kv_status kv_init(const kv_settings *settings, const kv_init_request *request, kv_log *log,
                  kv_error *err) KV_MUST_USE;
