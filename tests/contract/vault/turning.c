/* turning.c - a key "k" that is rotated, and time that passes. */
#include "tests/contract/vault/turning.h"

enum { STEPS_MAX = 2000 };

house *turning_start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

unsigned turning_versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM key_versions");
}

unsigned turning_due_rows(house *h)
{
    return house_count(h, "SELECT count(*) FROM rotations");
}

kv_status turning_live_until(house *h, int64_t until, kv_error *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next = 0;

        KV_TRY(kv_vault_step_rotation(h->vault, &next, err));
        if (!next || next > until) {
            atomic_store(&h->now_ms, until);
            return KV_OK;
        }
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    return kv_fail(err, KV_INTERNAL, "there is no end of steps");
}

void turning_live(house *h, int64_t days)
{
    kv_error err = { 0 };

    assert_kv_ok(turning_live_until(h, HOUSE_NOW_MS + days * DAY, &err));
}

kv_status turning_set_policy(house *h, kv_rotation_policy_texts policy, kv_error *err)
{
    kv_rotation_action rotate_then = { .type = KV_ROTATION_ACTION_ROTATE,
                                       .time_after_create = policy.rotate_after,
                                       .time_before_expiry = policy.rotate_before };
    bool rotates = policy.rotate_after.len || policy.rotate_before.len;
    kv_rotation_policy_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                                        .actions = &rotate_then,
                                        .action_count = rotates,
                                        .expiry_time = policy.expiry_time,
                                        .disable_after = policy.disable_after,
                                        .destroy_after = policy.destroy_after };
    kv_rotation_policy_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    *err = (kv_error){ 0 };
    status = kv_rotation_policy_update(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

kv_status turning_permit(house *h, kv_slice disable_after, kv_slice destroy_after, kv_error *err)
{
    kv_destruction_permit_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                                    .disable_after = disable_after,
                                    .destroy_after = destroy_after };
    kv_rotation_policy_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    *err = (kv_error){ 0 };
    status = kv_destruction_permit(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

kv_status turning_rotate(house *h, kv_key_bundle *out, kv_error *err)
{
    kv_key_rotate_in in = { .target = act_target(KV_COLLECTION_KEYS, "k") };
    kv_key_bundle ignored;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    *err = (kv_error){ 0 };
    status = kv_key_rotate(h->vault, &job.work, &in, out ? out : &ignored, err);
    house_end(h, &job, status);
    return status;
}

kv_key_bundle turning_look(house *h, kv_slice version)
{
    kv_key_get_in in = { .target = act_target(KV_COLLECTION_KEYS, "k") };
    kv_key_bundle out;
    kv_error err = { 0 };

    in.target.version = version;
    assert_kv_ok(HOUSE_DO(h, kv_key_get, &in, &out));
    return out;
}

kv_status turning_enable(house *h, kv_slice version, bool enabled, kv_error *err)
{
    kv_key_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                            .attributes = { .has_enabled = true, .enabled = enabled } };
    kv_key_bundle out;
    house_job job;
    kv_status status;

    in.target.version = version;
    house_begin(h, &job);
    *err = (kv_error){ 0 };
    status = kv_key_update(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

kv_slice turning_keep(house *h, kv_slice text)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_copy(&h->kept_arena, text, &text, &err));
    return text;
}
