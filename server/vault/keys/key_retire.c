/* key_retire.c - versions that have been followed are disabled, and later destroyed, by schedule.
 *
 * Destruction is three steps. The first makes the version useless for good and says so in its row;
 * the second asks the token; the third is stored when the token, proved to work, has searched and
 * found nothing, and its audit record says what the token said. A crash between them repeats the
 * second.
 */
#include "server/vault/events/event_rules.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"

#include "server/base/text.h"

enum { VERSIONS_PER_STEP = 50, RETRY_MS = 60 * 1000 };

/* --- whose turn it is --- */

static kv_retirement_facts facts_of(const kv_rotation_view *view, const kv_rotation_rules *rules,
                                    const kv_key_version_row *version)
{
    return (kv_retirement_facts){
        .replaced = version->replaced,
        .since = rules->row.retirement_since,
        .retired = version->retired,
        .kept = version->kept != 0,
        .destroying = version->destroying,
        .destroyed = version->destroyed,
        .permitted = kv_destruction_permitted(rules) ? rules->row.permitted : 0,
        .retention_days = view->vault_row->retention_days,
    };
}

static kv_status consider(kv_work *work, const kv_rotation_view *view,
                          const kv_rotation_rules *rules, const kv_key_version_row *version,
                          kv_retiree *first, kv_error *err)
{
    kv_retirement_facts facts = facts_of(view, rules, version);
    kv_retirement_turn turn = kv_retirement_next(&rules->policy, &facts);

    if (kv_slice_equal(version->version, view->object->current) || turn.act == KV_RETIREMENT_REST)
        return KV_OK;
    if (first->turn.act != KV_RETIREMENT_REST && first->turn.at <= turn.at)
        return KV_OK;
    first->turn = turn;
    return kv_arena_copy(work->arena, version->version, &first->version, err);
}

/* As the change will leave it, where it is the one that is altered. */
static const kv_key_version_row *as_it_will_be(const kv_rotation_view *view,
                                               const kv_key_version_row *version)
{
    bool altered = view->other && kv_slice_equal(view->other->version, version->version);

    return altered ? view->other : version;
}

kv_status kv_retiree_find(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                          const kv_rotation_rules *rules, kv_retiree *out, kv_error *err)
{
    kv_key_version_row from = { .object_uid = view->object->uid };
    kv_scan scan = {
        .table = &kv_table_key_versions, .prefix = 1, .from = &from, .limit = VERSIONS_PER_STEP
    };
    bool more = true;

    *out = (kv_retiree){ .turn = { KV_RETIREMENT_REST, 0 } };
    while (more) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
        const kv_key_version_row *versions;
        kv_rows rows;

        KV_TRY(kv_records_scan(vault->config.records, &scan, &arena, &rows, err));
        versions = rows.rows;
        for (unsigned i = 0; i < rows.count; i++)
            KV_TRY(consider(work, view, rules, as_it_will_be(view, &versions[i]), out, err));
        more = rows.more;
        scan.after = true;
        if (more)
            KV_TRY(
                kv_arena_copy(work->arena, versions[rows.count - 1].version, &from.version, err));
    }
    return KV_OK;
}

/* --- steps --- */

static kv_status tell_all(kv_work *work, const kv_vault_row *vault_row, const kv_object_row *object,
                          const kv_key_version_row *version, kv_event_type type, kv_change *change,
                          kv_error *err)
{
    kv_event_row event = { .version = version->version, .cause = KV_SLICE("policy") };

    kv_event_place(vault_row, object, &event);
    return kv_event_add(work, type, &event, change, err);
}

static kv_status read(kv_vault *vault, kv_work *work, const kv_object_row *object, kv_slice wanted,
                      kv_key_version_row *out, kv_error *err)
{
    KV_TRY(kv_find_key_version(vault, work, object->uid, wanted, out, err));
    if (out->key_id.len != KV_KEY_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "a key's row is not well formed");
    work->entry->has_key = true;
    memcpy(work->entry->key_id, out->key_id.data, KV_KEY_ID_BYTES);
    return KV_OK;
}

kv_status kv_version_disable(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, kv_slice wanted, kv_rotation_row *row,
                             kv_error *err)
{
    kv_key_version_row version;
    kv_change change = { 0 };

    KV_TRY(read(vault, work, object, wanted, &version, err));
    version.enabled = 0;
    version.retired = work->now_ms;
    version.updated = work->now_ms;
    row->due_at = work->now_ms;
    row->attempts = 0;
    KV_TRY(kv_change_update(&change, &kv_table_key_versions, &version, err));
    KV_TRY(kv_change_update(&change, &kv_table_rotations, row, err));
    KV_TRY(tell_all(work, vault_row, object, &version, KV_EVENT_KEY_DISABLED, &change, err));
    return kv_commit_step(vault, work, "KeyVersionDisable", &change, err);
}

/* A token that does not know the key, or is another one, is no witness of its end. */
static kv_status check_witness(kv_token *token, const kv_key_version_row *version, kv_error *err)
{
    kv_key_ref ref = { .spki = version->spki };
    kv_key_kind kind;

    if (!token || !kv_slice_equal(version->token, kv_slice_text(kv_token_label(token))))
        return kv_fail(err, KV_UNAVAILABLE, "the key is on a token that this server does not have");
    KV_TRY(kv_kind_of_name(version->kind, &kind, err));
    ref.class = kv_key_class_of(version, kind);
    memcpy(ref.id, version->key_id.data, sizeof(ref.id));
    return kv_token_key_check(token, &ref, err);
}

static kv_status destroy_begin(kv_vault *vault, kv_work *work, kv_key_version_row *version,
                               kv_rotation_row *row, kv_error *err)
{
    kv_token_object_row doomed;
    kv_change change = { 0 };

    version->enabled = 0;
    version->destroying = work->now_ms;
    version->updated = work->now_ms;
    row->due_at = work->now_ms + RETRY_MS;
    KV_TRY(kv_change_update(&change, &kv_table_key_versions, version, err));
    KV_TRY(kv_change_doom(vault, work, version->key_id, &doomed, &change, err));
    KV_TRY(kv_change_update(&change, &kv_table_rotations, row, err));
    return kv_commit_step(vault, work, "KeyVersionDestroyBegin", &change, err);
}

static kv_status tell(kv_work *work, const kv_key_version_row *version, const kv_key_gone *gone,
                      kv_error *err)
{
    char id[2 * KV_KEY_ID_BYTES + 1];

    kv_hex(version->key_id, id);
    return kv_arena_print(
        work->arena, &work->entry->note, err,
        "CKA_ID=%s destroyed: CKO_PRIVATE_KEY=%u CKO_SECRET_KEY=%u CKO_PUBLIC_KEY=%u other=%u "
        "copies=%u; found after: 0; token=%s serial=%s",
        id, gone->private_keys, gone->secret_keys, gone->public_keys, gone->others, gone->copies,
        gone->label, gone->serial);
}

static kv_status destroy_end(kv_vault *vault, kv_work *work, kv_key_version_row *version,
                             const kv_key_gone *gone, kv_rotation_row *row, kv_change *change,
                             kv_error *err)
{
    kv_token_object_row object = { .key_id = version->key_id };
    kv_status status;

    status =
        kv_records_get(vault->config.records, &kv_table_token_objects, &object, work->arena, err);
    if (status == KV_OK)
        KV_TRY(kv_change_delete(change, &kv_table_token_objects, &object, err));
    else if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    version->destroyed = work->now_ms;
    row->due_at = work->now_ms;
    row->attempts = 0;
    KV_TRY(kv_change_update(change, &kv_table_key_versions, version, err));
    KV_TRY(kv_change_update(change, &kv_table_rotations, row, err));
    KV_TRY(tell(work, version, gone, err));
    return kv_commit_step(vault, work, "KeyVersionDestroy", change, err);
}

kv_status kv_version_destroy(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             const kv_object_row *object, kv_slice wanted, kv_rotation_row *row,
                             kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);
    kv_change change = { 0 };
    kv_key_version_row version;
    kv_key_gone gone;

    KV_TRY(read(vault, work, object, wanted, &version, err));
    if (!version.destroying) {
        KV_TRY(check_witness(token, &version, err));
        KV_TRY(destroy_begin(vault, work, &version, row, err));
    }
    if (!token || !kv_slice_equal(version.token, kv_slice_text(kv_token_label(token))))
        return kv_fail(err, KV_UNAVAILABLE, "the key is on a token that this server does not have");
    KV_TRY(kv_token_key_destroy_told(token, version.key_id.data, &gone, err));
    KV_TRY(tell_all(work, vault_row, object, &version, KV_EVENT_KEY_DESTROYED, &change, err));
    return destroy_end(vault, work, &version, &gone, row, &change, err);
}
