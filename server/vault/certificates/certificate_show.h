/* certificate_show.h - a certificate as it is answered. Inner to vault. */
#pragma once

#include "server/vault/messages/messages_certificates.h"
#include "server/vault/vault_impl.h"

/* `wanted` empty: there is no version yet, only an operation. */
kv_status kv_certificate_show(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, kv_slice wanted,
                              kv_certificate_bundle *out, kv_error *err) KV_MUST_USE;
