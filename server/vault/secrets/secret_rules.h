/* secret_rules.h - what files about secrets share. Inner to vault. */
#pragma once

#include "server/vault/messages/messages_secrets.h"
#include "server/vault/vault_impl.h"

enum { KV_SECRET_VALUE_MAX = 25 * 1024, KV_CONTENT_TYPE_MAX = 255 };

kv_status kv_content_type_check(kv_slice content_type, kv_error *err) KV_MUST_USE;
/* Everything but the value. */
kv_status kv_secret_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, const kv_secret_version_row *version,
                              kv_secret_bundle *out, kv_error *err) KV_MUST_USE;
/* The place a ciphertext is bound to. */
kv_box kv_secret_place(const kv_object_row *object, kv_slice version);

/* The value of a certificate's secret: PFX or PEM, with the private key where the row holds one
 * (certificate_secret.c). `value` lives in work's arena. */
kv_status kv_managed_secret_value(kv_vault *vault, kv_work *work, const kv_secret_get_in *in,
                                  const kv_object_row *object, const kv_secret_version_row *version,
                                  kv_slice *value, kv_slice *content_type,
                                  kv_error *err) KV_MUST_USE;
