/* token_uri.h - RFC 7512 URIs that name a token by serial number or label.
 *
 * Threads: any.
 */
#pragma once

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "server/base/error.h"

/* KV_BAD_REQUEST with field "uri" for what is malformed, names neither label nor serial number, or
 * has a slot or a PIN in it. The caller frees with p11_kit_uri_free. */
kv_status kv_token_uri_parse(const char *text, P11KitUri **out, kv_error *err) KV_MUST_USE;

/* The one initialised token that matches; KV_BAD_REQUEST with field "uri" when none or several do.
 */
kv_status kv_token_uri_slot(CK_FUNCTION_LIST *f, const char *text, CK_SLOT_ID *slot,
                            CK_TOKEN_INFO *info, kv_error *err) KV_MUST_USE;

/* Cryptoki's padded text without the padding; `out` has room for len + 1 bytes. */
void kv_token_text(const CK_UTF8CHAR *padded, size_t len, char *out);
