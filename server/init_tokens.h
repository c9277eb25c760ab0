/* init_tokens.h - tokens, PIN files and the TLS identity of a new installation. */
#pragma once

#include "pkcs11/tokens.h"
#include "server/init.h"

/* Makes what `create_tokens` asks for. Before any token is opened. */
kv_status kv_init_create_tokens(const kv_settings *settings, kv_error *err) KV_MUST_USE;

/* When the TLS key is a pkcs11 URI and the certificate's file is not there: a P-256 key on the
 * `tls` token and a self-signed certificate of 90 days. */
kv_status kv_init_tls(const kv_settings *settings, const kv_init_request *request,
                      kv_tokens *tokens, kv_error *err) KV_MUST_USE;

/* Writes a new file, mode 0600; KV_EXISTS when it is there. Makes its folder (one level). */
kv_status kv_init_write_file(const char *path, kv_slice bytes, kv_error *err) KV_MUST_USE;
