/* key_jwk.h - a private JSON Web Key becomes what the token takes in. Inner to vault. */
#pragma once

#include "server/base/secret_buf.h"
#include "server/vault/messages/messages_keys.h"

/* PKCS#8 (DER) of an RSA, EC or OKP key. KV_BAD_REQUEST names a member that is missing, has the
 * wrong length or is too much; whether the members belong together is not asked here. */
kv_status kv_jwk_to_pkcs8(const kv_private_jwk *jwk, kv_secret_buf *out, kv_error *err) KV_MUST_USE;
