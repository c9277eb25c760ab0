/* bootstrap.c - the first access administrator, on whom everybody else depends. */
#include "server/auth/access_change.h"

#include "server/auth/policy.h"
#include "server/base/text.h"

static kv_status check_empty(kv_records *records, kv_arena *arena, kv_error *err)
{
    kv_scan scan = { .table = &kv_table_principals, .limit = 1 };
    kv_rows found;

    KV_TRY(kv_records_scan(records, &scan, arena, &found, err));
    if (found.count > 0)
        return kv_fail(err, KV_PRECONDITION, "the server has principals already");
    return KV_OK;
}

static kv_status fill_principal(kv_principal_rows *rows, kv_slice name, int64_t now_ms,
                                kv_arena *arena, kv_error *err)
{
    kv_principal_row *row = &rows->principal;

    *row = (kv_principal_row){ .name = name,
                               .kind = KV_PRINCIPAL_USER,
                               .epoch = 1,
                               .granted_ever = 1,
                               .created = now_ms,
                               .updated = now_ms };
    KV_TRY(kv_access_check_name(name, err));
    KV_TRY(kv_text_lower(arena, name, &row->name_lower, err));
    return kv_access_new_id(arena, &row->id, err);
}

static kv_status fill_credential(kv_credential_row *row, const kv_principal_row *principal,
                                 kv_slice der, kv_arena *arena, kv_error *err)
{
    kv_certificate certificate;

    KV_TRY(kv_certificate_read(NULL, der, arena, &certificate, err));
    KV_TRY(kv_access_check_certificate(&certificate, principal->created, err));
    *row = (kv_credential_row){ .principal_id = principal->id,
                                .kind = KV_CREDENTIAL_PINNED,
                                .certificate = der,
                                .not_after = certificate.not_after_ms,
                                .created = principal->created };
    KV_TRY(kv_match_pin(certificate.sha256, arena, &row->match, err));
    return kv_access_new_id(arena, &row->id, err);
}

kv_status kv_auth_bootstrap(kv_records *records, kv_commit commit, kv_slice certificate,
                            kv_slice name, int64_t now_ms, kv_arena *arena, kv_principal *out,
                            kv_error *err)
{
    kv_credential_row credential;
    kv_assignment_row assignment;
    kv_principal_rows rows = { .assignments = &assignment, .credentials = &credential };
    kv_change change = { 0 };

    KV_TRY(check_empty(records, arena, err));
    KV_TRY(fill_principal(&rows, name, now_ms, arena, err));
    KV_TRY(fill_credential(&credential, &rows.principal, certificate, arena, err));
    assignment =
        (kv_assignment_row){ .principal_id = rows.principal.id,
                             .role = kv_slice_text(kv_role_name(KV_ROLE_ACCESS_ADMINISTRATOR)),
                             .scope = KV_SLICE("/"),
                             .created = now_ms };
    KV_TRY(kv_access_new_id(arena, &assignment.id, err));
    rows.assignment_count = 1;
    rows.credential_count = 1;
    KV_TRY(kv_principal_rows_digest(&rows, arena, &rows.principal.grants_digest, err));
    KV_TRY(kv_change_insert(&change, &kv_table_principals, &rows.principal, err));
    KV_TRY(kv_change_insert(&change, &kv_table_credentials, &credential, err));
    KV_TRY(kv_change_insert(&change, &kv_table_assignments, &assignment, err));
    KV_TRY(commit.commit(commit.context, &change, err));
    *out = kv_principal_of(&rows.principal);
    return KV_OK;
}
