/* vault_delete.c - vaults are deleted, recovered and purged.
 *
 * A purge destroys the keys that encrypt the vault's secrets, so even a copy of the database gives
 * nothing away afterwards; and it takes away what was granted in the vault, so a new one of the
 * same name begins with nobody. Each step has an arena of its own: a vault of any size can go.
 */
#include "server/base/text.h"
#include "server/vault/access/access_work.h"
#include "server/vault/authorities/authority_rules.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/notices/contact_rules.h"
#include "server/vault/notices/webhook_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/vault_rules.h"

enum { OBJECTS_PER_STEP = 50, RACES_MAX = 1000 };

kv_status kv_vault_delete(kv_vault *vault, kv_work *work, const kv_vault_delete_in *in,
                          kv_vault_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row row;

    KV_TRY(kv_find_vault(vault, work, in->target.vault, &row, err));
    KV_TRY(kv_refuse_authorities(vault, work, row.uid, err));
    row.deleted = work->now_ms;
    row.purge_at = work->now_ms + row.retention_days * KV_DAY_MS;
    row.updated = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_vaults, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_vault_bundle_of(work, &row, out, err);
}

static kv_status find_deleted(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                              kv_error *err)
{
    kv_vault_row row;
    kv_status status = kv_find_any_vault(vault, work, name, &row, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_NOT_FOUND || !row.deleted || row.purging)
        return kv_fail(err, KV_NOT_FOUND, "there is no deleted vault '%.*s'", KV_SLICE_ARG(name));
    *out = row;
    return KV_OK;
}

kv_status kv_vault_recover(kv_vault *vault, kv_work *work, const kv_vault_recover_in *in,
                           kv_vault_bundle *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row row;

    KV_TRY(find_deleted(vault, work, in->target.vault, &row, err));
    row.deleted = 0;
    row.purge_at = 0;
    row.updated = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_vaults, &row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_vault_bundle_of(work, &row, out, err);
}

kv_status kv_owe_purge(kv_vault *vault, kv_status status)
{
    if (status != KV_OK)
        atomic_store(&vault->purge_owed, true);
    return status;
}

kv_status kv_purge_in_time(const kv_vault *vault, const kv_work *work, kv_error *err)
{
    if (atomic_load(&vault->stopping))
        return kv_fail(err, KV_CANCELLED, "the server stops; the purge goes on when it is back");
    if (kv_deadline_passed(work->deadline))
        return kv_fail(err, KV_TIMEOUT, "the purge takes longer and goes on by itself");
    return KV_OK;
}

/* `step` has an arena of its own. */
static kv_status purge_some(kv_vault *vault, kv_work *step, kv_slice vault_uid,
                            kv_collection collection, bool *more, kv_error *err)
{
    kv_object_row from = { .vault_uid = vault_uid, .collection = collection };
    kv_scan scan = {
        .table = &kv_table_objects, .prefix = 2, .from = &from, .limit = OBJECTS_PER_STEP
    };
    kv_object_row *objects;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, step->arena, &rows, err));
    objects = rows.rows;
    for (unsigned i = 0; i < rows.count; i++) {
        KV_TRY(kv_purge_in_time(vault, step, err));
        KV_TRY(kv_finish_purge(vault, step, &objects[i], err));
    }
    *more = rows.count > 0;
    return KV_OK;
}

static kv_status purge_collection(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                                  kv_collection collection, kv_error *err)
{
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        KV_TRY(purge_some(vault, &step, vault_uid, collection, &more, err));
    }
    return KV_OK;
}

static kv_status forget_uses(kv_vault *vault, kv_work *step, kv_slice key_id, kv_error *err)
{
    kv_key_use_row use = { .key_id = key_id };
    kv_change change = { 0 };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_key_uses, &use, step->arena, err);

    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    KV_TRY(kv_change_delete(&change, &kv_table_key_uses, &use, err));
    return kv_commit_step(vault, step, "SecretKeyForget", &change, err);
}

/* All keys that belong to the vault itself: older ones still opened older secrets. */
static kv_status destroy_vault_keys(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                                    kv_error *err)
{
    kv_token_object_row from = { .owner_uid = vault_uid };
    kv_scan scan = {
        .table = &kv_table_token_objects, .index = 2, .prefix = 1, .from = &from, .limit = 1
    };
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &arena, &rows, err));
        more = rows.count > 0;
        if (more) {
            const kv_token_object_row *key = rows.rows;

            KV_TRY(forget_uses(vault, &step, key->key_id, err));
            KV_TRY(kv_destroy_key(vault, &step, key->key_id, err));
        }
    }
    return KV_OK;
}

static kv_status forget_grants(kv_vault *vault, kv_work *work, kv_slice name, kv_error *err)
{
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);
        kv_access_work access;

        KV_TRY(kv_purge_in_time(vault, work, err));
        KV_TRY(kv_access_step_of(vault, &step, "VaultPurgeGrants", &access, err));
        KV_TRY(kv_access_forget_vault(&access, name, &more, err));
    }
    return KV_OK;
}

/* The row goes last: until then nobody can make a vault of this name, and the grants that are taken
 * away are those of the old one. */
kv_status kv_finish_vault_purge(kv_vault *vault, kv_work *work, kv_vault_row *row, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(purge_collection(vault, work, row->uid, KV_COLLECTION_CERTIFICATES, err));
    KV_TRY(purge_collection(vault, work, row->uid, KV_COLLECTION_KEYS, err));
    KV_TRY(purge_collection(vault, work, row->uid, KV_COLLECTION_SECRETS, err));
    KV_TRY(kv_issuers_forget(vault, work, row->uid, err));
    KV_TRY(kv_contacts_forget(vault, work, row->uid, err));
    KV_TRY(kv_webhooks_forget(vault, work, row->uid, err));
    KV_TRY(destroy_vault_keys(vault, work, row->uid, err));
    KV_TRY(forget_grants(vault, work, row->name, err));
    KV_TRY(kv_change_delete(&change, &kv_table_vaults, row, err));
    return kv_commit_step(vault, work, "VaultPurged", &change, err);
}

/* The schedule finishes what it finds marked, this very one too. Who loses a race for one of its
 * rows goes on with what is left. */
static kv_status finish_marked(kv_vault *vault, kv_work *work, kv_slice uid, kv_error *err)
{
    for (unsigned round = 0; round < RACES_MAX; round++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);
        kv_vault_row row;
        kv_status status = kv_vault_by_uid(vault, &step, uid, &row, err);

        if (status == KV_NOT_FOUND) {
            *err = (kv_error){ 0 };
            return KV_OK;
        }
        KV_TRY(status);
        status = kv_finish_vault_purge(vault, &step, &row, err);
        if (status != KV_CONFLICT)
            return status;
        *err = (kv_error){ 0 };
        KV_TRY(kv_purge_in_time(vault, work, err));
    }
    return kv_lost_race(KV_CONFLICT, err);
}

static kv_status mark(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *row,
                      kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(find_deleted(vault, work, name, row, err));
    if (row->purge_protection) {
        kv_fail(err, KV_PRECONDITION,
                "this vault has purge protection: it goes by itself when the retention is over");
        return kv_because(err, KV_REASON_PURGE_PROTECTED);
    }
    row->purging = 1;
    KV_TRY(kv_change_update(&change, &kv_table_vaults, row, err));
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

kv_status kv_vault_purge(kv_vault *vault, kv_work *work, const kv_vault_purge_in *in,
                         kv_nothing_out *out, kv_error *err)
{
    unsigned races = 0;
    kv_vault_row row;
    kv_status status;

    *out = (kv_nothing_out){ 0 };
    do
        status = mark(vault, work, in->target.vault, &row, err);
    while (kv_race_again(work, status, &races, err));
    KV_TRY(status);
    return kv_owe_purge(vault, finish_marked(vault, work, row.uid, err));
}
