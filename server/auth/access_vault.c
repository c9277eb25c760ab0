/* access_vault.c - what was granted in a vault ends with the vault.
 *
 * Otherwise a new vault of the same name would inherit the people of the old one.
 */
#include "server/auth/access_change.h"

/* A management certificate goes with its slots: one of the vault, one of who registered it. */
enum { ROWS_OF_CREDENTIAL = 3 };

typedef struct kv_forgetting {
    kv_slice vault; /* lower case */
    bool found;
    uint8_t principal_id[KV_PRINCIPAL_ID_BYTES];
} kv_forgetting;

/* Empty for what is not of a vault. */
static kv_slice vault_of(const kv_assignment_row *row)
{
    kv_scope scope = { 0 };

    return kv_scope_read(row->scope, &scope) ? scope.vault : KV_SLICE_NONE;
}

static bool find_one(void *context, const kv_held *held)
{
    kv_forgetting *forgetting = context;
    const kv_principal_rows *rows = held->rows;

    for (unsigned i = 0; i < rows->assignment_count && !forgetting->found; i++)
        forgetting->found = kv_slice_equal(vault_of(&rows->assignments[i]), forgetting->vault);
    for (unsigned i = 0; i < rows->credential_count && !forgetting->found; i++)
        forgetting->found = kv_slice_equal(rows->credentials[i].vault, forgetting->vault);
    if (forgetting->found)
        memcpy(forgetting->principal_id, rows->principal.id.data, sizeof(forgetting->principal_id));
    return !forgetting->found;
}

/* Takes rows out of `*rows` and into the change, as many as still fit beside the principal's. */
static kv_status take_assignments(const kv_access_work *work, kv_slice vault,
                                  kv_principal_rows *rows, kv_change *change, kv_error *err)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < rows->assignment_count; i++) {
        kv_assignment_row *gone;

        if (change->count + 1 >= KV_ACCESS_CHANGE_ROWS ||
            !kv_slice_equal(vault_of(&rows->assignments[i]), vault)) {
            rows->assignments[kept++] = rows->assignments[i];
            continue;
        }
        gone = kv_arena_alloc(work->arena, sizeof(*gone));
        if (!gone)
            return kv_arena_full(err);
        *gone = rows->assignments[i];
        KV_TRY(kv_change_delete(change, &kv_table_assignments, gone, err));
    }
    rows->assignment_count = kept;
    return KV_OK;
}

static kv_status take_credentials(const kv_access_work *work, kv_slice vault,
                                  kv_principal_rows *rows, kv_change *change, kv_error *err)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < rows->credential_count; i++) {
        kv_credential_row *gone;

        if (change->count + ROWS_OF_CREDENTIAL >= KV_ACCESS_CHANGE_ROWS ||
            !kv_slice_equal(rows->credentials[i].vault, vault)) {
            rows->credentials[kept++] = rows->credentials[i];
            continue;
        }
        gone = kv_arena_alloc(work->arena, sizeof(*gone));
        if (!gone)
            return kv_arena_full(err);
        *gone = rows->credentials[i];
        KV_TRY(kv_access_delete_credential(work, gone, change, err));
    }
    rows->credential_count = kept;
    return KV_OK;
}

static kv_status forget_some(const kv_access_work *work, void *context, kv_error *err)
{
    kv_forgetting *forgetting = context;
    kv_slice owner = kv_slice_of(forgetting->principal_id, sizeof(forgetting->principal_id));
    kv_principal_rows rows;
    kv_change change = { 0 };

    forgetting->found = false;
    kv_grants_lock(work->auth->grants);
    kv_grants_each(work->auth->grants, find_one, forgetting);
    kv_grants_unlock(work->auth->grants);
    if (!forgetting->found)
        return KV_OK;
    KV_TRY(kv_access_read(work, owner, "principal_id", &rows, err));
    KV_TRY(take_assignments(work, forgetting->vault, &rows, &change, err));
    KV_TRY(take_credentials(work, forgetting->vault, &rows, &change, err));
    if (!change.count)
        return kv_fail(err, KV_CONFLICT, "the principal is being changed: try again");
    KV_TRY(kv_access_write_principal(work, &rows, false, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_forget_vault(const kv_access_work *work, kv_slice vault, bool *more,
                                 kv_error *err)
{
    kv_forgetting forgetting = { .vault = vault };

    *more = false;
    if (vault.len == 0)
        return kv_fail(err, KV_INTERNAL, "a vault has no name");
    KV_TRY(kv_access_retry(work, forget_some, &forgetting, err));
    *more = forgetting.found;
    return KV_OK;
}
