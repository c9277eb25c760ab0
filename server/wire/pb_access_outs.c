/* pb_access_outs.c - the answers of AccessService. */
#include "keyvault/v1/access.pb-c.h"
#include "server/vault/messages/messages_access.h"
#include "server/wire/pb_impl.h"

static Keyvault__V1__Role *roles(kv_pb_writer *writer, const kv_role *from, size_t from_count,
                                 size_t *count)
{
    Keyvault__V1__Role *to = kv_pb_array(writer, from_count, sizeof(*to), count);

    for (size_t i = 0; i < *count; i++)
        to[i] = (Keyvault__V1__Role)from[i];
    return to;
}

static Keyvault__V1__Principal *principal(kv_pb_writer *writer, const kv_principal *from)
{
    Keyvault__V1__Principal *to = kv_pb_new(writer, &keyvault__v1__principal__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_hex(writer, from->id);
    to->display_name = kv_pb_text(writer, from->name);
    to->kind = (Keyvault__V1__PrincipalKind)from->kind;
    to->enabled = from->enabled;
    to->home_vault = kv_pb_text(writer, from->home_vault);
    to->epoch = from->epoch;
    to->created = kv_pb_seconds(from->created_ms);
    to->updated = kv_pb_seconds(from->updated_ms);
    return to;
}

static Keyvault__V1__Credential *credential(kv_pb_writer *writer, const kv_credential *from)
{
    Keyvault__V1__Credential *to = kv_pb_new(writer, &keyvault__v1__credential__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_hex(writer, from->id);
    to->principal_id = kv_pb_hex(writer, from->principal_id);
    to->kind = (Keyvault__V1__CredentialKind)from->kind;
    to->ca_sha256 = kv_pb_bytes(from->ca_sha256);
    to->name_type = (Keyvault__V1__CredentialNameType)from->name_type;
    to->value = kv_pb_text(writer, from->value);
    to->provider = kv_pb_text(writer, from->provider);
    to->claim = kv_pb_text(writer, from->claim);
    to->certificate_sha256 = kv_pb_bytes(from->certificate_sha256);
    to->certificate = kv_pb_bytes(from->certificate);
    to->vault = kv_pb_text(writer, from->vault);
    to->not_after = kv_pb_seconds(from->not_after_ms);
    to->registered_by = kv_pb_hex(writer, from->registered_by);
    to->created = kv_pb_seconds(from->created_ms);
    return to;
}

static Keyvault__V1__RoleAssignment *assignment(kv_pb_writer *writer, const kv_assignment *from)
{
    Keyvault__V1__RoleAssignment *to =
        kv_pb_new(writer, &keyvault__v1__role_assignment__descriptor);

    if (!to)
        return NULL;
    to->id = kv_pb_hex(writer, from->id);
    to->principal_id = kv_pb_hex(writer, from->principal_id);
    to->role = (Keyvault__V1__Role)from->role;
    to->scope = kv_pb_text(writer, from->scope);
    to->expires = kv_pb_seconds(from->ends_ms);
    to->created = kv_pb_seconds(from->created_ms);
    to->created_by = kv_pb_hex(writer, from->created_by);
    return to;
}

static Keyvault__V1__RoleAssignment **assignments(kv_pb_writer *writer,
                                                  const kv_assignment_list *from, size_t *count)
{
    Keyvault__V1__RoleAssignment **to = kv_pb_array(writer, from->count, sizeof(*to), count);

    for (size_t i = 0; i < *count; i++)
        to[i] = assignment(writer, &from->items[i]);
    return to;
}

kv_status kv_pb_write_principal(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Principal *to = principal(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_principal_list(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_principal_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListPrincipalsResponse to = KEYVAULT__V1__LIST_PRINCIPALS_RESPONSE__INIT;

    to.principals = kv_pb_array(&writer, from->count, sizeof(*to.principals), &to.n_principals);
    for (size_t i = 0; i < to.n_principals; i++)
        to.principals[i] = principal(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_credential(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Credential *to = credential(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_credential_list(const void *out, kv_arena *arena, kv_slice *body,
                                      kv_error *err)
{
    const kv_credential_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListCredentialsResponse to = KEYVAULT__V1__LIST_CREDENTIALS_RESPONSE__INIT;

    to.credentials = kv_pb_array(&writer, from->count, sizeof(*to.credentials), &to.n_credentials);
    for (size_t i = 0; i < to.n_credentials; i++)
        to.credentials[i] = credential(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_assigned(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_assigned *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__RoleAssignment *to = assignment(&writer, &from->assignment);

    if (!to)
        return kv_arena_full(err);
    to->warnings =
        kv_pb_texts(&writer, from->warnings.items, from->warnings.count, &to->n_warnings);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_assignment_list(const void *out, kv_arena *arena, kv_slice *body,
                                      kv_error *err)
{
    const kv_assignment_list *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListAssignmentsResponse to = KEYVAULT__V1__LIST_ASSIGNMENTS_RESPONSE__INIT;

    to.assignments = assignments(&writer, from, &to.n_assignments);
    to.next_page_token = kv_pb_bytes(from->next);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_role_token_bundle(const void *out, kv_arena *arena, kv_slice *body,
                                        kv_error *err)
{
    const kv_role_token_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__RoleToken to = KEYVAULT__V1__ROLE_TOKEN__INIT;

    to.token = kv_pb_text(&writer, from->issued.token);
    to.expires = kv_pb_seconds(from->issued.expires_ms);
    to.jti = kv_pb_hex(&writer, from->issued.jti);
    to.roles = roles(&writer, from->roles, from->role_count, &to.n_roles);
    to.scope = kv_pb_text(&writer, from->issued.scope);
    to.warnings = kv_pb_texts(&writer, from->warnings.items, from->warnings.count, &to.n_warnings);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_caller_bundle(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_caller_bundle *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__WhoAmIResponse to = KEYVAULT__V1__WHO_AM_IRESPONSE__INIT;

    to.principal = principal(&writer, &from->principal);
    to.certificate_sha256 = kv_pb_bytes(from->certificate_sha256);
    to.assignments = assignments(&writer, &from->assignments, &to.n_assignments);
    to.token_roles = roles(&writer, from->token_roles, from->token_role_count, &to.n_token_roles);
    to.token_scope = kv_pb_text(&writer, from->token_scope);
    to.token_expires = kv_pb_seconds(from->token_expires_ms);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__RoleDefinition *role_line(kv_pb_writer *writer, const kv_role_line *from)
{
    Keyvault__V1__RoleDefinition *to =
        kv_pb_new(writer, &keyvault__v1__role_definition__descriptor);

    if (!to)
        return NULL;
    to->role = (Keyvault__V1__Role)from->role;
    to->name = kv_pb_text(writer, from->name);
    to->permissions =
        kv_pb_texts(writer, from->permissions, from->permission_count, &to->n_permissions);
    to->excludes = roles(writer, from->excludes, from->exclude_count, &to->n_excludes);
    return to;
}

kv_status kv_pb_write_role_lines(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_role_lines *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__ListRolesResponse to = KEYVAULT__V1__LIST_ROLES_RESPONSE__INIT;

    to.roles = kv_pb_array(&writer, from->count, sizeof(*to.roles), &to.n_roles);
    for (size_t i = 0; i < to.n_roles; i++)
        to.roles[i] = role_line(&writer, &from->items[i]);
    return kv_pb_pack(&writer, &to.base, body, err);
}

static Keyvault__V1__AccessReason *reason(kv_pb_writer *writer, const kv_access_reason *from)
{
    Keyvault__V1__AccessReason *to = kv_pb_new(writer, &keyvault__v1__access_reason__descriptor);

    if (!to)
        return NULL;
    to->verdict = (Keyvault__V1__AccessVerdict)from->says;
    to->assignment = assignment(writer, &from->assignment);
    to->excluded_by = (Keyvault__V1__Role)from->excluded_by;
    to->excluded_on = kv_pb_text(writer, from->excluded_on);
    return to;
}

static Keyvault__V1__AccessExplanation *explanation(kv_pb_writer *writer,
                                                    const kv_access_answer *from)
{
    Keyvault__V1__AccessExplanation *to =
        kv_pb_new(writer, &keyvault__v1__access_explanation__descriptor);

    if (!to)
        return NULL;
    to->principal = principal(writer, &from->principal);
    to->allowed = from->allowed;
    to->bar = (Keyvault__V1__AccessBar)from->bar;
    to->reasons = kv_pb_array(writer, from->reason_count, sizeof(*to->reasons), &to->n_reasons);
    for (size_t i = 0; i < to->n_reasons; i++)
        to->reasons[i] = reason(writer, &from->reasons[i]);
    to->managed = from->managed;
    to->scope = kv_pb_text(writer, from->scope);
    to->roles_that_may = roles(writer, from->roles, from->role_count, &to->n_roles_that_may);
    return to;
}

kv_status kv_pb_write_access_answer(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__AccessExplanation *to = explanation(&writer, out);

    if (!to)
        return kv_arena_full(err);
    return kv_pb_pack(&writer, &to->base, body, err);
}

kv_status kv_pb_write_access_answers(const void *out, kv_arena *arena, kv_slice *body,
                                     kv_error *err)
{
    const kv_access_answers *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__WhoCanResponse to = KEYVAULT__V1__WHO_CAN_RESPONSE__INIT;

    to.principals = kv_pb_array(&writer, from->count, sizeof(*to.principals), &to.n_principals);
    for (size_t i = 0; i < to.n_principals; i++)
        to.principals[i] = explanation(&writer, &from->items[i]);
    to.next_page_token = kv_pb_bytes(from->next);
    return kv_pb_pack(&writer, &to.base, body, err);
}
