/* operations.h - every operation on vaults, keys, secrets and certificates. One line each.
 *
 * All take (vault, work, in, out, err): `in` decoded and permitted, `out` filled on success with
 * slices in work's arena. Errors beside those in the .proto file of the method: KV_INTERNAL with
 * KV_REASON_INTEGRITY, KV_UNAVAILABLE, KV_BUSY.
 *
 * Threads: workers of the row's lane.
 */
#pragma once

#include "server/vault/messages/messages_authorities.h"
#include "server/vault/messages/messages_backup.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/vault/messages/messages_issued.h"
#include "server/vault/messages/messages_issuers.h"
#include "server/vault/messages/messages_keys.h"
#include "server/vault/messages/messages_notify.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/vault/messages/messages_secrets.h"
#include "server/vault/messages/messages_vaults.h"
#include "server/vault/messages/messages_webhooks.h"
#include "server/vault/vault.h"

#define KV_OPERATION(name, in_type, out_type)                                        \
    kv_status name(kv_vault *vault, kv_work *work, const in_type *in, out_type *out, \
                   kv_error *err) KV_MUST_USE

/* vault_*.c */
KV_OPERATION(kv_vault_put, kv_vault_put_in, kv_vault_bundle);
KV_OPERATION(kv_vault_get, kv_vault_get_in, kv_vault_bundle);
KV_OPERATION(kv_vault_list_all, kv_vault_list_in, kv_vault_list);
KV_OPERATION(kv_vault_patch, kv_vault_patch_in, kv_vault_bundle);
KV_OPERATION(kv_vault_delete, kv_vault_delete_in, kv_vault_bundle);
KV_OPERATION(kv_vault_recover, kv_vault_recover_in, kv_vault_bundle);
KV_OPERATION(kv_vault_purge, kv_vault_purge_in, kv_nothing_out);
KV_OPERATION(kv_vault_list_deleted, kv_vault_list_deleted_in, kv_vault_list);

/* key_*.c */
KV_OPERATION(kv_key_create, kv_key_create_in, kv_key_bundle);
KV_OPERATION(kv_key_import, kv_key_import_in, kv_key_bundle);
KV_OPERATION(kv_random_bytes_get, kv_random_bytes_get_in, kv_random_bytes);
KV_OPERATION(kv_key_get, kv_key_get_in, kv_key_bundle);
KV_OPERATION(kv_key_list, kv_key_list_in, kv_object_list);
KV_OPERATION(kv_key_list_versions, kv_key_list_versions_in, kv_object_list);
KV_OPERATION(kv_key_update, kv_key_update_in, kv_key_bundle);
KV_OPERATION(kv_key_rotate, kv_key_rotate_in, kv_key_bundle);
KV_OPERATION(kv_rotation_policy_get, kv_rotation_policy_get_in, kv_rotation_policy_bundle);
KV_OPERATION(kv_rotation_policy_update, kv_rotation_policy_update_in, kv_rotation_policy_bundle);
KV_OPERATION(kv_destruction_permit, kv_destruction_permit_in, kv_rotation_policy_bundle);
KV_OPERATION(kv_key_sign, kv_key_sign_in, kv_signature);
KV_OPERATION(kv_key_verify, kv_key_verify_in, kv_verification);
KV_OPERATION(kv_key_encrypt, kv_key_encrypt_in, kv_key_ciphered);
KV_OPERATION(kv_key_decrypt, kv_key_decrypt_in, kv_key_ciphered);
KV_OPERATION(kv_key_wrap, kv_key_wrap_in, kv_key_ciphered);
KV_OPERATION(kv_key_unwrap, kv_key_unwrap_in, kv_key_ciphered);
KV_OPERATION(kv_key_delete, kv_key_delete_in, kv_key_bundle);
KV_OPERATION(kv_key_get_deleted, kv_key_get_deleted_in, kv_key_bundle);
KV_OPERATION(kv_key_list_deleted, kv_key_list_deleted_in, kv_object_list);
KV_OPERATION(kv_key_recover, kv_key_recover_in, kv_key_bundle);
KV_OPERATION(kv_key_purge, kv_key_purge_in, kv_nothing_out);
KV_OPERATION(kv_key_backup, kv_key_backup_in, kv_backup);
KV_OPERATION(kv_key_restore, kv_key_restore_in, kv_key_bundle);

/* secret_*.c */
KV_OPERATION(kv_secret_set, kv_secret_set_in, kv_secret_bundle);
KV_OPERATION(kv_secret_get, kv_secret_get_in, kv_secret_bundle);
KV_OPERATION(kv_secret_list, kv_secret_list_in, kv_object_list);
KV_OPERATION(kv_secret_list_versions, kv_secret_list_versions_in, kv_object_list);
KV_OPERATION(kv_secret_update, kv_secret_update_in, kv_secret_bundle);
KV_OPERATION(kv_secret_delete, kv_secret_delete_in, kv_secret_bundle);
KV_OPERATION(kv_secret_get_deleted, kv_secret_get_deleted_in, kv_secret_bundle);
KV_OPERATION(kv_secret_list_deleted, kv_secret_list_deleted_in, kv_object_list);
KV_OPERATION(kv_secret_recover, kv_secret_recover_in, kv_secret_bundle);
KV_OPERATION(kv_secret_purge, kv_secret_purge_in, kv_nothing_out);
KV_OPERATION(kv_secret_backup, kv_secret_backup_in, kv_backup);
KV_OPERATION(kv_secret_restore, kv_secret_restore_in, kv_secret_bundle);

/* authority_*.c */
KV_OPERATION(kv_authority_renew, kv_authority_renew_in, kv_authority_bundle);
KV_OPERATION(kv_authority_issued_list, kv_issued_list_in, kv_issued_list);
KV_OPERATION(kv_authority_issued_get, kv_issued_get_in, kv_issued_bundle);
KV_OPERATION(kv_authority_create, kv_authority_create_in, kv_authority_bundle);
KV_OPERATION(kv_authority_get, kv_authority_get_in, kv_authority_bundle);
KV_OPERATION(kv_authority_list_all, kv_authority_list_in, kv_authority_list);
KV_OPERATION(kv_authority_import, kv_authority_import_in, kv_authority_bundle);
KV_OPERATION(kv_authority_update, kv_authority_update_in, kv_authority_bundle);
KV_OPERATION(kv_authority_delete, kv_authority_delete_in, kv_nothing_out);
KV_OPERATION(kv_authority_revoke, kv_authority_revoke_in, kv_revoked_bundle);
KV_OPERATION(kv_authority_crl_get, kv_authority_crl_in, kv_crl_bundle);

/* certificate_*.c */
KV_OPERATION(kv_certificate_create, kv_certificate_create_in, kv_certificate_operation);
KV_OPERATION(kv_certificate_pending_get, kv_certificate_pending_get_in, kv_certificate_operation);
KV_OPERATION(kv_certificate_pending_delete, kv_certificate_pending_delete_in,
             kv_certificate_operation);
KV_OPERATION(kv_certificate_pending_update, kv_certificate_pending_update_in,
             kv_certificate_operation);
KV_OPERATION(kv_certificate_pending_merge, kv_certificate_merge_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_import, kv_certificate_import_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_get, kv_certificate_get_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_list, kv_certificate_list_in, kv_object_list);
KV_OPERATION(kv_certificate_list_versions, kv_certificate_list_versions_in, kv_object_list);
KV_OPERATION(kv_certificate_chain_get, kv_certificate_chain_get_in, kv_certificate_chain);
KV_OPERATION(kv_certificate_update, kv_certificate_update_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_policy_get, kv_certificate_policy_get_in, kv_certificate_policy_bundle);
KV_OPERATION(kv_certificate_policy_update, kv_certificate_policy_update_in,
             kv_certificate_policy_bundle);
KV_OPERATION(kv_certificate_delete, kv_certificate_delete_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_get_deleted, kv_certificate_get_deleted_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_list_deleted, kv_certificate_list_deleted_in, kv_object_list);
KV_OPERATION(kv_certificate_recover, kv_certificate_recover_in, kv_certificate_bundle);
KV_OPERATION(kv_certificate_purge, kv_certificate_purge_in, kv_nothing_out);
KV_OPERATION(kv_certificate_backup, kv_certificate_backup_in, kv_backup);
KV_OPERATION(kv_certificate_restore, kv_certificate_restore_in, kv_certificate_bundle);

/* issuer_*.c */
KV_OPERATION(kv_vault_issuer_set, kv_issuer_set_in, kv_issuer_bundle);
KV_OPERATION(kv_vault_issuer_get, kv_issuer_get_in, kv_issuer_bundle);
KV_OPERATION(kv_vault_issuer_list, kv_issuer_list_in, kv_issuer_list);
KV_OPERATION(kv_vault_issuer_update, kv_issuer_update_in, kv_issuer_bundle);
KV_OPERATION(kv_vault_issuer_delete, kv_issuer_delete_in, kv_issuer_bundle);
KV_OPERATION(kv_vault_issuer_check, kv_issuer_check_in, kv_issuer_checked);
KV_OPERATION(kv_vault_issuer_roll_key, kv_issuer_roll_key_in, kv_issuer_account_bundle);
KV_OPERATION(kv_vault_issuer_revoke, kv_issuer_revoke_in, kv_nothing_out);

/* webhook.c, delivery_rows.c */
KV_OPERATION(kv_vault_webhook_set, kv_webhook_set_in, kv_webhook_bundle);
KV_OPERATION(kv_vault_webhook_get, kv_webhook_get_in, kv_webhook_bundle);
KV_OPERATION(kv_vault_webhook_list, kv_webhook_list_in, kv_webhook_list);
KV_OPERATION(kv_vault_webhook_delete, kv_webhook_delete_in, kv_webhook_bundle);
KV_OPERATION(kv_vault_webhook_test, kv_webhook_test_in, kv_webhook_tested);
KV_OPERATION(kv_vault_dead_letters, kv_dead_letter_list_in, kv_dead_letter_list);
KV_OPERATION(kv_vault_redeliver, kv_redeliver_in, kv_redelivered);

/* inventory.c, renewal_many.c */
KV_OPERATION(kv_inventory_list, kv_inventory_list_in, kv_inventory_page);
KV_OPERATION(kv_forecast_read, kv_forecast_get_in, kv_forecast);
KV_OPERATION(kv_renewal_all, kv_renew_all_in, kv_renewed_all);

/* contact.c */
KV_OPERATION(kv_vault_contacts_set, kv_contacts_set_in, kv_contacts);
KV_OPERATION(kv_vault_contacts_get, kv_contacts_get_in, kv_contacts);
KV_OPERATION(kv_vault_contacts_delete, kv_contacts_delete_in, kv_contacts);
KV_OPERATION(kv_vault_contacts_test, kv_contacts_test_in, kv_contacts_tested);
