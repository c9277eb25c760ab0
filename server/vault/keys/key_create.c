/* key_create.c - a key is born on the token and gets a name, or a new version of one. */
#include "server/vault/events/events.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

typedef struct creation {
    kv_vault_row vault_row;
    kv_object_row object;
    bool exists;
    kv_life life;
    kv_key_version_row version;
    kv_key_version_row before; /* what was the current version */
    kv_rotation_row due;
    kv_token_object_row token_object;
} creation;

static kv_status prepare(kv_vault *vault, kv_work *work, const kv_key_making *in, creation *new,
                         kv_error *err)
{
    KV_TRY(kv_tags_check(in->tags, err));
    new->life = KV_LIFE_NEW;
    KV_TRY(kv_life_take(in->attributes, &new->life, err));
    KV_TRY(kv_object_for_version(vault, work, in->target, &new->vault_row, &new->object,
                                 &new->exists, err));
    new->version = (kv_key_version_row){
        .object_uid = new->object.uid,
        .vault_uid = new->vault_row.uid,
        .created = work->now_ms,
        .updated = work->now_ms,
        .enabled = new->life.enabled,
        .not_before = new->life.not_before,
        .expires = new->life.expires,
        .kind = kv_slice_text(kv_key_kind_of(in->kind)->name),
        .key_ops = in->ops,
        .imported = in->material || in->exchange,
    };
    KV_TRY(kv_tags_store(work, in->tags, &new->version.tags, err));
    return kv_new_version(work, &new->version.version, err);
}

static kv_status bear(kv_vault *vault, kv_work *work, const kv_key_making *in, const creation *new,
                      kv_key_effort *effort, kv_error *err)
{
    kv_key_born born;
    kv_status status;

    effort->birth = (kv_birth){
        .duty = KV_DUTY_KEYS,
        .class = in->class,
        .kind = in->kind,
        .label = new->object.display_name,
        .owner_uid = new->object.uid,
        .material = in->material,
        .exchange = in->exchange,
        .wrapped = in->wrapped,
        .spki = in->spki,
    };
    KV_TRY(kv_birth_key(vault, work, &effort->birth, &effort->token_object, &born, err));
    status = new->version.imported ? kv_key_check_imported(&born, err)
                                   : kv_key_check_born(&born, false, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, &effort->birth);
        return status;
    }
    effort->attested = kv_key_attested(&born);
    effort->born = true;
    return KV_OK;
}

/* One for all attempts, unless what it has to be like is another by now. */
static kv_status take_key(kv_vault *vault, kv_work *work, const kv_key_making *in, creation *new,
                          kv_key_effort *effort, kv_error *err)
{
    if (effort->born && (effort->birth.class != in->class || effort->birth.kind != in->kind)) {
        effort->born = false;
        kv_birth_undo(vault, work, &effort->birth);
    }
    if (!effort->born)
        KV_TRY(bear(vault, work, in, new, effort, err));
    new->token_object = effort->token_object;
    new->token_object.owner_uid = new->object.uid;
    new->version.key_id = new->token_object.key_id;
    new->version.spki = new->token_object.spki;
    new->version.token = new->token_object.token;
    new->version.attested = effort->attested;
    return KV_OK;
}

static kv_status tell(kv_vault *vault, kv_work *work, const creation *new, kv_change *change,
                      kv_error *err)
{
    kv_event_version about = KV_EVENT_VERSION_OF(&new->vault_row, &new->object, &new->version);
    const char *cause = new->exists ? "rotated" : "created";

    return kv_event_new_version(vault, work, &about, new->version.imported ? "imported" : cause,
                                change, err);
}

/* The version until now says since when it is not the current one any more. */
static kv_status close_before(kv_vault *vault, kv_work *work, creation *new, kv_change *change,
                              kv_error *err)
{
    new->before =
        (kv_key_version_row){ .object_uid = new->object.uid, .version = new->object.current };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_key_versions, &new->before, work->arena,
                          err));
    new->before.replaced = work->now_ms;
    return kv_change_update(change, &kv_table_key_versions, &new->before, err);
}

/* The object is already as it will be. */
static kv_status plan(kv_vault *vault, kv_work *work, const kv_key_making *in, creation *new,
                      kv_change *change, kv_error *err)
{
    const kv_rotation_view view = { &new->vault_row, &new->object, NULL, &new->version,
                                    &new->before };

    if (in->due)
        return kv_rotation_keep_from(vault, work, &view, in->due, change, err);
    return new->exists ? kv_rotation_keep(vault, work, &view, &new->due, change, err) : KV_OK;
}

static kv_status store(kv_vault *vault, kv_work *work, const kv_key_making *in, creation *new,
                       kv_error *err)
{
    kv_change change = { 0 };
    kv_status status;

    work->entry->version = new->version.version;
    work->entry->has_key = true;
    memcpy(work->entry->key_id, new->version.key_id.data, sizeof(work->entry->key_id));
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &new->token_object, err));
    KV_TRY(kv_change_insert(&change, &kv_table_key_versions, &new->version, err));
    if (new->object.current.len)
        KV_TRY(close_before(vault, work, new, &change, err));
    KV_TRY(kv_change_object(&change, &new->object, new->exists, new->version.version, err));
    KV_TRY(plan(vault, work, in, new, &change, err));
    KV_TRY(tell(vault, work, new, &change, err));
    status = in->due ? kv_commit_step(vault, work, "KeyRotateIfDue", &change, err)
                     : kv_commit_change(vault, work, &change, err);
    return kv_lost_race(status, err);
}

kv_status kv_key_attempt(kv_vault *vault, kv_work *work, const kv_key_making *making,
                         kv_key_effort *effort, kv_key_bundle *out, kv_error *err)
{
    creation new = { 0 };

    KV_TRY(prepare(vault, work, making, &new, err));
    KV_TRY(take_key(vault, work, making, &new, effort, err));
    KV_TRY(store(vault, work, making, &new, err));
    effort->born = false; /* the version's */
    if (!new.exists)
        KV_TRY(kv_object_keep(vault, work, &new.vault_row, &new.object, err));
    return kv_key_bundle_of(work, &new.vault_row, &new.object, &new.version, out, err);
}

kv_status kv_key_settle(kv_vault *vault, kv_work *work, const kv_key_effort *effort,
                        kv_status status)
{
    if (effort->born)
        kv_birth_undo(vault, work, &effort->birth);
    return status;
}

kv_status kv_key_make(kv_vault *vault, kv_work *work, const kv_key_making *making,
                      kv_key_bundle *out, kv_error *err)
{
    kv_key_effort effort = { 0 };
    kv_status status;

    do
        status = kv_key_attempt(vault, work, making, &effort, out, err);
    while (kv_race_again(work, status, &effort.races, err));
    return kv_key_settle(vault, work, &effort, status);
}

kv_status kv_key_create(kv_vault *vault, kv_work *work, const kv_key_create_in *in,
                        kv_key_bundle *out, kv_error *err)
{
    kv_key_making making = { .target = &in->target,
                             .attributes = &in->attributes,
                             .tags = &in->tags };

    KV_TRY(kv_key_class_asked(in->kty, in->key_ops, &making.ops, &making.class, err));
    KV_TRY(kv_key_kind_asked(in->kty, making.class, in->key_size, in->crv, &making.kind, err));
    return kv_key_make(vault, work, &making, out, err);
}
