/* access.h - principals, credentials, assignments and role tokens: server/auth's operations with
 * the messages of the doors, their changes committed with the call's audit record.
 *
 * Errors: those of server/auth/access.h. Threads: workers of the row's lane.
 */
#pragma once

#include "server/vault/messages/messages_access.h"
#include "server/vault/operations/operations.h"

KV_OPERATION(kv_who_am_i, kv_who_am_i_in, kv_caller_bundle);
KV_OPERATION(kv_role_token_issue, kv_role_token_issue_in, kv_role_token_bundle);
KV_OPERATION(kv_role_token_revoke, kv_role_token_revoke_in, kv_nothing_out);
KV_OPERATION(kv_role_token_revoke_principal, kv_role_token_revoke_principal_in, kv_principal);
KV_OPERATION(kv_principal_create, kv_principal_create_in, kv_principal);
KV_OPERATION(kv_principal_get, kv_principal_get_in, kv_principal);
KV_OPERATION(kv_principal_list_all, kv_principal_list_in, kv_principal_list);
KV_OPERATION(kv_principal_change, kv_principal_update_in, kv_principal);
KV_OPERATION(kv_principal_delete, kv_principal_delete_in, kv_nothing_out);
KV_OPERATION(kv_credential_add, kv_credential_add_in, kv_credential);
KV_OPERATION(kv_management_certificate_add, kv_management_certificate_add_in, kv_credential);
KV_OPERATION(kv_credential_list_all, kv_credential_list_in, kv_credential_list);
KV_OPERATION(kv_credential_remove, kv_credential_remove_in, kv_nothing_out);
KV_OPERATION(kv_role_assign, kv_role_assign_in, kv_assigned);
KV_OPERATION(kv_role_assignment_list, kv_role_assignment_list_in, kv_assignment_list);
KV_OPERATION(kv_role_assignment_remove, kv_role_assignment_remove_in, kv_nothing_out);
KV_OPERATION(kv_role_list, kv_role_list_in, kv_role_lines);
KV_OPERATION(kv_explain_access, kv_access_explain_in, kv_access_answer);
KV_OPERATION(kv_who_can, kv_access_who_can_in, kv_access_answers);
