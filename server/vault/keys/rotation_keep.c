/* rotation_keep.c - the row that says when a key is to be looked at.
 *
 * Changes of a key make, move and remove it, so it is never out of step and nobody looks in vain:
 * who comes at its time and changes something would be in the way of the key's owners.
 */
#include "server/vault/keys/rotation_rules.h"

enum { SOON_MS = 2000 };

kv_status kv_rotation_row_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                               kv_rotation_row *row, bool *exists, kv_error *err)
{
    kv_status status;

    *row = (kv_rotation_row){ .object_uid = object_uid };
    status = kv_records_get(vault->config.records, &kv_table_rotations, row, work->arena, err);
    *exists = status == KV_OK;
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *row = (kv_rotation_row){ .object_uid = object_uid };
    return KV_OK;
}

static kv_status current_of(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                            kv_key_version_row *out, kv_error *err)
{
    if (view->current) {
        *out = *view->current;
        return KV_OK;
    }
    *out =
        (kv_key_version_row){ .object_uid = view->object->uid, .version = view->object->current };
    return kv_records_get(vault->config.records, &kv_table_key_versions, out, work->arena, err);
}

kv_status kv_rotation_times_of(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                               const kv_rotation_row *row, kv_rotation_times *out, kv_error *err)
{
    kv_rotation_rules stored = { 0 };
    const kv_rotation_rules *rules = view->rules ? view->rules : &stored;
    kv_key_version_row current;
    kv_rotation_facts facts;

    if (!view->rules)
        KV_TRY(kv_rotation_rules_find(vault, work, view->object->uid, &stored, err));
    KV_TRY(current_of(vault, work, view, &current, err));
    facts = (kv_rotation_facts){ .created = current.created,
                                 .expires = current.expires,
                                 .enabled = current.enabled != 0,
                                 .told = row->told_of == current.expires };
    *out = (kv_rotation_times){ .rotate_at = kv_rotation_due(&rules->policy, &facts),
                                .notice_at = kv_rotation_notice(&rules->policy, &facts) };
    return rules->exists ? kv_retiree_find(vault, work, view, rules, &out->retiree, err) : KV_OK;
}

int64_t kv_rotation_first(const kv_rotation_times *times)
{
    const int64_t all[] = { times->rotate_at, times->notice_at, times->retiree.turn.at };
    int64_t first = 0;

    for (size_t i = 0; i < KV_COUNT(all); i++)
        if (all[i] && (!first || all[i] < first))
            first = all[i];
    return first;
}

static kv_status keep(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                      kv_rotation_row *row, bool exists, kv_change *change, kv_error *err)
{
    kv_rotation_times times;
    int64_t due;

    KV_TRY(kv_rotation_times_of(vault, work, view, row, &times, err));
    due = kv_rotation_first(&times);
    if (!due)
        return exists ? kv_change_delete(change, &kv_table_rotations, row, err) : KV_OK;
    row->vault_uid = view->vault_row->uid;
    row->due_at = due;
    row->attempts = 0;
    return exists ? kv_change_update(change, &kv_table_rotations, row, err)
                  : kv_change_insert(change, &kv_table_rotations, row, err);
}

kv_status kv_rotation_keep_from(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                                kv_rotation_row *row, kv_change *change, kv_error *err)
{
    return keep(vault, work, view, row, true, change, err);
}

kv_status kv_rotation_keep(kv_vault *vault, kv_work *work, const kv_rotation_view *view,
                           kv_rotation_row *row, kv_change *change, kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_rotation_row_find(vault, work, view->object->uid, row, &exists, err));
    return keep(vault, work, view, row, exists, change, err);
}

kv_status kv_rotation_look(kv_vault *vault, kv_work *work, const kv_object_row *object,
                           kv_rotation_row *row, kv_change *change, kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_rotation_row_find(vault, work, object->uid, row, &exists, err));
    row->vault_uid = object->vault_uid;
    row->due_at = work->now_ms + SOON_MS;
    row->attempts = 0;
    return exists ? kv_change_update(change, &kv_table_rotations, row, err)
                  : kv_change_insert(change, &kv_table_rotations, row, err);
}
