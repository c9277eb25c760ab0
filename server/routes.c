/* routes.c - everything this server can do. Start reading here.
 *
 * One row per operation: its name in the audit log, the permission it needs, the lane it runs in,
 * whether it changes anything, the function that does it, and how each front door spells it. To add
 * an operation, add a row and the functions it names (docs/adding.md).
 *
 * It is one table in one file, however long: whoever wants to know what can be done here, and what
 * that takes, reads it from top to bottom and has missed nothing.
 */
#include "server/core/call.h"
#include "server/core/route.h"
#include "server/core/services.h"
#include "server/core/watch.h"
#include "server/vault/access.h"
#include "server/vault/events/event_watch.h"
#include "server/vault/evidence.h"
#include "server/vault/operations/operations.h"
#include "server/wire/pb.h"

/* The operations of the vault layer know nothing of calls: this is all that stands between. */
#define RUN(function, in_type, out_type)                                               \
    static kv_status run_##function(kv_call *call)                                     \
    {                                                                                  \
        return function(call->services->vault, &call->work, (const in_type *)call->in, \
                        (out_type *)call->out, &call->error);                          \
    }

/* Streaming operations put their messages on the call. */
#define RUN_STREAM(function, in_type)                                                           \
    static kv_status run_##function(kv_call *call)                                              \
    {                                                                                           \
        kv_stream stream = { .send = send_on, .context = call };                                \
                                                                                                \
        return function(call->services->vault, &call->work, (const in_type *)call->in, &stream, \
                        &call->error);                                                          \
    }

#define GRPC(service, method, read, write)                                   \
    {                                                                        \
        [KV_DOOR_GRPC] = { "/keyvault.v1." service "/" method, read, write } \
    }

static kv_status send_on(void *context, const void *message, kv_error *err)
{
    (void)err; /* the call's own: kv_call_send fills it */
    return kv_call_send(context, message);
}

/* Begins here, and goes on in the thread of the watchers. */
static kv_status run_kv_event_watch(kv_call *call)
{
    kv_watch *watch = call->services->watch;
    kv_event_message first;
    kv_status status;

    if (!watch)
        return kv_fail(&call->error, KV_UNAVAILABLE, "this server cannot be watched");
    KV_TRY(kv_event_watch_begin(call->services->vault, &call->work,
                                (const kv_event_watch_in *)call->in, &first, &call->error));
    KV_TRY(kv_watch_enter(watch, call, first.cursor, &call->error));
    status = kv_call_send(call, &first);
    if (status != KV_OK)
        kv_watch_leave(call->watcher);
    return status;
}

RUN(kv_server_status_get, kv_server_status_get_in, kv_server_status)
RUN(kv_server_check, kv_server_check_in, kv_checks)
RUN(kv_vault_put, kv_vault_put_in, kv_vault_bundle)
RUN(kv_vault_get, kv_vault_get_in, kv_vault_bundle)
RUN(kv_vault_list_all, kv_vault_list_in, kv_vault_list)
RUN(kv_vault_patch, kv_vault_patch_in, kv_vault_bundle)
RUN(kv_vault_delete, kv_vault_delete_in, kv_vault_bundle)
RUN(kv_vault_recover, kv_vault_recover_in, kv_vault_bundle)
RUN(kv_vault_purge, kv_vault_purge_in, kv_nothing_out)
RUN(kv_vault_list_deleted, kv_vault_list_deleted_in, kv_vault_list)
RUN(kv_key_create, kv_key_create_in, kv_key_bundle)
RUN(kv_key_import, kv_key_import_in, kv_key_bundle)
RUN(kv_random_bytes_get, kv_random_bytes_get_in, kv_random_bytes)
RUN(kv_key_get, kv_key_get_in, kv_key_bundle)
RUN(kv_key_list, kv_key_list_in, kv_object_list)
RUN(kv_key_list_versions, kv_key_list_versions_in, kv_object_list)
RUN(kv_key_update, kv_key_update_in, kv_key_bundle)
RUN(kv_key_rotate, kv_key_rotate_in, kv_key_bundle)
RUN(kv_rotation_policy_get, kv_rotation_policy_get_in, kv_rotation_policy_bundle)
RUN(kv_rotation_policy_update, kv_rotation_policy_update_in, kv_rotation_policy_bundle)
RUN(kv_destruction_permit, kv_destruction_permit_in, kv_rotation_policy_bundle)
RUN(kv_key_sign, kv_key_sign_in, kv_signature)
RUN(kv_key_verify, kv_key_verify_in, kv_verification)
RUN(kv_key_encrypt, kv_key_encrypt_in, kv_key_ciphered)
RUN(kv_key_decrypt, kv_key_decrypt_in, kv_key_ciphered)
RUN(kv_key_wrap, kv_key_wrap_in, kv_key_ciphered)
RUN(kv_key_unwrap, kv_key_unwrap_in, kv_key_ciphered)
RUN(kv_key_delete, kv_key_delete_in, kv_key_bundle)
RUN(kv_key_get_deleted, kv_key_get_deleted_in, kv_key_bundle)
RUN(kv_key_list_deleted, kv_key_list_deleted_in, kv_object_list)
RUN(kv_key_recover, kv_key_recover_in, kv_key_bundle)
RUN(kv_key_purge, kv_key_purge_in, kv_nothing_out)
RUN(kv_key_backup, kv_key_backup_in, kv_backup)
RUN(kv_key_restore, kv_key_restore_in, kv_key_bundle)
RUN(kv_secret_set, kv_secret_set_in, kv_secret_bundle)
RUN(kv_secret_get, kv_secret_get_in, kv_secret_bundle)
RUN(kv_secret_list, kv_secret_list_in, kv_object_list)
RUN(kv_secret_list_versions, kv_secret_list_versions_in, kv_object_list)
RUN(kv_secret_update, kv_secret_update_in, kv_secret_bundle)
RUN(kv_secret_delete, kv_secret_delete_in, kv_secret_bundle)
RUN(kv_secret_get_deleted, kv_secret_get_deleted_in, kv_secret_bundle)
RUN(kv_secret_list_deleted, kv_secret_list_deleted_in, kv_object_list)
RUN(kv_secret_recover, kv_secret_recover_in, kv_secret_bundle)
RUN(kv_secret_purge, kv_secret_purge_in, kv_nothing_out)
RUN(kv_secret_backup, kv_secret_backup_in, kv_backup)
RUN(kv_secret_restore, kv_secret_restore_in, kv_secret_bundle)
RUN(kv_certificate_create, kv_certificate_create_in, kv_certificate_operation)
RUN(kv_certificate_pending_get, kv_certificate_pending_get_in, kv_certificate_operation)
RUN(kv_certificate_pending_delete, kv_certificate_pending_delete_in, kv_certificate_operation)
RUN(kv_certificate_pending_update, kv_certificate_pending_update_in, kv_certificate_operation)
RUN(kv_certificate_pending_merge, kv_certificate_merge_in, kv_certificate_bundle)
RUN(kv_certificate_import, kv_certificate_import_in, kv_certificate_bundle)
RUN(kv_certificate_get, kv_certificate_get_in, kv_certificate_bundle)
RUN(kv_certificate_list, kv_certificate_list_in, kv_object_list)
RUN(kv_certificate_list_versions, kv_certificate_list_versions_in, kv_object_list)
RUN(kv_certificate_chain_get, kv_certificate_chain_get_in, kv_certificate_chain)
RUN(kv_certificate_update, kv_certificate_update_in, kv_certificate_bundle)
RUN(kv_certificate_policy_get, kv_certificate_policy_get_in, kv_certificate_policy_bundle)
RUN(kv_certificate_policy_update, kv_certificate_policy_update_in, kv_certificate_policy_bundle)
RUN(kv_certificate_delete, kv_certificate_delete_in, kv_certificate_bundle)
RUN(kv_certificate_get_deleted, kv_certificate_get_deleted_in, kv_certificate_bundle)
RUN(kv_certificate_list_deleted, kv_certificate_list_deleted_in, kv_object_list)
RUN(kv_certificate_recover, kv_certificate_recover_in, kv_certificate_bundle)
RUN(kv_certificate_purge, kv_certificate_purge_in, kv_nothing_out)
RUN(kv_certificate_backup, kv_certificate_backup_in, kv_backup)
RUN(kv_certificate_restore, kv_certificate_restore_in, kv_certificate_bundle)
RUN(kv_authority_create, kv_authority_create_in, kv_authority_bundle)
RUN(kv_authority_get, kv_authority_get_in, kv_authority_bundle)
RUN(kv_authority_list_all, kv_authority_list_in, kv_authority_list)
RUN(kv_authority_import, kv_authority_import_in, kv_authority_bundle)
RUN(kv_authority_renew, kv_authority_renew_in, kv_authority_bundle)
RUN(kv_authority_issued_list, kv_issued_list_in, kv_issued_list)
RUN(kv_authority_issued_get, kv_issued_get_in, kv_issued_bundle)
RUN(kv_authority_update, kv_authority_update_in, kv_authority_bundle)
RUN(kv_authority_delete, kv_authority_delete_in, kv_nothing_out)
RUN(kv_authority_revoke, kv_authority_revoke_in, kv_revoked_bundle)
RUN(kv_authority_crl_get, kv_authority_crl_in, kv_crl_bundle)
RUN(kv_vault_issuer_set, kv_issuer_set_in, kv_issuer_bundle)
RUN(kv_vault_issuer_get, kv_issuer_get_in, kv_issuer_bundle)
RUN(kv_vault_issuer_list, kv_issuer_list_in, kv_issuer_list)
RUN(kv_vault_issuer_update, kv_issuer_update_in, kv_issuer_bundle)
RUN(kv_vault_issuer_delete, kv_issuer_delete_in, kv_issuer_bundle)
RUN(kv_vault_issuer_check, kv_issuer_check_in, kv_issuer_checked)
RUN(kv_vault_issuer_roll_key, kv_issuer_roll_key_in, kv_issuer_account_bundle)
RUN(kv_vault_issuer_revoke, kv_issuer_revoke_in, kv_nothing_out)
RUN(kv_inventory_list, kv_inventory_list_in, kv_inventory_page)
RUN(kv_forecast_read, kv_forecast_get_in, kv_forecast)
RUN(kv_renewal_all, kv_renew_all_in, kv_renewed_all)
RUN(kv_vault_contacts_set, kv_contacts_set_in, kv_contacts)
RUN(kv_vault_contacts_get, kv_contacts_get_in, kv_contacts)
RUN(kv_vault_contacts_delete, kv_contacts_delete_in, kv_contacts)
RUN(kv_vault_contacts_test, kv_contacts_test_in, kv_contacts_tested)
RUN(kv_vault_webhook_set, kv_webhook_set_in, kv_webhook_bundle)
RUN(kv_vault_webhook_get, kv_webhook_get_in, kv_webhook_bundle)
RUN(kv_vault_webhook_list, kv_webhook_list_in, kv_webhook_list)
RUN(kv_vault_webhook_delete, kv_webhook_delete_in, kv_webhook_bundle)
RUN(kv_vault_webhook_test, kv_webhook_test_in, kv_webhook_tested)
RUN(kv_vault_dead_letters, kv_dead_letter_list_in, kv_dead_letter_list)
RUN(kv_vault_redeliver, kv_redeliver_in, kv_redelivered)
RUN(kv_who_am_i, kv_who_am_i_in, kv_caller_bundle)
RUN(kv_role_token_issue, kv_role_token_issue_in, kv_role_token_bundle)
RUN(kv_role_token_revoke, kv_role_token_revoke_in, kv_nothing_out)
RUN(kv_role_token_revoke_principal, kv_role_token_revoke_principal_in, kv_principal)
RUN(kv_principal_create, kv_principal_create_in, kv_principal)
RUN(kv_principal_get, kv_principal_get_in, kv_principal)
RUN(kv_principal_list_all, kv_principal_list_in, kv_principal_list)
RUN(kv_principal_change, kv_principal_update_in, kv_principal)
RUN(kv_principal_delete, kv_principal_delete_in, kv_nothing_out)
RUN(kv_credential_add, kv_credential_add_in, kv_credential)
RUN(kv_management_certificate_add, kv_management_certificate_add_in, kv_credential)
RUN(kv_credential_list_all, kv_credential_list_in, kv_credential_list)
RUN(kv_credential_remove, kv_credential_remove_in, kv_nothing_out)
RUN(kv_role_assign, kv_role_assign_in, kv_assigned)
RUN(kv_role_assignment_list, kv_role_assignment_list_in, kv_assignment_list)
RUN(kv_role_assignment_remove, kv_role_assignment_remove_in, kv_nothing_out)
RUN(kv_role_list, kv_role_list_in, kv_role_lines)
RUN(kv_explain_access, kv_access_explain_in, kv_access_answer)
RUN(kv_who_can, kv_access_who_can_in, kv_access_answers)
RUN(kv_event_list_all, kv_event_list_in, kv_event_list)
RUN_STREAM(kv_audit_records, kv_audit_search_in)
RUN_STREAM(kv_audit_segments, kv_audit_export_in)
RUN(kv_audit_state_get, kv_audit_status_get_in, kv_audit_state)

/* clang-format off */
/* shape: table */
const kv_route kv_routes[] = {

    /* ServerService */
    { .name = "ServerStatusGet", .needs = KV_MAY_SERVER_READ, .lane = KV_LANE_STORE,
      .run = run_kv_server_status_get,
      .in_size = sizeof(kv_server_status_get_in), .out_size = sizeof(kv_server_status),
      .at = GRPC("ServerService", "GetServerStatus",
                 kv_pb_read_server_status_get, kv_pb_write_server_status) },
    { .name = "ServerCheck", .needs = KV_MAY_SERVER_READ, .lane = KV_LANE_SLOW,
      .run = run_kv_server_check,
      .in_size = sizeof(kv_server_check_in), .out_size = sizeof(kv_checks),
      .at = GRPC("ServerService", "CheckServer", kv_pb_read_server_check, kv_pb_write_checks) },

    /* VaultService */
    { .name = "VaultPut", .needs = KV_MAY_VAULTS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_put, .mutates = true,
      .in_size = sizeof(kv_vault_put_in), .out_size = sizeof(kv_vault_bundle),
      .at = GRPC("VaultService", "CreateVault", kv_pb_read_vault_put, kv_pb_write_vault_bundle) },
    { .name = "VaultGet", .needs = KV_MAY_VAULTS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_vault_get,
      .in_size = sizeof(kv_vault_get_in), .out_size = sizeof(kv_vault_bundle),
      .at = GRPC("VaultService", "GetVault", kv_pb_read_vault_get, kv_pb_write_vault_bundle) },
    { .name = "VaultList", .needs = KV_MAY_VAULTS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_vault_list_all,
      .in_size = sizeof(kv_vault_list_in), .out_size = sizeof(kv_vault_list),
      .at = GRPC("VaultService", "ListVaults", kv_pb_read_vault_list, kv_pb_write_vault_list) },
    { .name = "VaultPatch", .needs = KV_MAY_VAULTS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_patch, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_vault_patch_in), .out_size = sizeof(kv_vault_bundle),
      .at = GRPC("VaultService", "UpdateVault", kv_pb_read_vault_patch, kv_pb_write_vault_bundle) },
    { .name = "VaultDelete", .needs = KV_MAY_VAULTS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_vault_delete_in), .out_size = sizeof(kv_vault_bundle),
      .at = GRPC("VaultService", "DeleteVault",
                 kv_pb_read_vault_delete, kv_pb_write_vault_bundle) },
    { .name = "VaultRecover", .needs = KV_MAY_VAULTS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_recover, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_vault_recover_in), .out_size = sizeof(kv_vault_bundle),
      .at = GRPC("VaultService", "RecoverVault",
                 kv_pb_read_vault_recover, kv_pb_write_vault_bundle) },
    { .name = "VaultPurge", .needs = KV_MAY_VAULTS_PURGE, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_purge, .mutates = true,
      .in_size = sizeof(kv_vault_purge_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("VaultService", "PurgeVault", kv_pb_read_vault_purge, kv_pb_write_nothing) },
    { .name = "VaultListDeleted", .needs = KV_MAY_VAULTS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_vault_list_deleted,
      .in_size = sizeof(kv_vault_list_deleted_in), .out_size = sizeof(kv_vault_list),
      .at = GRPC("VaultService", "ListDeletedVaults",
                 kv_pb_read_vault_list_deleted, kv_pb_write_vault_list) },

    /* KeyService */
    { .name = "KeyCreate", .needs = KV_MAY_KEYS_CREATE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_create, .mutates = true,
      .in_size = sizeof(kv_key_create_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "CreateKey", kv_pb_read_key_create, kv_pb_write_key_bundle) },
    { .name = "KeyImport", .needs = KV_MAY_KEYS_IMPORT, .lane = KV_LANE_SLOW,
      .run = run_kv_key_import, .mutates = true, .secret = true,
      .in_size = sizeof(kv_key_import_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "ImportKey", kv_pb_read_key_import, kv_pb_write_key_bundle) },
    { .name = "KeyGet", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_STORE, .run = run_kv_key_get,
      .in_size = sizeof(kv_key_get_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "GetKey", kv_pb_read_key_get, kv_pb_write_key_bundle) },
    { .name = "KeyList", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_STORE, .run = run_kv_key_list,
      .in_size = sizeof(kv_key_list_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("KeyService", "ListKeys", kv_pb_read_key_list, kv_pb_write_key_list) },
    { .name = "KeyListVersions", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_key_list_versions,
      .in_size = sizeof(kv_key_list_versions_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("KeyService", "ListKeyVersions",
                 kv_pb_read_key_list_versions, kv_pb_write_key_list) },
    { .name = "KeyUpdate", .needs = KV_MAY_KEYS_UPDATE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_key_update_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "UpdateKey", kv_pb_read_key_update, kv_pb_write_key_bundle) },
    { .name = "KeyRotate", .needs = KV_MAY_KEYS_ROTATE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_rotate, .mutates = true,
      .in_size = sizeof(kv_key_rotate_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "RotateKey", kv_pb_read_key_rotate, kv_pb_write_key_bundle) },
    { .name = "KeyRotationPolicyGet", .needs = KV_MAY_KEYROTATIONPOLICIES_READ,
      .lane = KV_LANE_STORE, .run = run_kv_rotation_policy_get,
      .in_size = sizeof(kv_rotation_policy_get_in), .out_size = sizeof(kv_rotation_policy_bundle),
      .at = GRPC("KeyService", "GetKeyRotationPolicy",
                 kv_pb_read_rotation_policy_get, kv_pb_write_rotation_policy) },
    { .name = "KeyRotationPolicySet", .needs = KV_MAY_KEYROTATIONPOLICIES_WRITE,
      .lane = KV_LANE_SLOW, .run = run_kv_rotation_policy_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_rotation_policy_update_in),
      .out_size = sizeof(kv_rotation_policy_bundle),
      .at = GRPC("KeyService", "UpdateKeyRotationPolicy",
                 kv_pb_read_rotation_policy_update, kv_pb_write_rotation_policy) },
    { .name = "KeyDestructionPermit", .needs = KV_MAY_KEYS_PURGE, .lane = KV_LANE_SLOW,
      .run = run_kv_destruction_permit, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_destruction_permit_in), .out_size = sizeof(kv_rotation_policy_bundle),
      .at = GRPC("KeyService", "PermitKeyDestruction",
                 kv_pb_read_destruction_permit, kv_pb_write_rotation_policy) },
    { .name = "KeySign", .needs = KV_MAY_KEYS_SIGN, .lane = KV_LANE_KEYS, .run = run_kv_key_sign,
      .in_size = sizeof(kv_key_sign_in), .out_size = sizeof(kv_signature),
      .at = GRPC("KeyService", "Sign", kv_pb_read_key_sign, kv_pb_write_signature) },
    { .name = "KeyVerify", .needs = KV_MAY_KEYS_VERIFY, .lane = KV_LANE_KEYS,
      .run = run_kv_key_verify,
      .in_size = sizeof(kv_key_verify_in), .out_size = sizeof(kv_verification),
      .at = GRPC("KeyService", "Verify", kv_pb_read_key_verify, kv_pb_write_verification) },
    { .name = "KeyEncrypt", .needs = KV_MAY_KEYS_ENCRYPT, .lane = KV_LANE_KEYS,
      .run = run_kv_key_encrypt, .secret = true,
      .in_size = sizeof(kv_key_encrypt_in), .out_size = sizeof(kv_key_ciphered),
      .at = GRPC("KeyService", "Encrypt", kv_pb_read_key_encrypt, kv_pb_write_encrypted) },
    { .name = "KeyDecrypt", .needs = KV_MAY_KEYS_DECRYPT, .lane = KV_LANE_KEYS,
      .run = run_kv_key_decrypt, .secret = true,
      .in_size = sizeof(kv_key_decrypt_in), .out_size = sizeof(kv_key_ciphered),
      .at = GRPC("KeyService", "Decrypt", kv_pb_read_key_decrypt, kv_pb_write_decrypted) },
    { .name = "KeyWrap", .needs = KV_MAY_KEYS_WRAP, .lane = KV_LANE_KEYS,
      .run = run_kv_key_wrap, .secret = true,
      .in_size = sizeof(kv_key_wrap_in), .out_size = sizeof(kv_key_ciphered),
      .at = GRPC("KeyService", "WrapKey", kv_pb_read_key_wrap, kv_pb_write_wrapped) },
    { .name = "KeyUnwrap", .needs = KV_MAY_KEYS_UNWRAP, .lane = KV_LANE_KEYS,
      .run = run_kv_key_unwrap, .secret = true,
      .in_size = sizeof(kv_key_unwrap_in), .out_size = sizeof(kv_key_ciphered),
      .at = GRPC("KeyService", "UnwrapKey", kv_pb_read_key_unwrap, kv_pb_write_unwrapped) },
    { .name = "RandomBytesGet", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_KEYS,
      .run = run_kv_random_bytes_get, .secret = true,
      .in_size = sizeof(kv_random_bytes_get_in), .out_size = sizeof(kv_random_bytes),
      .at = GRPC("KeyService", "GetRandomBytes",
                 kv_pb_read_random_bytes_get, kv_pb_write_random_bytes) },
    { .name = "KeyDelete", .needs = KV_MAY_KEYS_DELETE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_key_delete_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "DeleteKey", kv_pb_read_key_delete, kv_pb_write_key_bundle) },
    { .name = "KeyGetDeleted", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_key_get_deleted,
      .in_size = sizeof(kv_key_get_deleted_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "GetDeletedKey",
                 kv_pb_read_key_get_deleted, kv_pb_write_key_bundle) },
    { .name = "KeyListDeleted", .needs = KV_MAY_KEYS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_key_list_deleted,
      .in_size = sizeof(kv_key_list_deleted_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("KeyService", "ListDeletedKeys",
                 kv_pb_read_key_list_deleted, kv_pb_write_key_list) },
    { .name = "KeyRecover", .needs = KV_MAY_KEYS_RECOVER, .lane = KV_LANE_SLOW,
      .run = run_kv_key_recover, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_key_recover_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "RecoverDeletedKey",
                 kv_pb_read_key_recover, kv_pb_write_key_bundle) },
    { .name = "KeyPurge", .needs = KV_MAY_KEYS_PURGE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_purge, .mutates = true,
      .in_size = sizeof(kv_key_purge_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("KeyService", "PurgeDeletedKey", kv_pb_read_key_purge, kv_pb_write_nothing) },
    { .name = "KeyBackup", .needs = KV_MAY_KEYS_BACKUP, .lane = KV_LANE_SLOW,
      .run = run_kv_key_backup,
      .in_size = sizeof(kv_key_backup_in), .out_size = sizeof(kv_backup),
      .at = GRPC("KeyService", "BackupKey", kv_pb_read_key_backup, kv_pb_write_backup) },
    { .name = "KeyRestore", .needs = KV_MAY_KEYS_RESTORE, .lane = KV_LANE_SLOW,
      .run = run_kv_key_restore, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_key_restore_in), .out_size = sizeof(kv_key_bundle),
      .at = GRPC("KeyService", "RestoreKey",
                 kv_pb_read_key_restore, kv_pb_write_key_bundle) },

    /* SecretService */
    { .name = "SecretSet", .needs = KV_MAY_SECRETS_SET, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_set, .mutates = true, .repeats = true, .secret = true,
      .in_size = sizeof(kv_secret_set_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "SetSecret", kv_pb_read_secret_set, kv_pb_write_secret_bundle) },
    { .name = "SecretGet", .needs = KV_MAY_SECRETS_GET_ANY, .lane = KV_LANE_SYSTEM,
      .run = run_kv_secret_get, .secret = true,
      .in_size = sizeof(kv_secret_get_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "GetSecret", kv_pb_read_secret_get, kv_pb_write_secret_bundle) },
    { .name = "SecretList", .needs = KV_MAY_SECRETS_READ_METADATA, .lane = KV_LANE_STORE,
      .run = run_kv_secret_list,
      .in_size = sizeof(kv_secret_list_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("SecretService", "ListSecrets", kv_pb_read_secret_list, kv_pb_write_secret_list) },
    { .name = "SecretListVersions", .needs = KV_MAY_SECRETS_READ_METADATA, .lane = KV_LANE_STORE,
      .run = run_kv_secret_list_versions,
      .in_size = sizeof(kv_secret_list_versions_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("SecretService", "ListSecretVersions",
                 kv_pb_read_secret_list_versions, kv_pb_write_secret_list) },
    { .name = "SecretUpdate", .needs = KV_MAY_SECRETS_UPDATE, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_secret_update_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "UpdateSecret",
                 kv_pb_read_secret_update, kv_pb_write_secret_bundle) },
    { .name = "SecretDelete", .needs = KV_MAY_SECRETS_DELETE, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_secret_delete_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "DeleteSecret",
                 kv_pb_read_secret_delete, kv_pb_write_secret_bundle) },
    { .name = "SecretGetDeleted", .needs = KV_MAY_SECRETS_READ_METADATA, .lane = KV_LANE_STORE,
      .run = run_kv_secret_get_deleted,
      .in_size = sizeof(kv_secret_get_deleted_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "GetDeletedSecret",
                 kv_pb_read_secret_get_deleted, kv_pb_write_secret_bundle) },
    { .name = "SecretListDeleted", .needs = KV_MAY_SECRETS_READ_METADATA, .lane = KV_LANE_STORE,
      .run = run_kv_secret_list_deleted,
      .in_size = sizeof(kv_secret_list_deleted_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("SecretService", "ListDeletedSecrets",
                 kv_pb_read_secret_list_deleted, kv_pb_write_secret_list) },
    { .name = "SecretRecover", .needs = KV_MAY_SECRETS_RECOVER, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_recover, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_secret_recover_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "RecoverDeletedSecret",
                 kv_pb_read_secret_recover, kv_pb_write_secret_bundle) },
    { .name = "SecretPurge", .needs = KV_MAY_SECRETS_PURGE, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_purge, .mutates = true,
      .in_size = sizeof(kv_secret_purge_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("SecretService", "PurgeDeletedSecret",
                 kv_pb_read_secret_purge, kv_pb_write_nothing) },
    { .name = "SecretBackup", .needs = KV_MAY_SECRETS_BACKUP, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_backup,
      .in_size = sizeof(kv_secret_backup_in), .out_size = sizeof(kv_backup),
      .at = GRPC("SecretService", "BackupSecret", kv_pb_read_secret_backup, kv_pb_write_backup) },
    { .name = "SecretRestore", .needs = KV_MAY_SECRETS_RESTORE, .lane = KV_LANE_SLOW,
      .run = run_kv_secret_restore, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_secret_restore_in), .out_size = sizeof(kv_secret_bundle),
      .at = GRPC("SecretService", "RestoreSecret",
                 kv_pb_read_secret_restore, kv_pb_write_secret_bundle) },

    /* CertificateService */
    { .name = "CertificateCreate", .needs = KV_MAY_CERTIFICATES_CREATE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_create, .mutates = true,
      .in_size = sizeof(kv_certificate_create_in), .out_size = sizeof(kv_certificate_operation),
      .at = GRPC("CertificateService", "CreateCertificate",
                 kv_pb_read_certificate_create, kv_pb_write_certificate_operation) },
    { .name = "CertificatePendingGet", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_pending_get,
      .in_size = sizeof(kv_certificate_pending_get_in),
      .out_size = sizeof(kv_certificate_operation),
      .at = GRPC("CertificateService", "GetCertificateOperation",
                 kv_pb_read_certificate_pending_get, kv_pb_write_certificate_operation) },
    { .name = "CertificatePendingDelete", .needs = KV_MAY_CERTIFICATES_CREATE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_pending_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_pending_delete_in),
      .out_size = sizeof(kv_certificate_operation),
      .at = GRPC("CertificateService", "DeleteCertificateOperation",
                 kv_pb_read_certificate_pending_delete, kv_pb_write_certificate_operation) },
    { .name = "CertificatePendingUpdate", .needs = KV_MAY_CERTIFICATES_CREATE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_pending_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_pending_update_in),
      .out_size = sizeof(kv_certificate_operation),
      .at = GRPC("CertificateService", "CancelCertificateOperation",
                 kv_pb_read_certificate_pending_update, kv_pb_write_certificate_operation) },
    { .name = "CertificatePendingMerge", .needs = KV_MAY_CERTIFICATES_CREATE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_pending_merge, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_merge_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "MergeCertificate",
                 kv_pb_read_certificate_merge, kv_pb_write_certificate_bundle) },
    { .name = "CertificateImport", .needs = KV_MAY_CERTIFICATES_IMPORT, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_import, .mutates = true, .secret = true,
      .in_size = sizeof(kv_certificate_import_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "ImportCertificate",
                 kv_pb_read_certificate_import, kv_pb_write_certificate_bundle) },
    { .name = "CertificateGet", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_get,
      .in_size = sizeof(kv_certificate_get_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "GetCertificate",
                 kv_pb_read_certificate_get, kv_pb_write_certificate_bundle) },
    { .name = "CertificateList", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_list,
      .in_size = sizeof(kv_certificate_list_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("CertificateService", "ListCertificates",
                 kv_pb_read_certificate_list, kv_pb_write_certificate_list) },
    { .name = "CertificateListVersions", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_list_versions,
      .in_size = sizeof(kv_certificate_list_versions_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("CertificateService", "ListCertificateVersions",
                 kv_pb_read_certificate_list_versions, kv_pb_write_certificate_list) },
    { .name = "CertificateChainGet", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_chain_get,
      .in_size = sizeof(kv_certificate_chain_get_in), .out_size = sizeof(kv_certificate_chain),
      .at = GRPC("CertificateService", "GetCertificateChain",
                 kv_pb_read_certificate_chain_get, kv_pb_write_certificate_chain) },
    { .name = "CertificateUpdate", .needs = KV_MAY_CERTIFICATES_UPDATE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_update_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "UpdateCertificate",
                 kv_pb_read_certificate_update, kv_pb_write_certificate_bundle) },
    { .name = "CertificatePolicyGet", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_policy_get,
      .in_size = sizeof(kv_certificate_policy_get_in),
      .out_size = sizeof(kv_certificate_policy_bundle),
      .at = GRPC("CertificateService", "GetCertificatePolicy",
                 kv_pb_read_certificate_policy_get, kv_pb_write_certificate_policy_bundle) },
    { .name = "CertificatePolicyUpdate", .needs = KV_MAY_CERTIFICATES_UPDATE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_policy_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_policy_update_in),
      .out_size = sizeof(kv_certificate_policy_bundle),
      .at = GRPC("CertificateService", "UpdateCertificatePolicy",
                 kv_pb_read_certificate_policy_update, kv_pb_write_certificate_policy_bundle) },
    { .name = "CertificateDelete", .needs = KV_MAY_CERTIFICATES_DELETE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_delete_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "DeleteCertificate",
                 kv_pb_read_certificate_delete, kv_pb_write_certificate_bundle) },
    { .name = "CertificateGetDeleted", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_get_deleted,
      .in_size = sizeof(kv_certificate_get_deleted_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "GetDeletedCertificate",
                 kv_pb_read_certificate_get_deleted, kv_pb_write_certificate_bundle) },
    { .name = "CertificateListDeleted", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_certificate_list_deleted,
      .in_size = sizeof(kv_certificate_list_deleted_in), .out_size = sizeof(kv_object_list),
      .at = GRPC("CertificateService", "ListDeletedCertificates",
                 kv_pb_read_certificate_list_deleted, kv_pb_write_certificate_list) },
    { .name = "CertificateRecover", .needs = KV_MAY_CERTIFICATES_RECOVER, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_recover, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_recover_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "RecoverDeletedCertificate",
                 kv_pb_read_certificate_recover, kv_pb_write_certificate_bundle) },
    { .name = "CertificatePurge", .needs = KV_MAY_CERTIFICATES_PURGE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_purge, .mutates = true,
      .in_size = sizeof(kv_certificate_purge_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("CertificateService", "PurgeDeletedCertificate",
                 kv_pb_read_certificate_purge, kv_pb_write_nothing) },
    { .name = "CertificateBackup", .needs = KV_MAY_CERTIFICATES_BACKUP, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_backup,
      .in_size = sizeof(kv_certificate_backup_in), .out_size = sizeof(kv_backup),
      .at = GRPC("CertificateService", "BackupCertificate",
                 kv_pb_read_certificate_backup, kv_pb_write_backup) },
    { .name = "CertificateRestore", .needs = KV_MAY_CERTIFICATES_RESTORE, .lane = KV_LANE_SLOW,
      .run = run_kv_certificate_restore, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_certificate_restore_in), .out_size = sizeof(kv_certificate_bundle),
      .at = GRPC("CertificateService", "RestoreCertificate",
                 kv_pb_read_certificate_restore, kv_pb_write_certificate_bundle) },

    /* CertificateAuthorityService */
    { .name = "CertificateAuthorityCreate", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_create, .mutates = true,
      .in_size = sizeof(kv_authority_create_in), .out_size = sizeof(kv_authority_bundle),
      .at = GRPC("CertificateAuthorityService", "CreateCertificateAuthority",
                 kv_pb_read_authority_create, kv_pb_write_authority_bundle) },
    { .name = "CertificateAuthorityGet", .needs = KV_MAY_CERTIFICATECAS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_authority_get,
      .in_size = sizeof(kv_authority_get_in), .out_size = sizeof(kv_authority_bundle),
      .at = GRPC("CertificateAuthorityService", "GetCertificateAuthority",
                 kv_pb_read_authority_get, kv_pb_write_authority_bundle) },
    { .name = "CertificateAuthorityList", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_authority_list_all,
      .in_size = sizeof(kv_authority_list_in), .out_size = sizeof(kv_authority_list),
      .at = GRPC("CertificateAuthorityService", "ListCertificateAuthorities",
                 kv_pb_read_authority_list, kv_pb_write_authority_list) },
    { .name = "CertificateAuthorityImport", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_import, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_authority_import_in), .out_size = sizeof(kv_authority_bundle),
      .at = GRPC("CertificateAuthorityService", "ImportCertificateAuthorityCertificate",
                 kv_pb_read_authority_import, kv_pb_write_authority_bundle) },
    { .name = "CertificateAuthorityRenew", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_renew, .mutates = true,
      .in_size = sizeof(kv_authority_renew_in), .out_size = sizeof(kv_authority_bundle),
      .at = GRPC("CertificateAuthorityService", "RenewCertificateAuthority",
                 kv_pb_read_authority_renew, kv_pb_write_authority_bundle) },
    { .name = "CertificateAuthorityListIssued", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_authority_issued_list,
      .in_size = sizeof(kv_issued_list_in), .out_size = sizeof(kv_issued_list),
      .at = GRPC("CertificateAuthorityService", "ListIssuedCertificates",
                 kv_pb_read_issued_list, kv_pb_write_issued_list) },
    { .name = "CertificateAuthorityGetIssued", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_authority_issued_get,
      .in_size = sizeof(kv_issued_get_in), .out_size = sizeof(kv_issued_bundle),
      .at = GRPC("CertificateAuthorityService", "GetIssuedCertificate",
                 kv_pb_read_issued_get, kv_pb_write_issued) },
    { .name = "CertificateAuthorityUpdate", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_update, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_authority_update_in), .out_size = sizeof(kv_authority_bundle),
      .at = GRPC("CertificateAuthorityService", "UpdateCertificateAuthority",
                 kv_pb_read_authority_update, kv_pb_write_authority_bundle) },
    { .name = "CertificateAuthorityDelete", .needs = KV_MAY_CERTIFICATECAS_DELETE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_authority_delete_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("CertificateAuthorityService", "DeleteCertificateAuthority",
                 kv_pb_read_authority_delete, kv_pb_write_nothing) },
    { .name = "CertificateAuthorityRevoke", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_authority_revoke, .mutates = true,
      .in_size = sizeof(kv_authority_revoke_in), .out_size = sizeof(kv_revoked_bundle),
      .at = GRPC("CertificateAuthorityService", "RevokeCertificate",
                 kv_pb_read_authority_revoke, kv_pb_write_revoked) },
    { .name = "CertificateAuthorityGetCrl", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_authority_crl_get,
      .in_size = sizeof(kv_authority_crl_in), .out_size = sizeof(kv_crl_bundle),
      .at = GRPC("CertificateAuthorityService", "GetCertificateRevocationList",
                 kv_pb_read_authority_crl, kv_pb_write_crl) },

    /* IssuerService */
    { .name = "CertificateIssuerSet", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_set, .mutates = true, .repeats = true, .secret = true,
      .in_size = sizeof(kv_issuer_set_in), .out_size = sizeof(kv_issuer_bundle),
      .at = GRPC("IssuerService", "SetIssuer",
                 kv_pb_read_issuer_set, kv_pb_write_issuer_bundle) },
    { .name = "CertificateIssuerGet", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_vault_issuer_get,
      .in_size = sizeof(kv_issuer_get_in), .out_size = sizeof(kv_issuer_bundle),
      .at = GRPC("IssuerService", "GetIssuer",
                 kv_pb_read_issuer_get, kv_pb_write_issuer_bundle) },
    { .name = "CertificateIssuersList", .needs = KV_MAY_CERTIFICATECAS_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_vault_issuer_list,
      .in_size = sizeof(kv_issuer_list_in), .out_size = sizeof(kv_issuer_list),
      .at = GRPC("IssuerService", "ListIssuers",
                 kv_pb_read_issuer_list, kv_pb_write_issuer_list) },
    { .name = "CertificateIssuerUpdate", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_update, .mutates = true, .repeats = true, .secret = true,
      .in_size = sizeof(kv_issuer_update_in), .out_size = sizeof(kv_issuer_bundle),
      .at = GRPC("IssuerService", "UpdateIssuer",
                 kv_pb_read_issuer_update, kv_pb_write_issuer_bundle) },
    { .name = "CertificateIssuerDelete", .needs = KV_MAY_CERTIFICATECAS_DELETE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_delete, .mutates = true,
      .in_size = sizeof(kv_issuer_delete_in), .out_size = sizeof(kv_issuer_bundle),
      .at = GRPC("IssuerService", "DeleteIssuer",
                 kv_pb_read_issuer_delete, kv_pb_write_issuer_bundle) },
    { .name = "CertificateIssuerCheck", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_check,
      .in_size = sizeof(kv_issuer_check_in), .out_size = sizeof(kv_issuer_checked),
      .at = GRPC("IssuerService", "CheckIssuer",
                 kv_pb_read_issuer_check, kv_pb_write_issuer_checked) },
    { .name = "CertificateIssuerRollKey", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_roll_key, .mutates = true,
      .in_size = sizeof(kv_issuer_roll_key_in), .out_size = sizeof(kv_issuer_account_bundle),
      .at = GRPC("IssuerService", "RollAccountKey",
                 kv_pb_read_issuer_roll_key, kv_pb_write_issuer_account) },
    { .name = "CertificateIssuerRevoke", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_issuer_revoke, .mutates = true,
      .in_size = sizeof(kv_issuer_revoke_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("IssuerService", "RevokeIssuedCertificate",
                 kv_pb_read_issuer_revoke, kv_pb_write_nothing) },

    /* RenewalService */
    { .name = "CertificateInventory", .needs = KV_MAY_CERTIFICATES_READ, .lane = KV_LANE_STORE,
      .run = run_kv_inventory_list,
      .in_size = sizeof(kv_inventory_list_in), .out_size = sizeof(kv_inventory_page),
      .at = GRPC("RenewalService", "ListInventory",
                 kv_pb_read_inventory_list, kv_pb_write_inventory_page) },
    { .name = "CertificateRenewalForecast", .needs = KV_MAY_CERTIFICATES_READ,
      .lane = KV_LANE_STORE,
      .run = run_kv_forecast_read,
      .in_size = sizeof(kv_forecast_get_in), .out_size = sizeof(kv_forecast),
      .at = GRPC("RenewalService", "GetForecast",
                 kv_pb_read_forecast_get, kv_pb_write_forecast) },
    { .name = "CertificateIssuerRenewAll", .needs = KV_MAY_CERTIFICATECAS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_renewal_all, .mutates = true,
      .in_size = sizeof(kv_renew_all_in), .out_size = sizeof(kv_renewed_all),
      .at = GRPC("RenewalService", "RenewAll",
                 kv_pb_read_renew_all, kv_pb_write_renewed_all) },

    /* ContactService */
    { .name = "CertificateContactsSet", .needs = KV_MAY_CERTIFICATECONTACTS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_contacts_set, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_contacts_set_in), .out_size = sizeof(kv_contacts),
      .at = GRPC("ContactService", "SetContacts",
                 kv_pb_read_contacts_set, kv_pb_write_contacts) },
    { .name = "CertificateContactsGet", .needs = KV_MAY_CERTIFICATECONTACTS_WRITE,
      .lane = KV_LANE_STORE,
      .run = run_kv_vault_contacts_get,
      .in_size = sizeof(kv_contacts_get_in), .out_size = sizeof(kv_contacts),
      .at = GRPC("ContactService", "GetContacts",
                 kv_pb_read_contacts_get, kv_pb_write_contacts) },
    { .name = "CertificateContactsDelete", .needs = KV_MAY_CERTIFICATECONTACTS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_contacts_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_contacts_delete_in), .out_size = sizeof(kv_contacts),
      .at = GRPC("ContactService", "DeleteContacts",
                 kv_pb_read_contacts_delete, kv_pb_write_contacts) },
    { .name = "CertificateContactsTest", .needs = KV_MAY_CERTIFICATECONTACTS_WRITE,
      .lane = KV_LANE_SLOW,
      .run = run_kv_vault_contacts_test,
      .in_size = sizeof(kv_contacts_test_in), .out_size = sizeof(kv_contacts_tested),
      .at = GRPC("ContactService", "TestContacts",
                 kv_pb_read_contacts_test, kv_pb_write_contacts_tested) },

    /* WebhookService */
    { .name = "WebhookSet", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_webhook_set, .mutates = true, .secret = true,
      .in_size = sizeof(kv_webhook_set_in), .out_size = sizeof(kv_webhook_bundle),
      .at = GRPC("WebhookService", "SetWebhook",
                 kv_pb_read_webhook_set, kv_pb_write_webhook_bundle) },
    { .name = "WebhookGet", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_STORE,
      .run = run_kv_vault_webhook_get,
      .in_size = sizeof(kv_webhook_get_in), .out_size = sizeof(kv_webhook_bundle),
      .at = GRPC("WebhookService", "GetWebhook",
                 kv_pb_read_webhook_get, kv_pb_write_webhook_bundle) },
    { .name = "WebhookList", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_STORE,
      .run = run_kv_vault_webhook_list,
      .in_size = sizeof(kv_webhook_list_in), .out_size = sizeof(kv_webhook_list),
      .at = GRPC("WebhookService", "ListWebhooks",
                 kv_pb_read_webhook_list, kv_pb_write_webhook_list) },
    { .name = "WebhookDelete", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_webhook_delete, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_webhook_delete_in), .out_size = sizeof(kv_webhook_bundle),
      .at = GRPC("WebhookService", "DeleteWebhook",
                 kv_pb_read_webhook_delete, kv_pb_write_webhook_bundle) },
    { .name = "WebhookTest", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_webhook_test, .secret = true,
      .in_size = sizeof(kv_webhook_test_in), .out_size = sizeof(kv_webhook_tested),
      .at = GRPC("WebhookService", "TestWebhook",
                 kv_pb_read_webhook_test, kv_pb_write_webhook_tested) },
    { .name = "DeadLetterList", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_STORE,
      .run = run_kv_vault_dead_letters,
      .in_size = sizeof(kv_dead_letter_list_in), .out_size = sizeof(kv_dead_letter_list),
      .at = GRPC("WebhookService", "ListDeadLetters",
                 kv_pb_read_dead_letter_list, kv_pb_write_dead_letter_list) },
    { .name = "DeadLetterRedeliver", .needs = KV_MAY_WEBHOOKS_ANY, .lane = KV_LANE_SLOW,
      .run = run_kv_vault_redeliver, .mutates = true, .repeats = true,
      .in_size = sizeof(kv_redeliver_in), .out_size = sizeof(kv_redelivered),
      .at = GRPC("WebhookService", "RedeliverDeadLetters",
                 kv_pb_read_redeliver, kv_pb_write_redelivered) },

    /* AccessService */
    { .name = "WhoAmI", .needs = KV_MAY_BE_KNOWN, .lane = KV_LANE_STORE, .run = run_kv_who_am_i,
      .in_size = sizeof(kv_who_am_i_in), .out_size = sizeof(kv_caller_bundle),
      .at = GRPC("AccessService", "WhoAmI", kv_pb_read_who_am_i, kv_pb_write_caller_bundle) },
    { .name = "RoleTokenIssue", .needs = KV_MAY_BE_PROVED, .lane = KV_LANE_SYSTEM,
      .run = run_kv_role_token_issue, .secret = true,
      .in_size = sizeof(kv_role_token_issue_in), .out_size = sizeof(kv_role_token_bundle),
      .at = GRPC("AccessService", "IssueRoleToken",
                 kv_pb_read_role_token_issue, kv_pb_write_role_token_bundle) },
    { .name = "RoleTokenRevoke", .needs = KV_MAY_TOKENS_REVOKE, .lane = KV_LANE_SLOW,
      .run = run_kv_role_token_revoke, .mutates = true,
      .in_size = sizeof(kv_role_token_revoke_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("AccessService", "RevokeRoleToken",
                 kv_pb_read_role_token_revoke, kv_pb_write_nothing) },
    { .name = "RoleTokenRevokePrincipal", .needs = KV_MAY_TOKENS_REVOKE, .lane = KV_LANE_SLOW,
      .run = run_kv_role_token_revoke_principal, .mutates = true,
      .in_size = sizeof(kv_role_token_revoke_principal_in), .out_size = sizeof(kv_principal),
      .at = GRPC("AccessService", "RevokePrincipalTokens",
                 kv_pb_read_role_token_revoke_principal, kv_pb_write_principal) },
    { .name = "PrincipalCreate", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_principal_create, .mutates = true,
      .in_size = sizeof(kv_principal_create_in), .out_size = sizeof(kv_principal),
      .at = GRPC("AccessService", "CreatePrincipal",
                 kv_pb_read_principal_create, kv_pb_write_principal) },
    { .name = "PrincipalGet", .needs = KV_MAY_ACCESS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_principal_get,
      .in_size = sizeof(kv_principal_get_in), .out_size = sizeof(kv_principal),
      .at = GRPC("AccessService", "GetPrincipal",
                 kv_pb_read_principal_get, kv_pb_write_principal) },
    { .name = "PrincipalList", .needs = KV_MAY_ACCESS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_principal_list_all,
      .in_size = sizeof(kv_principal_list_in), .out_size = sizeof(kv_principal_list),
      .at = GRPC("AccessService", "ListPrincipals",
                 kv_pb_read_principal_list, kv_pb_write_principal_list) },
    { .name = "PrincipalUpdate", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_principal_change, .mutates = true,
      .in_size = sizeof(kv_principal_update_in), .out_size = sizeof(kv_principal),
      .at = GRPC("AccessService", "UpdatePrincipal",
                 kv_pb_read_principal_update, kv_pb_write_principal) },
    { .name = "PrincipalDelete", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_principal_delete, .mutates = true,
      .in_size = sizeof(kv_principal_delete_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("AccessService", "DeletePrincipal",
                 kv_pb_read_principal_delete, kv_pb_write_nothing) },
    { .name = "CredentialAdd", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_credential_add, .mutates = true,
      .in_size = sizeof(kv_credential_add_in), .out_size = sizeof(kv_credential),
      .at = GRPC("AccessService", "AddCredential",
                 kv_pb_read_credential_add, kv_pb_write_credential) },
    { .name = "ManagementCertificateAdd", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_management_certificate_add, .mutates = true,
      .in_size = sizeof(kv_management_certificate_add_in), .out_size = sizeof(kv_credential),
      .at = GRPC("AccessService", "AddManagementCertificate",
                 kv_pb_read_management_certificate_add, kv_pb_write_credential) },
    { .name = "CredentialList", .needs = KV_MAY_ACCESS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_credential_list_all,
      .in_size = sizeof(kv_credential_list_in), .out_size = sizeof(kv_credential_list),
      .at = GRPC("AccessService", "ListCredentials",
                 kv_pb_read_credential_list, kv_pb_write_credential_list) },
    { .name = "CredentialRemove", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_credential_remove, .mutates = true,
      .in_size = sizeof(kv_credential_remove_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("AccessService", "RemoveCredential",
                 kv_pb_read_credential_remove, kv_pb_write_nothing) },
    { .name = "RoleAssign", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_role_assign, .mutates = true,
      .in_size = sizeof(kv_role_assign_in), .out_size = sizeof(kv_assigned),
      .at = GRPC("AccessService", "AssignRole", kv_pb_read_role_assign, kv_pb_write_assigned) },
    { .name = "RoleAssignmentList", .needs = KV_MAY_ACCESS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_role_assignment_list,
      .in_size = sizeof(kv_role_assignment_list_in), .out_size = sizeof(kv_assignment_list),
      .at = GRPC("AccessService", "ListAssignments",
                 kv_pb_read_role_assignment_list, kv_pb_write_assignment_list) },
    { .name = "RoleAssignmentRemove", .needs = KV_MAY_ACCESS_WRITE, .lane = KV_LANE_SLOW,
      .run = run_kv_role_assignment_remove, .mutates = true,
      .in_size = sizeof(kv_role_assignment_remove_in), .out_size = sizeof(kv_nothing_out),
      .at = GRPC("AccessService", "RemoveAssignment",
                 kv_pb_read_role_assignment_remove, kv_pb_write_nothing) },
    { .name = "RoleList", .needs = KV_MAY_BE_KNOWN, .lane = KV_LANE_STORE, .run = run_kv_role_list,
      .in_size = sizeof(kv_role_list_in), .out_size = sizeof(kv_role_lines),
      .at = GRPC("AccessService", "ListRoles", kv_pb_read_role_list, kv_pb_write_role_lines) },
    { .name = "AccessExplain", .needs = KV_MAY_BE_KNOWN, .lane = KV_LANE_STORE,
      .run = run_kv_explain_access,
      .in_size = sizeof(kv_access_explain_in), .out_size = sizeof(kv_access_answer),
      .at = GRPC("AccessService", "ExplainAccess",
                 kv_pb_read_access_explain, kv_pb_write_access_answer) },
    { .name = "AccessWhoCan", .needs = KV_MAY_ACCESS_READ, .lane = KV_LANE_STORE,
      .run = run_kv_who_can,
      .in_size = sizeof(kv_access_who_can_in), .out_size = sizeof(kv_access_answers),
      .at = GRPC("AccessService", "WhoCan",
                 kv_pb_read_access_who_can, kv_pb_write_access_answers) },

    /* EventService: what of it the caller may see, is judged for each event */
    { .name = "EventList", .needs = KV_MAY_BE_KNOWN, .lane = KV_LANE_STORE,
      .run = run_kv_event_list_all,
      .in_size = sizeof(kv_event_list_in), .out_size = sizeof(kv_event_list),
      .at = GRPC("EventService", "ListEvents", kv_pb_read_event_list, kv_pb_write_event_list) },
    { .name = "EventWatch", .needs = KV_MAY_BE_KNOWN, .lane = KV_LANE_STORE,
      .run = run_kv_event_watch, .streams = true, .watches = true,
      .in_size = sizeof(kv_event_watch_in), .out_size = sizeof(kv_event_message),
      .at = GRPC("EventService", "WatchEvents",
                 kv_pb_read_event_watch, kv_pb_write_event_message) },

    /* AuditService */
    { .name = "AuditSearch", .needs = KV_MAY_AUDIT_READ, .lane = KV_LANE_SLOW,
      .run = run_kv_audit_records, .streams = true,
      .in_size = sizeof(kv_audit_search_in), .out_size = sizeof(kv_audit_record),
      .at = GRPC("AuditService", "SearchAudit",
                 kv_pb_read_audit_search, kv_pb_write_audit_record) },
    { .name = "AuditExport", .needs = KV_MAY_AUDIT_READ, .lane = KV_LANE_SLOW,
      .run = run_kv_audit_segments, .streams = true,
      .in_size = sizeof(kv_audit_export_in), .out_size = sizeof(kv_audit_chunk),
      .at = GRPC("AuditService", "ExportAudit", kv_pb_read_audit_export, kv_pb_write_audit_chunk) },
    { .name = "AuditStatusGet", .needs = KV_MAY_AUDIT_READ, .lane = KV_LANE_STORE,
      .run = run_kv_audit_state_get,
      .in_size = sizeof(kv_audit_status_get_in), .out_size = sizeof(kv_audit_state),
      .at = GRPC("AuditService", "GetAuditStatus",
                 kv_pb_read_audit_status_get, kv_pb_write_audit_state) },
};
/* clang-format on */

const size_t kv_routes_count = KV_COUNT(kv_routes);
