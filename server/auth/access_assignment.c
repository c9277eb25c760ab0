/* access_assignment.c - which roles a principal holds where. */
#include "server/auth/access_change.h"

#include <stdlib.h>

#include "server/auth/policy.h"
#include "server/base/text.h"

static bool is_live(const kv_assignment_row *row, int64_t now_ms)
{
    return row->ends_at == 0 || now_ms < row->ends_at;
}

static kv_status separated(kv_error *err)
{
    return kv_because(err, KV_REASON_SEPARATION_OF_DUTY);
}

/* --- assigning --- */

typedef struct kv_assigning {
    const kv_assignment_new *in;
    kv_slice scope_text; /* normalised */
    kv_scope scope;
    kv_assignment_row row;
} kv_assigning;

/* Against one assignment the principal holds. */
static kv_status check_against(const kv_access_work *work, const kv_assigning *assigning,
                               const kv_assignment_row *row, kv_error *err)
{
    kv_role held = kv_role_find(row->role);
    kv_scope scope;

    if (!kv_scope_read(row->scope, &scope))
        return kv_fail(err, KV_INTERNAL, "an assignment cannot be read");
    if (!is_live(row, work->now_ms))
        return KV_OK;
    if (held == assigning->in->role && kv_slice_equal(row->scope, assigning->scope_text))
        return kv_fail(err, KV_EXISTS, "the principal holds this role there already");
    if (work->auth->separation == KV_SEPARATION_OFF ||
        !kv_roles_exclude(held, assigning->in->role) ||
        !kv_scopes_overlap(&scope, &assigning->scope))
        return KV_OK;
    if (work->auth->separation == KV_SEPARATION_WARN)
        return kv_access_warn(work, assigning->in->role, held, err);
    kv_fail(err, KV_DENIED, "%s excludes %s, which the principal holds on %.*s",
            kv_role_name(assigning->in->role), kv_role_name(held),
            row->scope.len > 64 ? 64 : (int)row->scope.len, (const char *)row->scope.data);
    return separated(err);
}

static kv_status check_place(const kv_assigning *assigning, const kv_principal_row *principal,
                             kv_error *err)
{
    if (principal->kind != KV_PRINCIPAL_MANAGEMENT)
        return KV_OK;
    if (principal->home_vault.len == 0)
        return kv_fail(err, KV_PRECONDITION,
                       "register a management certificate first: it decides the principal's vault");
    if (!kv_slice_equal(principal->home_vault, assigning->scope.vault))
        return kv_fail(err, KV_PRECONDITION,
                       "a management principal can hold roles in its own vault only");
    return KV_OK;
}

static kv_status append(const kv_access_work *work, const kv_assignment_row *row,
                        kv_principal_rows *rows, kv_error *err)
{
    kv_assignment_row *longer =
        kv_arena_array(work->arena, rows->assignment_count + 1, sizeof(*longer));

    if (!longer)
        return kv_arena_full(err);
    if (rows->assignment_count)
        memcpy(longer, rows->assignments, rows->assignment_count * sizeof(*longer));
    longer[rows->assignment_count++] = *row;
    rows->assignments = longer;
    return KV_OK;
}

static kv_status check_all(const kv_access_work *work, const kv_assigning *assigning,
                           const kv_principal_rows *rows, kv_error *err)
{
    KV_TRY(check_place(assigning, &rows->principal, err));
    if (work->warnings)
        work->warnings->count = 0; /* of an attempt before */
    for (unsigned i = 0; i < rows->assignment_count; i++)
        KV_TRY(check_against(work, assigning, &rows->assignments[i], err));
    if (rows->assignment_count >= KV_ASSIGNMENTS_PER_PRINCIPAL) {
        kv_fail(err, KV_PRECONDITION, "the principal has %d assignments, the most it can have",
                KV_ASSIGNMENTS_PER_PRINCIPAL);
        return kv_because(err, KV_REASON_LIMIT_REACHED);
    }
    return KV_OK;
}

static kv_status assign(const kv_access_work *work, void *context, kv_error *err)
{
    kv_assigning *assigning = context;
    kv_assignment_row *row = &assigning->row;
    kv_principal_rows rows;
    kv_change change = { 0 };

    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, assigning->scope_text, err));
    KV_TRY(kv_access_read(work, assigning->in->principal_id, "principal_id", &rows, err));
    KV_TRY(check_all(work, assigning, &rows, err));
    *row = (kv_assignment_row){ .principal_id = rows.principal.id,
                                .role = kv_slice_text(kv_role_name(assigning->in->role)),
                                .scope = assigning->scope_text,
                                .ends_at = assigning->in->ends_ms,
                                .created = work->now_ms,
                                .created_by = kv_slice_of(work->caller->principal_id,
                                                          KV_PRINCIPAL_ID_BYTES) };
    KV_TRY(kv_access_new_id(work->arena, &row->id, err));
    KV_TRY(append(work, row, &rows, err));
    rows.principal.granted_ever = 1;
    KV_TRY(kv_change_insert(&change, &kv_table_assignments, row, err));
    KV_TRY(kv_access_write_principal(work, &rows, false, &change, err));
    return kv_access_commit(work, &change, err);
}

static kv_status check_request(const kv_access_work *work, const kv_assignment_new *in,
                               kv_error *err)
{
    kv_slice self = kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES);

    if (kv_role_name(in->role)[0] == '\0')
        return kv_fail_field(err, "role", "must be one of the roles");
    if (in->ends_ms != 0 && in->ends_ms <= work->now_ms)
        return kv_fail_field(err, "expires", "must be in the future");
    if (kv_slice_equal(in->principal_id, self)) {
        kv_fail(err, KV_DENIED, "nobody grants a role to themself");
        return separated(err);
    }
    if (!kv_role_available(in->role, work->auth->separation)) {
        kv_fail(err, KV_DENIED, "the role %s needs separation of duty to be off",
                kv_role_name(in->role));
        return separated(err);
    }
    return KV_OK;
}

kv_status kv_access_assign_role(const kv_access_work *work, const kv_assignment_new *in,
                                kv_assignment *out, kv_error *err)
{
    kv_assigning assigning = { .in = in };

    KV_TRY(kv_scope_parse(work->arena, in->scope, "scope", &assigning.scope_text, err));
    if (!kv_scope_read(assigning.scope_text, &assigning.scope))
        return kv_fail(err, KV_INTERNAL, "a scope is not normalised");
    KV_TRY(check_request(work, in, err));
    KV_TRY(kv_access_retry(work, assign, &assigning, err));
    kv_access_log_warnings(work, in->principal_id);
    return kv_assignment_of(&assigning.row, out, err);
}

/* --- listing --- */

typedef struct kv_listing {
    kv_slice principal_id; /* empty: of all */
    kv_scope scope;        /* and under it */
    kv_slice after;        /* principal id and id; empty: from the start */
    const kv_assignment_row **rows;
    size_t count;
    size_t room;
} kv_listing;

static int compare_rows(const kv_assignment_row *a, const kv_assignment_row *b)
{
    int order = kv_slice_compare(a->principal_id, b->principal_id);

    return order ? order : kv_slice_compare(a->id, b->id);
}

static int row_order(const void *a, const void *b)
{
    return compare_rows(*(const kv_assignment_row *const *)a, *(const kv_assignment_row *const *)b);
}

static bool wanted(const kv_listing *listing, const kv_grant *grant)
{
    kv_resource resource = kv_scope_resource(&grant->scope, false);
    kv_assignment_row after;

    if (!kv_scope_covers(&listing->scope, &resource))
        return false;
    if (listing->after.len == 0)
        return true;
    after.principal_id = kv_slice_of(listing->after.data, KV_PRINCIPAL_ID_BYTES);
    after.id = kv_slice_of(listing->after.data + KV_PRINCIPAL_ID_BYTES, KV_PRINCIPAL_ID_BYTES);
    return compare_rows(grant->row, &after) > 0;
}

/* First counts (no room), then keeps. */
static bool gather(void *context, const kv_held *held)
{
    kv_listing *listing = context;

    if (listing->principal_id.len > 0 &&
        !kv_slice_equal(listing->principal_id, held->rows->principal.id))
        return true;
    for (unsigned i = 0; i < held->grant_count; i++) {
        if (!wanted(listing, &held->grants[i]))
            continue;
        if (listing->count < listing->room)
            listing->rows[listing->count] = held->grants[i].row;
        listing->count++;
    }
    return true;
}

static kv_status copy_page(const kv_access_work *work, const kv_listing *listing, unsigned size,
                           kv_assignment_list *out, kv_error *err)
{
    kv_assignment_list list = { 0 };
    unsigned count = listing->count < size ? (unsigned)listing->count : size;
    const kv_assignment *last;

    list.items = kv_arena_array(work->arena, count, sizeof(*list.items));
    if (!list.items)
        return kv_arena_full(err);
    for (; list.count < count; list.count++)
        KV_TRY(kv_assignment_copy(work->arena, listing->rows[list.count], &list.items[list.count],
                                  err));
    if (listing->count > size) {
        uint8_t *token = kv_arena_alloc(work->arena, (size_t)2 * KV_PRINCIPAL_ID_BYTES);

        if (!token)
            return kv_arena_full(err);
        last = &list.items[count - 1];
        memcpy(token, last->principal_id.data, KV_PRINCIPAL_ID_BYTES);
        memcpy(token + KV_PRINCIPAL_ID_BYTES, last->id.data, KV_PRINCIPAL_ID_BYTES);
        list.next = kv_slice_of(token, (size_t)2 * KV_PRINCIPAL_ID_BYTES);
    }
    *out = list;
    return KV_OK;
}

/* Under the lock of the grants. */
static kv_status list_page(const kv_access_work *work, kv_listing *listing, unsigned size,
                           kv_assignment_list *out, kv_error *err)
{
    kv_status status;

    kv_grants_each(work->auth->grants, gather, listing);
    listing->room = listing->count;
    listing->count = 0;
    listing->rows = calloc(listing->room + 1, sizeof(*listing->rows));
    if (!listing->rows)
        return kv_fail(err, KV_BUSY, "out of memory");
    kv_grants_each(work->auth->grants, gather, listing);
    qsort(listing->rows, listing->count, sizeof(*listing->rows), row_order);
    status = copy_page(work, listing, size, out, err);
    free(listing->rows);
    return status;
}

kv_status kv_access_list_assignments(const kv_access_work *work, kv_slice principal_id,
                                     kv_slice scope, const kv_access_page *page,
                                     kv_assignment_list *out, kv_error *err)
{
    kv_listing listing = { .principal_id = principal_id, .after = page->token };
    kv_status status;
    unsigned size;

    if (page->token.len != 0 && page->token.len != (size_t)2 * KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "page_token", "is not one of this server");
    if (principal_id.len != 0 && principal_id.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "principal_id", "must be an id: 32 hexadecimal digits");
    KV_TRY(kv_access_page_size(page, &size, err));
    if (scope.len > 0)
        KV_TRY(kv_scope_parse(work->arena, scope, "scope", &scope, err));
    if (scope.len > 0 && !kv_scope_read(scope, &listing.scope))
        return kv_fail(err, KV_INTERNAL, "a scope is not normalised");
    kv_grants_lock(work->auth->grants);
    status = list_page(work, &listing, size, out, err);
    kv_grants_unlock(work->auth->grants);
    return status;
}

/* --- removing --- */

typedef struct kv_removing {
    kv_slice id;
    bool found;
    uint8_t principal_id[KV_PRINCIPAL_ID_BYTES];
} kv_removing;

static bool find_owner(void *context, const kv_held *held)
{
    kv_removing *removing = context;

    for (unsigned i = 0; i < held->grant_count; i++) {
        if (!kv_slice_equal(held->grants[i].row->id, removing->id))
            continue;
        removing->found = true;
        memcpy(removing->principal_id, held->rows->principal.id.data,
               sizeof(removing->principal_id));
        return false;
    }
    return true;
}

/* Takes it out of the rows, into `*out`. */
static bool take_assignment(kv_principal_rows *rows, kv_slice id, kv_assignment_row *out)
{
    for (unsigned i = 0; i < rows->assignment_count; i++) {
        if (!kv_slice_equal(rows->assignments[i].id, id))
            continue;
        *out = rows->assignments[i];
        rows->assignments[i] = rows->assignments[--rows->assignment_count];
        return true;
    }
    return false;
}

static kv_status not_there(const kv_access_work *work, kv_error *err)
{
    /* Who may not write learns nothing of what is there. */
    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, KV_SLICE("/"), err));
    return kv_fail(err, KV_NOT_FOUND, "there is no such assignment");
}

static kv_status remove_one(const kv_access_work *work, void *context, kv_error *err)
{
    kv_removing *removing = context;
    kv_slice owner = kv_slice_of(removing->principal_id, sizeof(removing->principal_id));
    kv_principal_rows rows;
    kv_principal_row witness;
    kv_assignment_row row;
    kv_change change = { 0 };
    bool was;

    removing->found = false;
    kv_grants_lock(work->auth->grants);
    kv_grants_each(work->auth->grants, find_owner, removing);
    kv_grants_unlock(work->auth->grants);
    if (!removing->found)
        return not_there(work, err);
    KV_TRY(kv_access_read(work, owner, "principal_id", &rows, err));
    was = kv_principal_rows_administer(&rows);
    if (!take_assignment(&rows, removing->id, &row))
        return not_there(work, err);
    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, row.scope, err));
    KV_TRY(kv_change_delete(&change, &kv_table_assignments, &row, err));
    KV_TRY(kv_access_write_principal(work, &rows, false, &change, err));
    KV_TRY(kv_access_keep_administrator(
        work, rows.principal.id, was, kv_principal_rows_administer(&rows), &witness, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_remove_assignment(const kv_access_work *work, kv_slice id, kv_error *err)
{
    kv_removing removing = { .id = id };

    if (id.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "assignment_id", "must be an id: 32 hexadecimal digits");
    return kv_access_retry(work, remove_one, &removing, err);
}
