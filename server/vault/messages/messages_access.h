/* messages_access.h - principals, credentials, assignments and role tokens. The target is empty:
 * the server itself. Ids are 16 bytes. */
#pragma once

#include "server/auth/access_explain.h"
#include "server/vault/messages/messages_common.h"

typedef struct kv_principal_create_in {
    kv_target target;
    kv_principal_new principal;
} kv_principal_create_in;

typedef struct kv_principal_update_in {
    kv_target target;
    kv_principal_update update;
} kv_principal_update_in;

/* What works on one thing by its id. */
typedef struct kv_id_in {
    kv_target target;
    kv_slice id;
} kv_id_in;

typedef kv_id_in kv_principal_get_in;
typedef kv_id_in kv_principal_delete_in;
typedef kv_id_in kv_credential_remove_in;
typedef kv_id_in kv_role_assignment_remove_in;
typedef kv_id_in kv_role_token_revoke_principal_in; /* of the principal */
typedef kv_list_in kv_principal_list_in;
typedef kv_target_in kv_who_am_i_in;
typedef kv_target_in kv_role_list_in;

/* Out of CredentialAdd and ManagementCertificateAdd: kv_credential. */
typedef struct kv_credential_add_in {
    kv_target target;
    kv_mapping_new mapping;
    kv_federation_new federation; /* instead, when it names a provider */
} kv_credential_add_in;

typedef struct kv_management_certificate_add_in {
    kv_target target;
    kv_certificate_new certificate;
} kv_management_certificate_add_in;

/* Of one principal, or (principal_id empty) of one vault. Out: kv_credential_list. */
typedef struct kv_credential_list_in {
    kv_target target;
    kv_slice principal_id;
    kv_slice vault;
    kv_page page;
} kv_credential_list_in;

/* Out of RoleAssign. */
typedef struct kv_assigned {
    kv_assignment assignment;
    kv_warnings warnings;
} kv_assigned;

typedef struct kv_role_assign_in {
    kv_target target;
    kv_assignment_new assignment;
} kv_role_assign_in;

/* Both filters may be empty. Out: kv_assignment_list. */
typedef struct kv_role_assignment_list_in {
    kv_target target;
    kv_slice principal_id;
    kv_slice scope;
    kv_page page;
} kv_role_assignment_list_in;

typedef struct kv_role_token_issue_in {
    kv_target target;
    kv_token_request request;
    kv_slice id_token; /* of an identity provider; empty: the certificate says who asks */
} kv_role_token_issue_in;

typedef struct kv_role_token_revoke_in {
    kv_target target;
    kv_slice jti;       /* 16 bytes */
    int64_t expires_ms; /* 0: unknown */
} kv_role_token_revoke_in;

/* Out of RoleTokenIssue. */
typedef struct kv_role_token_bundle {
    kv_token_issued issued;
    kv_warnings warnings;
    const kv_role *roles;
    unsigned role_count;
} kv_role_token_bundle;

/* Out of WhoAmI. */
typedef struct kv_caller_bundle {
    kv_principal principal;
    kv_slice certificate_sha256;
    kv_assignment_list assignments; /* the live ones; `next` is empty */
    /* Of the role token that came with the call; none if none did. */
    const kv_role *token_roles;
    unsigned token_role_count;
    kv_slice token_scope;
    int64_t token_expires_ms;
} kv_caller_bundle;

typedef struct kv_role_line {
    kv_role role;
    kv_slice name;
    const kv_slice *permissions; /* "keys/sign" */
    size_t permission_count;
    const kv_role *excludes; /* roles nobody may hold beside it in overlapping scopes */
    size_t exclude_count;
} kv_role_line;

/* Out of RoleList. */
typedef struct kv_role_lines {
    const kv_role_line *items;
    size_t count;
} kv_role_lines;

typedef struct kv_access_explain_in {
    kv_target target;
    kv_slice principal_id; /* empty: the caller */
    kv_access_question question;
} kv_access_explain_in;

typedef struct kv_access_who_can_in {
    kv_target target;
    kv_access_question question;
    kv_page page;
} kv_access_who_can_in;
