/* find.c - from the names a caller gives to the rows that can be trusted. */
#include "server/base/text.h"
#include "server/store/row.h"
#include "server/vault/vault_impl.h"

static kv_status no_vault(kv_slice name, kv_error *err)
{
    return kv_fail(err, KV_NOT_FOUND, "there is no vault '%.*s'", KV_SLICE_ARG(name));
}

kv_status kv_find_any_vault(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                            kv_error *err)
{
    kv_vault_row row = { 0 };
    kv_status status;

    KV_TRY(kv_check_vault_name(name, err));
    work->entry->vault = name;
    KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_vaults, &row, work->arena, err);
    if (status == KV_NOT_FOUND)
        return no_vault(name, err);
    KV_TRY(status);
    *out = row;
    return KV_OK;
}

kv_status kv_find_vault(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                        kv_error *err)
{
    kv_vault_row row;

    KV_TRY(kv_find_any_vault(vault, work, name, &row, err));
    if (row.deleted || row.purging) {
        (void)no_vault(name, err);
        return kv_because(err, KV_REASON_SOFT_DELETED);
    }
    *out = row;
    return KV_OK;
}

kv_status kv_look_up_object(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                            kv_collection collection, kv_slice name, kv_object_row *out,
                            bool *exists, kv_error *err)
{
    kv_object_row row = { .vault_uid = vault_uid, .collection = collection };
    kv_status status;

    KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_objects, &row, work->arena, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (*exists)
        *out = row;
    else
        *err = (kv_error){ 0 };
    return KV_OK;
}

/* Vault and object in whatever state, with the names noted for the audit record. */
static kv_status find_any(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_vault_row *vault_row, kv_object_row *out, bool *exists, kv_error *err)
{
    kv_vault_row found;

    work->entry->collection = kv_slice_text(kv_collection_name(target->collection));
    KV_TRY(kv_find_vault(vault, work, target->vault, &found, err));
    KV_TRY(kv_check_name(target->name, "name", err));
    work->entry->name = target->name;
    if (vault_row)
        *vault_row = found;
    return kv_look_up_object(vault, work, found.uid, target->collection, target->name, out, exists,
                             err);
}

kv_status kv_find_object(kv_vault *vault, kv_work *work, const kv_target *target,
                         kv_vault_row *vault_row, kv_object_row *out, kv_error *err)
{
    kv_object_row row = { 0 };
    bool exists = false;

    KV_TRY(find_any(vault, work, target, vault_row, &row, &exists, err));
    if (!exists || row.deleted || row.purging) {
        kv_fail(err, KV_NOT_FOUND, "there is no %s '%.*s' in this vault",
                kv_collection_noun(target->collection), KV_SLICE_ARG(target->name));
        return kv_because(err, exists ? KV_REASON_SOFT_DELETED : KV_REASON_NONE);
    }
    *out = row;
    return KV_OK;
}

kv_status kv_find_deleted_object(kv_vault *vault, kv_work *work, const kv_target *target,
                                 kv_vault_row *vault_row, kv_object_row *out, kv_error *err)
{
    kv_object_row row = { 0 };
    bool exists = false;

    KV_TRY(find_any(vault, work, target, vault_row, &row, &exists, err));
    if (!exists || !row.deleted || row.purging)
        return kv_fail(err, KV_NOT_FOUND, "there is no deleted %s '%.*s' in this vault",
                       kv_collection_noun(target->collection), KV_SLICE_ARG(target->name));
    *out = row;
    return KV_OK;
}

kv_status kv_pick_version(const kv_object_row *object, kv_slice asked, kv_slice *out, kv_error *err)
{
    if (asked.len) {
        KV_TRY(kv_check_version(asked, err));
        *out = asked;
        return KV_OK;
    }
    if (!object->current.len)
        return kv_fail(err, KV_NOT_FOUND, "'%.*s' has no version yet",
                       KV_SLICE_ARG(object->display_name));
    *out = object->current;
    return KV_OK;
}

static kv_status get_version(kv_vault *vault, kv_work *work, const kv_table *table, void *row,
                             kv_slice version, kv_error *err)
{
    kv_status status = kv_records_get(vault->config.records, table, row, work->arena, err);

    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_NOT_FOUND, "there is no version %.*s", KV_SLICE_ARG(version));
    if (status == KV_OK)
        work->entry->version = version;
    return status;
}

kv_status kv_find_key_version(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_slice version,
                              kv_key_version_row *out, kv_error *err)
{
    kv_key_version_row row = { .object_uid = object_uid, .version = version };

    KV_TRY(get_version(vault, work, &kv_table_key_versions, &row, version, err));
    *out = row;
    return KV_OK;
}

kv_status kv_find_secret_version(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                 kv_slice version, kv_secret_version_row *out, kv_error *err)
{
    kv_secret_version_row row = { .object_uid = object_uid, .version = version };

    KV_TRY(get_version(vault, work, &kv_table_secret_versions, &row, version, err));
    *out = row;
    return KV_OK;
}

kv_status kv_find_certificate_version(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                      kv_slice version, kv_certificate_version_row *out,
                                      kv_error *err)
{
    kv_certificate_version_row row = { .object_uid = object_uid, .version = version };

    KV_TRY(get_version(vault, work, &kv_table_certificate_versions, &row, version, err));
    *out = row;
    return KV_OK;
}

kv_status kv_kind_of_name(kv_slice name, kv_key_kind *out, kv_error *err)
{
    for (int kind = KV_KEY_NONE + 1; kind < KV_KEY_KIND_COUNT; kind++) {
        if (kv_slice_equal(kv_slice_text(kv_key_kind_of((kv_key_kind)kind)->name), name)) {
            *out = (kv_key_kind)kind;
            return KV_OK;
        }
    }
    return kv_fail(err, KV_INTERNAL, "a key's row names a kind this server does not know");
}
