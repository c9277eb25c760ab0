/* pb.h - how the gRPC door spells the operations: protobuf to the structs of messages.h and back.
 *
 * A reader checks the form and names the field that breaks it, as spelled in the .proto: the
 * message is well-formed and at most KV_PB_MESSAGE_MAX bytes, no field that is not repeated comes
 * twice, at most one choice of a oneof, enum numbers are known, text is printable UTF-8, times lie
 * in the years 1970 to 9999, ids and digests of fixed length have it, lists are bounded, what is
 * marked as required there is there. Fields that this server does not know are ignored. A reader
 * takes at most 64 KiB and eight times the body from the arena, beside what the arena itself needs.
 * It fails with KV_BAD_REQUEST, or KV_BUSY when the arena is full.
 *
 * A writer fails only with KV_BUSY (the arena is full).
 *
 * Threads: any; pure functions. `in` and the answers point into the body and the arena.
 */
#pragma once

#include "server/core/route.h"

enum { KV_PB_MESSAGE_MAX = 1024 * 1024 };

/* One row per method. */
typedef struct kv_pb_spelling {
    const char *path;      /* "/keyvault.v1.KeyService/CreateKey" */
    const char *operation; /* "KeyCreate" */
    kv_decode *decode;
    kv_encode *encode; /* of the answer, or of each message of a stream */
    size_t in_size;
    size_t out_size; /* of the struct that `encode` takes */
    bool streams;
} kv_pb_spelling;

extern const kv_pb_spelling kv_pb_spellings[];
extern const size_t kv_pb_spellings_count;

/* NULL when there is no such method. */
const kv_pb_spelling *kv_pb_find(kv_slice path);

/* Readers fill a kv_<operation>_in. */
kv_decode kv_pb_read_server_status_get, kv_pb_read_server_check;

kv_decode kv_pb_read_vault_put, kv_pb_read_vault_get, kv_pb_read_vault_list, kv_pb_read_vault_patch,
    kv_pb_read_vault_delete, kv_pb_read_vault_recover, kv_pb_read_vault_purge,
    kv_pb_read_vault_list_deleted;

kv_decode kv_pb_read_key_create, kv_pb_read_key_get, kv_pb_read_key_list,
    kv_pb_read_key_list_versions, kv_pb_read_key_update, kv_pb_read_key_sign, kv_pb_read_key_verify,
    kv_pb_read_key_delete, kv_pb_read_key_get_deleted, kv_pb_read_key_list_deleted,
    kv_pb_read_key_recover, kv_pb_read_key_purge, kv_pb_read_key_encrypt, kv_pb_read_key_decrypt,
    kv_pb_read_key_wrap, kv_pb_read_key_unwrap, kv_pb_read_key_import, kv_pb_read_random_bytes_get;

kv_decode kv_pb_read_key_rotate, kv_pb_read_rotation_policy_get, kv_pb_read_rotation_policy_update,
    kv_pb_read_destruction_permit;

kv_decode kv_pb_read_secret_set, kv_pb_read_secret_get, kv_pb_read_secret_list,
    kv_pb_read_secret_list_versions, kv_pb_read_secret_update, kv_pb_read_secret_delete,
    kv_pb_read_secret_get_deleted, kv_pb_read_secret_list_deleted, kv_pb_read_secret_recover,
    kv_pb_read_secret_purge;

kv_decode kv_pb_read_issuer_set, kv_pb_read_issuer_get, kv_pb_read_issuer_list,
    kv_pb_read_issuer_update, kv_pb_read_issuer_delete, kv_pb_read_issuer_check,
    kv_pb_read_issuer_roll_key, kv_pb_read_issuer_revoke;

kv_decode kv_pb_read_inventory_list, kv_pb_read_forecast_get, kv_pb_read_renew_all;
kv_decode kv_pb_read_contacts_set, kv_pb_read_contacts_get, kv_pb_read_contacts_delete,
    kv_pb_read_contacts_test;

kv_decode kv_pb_read_webhook_set, kv_pb_read_webhook_get, kv_pb_read_webhook_list,
    kv_pb_read_webhook_delete, kv_pb_read_webhook_test, kv_pb_read_dead_letter_list,
    kv_pb_read_redeliver;

kv_decode kv_pb_read_certificate_create, kv_pb_read_certificate_merge,
    kv_pb_read_certificate_import, kv_pb_read_certificate_pending_get,
    kv_pb_read_certificate_pending_delete, kv_pb_read_certificate_pending_update,
    kv_pb_read_certificate_get, kv_pb_read_certificate_list, kv_pb_read_certificate_list_versions,
    kv_pb_read_certificate_chain_get, kv_pb_read_certificate_update,
    kv_pb_read_certificate_policy_get, kv_pb_read_certificate_policy_update,
    kv_pb_read_certificate_delete, kv_pb_read_certificate_get_deleted,
    kv_pb_read_certificate_list_deleted, kv_pb_read_certificate_recover,
    kv_pb_read_certificate_purge;

kv_decode kv_pb_read_authority_create, kv_pb_read_authority_get, kv_pb_read_authority_list,
    kv_pb_read_authority_import, kv_pb_read_authority_update, kv_pb_read_authority_delete,
    kv_pb_read_authority_revoke, kv_pb_read_authority_crl, kv_pb_read_authority_renew,
    kv_pb_read_issued_list, kv_pb_read_issued_get;

kv_decode kv_pb_read_key_backup, kv_pb_read_key_restore, kv_pb_read_secret_backup,
    kv_pb_read_secret_restore, kv_pb_read_certificate_backup, kv_pb_read_certificate_restore;

kv_decode kv_pb_read_who_am_i, kv_pb_read_role_token_issue, kv_pb_read_role_token_revoke,
    kv_pb_read_role_token_revoke_principal, kv_pb_read_principal_create, kv_pb_read_principal_get,
    kv_pb_read_principal_list, kv_pb_read_principal_update, kv_pb_read_principal_delete,
    kv_pb_read_credential_add, kv_pb_read_management_certificate_add, kv_pb_read_credential_list,
    kv_pb_read_credential_remove, kv_pb_read_role_assign, kv_pb_read_role_assignment_list,
    kv_pb_read_role_assignment_remove, kv_pb_read_role_list, kv_pb_read_access_explain,
    kv_pb_read_access_who_can;

kv_decode kv_pb_read_event_list, kv_pb_read_event_watch;

kv_decode kv_pb_read_audit_search, kv_pb_read_audit_export, kv_pb_read_audit_status_get;

/* Writers take the struct that their name says. */
kv_encode kv_pb_write_nothing; /* an empty message; `out` may be NULL */
kv_encode kv_pb_write_server_status, kv_pb_write_checks, kv_pb_write_vault_bundle,
    kv_pb_write_vault_list;
kv_encode kv_pb_write_key_bundle, kv_pb_write_signature, kv_pb_write_verification,
    kv_pb_write_encrypted, kv_pb_write_decrypted, kv_pb_write_wrapped, kv_pb_write_unwrapped,
    kv_pb_write_random_bytes, kv_pb_write_rotation_policy;
kv_encode kv_pb_write_issuer_bundle, kv_pb_write_issuer_list, kv_pb_write_issuer_checked,
    kv_pb_write_issuer_account;
kv_encode kv_pb_write_inventory_page, kv_pb_write_forecast, kv_pb_write_renewed_all;
kv_encode kv_pb_write_contacts, kv_pb_write_contacts_tested;
kv_encode kv_pb_write_webhook_bundle, kv_pb_write_webhook_list, kv_pb_write_webhook_tested,
    kv_pb_write_dead_letter_list, kv_pb_write_redelivered;
kv_encode kv_pb_write_secret_bundle, kv_pb_write_backup;
/* A kv_object_list each. */
kv_encode kv_pb_write_key_list, kv_pb_write_secret_list, kv_pb_write_certificate_list;
kv_encode kv_pb_write_certificate_operation, kv_pb_write_certificate_bundle,
    kv_pb_write_certificate_policy_bundle, kv_pb_write_certificate_chain;
kv_encode kv_pb_write_authority_bundle, kv_pb_write_authority_list, kv_pb_write_revoked,
    kv_pb_write_issued, kv_pb_write_issued_list, kv_pb_write_crl;
kv_encode kv_pb_write_caller_bundle, kv_pb_write_role_token_bundle, kv_pb_write_principal,
    kv_pb_write_principal_list, kv_pb_write_credential, kv_pb_write_credential_list,
    kv_pb_write_assigned, kv_pb_write_assignment_list, kv_pb_write_role_lines,
    kv_pb_write_access_answer, kv_pb_write_access_answers;
kv_encode kv_pb_write_event_list, kv_pb_write_event_message;
kv_encode kv_pb_write_audit_record, kv_pb_write_audit_chunk, kv_pb_write_audit_state;
