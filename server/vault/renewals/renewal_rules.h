/* renewal_rules.h - what files about renewals share. Inner to vault. */
#pragma once

#include "server/vault/certificates/certificate_rules.h"

/* Adds to the change that makes `version` the current one, or gives it another policy: when it is
 * to be renewed, if it is. `row` must live until the commit. (renewal_due.c) */
kv_status kv_renewal_keep(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          const kv_x509_policy *policy, const kv_certificate_version_row *version,
                          kv_renewal_row *row, kv_change *change, kv_error *err) KV_MUST_USE;
/* How far a renewal came that failed. */
typedef enum kv_renewing {
    KV_RENEWING_NOT_BEGUN,
    KV_RENEWING_BEGUN,     /* an operation was, and has told of its end */
    KV_RENEWING_TAKEN_AWAY /* somebody deleted the operation, the certificate or its vault */
} kv_renewing;

/* The next version by the stored policy, as the server's own work; `*how` is always filled.
 * KV_PRECONDITION while another operation is in progress. (certificate_create.c) */
kv_status kv_certificate_renew(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               const kv_object_row *object, kv_renewing *how,
                               kv_error *err) KV_MUST_USE;
