/* restore.c - a backed up key, secret or certificate comes back under its name, with its versions.
 *
 * Nothing is overwritten: the name must be free, among deleted ones too. One change brings all of
 * it; before that nothing is visible, and keys that were imported for it go again when it fails.
 */
#include "server/vault/backups/restore.h"

#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/events/events.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/renewals/renewal_rules.h"
#include "server/vault/secrets/secret_rules.h"

/* Who may restore into another vault than the one a backup is of could have taken it there. */
static kv_status permit_origin(kv_vault *vault, kv_work *work, const kv_restoration *at,
                               const kv_vault_row *origin, kv_error *err)
{
    static const kv_permission needs[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_KEYS] = KV_MAY_KEYS_BACKUP,
        [KV_COLLECTION_SECRETS] = KV_MAY_SECRETS_BACKUP,
        [KV_COLLECTION_CERTIFICATES] = KV_MAY_CERTIFICATES_BACKUP,
    };
    kv_vault_row now = { .name = origin->name };
    kv_collection collection = (kv_collection)at->before.collection;
    kv_resource resource = { .vault = origin->name,
                             .collection = collection,
                             .name = at->before.name };
    kv_status status;

    if (kv_slice_equal(origin->uid, at->vault_row.uid))
        return KV_OK;
    status = kv_records_get(vault->config.records, &kv_table_vaults, &now, work->arena, err);
    if (status == KV_NOT_FOUND || (status == KV_OK && !kv_slice_equal(now.uid, origin->uid))) {
        *err = (kv_error){ 0 }; /* purged: there is nobody to ask */
        return KV_OK;
    }
    KV_TRY(status);
    return kv_auth_permit(vault->config.auth, work->caller, needs[collection], &resource,
                          work->now_ms, err);
}

/* --- reading --- */

static kv_status keep(kv_work *work, kv_restore_rows *rows, void *row, kv_error *err)
{
    if (!rows->rows)
        rows->rows = kv_arena_array(work->arena, KV_BACKUP_ROWS, sizeof(*rows->rows));
    if (!rows->rows)
        return kv_arena_full(err);
    if (rows->count == KV_BACKUP_ROWS)
        return kv_backup_bad(err);
    rows->rows[rows->count++] = row;
    return KV_OK;
}

static kv_status companion(kv_vault *vault, kv_work *work, const kv_restoration *at,
                           kv_collection collection, kv_object_row *out, kv_error *err)
{
    if (at->object.collection != KV_COLLECTION_CERTIFICATES) {
        *out = at->object;
        return KV_OK;
    }
    KV_TRY(kv_companion_new(vault, work, &at->object, collection, out, err));
    out->created = at->before.created;
    return KV_OK;
}

static kv_status read_head(kv_vault *vault, kv_work *work, const kv_restore_in *in,
                           kv_backup_reader *reader, kv_restoration *at, kv_error *err)
{
    KV_AUTO(kv_secret_buf) none = KV_SECRET_NONE;
    const kv_table *table;
    const kv_vault_row *origin;
    kv_target target = in->target;
    bool exists = false;
    void *row;

    KV_TRY(kv_backup_next(vault, work, reader, &table, &row, &none, err));
    if (table != &kv_table_vaults)
        return kv_backup_bad(err);
    origin = row;
    KV_TRY(kv_backup_next(vault, work, reader, &table, &row, &none, err));
    if (table != &kv_table_objects)
        return kv_backup_bad(err);
    memcpy(&at->before, row, sizeof(at->before));
    if (at->before.collection != target.collection)
        return kv_backup_bad(err);
    target.name = at->before.display_name;
    KV_TRY(kv_object_for_version(vault, work, &target, &at->vault_row, &at->object, &exists, err));
    if (exists)
        return kv_fail(err, KV_EXISTS, "there is a %s '%.*s'; restoring never overwrites",
                       kv_collection_noun(target.collection), KV_SLICE_ARG(target.name));
    at->object.created = at->before.created;
    KV_TRY(permit_origin(vault, work, at, origin, err));
    KV_TRY(companion(vault, work, at, KV_COLLECTION_KEYS, &at->key_object, err));
    return companion(vault, work, at, KV_COLLECTION_SECRETS, &at->secret_object, err);
}

/* The value is encrypted again at once, for its new place; it is nowhere else in clear. */
static kv_status take_secret(kv_vault *vault, kv_work *work, kv_restoration *at,
                             kv_secret_version_row *row, const kv_secret_buf *value, kv_error *err)
{
    kv_box place = kv_secret_place(&at->secret_object, row->version);

    row->object_uid = at->secret_object.uid;
    row->vault_uid = at->vault_row.uid;
    if (row->managed && !value->len)
        return KV_OK;
    if (row->managed) {
        if (!at->places)
            KV_TRY(kv_restore_find_keys(vault, work, at, err));
        KV_TRY(kv_restore_private_key(vault, work, at, row->version, value, err));
    }
    return kv_box_close(vault, work, &at->vault_row, &place, kv_secret_buf_slice(value), row, err);
}

/* Its schedule begins anew, and who permits destruction does so for this place. */
static kv_status take_rotation(kv_work *work, kv_restoration *at, kv_rotation_policy_row *row,
                               kv_error *err)
{
    if (at->rotation || at->object.collection != KV_COLLECTION_KEYS)
        return kv_backup_bad(err);
    row->object_uid = at->object.uid;
    row->vault_uid = at->vault_row.uid;
    row->retirement_since = work->now_ms;
    row->permitted = 0;
    row->permitted_by = KV_SLICE_NONE;
    at->rotation = row;
    return KV_OK;
}

static kv_status take_row(kv_vault *vault, kv_work *work, kv_restoration *at, const kv_table *table,
                          void *row, const kv_secret_buf *value, kv_error *err)
{
    kv_key_version_row *key = row;
    kv_certificate_version_row *certificate = row;

    if (table == &kv_table_key_versions) {
        key->object_uid = at->key_object.uid;
        key->vault_uid = at->vault_row.uid;
        return keep(work, &at->keys, row, err);
    }
    if (table == &kv_table_certificate_versions) {
        certificate->object_uid = at->object.uid;
        certificate->vault_uid = at->vault_row.uid;
        return keep(work, &at->certificates, row, err);
    }
    if (table == &kv_table_secret_versions) {
        KV_TRY(take_secret(vault, work, at, row, value, err));
        return keep(work, &at->secrets, row, err);
    }
    if (table == &kv_table_rotation_policies)
        return take_rotation(work, at, row, err);
    if (table != &kv_table_policies || at->policy)
        return kv_backup_bad(err);
    at->policy = row;
    at->policy->object_uid = at->object.uid;
    return KV_OK;
}

static kv_status read_rows(kv_vault *vault, kv_work *work, kv_backup_reader *reader,
                           kv_restoration *at, kv_error *err)
{
    const kv_table *table;

    do {
        KV_AUTO(kv_secret_buf) value = KV_SECRET_NONE;
        void *row;

        KV_TRY(kv_backup_next(vault, work, reader, &table, &row, &value, err));
        if (table)
            KV_TRY(take_row(vault, work, at, table, row, &value, err));
    } while (table);
    if (!at->places)
        KV_TRY(kv_restore_find_keys(vault, work, at, err));
    return kv_restore_settle_keys(vault, at, err);
}

/* --- storing --- */

static kv_status insert_all(kv_change *change, const kv_table *table, const kv_restore_rows *rows,
                            kv_error *err)
{
    for (unsigned i = 0; i < rows->count; i++)
        KV_TRY(kv_change_insert(change, table, rows->rows[i], err));
    return KV_OK;
}

/* When the newest version is to be renewed, by the policy that came with it. */
static kv_status plan_renewal(kv_vault *vault, kv_work *work, const kv_restoration *at,
                              kv_renewal_row *row, kv_change *change, kv_error *err)
{
    kv_x509_policy policy;

    KV_TRY(kv_policy_load(work, at->policy->policy, &policy, err));
    for (unsigned i = 0; i < at->certificates.count; i++) {
        const kv_certificate_version_row *version = at->certificates.rows[i];

        if (kv_slice_equal(version->version, at->before.current))
            return kv_renewal_keep(vault, work, &at->vault_row, &policy, version, row, change, err);
    }
    return KV_OK;
}

/* Of the newest version, whichever kind of object it is of. */
static kv_status tell(kv_vault *vault, kv_work *work, const kv_restoration *at, kv_change *change,
                      kv_error *err)
{
    const kv_restore_rows *rows = at->object.collection == KV_COLLECTION_CERTIFICATES
                                      ? &at->certificates
                                  : at->object.collection == KV_COLLECTION_KEYS ? &at->keys
                                                                                : &at->secrets;
    kv_event_version about = { 0 };
    kv_x509_policy policy = { 0 };

    if (rows == &at->certificates)
        KV_TRY(kv_policy_load(work, at->policy->policy, &policy, err));
    for (unsigned i = 0; i < rows->count; i++) {
        const kv_certificate_version_row *certificate = rows->rows[i];
        const kv_key_version_row *key = rows->rows[i];
        const kv_secret_version_row *secret = rows->rows[i];

        if (rows == &at->certificates) {
            about = KV_EVENT_VERSION_OF(&at->vault_row, &at->object, certificate);
            about.sha256 = certificate->sha256;
            about.asked = kv_expiry_asked_of(&policy, certificate);
        } else if (rows == &at->keys) {
            about = KV_EVENT_VERSION_OF(&at->vault_row, &at->object, key);
        } else {
            about = KV_EVENT_VERSION_OF(&at->vault_row, &at->object, secret);
        }
        if (kv_slice_equal(about.version, at->before.current))
            return kv_event_new_version(vault, work, &about, "restored", change, err);
    }
    return KV_OK;
}

/* Somebody looks at a restored key at once. */
static kv_status plan_rotation(kv_vault *vault, kv_work *work, const kv_restoration *at,
                               kv_rotation_row *row, kv_change *change, kv_error *err)
{
    if (!at->rotation)
        return KV_OK;
    KV_TRY(kv_change_insert(change, &kv_table_rotation_policies, at->rotation, err));
    return kv_rotation_look(vault, work, &at->object, row, change, err);
}

static kv_status store(kv_vault *vault, kv_work *work, kv_restoration *at, kv_error *err)
{
    kv_renewal_row renewal;
    kv_rotation_row rotation;
    unsigned rows = at->certificates.count + at->keys.count + at->secrets.count + at->place_count;
    kv_change change = { 0 };
    kv_slice current = at->before.current;

    KV_TRY(kv_change_room(&change, work->arena, rows + 10,
                          err)); /* and objects, policy, renewal, events */
    KV_TRY(kv_change_object(&change, &at->object, false, current, err));
    if (at->object.collection == KV_COLLECTION_CERTIFICATES) {
        if (!at->policy)
            return kv_backup_bad(err);
        KV_TRY(kv_change_object(&change, &at->key_object, false, current, err));
        KV_TRY(kv_change_object(&change, &at->secret_object, false, current, err));
        KV_TRY(kv_change_insert(&change, &kv_table_policies, at->policy, err));
        KV_TRY(plan_renewal(vault, work, at, &renewal, &change, err));
    }
    KV_TRY(plan_rotation(vault, work, at, &rotation, &change, err));
    for (unsigned i = 0; i < at->place_count; i++)
        KV_TRY((at->places[i].born ? kv_change_update : kv_change_insert)(
            &change, &kv_table_token_objects, &at->places[i].row, err));
    KV_TRY(insert_all(&change, &kv_table_certificate_versions, &at->certificates, err));
    KV_TRY(insert_all(&change, &kv_table_key_versions, &at->keys, err));
    KV_TRY(insert_all(&change, &kv_table_secret_versions, &at->secrets, err));
    KV_TRY(tell(vault, work, at, &change, err));
    work->entry->version = current;
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

static kv_status restore(kv_vault *vault, kv_work *work, const kv_restore_in *in,
                         kv_restoration *at, kv_error *err)
{
    kv_backup_reader reader;
    kv_status status;

    KV_TRY(kv_find_vault(vault, work, in->target.vault, &at->vault_row, err));
    KV_TRY(kv_backup_open(vault, work, in->value, in->target.collection, &reader, err));
    KV_TRY(read_head(vault, work, in, &reader, at, err));
    status = read_rows(vault, work, &reader, at, err);
    if (status == KV_OK)
        status = store(vault, work, at, err);
    if (status != KV_OK) {
        kv_restore_undo_keys(vault, work, at);
        return status;
    }
    return kv_object_keep(vault, work, &at->vault_row, &at->object, err);
}

kv_status kv_key_restore(kv_vault *vault, kv_work *work, const kv_key_restore_in *in,
                         kv_key_bundle *out, kv_error *err)
{
    kv_restoration at = { 0 };
    kv_key_version_row version;

    KV_TRY(restore(vault, work, in, &at, err));
    KV_TRY(kv_find_key_version(vault, work, at.object.uid, at.object.current, &version, err));
    return kv_key_bundle_of(work, &at.vault_row, &at.object, &version, out, err);
}

kv_status kv_secret_restore(kv_vault *vault, kv_work *work, const kv_secret_restore_in *in,
                            kv_secret_bundle *out, kv_error *err)
{
    kv_restoration at = { 0 };
    kv_secret_version_row version;

    KV_TRY(restore(vault, work, in, &at, err));
    KV_TRY(kv_find_secret_version(vault, work, at.object.uid, at.object.current, &version, err));
    return kv_secret_bundle_of(work, &at.vault_row, &at.object, &version, out, err);
}

kv_status kv_certificate_restore(kv_vault *vault, kv_work *work,
                                 const kv_certificate_restore_in *in, kv_certificate_bundle *out,
                                 kv_error *err)
{
    kv_restoration at = { 0 };

    KV_TRY(restore(vault, work, in, &at, err));
    return kv_certificate_show(vault, work, &at.vault_row, &at.object, at.object.current, out, err);
}
