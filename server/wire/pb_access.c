/* pb_access.c - the requests of AccessService. */
#include "keyvault/v1/access.pb-c.h"
#include "server/vault/messages/messages_access.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_ROLE_ADMINISTRATOR == KEYVAULT__V1__ROLE__ROLE_ADMINISTRATOR &&
                   (int)KV_ROLE_CRYPTO_USER == KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER &&
                   (int)KV_ROLE_AUDITOR == KEYVAULT__V1__ROLE__ROLE_AUDITOR &&
                   (int)KV_ROLE_COUNT == KEYVAULT__V1__ROLE__ROLE_ADMINISTRATOR + 1,
               "the numbers of the .proto");
_Static_assert((int)KV_PRINCIPAL_SERVICE == KEYVAULT__V1__PRINCIPAL_KIND__PRINCIPAL_KIND_SERVICE &&
                   (int)KV_PRINCIPAL_MANAGEMENT ==
                       KEYVAULT__V1__PRINCIPAL_KIND__PRINCIPAL_KIND_MANAGEMENT &&
                   (int)KV_PRINCIPAL_USER == KEYVAULT__V1__PRINCIPAL_KIND__PRINCIPAL_KIND_USER,
               "the numbers of the .proto");
_Static_assert((int)KV_NAME_URI == KEYVAULT__V1__CREDENTIAL_NAME_TYPE__CREDENTIAL_NAME_TYPE_URI &&
                   (int)KV_NAME_DNS ==
                       KEYVAULT__V1__CREDENTIAL_NAME_TYPE__CREDENTIAL_NAME_TYPE_DNS &&
                   (int)KV_NAME_SUBJECT ==
                       KEYVAULT__V1__CREDENTIAL_NAME_TYPE__CREDENTIAL_NAME_TYPE_SUBJECT,
               "the numbers of the .proto");

kv_status kv_pb_read_role_token_issue(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_role_token_issue_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__IssueRoleTokenRequest *m;
    kv_role *roles;

    KV_TRY(kv_pb_unpack(&keyvault__v1__issue_role_token_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    if (!m->n_roles)
        return kv_fail_field(err, "roles", "at least one role is required");
    roles = kv_arena_array(arena, m->n_roles, sizeof(*roles));
    if (!roles)
        return kv_arena_full(err);
    for (size_t i = 0; i < m->n_roles; i++) {
        roles[i] = (kv_role)m->roles[i];
        for (size_t j = 0; j < i; j++)
            if (roles[j] == roles[i])
                return kv_fail_field(err, "roles", "a role is named twice");
    }
    read->request.roles = roles;
    read->request.role_count = (unsigned)m->n_roles;
    read->request.scope = kv_slice_text(m->scope);
    read->request.ttl_ms = (int64_t)m->ttl_seconds * 1000;
    read->id_token = kv_slice_text(m->id_token);
    return KV_OK;
}

kv_status kv_pb_read_role_token_revoke(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_role_token_revoke_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RevokeRoleTokenRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__revoke_role_token_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->jti, "jti", false, &read->jti, err));
    return kv_pb_time(m->expires, "expires", &read->expires_ms, err);
}

kv_status kv_pb_read_role_token_revoke_principal(kv_slice body, kv_arena *arena, void *in,
                                                 kv_error *err)
{
    kv_role_token_revoke_principal_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RevokePrincipalTokensRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__revoke_principal_tokens_request__descriptor, body, arena,
                        &message, err));
    m = (const void *)message;
    return kv_pb_id(arena, m->principal_id, "principal_id", false, &read->id, err);
}

kv_status kv_pb_read_principal_create(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_principal_create_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__CreatePrincipalRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__create_principal_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    if (m->kind == KEYVAULT__V1__PRINCIPAL_KIND__PRINCIPAL_KIND_UNSPECIFIED)
        return kv_fail_field(err, "kind", "is required");
    read->principal.name = kv_slice_text(m->display_name);
    read->principal.kind = (kv_principal_kind)m->kind;
    return KV_OK;
}

kv_status kv_pb_read_principal_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_principal_get_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__GetPrincipalRequest *m;

    KV_TRY(
        kv_pb_unpack(&keyvault__v1__get_principal_request__descriptor, body, arena, &message, err));
    m = (const void *)message;
    return kv_pb_id(arena, m->principal_id, "principal_id", false, &read->id, err);
}

kv_status kv_pb_read_principal_update(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_principal_update_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__UpdatePrincipalRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__update_principal_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", false, &read->update.id, err));
    read->update.has_name = m->has_display_name_case != 0;
    if (read->update.has_name)
        read->update.name = kv_slice_text(m->display_name);
    read->update.has_enabled = m->has_enabled_case != 0;
    read->update.enabled = read->update.has_enabled && m->enabled;
    return KV_OK;
}

kv_status kv_pb_read_principal_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_principal_delete_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__DeletePrincipalRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__delete_principal_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    return kv_pb_id(arena, m->principal_id, "principal_id", false, &read->id, err);
}

kv_status kv_pb_read_credential_add(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_credential_add_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__AddCredentialRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__add_credential_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(
        kv_pb_id(arena, m->principal_id, "principal_id", false, &read->mapping.principal_id, err));
    if (m->ca_sha256.len)
        KV_TRY(kv_pb_fixed(m->ca_sha256, 32, "ca_sha256", &read->mapping.ca_sha256, err));
    if (!*m->provider &&
        m->name_type == KEYVAULT__V1__CREDENTIAL_NAME_TYPE__CREDENTIAL_NAME_TYPE_UNSPECIFIED)
        return kv_fail_field(err, "name_type", "is required");
    read->mapping.name_type = (kv_name_type)m->name_type;
    read->mapping.value = kv_slice_text(m->value);
    read->federation = (kv_federation_new){ .principal_id = read->mapping.principal_id,
                                            .provider = kv_slice_text(m->provider),
                                            .claim = kv_slice_text(m->claim),
                                            .value = read->mapping.value };
    return KV_OK;
}

kv_status kv_pb_read_management_certificate_add(kv_slice body, kv_arena *arena, void *in,
                                                kv_error *err)
{
    kv_management_certificate_add_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__AddManagementCertificateRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__add_management_certificate_request__descriptor, body, arena,
                        &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", false, &read->certificate.principal_id,
                    err));
    read->certificate.vault = kv_slice_text(m->vault);
    read->certificate.certificate = kv_pb_slice(m->certificate);
    return KV_OK;
}

kv_status kv_pb_read_credential_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_credential_list_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ListCredentialsRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__list_credentials_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", true, &read->principal_id, err));
    read->vault = kv_slice_text(m->vault);
    if (!read->principal_id.len == !read->vault.len)
        return kv_fail_field(err, "principal_id", "either a principal or a vault is required");
    read->page = kv_pb_page(m->page_size, m->page_token);
    return KV_OK;
}

kv_status kv_pb_read_credential_remove(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_credential_remove_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RemoveCredentialRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__remove_credential_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    return kv_pb_id(arena, m->credential_id, "credential_id", false, &read->id, err);
}

kv_status kv_pb_read_role_assign(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_role_assign_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__AssignRoleRequest *m;

    KV_TRY(
        kv_pb_unpack(&keyvault__v1__assign_role_request__descriptor, body, arena, &message, err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", false, &read->assignment.principal_id,
                    err));
    if (m->role == KEYVAULT__V1__ROLE__ROLE_UNSPECIFIED)
        return kv_fail_field(err, "role", "is required");
    read->assignment.role = (kv_role)m->role;
    read->assignment.scope = kv_slice_text(m->scope);
    return kv_pb_time(m->expires, "expires", &read->assignment.ends_ms, err);
}

kv_status kv_pb_read_role_assignment_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_role_assignment_list_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ListAssignmentsRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__list_assignments_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", true, &read->principal_id, err));
    read->scope = kv_slice_text(m->scope);
    read->page = kv_pb_page(m->page_size, m->page_token);
    return KV_OK;
}

kv_status kv_pb_read_role_assignment_remove(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_role_assignment_remove_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__RemoveAssignmentRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__remove_assignment_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    return kv_pb_id(arena, m->assignment_id, "assignment_id", false, &read->id, err);
}

kv_status kv_pb_read_who_am_i(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__who_am_irequest__descriptor, body, KV_COLLECTION_NONE,
                             arena, in, err);
}

kv_status kv_pb_read_principal_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_list(&keyvault__v1__list_principals_request__descriptor, body,
                           KV_COLLECTION_NONE, arena, in, err);
}

kv_status kv_pb_read_role_list(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__list_roles_request__descriptor, body,
                             KV_COLLECTION_NONE, arena, in, err);
}

static kv_status question(const char *permission, const char *scope, kv_access_question *out,
                          kv_error *err)
{
    if (!permission[0])
        return kv_fail_field(err, "permission", "is required");
    if (!scope[0])
        return kv_fail_field(err, "scope", "is required");
    *out = (kv_access_question){ .permission = kv_slice_text(permission),
                                 .scope = kv_slice_text(scope) };
    return KV_OK;
}

kv_status kv_pb_read_access_explain(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_access_explain_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__ExplainAccessRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__explain_access_request__descriptor, body, arena, &message,
                        err));
    m = (const void *)message;
    KV_TRY(kv_pb_id(arena, m->principal_id, "principal_id", true, &read->principal_id, err));
    return question(m->permission, m->scope, &read->question, err);
}

kv_status kv_pb_read_access_who_can(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_access_who_can_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__WhoCanRequest *m;

    KV_TRY(kv_pb_unpack(&keyvault__v1__who_can_request__descriptor, body, arena, &message, err));
    m = (const void *)message;
    read->page = kv_pb_page(m->page_size, m->page_token);
    return question(m->permission, m->scope, &read->question, err);
}
