/* messages_backup.h - what backups and restorations take and give.
 *
 * Conventions as in messages_common.h.
 */
#pragma once

#include "server/vault/messages/messages_common.h"

typedef kv_target_in kv_key_backup_in;
typedef kv_target_in kv_secret_backup_in;
typedef kv_target_in kv_certificate_backup_in;

/* Out of KeyBackup, SecretBackup, CertificateBackup: opaque (server/vault/backups/backup.h). */
typedef struct kv_backup {
    kv_slice value;
} kv_backup;

/* The target is the vault: the name is in the backup. */
typedef struct kv_restore_in {
    kv_target target;
    kv_slice value;
} kv_restore_in;

typedef kv_restore_in kv_key_restore_in;
typedef kv_restore_in kv_secret_restore_in;
typedef kv_restore_in kv_certificate_restore_in;
