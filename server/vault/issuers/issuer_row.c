/* issuer_row.c - the row of an issuer: found, and spelled for callers. */
#include "server/vault/issuers/issuer_rules.h"

#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"

enum { TEXTS_PER_ADMIN = 4, ID_DIGITS = 2 * KV_PRINCIPAL_ID_BYTES };

const kv_issuer *kv_provider_find(const kv_vault *vault, kv_slice provider)
{
    const kv_issuer *built_in = kv_issuer_find(provider);

    if (built_in)
        return built_in;
    for (size_t i = 0; i < vault->config.issuer_count; i++)
        if (kv_text_equal_nocase(provider, kv_slice_text(vault->config.issuers[i]->provider)))
            return vault->config.issuers[i];
    return NULL;
}

bool kv_issuer_is_builtin(kv_slice name)
{
    return kv_text_equal_nocase(name, kv_slice_text(KV_X509_ISSUER_SELF)) ||
           kv_text_equal_nocase(name, kv_slice_text(KV_X509_ISSUER_UNKNOWN));
}

bool kv_issuer_is_local(const kv_issuer *issuer)
{
    return issuer &&
           kv_slice_equal(kv_slice_text(issuer->provider), KV_SLICE(KV_X509_ISSUER_LOCAL_CA));
}

kv_status kv_issuer_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                            kv_issuer_row *out, bool *exists, kv_error *err)
{
    kv_issuer_row row = { .vault_uid = vault_uid };
    kv_status status;

    KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_issuers, &row, work->arena, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (*exists)
        *out = row;
    else
        *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_issuer_find_row(kv_vault *vault, kv_work *work, const kv_target *target,
                             kv_vault_row *vault_row, kv_issuer_row *out, kv_error *err)
{
    bool exists = false;

    work->entry->collection = KV_SLICE("issuers");
    KV_TRY(kv_find_vault(vault, work, target->vault, vault_row, err));
    KV_TRY(kv_check_name(target->issuer, "issuer", err));
    work->entry->name = target->issuer;
    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, target->issuer, out, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "there is no issuer '%.*s'",
                       KV_SLICE_ARG(target->issuer));
    return KV_OK;
}

kv_box kv_issuer_place(const kv_issuer_row *row)
{
    return (kv_box){ .vault_uid = row->vault_uid,
                     .object_uid = row->uid,
                     .name = row->name,
                     .kind = KV_SLICE("keyvault issuer 1") };
}

kv_status kv_issuer_admins_store(kv_work *work, const kv_issuer_admin *admins, size_t count,
                                 kv_slice *out, kv_error *err)
{
    kv_slice *texts = kv_arena_array(work->arena, count * TEXTS_PER_ADMIN, sizeof(*texts));

    if (!texts)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++) {
        texts[TEXTS_PER_ADMIN * i] = admins[i].first_name;
        texts[TEXTS_PER_ADMIN * i + 1] = admins[i].last_name;
        texts[TEXTS_PER_ADMIN * i + 2] = admins[i].email;
        texts[TEXTS_PER_ADMIN * i + 3] = admins[i].phone;
    }
    return kv_texts_store(work, &(kv_x509_list){ .items = texts, .count = count * TEXTS_PER_ADMIN },
                          out, err);
}

static kv_status load_admins(kv_work *work, const kv_issuer_row *row, kv_issuer_bundle *out,
                             kv_error *err)
{
    kv_issuer_admin *admins;
    kv_x509_list texts;

    KV_TRY(kv_texts_load(work, row->admins, &texts, err));
    out->admin_count = texts.count / TEXTS_PER_ADMIN;
    admins = kv_arena_array(work->arena, out->admin_count, sizeof(*admins));
    if (!admins)
        return kv_arena_full(err);
    for (size_t i = 0; i < out->admin_count; i++) {
        const kv_slice *of = texts.items + TEXTS_PER_ADMIN * i;

        admins[i] = (kv_issuer_admin){ of[0], of[1], of[2], of[3] };
    }
    out->admins = admins;
    return KV_OK;
}

static kv_status load_requesters(kv_work *work, const kv_issuer_row *row, kv_issuer_bundle *out,
                                 kv_error *err)
{
    kv_issuer_requester *requesters;
    kv_x509_list texts;

    KV_TRY(kv_texts_load(work, row->requesters, &texts, err));
    requesters = kv_arena_array(work->arena, texts.count, sizeof(*requesters));
    if (!requesters)
        return kv_arena_full(err);
    for (size_t i = 0; i < texts.count; i++) {
        kv_slice text = texts.items[i];

        if (text.len <= ID_DIGITS)
            return kv_fail(err, KV_INTERNAL, "an issuer's requesters are not well formed");
        requesters[i].id = kv_slice_of(text.data, ID_DIGITS);
        requesters[i].name =
            kv_slice_of(text.data + ID_DIGITS + 1, text.len - (size_t)ID_DIGITS - 1);
    }
    out->requesters = requesters;
    out->requester_count = texts.count;
    return KV_OK;
}

kv_status kv_issuer_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                              const kv_issuer_row *row, kv_issuer_bundle *out, kv_error *err)
{
    kv_issuer_bundle bundle = {
        .vault = vault_row->display_name,
        .name = row->display_name,
        .provider = row->provider,
        .account_id = row->account_id,
        .has_credential = row->credential.len > 0,
        .credential_expires = row->credential_expires,
        .organization_id = row->organization_id,
        .settings = row->settings,
        .trust = (kv_x509_lint_scope)row->trust,
        .strict_lint = row->strict_lint != 0,
        .enabled = row->enabled != 0,
        .created = row->created,
        .updated = row->updated,
        .orders_per_hour = row->orders_per_hour,
        .certificates_per_week = row->certificates_per_week,
        .healthy = true,
    };

    KV_TRY(load_admins(work, row, &bundle, err));
    KV_TRY(load_requesters(work, row, &bundle, err));
    KV_TRY(kv_texts_load(work, row->blackouts, &bundle.blackouts, err));
    KV_TRY(kv_texts_load(work, row->domains, &bundle.domains, err));
    *out = bundle;
    return KV_OK;
}
