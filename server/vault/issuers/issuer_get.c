/* issuer_get.c - issuers are shown, listed, checked and forgotten. */
#include "server/vault/authorities/authority_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/named_page.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

kv_status kv_vault_issuer_get(kv_vault *vault, kv_work *work, const kv_issuer_get_in *in,
                              kv_issuer_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_issuer_row row;

    KV_TRY(kv_issuer_find_row(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_issuer_bundle_of(work, &vault_row, &row, out, err));
    return kv_issuer_show_health(vault, work, &row, out, err);
}

kv_status kv_vault_issuer_list(kv_vault *vault, kv_work *work, const kv_issuer_list_in *in,
                               kv_issuer_list *out, kv_error *err)
{
    kv_named_page page;
    kv_issuer_bundle *items;
    const kv_issuer_row *found;

    KV_TRY(kv_named_page_read(vault, work, &kv_table_issuers, "issuers", in->target.vault,
                              &in->page, &page, err));
    found = page.rows.rows;
    items = kv_arena_array(work->arena, page.rows.count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (unsigned i = 0; i < page.rows.count; i++) {
        KV_TRY(kv_issuer_bundle_of(work, &page.vault_row, &found[i], &items[i], err));
        KV_TRY(kv_issuer_show_health(vault, work, &found[i], &items[i], err));
    }
    *out = (kv_issuer_list){ .items = items,
                             .count = page.rows.count,
                             .next_page_token = page.next_page_token };
    return KV_OK;
}

/* An authority of this server is asked whether it would issue. */
static kv_status ask_local(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_chosen_issuer *chosen, kv_slice name, kv_error *err)
{
    kv_named_authority named;

    KV_TRY(kv_authority_named(vault, work, vault_row, name, chosen->account.settings, &named, err));
    return kv_authority_may_issue(&named.row, err);
}

static kv_status ask(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                     kv_chosen_issuer *chosen, kv_slice name, kv_issuer_checked *out, kv_error *err)
{
    kv_slice record = KV_SLICE_NONE;
    kv_status status;

    if (!chosen->issuer->check_credentials && !chosen->issuer->needs_account) {
        *out =
            (kv_issuer_checked){ .accepted = true, .details = KV_SLICE("it needs no credential") };
        return KV_OK;
    }
    KV_TRY(kv_enrolment_open(vault, work, vault_row, chosen, err));
    if (kv_issuer_is_local(chosen->issuer))
        status = ask_local(vault, work, vault_row, chosen, name, err);
    else
        status = kv_issuer_check_credentials(chosen->issuer, &chosen->account, work->arena,
                                             work->deadline, &record, err);
    *out = (kv_issuer_checked){ .accepted = status == KV_OK, .validation_record = record };
    /* What the authority refused is the answer to the question. */
    if (status != KV_DENIED && status != KV_PRECONDITION)
        return status;
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(err->message), &out->details, err));
    *err = (kv_error){ 0 };
    work->entry->note = KV_SLICE("accepted=false");
    return KV_OK;
}

static kv_status try_check(kv_vault *vault, kv_work *work, const kv_issuer_check_in *in,
                           kv_issuer_checked *out, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_vault_row vault_row;
    kv_issuer_row row = { 0 };
    bool exists = false;

    work->entry->collection = KV_SLICE("issuers");
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    KV_TRY(kv_check_name(in->target.issuer, "issuer", err));
    work->entry->name = in->target.issuer;
    KV_TRY(kv_issuer_look_up(vault, work, vault_row.uid, in->target.issuer, &row, &exists, err));
    KV_TRY(kv_issuer_open(vault, work, &vault_row, in->target.issuer, &chosen, err));
    KV_TRY(ask(vault, work, &vault_row, &chosen, in->target.issuer, out, err));
    out->credential_expires = row.credential_expires;
    out->account = chosen.enrolment.row.url;
    return KV_OK;
}

kv_status kv_vault_issuer_check(kv_vault *vault, kv_work *work, const kv_issuer_check_in *in,
                                kv_issuer_checked *out, kv_error *err)
{
    unsigned races = 0;
    kv_status status;

    do
        status = try_check(vault, work, in, out, err);
    while (kv_race_again(work, status, &races, err));
    return status;
}

kv_status kv_issuers_expiring(kv_vault *vault, kv_work *work, int64_t until_ms, kv_rows *out,
                              kv_error *err)
{
    kv_issuer_row from = { .credential_expires = 1 };
    kv_scan scan = {
        .table = &kv_table_issuers, .index = 1, .from = &from, .after = true, .limit = KV_SCAN_LIMIT
    };
    const kv_issuer_row *found;
    kv_rows rows;
    unsigned count = 0;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    while (count < rows.count && found[count].credential_expires < until_ms)
        count++;
    rows.more = rows.more && count == rows.count;
    rows.count = count;
    *out = rows;
    return KV_OK;
}

enum { ROWS_PER_STEP = 100 };

/* Some rows of a table whose key begins with the vault. */
static kv_status forget_some(kv_vault *vault, kv_work *step, const kv_table *table,
                             const void *from, bool *more, kv_error *err)
{
    kv_scan scan = { .table = table, .prefix = 1, .from = from, .limit = ROWS_PER_STEP };
    kv_change change = { 0 };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, step->arena, &rows, err));
    *more = rows.more;
    if (!rows.count)
        return KV_OK;
    KV_TRY(kv_change_room(&change, step->arena, rows.count, err));
    for (unsigned i = 0; i < rows.count; i++)
        KV_TRY(kv_change_delete(&change, table, (char *)rows.rows + i * table->row_size, err));
    return kv_commit_step(vault, step, "VaultPurgeIssuers", &change, err);
}

static kv_status forget_all(kv_vault *vault, kv_work *work, const kv_table *table, const void *from,
                            kv_error *err)
{
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        KV_TRY(forget_some(vault, &step, table, from, &more, err));
    }
    return KV_OK;
}

kv_status kv_issuers_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_issuer_row issuers = { .vault_uid = vault_uid };
    kv_enrolment_row enrolments = { .vault_uid = vault_uid };
    kv_issuer_state_row states = { .vault_uid = vault_uid };
    kv_name_budget_row budgets = { .vault_uid = vault_uid };

    KV_TRY(forget_all(vault, work, &kv_table_issuer_states, &states, err));
    KV_TRY(forget_all(vault, work, &kv_table_name_budgets, &budgets, err));
    KV_TRY(forget_all(vault, work, &kv_table_enrolments, &enrolments, err));
    return forget_all(vault, work, &kv_table_issuers, &issuers, err);
}
