/* backup_take.c - all versions of a key, a secret or a certificate go into a backup.
 *
 * Private keys do not: of a key on the token the backup has its id and its public half. Only what
 * the secret endpoint could give too is in it: values of secrets, and private keys of exportable
 * certificates.
 */
#include "server/vault/backups/backup.h"
#include "server/vault/messages/messages_backup.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/row_walk.h"
#include "server/vault/secrets/secret_rules.h"

enum { VERSIONS_PER_STEP = 10 };

typedef struct taking {
    kv_vault_row vault_row;
    kv_object_row object;
    kv_object_row companions[2]; /* key and secret of a certificate */
    kv_backup_writer writer;
} taking;

static kv_status add_row(kv_vault *vault, kv_work *work, taking *at, const kv_object_row *object,
                         const kv_table *table, const void *row, kv_error *err)
{
    KV_AUTO(kv_secret_buf) value = KV_SECRET_NONE;
    const kv_secret_version_row *secret = row;
    kv_box place;

    if (table != &kv_table_secret_versions || !secret->ciphertext.len)
        return kv_backup_add(vault, work, &at->writer, table, row, NULL, err);
    place = kv_secret_place(object, secret->version);
    KV_TRY(kv_box_open(vault, work, &place, secret, &value, err));
    return kv_backup_add(vault, work, &at->writer, table, row, &value, err);
}

/* The rows of `table` whose first column is the object's uid. */
static kv_status add_rows(kv_vault *vault, kv_work *work, taking *at, const kv_object_row *object,
                          const kv_table *table, kv_error *err)
{
    char *from = kv_arena_alloc(work->arena, table->row_size);
    kv_scan scan = { .table = table, .prefix = 1, .from = from, .limit = VERSIONS_PER_STEP };
    bool more = true;

    if (!from)
        return kv_arena_full(err);
    memcpy(from + table->columns[0].offset, &object->uid, sizeof(object->uid));
    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        kv_work step = kv_step_of(work, &arena);
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, step.arena, &rows, err));
        for (unsigned i = 0; i < rows.count; i++)
            KV_TRY(add_row(vault, &step, at, object, table, (char *)rows.rows + i * table->row_size,
                           err));
        more = rows.more;
        scan.after = true;
        if (more)
            KV_TRY(kv_copy_row_key(table, (char *)rows.rows + (rows.count - 1) * table->row_size,
                                   work->arena, from, err));
    }
    return KV_OK;
}

static kv_status add_certificate(kv_vault *vault, kv_work *work, taking *at, kv_error *err)
{
    static const kv_collection collections[2] = { KV_COLLECTION_KEYS, KV_COLLECTION_SECRETS };

    for (int i = 0; i < 2; i++) {
        bool exists = false;

        KV_TRY(kv_look_up_object(vault, work, at->object.vault_uid, collections[i], at->object.name,
                                 &at->companions[i], &exists, err));
        if (!exists)
            return kv_lost_race(KV_CONFLICT, err);
    }
    KV_TRY(add_rows(vault, work, at, &at->object, &kv_table_policies, err));
    KV_TRY(add_rows(vault, work, at, &at->object, &kv_table_certificate_versions, err));
    KV_TRY(add_rows(vault, work, at, &at->companions[0], &kv_table_key_versions, err));
    return add_rows(vault, work, at, &at->companions[1], &kv_table_secret_versions, err);
}

static kv_status add_versions(kv_vault *vault, kv_work *work, taking *at, kv_error *err)
{
    switch ((kv_collection)at->object.collection) {
    case KV_COLLECTION_KEYS:
        KV_TRY(add_rows(vault, work, at, &at->object, &kv_table_rotation_policies, err));
        return add_rows(vault, work, at, &at->object, &kv_table_key_versions, err);
    case KV_COLLECTION_SECRETS:
        return add_rows(vault, work, at, &at->object, &kv_table_secret_versions, err);
    case KV_COLLECTION_CERTIFICATES:
        return add_certificate(vault, work, at, err);
    case KV_COLLECTION_NONE:
    case KV_COLLECTION_COUNT:
        break;
    }
    return kv_fail(err, KV_INTERNAL, "an object is in no collection");
}

/* Every new version changes the object's row: with the same one all was read of one moment. */
static kv_status check_unchanged(kv_vault *vault, kv_work *work, const taking *at, kv_error *err)
{
    kv_object_row now;
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, at->object.vault_uid,
                             (kv_collection)at->object.collection, at->object.name, &now, &exists,
                             err));
    if (!exists || now.head.generation != at->object.head.generation)
        return kv_lost_race(KV_CONFLICT, err);
    return KV_OK;
}

static kv_status attempt(kv_vault *vault, kv_work *work, const kv_target *target, taking *at,
                         kv_backup *out, kv_error *err)
{
    kv_vault_row origin;
    kv_slice version;

    KV_TRY(kv_find_object(vault, work, target, &at->vault_row, &at->object, err));
    KV_TRY(kv_refuse_managed(&at->object, "backed up", err));
    KV_TRY(kv_pick_version(&at->object, KV_SLICE_NONE, &version, err));
    KV_TRY(kv_backup_begin(vault, work, target->collection, &at->writer, err));
    origin = (kv_vault_row){ .name = at->vault_row.name, .uid = at->vault_row.uid };
    KV_TRY(kv_backup_add(vault, work, &at->writer, &kv_table_vaults, &origin, NULL, err));
    KV_TRY(kv_backup_add(vault, work, &at->writer, &kv_table_objects, &at->object, NULL, err));
    KV_TRY(add_versions(vault, work, at, err));
    KV_TRY(check_unchanged(vault, work, at, err));
    return kv_backup_end(vault, work, &at->writer, &out->value, err);
}

/* Who made a version meanwhile was first: then that is in it too. */
static kv_status take(kv_vault *vault, kv_work *work, const kv_target *target, kv_backup *out,
                      kv_error *err)
{
    taking at = { 0 };
    unsigned races = 0;
    kv_status status;

    do
        status = attempt(vault, work, target, &at, out, err);
    while (kv_race_again(work, status, &races, err));
    return status;
}

kv_status kv_key_backup(kv_vault *vault, kv_work *work, const kv_key_backup_in *in, kv_backup *out,
                        kv_error *err)
{
    return take(vault, work, &in->target, out, err);
}

kv_status kv_secret_backup(kv_vault *vault, kv_work *work, const kv_secret_backup_in *in,
                           kv_backup *out, kv_error *err)
{
    return take(vault, work, &in->target, out, err);
}

kv_status kv_certificate_backup(kv_vault *vault, kv_work *work, const kv_certificate_backup_in *in,
                                kv_backup *out, kv_error *err)
{
    return take(vault, work, &in->target, out, err);
}
