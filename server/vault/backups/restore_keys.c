/* restore_keys.c - the token keys of a restored object: found again, or imported again.
 *
 * A key that cannot be exported comes back only where the token still has it, and no other object
 * of this server uses it: two names never own one key.
 */
#include "pkcs11/token_import.h"
#include "server/vault/backups/restore.h"
#include "server/vault/keys/key_rules.h"

static kv_restore_key *place_of(kv_restoration *at, kv_slice old_id)
{
    for (unsigned i = 0; i < at->place_count; i++)
        if (kv_slice_equal(at->places[i].old_id, old_id))
            return &at->places[i];
    return NULL;
}

static kv_key_version_row *version_of(const kv_restore_rows *keys, kv_slice version)
{
    for (unsigned i = 0; i < keys->count; i++) {
        kv_key_version_row *row = keys->rows[i];

        if (kv_slice_equal(row->version, version))
            return row;
    }
    return NULL;
}

static kv_status add_place(kv_vault *vault, kv_work *work, kv_restoration *at,
                           const kv_key_version_row *version, kv_error *err)
{
    kv_token_object_row taken = { .key_id = version->key_id };
    kv_restore_key *place = &at->places[at->place_count];
    kv_key_kind kind;
    kv_status status;

    /* There is nothing to look for; the row remembers. */
    if (version->destroying || place_of(at, version->key_id))
        return KV_OK;
    if (version->key_id.len != KV_KEY_ID_BYTES)
        return kv_backup_bad(err);
    KV_TRY(kv_kind_of_name(version->kind, &kind, err));
    *place = (kv_restore_key){ .old_id = version->key_id };
    at->place_count++;
    place->row = (kv_token_object_row){
        .key_id = version->key_id,
        .state = KV_SLICE("ready"),
        .duty = KV_DUTY_KEYS,
        .class = kv_class_name(kv_key_class_of(version, kind)),
        .kind = version->kind,
        .spki = version->spki,
        .node = kv_slice_of(vault->node, sizeof(vault->node)),
        .owner_uid = at->key_object.uid,
        .created = version->created,
    };
    status =
        kv_records_get(vault->config.records, &kv_table_token_objects, &taken, work->arena, err);
    place->taken = status == KV_OK;
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

static kv_status see(void *context, const kv_key_seen *key, kv_error *err)
{
    kv_restore_key *place;

    (void)err;
    if (!key->has_id)
        return KV_OK;
    place = place_of(context, kv_slice_of(key->id, sizeof(key->id)));
    if (!place)
        return KV_OK;
    place->obeys = !place->seen && !*key->differs && key->sensitive && !key->extractable &&
                   kv_slice_equal(kv_class_name(key->class), place->row.class);
    place->seen = true;
    return KV_OK;
}

static kv_status refuse(const kv_key_version_row *version, const kv_restore_key *place,
                        kv_error *err)
{
    if (place->taken)
        return kv_fail(err, KV_EXISTS, "the key of version %.*s is in use on this server",
                       KV_SLICE_ARG(version->version));
    if (place->seen)
        return kv_fail(err, KV_PRECONDITION,
                       "the token has a key with the id of version %.*s, but it is another one",
                       KV_SLICE_ARG(version->version));
    return kv_fail(err, KV_PRECONDITION,
                   "the token no longer has the key of version %.*s; it comes back with a backup "
                   "of the token itself",
                   KV_SLICE_ARG(version->version));
}

static kv_status bind(kv_token *token, const kv_key_version_row *version, kv_restore_key *place,
                      kv_error *err)
{
    kv_key_ref ref = { .spki = version->spki };
    kv_key_kind kind;
    kv_status status;

    if (place->bound || place->taken || !place->obeys)
        return place->bound || version->exportable ? KV_OK : refuse(version, place, err);
    KV_TRY(kv_kind_of_name(version->kind, &kind, err));
    ref.class = kv_key_class_of(version, kind);
    memcpy(ref.id, version->key_id.data, sizeof(ref.id));
    status = kv_token_key_check(token, &ref, err);
    place->bound = status == KV_OK;
    if (status != KV_NOT_FOUND && status != KV_INTERNAL)
        return status;
    *err = (kv_error){ 0 };
    return version->exportable ? KV_OK : refuse(version, place, err);
}

kv_status kv_restore_find_keys(kv_vault *vault, kv_work *work, kv_restoration *at, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);

    if (!at->keys.count)
        return KV_OK;
    at->places = kv_arena_array(work->arena, at->keys.count, sizeof(*at->places));
    if (!at->places)
        return kv_arena_full(err);
    for (unsigned i = 0; i < at->keys.count; i++)
        KV_TRY(add_place(vault, work, at, at->keys.rows[i], err));
    KV_TRY(kv_token_key_list(token, see, at, err));
    for (unsigned i = 0; i < at->keys.count; i++) {
        const kv_key_version_row *version = at->keys.rows[i];

        if (!version->destroying)
            KV_TRY(bind(token, version, place_of(at, version->key_id), err));
    }
    return KV_OK;
}

kv_status kv_restore_private_key(kv_vault *vault, kv_work *work, kv_restoration *at,
                                 kv_slice version, const kv_secret_buf *pkcs8, kv_error *err)
{
    const kv_key_version_row *row = version_of(&at->keys, version);
    kv_restore_key *place = row ? place_of(at, row->key_id) : NULL;
    kv_key_born facts;
    kv_slice spki;

    if (!place || !row->exportable)
        return kv_backup_bad(err);
    if (place->bound || place->born)
        return KV_OK;
    place->birth = (kv_birth){ .duty = KV_DUTY_KEYS,
                               .class = KV_CLASS_SIGN,
                               .label = at->object.display_name,
                               .owner_uid = at->key_object.uid,
                               .material = pkcs8,
                               .spki = row->spki };
    KV_TRY(kv_private_key_inspect(pkcs8, work->arena, &place->birth.kind, &spki, err));
    KV_TRY(kv_birth_key(vault, work, &place->birth, &place->row, &facts, err));
    place->born = true;
    place->birth.material = NULL; /* the caller's */
    place->attested = kv_key_attested(&facts);
    return kv_key_check_imported(&facts, err);
}

kv_status kv_restore_settle_keys(kv_vault *vault, kv_restoration *at, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);

    for (unsigned i = 0; i < at->keys.count; i++) {
        kv_key_version_row *version = at->keys.rows[i];
        kv_restore_key *place = place_of(at, version->key_id);

        if (version->destroying)
            continue;
        if (!place || (!place->bound && !place->born))
            return kv_backup_bad(err);
        version->token = kv_slice_text(kv_token_label(token));
        place->row.token = version->token;
        if (!place->born)
            continue;
        version->key_id = place->row.key_id;
        version->attested = place->attested;
        version->imported = 1;
    }
    for (unsigned i = 0; i < at->certificates.count; i++) {
        kv_certificate_version_row *row = at->certificates.rows[i];
        const kv_key_version_row *key = version_of(&at->keys, row->version);

        if (!key)
            return kv_backup_bad(err);
        row->imported = key->imported;
    }
    return KV_OK;
}

void kv_restore_undo_keys(kv_vault *vault, kv_work *work, const kv_restoration *at)
{
    for (unsigned i = 0; i < at->place_count; i++)
        if (at->places[i].born)
            kv_birth_undo(vault, work, &at->places[i].birth);
}
