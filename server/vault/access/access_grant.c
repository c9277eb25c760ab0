/* access_grant.c - roles are assigned and removed, role tokens issued and revoked. */
#include "server/auth/access.h"
#include "server/auth/policy.h"
#include "server/auth/principal_rows.h"
#include "server/auth/separation.h"
#include "server/vault/access.h"
#include "server/vault/access/access_work.h"
#include "server/vault/vault_impl.h"

static void note_role(kv_work *work, kv_role role, kv_slice scope)
{
    kv_error ignored = { 0 };
    kv_slice text;

    if (kv_arena_print(work->arena, &text, &ignored, " role=%s scope=%.*s", kv_role_name(role),
                       KV_SLICE_ARG(scope)) == KV_OK)
        kv_note_text(work, text);
}

kv_status kv_role_assign(kv_vault *vault, kv_work *work, const kv_role_assign_in *in,
                         kv_assigned *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->assignment.principal_id);
    note_role(work, in->assignment.role, in->assignment.scope);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    KV_TRY(kv_access_assign_role(&access, &in->assignment, &out->assignment, err));
    out->warnings = *access.warnings;
    return KV_OK;
}

kv_status kv_role_assignment_list(kv_vault *vault, kv_work *work,
                                  const kv_role_assignment_list_in *in, kv_assignment_list *out,
                                  kv_error *err)
{
    kv_access_page page = { .token = in->page.token, .size = in->page.size };
    kv_access_work access;

    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_list_assignments(&access, in->principal_id, in->scope, &page, out, err);
}

kv_status kv_role_assignment_remove(kv_vault *vault, kv_work *work,
                                    const kv_role_assignment_remove_in *in, kv_nothing_out *out,
                                    kv_error *err)
{
    kv_access_work access;

    *out = (kv_nothing_out){ 0 };
    kv_note_id(work, "assignment", in->id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_remove_assignment(&access, in->id, err);
}

kv_status kv_role_token_issue(kv_vault *vault, kv_work *work, const kv_role_token_issue_in *in,
                              kv_role_token_bundle *out, kv_error *err)
{
    kv_access_work access;

    for (unsigned i = 0; i < in->request.role_count; i++)
        note_role(work, in->request.roles[i], in->request.scope);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    /* A role token that an ID token gave is not good for the next one. */
    if (in->id_token.len || !work->caller->known || work->caller->federated) {
        kv_slice by = KV_SLICE_NONE;

        KV_TRY(kv_access_exchange(&access, in->id_token, work->newcomer, &by, err));
        kv_note_text(work, by);
    }
    KV_TRY(kv_access_issue_token(&access, &in->request, &out->issued, err));
    kv_note_id(work, "jti", out->issued.jti);
    out->warnings = *access.warnings;
    if (out->warnings.count)
        kv_note_text(work, KV_SLICE(" separation_of_duty=warned"));
    out->roles = in->request.roles;
    out->role_count = in->request.role_count;
    return KV_OK;
}

kv_status kv_role_token_revoke(kv_vault *vault, kv_work *work, const kv_role_token_revoke_in *in,
                               kv_nothing_out *out, kv_error *err)
{
    kv_access_work access;

    *out = (kv_nothing_out){ 0 };
    kv_note_id(work, "jti", in->jti);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_revoke_token(&access, in->jti, err);
}

kv_status kv_role_token_revoke_principal(kv_vault *vault, kv_work *work,
                                         const kv_role_token_revoke_principal_in *in,
                                         kv_principal *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_revoke_all(&access, in->id, out, err);
}

static kv_status live_assignments(kv_work *work, const kv_principal_rows *rows,
                                  kv_assignment_list *out, kv_error *err)
{
    kv_assignment *items = kv_arena_array(work->arena, rows->assignment_count, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    *out = (kv_assignment_list){ .items = items };
    for (unsigned i = 0; i < rows->assignment_count; i++) {
        const kv_assignment_row *row = &rows->assignments[i];

        if (row->ends_at && row->ends_at <= work->now_ms)
            continue;
        items[out->count++] = (kv_assignment){ .id = row->id,
                                               .principal_id = row->principal_id,
                                               .role = kv_role_find(row->role),
                                               .scope = row->scope,
                                               .ends_ms = row->ends_at,
                                               .created_ms = row->created,
                                               .created_by = row->created_by };
    }
    return KV_OK;
}

kv_status kv_who_am_i(kv_vault *vault, kv_work *work, const kv_who_am_i_in *in,
                      kv_caller_bundle *out, kv_error *err)
{
    const kv_caller *caller = work->caller;
    kv_principal_rows rows;
    kv_slice id = kv_slice_of(caller->principal_id, sizeof(caller->principal_id));

    (void)in;
    KV_TRY(kv_principal_rows_read(vault->config.records, id, work->arena, &rows, err));
    *out = (kv_caller_bundle){
        .principal = { .id = rows.principal.id,
                       .name = rows.principal.name,
                       .kind = (kv_principal_kind)rows.principal.kind,
                       .enabled = !rows.principal.disabled,
                       .home_vault = rows.principal.home_vault,
                       .epoch = rows.principal.epoch,
                       .created_ms = rows.principal.created,
                       .updated_ms = rows.principal.updated },
        .certificate_sha256 = kv_slice_of(caller->thumbprint, sizeof(caller->thumbprint)),
    };
    if (caller->tokened) {
        out->token_roles = caller->roles;
        out->token_role_count = caller->role_count;
        out->token_scope = caller->scope;
        out->token_expires_ms = caller->expires_ms;
    }
    return live_assignments(work, &rows, &out->assignments, err);
}

static kv_status describe_role(kv_work *work, kv_role role, kv_role_line *out, kv_error *err)
{
    kv_slice *permissions = kv_arena_array(work->arena, KV_PERMISSION_COUNT, sizeof(*permissions));
    kv_role *excludes = kv_arena_array(work->arena, KV_ROLE_COUNT, sizeof(*excludes));
    size_t count = 0;

    if (!permissions || !excludes)
        return kv_arena_full(err);
    for (int may = 0; may < KV_PERMISSION_COUNT; may++)
        if (!kv_permission_of_row_only((kv_permission)may) && kv_role_may(role, (kv_permission)may))
            permissions[count++] = kv_slice_text(kv_permission_name((kv_permission)may));
    *out = (kv_role_line){ .role = role,
                           .name = kv_slice_text(kv_role_name(role)),
                           .permissions = permissions,
                           .permission_count = count,
                           .excludes = excludes,
                           .exclude_count = kv_role_excludes(role, excludes) };
    return KV_OK;
}

kv_status kv_role_list(kv_vault *vault, kv_work *work, const kv_role_list_in *in,
                       kv_role_lines *out, kv_error *err)
{
    kv_role_line *lines = kv_arena_array(work->arena, KV_ROLE_COUNT, sizeof(*lines));
    size_t count = 0;

    (void)vault;
    (void)in;
    if (!lines)
        return kv_arena_full(err);
    for (int role = KV_ROLE_NONE + 1; role < KV_ROLE_COUNT; role++)
        KV_TRY(describe_role(work, (kv_role)role, &lines[count++], err));
    *out = (kv_role_lines){ .items = lines, .count = count };
    return KV_OK;
}

static void note_question(kv_work *work, const kv_access_question *question)
{
    kv_error ignored = { 0 };
    kv_slice text;

    if (kv_arena_print(work->arena, &text, &ignored, " permission=%.*s scope=%.*s",
                       KV_SLICE_ARG(question->permission), KV_SLICE_ARG(question->scope)) == KV_OK)
        kv_note_text(work, text);
}

kv_status kv_explain_access(kv_vault *vault, kv_work *work, const kv_access_explain_in *in,
                            kv_access_answer *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->principal_id);
    note_question(work, &in->question);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_explain(&access, in->principal_id, &in->question, out, err);
}

kv_status kv_who_can(kv_vault *vault, kv_work *work, const kv_access_who_can_in *in,
                     kv_access_answers *out, kv_error *err)
{
    kv_access_page page = { .token = in->page.token, .size = in->page.size };
    kv_access_work access;

    note_question(work, &in->question);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_who_can(&access, &in->question, &page, out, err);
}
