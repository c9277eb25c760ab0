/* webhook_row.c - the row of a webhook: found, and spelled for callers. */
#include "pkcs11/public_key.h"
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/event_kinds.h"
#include "server/vault/notices/webhook_rules.h"

kv_status kv_webhook_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                             kv_webhook_row *out, bool *exists, kv_error *err)
{
    kv_webhook_row row = { .vault_uid = vault_uid };
    kv_status status;

    KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_webhooks, &row, work->arena, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (!*exists)
        *err = (kv_error){ 0 };
    *out = row;
    return KV_OK;
}

kv_status kv_webhook_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_webhook_row *out,
                            kv_error *err)
{
    kv_webhook_row from = { .uid = uid };
    kv_scan scan = {
        .table = &kv_table_webhooks, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (!rows.count)
        return kv_fail(err, KV_NOT_FOUND, "there is no such webhook");
    *out = *(const kv_webhook_row *)rows.rows;
    return KV_OK;
}

kv_status kv_webhook_find(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_vault_row *vault_row, kv_webhook_row *out, kv_error *err)
{
    bool exists = false;
    bool auditors = false;

    work->entry->collection = KV_SLICE("webhooks");
    KV_TRY(kv_find_vault(vault, work, target->vault, vault_row, err));
    KV_TRY(kv_check_name(target->issuer, "webhook", err));
    work->entry->name = target->issuer;
    KV_TRY(kv_webhook_look_up(vault, work, vault_row->uid, target->issuer, out, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "there is no webhook '%.*s'",
                       KV_SLICE_ARG(target->issuer));
    KV_TRY(kv_webhook_row_for_auditors(work, out, &auditors, err));
    return kv_webhook_permit(vault, work, vault_row, auditors, err);
}

kv_status kv_webhooks_of(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_rows *out,
                         kv_error *err)
{
    kv_webhook_row from = { .vault_uid = vault_uid };
    kv_scan scan = {
        .table = &kv_table_webhooks, .prefix = 1, .from = &from, .limit = KV_WEBHOOKS_MAX
    };

    return kv_records_scan(vault->config.records, &scan, work->arena, out, err);
}

kv_webhook_state kv_webhook_state_of(const kv_webhook_row *row)
{
    if (!row->enabled)
        return KV_WEBHOOK_DISABLED;
    if (row->stopped.len)
        return KV_WEBHOOK_STOPPED;
    return row->agreed ? KV_WEBHOOK_ACTIVE : KV_WEBHOOK_NOT_AGREED;
}

/* --- whose it is --- */

static bool is_for_auditors(kv_slice name)
{
    kv_event_type type;

    return kv_event_type_named(name, &type) && kv_event_for_auditors(type);
}

bool kv_webhook_for_auditors(const kv_slice *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_for_auditors(types[i]))
            return true;
    return false;
}

kv_status kv_webhook_row_for_auditors(kv_work *work, const kv_webhook_row *row, bool *out,
                                      kv_error *err)
{
    kv_x509_list types;

    KV_TRY(kv_texts_load(work, row->types, &types, err));
    *out = kv_webhook_for_auditors(types.items, types.count);
    return KV_OK;
}

kv_status kv_webhook_permit(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            bool for_auditors, kv_error *err)
{
    kv_resource resource = { .vault = vault_row->display_name };

    return kv_auth_permit(vault->config.auth, work->caller,
                          for_auditors ? KV_MAY_AUDIT_READ : KV_MAY_VAULTS_WRITE, &resource,
                          work->now_ms, err);
}

kv_status kv_webhook_permits(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             bool for_auditors, bool *may, kv_error *err)
{
    kv_status status = kv_webhook_permit(vault, work, vault_row, for_auditors, err);

    *may = status == KV_OK;
    if (status != KV_DENIED || err->reason != KV_REASON_PERMISSION_MISSING)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

bool kv_webhook_wants(const kv_slice *types, size_t count, kv_slice type)
{
    bool named = is_for_auditors(type);

    for (size_t i = 0; i < count; i++) {
        kv_slice wanted = types[i];

        if (wanted.len && wanted.data[wanted.len - 1] == '*') {
            wanted.len--;
            if (!named && kv_slice_starts_with(type, wanted))
                return true;
        } else if (kv_slice_equal(type, wanted)) {
            return true;
        }
    }
    return count == 0 && !named;
}

static kv_slice why_of(const kv_webhook_row *row)
{
    if (kv_slice_equal(row->stopped, KV_STOPPED_GONE))
        return KV_SLICE("the endpoint answered that it is gone (410)");
    if (kv_slice_equal(row->stopped, KV_STOPPED_FAILING))
        return KV_SLICE("the endpoint took nothing for days");
    return row->last_error;
}

static kv_status key_text(kv_work *work, kv_slice spki, kv_slice *out, kv_error *err)
{
    kv_jwk jwk;

    KV_TRY(kv_public_key_jwk(spki, work->arena, &jwk, err));
    if (jwk.x.len != KV_WEBHOOK_KEY)
        return kv_fail(err, KV_INTERNAL, "the key of a webhook is not an Ed25519 key");
    return kv_webhook_key_text(work->arena, jwk.x.data, out, err);
}

kv_status kv_webhook_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                               const kv_webhook_row *row, kv_webhook_bundle *out, kv_error *err)
{
    kv_webhook_bundle bundle = {
        .vault = vault_row->display_name,
        .name = row->display_name,
        .url = row->url,
        .enabled = row->enabled != 0,
        .state = kv_webhook_state_of(row),
        .why = why_of(row),
        .has_authorization = row->authorization.len > 0,
        .rate = row->rate,
        .agreed = row->agreed,
        .failing_since = row->failing_since,
        .created = row->created,
        .updated = row->updated,
    };
    kv_x509_list types;

    KV_TRY(kv_texts_load(work, row->types, &types, err));
    bundle.types = types.items;
    bundle.type_count = types.count;
    KV_TRY(key_text(work, row->spki, &bundle.public_key, err));
    *out = bundle;
    return KV_OK;
}
