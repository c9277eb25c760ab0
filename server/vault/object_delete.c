/* object_delete.c - deletion, recovery and purge of keys, secrets and certificates.
 *
 * Deleting is one change: the name moves to the deleted collection for the vault's retention. A
 * purge is three steps, each of which a crash may follow: the mark (with the call's audit record),
 * the keys on the token one by one, the rows. reconcile.c takes it up where it stopped.
 */
#include "server/vault/objects.h"

#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/events/events.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/vault_rules.h"

enum { FINISH_ROUNDS = 100, VERSIONS_PER_STEP = 8, COMPANIONS = 2 };

static const kv_collection companions[COMPANIONS] = { KV_COLLECTION_KEYS, KV_COLLECTION_SECRETS };

/* The key and secret of a certificate, in whatever state. */
static kv_status find_companions(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                 kv_object_row found[COMPANIONS], unsigned *count, kv_error *err)
{
    *count = 0;
    if (object->collection != KV_COLLECTION_CERTIFICATES)
        return KV_OK;
    for (unsigned i = 0; i < COMPANIONS; i++) {
        bool exists = false;

        KV_TRY(kv_look_up_object(vault, work, object->vault_uid, companions[i], object->name,
                                 &found[*count], &exists, err));
        if (exists && found[*count].managed)
            (*count)++;
    }
    return KV_OK;
}

typedef struct deletion {
    int64_t deleted;
    int64_t purge_at;
    int64_t purging;
    kv_slice by;
} deletion;

/* A key that comes back may be late for its next version. */
static kv_status look_again(kv_vault *vault, kv_work *work, const kv_object_row *object,
                            kv_rotation_row *row, kv_change *change, kv_error *err)
{
    bool exists = false;

    if (object->collection != KV_COLLECTION_KEYS || object->deleted)
        return KV_OK;
    KV_TRY(kv_rotation_row_find(vault, work, object->uid, row, &exists, err));
    return exists ? kv_rotation_look(vault, work, object, row, change, err) : KV_OK;
}

static kv_status move(kv_vault *vault, kv_work *work, kv_object_row *object, const deletion *to,
                      kv_error *err)
{
    kv_object_row others[COMPANIONS];
    kv_rotation_row due;
    kv_change change = { 0 };
    unsigned count = 0;

    KV_TRY(find_companions(vault, work, object, others, &count, err));
    for (unsigned i = 0; i <= count; i++) {
        kv_object_row *row = i ? &others[i - 1] : object;

        row->deleted = to->deleted;
        row->purge_at = to->purge_at;
        row->purging = to->purging;
        row->deleted_by = to->by;
        KV_TRY(kv_change_update(&change, &kv_table_objects, row, err));
    }
    KV_TRY(look_again(vault, work, object, &due, &change, err));
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

static kv_status refuse_while_working(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                      kv_error *err)
{
    kv_operation_row operation;
    bool exists = false;

    if (object->collection != KV_COLLECTION_CERTIFICATES)
        return KV_OK;
    KV_TRY(kv_operation_find(vault, work, object->uid, &operation, &exists, err));
    if (!exists || !kv_slice_equal(operation.state, KV_STATE_WORKING) ||
        kv_operation_stranded(&operation, work->now_ms))
        return KV_OK;
    kv_fail(err, KV_PRECONDITION, "a certificate is just being made for this name; try again");
    return kv_because(err, KV_REASON_OPERATION_IN_PROGRESS);
}

kv_status kv_delete_object(kv_vault *vault, kv_work *work, const kv_target *target,
                           kv_vault_row *vault_row, kv_object_row *object, kv_error *err)
{
    kv_vault_row found;
    deletion to;

    KV_TRY(kv_find_object(vault, work, target, &found, object, err));
    KV_TRY(kv_refuse_managed(object, "deleted", err));
    KV_TRY(refuse_while_working(vault, work, object, err));
    to = (deletion){
        .deleted = work->now_ms,
        .purge_at = work->now_ms + found.retention_days * KV_DAY_MS,
        .by = kv_slice_of(work->caller->principal_id, sizeof(work->caller->principal_id)),
    };
    KV_TRY(move(vault, work, object, &to, err));
    *vault_row = found;
    return KV_OK;
}

kv_status kv_recover_object(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_vault_row *vault_row, kv_object_row *object, kv_error *err)
{
    deletion to = { 0 };

    KV_TRY(kv_find_deleted_object(vault, work, target, vault_row, object, err));
    KV_TRY(kv_refuse_managed(object, "recovered", err));
    return move(vault, work, object, &to, err);
}

/* --- purge --- */

/* Removes one step's rows of `table` whose first column is `object_uid`, with their keys when
 * they have some. `step` has an arena of its own. */
static kv_status remove_some(kv_vault *vault, kv_work *step, const kv_table *table,
                             kv_slice object_uid, bool *more, kv_error *err)
{
    char *from = kv_arena_alloc(step->arena, table->row_size);
    kv_scan scan = { .table = table, .prefix = 1, .from = from, .limit = VERSIONS_PER_STEP };
    kv_change change = { 0 };
    kv_rows rows;

    if (!from)
        return kv_arena_full(err);
    memcpy(from + table->columns[0].offset, &object_uid, sizeof(object_uid));
    KV_TRY(kv_records_scan(vault->config.records, &scan, step->arena, &rows, err));
    for (unsigned i = 0; i < rows.count; i++) {
        char *row = (char *)rows.rows + i * table->row_size;

        if (table == &kv_table_key_versions)
            KV_TRY(kv_destroy_key(vault, step, ((kv_key_version_row *)(void *)row)->key_id, err));
        KV_TRY(kv_change_delete(&change, table, row, err));
    }
    *more = rows.count > 0;
    return *more ? kv_commit_step(vault, step, "ObjectPurgeRows", &change, err) : KV_OK;
}

static kv_status remove_rows(kv_vault *vault, kv_work *work, const kv_table *table,
                             kv_slice object_uid, kv_error *err)
{
    bool more = true;

    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);

        KV_TRY(remove_some(vault, &step, table, object_uid, &more, err));
    }
    return KV_OK;
}

/* The key of an operation that still waits for its certificate. */
static kv_status drop_operation_key(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                    kv_error *err)
{
    kv_operation_row operation;
    bool exists = false;

    KV_TRY(kv_operation_find(vault, work, object->uid, &operation, &exists, err));
    return exists ? kv_operation_drop_key(vault, work, &operation, err) : KV_OK;
}

static kv_status purge_versions(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                kv_error *err)
{
    switch ((kv_collection)object->collection) {
    case KV_COLLECTION_KEYS:
        KV_TRY(remove_rows(vault, work, &kv_table_expiries, object->uid, err));
        KV_TRY(remove_rows(vault, work, &kv_table_rotations, object->uid, err));
        KV_TRY(remove_rows(vault, work, &kv_table_rotation_policies, object->uid, err));
        return remove_rows(vault, work, &kv_table_key_versions, object->uid, err);
    case KV_COLLECTION_SECRETS:
        KV_TRY(remove_rows(vault, work, &kv_table_expiries, object->uid, err));
        return remove_rows(vault, work, &kv_table_secret_versions, object->uid, err);
    case KV_COLLECTION_CERTIFICATES:
        KV_TRY(drop_operation_key(vault, work, object, err));
        KV_TRY(remove_rows(vault, work, &kv_table_operations, object->uid, err));
        KV_TRY(remove_rows(vault, work, &kv_table_renewals, object->uid, err));
        KV_TRY(remove_rows(vault, work, &kv_table_expiries, object->uid, err));
        KV_TRY(remove_rows(vault, work, &kv_table_policies, object->uid, err));
        return remove_rows(vault, work, &kv_table_certificate_versions, object->uid, err);
    case KV_COLLECTION_NONE:
    case KV_COLLECTION_COUNT:
        break;
    }
    return kv_fail(err, KV_INTERNAL, "an object is in no collection");
}

/* Nobody can ask for the key any more, so this is the proof that it is gone. */
static kv_status tell_destroyed(kv_vault *vault, kv_work *work, const kv_object_row *object,
                                kv_change *change, kv_error *err)
{
    kv_event_row row = { .cause = KV_SLICE("purged") };
    kv_vault_row vault_row = { .uid = object->vault_uid };
    kv_status status;

    if (object->collection != KV_COLLECTION_KEYS)
        return KV_OK;
    status = kv_vault_by_uid(vault, work, object->vault_uid, &vault_row, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    kv_event_place(&vault_row, object, &row);
    return kv_event_add(work, KV_EVENT_KEY_DESTROYED, &row, change, err);
}

kv_status kv_finish_purge(kv_vault *vault, kv_work *work, kv_object_row *object, kv_error *err)
{
    kv_object_row others[COMPANIONS];
    kv_change change = { 0 };
    unsigned count = 0;

    KV_TRY(find_companions(vault, work, object, others, &count, err));
    for (unsigned i = 0; i < count; i++) {
        KV_TRY(purge_versions(vault, work, &others[i], err));
        KV_TRY(kv_change_delete(&change, &kv_table_objects, &others[i], err));
        KV_TRY(tell_destroyed(vault, work, &others[i], &change, err));
    }
    KV_TRY(purge_versions(vault, work, object, err));
    KV_TRY(kv_change_delete(&change, &kv_table_objects, object, err));
    KV_TRY(tell_destroyed(vault, work, object, &change, err));
    return kv_commit_step(vault, work, "ObjectPurged", &change, err);
}

/* The schedule finishes what it finds marked, this very one too: then it is gone all the same. */
static kv_status finish_marked(kv_vault *vault, kv_work *work, kv_object_row *object, kv_error *err)
{
    for (unsigned round = 0; round < FINISH_ROUNDS; round++) {
        kv_status status = kv_finish_purge(vault, work, object, err);
        kv_object_row now;
        bool exists = false;

        if (status != KV_CONFLICT)
            return status;
        *err = (kv_error){ 0 };
        KV_TRY(kv_look_up_object(vault, work, object->vault_uid, (kv_collection)object->collection,
                                 object->name, &now, &exists, err));
        if (!exists || !kv_slice_equal(now.uid, object->uid))
            return KV_OK;
        *object = now;
        KV_TRY(kv_purge_in_time(vault, work, err));
    }
    return kv_lost_race(KV_CONFLICT, err);
}

static kv_status mark(kv_vault *vault, kv_work *work, const kv_target *target,
                      kv_object_row *object, kv_error *err)
{
    kv_vault_row vault_row;
    deletion to;

    KV_TRY(kv_find_deleted_object(vault, work, target, &vault_row, object, err));
    KV_TRY(kv_refuse_managed(object, "purged", err));
    if (vault_row.purge_protection) {
        kv_fail(err, KV_PRECONDITION,
                "this vault has purge protection: it purges by itself when the retention is over");
        return kv_because(err, KV_REASON_PURGE_PROTECTED);
    }
    to = (deletion){ .deleted = object->deleted,
                     .purge_at = object->purge_at,
                     .purging = 1,
                     .by = object->deleted_by };
    return move(vault, work, object, &to, err);
}

kv_status kv_purge_object(kv_vault *vault, kv_work *work, const kv_target *target, kv_error *err)
{
    kv_object_row object;
    unsigned races = 0;
    kv_status status;

    do
        status = mark(vault, work, target, &object, err);
    while (kv_race_again(work, status, &races, err));
    KV_TRY(status);
    return kv_owe_purge(vault, finish_marked(vault, work, &object, err));
}
