/* vault_put.c - vaults are made, shown, listed and changed. */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"
#include "server/vault/vault_rules.h"

kv_status kv_vault_bundle_of(kv_work *work, const kv_vault_row *row, kv_vault_bundle *out,
                             kv_error *err)
{
    kv_x509_list blackouts;
    kv_tags tags;

    KV_TRY(kv_tags_load(work, row->tags, &tags, err));
    KV_TRY(kv_texts_load(work, row->blackouts, &blackouts, err));
    *out = (kv_vault_bundle){
        .name = row->display_name,
        .retention_days = (uint32_t)row->retention_days,
        .purge_protection = row->purge_protection != 0,
        .default_exportable = row->default_exportable != 0,
        .allow_unauthenticated = row->allow_unauthenticated != 0,
        .created = row->created,
        .updated = row->updated,
        .tags = tags,
        .deletion = { .deleted_date = row->deleted, .scheduled_purge_date = row->purge_at },
        .blackouts = blackouts,
    };
    return KV_OK;
}

static kv_status take_retention(const kv_vault_settings_in *in, kv_vault_row *row, bool is_new,
                                kv_error *err)
{
    if (!in->has_retention_days)
        return KV_OK;
    if (in->retention_days < KV_RETENTION_MIN_DAYS || in->retention_days > KV_RETENTION_MAX_DAYS)
        return kv_fail_field(err, "retention_days", "retention is %d to %d days",
                             KV_RETENTION_MIN_DAYS, KV_RETENTION_MAX_DAYS);
    if (!is_new && in->retention_days < row->retention_days)
        return kv_fail(err, KV_PRECONDITION, "retention cannot be lowered from %d days",
                       (int)row->retention_days);
    row->retention_days = in->retention_days;
    return KV_OK;
}

static kv_status take(kv_work *work, const kv_vault_settings_in *in, kv_vault_row *row, bool is_new,
                      kv_error *err)
{
    KV_TRY(take_retention(in, row, is_new, err));
    if (in->has_purge_protection && !in->purge_protection && row->purge_protection) {
        kv_fail(err, KV_PRECONDITION, "purge protection cannot be turned off again");
        return kv_because(err, KV_REASON_PURGE_PROTECTED);
    }
    if (in->has_purge_protection)
        row->purge_protection = in->purge_protection;
    if (in->has_default_exportable)
        row->default_exportable = in->default_exportable;
    if (in->has_allow_unauthenticated)
        row->allow_unauthenticated = in->allow_unauthenticated;
    if (is_new || in->tags.given) {
        KV_TRY(kv_tags_check(&in->tags, err));
        KV_TRY(kv_tags_store(work, &in->tags, &row->tags, err));
    }
    if (is_new || in->has_blackouts)
        KV_TRY(kv_blackouts_store(work, &in->blackouts, "blackouts.windows", &row->blackouts, err));
    row->updated = work->now_ms;
    return KV_OK;
}

static kv_status refuse_existing(kv_vault *vault, kv_work *work, kv_slice name, kv_error *err)
{
    kv_vault_row found;
    kv_status status = kv_find_any_vault(vault, work, name, &found, err);

    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    if (!found.deleted && !found.purging)
        return kv_fail(err, KV_EXISTS, "there is a vault '%.*s' already", KV_SLICE_ARG(name));
    kv_fail(err, KV_EXISTS,
            "a deleted vault has the name '%.*s': recover it, or purge it to use the name again",
            KV_SLICE_ARG(name));
    return kv_because(err, KV_REASON_SOFT_DELETED);
}

kv_status kv_vault_put(kv_vault *vault, kv_work *work, const kv_vault_put_in *in,
                       kv_vault_bundle *out, kv_error *err)
{
    kv_vault_row row = { .display_name = in->target.vault,
                         .retention_days = KV_RETENTION_MAX_DAYS,
                         .created = work->now_ms };
    kv_token_object_row key;
    kv_key_use_row use;
    kv_birth birth;
    kv_change change = { 0 };
    kv_status status;

    KV_TRY(refuse_existing(vault, work, in->target.vault, err));
    KV_TRY(take(work, in, &row, true, err));
    KV_TRY(kv_text_lower(work->arena, in->target.vault, &row.name, err));
    KV_TRY(kv_new_uid(work, &row.uid, err));
    KV_TRY(kv_box_new_key(vault, work, row.uid, &birth, &key, &use, err));
    row.secret_key_id = key.key_id;

    status = kv_change_update(&change, &kv_table_token_objects, &key, err);
    if (status == KV_OK)
        status = kv_change_insert(&change, &kv_table_key_uses, &use, err);
    if (status == KV_OK)
        status = kv_change_insert(&change, &kv_table_vaults, &row, err);
    if (status == KV_OK)
        status = kv_commit_change(vault, work, &change, err);
    if (status != KV_OK)
        kv_birth_undo(vault, work, &birth);
    if (status == KV_EXISTS)
        return kv_fail(err, KV_EXISTS, "there is a vault '%.*s' already",
                       KV_SLICE_ARG(in->target.vault));
    KV_TRY(status);
    return kv_vault_bundle_of(work, &row, out, err);
}

kv_status kv_vault_get(kv_vault *vault, kv_work *work, const kv_vault_get_in *in,
                       kv_vault_bundle *out, kv_error *err)
{
    kv_vault_row row;

    KV_TRY(kv_find_vault(vault, work, in->target.vault, &row, err));
    return kv_vault_bundle_of(work, &row, out, err);
}

kv_status kv_vault_patch(kv_vault *vault, kv_work *work, const kv_vault_patch_in *in,
                         kv_vault_bundle *out, kv_error *err)
{
    kv_blackout_change blackouts;
    kv_change change = { 0 };
    kv_vault_row stored;
    kv_vault_row row;

    KV_TRY(kv_find_vault(vault, work, in->target.vault, &stored, err));
    row = stored;
    KV_TRY(take(work, in, &row, false, err));
    KV_TRY(kv_blackout_change_begin(vault, work, &stored, KV_SLICE_NONE, stored.blackouts,
                                    row.blackouts, &blackouts, err));
    KV_TRY(kv_change_update(&change, &kv_table_vaults, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_blackout_change_end(vault, work, &blackouts);
    return kv_vault_bundle_of(work, &row, out, err);
}

enum { SCANS_PER_PAGE = 8 };

/* The names a caller may see are those its grants cover; dispatch has asked for vaults/read at "/",
 * so here that is all of them. */
static kv_status list(kv_vault *vault, kv_work *work, const kv_list_in *in, bool deleted,
                      kv_vault_list *out, kv_error *err)
{
    kv_slice last = in->page.token;
    kv_vault_bundle *items;
    bool more = true;
    unsigned count = 0;
    unsigned size;

    KV_TRY(kv_page_check(&in->page, &size, err));
    if (last.len && kv_check_name(last, "page_token", err) != KV_OK)
        return kv_page_refused(err);
    items = kv_arena_array(work->arena, size, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (int scans = 0; more && count < size && scans < SCANS_PER_PAGE; scans++) {
        kv_vault_row from = { .name = last };
        kv_scan scan = {
            .table = &kv_table_vaults, .from = &from, .after = last.len > 0, .limit = size - count
        };
        kv_rows rows;
        const kv_vault_row *vaults;

        KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
        vaults = rows.rows;
        for (unsigned i = 0; i < rows.count; i++)
            if ((vaults[i].deleted != 0) == deleted && !vaults[i].purging)
                KV_TRY(kv_vault_bundle_of(work, &vaults[i], &items[count++], err));
        if (rows.count)
            last = vaults[rows.count - 1].name;
        more = rows.more;
    }
    *out = (kv_vault_list){ .items = items,
                            .count = count,
                            .next_page_token = more ? last : KV_SLICE_NONE };
    return KV_OK;
}

kv_status kv_vault_list_all(kv_vault *vault, kv_work *work, const kv_vault_list_in *in,
                            kv_vault_list *out, kv_error *err)
{
    return list(vault, work, in, false, out, err);
}

kv_status kv_vault_list_deleted(kv_vault *vault, kv_work *work, const kv_vault_list_deleted_in *in,
                                kv_vault_list *out, kv_error *err)
{
    return list(vault, work, in, true, out, err);
}
