/* rotation_policy.c - rotation policies are shown and set, and destruction by them is permitted.
 *
 * Who sets the policy cannot permit what it destroys: the two need different permissions, and no
 * one holds both where separation of duty is on. What is permitted is one schedule; with another
 * schedule the permission is gone.
 */
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

#define DISABLE_FIELD "disable_after"
#define DESTROY_FIELD "destroy_after"
#define ACTIONS_FIELD "policy.lifetime_actions"
#define TRIGGER_FIELD ACTIONS_FIELD ".trigger"

static const kv_slice default_notice = { (const uint8_t *)"P30D", 4 };

static kv_status parse(const kv_rotation_policy_texts *texts, kv_rotation_policy *out,
                       kv_error *err)
{
    const struct {
        kv_slice text;
        const char *field;
        kv_duration *out;
    } all[] = {
        { texts->rotate_after, TRIGGER_FIELD ".time_after_create", &out->rotate_after },
        { texts->rotate_before, TRIGGER_FIELD ".time_before_expiry", &out->rotate_before },
        { texts->notify_before, TRIGGER_FIELD ".time_before_expiry", &out->notify_before },
        { texts->expiry_time, "policy.attributes.expiry_time", &out->expiry },
        { texts->disable_after, "policy.retirement." DISABLE_FIELD, &out->disable_after },
        { texts->destroy_after, "policy.retirement." DESTROY_FIELD, &out->destroy_after },
    };

    for (size_t i = 0; i < KV_COUNT(all); i++)
        KV_TRY(kv_duration_parse(all[i].text, all[i].field, all[i].out, err));
    return KV_OK;
}

static kv_rotation_policy_texts texts_of(const kv_rotation_policy_row *row)
{
    return (kv_rotation_policy_texts){ .rotate_after = row->rotate_after,
                                       .rotate_before = row->rotate_before,
                                       .notify_before = row->notify_before,
                                       .expiry_time = row->expiry_time,
                                       .disable_after = row->disable_after,
                                       .destroy_after = row->destroy_after };
}

/* Every end is announced 30 days before, policy or not; twice would be once too often. */
static void leave_to_others(const kv_rotation_policy_texts *texts, kv_rotation_policy *policy)
{
    if (kv_slice_equal(texts->notify_before, default_notice))
        policy->notify_before = (kv_duration){ 0 };
}

kv_status kv_rotation_rules_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                                 kv_rotation_rules *out, kv_error *err)
{
    kv_rotation_policy_texts texts;
    kv_status status;

    *out = (kv_rotation_rules){ .row = { .object_uid = object_uid } };
    status = kv_records_get(vault->config.records, &kv_table_rotation_policies, &out->row,
                            work->arena, err);
    out->exists = status == KV_OK;
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (!out->exists) {
        *err = (kv_error){ 0 };
        out->row =
            (kv_rotation_policy_row){ .object_uid = object_uid, .notify_before = default_notice };
    }
    texts = texts_of(&out->row);
    if (parse(&texts, &out->policy, err) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "a rotation policy's row is not well formed");
    leave_to_others(&texts, &out->policy);
    return KV_OK;
}

bool kv_destruction_permitted(const kv_rotation_rules *rules)
{
    return rules->row.permitted && kv_duration_given(&rules->policy.destroy_after);
}

static kv_status find(kv_vault *vault, kv_work *work, const kv_target *target,
                      kv_vault_row *vault_row, kv_object_row *object, kv_rotation_rules *rules,
                      kv_error *err)
{
    KV_TRY(kv_find_object(vault, work, target, vault_row, object, err));
    KV_TRY(kv_refuse_managed(object, "rotated", err));
    return kv_rotation_rules_find(vault, work, object->uid, rules, err);
}

static kv_status show(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_object_row *object, const kv_rotation_rules *rules,
                      kv_rotation_policy_bundle *out, kv_error *err)
{
    const kv_rotation_view view = { vault_row, object, rules, NULL, NULL };
    const kv_rotation_row none = { 0 };
    bool permitted = kv_destruction_permitted(rules);
    kv_rotation_times times;

    *out = (kv_rotation_policy_bundle){
        .id = kv_id_of(vault_row, object, KV_SLICE_NONE),
        .policy = texts_of(&rules->row),
        .created = rules->row.created,
        .updated = rules->row.updated,
        .permitted = permitted ? rules->row.permitted : 0,
        .permitted_by = permitted ? rules->row.permitted_by : KV_SLICE_NONE,
    };
    KV_TRY(kv_rotation_times_of(vault, work, &view, &none, &times, err));
    out->next_rotation = times.rotate_at;
    return KV_OK;
}

kv_status kv_rotation_policy_get(kv_vault *vault, kv_work *work,
                                 const kv_rotation_policy_get_in *in,
                                 kv_rotation_policy_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_rotation_rules rules;

    KV_TRY(find(vault, work, &in->target, &vault_row, &object, &rules, err));
    return show(vault, work, &vault_row, &object, &rules, out, err);
}

/* --- changes --- */

static kv_status store(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                       const kv_object_row *object, kv_rotation_rules *rules, kv_error *err)
{
    const kv_rotation_view view = { vault_row, object, rules, NULL, NULL };
    bool exists = rules->exists;
    kv_rotation_row due;
    kv_change change = { 0 };

    rules->exists = true;
    rules->row.updated = work->now_ms;
    KV_TRY((exists ? kv_change_update : kv_change_insert)(&change, &kv_table_rotation_policies,
                                                          &rules->row, err));
    KV_TRY(kv_rotation_keep(vault, work, &view, &due, &change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_wake_steps(vault);
    return KV_OK;
}

/* Durations of the row, as an auditor reads them. */
static kv_status note(kv_work *work, const kv_rotation_policy_row *row, const char *more,
                      kv_error *err)
{
    const struct {
        const char *name;
        kv_slice text;
    } all[] = {
        { "rotate_after", row->rotate_after },   { "rotate_before", row->rotate_before },
        { "notify_before", row->notify_before }, { "expiry_time", row->expiry_time },
        { DISABLE_FIELD, row->disable_after },   { DESTROY_FIELD, row->destroy_after },
    };
    kv_slice text = kv_slice_text(more);

    for (size_t i = 0; i < KV_COUNT(all); i++)
        if (all[i].text.len)
            KV_TRY(kv_arena_print(work->arena, &text, err, "%.*s%s%s=%.*s", KV_SLICE_ARG(text),
                                  text.len ? " " : "", all[i].name, KV_SLICE_ARG(all[i].text)));
    work->entry->note = text;
    return KV_OK;
}

static void take(const kv_rotation_policy_texts *from, int64_t now_ms, kv_rotation_policy_row *row)
{
    bool same = kv_slice_equal(row->disable_after, from->disable_after) &&
                kv_slice_equal(row->destroy_after, from->destroy_after);

    row->rotate_after = from->rotate_after;
    row->rotate_before = from->rotate_before;
    row->notify_before = from->notify_before.len ? from->notify_before : default_notice;
    row->expiry_time = from->expiry_time;
    if (same)
        return;
    row->disable_after = from->disable_after;
    row->destroy_after = from->destroy_after;
    row->retirement_since = now_ms;
    row->permitted = 0;
    row->permitted_by = KV_SLICE_NONE;
}

static kv_status take_rotation(const kv_rotation_action *action, kv_rotation_policy_texts *out,
                               kv_error *err)
{
    if (out->rotate_after.len || out->rotate_before.len)
        return kv_fail_field(err, ACTIONS_FIELD, "has at most one action of a kind");
    if (!action->time_after_create.len == !action->time_before_expiry.len)
        return kv_fail_field(err, TRIGGER_FIELD,
                             "is either time_after_create or time_before_expiry");
    out->rotate_after = action->time_after_create;
    out->rotate_before = action->time_before_expiry;
    return KV_OK;
}

static kv_status take_notification(const kv_rotation_action *action, kv_rotation_policy_texts *out,
                                   kv_error *err)
{
    if (out->notify_before.len)
        return kv_fail_field(err, ACTIONS_FIELD, "has at most one action of a kind");
    if (action->time_after_create.len)
        return kv_fail_field(err, TRIGGER_FIELD ".time_after_create", "is for ROTATE alone");
    if (!action->time_before_expiry.len)
        return kv_fail_field(err, TRIGGER_FIELD ".time_before_expiry", "is required");
    out->notify_before = action->time_before_expiry;
    return KV_OK;
}

static kv_status take_texts(const kv_rotation_policy_update_in *in, kv_rotation_policy_texts *out,
                            kv_error *err)
{
    *out = (kv_rotation_policy_texts){ .expiry_time = in->expiry_time,
                                       .disable_after = in->disable_after,
                                       .destroy_after = in->destroy_after };
    for (size_t i = 0; i < in->action_count; i++) {
        if (in->actions[i].type == KV_ROTATION_ACTION_NONE)
            return kv_fail_field(err, ACTIONS_FIELD ".action", "is required");
        KV_TRY((in->actions[i].type == KV_ROTATION_ACTION_ROTATE
                    ? take_rotation
                    : take_notification)(&in->actions[i], out, err));
    }
    return KV_OK;
}

kv_status kv_rotation_policy_update(kv_vault *vault, kv_work *work,
                                    const kv_rotation_policy_update_in *in,
                                    kv_rotation_policy_bundle *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_rotation_rules rules;
    kv_rotation_policy_texts texts;

    KV_TRY(find(vault, work, &in->target, &vault_row, &object, &rules, err));
    rules.policy = (kv_rotation_policy){ 0 };
    KV_TRY(take_texts(in, &texts, err));
    KV_TRY(parse(&texts, &rules.policy, err));
    KV_TRY(kv_rotation_check(&rules.policy, vault_row.retention_days, err));
    leave_to_others(&texts, &rules.policy);
    take(&texts, work->now_ms, &rules.row);
    rules.row.vault_uid = vault_row.uid;
    if (!rules.exists)
        rules.row.created = work->now_ms;
    KV_TRY(note(work, &rules.row, "", err));
    KV_TRY(store(vault, work, &vault_row, &object, &rules, err));
    return show(vault, work, &vault_row, &object, &rules, out, err);
}

static bool same_duration(const kv_duration *a, const kv_duration *b)
{
    return a->months == b->months && a->ms == b->ms;
}

/* Who permits says what they permit, so that nobody changes it under their hands. */
static kv_status check_permit(const kv_destruction_permit_in *in, const kv_rotation_rules *rules,
                              kv_error *err)
{
    kv_duration disable;
    kv_duration destroy;

    KV_TRY(kv_duration_parse(in->disable_after, DISABLE_FIELD, &disable, err));
    KV_TRY(kv_duration_parse(in->destroy_after, DESTROY_FIELD, &destroy, err));
    if (!kv_duration_given(&rules->policy.destroy_after))
        return kv_fail(err, KV_PRECONDITION, "the key's rotation policy destroys nothing");
    if (!same_duration(&disable, &rules->policy.disable_after) ||
        !same_duration(&destroy, &rules->policy.destroy_after))
        return kv_fail(err, KV_PRECONDITION,
                       "the key's rotation policy has another schedule; look at it again");
    return KV_OK;
}

kv_status kv_destruction_permit(kv_vault *vault, kv_work *work, const kv_destruction_permit_in *in,
                                kv_rotation_policy_bundle *out, kv_error *err)
{
    bool permits = in->disable_after.len || in->destroy_after.len;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_rotation_rules rules;

    KV_TRY(find(vault, work, &in->target, &vault_row, &object, &rules, err));
    if (!rules.exists)
        return kv_fail(err, KV_PRECONDITION, "the key has no rotation policy");
    if (permits)
        KV_TRY(check_permit(in, &rules, err));
    rules.row.permitted = permits ? work->now_ms : 0;
    rules.row.permitted_by =
        permits ? kv_slice_of(work->caller->principal_id, sizeof(work->caller->principal_id))
                : KV_SLICE_NONE;
    KV_TRY(note(work, &rules.row, permits ? "permitted" : "withdrawn", err));
    KV_TRY(store(vault, work, &vault_row, &object, &rules, err));
    return show(vault, work, &vault_row, &object, &rules, out, err);
}
