/* restore.h - what the files of restoration share. Inner to vault. */
#pragma once

#include "server/vault/backups/backup.h"
#include "server/vault/messages/messages_backup.h"

/* A key of the token that versions of the backup use. */
typedef struct kv_restore_key {
    kv_slice old_id;
    kv_token_object_row row; /* to be stored: a new one when the key was found, else the birth's */
    kv_birth birth;
    bool taken; /* a key of this server uses it */
    bool bound; /* the token has it, and it is the one */
    bool born;  /* imported again, from the secret of an exportable certificate */
    bool seen;  /* on the token, by id */
    bool obeys; /* the template of its class, not extractable */
    int64_t attested;
} kv_restore_key;

typedef struct kv_restore_rows {
    void **rows; /* of one table */
    unsigned count;
} kv_restore_rows;

typedef struct kv_restoration {
    kv_vault_row vault_row;
    kv_object_row before; /* as it was backed up */
    kv_object_row object;
    kv_object_row key_object;    /* those of a certificate, or the key itself */
    kv_object_row secret_object; /* likewise */
    kv_policy_row *policy;
    kv_rotation_policy_row *rotation;
    kv_restore_rows certificates;
    kv_restore_rows keys;
    kv_restore_rows secrets;
    kv_restore_key *places;
    unsigned place_count;
} kv_restoration;

/* --- restore_keys.c --- */

/* Finds the keys of all key versions on the token. KV_EXISTS when one that is not exportable is in
 * use, KV_PRECONDITION when the token does not have it as it was. */
kv_status kv_restore_find_keys(kv_vault *vault, kv_work *work, kv_restoration *at,
                               kv_error *err) KV_MUST_USE;
/* The private key of an exportable version: imported unless the token has it. */
kv_status kv_restore_private_key(kv_vault *vault, kv_work *work, kv_restoration *at,
                                 kv_slice version, const kv_secret_buf *pkcs8,
                                 kv_error *err) KV_MUST_USE;
/* Every version has its key; the rows say which. */
kv_status kv_restore_settle_keys(kv_vault *vault, kv_restoration *at, kv_error *err) KV_MUST_USE;
/* After a failure: what was imported goes again. */
void kv_restore_undo_keys(kv_vault *vault, kv_work *work, const kv_restoration *at);
