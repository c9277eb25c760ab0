/* access_principal.c - principals: made, shown, renamed, disabled, deleted. */
#include "server/auth/access_change.h"

#include "server/base/text.h"

static kv_status check_kind(kv_principal_kind kind, kv_error *err)
{
    if (kind < KV_PRINCIPAL_SERVICE || kind > KV_PRINCIPAL_USER)
        return kv_fail_field(err, "kind", "must be SERVICE, MANAGEMENT or USER");
    return KV_OK;
}

static kv_status name_taken(const kv_access_work *work, kv_slice name_lower, kv_slice but,
                            kv_error *err)
{
    kv_principal_row from = { .name_lower = name_lower };
    kv_scan scan = {
        .table = &kv_table_principals, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows found;

    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    if (found.count > 0 && !kv_slice_equal(((const kv_principal_row *)found.rows)->id, but))
        return kv_fail(err, KV_EXISTS, "a principal of that name exists");
    return KV_OK;
}

typedef struct kv_creation {
    const kv_principal_new *in;
    kv_principal_rows rows;
} kv_creation;

static kv_status create(const kv_access_work *work, void *context, kv_error *err)
{
    kv_creation *creation = context;
    kv_principal_row *row = &creation->rows.principal;
    kv_change change = { 0 };

    *row = (kv_principal_row){ .name = creation->in->name,
                               .kind = creation->in->kind,
                               .epoch = 1,
                               .created = work->now_ms,
                               .updated = work->now_ms };
    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, KV_SLICE("/"), err));
    KV_TRY(kv_text_lower(work->arena, row->name, &row->name_lower, err));
    KV_TRY(name_taken(work, row->name_lower, KV_SLICE_NONE, err));
    KV_TRY(kv_access_new_id(work->arena, &row->id, err));
    KV_TRY(kv_principal_rows_digest(&creation->rows, work->arena, &row->grants_digest, err));
    KV_TRY(kv_change_insert(&change, &kv_table_principals, row, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_create_principal(const kv_access_work *work, const kv_principal_new *in,
                                     kv_principal *out, kv_error *err)
{
    kv_creation creation = { .in = in };

    KV_TRY(kv_access_check_name(in->name, err));
    KV_TRY(check_kind(in->kind, err));
    KV_TRY(kv_access_retry(work, create, &creation, err));
    *out = kv_principal_of(&creation.rows.principal);
    return KV_OK;
}

kv_status kv_access_get_principal(const kv_access_work *work, kv_slice id, kv_principal *out,
                                  kv_error *err)
{
    kv_principal_rows rows;

    KV_TRY(kv_access_read(work, id, "principal_id", &rows, err));
    *out = kv_principal_of(&rows.principal);
    return KV_OK;
}

/* Sorts after every id, so a scan goes on behind the name. */
static const uint8_t past_every_id[KV_PRINCIPAL_ID_BYTES + 1] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

kv_status kv_access_list_principals(const kv_access_work *work, const kv_access_page *page,
                                    kv_principal_list *out, kv_error *err)
{
    kv_principal_row from = { .name_lower = page->token,
                              .id = kv_slice_of(past_every_id, sizeof(past_every_id)) };
    kv_scan scan = {
        .table = &kv_table_principals, .index = 1, .from = &from, .after = page->token.len > 0
    };
    kv_principal_list list = { 0 };
    const kv_principal_row *rows;
    kv_rows found;

    if (page->token.len > KV_ACCESS_NAME_MAX || !kv_text_printable(page->token))
        return kv_fail_field(err, "page_token", "is not one of this server");
    KV_TRY(kv_access_page_size(page, &scan.limit, err));
    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    list.items = kv_arena_array(work->arena, found.count, sizeof(*list.items));
    if (!list.items)
        return kv_arena_full(err);
    rows = found.rows;
    for (unsigned i = 0; i < found.count; i++)
        list.items[list.count++] = kv_principal_of(&rows[i]);
    if (found.more)
        list.next = rows[found.count - 1].name_lower;
    *out = list;
    return KV_OK;
}

/* --- update --- */

typedef struct kv_updating {
    const kv_principal_update *in;
    kv_principal_rows rows;
} kv_updating;

static kv_status rename_to(const kv_access_work *work, kv_principal_row *row, kv_slice name,
                           kv_error *err)
{
    row->name = name;
    KV_TRY(kv_text_lower(work->arena, name, &row->name_lower, err));
    return name_taken(work, row->name_lower, row->id, err);
}

static kv_status update(const kv_access_work *work, void *context, kv_error *err)
{
    kv_updating *updating = context;
    const kv_principal_update *in = updating->in;
    kv_principal_rows *after = &updating->rows;
    kv_principal_rows before;
    kv_principal_row witness;
    kv_change change = { 0 };
    bool disabling;

    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, KV_SLICE("/"), err));
    KV_TRY(kv_access_read(work, in->id, "principal_id", &before, err));
    *after = before;
    if (in->has_name)
        KV_TRY(rename_to(work, &after->principal, in->name, err));
    disabling = in->has_enabled && !in->enabled && !before.principal.disabled;
    if (in->has_enabled)
        after->principal.disabled = !in->enabled;
    KV_TRY(kv_access_write_principal(work, after, disabling, &change, err));
    KV_TRY(kv_access_keep_administrator(work, in->id, kv_principal_rows_administer(&before),
                                        kv_principal_rows_administer(after), &witness, &change,
                                        err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_update_principal(const kv_access_work *work, const kv_principal_update *in,
                                     kv_principal *out, kv_error *err)
{
    kv_updating updating = { .in = in };

    if (in->has_name)
        KV_TRY(kv_access_check_name(in->name, err));
    KV_TRY(kv_access_retry(work, update, &updating, err));
    *out = kv_principal_of(&updating.rows.principal);
    return KV_OK;
}

/* --- delete --- */

static kv_status delete_rows(const kv_access_work *work, kv_principal_rows *rows, kv_change *change,
                             kv_error *err)
{
    for (unsigned i = 0; i < rows->assignment_count; i++)
        KV_TRY(kv_change_delete(change, &kv_table_assignments, &rows->assignments[i], err));
    for (unsigned i = 0; i < rows->credential_count; i++)
        KV_TRY(kv_access_delete_credential(work, &rows->credentials[i], change, err));
    return kv_change_delete(change, &kv_table_principals, &rows->principal, err);
}

static kv_status delete_principal(const kv_access_work *work, void *context, kv_error *err)
{
    const kv_slice *id = context;
    kv_principal_rows rows;
    kv_principal_row witness;
    kv_change change = { 0 };

    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, KV_SLICE("/"), err));
    KV_TRY(kv_access_read(work, *id, "principal_id", &rows, err));
    /* One row for the principal, one for the administrator who stays, three for a management
     * certificate with its slots. */
    if (2 + rows.assignment_count + 3 * rows.credential_count > KV_ACCESS_CHANGE_ROWS)
        return kv_fail(err, KV_PRECONDITION,
                       "the principal has too many assignments and credentials to delete at once: "
                       "remove some first");
    KV_TRY(delete_rows(work, &rows, &change, err));
    KV_TRY(kv_access_keep_administrator(work, *id, kv_principal_rows_administer(&rows), false,
                                        &witness, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_delete_principal(const kv_access_work *work, kv_slice id, kv_error *err)
{
    return kv_access_retry(work, delete_principal, &id, err);
}
